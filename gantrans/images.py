"""The three value ranges of images, and the only functions that convert between them; grey and colour.

uint8 [0, 255] on disk and on the wire; float32 [0, 1] in metrics and plots; float32 [-1, 1] inside networks.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


def network_from_uint8(image: Tensor) -> Tensor:
    """uint8 [0, 255] -> float32 [-1, 1] by x / 127.5 - 1 (any shape)."""
    return image.to(torch.float32).div_(127.5).sub_(1.0)


def network_from_unit(image: Tensor) -> Tensor:
    """float [0, 1] -> float [-1, 1] (any shape)."""
    return image * 2.0 - 1.0


def unit_from_network(image: Tensor) -> Tensor:
    """float [-1, 1] -> float32 [0, 1], clipped (any shape)."""
    return (image.float() * 0.5 + 0.5).clamp(0.0, 1.0)


def unit_from_uint8(image: Tensor) -> Tensor:
    """uint8 [0, 255] -> float32 [0, 1] (any shape)."""
    return image.to(torch.float32).div_(255.0)


def uint8_from_unit(image: Tensor) -> Tensor:
    """float [0, 1] -> uint8, rounded to nearest and clipped (any shape)."""
    return (image * 255.0).round().clamp(0, 255).to(torch.uint8)


def grey(images: Tensor) -> Tensor:
    """(..., 3, H, W) -> the luma (..., 1, H, W) of ITU-R BT.601, float; one channel is returned unchanged."""
    if images.shape[-3] == 1:
        return images
    return (images * images.new_tensor(LUMA).view(3, 1, 1)).sum(-3, keepdim=True)


def as_channels(images: Tensor, channels: int) -> Tensor:
    """Images (..., C, H, W) with 1 or 3 channels instead: colour becomes luma, grey is repeated."""
    if images.shape[-3] == channels:
        return images
    return grey(images) if channels == 1 else images.expand(*images.shape[:-3], channels, *images.shape[-2:])


def as_picture(image: Tensor) -> NDArray[np.uint8]:
    """(1 or 3, H, W) in [0, 1] -> (H, W) or (H, W, 3) uint8, as Pillow and matplotlib take it."""
    values = uint8_from_unit(image).permute(1, 2, 0).numpy()
    return values[..., 0] if values.shape[-1] == 1 else values
