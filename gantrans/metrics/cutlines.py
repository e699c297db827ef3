"""Runs along cut lines, from which the metrology metrics are computed.

A cut line is a row or a column of pixels. A *run* is the stretch of it inside one feature or one space; its
edges lie where the level 0.5 is crossed, to sub-pixel precision by linear interpolation.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantrans.metrics.contours import LEVEL, Floats, Ints
from gantrans.metrics.inputs import check_image

Cut = Literal["rows", "columns"]
Tone = Literal["line", "space"]
CUTS: tuple[Cut, ...] = ("rows", "columns")
STRAIGHT_PX = 0.5
"""An edge that moves less than this from one cut line to the next one is straight."""


@dataclass(frozen=True)
class Runs:
    """All runs along all cut lines of a batch, in reading order. Pixels and positions count along the cut."""

    shape: tuple[int, int, int]
    """(B, number of cut lines, their length in px)."""
    image: Ints
    line: Ints
    first: Ints
    last: Ints
    """(N,) first and last pixel."""
    start: Floats
    end: Floats
    """(N,) edges in px; -0.5 or length - 0.5 where the run is cut off by the border of the image."""

    @property
    def complete(self) -> NDArray[np.bool_]:
        """(N,) both edges lie inside the image."""
        return (self.first > 0) & (self.last < self.shape[2] - 1)

    @property
    def middle(self) -> Ints:
        """(N,) a pixel of the run, half-way along."""
        return (self.first + self.last) // 2

    def at(self, image: Ints, line: Ints, pixel: Ints) -> tuple[Floats, Floats]:
        """Start and end of the run through each given pixel, NaN where there is none; arguments broadcast."""
        _, lines, length = self.shape
        image, line, pixel = np.broadcast_arrays(image, line, pixel)
        keys = (self.image * lines + self.line) * length  # rising: runs are in reading order
        wanted = (image * lines + line) * length + pixel
        index = np.searchsorted(keys + self.first, wanted, side="right") - 1
        found = (index >= 0) & (line >= 0) & (line < lines)
        found &= wanted <= np.append(keys + self.last, -1)[index]
        index = np.where(found, index, -1)
        return np.append(self.start, np.nan)[index], np.append(self.end, np.nan)[index]


def find_runs(image: Tensor, cut: Cut = "rows", tone: Tone = "line") -> Runs:
    """Runs of features ("line", above 0.5) or of the spaces between them ("space") in a batch (B, 1, H, W).

    Cut lines along "rows" measure the widths of vertical lines, along "columns" those of horizontal ones.
    """
    check_image(image)
    values = image.detach().squeeze(1).cpu().numpy().astype(np.float64)
    values = values if cut == "rows" else values.swapaxes(1, 2)
    batch, lines, length = values.shape
    inside = (values > LEVEL) == (tone == "line")
    step = np.diff(inside.astype(np.int8), axis=2, prepend=0, append=0)
    number, line, first = np.nonzero(step == 1)
    last = np.nonzero(step == -1)[2] - 1

    def edge(outer: Ints, inner: Ints) -> Floats:
        known = (outer >= 0) & (outer < length)
        a = values[number, line, np.where(known, outer, inner)]
        b = values[number, line, inner]
        fraction = np.divide(LEVEL - b, a - b, out=np.full(len(a), 0.5), where=known)
        return inner + (outer - inner) * fraction

    start, end = edge(first - 1, first), edge(last + 1, last)
    return Runs((batch, lines, length), number, line, first, last, start, end)


def mean_per_image(image: Ints, values: Floats, batch: int) -> Tensor:
    """float64 (B,) mean of the values that belong to each image, NaN where there are none."""
    count = np.bincount(image, minlength=batch)
    total = np.bincount(image, values, minlength=batch)
    return torch.from_numpy(np.divide(total, count, out=np.full(batch, np.nan), where=count > 0))
