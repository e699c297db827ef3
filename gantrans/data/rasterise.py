"""Exact area rasteriser for axis-parallel rectangles.

The area of a rectangle inside a pixel is its overlap in x times its overlap in y. The 1-D overlaps of all
rectangles of a batch are computed at once; each clip is then one small matrix product: coverage = oy^T ox /
pixel^2.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Rectangle = tuple[int, int, int, int]


def rasterise(clips: Sequence[np.ndarray], size_px: int, pixel_nm: float) -> Tensor:
    """Area coverage of square clips.

    Args:
        clips: for each of N clips its rectangles, (R_i, 4) of x0, y0, x1, y1 in nm from the clip's upper left
            corner (y grows downwards). The rectangles of a clip must not overlap one another (abutting is
            fine), otherwise their area counts twice before the clamp; they may extend beyond the clip.
        size_px: side of the clip in pixels.
        pixel_nm: side of a pixel in nm.

    Returns:
        (N, 1, size_px, size_px) float32 in [0, 1], the covered share of every pixel. For whole-nanometre
        coordinates and pixels every overlap is a small integer, so the sums are exact in float32.
    """
    image = torch.zeros(len(clips), size_px, size_px)
    edges = torch.arange(size_px + 1, dtype=torch.float32) * pixel_nm
    x0, y0, x1, y1 = torch.from_numpy(np.concatenate(clips).astype(np.float32)).unbind(-1)  # (sum of R_i,)
    counts = [len(clip) for clip in clips]
    across, down = _overlap(x0, x1, edges).split(counts), _overlap(y0, y1, edges).split(counts)
    for clip, ox, oy in zip(image, across, down, strict=True):
        torch.mm(oy.T, ox, out=clip)
    return image.div_(pixel_nm * pixel_nm).clamp_(0.0, 1.0).unsqueeze(1)


def _overlap(low: Tensor, high: Tensor, edges: Tensor) -> Tensor:
    """Length in nm of the overlap of each [low, high] with every pixel: (rectangles, size_px)."""
    covered = torch.minimum(high[:, None], edges[1:]) - torch.maximum(low[:, None], edges[:-1])
    return covered.clamp_(min=0.0)
