"""What welcomes a learner in lesson 00: a puzzle, and the map of the course."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.metrics import iou
from gantrans.teaching.course import lessons
from gantrans.teaching.plots import COLOURS, describe, image_axes, new_figure, styled
from gantrans.translation import segment
from lessons.lesson00.experiments.first_translator import PIXEL_NM, Images

SPOTS = "AB"
INK, GREY = "#222222", "#8A8A8A"


@dataclass(frozen=True)
class CoursePart:
    """A part of the course: the numbers of its first and last lesson, and what one owns at its end.

    `planned` are titles of lessons that may not be written yet.
    """

    name: str
    first: int
    last: int
    owned: str
    of: str
    planned: Mapping[str, str] = field(default_factory=dict)


PARTS = (
    CoursePart("I  a diffusion model", 1, 3, "my_diffusion.py", "noise in, images out"),
    CoursePart("II  a translator", 4, 9, "my_pix2pix.py", "a folder of pairs in, a translator out"),
    CoursePart("III  a system", 10, 13, "my_loop.py", "metrics, a monitor, a gate, days"),
    CoursePart(
        "IV  a choice", 14, 99, "a table for your data", "quality, interval, latency",
        {"14": "GAN or diffusion?", "15": "Faster", "16": "Beyond images"},
    ),
)  # fmt: skip


def rows_of(part: CoursePart) -> list[tuple[str, bool]]:
    """The lessons of a part, "01 Noise schedules", each with whether there is such a page."""
    there = {one.number: one.title for one in lessons()}
    titles = {n: title for n, title in {**part.planned, **there}.items() if part.first <= int(n) <= part.last}
    return [(f"{n} {titles[n]}", n in there) for n in sorted(titles)]


@styled
def course_map(parts: Sequence[CoursePart] = PARTS) -> Figure:
    """The parts side by side: lessons, and at the foot what one owns. What is not written yet is grey."""
    figure = new_figure(9.6, 3.5)
    for i, (ax, part) in enumerate(zip(figure.subplots(1, len(parts)), parts, strict=True)):
        rows = rows_of(part)
        written = any(there for _, there in rows)
        colour = COLOURS[i] if written else GREY
        ax.set(xlim=(0, 1), ylim=(0, 10), xticks=[], yticks=[])
        ax.grid(visible=False)
        for spine in ax.spines.values():
            spine.set(visible=True, color=colour)
        ax.set_title(part.name, color=colour, loc="left", weight="bold")
        for row, (title, there) in enumerate(rows):
            ax.text(0.05, 9.3 - 1.05 * row, title, va="center", fontsize=8.5, color=INK if there else GREY)
        if not written:
            below = 9.3 - 1.05 * len(rows)
            ax.text(0.05, below, "not written yet", va="center", fontsize=8.5, style="italic", color=GREY)
        ax.text(0.05, 2.3, "you will own" if written else "you will own, later", fontsize=8.5, color=GREY)
        mono = {"family": "monospace"} if part.owned.endswith(".py") else {}
        ax.text(0.05, 1.4, part.owned, fontsize=9.5, weight="bold", color=colour, **mono)
        ax.text(0.05, 0.5, part.of, fontsize=7.5, color=INK if written else GREY)
        said = "; ".join(title + ("" if there else " (not written yet)") for title, there in rows)
        describe(ax, f"Part {part.name}: {said}. You will own {part.owned}.")
    return figure


class Puzzle(NamedTuple):
    """A clip, (1, S, S), and two spots (row, column): one drawn and one not, named from left to right."""

    sem: Tensor
    layout: Tensor
    spots: tuple[tuple[int, int], tuple[int, int]]

    @property
    def answer(self) -> str:
        """Which spot is drawn: "only A" or "only B"."""
        drawn = [float(self.layout[0, r, c]) > 0.5 for r, c in self.spots]
        return f"only {SPOTS[drawn.index(True)]}"


def puzzle(test: Images) -> Puzzle:
    """The half-filled clip on which Otsu does worst; the spots are the innermost drawn and space pixels."""
    from scipy.ndimage import distance_transform_edt

    score = iou(segment(test.sem, "gaussian1_otsu"), test.layout)
    filled = test.layout.mean((1, 2, 3))
    chosen = int(torch.where((filled > 0.3) & (filled < 0.6), score, score + 1).argmin())
    drawn = test.layout[chosen, 0].numpy() > 0.5
    inside = np.zeros(drawn.shape)
    edge = len(drawn) // 8  # keep spots away from the border
    inside[edge:-edge, edge:-edge] = 1
    deepest = [
        np.unravel_index(np.argmax(distance_transform_edt(m) * inside), m.shape) for m in (drawn, ~drawn)
    ]
    first, second = sorted(((int(r), int(c)) for r, c in deepest), key=lambda spot: spot[1])
    return Puzzle(test.sem[chosen], test.layout[chosen], (first, second))


@styled
def puzzle_figure(made: Puzzle, **answers: Tensor) -> Figure:
    """The SEM image with the spots, and beside it any answers (1, S, S): `puzzle_figure(p, layout=...)`."""
    panels = {"SEM image": made.sem, **{name.replace("_", " "): image for name, image in answers.items()}}
    side = min(3.6, 9.6 / len(panels))
    figure = new_figure(side * len(panels), side + 0.4)
    for ax, (name, image) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        image_axes(image, name, ax=ax, pixel_nm=PIXEL_NM)
        for letter, (row, column) in zip(SPOTS, made.spots, strict=True):
            box = {"boxstyle": "circle,pad=0.25", "facecolor": COLOURS[1], "edgecolor": "white"}
            ax.text(column, row, letter, color="white", weight="bold", ha="center", va="center", bbox=box)
    places = " and ".join(f"{s} at row {r}, column {c}" for s, (r, c) in zip(SPOTS, made.spots, strict=True))
    describe(figure.axes[0], f"An SEM image with two marked spots, {places}.")
    return figure
