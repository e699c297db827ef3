"""From raw data to a verdict, by the rule of the claim and nothing else.

The interval over seeds is the t interval of the paired differences (of the logarithms, for a ratio). With
six seeds the percentile bootstrap is too narrow: at a nominal 99 % it excludes a true zero about one time in
fifteen (see `tests/test_claims.py`), the t interval one time in a hundred.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, stdtrit

from gantrans.teaching.claims.registry import Claim, ClaimError, Part

HOLDS = "holds"
CONDITIONS = "holds with conditions"
REFUTED = "refuted"
UNDECIDED = "not decided at this scale"
UNTESTED = "untested"
VERDICTS = (HOLDS, CONDITIONS, REFUTED, UNDECIDED, UNTESTED)

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Finding:
    """What the data say about one part: the effect with its interval, the verdict and the reason for it.

    `shuffled_undecided` is, for paired arms, the share of label swaps under which no verdict would be given.
    """

    measured: float
    low: float
    high: float
    count: int
    verdict: str
    why: str
    shuffled_undecided: float | None = None


def t_interval(values: Array, level: float = 0.99) -> tuple[Array, Array, Array]:
    """Mean and t interval over the last axis, (..., n) -> three of shape (...)."""
    n = values.shape[-1]
    mean = values.mean(-1)
    half = stdtrit(n - 1, (1 + level) / 2) * values.std(-1, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def proportion_interval(successes: int, trials: int, level: float = 0.99) -> tuple[float, float, float]:
    """k/n with the exact interval of Clopper and Pearson (1934)."""
    tail = (1 - level) / 2
    low = float(betaincinv(successes, trials - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    return successes / trials, low, high


def paired_effect(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.99, compare: str = "difference"
) -> tuple[float, float, float]:
    """Effect of the first arm over the second on the same seeds: (measured, low, high).

    `compare="ratio"` gives the geometric mean of first/second; both arms must then be positive.
    """
    effect, low, high = t_interval(_differences(first, second, compare), level)
    if compare == "ratio":
        effect, low, high = np.exp(effect), np.exp(low), np.exp(high)
    return float(effect), float(low), float(high)


def decide(low: Array, high: Array, region: tuple[float, float], no_effect: float | None) -> Array:
    """+1 holds, -1 refuted, 0 undecided, elementwise for intervals [low, high].

    Holds: the whole interval lies in the region. Refuted: the whole interval lies outside, and, where two
    arms are compared (`no_effect` given), it also excludes "no difference". All else is undecided.
    """
    inside = (low >= region[0]) & (high <= region[1])
    outside = (high < region[0]) | (low > region[1])
    if no_effect is not None:
        outside &= (low > no_effect) | (high < no_effect)
    return np.where(inside, 1, np.where(outside, -1, 0))


def shuffled_undecided(part: Part, differences: Array) -> float:
    """Share of swaps of the labels, pair by pair, that leave the part undecided (all 2^n up to n = 12)."""
    n = differences.shape[-1]
    if n <= 12:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=n)))
    else:
        signs = np.random.default_rng(0).choice((1.0, -1.0), size=(4096, n))
    _, low, high = t_interval(signs * differences, part.level)
    return float(np.mean(decide(low, high, _internal(part), 0.0) == 0))


def judge_part(part: Part, data: Any) -> Finding:
    """Judge one part by its data.

    Args:
        part: the rule.
        data: paired: {arm: one value per seed} for the two arms of the rule; repeats: the values;
            proportion: (k, n); exact: a number.

    Raises:
        ClaimError: when the data have not the form the rule asks for, or are not finite.
    """
    if part.kind == "paired":
        return _judge_paired(part, data)
    try:
        values = np.atleast_1d(np.asarray(data, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ClaimError(f"{part.name!r} of kind {part.kind} cannot use {data!r}: {error}.") from error
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ClaimError(f"{part.name!r} needs finite numbers; the data are {data!r}.")
    if part.kind == "proportion":
        if values.size != 2 or not 0 <= values[0] <= values[1] or values[1] < 1:
            raise ClaimError(f"{part.name!r} needs (successes, trials); the data are {data!r}.")
        measured, low, high = proportion_interval(int(values[0]), int(values[1]), part.level)
        count = int(values[1])
    elif part.kind == "exact":
        if values.size != 1:
            raise ClaimError(f"{part.name!r} needs one number; the data are {data!r}.")
        measured = low = high = float(values[0])
        count = 1
    elif values.size < 2:
        raise ClaimError(f"{part.name!r} needs at least two repeats; the data are {data!r}.")
    else:
        measured, low, high = (float(v) for v in t_interval(values, part.level))
        count = values.size
    verdict, why = _word(part, decide(np.array(low), np.array(high), part.region, None), count)
    return Finding(measured, low, high, count, verdict, why)


def judge(claim: Claim, findings: Mapping[str, Finding], scale: str) -> str:
    """The verdict on a claim from the findings of its parts.

    Holds or refuted when every part of the rule was measured and says so; holds with conditions when some
    parts hold; else undecided. At a scale that the rule does not name, as smoke,
    always undecided.
    """
    if scale not in claim.scales:
        return UNDECIDED
    verdicts = [findings[p.name].verdict if p.name in findings else UNTESTED for p in claim.parts]
    for word in (HOLDS, REFUTED):
        if all(v == word for v in verdicts):
            return word
    return CONDITIONS if HOLDS in verdicts else UNDECIDED


def _judge_paired(part: Part, data: Any) -> Finding:
    if not isinstance(data, Mapping) or set(data) != set(part.arms):
        given = list(data) if isinstance(data, Mapping) else data
        raise ClaimError(f"{part.name!r} compares the arms {part.arms}; the data give {given!r}.")
    arms = [np.asarray(data[a], dtype=np.float64) for a in part.arms]
    if arms[0].shape != arms[1].shape or arms[0].ndim != 1 or arms[0].size < 2:
        raise ClaimError(f"{part.name!r} needs the same seeds in both arms and at least two of them.")
    differences = _differences(arms[0], arms[1], part.compare)
    if not np.isfinite(differences).all():
        raise ClaimError(f"{part.name!r} has a value that is not finite (or, for a ratio, not positive).")
    measured, low, high = paired_effect(arms[0], arms[1], level=part.level, compare=part.compare)
    undecided = shuffled_undecided(part, differences)
    sign = decide(np.array(low), np.array(high), part.region, part.no_effect)
    verdict, why = _word(part, sign, differences.size)
    if verdict != UNDECIDED and undecided < 0.95:
        verdict, why = UNDECIDED, f"label swaps alone would decide in {1 - undecided:.1%} of cases"
    return Finding(measured, low, high, differences.size, verdict, why, undecided)


def _word(part: Part, sign: Array, count: int) -> tuple[str, str]:
    if count < part.fewest:
        return UNDECIDED, f"{count} of the {part.fewest} observations the rule asks for"
    interval = "the value" if part.kind == "exact" else f"the {part.level:.0%} interval"
    return {
        1: (HOLDS, f"{interval} lies inside the stated region"),
        -1: (REFUTED, f"{interval} lies outside the stated region"),
        0: (UNDECIDED, f"{interval} leaves both answers open"),
    }[int(sign)]


def _differences(first: Any, second: Any, compare: str) -> Array:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if compare == "difference":
        return a - b
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(a) - np.log(b)


def _internal(part: Part) -> tuple[float, float]:
    """The region in the units in which differences are averaged (logarithms for a ratio)."""
    if part.compare == "difference":
        return part.region
    with np.errstate(divide="ignore"):
        return float(np.log(max(part.region[0], 0.0))), float(np.log(part.region[1]))
