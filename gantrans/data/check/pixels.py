"""What is computed of the pixels of one image: small copies, edges, equal neighbours, colour, a sketch.

Everything is vectorised NumPy on one image, so that a pool of threads can work on many.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Words = NDArray[np.uint64]

SMALL = 32
"""Side of the small copies in pixels: enough to compare pictures, and a kilobyte each."""
WINDOW = 16
SKETCH = 64
"""A sketch keeps the smallest `SKETCH` hashes of textured windows of `WINDOW` x `WINDOW` pixels."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
COLOURED = 24
"""A pixel is coloured if its channels differ by more, of 255; JPEG changes those of grey images by less."""
_CANDIDATES = 4 * SKETCH
_MULTIPLIERS = tuple(
    np.uint64(m) for m in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)
)


@dataclass(frozen=True)
class Colour:
    """How coloured an image is.

    share: of coloured pixels, see `COLOURED`. lost: part of the variance of its pixels that luma leaves out.
    """

    share: float = 0.0
    lost: float = 0.0


def small(image: NDArray[np.generic], side: int = SMALL) -> Floats:
    """(H, W) -> (side, side) float32: means over equal parts; pixels are repeated in a smaller image."""
    height, width = image.shape
    if min(height, width) < side:
        rows, columns = (np.arange(side) * n // side for n in (height, width))
        return image[np.ix_(rows, columns)].astype(np.float32)
    rows, columns = (np.arange(side) * n // side for n in (height, width))
    sums = np.add.reduceat(image, columns, axis=1, dtype=np.float32)
    sums = np.add.reduceat(sums, rows, axis=0)
    counts = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    return (sums / counts).astype(np.float32)


def stretched(image: Floats) -> Bytes:
    """Values spread over 0..255: correlations are kept, and a dark image keeps its detail. Constant: 0."""
    low, high = float(image.min()), float(image.max())
    if high <= low:
        return np.zeros(image.shape, np.uint8)
    return np.rint((image - low) * (255.0 / (high - low))).astype(np.uint8)


def edges(image: NDArray[np.generic]) -> Floats:
    """Magnitude of the gradient, |down| + |across|, of the image smoothed over 3 x 3 pixels; same shape."""
    padded = np.pad(image.astype(np.float32), 2, mode="edge")
    smooth = padded[:-2] + padded[1:-1] + padded[2:]
    smooth = smooth[:, :-2] + smooth[:, 1:-1] + smooth[:, 2:]
    down = np.abs(smooth[2:, 1:-1] - smooth[:-2, 1:-1])
    down += np.abs(smooth[1:-1, 2:] - smooth[1:-1, :-2])
    return down


def central(image: Floats, most: int) -> Floats:
    """The middle `most` x `most` pixels, or fewer where a side is shorter."""
    height, width = image.shape
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    return image[top : top + most, left : left + most]


def halved(image: Floats) -> Floats:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = (n // 2 * 2 for n in image.shape)
    whole = image[:height, :width]
    total = whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2]
    return (total / 4).astype(np.float32)


def inner_levels(image: Bytes) -> NDArray[np.uint32]:
    """(256,) numbers of the pixels whose four neighbours have the same value, by value.

    Areas of a mask or of classes have such pixels; the grey rim of a drawn shape and the grain of a
    photograph have none.
    """
    centre = image[1:-1, 1:-1]
    same = (centre == image[:-2, 1:-1]) & (centre == image[2:, 1:-1])
    same &= (centre == image[1:-1, :-2]) & (centre == image[1:-1, 2:])
    return np.bincount(centre[same], minlength=256).astype(np.uint32)


def colour_of(image: Bytes) -> Colour:
    """How coloured (H, W, 3) is, on at most about 96 x 96 of its pixels."""
    height, width = image.shape[:2]
    some = image[:: max(1, height // 96), :: max(1, width // 96)].reshape(-1, 3).astype(np.float32)
    luma = some @ LUMA
    chroma = (some - luma[:, None]).var(axis=0).mean()
    total = float(chroma + luma.var())
    share = float((np.ptp(some, axis=1) > COLOURED).mean())
    return Colour(share, float(chroma) / total if total > 0 else 0.0)


def sketch(image: Bytes) -> Words:
    """Up to `SKETCH` hashes of textured windows, at any place: overlapping crops of a picture share some.

    The smallest hashes are kept, as in min-hashing (Broder, 1997), so that two crops keep the same windows of
    the part that both show. Windows in which most neighbours are equal, as in a drawing, count as no texture:
    different pictures share them.
    """
    if min(image.shape) < 2 * WINDOW:
        return np.zeros(0, np.uint64)
    hashes = image.astype(np.uint64)
    for axis in (1, 0):
        for power, factor in enumerate(_MULTIPLIERS):
            step = 2**power
            near, far = (hashes[:, :-step], hashes[:, step:]) if axis else (hashes[:-step], hashes[step:])
            hashes = near * factor + far
    flat = hashes.ravel()
    flat = (flat ^ (flat >> np.uint64(29))) * _MULTIPLIERS[1]
    limit = np.uint64(min(2**64 - 1, 2**64 * 2 * _CANDIDATES // flat.size))
    places = np.flatnonzero(flat < limit)
    places = places[np.argsort(flat[places], kind="stable")][:_CANDIDATES]
    textured = _textured(image, places, hashes.shape[1])
    return np.unique(flat[places[textured]])[:SKETCH]


def _textured(image: Bytes, places: NDArray[np.intp], columns: int) -> NDArray[np.bool_]:
    """Whether more than half of the neighbours in the window at each place (row-major) differ."""
    rows, lefts = places // columns, places % columns
    reach = np.arange(WINDOW)
    windows = image[rows[:, None, None] + reach[:, None], lefts[:, None, None] + reach]
    return (windows[:, :, 1:] != windows[:, :, :-1]).mean(axis=(1, 2)) > 0.5


def standard(images: NDArray[np.generic]) -> Floats:
    """(N, ...) -> (N, pixels) float32 with mean 0 and norm 1 in each row: products are correlations.

    A constant image becomes zeros.
    """
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return (flat / np.where(norm > 1e-6, norm, np.inf)).astype(np.float32)


def symmetry(images: NDArray[np.generic], element: int) -> NDArray[np.generic]:
    """Element 0..7 of the square's symmetries on (..., H, W): quarter turns, from 4 on followed by a flip.

    As `gantrans.data.pairs.dihedral`.
    """
    turned = np.rot90(images, element % 4, axes=(-2, -1))
    return turned[..., ::-1] if element >= 4 else turned


SYMMETRIES = (
    "as it is", "turned left by 90 degrees", "turned by 180 degrees", "turned right by 90 degrees",
    "mirrored left to right", "transposed along the other diagonal", "mirrored top to bottom", "transposed",
)  # fmt: skip
"""What `symmetry` does, by element."""
