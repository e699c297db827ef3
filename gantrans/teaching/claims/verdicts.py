"""From raw data to a verdict, by the rule of the claim and nothing else.

The interval over seeds is the t interval of the paired differences (of the logarithms, for a ratio). With
six seeds the percentile bootstrap is too narrow: at a nominal 99 % it excludes a true zero about one time in
fifteen (see `tests/test_claims.py`), the t interval one time in a hundred.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, stdtrit

from gantrans.teaching.claims.power import internal, power
from gantrans.teaching.claims.registry import Claim, ClaimError, Part

HOLDS = "holds"
EXCLUDED = "excluded"
OPEN = "open"
UNTESTED = "untested"
VERDICTS = (HOLDS, EXCLUDED, OPEN, UNTESTED)
SMALLER = "smaller than stated"
NONE = "no effect of that size"
REVERSED = "the other way round"
LARGER = "larger than stated"
SIDES = (SMALLER, NONE, REVERSED, LARGER)
"""On which side of the region an excluded effect lies; `NONE` and `REVERSED` need a value of "no effect"."""
BESIDE = 0.95
"""Level of the interval that is shown beside the one that decides."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Finding:
    """What the data say about one part: the effect, the interval that decides, verdict and reason.

    `side` is one of `SIDES` where the verdict is excluded, else empty; `low_95` and `high_95` are the
    interval shown beside. `shuffled_holds`, of paired arms, is the share of label swaps under which the part
    holds; `power` is that of `claims.power`, None for an exact number.
    """

    measured: float
    low: float
    high: float
    count: int
    verdict: str
    why: str
    side: str = ""
    low_95: float = math.nan
    high_95: float = math.nan
    shuffled_holds: float | None = None
    power: float | None = None


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


def decide(low: Array, high: Array, region: tuple[float, float]) -> Array:
    """+1 holds, -1 excluded, 0 open, elementwise for intervals [low, high].

    Holds: the whole interval lies in the region. Excluded: the whole interval lies outside it.
    """
    inside = (low >= region[0]) & (high <= region[1])
    outside = (high < region[0]) | (low > region[1])
    return np.where(inside, 1, np.where(outside, -1, 0))


def side_of(low: float, high: float, region: tuple[float, float], no_effect: float | None) -> str:
    """On which side of the region an interval outside it lies: one of `SIDES`.

    The stated effect points from `no_effect` to the region. Without such a value (None, or one inside the
    region) the numbers themselves are compared.
    """
    below = high < region[0]
    if no_effect is None or region[0] <= no_effect <= region[1]:
        return SMALLER if below else LARGER
    upwards = region[0] > no_effect
    if below != upwards:
        return LARGER
    if low <= no_effect <= high:
        return NONE
    return SMALLER if (low > no_effect) == upwards else REVERSED


def shuffled_holds(part: Part, differences: Array) -> float:
    """Share of swaps of the labels, pair by pair, under which the part holds (all 2^n up to n = 16)."""
    n = differences.shape[-1]
    if n <= 16:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = np.random.default_rng(0).choice((1.0, -1.0), size=(65536, n))
    _, low, high = t_interval(signs * differences, part.level)
    return float(np.mean(decide(low, high, internal(part)) == 1))


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
    if part.kind == "exact":
        if values.size != 1:
            raise ClaimError(f"{part.name!r} needs one number; the data are {data!r}.")
        number = float(values[0])
        return _finding(part, (number, number, number), (number, number), 1, {})
    if part.kind == "proportion":
        if values.size != 2 or not 0 <= values[0] <= values[1] or values[1] < 1:
            raise ClaimError(f"{part.name!r} needs (successes, trials); the data are {data!r}.")
        k, n = int(values[0]), int(values[1])
        beside = proportion_interval(k, n, BESIDE)[1:]
        return _finding(part, proportion_interval(k, n, part.level), beside, n, {"power": power(part, 0, n)})
    if values.size < 2:
        raise ClaimError(f"{part.name!r} needs at least two repeats; the data are {data!r}.")
    n, spread = values.size, float(values.std(ddof=1))
    mean, low, high = (float(v) for v in t_interval(values, part.level))
    _, low_95, high_95 = (float(v) for v in t_interval(values, BESIDE))
    more = {"power": power(part, spread if part.pilot is None else part.pilot, n)}
    return _finding(part, (mean, low, high), (low_95, high_95), n, more)


def judge(claim: Claim, findings: Mapping[str, Finding], scale: str) -> str:
    """The verdict on a claim from the findings of its parts, all of which its sentence speaks about.

    Excluded when one part is; holds when every part of the rule was measured and holds; else open. At a scale
    that the rule does not name, as smoke, always open.
    """
    if scale not in claim.scales:
        return OPEN
    verdicts = [findings[p.name].verdict if p.name in findings else UNTESTED for p in claim.parts]
    if EXCLUDED in verdicts:
        return EXCLUDED
    return HOLDS if all(v == HOLDS for v in verdicts) else OPEN


def judge_noop(claim: Claim, findings: Mapping[str, Finding], scale: str) -> str | None:
    """The verdict if the component that the claim is about did nothing; None where no such arm was run."""
    hollow = dict(findings)
    for part in claim.parts:
        if part.noop and part.name in findings:
            none = part.no_effect or 0.0
            hollow[part.name] = _finding(part, (none,) * 3, (none,) * 2, findings[part.name].count, {})
    return judge(claim, hollow, scale) if any(p.noop for p in claim.parts) else None


def conditions(verdicts: Mapping[str, tuple[str, str]]) -> str:
    """ "holds for A and B; excluded for C (smaller than stated); open for D" from {part: (verdict, side)}."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, found in verdicts.items():
        groups.setdefault(found, []).append(name)
    order = sorted(groups, key=lambda g: VERDICTS.index(g[0]))
    return "; ".join(
        f"{word} for {_listed(groups[word, where])}{f' ({where})' if where else ''}" for word, where in order
    )


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
    n, spread = differences.size, float(differences.std(ddof=1))
    found = paired_effect(arms[0], arms[1], level=part.level, compare=part.compare)
    _, *beside = paired_effect(arms[0], arms[1], level=BESIDE, compare=part.compare)
    more = {
        "shuffled_holds": shuffled_holds(part, differences),
        "power": power(part, spread if part.pilot is None else part.pilot, n),
    }
    return _finding(part, found, (beside[0], beside[1]), n, more)


def _finding(
    part: Part,
    found: tuple[float, float, float],
    beside: tuple[float, float],
    count: int,
    more: Mapping[str, float | None],
) -> Finding:
    measured, low, high = found
    sign = int(decide(np.array(low), np.array(high), part.region))
    interval = "the value" if part.kind == "exact" else f"the {part.level:.0%} interval"
    word, why, where = OPEN, f"{interval} leaves both answers open", ""
    if count < part.fewest:
        why = f"{count} of the {part.fewest} observations the rule asks for"
    elif sign == 1:
        word, why = HOLDS, f"{interval} lies inside the stated region"
    elif sign == -1:
        where = side_of(low, high, part.region, part.no_effect)
        word, why = EXCLUDED, f"{interval} lies outside the stated region: {where}"
    return Finding(measured, low, high, count, word, why, where, beside[0], beside[1], **more)


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _differences(first: Any, second: Any, compare: str) -> Array:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if compare == "difference":
        return a - b
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(a) - np.log(b)
