"""How far inputs lie from their targets: normalised cross-correlation of edges and values, pair by pair.

Which of the three correlations shows it depends on the images: SEM images are bright at the edges of their
layout, photographs and masks have their edges in the same places, and noisy and clean images agree in their
values. The one that is clearest in the mean over all pairs decides.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from gantrans.data.check.pixels import Floats, central, halved

REACH = 12
"""Largest displacement that is looked for, in pixels of the copies that are compared."""
FIELD = 256
"""Side of the middle part in which it is looked for."""
CHANNELS = ((0, 0), (1, 0), (1, 1))
"""Pairs of what is correlated of input and target: 0 edges, 1 values."""
SCORE, LEAD = 0.3, 0.1
"""A pair alone shows its displacement if its correlation there is so high, and so much higher than anywhere
further than `_APART` away: on periodic patterns several places are equal. As in `gantrans.data.alignment`."""
_APART = 3
FEW = 4
_SCALE = 127.0

Maps = NDArray[np.int8]


@dataclass(frozen=True)
class Displacement:
    """Where the inputs lie, against their targets.

    offset: (down, right) in pixels, the median of the pairs that are certain; (0, 0) if there are too few.
    near: (N,) the pair is certain and has about this offset. step: pixels per place. own: (N, 2) offset of
        each pair; NaN if there is nothing to correlate. certain: (N,) the pair alone shows its own.
    """

    offset: tuple[int, int]
    near: NDArray[np.bool_]
    step: int
    own: NDArray[np.float64]
    certain: NDArray[np.bool_]


def correlations(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> tuple[Maps | None, int]:
    """Correlations of (edges, values) of an input with those of its target, by displacement of the input.

    Returns:
        (3, rows, columns) int8, 127 times the correlation for each of `CHANNELS`, the middle for no
        displacement; None if the images are too small. Pixels of the image per row or column.
    """
    step = 2 if min(first[0].shape) >= 128 else 1
    parts = [central(image, FIELD) for image in (*first, *second)]
    parts = [halved(part) for part in parts] if step == 2 else [part.astype(np.float32) for part in parts]
    reach = min(REACH, min(parts[0].shape) // 4)
    if reach < 2:
        return None, step
    return np.rint(_ncc(np.stack(parts[:2]), np.stack(parts[2:]), reach) * _SCALE).astype(np.int8), step


def _ncc(fields: Floats, others: Floats, reach: int) -> Floats:
    """As `gantrans.data.alignment.ncc` with the middle of `others` as templates; transforms are shared."""
    fields = fields - fields.mean(axis=(1, 2), keepdims=True)
    templates = others[:, reach:-reach, reach:-reach]
    templates = templates - templates.mean(axis=(1, 2), keepdims=True)
    (height, width), shape = templates.shape[1:], fields.shape[1:]
    spectra, moved = fft.rfft2(fields), fft.rfft2(templates, s=shape).conj()
    products = np.stack([spectra[one] * moved[other] for one, other in CHANNELS])
    inside = (..., slice(2 * reach + 1), slice(2 * reach + 1))
    product = fft.irfft2(products, s=shape)[inside]
    mean = _window_sums(fields, height, width) / (height * width)
    energy = _window_sums(fields**2, height, width) - mean**2 * (height * width)
    weights = (templates.astype(np.float64) ** 2).sum(axis=(1, 2))
    found = np.zeros(product.shape, np.float32)
    for place, (one, other) in enumerate(CHANNELS):
        norm = np.sqrt(np.maximum(energy[one] * weights[other], 0.0))
        sound = norm > 1e-3 * height * width
        found[place][sound] = (product[place][sound] / norm[sound]).clip(-1, 1)
    return found


def _window_sums(images: Floats, height: int, width: int) -> NDArray[np.float64]:
    """Sum over every (height, width) window of (B, H, W)."""
    total = np.pad(images.cumsum(1, dtype=np.float64).cumsum(2), ((0, 0), (1, 0), (1, 0)))
    strips = total[:, height:] - total[:, :-height]
    return np.asarray(strips[:, :, width:] - strips[:, :, :-width])


def displacement(maps: Sequence[tuple[Maps | None, int]]) -> Displacement | None:
    """The common displacement of pairs, and that of each; None if there is nothing to correlate.

    Args:
        maps: of each pair, as `correlations` returns them.
    """
    kinds = Counter((step, found.shape) for found, step in maps if found is not None)
    if not kinds:
        return None
    (step, shape), _ = kinds.most_common(1)[0]
    total, count = np.zeros(shape), 0
    for found, own_step in maps:
        if found is not None and (own_step, found.shape) == (step, shape):
            total += found
            count += 1
    mean = total / (count * _SCALE)
    flat = np.abs(mean - np.median(mean, axis=(1, 2), keepdims=True)).reshape(len(mean), -1)
    clear = flat.max(axis=1) / (1.4826 * np.median(flat, axis=1) + 1e-3)
    channel = int(clear.argmax())
    sign = -1.0 if abs(mean[channel].min()) > mean[channel].max() else 1.0
    own, certain = _of_each(maps, channel, sign)
    if certain.sum() < FEW:
        return Displacement((0, 0), np.zeros(len(maps), np.bool_), step, own, certain)
    middle = np.median(own[certain], axis=0)
    near = certain & (np.hypot(*(own - middle).T) <= 2 * step)
    return Displacement((int(middle[0]), int(middle[1])), near, step, own, certain)


def _of_each(
    maps: Sequence[tuple[Maps | None, int]], channel: int, sign: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    own, certain = np.full((len(maps), 2), np.nan), np.zeros(len(maps), np.bool_)
    for index, (found, step) in enumerate(maps):
        if found is None or not found[channel].any():
            continue
        scores = sign * found[channel].astype(np.float32) / _SCALE
        peak = np.array(np.unravel_index(scores.argmax(), scores.shape))
        own[index] = (peak - np.array(scores.shape) // 2) * step
        rows, columns = np.ogrid[: scores.shape[0], : scores.shape[1]]
        far = (np.abs(rows - peak[0]) > _APART) | (np.abs(columns - peak[1]) > _APART)
        certain[index] = scores.max() > SCORE and scores.max() - scores[far].max() > LEAD
    return own, certain
