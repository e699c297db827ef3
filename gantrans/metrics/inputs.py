"""Input checks of all metrics: two float images of one shape, finite, within their range."""

import math

import torch
from torch import Tensor

from gantrans.errors import DataError

_ROUNDING = 1e-5  # tolerance of a range, for float rounding


def check_pair(
    pred: Tensor, target: Tensor, *, data_range: float | None = None, colour: bool = False
) -> None:
    """Check a pair of images, so that no metric is computed from invalid ones.

    Args:
        pred, target: (B, 1, H, W), floating point, B at least 1.
        colour: three channels are allowed, too.
        data_range: None requires values in [0, 1]; a number only requires that they span at most that much.

    Raises:
        DataError: for another shape or type, NaN or infinity, or values outside the range.
    """
    if pred.shape != target.shape:
        raise DataError(
            f"The prediction has shape {tuple(pred.shape)} but the target has {tuple(target.shape)}; "
            "metrics compare images of equal shape."
        )
    low_p, high_p = check_image(pred, "prediction", colour=colour)
    low_t, high_t = check_image(target, "target", colour=colour)
    low, high = min(low_p, low_t), max(high_p, high_t)
    if data_range is None:
        if low < -_ROUNDING or high > 1 + _ROUNDING:
            raise DataError(
                f"The images span {low:.3g} to {high:.3g}, outside [0, 1]; "
                "convert network output with gantrans.images.unit_from_network."
            )
    elif not (math.isfinite(data_range) and data_range > 0):
        raise DataError(f"data_range is {data_range!r}; it must be the width of the values' range, above 0.")
    elif high - low > data_range * (1 + _ROUNDING):
        raise DataError(
            f"The images span {low:.3g} to {high:.3g}, more than data_range = {data_range:g}; "
            "state the range the values really have."
        )


def check_image(image: Tensor, name: str = "image", *, colour: bool = False) -> tuple[float, float]:
    """Check for a finite floating-point (B, 1, H, W) batch; returns its smallest and largest value.

    `colour`: (B, 3, H, W) is allowed, too.
    """
    if image.ndim != 4 or image.shape[1] not in ((1, 3) if colour else (1,)) or image.numel() == 0:
        channels = "1 or 3" if colour else "1"
        raise DataError(
            f"The {name} has shape {tuple(image.shape)}; it must be (B, {channels}, H, W), none 0."
        )
    if not image.is_floating_point():
        raise DataError(f"The {name} has type {image.dtype}; convert it: gantrans.images.unit_from_uint8.")
    low, high = (v.item() for v in torch.aminmax(image.detach()))  # both are NaN if any value is
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(f"The {name} contains NaN or infinite values; look for a diverged network.")
    return low, high


def check_length(value: float, name: str) -> None:
    """Check that a pixel size or another length is a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise DataError(f"{name} is {value!r}; it must be a length above 0.")
