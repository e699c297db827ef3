"""Level 3: control charts that accumulate small deviations, for drift too slow for a single window.

Blocks of images are averaged, feature by feature, and expressed in standard deviations of the block means of
the reference, which include the variation between lots. Two charts:

- CUSUM (Page 1954): up = max(0, up + z - k), down = max(0, down - z - k), k half of the shift to be found;
- EWMA (Roberts 1959): e = (1 - w) e + w z, in units of its own standard deviation sqrt(w / (2 - w)).

The limit is not taken from a table. Tables assume normal, independent data and an exactly known mean; with a
mean estimated from a few hundred blocks a chart alarms several times too often. `SequentialTest.fit` finds
the limit that gives the stated run length (in-control images per alarm) on resampled blocks, where each
bootstrap replicate also resamples the reference (in the spirit of Gandy and Kvaloy 2013, "Guaranteed
conditional performance of control charts via bootstrap methods").
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from gantrans.config import check_choice, check_range, from_dict
from gantrans.errors import DataError

FEWEST_BLOCKS = 80


@dataclass(frozen=True)
class ChartConfig:
    """Settings of a chart.

    kind: "cusum" or "ewma". block: images averaged to one point. run_length: in-control images per alarm for
    which the limit is found. slack: CUSUM's k. weight: EWMA's weight of the newest block. consecutive: points
    in a row beyond the limit for an alarm. clip: points are clipped at this number of standard deviations, so
    that a single outlying block cannot raise an alarm.
    """

    kind: str = "cusum"
    block: int = 50
    run_length: float = 200_000.0
    slack: float = 0.5
    weight: float = 0.1
    consecutive: int = 2
    clip: float = 4.0

    def __post_init__(self) -> None:
        check_choice(self, "kind", ("cusum", "ewma"))
        check_range(self, "block", 2, 10_000)
        check_range(self, "run_length", 10.0 * self.block, 1e9)
        check_range(self, "slack", 0.0, 4.0)
        check_range(self, "weight", 0.0, 1.0, open_low=True)
        check_range(self, "consecutive", 1, 100)
        check_range(self, "clip", 1.0)


def cusum_step(sums: Tensor, z: Tensor, slack: float) -> Tensor:
    """The next two-sided CUSUM: (..., 2, F) sums (up, down) and (..., F) deviations -> (..., 2, F)."""
    return (sums + torch.stack([z, -z], dim=-2) - slack).clamp(min=0.0)


def ewma_step(average: Tensor, z: Tensor, weight: float) -> Tensor:
    """The next exponentially weighted moving average, (..., F)."""
    return average + weight * (z - average)


def block_means(features: Tensor, block: int) -> Tensor:
    """(n, F) in the order of time -> (n // block, F) means of complete blocks; a remainder is dropped."""
    count = len(features) // block
    return features[: count * block].reshape(count, block, -1).mean(1)


@dataclass
class ChartState:
    """State of a running chart: sums or averages, and the number of points in a row beyond the limit."""

    values: Tensor
    run: int = 0


@dataclass(frozen=True)
class SequentialTest:
    """A fitted chart: reference mean and deviation of block means (F,), and the limit of the statistic."""

    config: ChartConfig
    mean: Tensor
    std: Tensor
    limit: float

    @classmethod
    def fit(cls, features: Tensor, config: ChartConfig = ChartConfig(), *, seed: int = 0) -> "SequentialTest":
        """Find the limit for the stated run length on features (n, F) of in-control images in time order.

        Raises:
            DataError: fewer than 80 blocks, or a feature whose block means are all equal.
        """
        blocks = block_means(features, config.block)
        if len(blocks) < FEWEST_BLOCKS:
            raise DataError(
                f"A chart's limit is found on at least {FEWEST_BLOCKS} blocks of {config.block} images, "
                f"{FEWEST_BLOCKS * config.block} in all; the reference has {len(features)}."
            )
        if (blocks.std(0) <= 1e-12).any():
            raise DataError("A feature has the same mean in every block of the reference; leave it out.")
        generator = torch.Generator().manual_seed(seed)
        return cls(config, blocks.mean(0), blocks.std(0), _find_limit(blocks, config, generator))

    def start(self) -> ChartState:
        """The initial state of a chart."""
        shape = (2, len(self.mean)) if self.config.kind == "cusum" else (len(self.mean),)
        return ChartState(torch.zeros(shape, dtype=torch.float64))

    def step(self, state: ChartState, block: Tensor) -> tuple[ChartState, bool]:
        """Add one block of features (block, F); returns the new state and whether there is an alarm.

        An alarm resets the chart.
        """
        values = self.advance(state, block)
        run = state.run + 1 if self.statistic(values) > self.limit else 0
        return (self.start(), True) if run >= self.config.consecutive else (ChartState(values, run), False)

    def advance(self, state: ChartState, block: Tensor) -> Tensor:
        """The values of the chart after one more block (block, F), without a reset."""
        return _advance(state.values, self.deviations(block.mean(0)), self.config)

    def beyond(self, values: Tensor) -> Tensor:
        """Which features (F,) are beyond the limit."""
        return _by_feature(values, self.config) > self.limit

    def deviations(self, mean: Tensor) -> Tensor:
        """Means of a block (F,) in standard deviations of the reference's block means, clipped."""
        return ((mean - self.mean) / self.std).clamp(-self.config.clip, self.config.clip)

    def statistic(self, values: Tensor) -> float:
        """The number that is compared with the limit."""
        return float(_statistic(values, self.config))

    def state(self) -> dict[str, Any]:
        """Everything, as tensors and plain Python."""
        return {"config": asdict(self.config), "mean": self.mean, "std": self.std, "limit": self.limit}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "SequentialTest":
        """Rebuild the test from the result of `state`."""
        return cls(**{**state, "config": from_dict(ChartConfig, state["config"])})


def _advance(values: Tensor, z: Tensor, config: ChartConfig) -> Tensor:
    if config.kind == "cusum":
        return cusum_step(values, z, config.slack)
    return ewma_step(values, z, config.weight)


def _statistic(values: Tensor, config: ChartConfig) -> Tensor:
    """The largest of a chart's values: (..., 2, F) or (..., F) -> (...)."""
    return _by_feature(values, config).amax(-1)


def _by_feature(values: Tensor, config: ChartConfig) -> Tensor:
    """The larger of CUSUM's two sums, or |EWMA| in its own standard deviations: (..., F)."""
    if config.kind == "cusum":
        return values.amax(-2)
    return values.abs() / math.sqrt(config.weight / (2 - config.weight))


def _find_limit(blocks: Tensor, config: ChartConfig, generator: torch.Generator) -> float:
    """Bisection over the limit; every trial uses the same 256 replicates, so alarms are monotone in it."""
    count, replicates, wanted = len(blocks), 256, config.run_length / config.block
    points = max(400, math.ceil(100 * wanted / replicates))  # at least a hundred alarms in all
    most = int(points * replicates / wanted)
    known = torch.randint(count, (replicates, count), generator=generator)
    centre, scale = blocks[known].mean(1), blocks[known].std(1).clamp(min=1e-12)  # (replicates, F)
    order = torch.randint(count, (points, replicates), generator=generator)

    def deviations(point: int) -> Tensor:
        return ((blocks[order[point]] - centre) / scale).clamp_(-config.clip, config.clip)

    low, high = 0.0, 4.0
    while _alarms_exceed(most, deviations, points, config, high):
        low, high = high, 2 * high
    for _ in range(8):
        middle = (low + high) / 2
        too_many = _alarms_exceed(most, deviations, points, config, middle)
        low, high = (middle, high) if too_many else (low, middle)
    return high


def _alarms_exceed(
    most: int, deviations: Callable[[int], Tensor], points: int, config: ChartConfig, limit: float
) -> bool:
    """Whether parallel charts, each reset after its own alarm, raise more than `most` alarms together."""
    first = deviations(0)
    shape = (len(first), 2, first.shape[1]) if config.kind == "cusum" else first.shape
    values, run, total = first.new_zeros(shape), torch.zeros(len(first), dtype=torch.int64), 0
    for point in range(points):
        values = _advance(values, deviations(point), config)
        run = torch.where(_statistic(values, config) > limit, run + 1, 0)
        alarms = run >= config.consecutive
        if bool(alarms.any()):
            total += int(alarms.sum())
            if total > most:
                return True
            values[alarms], run[alarms] = 0.0, 0
    return False
