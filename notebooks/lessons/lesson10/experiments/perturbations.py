"""Lesson 10: ten faults at graded strengths, drawn into layouts.

A fault is applied to the true layout; then "ordinary" imperfections come on top, the same for every fault:
edges that wander by a quarter of a pixel and a little blur, as a good translator's have. How far every metric
then moves is in `blindness`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from gantrans.data.layouts import LayoutConfig, context_px, procedural_layouts
from gantrans.data.printing import gaussian_operator
from gantrans.errors import ConfigError, DataError
from gantrans.metrics import compare_topology

PIXEL_NM = 20.0
MARGIN = context_px(PIXEL_NM)
WANDER_PX, WANDER_LENGTH_PX, SOFT_PX = 0.25, 4.0, 0.6
Place = Callable[[Tensor, int, np.random.Generator], Iterator[Tensor]]


@dataclass(frozen=True)
class Fault:
    """One kind of fault: its graded strengths, weakest first, and their unit.

    `draw(wide, strength, seed)` returns faulty layouts and (N,) which images could have it: a bridge needs
    two features side by side.
    """

    levels: tuple[float, ...]
    unit: str
    draw: Callable[[Tensor, float, int], tuple[Tensor, Tensor]]


# ---- the same everywhere


def _everywhere(change: Callable[[Tensor, float, int], Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    def draw(wide: Tensor, strength: float, seed: int) -> tuple[Tensor, Tensor]:
        return change(wide, strength, seed), torch.ones(len(wide), dtype=torch.bool)

    return draw


def shifted(wide: Tensor, pixels: float, seed: int = 0) -> Tensor:
    """Moved down and right by `pixels` each; fractions by linear interpolation."""
    whole, part = int(pixels), pixels - int(pixels)
    moved = wide.roll((whole, whole), (-2, -1))
    if part:
        moved = (1 - part) * moved + part * moved.roll(1, -1)
        moved = (1 - part) * moved + part * moved.roll(1, -2)
    return moved


def rotated(wide: Tensor, degrees: float, seed: int = 0) -> Tensor:
    """Turned about the centre: a misalignment that no shift mends."""
    angle = torch.deg2rad(torch.tensor(degrees))
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(())
    matrix = torch.stack([torch.stack([cos, -sin, zero]), torch.stack([sin, cos, zero])])
    grid = F.affine_grid(matrix.expand(len(wide), -1, -1), list(wide.shape), align_corners=False)
    return F.grid_sample(wide, grid, padding_mode="border", align_corners=False).clamp(0, 1)


def blurred(wide: Tensor, sigma_px: float, seed: int = 0) -> Tensor:
    """Gaussian blur."""
    blur = gaussian_operator(wide.shape[-1], torch.tensor([sigma_px]))[0]
    return blur @ wide @ blur.T


def noisy(wide: Tensor, sigma: float, seed: int) -> Tensor:
    """White noise of standard deviation `sigma`, clipped to [0, 1]."""
    draw = torch.Generator().manual_seed(seed)
    return (wide + sigma * torch.randn(wide.shape, generator=draw)).clamp(0, 1)


def widened(wide: Tensor, pixels: float, seed: int = 0) -> Tensor:
    """CD bias: every feature wider by `pixels` (a multiple of 0.5), half of it on each side."""
    if pixels % 0.5:
        raise ConfigError(f"A CD bias of {pixels} px cannot be drawn; give a multiple of 0.5 px.")
    fine = F.interpolate(wide, scale_factor=4.0, mode="nearest")
    reach = round(2 * pixels)  # quarter pixels per edge
    return F.avg_pool2d(F.max_pool2d(fine, 2 * reach + 1, stride=1, padding=reach), 4)


def chequered(wide: Tensor, amplitude: float, seed: int = 0) -> Tensor:
    """A checkerboard of period 2 px, as transposed convolutions draw it; clipped to [0, 1]."""
    x = torch.arange(wide.shape[-1])
    return (wide + amplitude * (1 - 2.0 * ((x[:, None] + x) % 2))).clamp(0, 1)


# ---- at one place: tried until topology agrees that it is this fault and no other


def _at_places(candidates: Place, kind: str, count: bool = False) -> Callable[..., tuple[Tensor, Tensor]]:
    """A fault of topology `kind`, once per image and `strength` px wide; or `strength` times if `count`."""

    def draw(wide: Tensor, strength: float, seed: int) -> tuple[Tensor, Tensor]:
        made, possible = wide.clone(), torch.zeros(len(wide), dtype=torch.bool)
        size, times = (0, int(strength)) if count else (int(strength), 1)
        for i in range(len(wide)):
            rng = np.random.default_rng([seed, i])
            for wanted in range(1, times + 1):
                for attempt in candidates(made[i, 0], size, rng):
                    found = compare_topology(centre(attempt[None, None]), centre(wide[i : i + 1]))
                    if int(getattr(found, kind)) == wanted == int(found.defects):
                        made[i, 0], possible[i] = attempt, wanted == times
                        break
        return made, possible

    return draw


def _across(image: Tensor, value: bool, rng: np.random.Generator) -> Iterator[tuple[int, int, int, bool]]:
    """Runs of `value` along rows or columns in random order: line, first, last pixel, and if transposed."""
    runs = []
    for turned in (False, True):
        mask = (image.T if turned else image).numpy() > 0.5
        step = np.diff((mask == value).astype(np.int8), axis=1)
        for line in range(MARGIN + 2, len(mask) - MARGIN - 6):
            starts, ends = np.flatnonzero(step[line] == 1) + 1, np.flatnonzero(step[line] == -1)
            for first in starts:
                last = ends[ends >= first][:1]
                inside = first > MARGIN + 1 and len(last) and last[0] < len(mask) - MARGIN - 2
                if inside and last[0] - first < 12:
                    runs.append((line, int(first), int(last[0]), turned))
    for k in rng.permutation(len(runs))[:40]:
        yield runs[k]


def _painted(value: float) -> Place:
    def places(image: Tensor, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
        for line, first, last, turned in _across(image, value < 0.5, rng):
            made = image.clone()
            (made.T if turned else made)[line : line + size, first : last + 1] = value
            yield made

    return places


def without_one(image: Tensor, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """The small features first: those that are easily overlooked."""
    labels, count = ndimage.label(image.numpy() > 0.5)
    for label in np.argsort(np.bincount(labels.ravel(), minlength=count + 1)[1:], kind="stable")[:20] + 1:
        yield image * torch.from_numpy(labels != label)


def with_square(image: Tensor, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """A square of 4 px where nothing is near."""
    side, away = 4, 2
    free = ndimage.minimum_filter(image.numpy() < 0.5, side + 2 * away)
    inside = np.zeros_like(free)
    inside[MARGIN + 3 : -MARGIN - 3, MARGIN + 3 : -MARGIN - 3] = True
    rows, columns = np.nonzero(free & inside)
    for k in rng.permutation(len(rows))[:20]:
        made, half = image.clone(), side // 2
        made[rows[k] - half : rows[k] + half, columns[k] - half : columns[k] + half] = 1.0
        yield made


FAULTS: Mapping[str, Fault] = {
    "shift": Fault((0.25, 0.5, 1.0, 2.0), "px", _everywhere(shifted)),
    "rotation": Fault((0.25, 0.5, 1.0, 2.0), "degrees", _everywhere(rotated)),
    "blur": Fault((0.5, 1.0, 1.5, 2.0), "px", _everywhere(blurred)),
    "noise": Fault((0.05, 0.1, 0.2, 0.4), "", _everywhere(noisy)),
    "CD bias": Fault((0.5, 1.0, 2.0, 3.0), "px", _everywhere(widened)),
    "checkerboard": Fault((0.05, 0.1, 0.2, 0.4), "", _everywhere(chequered)),
    "bridge": Fault((1.0, 2.0, 3.0, 4.0), "px", _at_places(_painted(1.0), "bridges")),
    "open": Fault((1.0, 2.0, 3.0, 4.0), "px", _at_places(_painted(0.0), "opens")),
    "missing feature": Fault((1.0, 2.0, 3.0, 4.0), "", _at_places(without_one, "missing", count=True)),
    "extra feature": Fault((1.0, 2.0, 3.0, 4.0), "", _at_places(with_square, "extra", count=True)),
}
"""The faults by name. Lengths in px of 20 nm; a bridge's is its width, an open's its gap."""


# ---- the layouts and what a good output of them looks like


def centre(wide: Tensor) -> Tensor:
    """The clip without its margin."""
    return wide[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def ordinary(wide: Tensor, seed: int) -> Tensor:
    """The imperfections of a good output: edges that wander and a little blur. The same for equal seeds."""
    side = wide.shape[-1]
    draw = torch.Generator().manual_seed(seed)
    field = torch.randn(2, side, side, generator=draw).expand(len(wide), -1, -1, -1)
    smooth = gaussian_operator(side, torch.tensor([WANDER_LENGTH_PX]))[0]
    field = smooth @ field @ smooth.T
    field = field / field.std() * (2 * WANDER_PX / side)  # in units of half the image
    x = (torch.arange(side) * 2 + 1) / side - 1
    grid = torch.stack(torch.meshgrid(x, x, indexing="xy"), -1) + field.permute(0, 2, 3, 1)
    moved = F.grid_sample(wide, grid, padding_mode="border", align_corners=False)
    return blurred(moved, SOFT_PX).clamp(0, 1)


def layouts(count: int, size: int, seed: int) -> Tensor:
    """True layouts with `MARGIN` px around them: (count, 1, size + 2 MARGIN, size + 2 MARGIN) in {0, 1}.

    The first ones of a longer series whose good outputs have no defect: at the border a clip may show a
    sliver of a feature, which wandering edges would lose.
    """
    drawn = procedural_layouts(LayoutConfig(size, PIXEL_NM), seed, range(3 * count), margin_px=MARGIN).image
    clean = compare_topology(centre(ordinary(drawn, seed)), centre(drawn)).defects == 0
    if int(clean.sum()) < count:
        raise DataError(f"Only {int(clean.sum())} of {3 * count} layouts stay whole; ask for fewer.")
    return drawn[clean][:count]
