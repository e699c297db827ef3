"""Pixel metrics for batches: L1, PSNR, SSIM and IoU, one value per image.

They say how alike two *images* are; `contours`, `metrology` and `topology` judge the geometry.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.errors import DataError
from gantrans.metrics.inputs import check_pair

WINDOW = 11
"""Taps of SSIM's Gaussian window: scikit-image's truncation of sigma 1.5 at 3.5 sigma gives a radius of 5."""
SIGMA = 1.5
_CACHE_VALUES = 2**19  # filtered at once: four float32 maps then fit a core's second-level cache
_BLOCK = 18  # columns filtered by one matrix product


def l1(pred: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference per image: (B, 1, H, W) in [0, 1] -> (B,) in [0, 1]."""
    check_pair(pred, target)
    return (pred - target).abs().mean(dim=(1, 2, 3))


def psnr(pred: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """Peak signal-to-noise ratio per image, 10 log10(data_range^2 / MSE), in dB: (B, 1, H, W) -> (B,).

    Two equal images give infinity, as in scikit-image.
    """
    check_pair(pred, target, data_range=data_range)
    error = (pred - target).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(data_range**2 / error)


def iou(pred: Tensor, target: Tensor, threshold: float = 0.5) -> Tensor:
    """Intersection over union of what lies above `threshold`: (B, 1, H, W) in [0, 1] -> float32 (B,).

    Two empty masks agree perfectly: 1. One empty mask against one that is not: 0.
    """
    check_pair(pred, target)
    p, t = pred > threshold, target > threshold
    union = (p | t).sum(dim=(1, 2, 3))
    return torch.where(union > 0, (p & t).sum(dim=(1, 2, 3)) / union, 1.0)


def ssim(pred: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """Mean structural similarity per image: (B, 1, H, W) -> (B,), at most 1; differentiable.

    The mean of `ssim_map`, whose docstring has the definition, the errors and what is refused.
    """
    return torch.cat([part.mean(dim=(1, 2)) for part in _ssim(pred, target, data_range)])


def ssim_map(pred: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """Structural similarity of every 11 x 11 neighbourhood: (B, 1, H, W) -> (B, 1, H - 10, W - 10).

    Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13 (2004) 600, eq. 13: Gaussian window of sigma 1.5, 11 taps,
    population covariance, K1 = 0.01, K2 = 0.03, only windows that lie inside the image. Its mean equals
    scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=...)`: within 1e-9 in float64 and 1e-5 in float32. CUDA tensors are filtered in float64, so
    that no TF32 or autocast setting can change a measurement.

    Args:
        pred, target: equal shapes, height and width at least 11.
        data_range: width of the range that the values can have: 1 for [0, 1], 2 for [-1, 1], 255 for 8-bit
            values. It sets the two stabilising constants; if it is too wide, every SSIM looks good.

    Raises:
        DataError: for unequal shapes, NaN, images under 11 px, or values that span more than `data_range`.
    """
    return torch.cat(list(_ssim(pred, target, data_range))).unsqueeze(1)


def _ssim(pred: Tensor, target: Tensor, data_range: float) -> Iterator[Tensor]:
    """SSIM maps (b, H - 10, W - 10) of chunks of the batch that fit a core's cache."""
    check_pair(pred, target, data_range=data_range)
    height, width = pred.shape[-2:]
    if min(height, width) < WINDOW:
        raise DataError(f"SSIM needs at least {WINDOW} x {WINDOW} px; these images have {height} x {width}.")
    chunk = max(1, _CACHE_VALUES // (4 * height * width))
    if pred.is_cuda:
        chunk, pred, target = 16 * chunk, pred.double(), target.double()
    for x, y in zip(pred.squeeze(1).split(chunk), target.squeeze(1).split(chunk), strict=True):
        yield _ssim_chunk(x, y, data_range)


def _ssim_chunk(x: Tensor, y: Tensor, data_range: float) -> Tensor:
    """(b, H, W) twice -> (b, H - 10, W - 10).

    With a = mean_x mean_y + C1/2, n = covariance + C2/2, g = (mean_x - mean_y)^2 / 2 and
    v = variance(x - y) / 2, Wang's formula reads a n / ((a + g) (n + v)). Written so, it needs four filtered
    maps instead of five, and equal images give exactly 1.
    """
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    difference = x - y
    maps = torch.stack((x, y, x * y, difference * difference))  # (4, b, H, W)
    mean_x, mean_y, product, square = _blur(maps)
    means = mean_x * mean_y
    mean_gap = (mean_x - mean_y).square()
    luminance = means + c1 / 2
    structure = product - means + c2 / 2
    variance = square - mean_gap  # of x - y
    return luminance * structure / ((luminance + mean_gap / 2) * (structure + variance / 2))


def _blur(maps: Tensor) -> Tensor:
    """Gaussian filter, valid part only: (4, b, H, W) -> (4, b, H - 10, W - 10).

    Columns by a depthwise convolution whose channels are the image's columns, rows by products with blocks of
    a band matrix: on a CPU both are several times quicker than convolving one-channel images.
    """
    height, width = maps.shape[-2:]
    taps = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    taps = torch.exp(-0.5 * (taps / SIGMA).square())
    taps = (taps / taps.sum()).to(maps)
    with torch.autocast(maps.device.type, enabled=False):
        columns = maps.reshape(1, -1, height, width).permute(0, 3, 1, 2)  # (1, W, 4b, H), channels last
        columns = F.conv2d(columns, taps.expand(width, 1, 1, -1), groups=width)
        rows = columns.permute(0, 2, 3, 1).reshape(-1, width)  # (4b (H - 10), W)
        blocks = [rows[:, i : i + _BLOCK + WINDOW - 1] for i in range(0, width - WINDOW + 1, _BLOCK)]
        filtered = torch.cat([block @ _band(taps, block.shape[1]) for block in blocks], dim=1)
    return filtered.view(*maps.shape[:2], height - WINDOW + 1, width - WINDOW + 1)


def _band(taps: Tensor, width: int) -> Tensor:
    """The matrix (width, width - 10) that filters a row of `width` pixels."""
    band = taps.new_zeros(width - WINDOW + 1, width)
    band.as_strided((len(band), WINDOW), (width + 1, 1)).copy_(taps.expand(len(band), -1))
    return band.t()
