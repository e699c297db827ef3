"""Contours by marching squares, and edge placement error: the distance of predicted edges from true ones.

Both work on whole batches: array operations replace scikit-image's loops over images, and the nearest segment
is looked up in the grid cells of marching squares.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantrans.metrics.inputs import check_image, check_length, check_pair

LEVEL = 0.5
SPACING_PX = 0.25
"""Contours are sampled at least this finely, their vertices included."""
_RINGS = 3  # rings of grid cells that are searched before a k-d tree takes over
_CHUNK_PIXELS = 2**17  # pixels per pass, which bounds the working memory
_HALF_DIAGONAL = 0.5**0.5  # no segment reaches further from its own midpoint

# Marching squares. A cell's case is the sum of 1, 2, 4, 8 for its upper left, upper right, lower left and
# lower right pixel if that lies above the level. Sides: 0 top, 1 bottom, 2 left, 3 right. Cases 6 and 9 (two
# pixels in diagonal) have two segments, chosen so that the two high pixels are *not* connected: features are
# 4-connected and the background is 8-connected, as in `topology` and in scikit-image's default.
_START = np.array([[0, 0, 3, 3, 2, 0, 3, 3, 1, 0, 1, 1, 2, 0, 2, 0], [0] * 6 + [2, 0, 0, 1] + [0] * 6])
_END = np.array([[0, 2, 0, 2, 1, 1, 0, 1, 3, 2, 0, 2, 3, 3, 0, 0], [0] * 6 + [1, 0, 0, 3] + [0] * 6])
_FIRST = np.array([[0, 0], [1, 0], [0, 0], [0, 1]])  # (row, column) of a side's first pixel ...
_STEP = np.array([[0, 1], [0, 1], [1, 0], [1, 0]])  # ... and the way from there to its second

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Contours:
    """All contour segments of a batch, sorted by image.

    Positions are (row, column) in px; integers are pixel centres.
    """

    shape: tuple[int, int, int]
    """(B, H, W)."""
    image: Ints
    """(N,) which image of the batch."""
    cell: Ints
    """(N, 2) row and column of the cell's upper left pixel."""
    start: Floats
    end: Floats
    """(N, 2) ends of each segment; following start to end keeps the feature on the left."""
    closing: NDArray[np.bool_]
    """(N,) the contour leaves the image at `end`: no other segment starts there."""

    def points(self, spacing: float = SPACING_PX) -> tuple[Floats, Ints]:
        """Points (P, 2) at most `spacing` px apart along every contour, and the segment (P,) each comes from.

        A segment of length L gives ceil(L / spacing) points. Its start is among them and its end is not (the
        next segment starts there), unless the contour leaves the image at that end.
        """
        vector = self.end - self.start
        parts = np.ceil(np.hypot(vector[:, 0], vector[:, 1]) / spacing - 1e-9).astype(np.intp)
        count = parts + self.closing
        segment = np.repeat(np.arange(len(count)), count)
        step = np.arange(len(segment)) - np.repeat(np.cumsum(count) - count, count)
        points = vector.take(segment, axis=0)
        points *= (step / parts.take(segment))[:, None]
        points += self.start.take(segment, axis=0)
        return points, segment


def find_contours(image: Tensor, level: float = LEVEL) -> Contours:
    """Marching squares (Lorensen and Cline 1987, in two dimensions) on a batch (B, 1, H, W).

    The segments are those of `skimage.measure.find_contours(image, level)`: linear interpolation in float64,
    features separated where they touch at a corner only, no contour along the border of the image.

    Raises:
        DataError: for another shape, NaN or infinity.
    """
    check_image(image)
    values = image.detach().squeeze(1).cpu().numpy()
    batch, height, width = values.shape
    high = (values > level).view(np.uint8)
    case = high[:, :-1, :-1] + 2 * high[:, :-1, 1:] + 4 * high[:, 1:, :-1] + 8 * high[:, 1:, 1:]
    index = np.flatnonzero((case + 1) & 15 > 1)  # neither case 0 nor case 15
    kind = case.reshape(-1)[index]
    twice = (kind == 6) | (kind == 9)
    index, kind = (np.repeat(a, 1 + twice) for a in (index, kind))
    second = np.zeros(len(index), np.intp)
    second[1:] = index[1:] == index[:-1]

    number, row, column = np.unravel_index(index, case.shape)
    cell = np.stack((row, column), axis=1)
    origin = (number * height + row) * width + column
    sides = _START[second, kind], _END[second, kind]
    start, end = (_vertex(values.reshape(-1), origin, cell, side, width, level) for side in sides)
    closing = ((end == 0) | (end == (height - 1, width - 1))).any(axis=1)
    keep = (start != end).any(axis=1)  # a pixel exactly at the level makes segments without length
    arrays = (a[keep] for a in (number, cell, start, end, closing))
    return Contours((batch, height, width), *arrays)


