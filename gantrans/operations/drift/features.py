"""Ten features of every monitored image, fast to compute, of grey values and of structure.

The article's rule uses the first three. The others measure noise, focus, orientation and pitch of lines, and
defects between them. All filters are separable and computed as products with small matrices; a 64 px image
takes well under a millisecond on one core (`benchmarks/drift.py`).
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from gantrans.errors import DataError

FEATURES = (
    "mean intensity",
    "contrast",
    "edge density",
    "fine noise",
    "sharpness",
    "anisotropy",
    "cross gradient",
    "dominant pitch",
    "periodicity",
    "stray edge",
)
"""Columns of `image_features`, in this order."""
ARTICLE = FEATURES[:3]
"""The features of the article's rule."""
EDGE = 0.04
"""An edge is where the smoothed image changes by more than this per pixel (1 = full scale)."""

_BLOCK = 64  # images per batch, so that they fit in the cache
_CELL = 8  # side in pixels of the cells for the stray edge
_SMOOTH = (1.0, 4.0, 6.0, 4.0, 1.0)  # binomial, standard deviation of one pixel
_SLOPE = (-1.0, -2.0, 0.0, 2.0, 1.0)  # central difference of the binomial (1, 2, 1)
_SECOND = (1.0, -2.0, 1.0)


def image_features(images: Tensor, pixel_nm: float = 20.0) -> Tensor:
    """Measure every image.

    - mean intensity and contrast: mean and standard deviation of the pixels, in shares of full scale.
    - edge density: share of the pixels where the smoothed gradient is steeper than `EDGE`.
    - fine noise: natural logarithm of the noise's standard deviation by Immerkaer's mask, which flat and
      linear patches leave at zero (Immerkaer 1996, "Fast noise variance estimation").
    - sharpness: logarithm of the power at 0.12 to 0.22 cycles per pixel over that below; noise, measured
      above 0.35, is subtracted.
    - anisotropy: (Jxx - Jyy) / (Jxx + Jyy) of the structure tensor, 1 for vertical and -1 for horizontal
      lines.
    - cross gradient: logarithm of the tensor's smaller eigenvalue: what changes *along* the lines.
    - dominant pitch: period in nm of the strongest spatial frequency; periodicity: its share of the power.
    - stray edge: logarithm of the largest gradient energy, in a cell of 8 x 8 pixels, across the weaker of
      the two axes, over its mean: a single deviation in a regular pattern.

    Args:
        images: (N, 1, H, W) in [0, 1] on the CPU, H and W at least 32.
        pixel_nm: side of a pixel.

    Returns:
        (N, 10) float64, columns as in `FEATURES`.

    Raises:
        DataError: another shape, or values that are not finite or leave [0, 1].
    """
    check_images(images)
    return torch.cat([_measure(block[:, 0].float(), pixel_nm) for block in images.split(_BLOCK)]).double()


def check_images(images: Tensor) -> None:
    """Check that images can be measured.

    Raises:
        DataError: not (N, 1, H, W) with N >= 1 and sides of 32 or more, not finite, or outside [0, 1].
    """
    if images.ndim != 4 or images.shape[1] != 1 or min(images.shape[-2:]) < 32 or not len(images):
        raise DataError(
            "Images to monitor must be (N, 1, H, W) with sides of at least 32 pixels, "
            f"not {tuple(images.shape)}."
        )
    low, high = (float(v) for v in torch.aminmax(images))
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high <= 1):
        raise DataError(
            f"Images to monitor must lie in [0, 1]; these go from {low:g} to {high:g}: convert them first."
        )


def _measure(image: Tensor, pixel_nm: float) -> Tensor:
    mean, spread = image.mean((1, 2)), image.std((1, 2), correction=0)
    along_x, along_y = _separable(image, _SMOOTH, _SLOPE, 128.0), _separable(image, _SLOPE, _SMOOTH, 128.0)
    xx, yy = along_x.square(), along_y.square()
    jxx, jyy, jxy = xx.mean((1, 2)), yy.mean((1, 2)), (along_x * along_y).mean((1, 2))
    total = (jxx + jyy).clamp(min=1e-12)
    smaller = total / 2 - ((jxx - jyy).square() / 4 + jxy.square()).sqrt()
    noise = _separable(image, _SECOND, _SECOND, 6.0).square().mean((1, 2)).sqrt()
    weaker = torch.where((jxx < jyy)[:, None, None], xx, yy)
    cells = torch.nn.functional.avg_pool2d(weaker[:, None], _CELL, _CELL // 2).flatten(1)
    sharpness, pitch, periodicity = _spectrum(image - mean[:, None, None])
    return torch.stack(
        [
            mean,
            spread,
            (xx + yy > EDGE**2).float().mean((1, 2)),
            noise.clamp(min=1e-6).log(),
            sharpness,
            (jxx - jyy) / total,
            smaller.clamp(min=1e-12).log(),
            pitch * pixel_nm,
            periodicity,
            (cells.amax(1).clamp(min=1e-12) / cells.mean(1).clamp(min=1e-12)).log(),
        ],
        dim=1,
    )


def _spectrum(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sharpness, dominant pitch in pixels, periodicity; the mean has been removed."""
    height, width = image.shape[-2:]
    window, frequency, twice = _grid(height, width)
    single = torch.fft.rfft2(image * window).abs().square().flatten(1)
    power = single * twice
    pattern = (frequency >= 1.5 / min(height, width)) & (frequency <= 0.25)  # neither shading nor noise
    low, middle = (frequency <= 0.12) & pattern, (frequency > 0.12) & (frequency <= 0.22)
    floor = single[:, frequency > 0.35].mean(1)
    fine, coarse = (
        (power[:, band].sum(1) / twice[band].sum() - floor).clamp(min=1e-6) for band in (middle, low)
    )
    strongest = single[:, pattern].max(1)
    periodicity = 2 * strongest.values / power[:, pattern].sum(1).clamp(min=1e-12)  # with its mirror image
    return (fine / coarse).log(), (1 / frequency[pattern])[strongest.indices], periodicity


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Hann window (H, W); for the flattened coefficients of rfft2 the frequency in cycles per pixel,
    and their multiplicity: 2, but 1 for the columns that are their own mirror image."""
    window = torch.outer(torch.hann_window(height), torch.hann_window(width))
    fx, fy = torch.fft.rfftfreq(width), torch.fft.fftfreq(height)
    twice = torch.full((height, len(fx)), 2.0)
    twice[:, 0] = 1.0
    if width % 2 == 0:
        twice[:, -1] = 1.0
    return window, torch.hypot(fy[:, None], fx[None, :]).flatten(), twice.flatten()


def _separable(image: Tensor, down: tuple[float, ...], across: tuple[float, ...], scale: float) -> Tensor:
    """Filter (N, H, W) by `down` along y and `across` along x, divided by `scale`, without padding."""
    rows, columns = _band(down, image.shape[-2]), _band(across, image.shape[-1])
    return rows @ (image @ columns.T).div_(scale)


@lru_cache(maxsize=32)
def _band(taps: tuple[float, ...], size: int) -> Tensor:
    """The filter as a matrix (size - taps + 1, size)."""
    rows = size - len(taps) + 1
    return sum(tap * torch.eye(rows, size + len(taps)).roll(k, 1)[:, :size] for k, tap in enumerate(taps))  # type: ignore[return-value]
