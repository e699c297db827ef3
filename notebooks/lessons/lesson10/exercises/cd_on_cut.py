"""Lesson 10: critical dimensions along one cut line."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="cd_on_cut",
    lesson="10",
    title="Widths on a cut line",
    difficulty=3,
    minutes=15,
    spec="""
    `values` are the grey values along one row, pixel centres at 0, 1, 2, ... A feature is a run of pixels
    above 0.5. Each of its edges lies where a straight line between the last pixel outside and the first one
    inside crosses 0.5. Return the widths of all features in nm, from left to right, as plain floats. A
    feature that touches an end of the row has an unknown width: leave it out.
    """,
    hints=(
        "An edge lies between pixels i and i + 1 if exactly one of them is above 0.5.",
        "Its place is `i + (0.5 - a) / (b - a)` for values a and b: a rising edge starts a feature, a "
        "falling one ends it.",
        "Collect risings and fallings in order. A falling edge without a rising one before it belongs to a "
        "feature that the border cuts off.",
    ),
    source="gantrans.metrics.critical_dimension; SEMI P35.",
    equivalent={
        "`values.tolist()` -> `values`": "one-element tensors compute as the floats do",
        "drop `start = None`": "between two falling edges there is always a rising one",
        "12.20 `None` -> `0`": "as above: the value is overwritten before it is read",
    },
)


@ex.reference
def cd_on_cut(values: Tensor, pixel_nm: float) -> list[float]:
    """Grey values (W,) along a row -> widths in nm of the features that lie wholly inside, left to right."""
    row = values.tolist()
    widths, start = [], None
    for i in range(len(row) - 1):
        a, b = row[i], row[i + 1]
        if a <= 0.5 < b:
            start = i + (0.5 - a) / (b - a)
        elif b <= 0.5 < a and start is not None:
            end = i + (0.5 - a) / (b - a)
            widths.append((end - start) * pixel_nm)
            start = None
    return widths


@ex.edges
def _() -> list[Args]:
    rows = [
        [0.0, 1.0, 1.0, 0.0, 0.0],
        [0.0, 0.8, 1.0, 0.6, 0.1, 0.0],
        [1.0, 1.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 1.0, 1.0, 0.2, 0.9, 1.0],
        [1.0, 0.0, 1.0, 0.0],
        [0.0, 0.5, 1.0, 0.5, 0.0],
        [0.0, 0.3, 0.4, 0.0],
        [1.0, 1.0, 1.0],
        [0.2, 0.9, 0.1, 0.7, 0.3, 0.6, 0.0],
        [0.6, 0.2, 0.1],
        [0.0, 0.51, 0.0],
        [0.1, 0.6, 0.2, 0.9, 1.0, 0.3, 0.8, 1.0, 1.0, 0.0],  # three features, ever wider
        [0.0, 1.0, 1.0, 1.0, 0.4, 0.9, 1.0, 0.2, 0.7, 0.1],  # ever narrower
        [0.0, 0.9, 0.1, 1.0, 1.0, 1.0, 0.0, 0.8, 0.9, 0.3],
        [0.0, 0.5, 0.5, 1.0, 0.5, 0.5, 1.0, 1.0, 0.5],
        [0.5, 1.0, 0.5],
        [0.0, 1.0, 0.5, 1.0, 0.0],
        [-0.3, 1.4, 1.2, -0.2, 0.5, 2.0, 0.25],
        [0.9, 0.1, 0.7, 0.8],
        [0.9, 0.4, 0.8, 0.2, 0.7],
        [0.5, 0.5, 0.5],
        [0.75],
        [0.25],
    ]
    return [(_tensor(row), 10.0) for row in rows] + [(_tensor(rows[1]), 2.5), (_tensor(rows[11]), 0.5)]


def _tensor(row: list[float]) -> Tensor:
    return torch.tensor(row, dtype=torch.float64)


@ex.inputs
def _(case: Case) -> Args:
    row = (case.randn(case.integer(4, 24)).cumsum(0) * 0.4 + 0.5).clamp(0, 1)
    return row.double(), case.choice((1.0, 5.0, 20.0))


Edges = list[tuple[float, bool]]


def _edges(row: list[float], at_half: bool = False) -> Edges:
    """Places of crossings, and whether they rise."""
    found = []
    for i, (a, b) in enumerate(pairwise(row)):
        high = [v >= 0.5 if at_half else v > 0.5 for v in (a, b)]
        if high[0] != high[1]:
            found.append((i + (0.5 - a) / (b - a), high[1]))
    return found


def _widths(edges: Edges, pixel_nm: float) -> list[float]:
    if edges and not edges[0][1]:
        edges = edges[1:]
    places = [place for place, _ in edges]
    return [(b - a) * pixel_nm for a, b in zip(places[::2], places[1::2], strict=False)]


@ex.wrong(
    "whole_pixels", "You count pixels: a width is then never better than a pixel; interpolate the edges."
)
def _(values: Tensor, pixel_nm: float) -> list[float]:
    row = [float(v > 0.5) for v in values.tolist()]
    return _widths(_edges(row), pixel_nm)


ex.wrong(
    "in_pixels",
    "You return pixels; multiply by the pixel size.",
    lambda values, pixel_nm: _widths(_edges(values.tolist()), 1.0),
)
ex.wrong(
    "spaces",
    "You measure the spaces between features, or the runs of pixels that are not above 0.5.",
    lambda values, pixel_nm: _widths(_edges([1 - v for v in values.tolist()]), pixel_nm),
)
ex.wrong(
    "border_counts",
    "You count features that the border cuts off: their true width is unknown, so their number is a lie.",
    lambda values, pixel_nm: _widths(_edges([0.0, *values.tolist(), 0.0]), pixel_nm),
)
ex.wrong(
    "mean",
    "You return the mean width; the list of all widths is asked.",
    lambda values, pixel_nm: sum(w := _widths(_edges(values.tolist()), pixel_nm)) / max(1, len(w)),
)
ex.wrong(
    "first_only",
    "You return the first feature alone.",
    lambda values, pixel_nm: _widths(_edges(values.tolist()), pixel_nm)[:1],
)


@ex.wrong(
    "left_border_pairs",
    "A feature cut off at the left leaves a falling edge: you pair it with the next rise.",
)
def _(values: Tensor, pixel_nm: float) -> list[float]:
    places = [place for place, _ in _edges(values.tolist())]
    return [(b - a) * pixel_nm for a, b in zip(places[::2], places[1::2], strict=False)]


@ex.wrong(
    "fraction_upside_down", "You measure the fraction from the wrong pixel: (0.5 - a) / (b - a) starts at a."
)
def _(values: Tensor, pixel_nm: float) -> list[float]:
    edges = [(2 * int(p) + 1 - p, rising) for p, rising in _edges(values.tolist())]
    return _widths(edges, pixel_nm)


@ex.wrong("middle", "You put every edge half-way between two pixels: interpolate between their values.")
def _(values: Tensor, pixel_nm: float) -> list[float]:
    return _widths([(int(p) + 0.5, rising) for p, rising in _edges(values.tolist())], pixel_nm)


ex.wrong(
    "right_to_left",
    "You return the widths from right to left.",
    lambda values, pixel_nm: _widths(_edges(values.tolist()), pixel_nm)[::-1],
)
ex.wrong(
    "sorted_up",
    "You sort the widths; they come in the order of the features, from left to right.",
    lambda values, pixel_nm: sorted(_widths(_edges(values.tolist()), pixel_nm)),
)
ex.wrong(
    "sorted_down",
    "You sort the widths, the largest first; they come in the order of the features, from left to right.",
    lambda values, pixel_nm: sorted(_widths(_edges(values.tolist()), pixel_nm), reverse=True),
)
ex.wrong(
    "different_widths_only",
    "You leave out a width that occurs twice; every feature has its own entry.",
    lambda values, pixel_nm: list(dict.fromkeys(_widths(_edges(values.tolist()), pixel_nm))),
)
ex.wrong(
    "half_counts",
    "You count a pixel of exactly 0.5 as inside; a feature lies *above* 0.5.",
    lambda values, pixel_nm: _widths(_edges(values.tolist(), at_half=True), pixel_nm),
)


@ex.wrong(
    "half_lost",
    "You lose an edge that lies on a pixel of exactly 0.5: that pixel is outside, so the edge is there.",
)
def _(values: Tensor, pixel_nm: float) -> list[float]:
    row, widths, start = values.tolist(), [], None
    for i, (a, b) in enumerate(pairwise(row)):
        if a < 0.5 < b:
            start = i + (0.5 - a) / (b - a)
        elif b < 0.5 < a and start is not None:
            widths.append((i + (0.5 - a) / (b - a) - start) * pixel_nm)
            start = None
    return widths


@ex.wrong("right_border_counts", "You count a feature that the right end of the row cuts off.")
def _(values: Tensor, pixel_nm: float) -> list[float]:
    return _widths(_edges([*values.tolist(), 0.0]), pixel_nm)


@ex.wrong("left_border_counts", "You count a feature that the left end of the row cuts off.")
def _(values: Tensor, pixel_nm: float) -> list[float]:
    row = values.tolist()
    edges = [(place - 1, rising) for place, rising in _edges([0.0, *row])]
    return _widths(edges, pixel_nm)


@ex.wrong(
    "between_pixels",
    "You measure from the first pixel inside to the last one; the edges lie further out.",
)
def _(values: Tensor, pixel_nm: float) -> list[float]:
    edges = [(float(int(p) + rising), rising) for p, rising in _edges(values.tolist())]
    return _widths(edges, pixel_nm)


ex.wrong(
    "total",
    "You return the sum of the widths; every feature has its own.",
    lambda values, pixel_nm: [sum(_widths(_edges(values.tolist()), pixel_nm))],
)


ex.right(lambda values, pixel_nm: _widths(_edges(values.tolist()), pixel_nm))


@ex.right
def _(values: Tensor, pixel_nm: float) -> list[float]:
    high = values > 0.5
    step = high[1:].int() - high[:-1].int()
    place = step.nonzero()[:, 0]
    a, b = values[place], values[place + 1]
    edge = (place + (0.5 - a) / (b - a)).tolist()
    rising = (step[place] > 0).tolist()
    return [
        (edge[k + 1] - edge[k]) * pixel_nm for k in range(len(edge) - 1) if rising[k] and not rising[k + 1]
    ]


@ex.right
def _(values: Tensor, pixel_nm: float) -> list[float]:
    row, widths, i = values.tolist(), [], 0
    while i < len(row):
        if row[i] <= 0.5:
            i += 1
            continue
        j = i
        while j + 1 < len(row) and row[j + 1] > 0.5:
            j += 1
        if i > 0 and j < len(row) - 1:
            left = i - (row[i] - 0.5) / (row[i] - row[i - 1])
            right = j + (row[j] - 0.5) / (row[j] - row[j + 1])
            widths.append((right - left) * pixel_nm)
        i = j + 1
    return widths


@ex.right
def _(values: Tensor, pixel_nm: float) -> tuple[float, ...]:
    row = values.numpy()
    step = np.diff((row > 0.5).astype(int))
    rises, falls = np.flatnonzero(step == 1), np.flatnonzero(step == -1)
    if len(falls) and (not len(rises) or falls[0] < rises[0]):
        falls = falls[1:]
    rises = rises[: len(falls)]

    def place(i: np.ndarray) -> np.ndarray:
        return i + (0.5 - row[i]) / (row[i + 1] - row[i])

    return tuple(((place(falls) - place(rises)) * pixel_nm).tolist())


ex.breach("pixel centres at 0, 1, 2, ...", "in_pixels")
ex.breach("A feature is a run of pixels above 0.5.", "half_counts")
ex.breach("Each of its edges lies where a straight line", "middle")
ex.breach("Return the widths of all features in nm, from left to right", "sorted_down")
ex.breach("Return the widths of all features in nm, from left to right", "sorted_up")
ex.breach("A feature that touches an end of the row has an unknown width", "border_counts")
