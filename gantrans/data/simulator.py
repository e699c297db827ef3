"""The simulator: SEM images and printed shapes of a batch of layouts."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gantrans.data.imaging import ImagingConfig
from gantrans.data.layouts import Layouts
from gantrans.data.printing import print_layouts, printed_coverage
from gantrans.data.sem import acquire

_CHUNK_PIXELS = 64 * 80 * 80  # clips are simulated in blocks of about this many pixels, to stay in the cache


class Simulated(NamedTuple):
    """sem, printed: (N, 1, H, W) float32 in [0, 1], without the layouts' margin."""

    sem: Tensor
    printed: Tensor


def simulate(layouts: Layouts, config: ImagingConfig, seed: int, indices: Sequence[int]) -> Simulated:
    """Print and image a batch of layouts.

    Image `i` depends on (layout, config, seed, indices[i]) alone: every clip has its own random streams and
    no operation mixes clips, so it is bit for bit the same in every batch.

    Args:
        layouts: clips with a margin (`context_px` is enough), which is needed for the blurs and then cropped.
        indices: one number per clip, for its random streams.
    """
    side = layouts.image.shape[-1]
    step = max(1, _CHUNK_PIXELS // side**2)
    parts = [
        _simulate(layouts.image[i : i + step, 0], layouts, config, seed, indices[i : i + step])
        for i in range(0, len(layouts.image), step)
    ]
    return Simulated(*(torch.cat(images).unsqueeze(1) for images in zip(*parts, strict=True)))


def _simulate(
    layout: Tensor, layouts: Layouts, config: ImagingConfig, seed: int, indices: Sequence[int]
) -> tuple[Tensor, Tensor]:
    margin, side, pixel_nm = layouts.margin_px, layout.shape[-1], layouts.pixel_nm
    distance = print_layouts(layout, config, pixel_nm, seed, indices)
    inside = slice(margin, side - margin)
    printed = printed_coverage(distance[:, inside, inside], pixel_nm)
    return acquire(distance, config, pixel_nm, seed, indices, margin_px=margin), printed
