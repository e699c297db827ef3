"""Lesson 05: pairs whose imaging conditions are fixed, and layouts that are imaged twice."""

from typing import NamedTuple

from torch import Tensor

from gantrans.data import LayoutConfig, context_px, make_pairs, procedural_layouts, simulate
from gantrans.data.imaging import DEFAULT
from gantrans.data.streams import stream_seeds
from gantrans.images import network_from_uint8

IMAGING = DEFAULT.fixed()
"""Brightness, contrast and dose are the same in every image; roughness, fading and noise are drawn."""


class Twice(NamedTuple):
    """Layouts and two real SEM images of each, (N, 1, S, S) in [-1, 1]."""

    layout: Tensor
    sem: Tensor
    again: Tensor


def training_pairs(count: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Layouts and their SEM images, both (count, 1, size, size) in [-1, 1]."""
    pairs = make_pairs("procedural", count=count, size=size, seed=seed, imaging=IMAGING, progress=False)
    return network_from_uint8(pairs.layout), network_from_uint8(pairs.sem)


def imaged_twice(count: int, size: int, seed: int, pixel_nm: float = 20.0) -> Twice:
    """Layouts that no training pair shows; roughness, fading and noise of their two images are drawn anew."""
    first, second = stream_seeds(seed, "lesson 05/twice", [0, 1])
    drawn = procedural_layouts(
        LayoutConfig(size, pixel_nm), first, range(count), margin_px=context_px(pixel_nm)
    )
    sem, again = (2 * simulate(drawn, IMAGING, s, range(count)).sem - 1 for s in (first, second))
    return Twice(2 * drawn.clip - 1, sem, again)