def _vertex(values: NDArray, origin: Ints, cell: Ints, side: Ints, width: int, level: float) -> Floats:
    """Positions at which the contour crosses the given side of each cell: (N, 2)."""
    first, step = _FIRST[side], _STEP[side]
    begin = origin + first[:, 0] * width + first[:, 1]
    a = values[begin].astype(np.float64)
    b = values[begin + step[:, 0] * width + step[:, 1]].astype(np.float64)
    return cell + first + step * ((level - a) / (b - a))[:, None]


@dataclass(frozen=True)
class EPE:
    """Edge placement errors per image, float64 (B,), in nm; NaN where an edge set is empty."""

    mean: Tensor
    p95: Tensor
    hausdorff: Tensor
    undefined: Tensor
    """(B,) bool: prediction or target has no contour. Report these separately; they are not an error of 0."""


def epe(pred: Tensor, target: Tensor, pixel_nm: float) -> EPE:
    """Symmetric, unsigned edge placement error of (B, 1, H, W) images in [0, 1], in nm.

    The 0.5-contours of both images are sampled every 0.25 px or closer. Each point's distance to the nearest
    *segment* of the other image's contours is exact. `mean` is the mean of the two directed means
    (prediction to target, target to prediction: a missing feature shows only in the second, an extra one only
    in the first); `p95` is the 95th percentile, linearly interpolated, and `hausdorff` the maximum of the two
    pooled sets of distances. The border of the image is not an edge.

    "EPE" has other meanings elsewhere. In optical proximity correction it is the *signed* distance along the
    normal at fixed control points of the target (`signed_epe`); in contour metrology the signed distance at
    gauge sites, often given as mean plus 3 sigma; in multi-patterning a budget that adds overlay and CD
    errors; in optical flow "end-point error"; and some scripts take it from the distance transform of a mask,
    which is quantised to pixels. Such numbers cannot be compared with each other.

    Raises:
        DataError: for unequal shapes, NaN, values outside [0, 1] or a pixel size that is not above 0.
    """
    check_pair(pred, target)
    check_length(pixel_nm, "pixel_nm")
    chunk = max(1, _CHUNK_PIXELS // pred[0].numel())
    pairs = zip(pred.split(chunk), target.split(chunk), strict=True)
    table = torch.from_numpy(np.concatenate([_epe_chunk(p, t) for p, t in pairs])) * pixel_nm
    return EPE(table[:, 0], table[:, 1], table[:, 2], table[:, 0].isnan())


def _epe_chunk(pred: Tensor, target: Tensor) -> Floats:
    """Mean, 95th percentile and Hausdorff distance in px: (b, 3)."""
    contours = find_contours(pred), find_contours(target)
    forth, back = _directed(*contours), _directed(*contours[::-1])
    table = np.full((len(pred), 3), np.nan)
    for row, p, t in zip(table, forth, back, strict=True):
        if len(p) and len(t):
            pooled = np.concatenate((p, t))
            row[:] = (p.mean() + t.mean()) / 2, _percentile(pooled, 0.95), pooled.max()
    return table


def _directed(source: Contours, other: Contours) -> list[Floats]:
    """Per image, the distances from the source's points to the other contours; none where those are empty."""
    points, segment = source.points()
    image = source.image.take(segment)
    empty = np.bincount(other.image, minlength=source.shape[0]) == 0
    if empty.any():
        shared = ~empty[image]
        points, segment, image = points[shared], segment[shared], image[shared]
    distance = _nearest(points, source.cell.take(segment, axis=0), image, other)
    return np.split(distance, np.searchsorted(image, np.arange(1, source.shape[0])))


def _percentile(values: Floats, fraction: float) -> float:
    """`np.quantile` (linear) without its overhead of a tenth of a millisecond a call."""
    position = fraction * (len(values) - 1)
    below = int(position)
    above = min(below + 1, len(values) - 1)
    part = np.partition(values, (below, above))
    return float(part[below] + (position - below) * (part[above] - part[below]))


def _nearest(points: Floats, cell: Ints, image: Ints, contours: Contours) -> Floats:
    """Exact distance in px from each point (P, 2) to the nearest contour segment of the same image.

    `cell` (P, 2) is the grid cell each point lies in; `image` (P,) has at least one segment. The segments of
    the cells up to r rings away are searched, except for cells that are further away than the best segment so
    far. All other segments are further away than r plus the distance to the border of the point's own cell,
    so a nearest distance of at most that is final. The few points that are not final after the last ring are
    searched with a k-d tree.
    """
    batch, height, width = contours.shape
    rows, columns = height - 1 + 2 * _RINGS, width - 1 + 2 * _RINGS

    def place(number: Ints, cells: Ints) -> Ints:
        return (number * rows + cells[:, 0] + _RINGS) * columns + cells[:, 1] + _RINGS

    slots = np.full((2, batch * rows * columns), -1, np.int32)  # the segments of each cell, at most two
    taken = place(contours.image, contours.cell)
    again = np.zeros(len(taken), np.intp)
    again[1:] = taken[1:] == taken[:-1]
    slots[again, taken] = np.arange(len(taken), dtype=np.int32)

    segments = _Segments(contours)
    best = np.full(len(points), np.inf)  # squared
    pending, here = np.arange(len(points)), place(image, cell)
    row, column = points.T.copy()
    into_row, into_column = (points - cell).T.copy()  # position of each point in its cell, 0 to 1
    for ring in range(_RINGS + 1):
        nearest = best[pending]
        away_row, away_column = _ways(into_row, ring), _ways(into_column, ring)
        reach = sorted(range(-ring, ring + 1), key=abs)  # nearer cells first, because they exclude others
        for i, j in ((i, j) for i in reach for j in reach if max(abs(i), abs(j)) == ring):
            near = away_row[i] + away_column[j] < nearest
            for slot in slots[: 1 + again.any()]:
                candidate = slot.take(here + (i * columns + j))
                found = np.flatnonzero((candidate >= 0) & near)
                squared = segments.squared(row.take(found), column.take(found), candidate.take(found))
                nearest[found] = np.minimum(nearest.take(found), squared)
        best[pending] = nearest
        border = np.minimum(0.5 - np.abs(into_row - 0.5), 0.5 - np.abs(into_column - 0.5))
        still = np.flatnonzero(nearest > (ring + border) ** 2)
        pending, here = pending.take(still), here.take(still)
        row, column, into_row, into_column = (a.take(still) for a in (row, column, into_row, into_column))
    if len(pending):
        best[pending] = _far(row, column, image[pending], contours, segments)
    return np.sqrt(best)


def _ways(into: Floats, ring: int) -> dict[int, Floats]:
    """Squared distances along one axis from points in their cells to the cells -ring ... ring away."""
    ways = {0: np.zeros(len(into))}
    for i in range(1, ring + 1):
        ways[i], ways[-i] = (i - into) ** 2, (i - 1 + into) ** 2
    return ways


class _Segments:
    """Point to segment distances; quantities that depend on the segment alone are computed once."""

    def __init__(self, contours: Contours) -> None:
        vector = contours.end - contours.start
        self.row, self.column = contours.start.T.copy()
        self.along_row, self.along_column = vector.T.copy()
        self.inverse = 1 / (vector**2).sum(axis=1)

    def squared(self, row: Floats, column: Floats, segment: Ints) -> Floats:
        """Squared distances of points to the segments with that index, shapes broadcast."""
        row, column = row - self.row.take(segment), column - self.column.take(segment)
        u, v = self.along_row.take(segment), self.along_column.take(segment)
        foot = (row * u + column * v) * self.inverse.take(segment)
        np.minimum(np.maximum(foot, 0, out=foot), 1, out=foot)
        row -= foot * u
        column -= foot * v
        return row * row + column * column


def _far(row: Floats, column: Floats, image: Ints, contours: Contours, segments: _Segments) -> Floats:
    """Squared nearest distances by a k-d tree over the segments' midpoints, the image as third coordinate.

    The nearest segment is among the k nearest midpoints if the k-th is more than half a diagonal further away
    than the best segment so far; else k is doubled.
    """
    from scipy.spatial import cKDTree

    apart = 4.0 * sum(contours.shape[1:])  # so far that no neighbour comes from another image
    used = np.flatnonzero(np.isin(contours.image, image))
    middle = (contours.start[used] + contours.end[used]) / 2
    tree = cKDTree(np.column_stack((middle, contours.image[used] * apart)))
    query = np.column_stack((row, column, image * apart))
    best = np.full(len(query), np.inf)
    pending, k = np.arange(len(query)), min(8, len(used))
    while len(pending):
        distance, index = tree.query(query[pending], np.arange(1, k + 1))  # (P, k), also if k is 1
        squared = segments.squared(row[pending, None], column[pending, None], used[index])
        best[pending] = np.where(distance < apart / 2, squared, np.inf).min(axis=1)
        final = (distance[:, -1] > np.sqrt(best[pending]) + _HALF_DIAGONAL) | (k == len(used))
        pending, k = pending[~final], min(2 * k, len(used))
    return best
