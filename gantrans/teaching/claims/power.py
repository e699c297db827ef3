"""The chance that an experiment decides: the power of a rule at a given spread, before it is measured.

The question of every claim: if the true effect were twice the smallest that matters, how likely is it that
the whole interval lies in the region? Below `ENOUGH` the claim is measured with more seeds or cheaper, or
withdrawn.
"""

import numpy as np
from scipy.special import bdtrc, betaincinv, nctdtr, stdtrit

from gantrans.teaching.claims.registry import ClaimError, Part

ENOUGH = 0.8


def internal(part: Part) -> tuple[float, float]:
    """The region in the units in which observations are averaged (logarithms for a ratio)."""
    if part.kind != "paired" or part.compare == "difference":
        return part.region
    with np.errstate(divide="ignore"):
        return float(np.log(max(part.region[0], 0.0))), float(np.log(part.region[1]))


def power(part: Part, spread: float, count: int) -> float | None:
    """Probability that `count` observations hold, if the effect is twice the smallest size that matters.

    - `paired` and `repeats` with a half-line as region: the noncentral t distribution. The smallest size is
      the distance of the region's finite end from "no effect" (from 0 where the rule gives none). A region
      that contains "no effect" (not worse by more than a margin) is asked at "no effect" itself.
    - a bounded region of `repeats`: at its middle, which is the easiest value to see.
    - `proportion`: at half the failures (or half the successes) that the region allows.
    - `exact`: None, as nothing is drawn.

    Args:
        part: the rule.
        spread: standard deviation of one observation (of log ratios for a ratio); not used for a proportion.
        count: how many pairs, repeats or trials.

    Raises:
        ClaimError: for fewer than two pairs or repeats, or a negative spread.
    """
    if part.kind == "exact":
        return None
    if part.kind == "proportion":
        return _of_proportion(part, count)
    if count < 2 or not spread >= 0:
        raise ClaimError(
            f"{part.name!r}: power needs two observations and a spread, not {count} and {spread}."
        )
    low, high = internal(part)
    if count < part.fewest:
        return 0.0
    if np.isfinite(low) and np.isfinite(high) and part.kind == "repeats":
        distance = (high - low) / 2
        return max(0.0, 2 * _reaches(distance, spread, count, part.level) - 1)
    none = 0.0 if part.kind == "paired" else part.no_effect or 0.0
    edge = high if high < none or not np.isfinite(low) else low
    return _reaches(abs(edge - none), spread, count, part.level)


def seeds_needed(part: Part, spread: float, enough: float = ENOUGH, most: int = 1000) -> int:
    """The fewest pairs or repeats whose power is at least `enough`.

    Raises:
        ClaimError: when `most` do not suffice.
    """
    for count in range(max(2, part.fewest), most + 1):
        if (power(part, spread, count) or 0.0) >= enough:
            return count
    raise ClaimError(
        f"{part.name!r}: {most} observations have less power than {enough} at a spread of {spread:g}."
    )


def _reaches(distance: float, spread: float, count: int, level: float) -> float:
    """P(the interval ends inside), for a true value `distance` inside the edge of the region."""
    if spread == 0:
        return 1.0
    needed, shift = float(stdtrit(count - 1, (1 + level) / 2)), distance * np.sqrt(count) / spread
    return float(1 - nctdtr(count - 1, shift, needed)) if shift < 30 else 1.0  # scipy gives nan from 40 on


def _of_proportion(part: Part, count: int) -> float:
    low, high = part.region
    tail = (1 - part.level) / 2
    if count < part.fewest:
        return 0.0
    flipped = high >= 1.0  # successes are many: count the failures, of which at most 1 - low are allowed
    allowed = 1.0 - low if flipped else high
    k = np.arange(count)  # the largest number of them whose upper limit is still allowed
    fits = betaincinv(k + 1, count - k, 1 - tail) <= allowed
    if not fits.any():
        return 0.0
    return float(1 - bdtrc(int(k[fits].max()), count, allowed / 2))
