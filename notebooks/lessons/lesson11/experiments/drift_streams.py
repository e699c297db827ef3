"""Streams of SEM images in the order of time, in control or drifting: what lesson 11 lets its monitors watch.

The stream is one measuring site: vertical lines and spaces, 64 px of 20 nm, under the course's default
imaging conditions. With lots, 25 images in a row share part of their conditions, as wafers that were prepared
together do. A drift either ramps up the conditions or replaces the layouts; how far it has come is its
progress, 0 in control and 1 at the size that its name states.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gantrans.data.families import contact_array, jogs, line_space
from gantrans.data.imaging import DEFAULT, ImagingConfig, Range
from gantrans.data.layouts import Layouts, context_px
from gantrans.data.rasterise import Rectangle, rasterise
from gantrans.data.simulator import simulate
from gantrans.data.streams import stream_seeds
from gantrans.errors import ConfigError
from gantrans.operations.drift.profile import Measured, measure

SIZE, PIXEL_NM, GRID_NM = 64, 20.0, 20.0
LOT = 25
LOT_SHARE = 0.5
"""With lots: half of each range of conditions is drawn once per lot, the other half per image."""
_RULE = (4, 7)  # minimum width and space on the grid, 80 to 140 nm, as in the training set

Draw = Callable[[Random, int, int, int], list[Rectangle]]
Change = Callable[[ImagingConfig, float], ImagingConfig]


def _shifted(limits: Range, by: float) -> Range:
    return limits[0] + by, limits[1] + by


def _scaled(limits: Range, by: float) -> Range:
    return limits[0] * by, limits[1] * by


def _brighter(size: float) -> Change:
    return lambda c, p: dataclasses.replace(c, background=_shifted(c.background, size * p))


def _flatter(c: ImagingConfig, p: float) -> ImagingConfig:
    factor = 1 - 0.15 * p
    return dataclasses.replace(
        c, contrast=_scaled(c.contrast, factor), edge_signal=_scaled(c.edge_signal, factor)
    )


def _blurred(c: ImagingConfig, p: float) -> ImagingConfig:
    return dataclasses.replace(c, beam_sigma_nm=_shifted(c.beam_sigma_nm, 0.5 * PIXEL_NM * p))


def _noisier(c: ImagingConfig, p: float) -> ImagingConfig:
    return dataclasses.replace(c, dose=_scaled(c.dose, 1 / (1 + 0.25 * p) ** 2))


def _dense(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    """Lines and spaces at the smallest rule: the pitch range narrows."""
    return line_space(rng, n, _RULE[0], _RULE[0])


def _turned(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    return [(y0, x0, y1, x1) for x0, y0, x1, y1 in line_space(rng, n, w, s)]


def _bridged(rng: Random, n: int, w: int, s: int) -> list[Rectangle]:
    """Lines and spaces with one bridge as long as the minimum width, in the space nearest to the middle."""
    lines = sorted(line_space(rng, n, w, s))
    left, right = min(itertools.pairwise(lines), key=lambda pair: abs(pair[0][2] + pair[1][0] - n))
    y = rng.randrange(n // 4, 3 * n // 4 - w)
    return [*lines, (left[2], y, right[0], y + w)]


@dataclass(frozen=True)
class Drift:
    """One kind of drift; `size` says in words what progress 1 means.

    change: the imaging conditions at a progress. draw: the layouts that come to that share of the images.
    shrink: share by which everything drawn gets smaller. retarget_nm: every drawn edge moves inwards by this
    much, while what is printed, and so every image, stays as it is.
    """

    size: str
    change: Change | None = None
    draw: Draw | None = None
    shrink: float = 0.0
    retarget_nm: float = 0.0


DRIFTS: Mapping[str, Drift] = {
    "none": Drift("in control"),
    "brightness": Drift("+0.04 of full scale", _brighter(0.04)),
    "contrast": Drift("-15 %", _flatter),
    "blur": Drift("+0.5 px", _blurred),
    "noise": Drift("+25 %", _noisier),
    "gross brightness": Drift("+0.15 of full scale", _brighter(0.15)),
    "pitch": Drift("smallest pitch only", draw=_dense),
    "shrink": Drift("-10 %", shrink=0.1),
    "rotation": Drift("lines turned by 90 degrees", draw=_turned),
    "jogs": Drift("lines with jogs", draw=jogs),
    "bridges": Drift("one bridge per image", draw=_bridged),
    "new family": Drift("contact holes", draw=contact_array),
    "relation": Drift("drawn edges 5 nm further in", retarget_nm=5.0),
}
"""By name. All are scaled by their progress; layouts are replaced in that share of the images."""


class Images(NamedTuple):
    """A piece of a stream: sem and layout (N, 1, S, S) in [0, 1], progress (N,) of the drift."""

    sem: Tensor
    layout: Tensor
    progress: Tensor


def stream(
    drift: str,
    count: int,
    seed: int,
    *,
    start: int = 0,
    ramp: int = 0,
    lots: bool = False,
    most: float = 1.0,
    size: int = SIZE,
) -> Images:
    """Images `start` to `start + count` of a stream; each depends on (drift, seed, its number) alone.

    Args:
        drift: a name of `DRIFTS`.
        start, count: multiples of 25.
        ramp: images over which the drift comes to progress 1; 0 is a step at image 0.
        most: progress at which it stays; with a ramp, more than 1 goes beyond the stated size.
        size: side of the images in pixels.
    """
    if count % LOT or start % LOT:
        raise ConfigError(f"start and count are multiples of {LOT}, not {start} and {count}.")
    parts = []
    step = LOT if ramp or lots else 10 * LOT  # images that share their conditions are simulated together
    for first in range(start, start + count, step):
        progress = most if ramp == 0 else min(most, first / ramp)
        indices = range(first, min(first + step, start + count))
        parts.append(_piece(DRIFTS[drift], seed, indices, progress, lots, size))
    return Images(*(torch.cat(p) for p in zip(*parts, strict=True)))


def measured_stream(drift: str, count: int, seed: int, **how: Any) -> Measured:
    """What the monitors measure of `stream(...)`, without keeping its images."""
    starts = range(0, count, 10 * LOT)
    parts = [
        measure(stream(drift, min(10 * LOT, count - s), seed, start=s, **how).sem, PIXEL_NM) for s in starts
    ]
    return Measured(*(torch.cat(p) for p in zip(*parts, strict=True)))


def _piece(kind: Drift, seed: int, indices: range, progress: float, lots: bool, size: int) -> Images:
    """Images under one set of conditions; with lots, no more than one lot."""
    conditions = _of_lot(DEFAULT, seed, indices.start // LOT) if lots else DEFAULT
    if kind.change is not None:
        conditions = kind.change(conditions, progress)
    layouts = _layouts(kind, progress, seed, indices, size)
    sem = simulate(layouts, conditions, seed, indices).sem
    if kind.retarget_nm:
        layouts = _layouts(kind, progress, seed, indices, size, moved=kind.retarget_nm * progress)
    return Images(sem, layouts.clip, torch.full((len(indices),), progress))


def _of_lot(conditions: ImagingConfig, seed: int, lot: int) -> ImagingConfig:
    """The narrower ranges of one lot: each starts somewhere in the lower half of the whole range."""
    rng = Random(stream_seeds(seed, "drift/lot", [lot])[0])
    narrow: dict[str, Range] = {}
    for name in ("background", "contrast", "edge_signal", "beam_sigma_nm", "charging", "dose", "cd_bias_nm"):
        low, high = getattr(conditions, name)
        begin = low + LOT_SHARE * (high - low) * rng.random()
        narrow[name] = (begin, begin + (1 - LOT_SHARE) * (high - low))
    return dataclasses.replace(conditions, **narrow)  # type: ignore[arg-type]


def _layouts(
    kind: Drift, progress: float, seed: int, indices: range, size: int, moved: float = 0.0
) -> Layouts:
    """Clips with margin; `moved` nm is how far drawn edges lie further in than printed ones ask for."""
    margin, scale = context_px(PIXEL_NM), 1 - kind.shrink * progress
    pixels = size + 2 * margin
    side = math.ceil(pixels / scale)
    drawn = []
    for item in stream_seeds(seed, "drift/layout", indices):
        rng = Random(item)
        width, space = rng.randint(*_RULE), rng.randint(*_RULE)
        replaced = rng.random() < progress  # drawn in any case: lines are then the same in every stream
        draw = kind.draw if kind.draw is not None and replaced else line_space
        rectangles = np.array(draw(rng, side, width, space), dtype=np.float32).reshape(-1, 4) * GRID_NM
        drawn.append(rectangles * scale + np.array([moved, moved, -moved, -moved], dtype=np.float32))
    image = rasterise(drawn, pixels, PIXEL_NM)
    none = [0.0] * len(indices)
    return Layouts(image, ["line_space"] * len(indices), none, none, PIXEL_NM, margin)
