"""Corner rounding: the radius of the arc that replaces the sharp corner of a drawn feature.

A quarter circle of radius r that is tangent to both edges leaves the corner, where the edges would meet, by
r (sqrt(2) - 1) along the diagonal. So r is that pull-back divided by sqrt(2) - 1. The corner is where the
*prediction's own* edges would meet, so that neither a CD bias nor a shift counts as rounding.
Definition by construction (C. Mack, "Fundamental Principles of Optical Lithography", 2007, ch. 8,
treats corner rounding as one of the errors of a two-dimensional pattern).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantrans.metrics.contours import LEVEL, Floats, Ints
from gantrans.metrics.cutlines import mean_per_image
from gantrans.metrics.inputs import check_length, check_pair

LEG_PX = 3
"""Distance from the corner, in px, at which the edges are measured. Both must be straight for twice as far,
so that the rounding of the next corner does not affect the measurement."""
_OUT = 3  # pixels of the patch outside the corner
_STEP = 0.02  # px along the diagonal


@dataclass(frozen=True)
class CornerRadius:
    """One radius per drawn corner (n,), and their means per image (B,)."""

    image: Tensor
    """int64 (n,) which image of the batch."""
    convex: Tensor
    """bool (n,): an outer corner of a feature; else an inner one, of the space."""
    radius: Tensor
    """float64 (n,) nm; NaN where the prediction has no such corner. Negative for a corner that bulges out."""
    mean: Tensor
    """float64 (B,) mean of the radii that are not NaN; NaN if there are none."""
    lost: Tensor
    """int64 (B,) corners without a radius, counted separately."""


def corner_radius(pred: Tensor, target: Tensor, pixel_nm: float, leg_px: int = LEG_PX) -> CornerRadius:
    """Corner radii in nm of a prediction, at the corners of a Manhattan target: (B, 1, H, W), both in [0, 1].

    A corner counts if both of its edges run straight for 2 `leg_px` pixels in the target, inside the image.
    The prediction's edges are measured `leg_px` from the corner (larger radii are underestimated), its
    contour on the diagonal by bilinear interpolation. On an area-coverage raster the error is about 0.4 px; a
    sharp corner of a binary raster gives 0.71 px instead of 0, because its interpolated contour cuts the
    corner.

    Raises:
        DataError: for unequal shapes, NaN, values outside [0, 1] or a pixel size that is not above 0.
    """
    check_pair(pred, target)
    check_length(pixel_nm, "pixel_nm")
    values, drawn = (a.detach().squeeze(1).cpu().double().numpy() for a in (pred, target))
    parts = [_corners(values, drawn, convex, turns, leg_px) for convex in (True, False) for turns in range(4)]
    image, convex, pulled = (np.concatenate(p) for p in zip(*parts, strict=True))
    radius = pulled * math.sqrt(2) / (math.sqrt(2) - 1) * pixel_nm
    known, batch = np.isfinite(radius), len(values)
    return CornerRadius(
        torch.from_numpy(image),
        torch.from_numpy(convex),
        torch.from_numpy(radius),
        mean_per_image(image[known], radius[known], batch),
        torch.from_numpy(np.bincount(image[~known], minlength=batch)),
    )


def _corners(
    values: Floats, drawn: Floats, convex: bool, turns: int, leg: int
) -> tuple[Ints, NDArray[np.bool_], Floats]:
    """Image, kind and pull-back per axis in px of the corners that open to the lower right after `turns`."""
    if not convex:
        values, drawn = 1 - values, 1 - drawn  # an inner corner of a feature is an outer one of the space
    values, inside = np.rot90(values, turns, (1, 2)), np.rot90(drawn > LEVEL, turns, (1, 2))
    side = _OUT + 2 * leg
    if min(values.shape[1:]) < side:
        return np.zeros(0, np.intp), np.zeros(0, bool), np.zeros(0)
    windows = np.lib.stride_tricks.sliding_window_view(inside, (side, side), axis=(1, 2))
    edge = np.s_[_OUT:]
    found = windows[..., edge, _OUT].all(-1) & windows[..., _OUT, edge].all(-1)
    found &= ~windows[..., _OUT - 1, _OUT - 1 :].any(-1) & ~windows[..., _OUT - 1 :, _OUT - 1].any(-1)
    image, row, column = np.nonzero(found)
    patches = np.lib.stride_tricks.sliding_window_view(values, (side, side), axis=(1, 2))[image, row, column]
    return image, np.full(len(image), convex), _pulled(patches, leg)


def _pulled(patches: Floats, leg: int) -> Floats:
    """Pull-back of the contour on the diagonal, px per axis: (n, side, side) -> (n,), NaN without a contour.

    The corner is where the edges measured `leg` px away would meet.
    """
    middle = np.s_[_OUT + leg - 1 : _OUT + leg + 1]
    column, row = _rising(patches[:, middle].mean(1)), _rising(patches[..., middle].mean(2))
    reach = np.arange(-1.0, leg - 1.0, _STEP)
    along = patches.shape[1] - 1
    y, x = (np.clip(e[:, None] + reach, 0, along - 1e-9) for e in (np.nan_to_num(row), np.nan_to_num(column)))
    i, j = y.astype(np.intp), x.astype(np.intp)
    v, u, n = y - i, x - j, np.arange(len(patches))[:, None]
    upper = patches[n, i, j] * (1 - u) + patches[n, i, j + 1] * u
    lower = patches[n, i + 1, j] * (1 - u) + patches[n, i + 1, j + 1] * u
    return _rising(upper * (1 - v) + lower * v) * _STEP - 1.0 + 0.0 * (row + column)


def _rising(profile: Floats) -> Floats:
    """First position of a profile (n, length) above the level, interpolated; NaN if there is none."""
    high = profile > LEVEL
    first = high.argmax(axis=1)
    n = np.arange(len(profile))
    a, b = profile[n, np.maximum(first - 1, 0)], profile[n, first]
    known = high.any(axis=1) & (first > 0)
    return np.where(known, first - np.divide(b - LEVEL, b - a, out=np.zeros(len(n)), where=known), np.nan)
