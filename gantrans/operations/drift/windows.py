"""Level 2: windows of images against the reference, feature by feature, with an empirical threshold.

The statistic is the two-sample Kolmogorov-Smirnov distance. Its textbook threshold assumes independent
images. Images of one lot share an offset, so their windows differ by more than chance, and the textbook
threshold alarms too often. Here the threshold is calibrated on the reference in the order of time: it is cut
into chunks of the length of a window, each chunk is compared with the rest, and the largest score of a chunk
is the threshold. If chunks and windows are exchangeable, one in-control window in m + 1 exceeds it, with m
chunks. Two such windows in a row raise an alarm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gantrans.errors import DataError

FEWEST_CHUNKS = 40


def ks_distance(first: Tensor, second: Tensor) -> Tensor:
    """Two-sample Kolmogorov-Smirnov distance of every column: (n, F), (m, F) -> (F,) in [0, 1].

    The largest distance between the two empirical distribution functions; ties are handled exactly, as
    `scipy.stats.ks_2samp` does.
    """
    a, b = (x.T.contiguous().sort(dim=1).values for x in (first, second))
    at = torch.cat([a, b], dim=1)
    return (_share(a, at) - _share(b, at)).abs().amax(1)


def _share(ordered: Tensor, at: Tensor, *, right: bool = True) -> Tensor:
    """Share of each row of `ordered` (F, n) that is <= `at` (F, k), or < `at` with `right=False`."""
    return torch.searchsorted(ordered, at.contiguous(), right=right).double() / ordered.shape[1]


class WindowVerdict(NamedTuple):
    """One window: distances (F,), `score`, the largest in units of a usual chunk's, and score > threshold."""

    distances: Tensor
    score: float
    strange: bool


@dataclass(frozen=True)
class WindowTest:
    """A fitted window test.

    reference: (F, n) float64, each row ascending. usual: (F,) median distance of a chunk to the rest.
    threshold: the highest score of a chunk. chunk_scores: (m,) scores of all chunks.
    """

    reference: Tensor
    window: int
    usual: Tensor
    threshold: float
    chunk_scores: Tensor

    @classmethod
    def fit(cls, features: Tensor, window: int = 200) -> "WindowTest":
        """Calibrate on features (n, F) of in-control images *in the order of time*.

        Raises:
            DataError: fewer than 40 chunks.
        """
        chunks = len(features) // window
        if chunks < FEWEST_CHUNKS:
            raise DataError(
                f"The threshold for windows of {window} images is calibrated on at least {FEWEST_CHUNKS} of "
                f"them, {FEWEST_CHUNKS * window} images; the reference has {len(features)}."
            )
        kept = features[: chunks * window]
        reference = kept.T.contiguous().sort(dim=1).values
        distances = torch.stack([_to_the_rest(chunk, reference) for chunk in kept.split(window)])
        usual = distances.median(0).values
        scores = (distances / usual).amax(1)
        return cls(reference, window, usual, float(scores.max()), scores)

    def judge(self, features: Tensor) -> WindowVerdict:
        """Test one window (window, F).

        Raises:
            DataError: another number of images; a threshold holds for one length of window.
        """
        if len(features) != self.window:
            raise DataError(
                f"The test was calibrated for windows of {self.window} images, not {len(features)}."
            )
        distances = _to_reference(features, self.reference)
        score = float((distances / self.usual).max())
        return WindowVerdict(distances, score, score > self.threshold)

    def state(self) -> dict[str, Any]:
        """Everything, as tensors and plain Python."""
        return dict(self.__dict__)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "WindowTest":
        """Rebuild the test from the result of `state`."""
        return cls(**state)


def _to_reference(window: Tensor, reference: Tensor) -> Tensor:
    """KS distance of (n, F) to a sorted reference (F, N), evaluated at the window's values only.

    Between two of them the window's distribution function is constant and the reference's increases, so the
    largest difference is at one of them or just before it.
    """
    at = window.T.contiguous().sort(dim=1).values
    above = _share(at, at) - _share(reference, at)
    below = _share(reference, at, right=False) - _share(at, at, right=False)
    return torch.maximum(above.abs().amax(1), below.abs().amax(1))


def _to_the_rest(chunk: Tensor, reference: Tensor) -> Tensor:
    """KS distance of a chunk (n, F) to the reference (F, N) without it.

    With shares a of the chunk and r of the whole, that of the rest is (N r - n a) / (N - n); so the distance
    to the rest is N / (N - n) times that to the whole.
    """
    n, total = len(chunk), reference.shape[1]
    return _to_reference(chunk, reference) * (total / (total - n))
