"""Pixel metrics for batches: L1, PSNR, SSIM and IoU, one value per image.

They compare two *images* pixel by pixel; for the geometry see `contours`, `metrology` and `topology`. Images
are (B, C, H, W) with C of 1 or, but for IoU, 3: then L1 and PSNR are those of all 3 H W values of an image,
and SSIM is the mean over the channels.
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
_CHUNK_PIXELS = 3 * 2**15  # per chunk of the batch: its four maps then stay in a core's caches
_BAND = 18  # columns filtered by one matrix product


def l1(pred: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference per image: (B, C, H, W) in [0, 1] -> (B,) in [0, 1]."""
    check_pair(pred, target, colour=True)
    return (pred - target).abs().mean(dim=(1, 2, 3))


def psnr(pred: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """Peak signal-to-noise ratio per image, 10 log10(data_range^2 / MSE), in dB: (B, C, H, W) -> (B,).

    Two equal images give infinity, as in scikit-image.

    Canonical form: `lessons.lesson10.exercises.psnr.psnr`; this adds checks of the input.
    """
    check_pair(pred, target, data_range=data_range, colour=True)
    error = (pred - target).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(data_range**2 / error)


def iou(pred: Tensor, target: Tensor, threshold: float = 0.5) -> Tensor:
    """Intersection over union of the masks above `threshold`: (B, 1, H, W) in [0, 1] -> float32 (B,).

    1 for two empty masks; 0 if only one of them is empty.

    Canonical form: `lessons.lesson04.exercises.iou.iou`; this adds checks of the input.
    """
    check_pair(pred, target)
    p, t = pred > threshold, target > threshold
    union = (p | t).sum(dim=(1, 2, 3))
    return torch.where(union > 0, (p & t).sum(dim=(1, 2, 3)) / union, 1.0)


def ssim(pred: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """Mean structural similarity per image: (B, C, H, W) -> (B,), at most 1; differentiable.

    The mean of `ssim_map` and of the channels, as scikit-image's with `channel_axis`; see there for the
    definition, the accuracy and the errors raised.

    Canonical form: `lessons.lesson10.exercises.ssim_index.ssim_index`; this filters four maps instead
    of five, separably and in bands, because validation during training calls it often.
    """
    windows = (pred.shape[-2] - WINDOW + 1) * (pred.shape[-1] - WINDOW + 1)
    chunks = _ssim(pred, target, data_range)
    sums = [torch.stack([band.sum(dim=(0, 2)) for band in bands]).sum(dim=0) for bands in chunks]
    return (torch.cat(sums) / windows).view(pred.shape[:2]).mean(1)


def ssim_map(pred: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """Structural similarity of every 11 x 11 neighbourhood: (B, C, H, W) -> (B, C, H - 10, W - 10).

    Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13 (2004) 600, eq. 13: Gaussian window of sigma 1.5, 11 taps,
    population covariance, K1 = 0.01, K2 = 0.03, only windows that lie inside the image. Its mean equals
    scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=...)`: within 1e-9 in float64 and 1e-5 in float32. CUDA tensors are filtered in float64, so
    that no TF32 or autocast setting can change a measurement.

    Args:
        pred, target: equal shapes, height and width at least 11.
        data_range: width of the range that the values can have: 1 for [0, 1], 2 for [-1, 1], 255 for 8-bit
            values. It sets the two stabilising constants; if it is too wide, every SSIM is close to 1.

    Raises:
        DataError: for unequal shapes, NaN, images under 11 px, or values that span more than `data_range`.
    """
    maps = [torch.cat(bands).permute(1, 2, 0) for bands in _ssim(pred, target, data_range)]
    return torch.cat(maps).unflatten(0, pred.shape[:2])


def _ssim(pred: Tensor, target: Tensor, data_range: float) -> Iterator[list[Tensor]]:
    """SSIM maps of chunks of all channels, as bands of columns (c, b, H - 10) whose c add up to W - 10."""
    check_pair(pred, target, data_range=data_range, colour=True)
    height, width = pred.shape[-2:]
    if min(height, width) < WINDOW:
        raise DataError(f"SSIM needs at least {WINDOW} x {WINDOW} px; these images have {height} x {width}.")
    chunk = max(1, _CHUNK_PIXELS // (height * width))
    dtype = torch.promote_types(pred.dtype, target.dtype)
    if pred.is_cuda:
        chunk, dtype = 16 * chunk, torch.float64
    pred, target = pred.to(dtype), target.to(dtype)
    taps = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    taps = torch.exp(-0.5 * (taps / SIGMA).square())
    taps = (taps / taps.sum()).to(pred)
    c1, c2 = (pred.new_tensor((k * data_range) ** 2 / 2) for k in (0.01, 0.03))
    for x, y in zip(pred.flatten(0, 1).split(chunk), target.flatten(0, 1).split(chunk), strict=True):
        yield _ssim_chunk(x, y, taps, c1, c2)


def _ssim_chunk(x: Tensor, y: Tensor, taps: Tensor, c1: Tensor, c2: Tensor) -> list[Tensor]:
    """(b, H, W) twice -> bands of columns, each (c, b, H - 10). c1, c2: half of Wang's C1 and C2.

    With l = mean_x mean_y + c1, g = (mean_x - mean_y)^2 / 2, s = covariance + c2 and v = variance(x - y) / 2,
    Wang's formula reads l s / ((l + g) (s + v)). Written so, it needs four filtered maps instead of five, and
    equal images give exactly 1. The constants are added before the filter, whose weights sum to 1: the time
    is dominated by passes over memory, and this saves two.
    """
    maps = torch.stack((x, y, torch.addcmul(c1 + c2, x, y), (x - y).square()))
    bands = []
    for mean_x, mean_y, product, square in (band.unbind(1) for band in _filter(maps, taps)):
        gap = mean_x - mean_y
        luminance = torch.addcmul(c1, mean_x, mean_y)
        structure = product - luminance
        spread = torch.add(structure, torch.addcmul(square, gap, gap, value=-1), alpha=0.5)
        bands.append(luminance * structure / (torch.addcmul(luminance, gap, gap, value=0.5) * spread))
    return bands


def _filter(maps: Tensor, taps: Tensor) -> list[Tensor]:
    """Gaussian filter without padding: (4, b, H, W) -> bands of columns, each (c, 4, b, H - 10).

    Along columns by a depthwise convolution whose channels are the image's columns, along rows by products of
    a band matrix with overlapping windows: on a CPU both are several times faster than convolving
    one-channel images.
    """
    height, width = maps.shape[-2:]
    out = width - WINDOW + 1
    whole = out // _BAND * _BAND
    with torch.autocast(maps.device.type, enabled=False):
        columns = maps.reshape(1, -1, height, width).permute(0, 3, 1, 2)  # (1, W, 4b, H), channels last
        columns = F.conv2d(columns, taps.expand(width, 1, 1, -1), groups=width)
        rows = columns.permute(0, 2, 3, 1).reshape(-1, width)  # (4b (H - 10), W)
        bands = []
        for start, stop, step in ((0, whole, _BAND), (whole, out, out - whole)):
            if start < stop:
                windows = (
                    rows[:, start : stop + WINDOW - 1].unfold(1, step + WINDOW - 1, step).permute(1, 2, 0)
                )
                matrix = _band(taps, step).expand(len(windows), -1, -1)
                bands.append(torch.bmm(matrix, windows).view(stop - start, *maps.shape[:2], -1))
    return bands


def _band(taps: Tensor, rows: int) -> Tensor:
    """The matrix (rows, rows + 10) that filters a window of `rows` + 10 pixels."""
    band = taps.new_zeros(rows, rows + WINDOW - 1)
    band.as_strided((rows, WINDOW), (rows + WINDOW, 1)).copy_(taps.expand(rows, -1))
    return band
