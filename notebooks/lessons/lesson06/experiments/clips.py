"""The small pairs of lesson 06's page: layouts and two SEM images of each, under one imaging condition."""

from dataclasses import dataclass

from torch import Tensor

from gantrans.data import LayoutConfig, context_px, procedural_layouts, simulate
from gantrans.data.imaging import DEFAULT
from gantrans.data.streams import stream_seeds

PIXEL_NM = 20.0


@dataclass(frozen=True)
class Clips:
    """Layouts, an SEM image of each, and another one with fresh noise: (N, 1, S, S) in [-1, 1]."""

    layout: Tensor
    sem: Tensor
    another: Tensor


def clips(count: int, size: int, seed: int) -> Clips:
    """Draw layouts and image each twice; equal arguments give equal clips.

    Args:
        count: of layouts.
        size: side of a clip in pixels of 20 nm.
        seed: names layouts, roughness and noise.
    """
    drawn, first, second = stream_seeds(seed, "lesson 06/clips", [0, 1, 2])
    layouts = procedural_layouts(
        LayoutConfig(size, PIXEL_NM), drawn, range(count), margin_px=context_px(PIXEL_NM)
    )
    sems = (simulate(layouts, DEFAULT.fixed(), noise, range(count)).sem for noise in (first, second))
    return Clips(*(2 * part.float() - 1 for part in (layouts.clip, *sems)))
