"""What welcomes a learner in lesson 00: the machine, the scales, the map of the course, and a puzzle."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.metrics import iou
from gantrans.teaching.course import MOST_MINUTES, lesson, lessons
from gantrans.teaching.doctor import Check
from gantrans.teaching.plots import COLOURS, Table, describe, image_axes, new_figure, styled
from gantrans.translation import segment
from lessons.lesson00.experiments.first_translator import PIXEL_NM, Images

SPOTS = "AB"


def machine_table(checks: Sequence[Check], *, values: bool) -> Table:
    """The doctor's report; without `values` (a page that is not live) only the verdicts."""
    rows = []
    for check in checks:
        verdict = "✓ ready" if check.ok else "✗ please mend"
        advice = f": {check.advice}" if check.advice and (values or not check.ok) else ""
        rows.append([check.name, check.value if values else "(run the cell)", verdict + advice])
    return Table(["", "this machine", "verdict"], rows, "Is this machine ready?")


def scale_table() -> Table:
    """What the three scales are for, and minutes: of this lesson, and the most that any lesson may take."""
    minutes = lesson("00").minutes
    purpose = {
        "smoke": "proves that everything runs; numbers mean nothing",
        "reduced": "teaches, on two CPU cores",
        "full": "real sizes, on one GPU",
    }
    rows = [[s, purpose[s], f"{minutes[s]:g}", f"{MOST_MINUTES[s]:g}"] for s in purpose]
    return Table(["scale", "what for", "minutes, this lesson", "minutes, any lesson"], rows)


def course_map() -> Table:
    """The lessons, what is built in each, and the minutes that a person needs."""
    rows = [[one.number, one.title, one.builds, f"{one.person_minutes:g}"] for one in lessons()]
    return Table(["", "lesson", "you build", "minutes"], rows)


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
    figure = new_figure(3.6 * (1 + len(answers)), 3.8)
    panels = {"SEM image": made.sem, **{name.replace("_", " "): image for name, image in answers.items()}}
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
