"""Pairs that the repository makes itself: label maps of house fronts, and coloured pictures of them.

A label map says where wall, windows, door and roof are, each in a colour of its own. The picture adds what
the map does not tell: paint, bricks, light, sky, noise. One house is photographed several times, so pictures
of one house belong together: the same house under another light, moved by a few pixels. The set imitates the
facades on which pix2pix was first shown (Tylecek and Sara 2013; Isola et al. 2017), and is drawn by numpy
alone.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lessons.lesson17.pairs import ColourPairs

LABELS = {
    "sky": (0, 0, 120),
    "wall": (0, 90, 230),
    "roof": (170, 60, 0),
    "window": (0, 200, 255),
    "door": (200, 0, 60),
    "shutter": (110, 220, 110),
    "ground": (130, 130, 130),
}
"""The colour of each label in a map, RGB."""
NAMES = tuple(LABELS)
MARGIN = 2
"""Pixels by which two pictures of one house may be moved against each other."""
WALLS = ((214, 190, 150), (188, 104, 84), (222, 216, 204), (170, 176, 150), (150, 166, 190), (226, 190, 96))
ROOFS = ((120, 60, 48), (70, 74, 84), (96, 84, 70))
DOORS = ((96, 52, 30), (36, 70, 52), (40, 56, 104), (120, 30, 34))
SHUTTERS = ((40, 84, 60), (60, 76, 120), (110, 56, 44), (200, 196, 186))

Array = np.ndarray


@dataclass(frozen=True)
class House:
    """What stays the same in all pictures of a house: its map (H, W) of label numbers, paint, bricks."""

    map: Array
    paint: dict[str, Array]
    bricks: bool
    grain: Array  # of the wall, (H, W)


def draw_house(size: int, draw: np.random.Generator) -> House:
    """A house on a canvas of `size` + 2 `MARGIN` pixels; everything follows from `draw`."""
    side = size + 2 * MARGIN
    labels = np.full((side, side), NAMES.index("sky"))

    def fill(name: str, top: int, bottom: int, left: int, right: int) -> None:
        labels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = NAMES.index(name)

    ground = side - MARGIN - int(draw.integers(4, 8))
    storeys, columns = int(draw.integers(2, 4)), int(draw.integers(2, 5))
    left, right = (MARGIN + int(draw.integers(2, 9)) for _ in range(2))
    right = side - right
    eaves = MARGIN + int(draw.integers(11, 18))
    fill("ground", ground, side, 0, side)
    fill("wall", eaves, ground, left, right)
    steep = int(draw.integers(0, 3))  # columns that the roof loses on each side with every row upwards
    for row in range(int(draw.integers(6, 11))):
        fill("roof", eaves - row - 1, eaves - row, left - 2 + steep * row, right + 2 - steep * row)
    height, width = (ground - eaves) // storeys, (right - left) // columns
    tall, wide = max(4, height - int(draw.integers(5, 8))), max(3, width - int(draw.integers(4, 8)))
    shutters = bool(draw.integers(0, 2)) and width - wide >= 4
    entrance = int(draw.integers(0, columns))
    for storey in range(storeys):
        for column in range(columns):
            x = left + column * width + (width - wide) // 2
            if storey == storeys - 1 and column == entrance:
                fill("door", ground - height + 3, ground, x, x + max(wide, 5))
                continue
            y = eaves + storey * height + (height - tall) // 2
            fill("window", y, y + tall, x, x + wide)
            if shutters:
                fill("shutter", y, y + tall, x - 2, x)
                fill("shutter", y, y + tall, x + wide, x + wide + 2)
    return House(labels, _paint(draw), bool(draw.integers(0, 2)), draw.normal(size=labels.shape))


def _paint(draw: np.random.Generator) -> dict[str, Array]:
    """A colour for each part, near one of a few usual ones, in [0, 1]."""

    def near(colours: tuple[tuple[int, int, int], ...], spread: float) -> Array:
        chosen = np.array(colours[int(draw.integers(len(colours)))]) / 255
        return np.clip(chosen * (1 + draw.normal(0, spread, 3)), 0, 1)

    return {
        "wall": near(WALLS, 0.08),
        "roof": near(ROOFS, 0.08),
        "door": near(DOORS, 0.1),
        "shutter": near(SHUTTERS, 0.08),
        "window": near(((44, 54, 70),), 0.1),
        "ground": near(((120, 116, 110), (104, 120, 84)), 0.05),
    }


def photograph(house: House, size: int, draw: np.random.Generator) -> tuple[Array, Array]:
    """One picture of a house: the map in the colours of `LABELS`, and the picture, (S, S, 3) uint8 each."""
    top, left = (int(v) for v in draw.integers(0, 2 * MARGIN + 1, 2))
    cut = np.s_[top : top + size, left : left + size]
    picture = _lit(house, draw)[cut]
    soft = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
    for axis in (0, 1):
        soft = (soft + np.roll(soft, 1, axis)) / 2 if axis else (np.roll(soft, -1, axis) + soft) / 2
    picture = 0.5 * picture + 0.5 * soft[1:-1, 1:-1] + draw.normal(0, 0.02, picture.shape)
    colours = np.array(list(LABELS.values()), dtype=np.uint8)
    return colours[house.map[cut]], np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def _lit(house: House, draw: np.random.Generator) -> Array:
    """The whole canvas in colour, under a light of its own."""
    side = len(house.map)
    row, column = np.mgrid[0:side, 0:side]
    picture = np.zeros((side, side, 3))
    high, low = (np.array(c) / 255 for c in ((96, 146, 206), (206, 220, 232)))
    cloudy = draw.uniform(0, 0.7)
    sky = high + (low - high) * np.clip(row / side + cloudy, 0, 1)[..., None]
    for number, name in enumerate(NAMES):
        where = house.map == number
        picture[where] = sky[where] if name == "sky" else house.paint[name]
    joints = (row % 4 == 0) | ((column + 3 * (row // 4 % 2)) % 7 == 0)
    strength = {
        "wall": 1 + 0.03 * house.grain - (0.22 * joints if house.bricks else 0),
        "roof": 1 - 0.25 * (row % 3 == 0) + 0.04 * house.grain,
        "door": 1 - 0.3 * (column % 3 == 0),
        "window": 1 + 0.9 * ((row + column) % 16 < 5),
        "shutter": 1 - 0.25 * (row % 2),
        "ground": 1 + 0.08 * house.grain,
    }
    for name, factor in strength.items():
        where = house.map == NAMES.index(name)
        picture[where] *= np.broadcast_to(factor, where.shape)[where][:, None]
    glass = house.map == NAMES.index("window")
    rim = glass & ~(
        np.roll(glass, 1, 0) & np.roll(glass, -1, 0) & np.roll(glass, 1, 1) & np.roll(glass, -1, 1)
    )
    picture[rim] = 0.86
    above = np.roll(house.map == NAMES.index("roof"), 2, 0) & (house.map == NAMES.index("wall"))
    picture[above] *= 0.72  # the shadow of the eaves
    warm = np.array((1.0, 1.0, 1.0)) + draw.uniform(-0.06, 0.06) * np.array((1.0, 0.2, -1.0))
    slope = 1 + draw.uniform(-0.12, 0.12) * (2 * column / side - 1)
    return np.asarray(picture * warm * slope[..., None] * draw.uniform(0.85, 1.12))


def facades(houses: int = 20, views: int = 2, size: int = 64, seed: int = 0) -> ColourPairs:
    """`views` pictures of each of `houses` houses, named `house00_0`, `house00_1` and so on.

    House and picture depend on the seed and their own numbers alone, so more houses leave the first ones as
    they are. Values are multiples of 1/255, as in the PNG files that can be made of them.
    """
    names, given, wanted = [], [], []
    for number in range(houses):
        house = draw_house(size, np.random.default_rng([seed, number]))
        for view in range(views):
            label, picture = photograph(house, size, np.random.default_rng([seed, number, view]))
            names.append(f"house{number:02d}_{view}")
            given.append(label)
            wanted.append(picture)
    return ColourPairs(tuple(names), _unit(given), _unit(wanted))


def _unit(images: list[Array]) -> Tensor:
    """Images (S, S, 3) uint8 -> (N, 3, S, S) float32 in [0, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
