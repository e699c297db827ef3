"""A 2^k factorial with paired seeds: names of its arms, main effects and interactions with intervals.

Every factor is on in half of the arms. Its main effect is the mean over the arms with it against the mean
over the arms without, seed by seed: each arm counts in every effect, so 2^k arms say as much about each
factor as if all had been run for it alone. Source: Box, Hunter and Hunter, "Statistics for experimenters",
chapter 5.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gantrans.errors import ConfigError
from gantrans.teaching.claims.verdicts import t_interval

FACTORS = ("least squares", "spectral norm", "smoothing", "decay")
BASELINE, ALL = "baseline", "all four"
Rows = Mapping[int, Mapping[str, Mapping[str, float]]]
"""{seed: {arm: {quantity: value}}}, as a sweep's table holds them."""


@dataclass(frozen=True)
class Effect:
    """What a factor (or two together) changes: mean over seeds, interval, one value per seed."""

    measured: float
    low: float
    high: float
    per_seed: tuple[float, ...]

    @property
    def decided(self) -> bool:
        """Whether the interval excludes "no difference"."""
        return self.low > 0 or self.high < 0


def arm_name(factors: Sequence[str]) -> str:
    """The name of the arm with these factors of `FACTORS`; their order does not matter."""
    if unknown := sorted(set(factors) - set(FACTORS)):
        raise ConfigError(f"There is no factor {unknown[0]!r}; the factors are {', '.join(FACTORS)}.")
    chosen = [factor for factor in FACTORS if factor in factors]
    return ALL if len(chosen) == len(FACTORS) else " + ".join(chosen) or BASELINE


def factorial(factors: Sequence[str] = FACTORS) -> Iterator[tuple[str, ...]]:
    """Every subset of the factors, the smaller ones first: (), (first,), ..., all of them."""
    for size in range(len(factors) + 1):
        yield from itertools.combinations(factors, size)


def arm_in(setting: str, arm: str) -> str:
    """What an arm is called in the table of a sweep with several settings."""
    return f"{setting}: {arm}"


def level_means(
    rows: Rows,
    setting: str,
    factor: str,
    quantity: str,
    factors: Sequence[str] = FACTORS,
    *,
    geometric: bool = False,
) -> tuple[list[float], list[float]]:
    """Per seed, the mean of a quantity over the arms with a factor, and over the arms without it.

    Args:
        factors: those that the setting varied; every subset of them must be an arm.
        geometric: for quantities that are compared by their ratio, so that each arm counts by its factor and
            one arm that explodes does not count for all.
    """
    mean = _geometric_mean if geometric else np.mean
    both: tuple[list[str], list[str]] = ([], [])
    for subset in factorial(factors):
        both[factor not in subset].append(arm_in(setting, arm_name(subset)))
    with_it, without = (
        [float(mean([rows[seed][arm][quantity] for arm in arms])) for seed in sorted(rows)] for arms in both
    )
    return with_it, without


def _geometric_mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


def main_effect(
    rows: Rows,
    setting: str,
    factor: str,
    quantity: str,
    *,
    level: float = 0.99,
    factors: Sequence[str] = FACTORS,
) -> Effect:
    """Mean with a factor minus mean without it, with a t interval over the paired seeds."""
    with_it, without = level_means(rows, setting, factor, quantity, factors)
    return _effect(np.array(with_it) - np.array(without), level)


def interaction(
    rows: Rows, setting: str, first: str, second: str, quantity: str, *, level: float = 0.99
) -> Effect:
    """How much two factors change each other's effect, with a t interval over the paired seeds.

    The mean over the arms with both or with neither of the two, minus that over the arms with one of them: 0
    if their effects add up, below 0 if together they do less than the sum. It is half the difference between
    the first's effect with the second and without it.
    """
    if first == second:
        raise ConfigError(f"An interaction is between two factors; {first!r} was given twice.")
    alike: tuple[list[str], list[str]] = ([], [])
    for subset in factorial():
        alike[(first in subset) != (second in subset)].append(arm_in(setting, arm_name(subset)))
    together, apart = (
        np.array([np.mean([rows[seed][arm][quantity] for arm in arms]) for seed in sorted(rows)])
        for arms in alike
    )
    return _effect(together - apart, level)


def compare(
    rows: Rows, setting: str, first: str, second: str, quantity: str, *, level: float = 0.99
) -> Effect:
    """One arm minus another on the same seeds."""
    values = [
        np.array([rows[seed][arm_in(setting, arm)][quantity] for seed in sorted(rows)])
        for arm in (first, second)
    ]
    return _effect(values[0] - values[1], level)


def _effect(differences: np.ndarray, level: float) -> Effect:
    if len(differences) < 2:
        raise ConfigError("An interval needs at least two seeds; this table has one.")
    measured, low, high = t_interval(differences, level)
    return Effect(float(measured), float(low), float(high), tuple(differences.tolist()))
