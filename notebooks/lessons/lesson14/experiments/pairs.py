"""The small pairs of lesson 14's page: clips under one imaging condition, with few electrons if asked, and a
doubtful one."""

import dataclasses

import torch
from torch import Tensor

from gantrans.data import LayoutConfig, Layouts, context_px, procedural_layouts, simulate
from gantrans.data.imaging import DEFAULT, ImagingConfig
from gantrans.data.streams import stream_seeds
from lessons.lesson06.experiments.clips import PIXEL_NM, Clips


def imaging_of(dose: float) -> ImagingConfig:
    """The default's middle with `dose` electrons per pixel."""
    return dataclasses.replace(DEFAULT.fixed(), dose=(dose, dose))


def pairs(count: int, size: int, seed: int, dose: float) -> Clips:
    """Draw layouts and image each twice; equal arguments give equal clips.

    Args:
        count: of layouts.
        size: side of a clip in pixels of 20 nm.
        seed: names layouts, roughness and noise.
        dose: electrons per pixel; few of them leave open what was drawn.
    """
    layouts, noises = _drawn(count, size, seed)
    sems = (simulate(layouts, imaging_of(dose), noise, range(count)).sem for noise in noises)
    return Clips(*(2 * part.float() - 1 for part in (layouts.clip, *sems)))


def mean_image(size: int, seed: int, dose: float, clip: int, draws: int = 64) -> Tensor:
    """The mean of many images of one layout, (1, 1, size, size) in [-1, 1]: what a squared error asks for."""
    layouts, (noise, _) = _drawn(clip + 1, size, seed)
    one = {name: getattr(layouts, name)[clip:] * draws for name in ("family", "min_width_nm", "min_space_nm")}
    many = dataclasses.replace(layouts, image=layouts.image[clip:].repeat(draws, 1, 1, 1), **one)
    return 2 * simulate(many, imaging_of(dose), noise, range(draws)).sem.float().mean(0, keepdim=True) - 1


def _drawn(count: int, size: int, seed: int) -> tuple[Layouts, list[int]]:
    drawn, *noises = stream_seeds(seed, "lesson 14/pairs", [0, 1, 2])
    config = LayoutConfig(size, PIXEL_NM)
    return procedural_layouts(config, drawn, range(count), margin_px=context_px(PIXEL_NM)), noises


def doubtful(strengths: tuple[float, ...], dose: float) -> tuple[Tensor, Tensor, Tensor]:
    """Two bars, the left one with a break that is there more or less.

    The image is a mixture of one of the whole bars and one of the broken bars, with the same noise.

    Returns:
        images (N, 1, 32, 32), one per strength; the layouts (1, 1, 32, 32) without and with the break; all
        in [-1, 1].
    """
    size, margin = 32, context_px(PIXEL_NM)
    whole = torch.zeros(1, 1, size + 2 * margin, size + 2 * margin)
    whole[..., margin + 5 : margin + 13] = 1
    whole[..., margin + 19 : margin + 27] = 1
    broken = whole.clone()
    broken[..., margin + 11 : margin + 20, margin + 5 : margin + 13] = 0
    (noise,) = stream_seeds(0, "lesson 14/doubtful", [0])
    sems, clips = [], []
    for image in (whole, broken):
        layouts = Layouts(image, ["line_space"], [160.0], [120.0], PIXEL_NM, margin)
        sems.append(simulate(layouts, imaging_of(dose), noise, [0]).sem.float())
        clips.append(2 * layouts.clip.float() - 1)
    mixed = torch.cat([(1 - s) * sems[0] + s * sems[1] for s in strengths])
    return 2 * mixed - 1, clips[0], clips[1]


BREAK = (slice(13, 18), slice(6, 12))
"""Rows and columns of the break of `doubtful`, without its rim."""
