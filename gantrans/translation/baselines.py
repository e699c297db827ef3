"""Classical segmentation of SEM images, the baseline for networks.

Every variant denoises, thresholds by Otsu (1979, two classes of maximal between-class variance) and returns
the bright class, using SciPy and scikit-image. Nothing is trained. The variant for a data set is chosen on
its validation split, since a choice on the test images would bias the comparison.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantrans.images import grey

Array = NDArray[np.float32]
Variant = Callable[[Array], NDArray[np.bool_]]


def _otsu(image: Array) -> NDArray[np.bool_]:
    from skimage.filters import threshold_otsu

    if image.min() == image.max():  # Otsu needs two grey levels: return an empty mask
        return np.zeros(image.shape, dtype=bool)
    return image > threshold_otsu(image)


def _gaussian(image: Array, sigma_px: float) -> Array:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, sigma_px, mode="nearest")


def _median(image: Array, size_px: int) -> Array:
    from scipy.ndimage import median_filter

    return median_filter(image, size_px, mode="nearest")


def background_otsu(image: Array, sigma_px: float = 2.0, background_px: float = 12.0) -> NDArray[np.bool_]:
    """Subtract a blurred background (charging, brightness ramps), blur, and apply Otsu."""
    return _otsu(_gaussian(image, sigma_px) - _gaussian(image, background_px))


def edge_regions(image: Array, sigma_px: float = 1.5) -> NDArray[np.bool_]:
    """Segment regions between bright edges by Otsu on their mean; edge pixels get the nearest region's class.

    For SEM images whose edges are brighter than both materials, where plain Otsu finds the edges instead of
    the features.
    """
    from scipy.ndimage import distance_transform_edt, label, mean

    smooth = _gaussian(image, sigma_px)
    regions, count = label(~_otsu(smooth))
    if count < 2:
        return _otsu(smooth)
    levels = np.asarray(mean(smooth, regions, np.arange(count + 1)), dtype=np.float32)
    nearest = distance_transform_edt(regions == 0, return_distances=False, return_indices=True)
    return _otsu(levels[regions[tuple(nearest)]])


def _then_otsu(smooth: Callable[[Array], Array]) -> Variant:
    return lambda image: _otsu(smooth(image))


_FILTERS: dict[str, Callable[[Array], Array]] = {
    "gaussian1_otsu": lambda image: _gaussian(image, 1.0),
    "gaussian2_otsu": lambda image: _gaussian(image, 2.0),
    "median5_otsu": lambda image: _median(image, 5),
}

BASELINES: dict[str, Variant] = {
    **{name: _then_otsu(smooth) for name, smooth in _FILTERS.items()},
    "background_otsu": background_otsu,
    "edge_regions": edge_regions,
}
"""Name -> variant, each (H, W) float in [0, 1] -> bool (H, W)."""

DENOISE_OTSU = tuple(_FILTERS)
"""The plain denoise + Otsu variants, by which the difficulty presets are defined."""


def denoise(sem: Tensor, variant: str) -> Tensor:
    """The filter of a `DENOISE_OTSU` variant: (B, C, H, W) in [0, 1] -> (B, 1, H, W); colour becomes grey."""
    images = [_FILTERS[variant](image) for image in grey(sem)[:, 0].cpu().numpy().astype(np.float32)]
    return torch.from_numpy(np.stack(images)[:, None])


def segment(sem: Tensor, variant: str) -> Tensor:
    """Apply one of `BASELINES` to images (B, C, H, W) in [0, 1]; returns float32 masks (B, 1, H, W).

    Colour is read as grey.
    """
    run = BASELINES[variant]
    masks = [run(image) for image in grey(sem)[:, 0].cpu().numpy().astype(np.float32)]
    return torch.from_numpy(np.stack(masks)[:, None].astype(np.float32))


def choose_baseline(
    sem: Tensor, layout: Tensor, names: tuple[str, ...] = tuple(BASELINES)
) -> tuple[str, float]:
    """The variant with the highest mean IoU on these (validation) images, and that IoU.

    Args:
        sem: (B, C, H, W) in [0, 1]. layout: (B, 1, H, W).
        names: the variants to choose from.
    """
    from gantrans.metrics import iou

    scores = {name: float(iou(segment(sem, name), layout).mean()) for name in names}
    best = max(scores, key=lambda name: scores[name])
    return best, scores[best]
