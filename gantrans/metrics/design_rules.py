"""Design-rule check of layout images: are features wide enough, and spaces between them?

Two tests find parts that are too narrow, in the features and, on the inverted image, in the spaces.

*Opening* (Serra, "Image Analysis and Mathematical Morphology", 1982): a pixel that no k x k square of its
own kind covers is in a part thinner than k. An opening misses necks at corners: two wide parts that share one
pixel, or merely touch, are covered by squares on either side of a neck that is narrower than any square.

*Facing corners* find these: two pixels of the other kind at opposite corners of a box whose other pixels are
all of this kind face each other across a neck. Their distance is Euclidean, between the pixels' nearest
vertices, as layout tools measure it (KLayout calls the metric "euclidian"): dy x dx pixels between them are
sqrt(dy^2 + dx^2) apart. Distance 0 is a corner contact (a 2 x 2 checkerboard), wrong for both kinds.

Features and spaces are assumed to continue beyond the border with any width that the rule needs, and only
boxes inside the clip are tested.
"""

from collections.abc import Callable
from functools import reduce
from operator import and_, or_

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.errors import DataError
from gantrans.metrics.inputs import check_image


def rule_violations(image: Tensor, width_px: int, space_px: int) -> Tensor:
    """The pixels that break a rule: (B, 1, H, W) in [0, 1] -> bool of the same shape.

    Args:
        image: drawn where above 0.5.
        width_px: least width of a feature, in pixels.
        space_px: least distance between features, and of a feature from itself, in pixels.

    Returns:
        True for pixels in features that are too thin and in spaces that are too narrow. In a neck all pixels
        of its kind between the facing corners are marked; in a corner contact all four.

    Raises:
        DataError: for another shape, values outside [0, 1], NaN or a rule below 1.
    """
    high = drawn(image)
    for name, rule in (("width_px", width_px), ("space_px", space_px)):
        if rule < 1:
            raise DataError(f"{name} is {rule!r}; it must be a whole number of pixels, at least 1.")
    return (_narrow(high, width_px) | _narrow(~high, space_px)).unsqueeze(1)


def rule_valid(image: Tensor, width_px: int, space_px: int) -> Tensor:
    """True for clips without any violation: (B, 1, H, W) in [0, 1] -> bool (B,); see `rule_violations`."""
    return ~rule_violations(image, width_px, space_px).flatten(1).any(1)


def violation_rate(image: Tensor, width_px: int, space_px: int) -> Tensor:
    """Share of each clip's pixels that break a rule: (B, 1, H, W) in [0, 1] -> float32 (B,) in [0, 1].

    Unlike `rule_valid` it is informative early in training, while no clip is valid.
    """
    return rule_violations(image, width_px, space_px).flatten(1).float().mean(1)


def rule_penalty(image: Tensor, width_px: int, space_px: int) -> Tensor:
    """What opening takes away from the features and from the spaces: (B, 1, H, W) in [0, 1] -> (B,).

    The first of the two tests as a loss: it has a gradient, and for clips of zeros and ones it is the share
    of pixels that no square of their own kind covers. Erosion and dilation of grey images are the least and
    the greatest value in a window (Serra 1982, ch. XII). Facing corners add nothing.
    """
    narrow = [kind - _grey_opened(kind, side) for kind, side in ((image, width_px), (1.0 - image, space_px))]
    return (narrow[0] + narrow[1]).flatten(1).mean(1)


def measured_rule(image: Tensor, tolerance: float = 0.01) -> tuple[int, int]:
    """The largest width and space in pixels that all but a share `tolerance` of these clips obey.

    For layouts whose rule in pixels is not known, such as real cells after thresholding.

    Args:
        image: (B, 1, H, W) in [0, 1].
        tolerance: share of clips that may break the rule, so that a few rasterised slivers do not
            determine the result.

    Returns:
        (width_px, space_px), at most half the side; 0 where more clips than that have corner contacts.
    """
    high = drawn(image)

    def largest(kind: Tensor) -> int:
        for rule in range(1, min(kind.shape[-2:]) // 2 + 1):
            if _narrow(kind, rule).flatten(1).any(1).float().mean() > tolerance:
                return rule - 1
        return min(kind.shape[-2:]) // 2

    return largest(high), largest(~high)


def drawn(image: Tensor) -> Tensor:
    """Mask of the features: (B, 1, H, W) in [0, 1] -> bool (B, H, W), above 0.5.

    Raises:
        DataError: for another shape, NaN, or values outside [0, 1].
    """
    low, high = check_image(image)
    if low < 0 or high > 1:
        raise DataError(
            f"The image spans {low:.3g} to {high:.3g}, outside [0, 1]; "
            "convert network output with gantrans.images.unit_from_network."
        )
    return image.squeeze(1) > 0.5


def _narrow(kind: Tensor, rule: int) -> Tensor:
    """Pixels of `kind`, bool (B, H, W), in parts narrower than `rule`."""
    return (kind & ~_opened(kind, rule)) | _necks(kind, rule)


def _opened(kind: Tensor, side: int) -> Tensor:
    """Union of all squares of `side` inside `kind`; all pixels beyond the border count as `kind`."""
    padded = F.pad(kind, (side - 1,) * 4, value=True)
    return _window(_window(padded, side, side, and_), side, side, or_)


def _grey_opened(image: Tensor, side: int) -> Tensor:
    """`_opened` of values in [0, 1], (B, 1, H, W): the greatest of the least values of all windows here."""
    padded = F.pad(image, (side - 1,) * 4, value=1.0)
    return F.max_pool2d(-F.max_pool2d(-padded, side, stride=1), side, stride=1)


def _window(mask: Tensor, height: int, width: int, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """AND or OR over windows: (B, H, W) -> (B, H - height + 1, W - width + 1)."""
    rows, columns = mask.shape[1] - height + 1, mask.shape[2] - width + 1
    mask = reduce(combine, (mask[:, i : i + rows] for i in range(height)))
    return reduce(combine, (mask[:, :, i : i + columns] for i in range(width)))


def _necks(kind: Tensor, rule: int) -> Tensor:
    """Pixels of `kind` between facing corners nearer than `rule`; for a corner contact both pixels."""
    found = torch.zeros_like(kind)
    total = F.pad(kind, (1, 0, 1, 0)).cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32)
    for dy in range(rule):
        for dx in range(rule):
            height, width = dy + 2, dx + 2
            rows, columns = kind.shape[1] - height + 1, kind.shape[2] - width + 1
            if dy**2 + dx**2 >= rule**2 or rows < 1 or columns < 1:
                continue
            below, above = total[:, height:], total[:, :rows]
            inside = below[:, :, width:] - below[:, :, :columns] - above[:, :, width:] + above[:, :, :columns]
            upper, lower = kind[:, :rows], kind[:, height - 1 :]
            falling = upper[:, :, :columns] | lower[:, :, width - 1 :]  # one diagonal's corners
            rising = upper[:, :, width - 1 :] | lower[:, :, :columns]
            hit = (inside == height * width - 2) & ~(falling & rising)
            if not hit.any():
                continue
            found |= _window(F.pad(hit, (width - 1, width - 1, height - 1, height - 1)), height, width, or_)
    return found & kind
