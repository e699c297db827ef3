"""Lesson 16: layout clips of known parameters, their captions, and a reader of both.

A clip of 32 pixels of 20 nm shows one to three parallel lines and up to two square contacts beside them. A
line steps aside at a jog; a clip has no jog, one, or two on the same line (aside and back). Lines begin on
tracks, as in a real chip, and all widths and spaces are at least three pixels. The same five parameters stand
in the caption, and `read` finds them in an image, so that "does the picture follow the words?" is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import product
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantrans.data.rasterise import Rectangle, rasterise
from gantrans.data.streams import stream_seeds
from gantrans.metrics.topology import label_features

SIDE, PIXEL_NM, RULE = 32, 20, 3
"""Pixels of a clip, nanometres of a pixel, and least width and space in pixels."""
TRACK, TRACKS = 4, 8
"""Lines begin on tracks: pixels from one to the next, and how many there are. A jog leads to the next track,
and a contact is as wide as a track."""
JOG_TRACKS: tuple[tuple[tuple[int, ...], ...], ...] = (((),), ((3,), (4,)), ((1, 5), (2, 5)))
CONTACT_TRACKS: tuple[tuple[tuple[int, ...], ...], ...] = (((),), ((3,), (4,)), ((1, 5), (2, 6)))
"""Where jogs and contacts may stand along a line, by their number: all tracks that one clip has of them."""


@dataclass(frozen=True)
class Layout:
    """What a caption says: lines, their orientation and width in nm, jogs and contacts.

    `read` gives None where an image does not show a parameter.
    """

    lines: int | None
    orientation: str | None
    width: int | None
    jogs: int | None
    contacts: int | None


PARAMETERS = tuple(field.name for field in fields(Layout))
VALUES: dict[str, tuple[int | str, ...]] = {
    "lines": (1, 2, 3),
    "orientation": ("vertical", "horizontal"),
    "width": (60, 80, 100),
    "jogs": (0, 1, 2),
    "contacts": (0, 1, 2),
}


def layouts(held_out: bool | None = None) -> list[Layout]:
    """The 162 combinations; `held_out`: only the 18 that no training clip has, or only the 144 others.

    The 18 are an orthogonal array: every value of a parameter, and every pair of values of two parameters, is
    in both parts. So what is new about them is only how they are combined.
    """
    chosen = []
    for places in product(*(range(len(VALUES[name])) for name in PARAMETERS)):
        lines, _, width, jogs, contacts = places
        apart = (lines + width + jogs) % 3 == 0 and (width + 2 * jogs + contacts) % 3 == 0
        if held_out is None or apart == held_out:
            values = [VALUES[name][place] for name, place in zip(PARAMETERS, places, strict=True)]
            chosen.append(Layout(*values))  # type: ignore[arg-type]
    return chosen


# ---- drawing


def draw_all(wanted: Sequence[Layout], seed: int) -> Tensor:
    """A clip for each layout: float32 (N, 1, 32, 32), -1 or 1 (drawn).

    Where lines, jogs and contacts stand is random; clip i depends on (layout, seed, i) alone.
    """
    clips = [
        np.array(_rectangles(layout, Random(item)), dtype=np.float32)
        for layout, item in zip(wanted, stream_seeds(seed, "captions", range(len(wanted))), strict=True)
    ]
    return 2 * rasterise(clips, SIDE, 1.0) - 1


def _rectangles(layout: Layout, rng: Random) -> list[Rectangle]:
    """Rectangles in pixels, of vertical lines first; `horizontal` exchanges x and y."""
    lines, width, jogs, contacts = (
        int(value or 0) for value in (layout.lines, layout.width, layout.jogs, layout.contacts)
    )
    wide = int(width > TRACK * PIXEL_NM)  # such a line does not fit onto the last track
    aside, reach = int(jogs > 0), 2 * (lines - 1)
    beside = aside + 2 if contacts else aside  # tracks that are needed outside the last line
    free = {False: TRACKS - wide * (contacts == 0), True: TRACKS - wide}  # by whether it is mirrored
    mirrored = rng.choice([side for side, room in free.items() if reach + beside < room])
    first = rng.randrange(free[mirrored] - reach - beside)
    tracks, step, outer = [first + 2 * i for i in range(lines)], aside, first + reach + beside
    if mirrored:  # jog and contacts on the other side
        last = free[mirrored] - 1
        tracks, step, outer = [last - track for track in tracks], -aside, last - outer
    found: list[Rectangle] = []
    for track in tracks[:-1]:
        found.append((TRACK * track, 0, TRACK * track + width // PIXEL_NM, SIDE))
    found += _jogging(TRACK * tracks[-1], TRACK * step, width // PIXEL_NM, jogs, rng)
    for row in rng.choice(CONTACT_TRACKS[contacts]):
        found.append((TRACK * outer, TRACK * row, TRACK * (outer + 1), TRACK * (row + 1)))
    if layout.orientation == "horizontal":
        found = [(y0, x0, y1, x1) for x0, y0, x1, y1 in found]
    return found


def _jogging(x: int, step: int, width: int, jogs: int, rng: Random) -> list[Rectangle]:
    """One line that steps aside at a jog, and back at the second one, as rectangles that only abut."""
    tops = [TRACK * track for track in rng.choice(JOG_TRACKS[jogs])]
    here, there, above = x, x + step, 0
    if rng.random() < 0.5 and jogs == 1:
        here, there = there, here
    found: list[Rectangle] = []
    for top in tops:
        found.append((here, above, here + width, top))
        found.append((min(here, there), top, max(here, there) + width, top + width))
        here, there, above = there, here, top + width
    return [*found, (here, above, here + width, SIDE)]


# ---- reading


def read(images: Tensor) -> list[Layout]:
    """The parameters of each image: (N, 1, 32, 32), drawn above 0 -> N layouts, None where nothing is found.

    A line reaches from one border to the opposite one. A contact is a feature of 3 to 5 pixels each way that
    fills its square nearly. Features that are neither make `contacts` None; lines in both directions, or
    none, leave all parameters of lines None.
    """
    drawn = (images > 0).float()
    labels, owner = label_features(drawn, diagonal=False)
    by_image: list[list[NDArray[np.bool_]]] = [[] for _ in range(len(images))]
    for number in range(1, len(owner)):
        image = int(owner[number])
        by_image[image].append(labels[image] == number)
    return [_layout(features) for features in by_image]


def _layout(features: list[NDArray[np.bool_]]) -> Layout:
    down = [f for f in features if f[0].any() and f[-1].any()]
    across = [f for f in features if f[:, 0].any() and f[:, -1].any()]
    others = [f for f in features if not any(f is line for line in (*down, *across))]
    contacts = len(others) if all(map(_is_contact, others)) else None
    if bool(down) == bool(across):
        return Layout(None, None, None, None, contacts)
    lines = down or [f.T for f in across]
    widths = [line.sum(axis=1) for line in lines]
    width = int(np.median(np.concatenate(widths)))
    jogs = sum(_jogs(line, width) for line in lines)
    return Layout(len(lines), "vertical" if down else "horizontal", width * PIXEL_NM, jogs, contacts)


def _is_contact(feature: NDArray[np.bool_]) -> bool:
    rows, columns = feature.any(axis=1).sum(), feature.any(axis=0).sum()
    square = max(rows, columns) <= TRACK + 1 and min(rows, columns) >= TRACK - 1
    return bool(square and feature.sum() >= 0.8 * rows * columns)


def _jogs(line: NDArray[np.bool_], width: int) -> int:
    """How often a vertical line steps aside: changes of its middle by 2 px or more, where it is not wide."""
    plain = line[np.abs(line.sum(axis=1) - width) <= 1]
    places = np.arange(line.shape[1])
    middles = [float(places[row].mean()) for row in plain]
    jumps, here = 0, middles[0] if middles else 0.0
    for middle in middles:
        if abs(middle - here) >= TRACK / 2:
            jumps, here = jumps + 1, middle
    return jumps


def agreement(wanted: Sequence[Layout], images: Tensor) -> dict[str, float]:
    """Share of images that show what was asked for: by parameter, and "all" five at once.

    A parameter that was not asked for (None in `wanted`) agrees with everything.
    """
    found = read(images)
    pairs = list(zip(wanted, found, strict=True))
    right = {
        name: torch.tensor([getattr(w, name) in (None, getattr(f, name)) for w, f in pairs])
        for name in PARAMETERS
    }
    shares = {name: float(hits.float().mean()) for name, hits in right.items()}
    return {**shares, "all": float(torch.stack(list(right.values())).all(dim=0).float().mean())}
