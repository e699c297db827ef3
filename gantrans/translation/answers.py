"""Several answers for one input: their seeds, and the interval that they span."""

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


def _at(ordered: Tensor, rank: float) -> Tensor:
    first = math.floor(rank)
    return torch.lerp(ordered[first], ordered[min(first + 1, len(ordered) - 1)], rank - first)
