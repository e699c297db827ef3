"""Several answers for one input: their seeds, the interval that they span, and how far it must be widened."""

import math

import torch
from torch import Tensor

from gantrans.data.streams import stream_seeds
from gantrans.errors import ConfigError, DataError


def answer_seeds(seed: int, count: int) -> list[int]:
    """Seeds of the noise of `count` answers: `seed` itself, then others, whatever their number."""
    return [seed, *stream_seeds(seed, "answers", range(1, count))]


def fewest_answers(level: float) -> int:
    """The smallest number of answers of which the extremes span `level`: (n - 1) / (n + 1) >= level."""
    return math.ceil((1.0 + level) / (1.0 - level) - 1e-9)


def ensemble_interval(answers: Tensor, level: float = 0.9) -> tuple[Tensor, Tensor]:
    """The central interval of several answers, elementwise: (N, ...) -> lower and upper bound, each (...).

    Canonical form: `lessons.lesson14.exercises.ensemble_interval.ensemble_interval`; this interpolates
    between ranks, because the number of answers is then free.

    The bounds are the values of rank p (N + 1), p = (1 - level) / 2 and 1 - p, of the sorted answers, linear
    between ranks. A further draw from the same distribution lies inside with probability `level`, whatever
    the distribution (Wilks 1941); plain quantiles of few answers are too narrow.

    Raises:
        ConfigError: a level that is not in (0, 1).
        DataError: too few answers for the level, as fewer than 19 for 0.9.
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level is {level!r}; it must lie between 0 and 1.")
    count, needed = len(answers), fewest_answers(level)
    if count < needed:
        raise DataError(
            f"An interval of {level:.0%} needs at least {needed} answers, and there are {count}; draw more."
        )
    ordered = answers.sort(dim=0).values
    rank = (1.0 - level) / 2.0 * (count + 1) - 1.0  # from 0
    low = min(max(rank, 0.0), count - 1.0)
    return _at(ordered, low), _at(ordered, count - 1.0 - low)


def widening(low: Tensor, high: Tensor, truth: Tensor, level: float = 0.9) -> float:
    """How far both ends of intervals must move outwards, so that they contain the truth at a level.

    With it, the interval of another input holds its truth with a probability of at least `level` and at most
    `level` + 1 / (N + 1), whatever made the intervals, if that input is drawn like these N (Romano, Patterson
    and Candes 2019, "Conformalized quantile regression", theorem 1). Negative where they are too wide.

    Args:
        low, high, truth: (N,), of inputs whose truth is known and which the model has not learnt from.

    Raises:
        ConfigError: a level that is not in (0, 1).
        DataError: too few inputs for the level, as fewer than 9 for 0.9.
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level is {level!r}; it must lie between 0 and 1.")
    rank = math.ceil((len(truth) + 1) * level - 1e-9)
    if rank > len(truth):
        needed = math.ceil(level / (1.0 - level) - 1e-9)
        raise DataError(
            f"A widening to {level:.0%} needs at least {needed} known inputs, and there are {len(truth)}; "
            "give more."
        )
    outside = torch.maximum(low - truth, truth - high)
    return float(outside.sort().values[rank - 1])


def _at(ordered: Tensor, rank: float) -> Tensor:
    first = math.floor(rank)
    return torch.lerp(ordered[first], ordered[min(first + 1, len(ordered) - 1)], rank - first)
