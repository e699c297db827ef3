"""Procedural layout clips: six families of Manhattan patterns, drawn with stated, unequal weights.

The design rule of each clip (minimum width and space) is drawn from the configured ranges and stored with the
clip. Edges lie on the manufacturing grid; at the default 20 nm per pixel clips are exactly binary, at other
pixel sizes a pixel has its covered share. Clip `i` depends on (configuration, seed, i) alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np
from torch import Tensor

from gantrans.config import check_range
from gantrans.data.families import DRAW
from gantrans.data.rasterise import rasterise
from gantrans.data.streams import stream_seeds
from gantrans.errors import ConfigError

FAMILIES = tuple(DRAW)
CONTEXT_NM = 160.0


def context_px(pixel_nm: float) -> int:
    """Pixels of layout that imaging needs around a clip (160 nm or more), within the reach of the blurs."""
    return math.ceil(CONTEXT_NM / pixel_nm)


@dataclass(frozen=True)
class LayoutConfig:
    """Settings of procedural layouts. Lengths in nm; `weights`: shares of the families, as in `FAMILIES`.

    The shares are unequal on purpose, as in a real chip: isolated lines are rare. Each clip's minimum width
    and space are drawn from their ranges on the grid.
    """

    size_px: int = 64
    pixel_nm: float = 20.0
    weights: tuple[float, ...] = (0.30, 0.15, 0.15, 0.15, 0.05, 0.20)
    min_width_nm: tuple[float, float] = (80.0, 140.0)
    min_space_nm: tuple[float, float] = (80.0, 140.0)
    grid_nm: float = 20.0

    def __post_init__(self) -> None:
        check_range(self, "size_px", 8, 4096)
        check_range(self, "pixel_nm", 1.0, 200.0)
        check_range(self, "grid_nm", 1.0, 100.0)
        if len(self.weights) != len(FAMILIES) or min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ConfigError(
                f"LayoutConfig.weights is {self.weights!r}; give {len(FAMILIES)} non-negative numbers"
                f" with a positive sum, one for each of {', '.join(FAMILIES)}."
            )
        for field in ("min_width_nm", "min_space_nm"):
            low, high = getattr(self, field)
            if not 2 * self.grid_nm <= low <= high <= 2000:
                raise ConfigError(
                    f"LayoutConfig.{field} is {(low, high)!r}; it must be a range (low, high) in nm, between"
                    f" twice grid_nm ({2 * self.grid_nm:g}) and 2000."
                )

    def share(self, family: str) -> float:
        """The configured probability of a family."""
        return self.weights[FAMILIES.index(family)] / sum(self.weights)


@dataclass(frozen=True)
class Layouts:
    """A batch of layout clips.

    image: (N, 1, H, W) float32, covered share of each pixel in [0, 1]; 1 = drawn feature. H = size + 2
    margin.
    family: N labels. min_width_nm, min_space_nm: the design rule of each clip, in nm.
    """

    image: Tensor
    family: list[str]
    min_width_nm: list[float]
    min_space_nm: list[float]
    pixel_nm: float
    margin_px: int = 0

    @property
    def clip(self) -> Tensor:
        """The clips without their margin: (N, 1, size, size)."""
        m = self.margin_px
        return self.image[..., m : self.image.shape[-2] - m, m : self.image.shape[-1] - m]


def procedural_layouts(
    config: LayoutConfig, seed: int, indices: Sequence[int], *, margin_px: int = 0
) -> Layouts:
    """Draw the clips `indices` of the unlimited set of clips that belongs to `seed`.

    Args:
        margin_px: pixels of layout on every side (at most `context_px`), for imaging.
    """
    context = context_px(config.pixel_nm)
    if not 0 <= margin_px <= context:
        raise ConfigError(
            f"margin_px is {margin_px}; it must be between 0 and {context} at {config.pixel_nm:g} nm."
        )
    shift = (margin_px - context) * config.pixel_nm
    drawn = [draw_clip(config, context, item) for item in stream_seeds(seed, "layout", indices)]
    rectangles = [clip.rectangles * config.grid_nm + shift for clip in drawn]
    return Layouts(
        image=rasterise(rectangles, config.size_px + 2 * margin_px, config.pixel_nm),
        family=[clip.family for clip in drawn],
        min_width_nm=[clip.width * config.grid_nm for clip in drawn],
        min_space_nm=[clip.space * config.grid_nm for clip in drawn],
        pixel_nm=config.pixel_nm,
        margin_px=margin_px,
    )


class Clip(NamedTuple):
    """One drawn clip; lengths in grid units, the origin at the corner of the field with its full context."""

    family: str
    width: int
    space: int
    rectangles: np.ndarray


def draw_clip(config: LayoutConfig, context: int, item: int) -> Clip:
    """Draw one clip with `context` pixels around it, from the random stream `item`."""
    rng = Random(item)
    family = rng.choices(FAMILIES, config.weights)[0]
    width, space = (
        rng.randint(math.ceil(low / config.grid_nm), math.floor(high / config.grid_nm))
        for low, high in (config.min_width_nm, config.min_space_nm)
    )
    side = math.ceil((config.size_px + 2 * context) * config.pixel_nm / config.grid_nm)
    rectangles = np.array(DRAW[family](rng, side, width, space), dtype=np.float32).reshape(-1, 4)
    if rng.random() < 0.5:
        rectangles = rectangles[:, [1, 0, 3, 2]]  # transpose: exchange x and y
    for low, high in ((0, 2), (1, 3)):  # mirror in x, then in y
        if rng.random() < 0.5:
            rectangles[:, [low, high]] = side - rectangles[:, [high, low]]
    return Clip(family, width, space, rectangles)
