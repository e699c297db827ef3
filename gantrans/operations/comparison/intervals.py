"""Intervals of means and of paired differences, by the image that a tile was cut from.

The bounds are those of the promotion gate: cluster bootstrap, or the cluster-robust t bound for few clusters.
With several trainings per method the wider of two intervals counts: over test images (of the mean over
trainings) and over trainings (Student's t of their means). Two or three trainings are too few to resample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from gantrans.operations.promotion.gate import lower_bound

Array = NDArray[np.float64]
FEWEST = 10
"""Independent test images (files, not tiles) without which nothing is decided."""
ALPHA = 0.05


@dataclass(frozen=True)
class Interval:
    """A mean and its two-sided interval; `low` and `high` are NaN for fewer than two clusters."""

    mean: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there are bounds."""
        return bool(np.isfinite([self.low, self.high]).all())

    @property
    def side(self) -> int:
        """1 if all of it is above zero, -1 if below, 0 if it holds zero or is not known."""
        return int(self.known) * (int(self.low > 0) - int(self.high < 0))

    def to_dict(self) -> dict[str, float | None]:
        """Plain Python for JSON; what is not finite is None."""
        values = {"mean": self.mean, "low": self.low, "high": self.high}
        return {name: float(v) if np.isfinite(v) else None for name, v in values.items()}


def interval(values: Any, clusters: Sequence[str], alpha: float = ALPHA) -> Interval:
    """Two-sided interval of a mean over images at error `alpha` in all.

    Args:
        values: (trainings, images), or (images,) of one training; images where one is NaN are left out.
        clusters: for each image, the file that it was cut from.
    """
    table = np.atleast_2d(np.asarray(values, np.float64))
    known = np.asarray(np.isfinite(table).all(axis=0))
    table, names = table[:, known], [name for name, use in zip(clusters, known, strict=True) if use]
    if not names:
        return Interval(float("nan"), float("nan"), float("nan"))
    mean = float(table.mean())
    low, high = _over_images(table.mean(0), names, alpha)
    if len(table) > 1:
        runs = table.mean(1)
        half = float(stdtrit(len(runs) - 1, 1 - alpha / 2) * runs.std(ddof=1) / np.sqrt(len(runs)))
        low, high = min(low, mean - half), max(high, mean + half)
    return Interval(mean, low, high)


def _over_images(values: Array, clusters: Sequence[str], alpha: float) -> tuple[float, float]:
    resamples = max(4000, int(40 / alpha))
    bounds = [
        lower_bound(sign * values, clusters, alpha=alpha / 2, fewest_clusters=2, resamples=resamples)
        for sign in (1.0, -1.0)
    ]
    low, high = (float("nan") if bound is None else bound for bound in bounds)
    return low, -high
