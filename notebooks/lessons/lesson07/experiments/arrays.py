"""Regular arrays and what breaks their rule: clips for asking whether a network sees or only expects.

Two families, lines and contacts, each with one pitch per clip. An irregular clip is a regular one with one
thing changed inside the field: a line left out, a space widened, or a contact doubled. Clip `i` depends on
(seed, stream, i) alone. Lengths are pixels of 20 nm, the manufacturing grid.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gantrans.data import PRESETS, Layouts, PairedDataset, context_px, simulate
from gantrans.data.rasterise import Rectangle, rasterise
from gantrans.data.streams import stream_seeds
from gantrans.errors import ConfigError
from gantrans.images import uint8_from_unit
from gantrans.metrics.topology import label_features

PIXEL_NM = 20.0
KINDS = ("missing line", "wider gap", "doubled contact")
REGULAR = ("lines", "contacts")
DIM = replace(PRESETS["hard"], dose=(12.0, 24.0), contrast=(0.05, 0.20), edge_dropout=0.9)
"""Few electrons, little contrast and edges that fade: images in which expecting can win over seeing."""
SPECK_PX = 8
"""Smaller features do not count; the smallest contact has twice as many pixels."""


class Place(NamedTuple):
    """Where a clip is irregular: rows y0 to y1 and columns x0 to x1 (exclusive).

    drawn: how many features are there, 0 or 2; a regular array would have 1.
    area: pixels of the feature that a regular array would have there.
    """

    y0: int
    x0: int
    y1: int
    x1: int
    drawn: int
    area: int


@dataclass(frozen=True)
class Arrays:
    """Pairs of SEM images and layouts; `places` holds one place per pair, None where the array is regular."""

    pairs: PairedDataset
    places: list[Place | None]


def make_arrays(count: int, regular_share: float, seed: int, split: str, *, size: int = 64) -> Arrays:
    """`count` clips, of which the first round(count * regular_share) are regular; kinds take turns.

    Args:
        split: "train" or "test"; they share no random stream.

    Raises:
        ConfigError: a share outside [0, 1].
    """
    if not 0.0 <= regular_share <= 1.0:
        raise ConfigError(f"regular_share is {regular_share!r}; it must be between 0 and 1.")
    regular = round(count * regular_share)
    kinds = [REGULAR[i % 2] if i < regular else KINDS[i % 3] for i in range(count)]
    margin = context_px(PIXEL_NM)
    (stream,) = stream_seeds(seed, f"arrays/{split}", [0])
    drawn = [
        draw_array(kind, item, size, margin)
        for kind, item in zip(kinds, stream_seeds(stream, "array", range(count)), strict=True)
    ]
    rectangles = [np.array(r, dtype=np.float32).reshape(-1, 4) * PIXEL_NM for r, _ in drawn]
    image = rasterise(rectangles, size + 2 * margin, PIXEL_NM)
    rule = [4 * PIXEL_NM] * count  # nothing drawn here is narrower
    layouts = Layouts(image, kinds, rule, rule, PIXEL_NM, margin)
    sem = simulate(layouts, DIM, stream, range(count)).sem
    names = [f"arrays-{split}-{seed}-{i:05d}" for i in range(count)]
    pairs = PairedDataset(uint8_from_unit(sem), uint8_from_unit(layouts.clip), kinds, PIXEL_NM, names)
    return Arrays(pairs, [place for _, place in drawn])


def draw_array(kind: str, item: int, size: int, margin: int) -> tuple[list[Rectangle], Place | None]:
    """Rectangles in px of the field with its margin, and the irregular place in px of the clip without it."""
    rng = Random(item)
    contacts = kind in ("contacts", "doubled contact")
    rectangles, place = (_contacts if contacts else _lines)(rng, kind, size, margin)
    if rng.random() < 0.5:  # lines along x instead of y
        rectangles = [(y0, x0, y1, x1) for x0, y0, x1, y1 in rectangles]
        place = place and Place(place.x0, place.y0, place.x1, place.y1, place.drawn, place.area)
    return rectangles, place


def _lines(rng: Random, kind: str, size: int, margin: int) -> tuple[list[Rectangle], Place | None]:
    side = size + 2 * margin
    line, space = rng.randint(5, 6), rng.randint(5, 7)
    pitch = line + space
    starts = list(range(-rng.randrange(pitch), side, pitch))
    place = None
    if kind in ("missing line", "wider gap"):
        inside = [k for k, x in enumerate(starts) if margin + pitch <= x <= margin + size - 2 * pitch]
        chosen = rng.choice(inside)
        if kind == "missing line":
            x = starts.pop(chosen)
            gap = (x - space, x + line + space)
        else:
            wider = rng.randint(pitch // 2, pitch - 2)
            starts = [x if k < chosen else x + wider for k, x in enumerate(starts)]
            gap = (starts[chosen - 1] + line, starts[chosen])
        place = Place(0, gap[0] - margin, size, gap[1] - margin, 0, line * size)
    return [(x, 0, x + line, side) for x in starts], place


def _contacts(rng: Random, kind: str, size: int, margin: int) -> tuple[list[Rectangle], Place | None]:
    side, hole = size + 2 * margin, rng.randint(4, 5)
    pitch_x, pitch_y = rng.randint(14, 17), rng.randint(10, 14)
    columns = list(range(-rng.randrange(pitch_x), side, pitch_x))
    rows = list(range(-rng.randrange(pitch_y), side, pitch_y))
    holes = [(x, y) for y in rows for x in columns]
    place = None
    if kind == "doubled contact":
        first, last = margin + 6, margin + size - hole - 6
        x, y = rng.choice([(x, y) for x, y in holes if first <= x <= last and first - 4 <= y <= last + 4])
        left = x - (hole + 4) // 2  # the pair stands about the site, with four pixels between its contacts
        right = left + hole + 4
        holes = [h for h in holes if h != (x, y)] + [(left, y), (right, y)]
        y0, x0, y1, x1 = (e - margin for e in (y - 2, left - 1, y + hole + 2, right + hole + 1))
        place = Place(y0, x0, y1, x1, 2, hole * hole)
    return [(x, y, x + hole, y + hole) for x, y in holes], place


def crop(image: Tensor, place: Place) -> Tensor:
    """The irregular place of an image (..., H, W)."""
    return image[..., place.y0 : place.y1, place.x0 : place.x1]


def count_features(image: Tensor) -> Tensor:
    """Features of at least `SPECK_PX` pixels in each of a batch (N, 1, H, W) in [0, 1]: int64 (N,)."""
    labels, image_of = label_features(image, diagonal=False)
    large = np.bincount(labels.ravel(), minlength=len(image_of))[1:] >= SPECK_PX
    return torch.from_numpy(np.bincount(image_of[1:][large], minlength=len(image)).astype(np.int64))


def without_specks(image: Tensor) -> Tensor:
    """The binary images (N, 1, H, W), 0 or 1, of those features."""
    labels, image_of = label_features(image, diagonal=False)
    large = np.bincount(labels.ravel(), minlength=len(image_of)) >= SPECK_PX
    large[0] = False
    return torch.from_numpy(large[labels]).float().unsqueeze(1)


def completed(image: Tensor, place: Place) -> bool:
    """Whether a predicted layout (1, H, W) in [0, 1] shows at the irregular place what the array's rule says.

    The rule says one feature. Where nothing is drawn, at least half of its area must be there; where two
    contacts are drawn, the area must be nearer to that of one than to that of none or of two.
    """
    features = int((crop(image, place) > 0.5).sum()) / place.area
    return features >= 0.5 and (features < 1.5 or place.drawn == 0)
