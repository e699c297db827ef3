"""The figures of lesson 07 on hallucination: irregular arrays, what networks draw there, and the sweep."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from gantrans.images import unit_from_uint8
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    bars_with_intervals,
    describe,
    image_axes,
    image_grid,
    new_axes,
    new_figure,
    overlay_axes,
    styled,
)
from gantrans.teaching.plots.style import LINES
from gantrans.teaching.sweeps import sweep
from lessons.lesson07.experiments.arrays import KINDS, PIXEL_NM, Arrays, Place, completed, count_features
from lessons.lesson07.experiments.hallucination import ARMS
from lessons.lesson07.figures.realism import change

SHARES: Mapping[float, str] = {0.8: "80 % regular", 0.95: "95 % regular", 1.0: "regular only"}
"""The shares of the sweep and the arms, each with and without an adversarial term."""


def indices(test: Arrays, kind: str) -> list[int]:
    """Where the clips of a kind are among the test clips."""
    return [i for i, family in enumerate(test.pairs.family) if family == kind]


@styled
def kinds_figure(test: Arrays) -> Figure:
    """One regular array and one of each irregular kind: layout above, SEM image below, the place marked."""
    names = ("lines", *KINDS)
    picked = [indices(test, name)[0] for name in names]
    layout, sem = unit_from_uint8(test.pairs.layout), unit_from_uint8(test.pairs.sem)
    titles = ["regular", *KINDS]
    figure = image_grid(
        [[images[i] for i in picked] for images in (layout, sem)], titles, row_titles=["drawn", "SEM"],
        pixel_nm=PIXEL_NM, size=1.9,
    )  # fmt: skip
    for row in range(2):
        for column, i in enumerate(picked):
            _mark(figure.axes[row * len(picked) + column], test.places[i])
    return figure


def _mark(ax: Axes, place: Place | None) -> None:
    if place is None:
        return
    corner, sides = (place.x0 - 0.5, place.y0 - 0.5), (place.x1 - place.x0, place.y1 - place.y0)
    for colour, width in (("white", 2.8), (COLOURS[4], 1.4)):
        ax.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=colour, linewidth=width))


@styled
def irregular_figure(test: Arrays, read: Mapping[str, Tensor], *, kind: str, number: int) -> Figure:
    """One irregular test clip: SEM image, drawn layout, and each arm's answer over it, the place marked.

    Args:
        read: {arm: (N, 1, S, S) in [0, 1]}, the layouts that the arms read from the test images.
        kind: one of `KINDS`; number: which of its clips, counted from 0.
    """
    i = indices(test, kind)[number]
    place = test.places[i]
    layout = unit_from_uint8(test.pairs.layout[i])
    figure = new_figure(2.35 * (2 + len(read)), 2.9)
    sem_axes, drawn_axes, *axes = figure.subplots(1, 2 + len(read))
    image_axes(unit_from_uint8(test.pairs.sem[i]), "SEM", ax=sem_axes, pixel_nm=PIXEL_NM)
    image_axes(layout, f"drawn: {int(count_features(layout[None]))} features", ax=drawn_axes)
    for ax, (arm, images) in zip(axes, read.items(), strict=True):
        count = int(count_features(images[i : i + 1]))
        overlay_axes(images[i], layout, f"{arm}: {count} features", ax=ax)
        if place is not None:
            said = "completed" if completed(images[i], place) else "not completed"
            describe(ax, f"{arm} reads {count} features; the irregular place is {said}.")
    for ax in figure.axes:
        _mark(ax, place)
    return figure


@styled
def share_figure(table: sweep.Table, quantity: str = "completed", ax: Axes | None = None) -> Axes:
    """A quantity of the sweep against the share of regular training clips, with and without the GAN term."""
    ax = new_axes(ax, 6.8, 3.5)
    places, words = range(len(SHARES)), []
    for k, (ending, label) in enumerate((("", "L1 weight 10 + GAN"), (", L1 only", "L1 only"))):
        values = [table.values(quantity, arm + ending)[arm + ending] for arm in SHARES.values()]
        means = [float(np.mean(v)) for v in values]
        for x, seeds in zip(places, values, strict=True):
            shift = 0.04 * (2 * k - 1)
            ax.plot([x + shift] * len(seeds), seeds, ".", color=COLOURS[k], alpha=0.5)
        ax.plot(places, means, marker=MARKERS[k], linestyle=LINES[k], color=COLOURS[k], label=label)
        words.append(f"{label}: " + ", ".join(f"{m:.2f}" for m in means))
    mixed = table.values(quantity, "mixed")["mixed"]
    ax.axhline(float(np.mean(mixed)), color=COLOURS[2], linestyle=LINES[3], label="50 % regular, with GAN")
    ax.set_xticks(places, [f"{share:.0%}" for share in SHARES])
    ax.set_xlim(-0.4, len(SHARES) - 0.6)
    ax.set(xlabel="regular clips in the training set", ylabel=f"{quantity}, per irregular image")
    ax.legend()
    return describe(
        ax, f"{quantity} per irregular test image at {', '.join(f'{s:.0%}' for s in SHARES)} regular clips, "
        f"{len(table.seeds)} seeds. {'; '.join(words)}; 50 % regular {np.mean(mixed):.2f}.",
    )  # fmt: skip


@styled
def parts_figure(table: sweep.Table, quantity: str = "count error") -> Figure:
    """The three comparisons of claim G21, seeds joined: clips, L1 weight, cycle."""
    parts = {
        "training clips": {"regular only": "regular only", "mixed": "mixed"},
        "L1 weight": {"10": "regular only", "100": "L1 weight 100"},
        "cycle": {"no cycle": "no cycle", "cycle": "cycle"},
    }
    figure = new_figure(9.4, 3.3)
    for ax, (title, arms) in zip(figure.subplots(1, len(parts)), parts.items(), strict=True):
        values = {label: table.values(quantity, arm)[arm] for label, arm in arms.items()}
        bars_with_intervals(values, quantity=f"{quantity}, per image", title=title, ax=ax)
    return figure


def kinds_table(table: sweep.Table) -> dict[str, dict[str, float]]:
    """Means of every arm: completed places in percent by kind, count errors, and IoU."""
    rows = {}
    for arm in ARMS:
        means = table.means(arm)[arm]
        rows[arm] = {kind: 100 * means[f"completed, {kind}"] for kind in KINDS}
        rows[arm] |= {"count error": means["count error"], "the same, regular": means["count error, regular"]}
        rows[arm] |= {name: means[name] for name in ("extra", "missing", "opens", "IoU")}
    return rows


CHANGES: Mapping[str, tuple[str, str]] = {
    "mixed clips": ("mixed", "regular only"),
    "80 % regular clips": ("80 % regular", "regular only"),
    "L1 weight 100": ("L1 weight 100", "regular only"),
    "cycle": ("cycle", "no cycle"),
}
"""What may help -> the arm with it, and the same arm without."""
FAULTS = ("count error", "extra", "missing", "opens", "bridges", "completed")


def changes_table(table: sweep.Table) -> Table:
    """What each of `CHANGES` does to every kind of fault, and to regular arrays: change and 99 % interval."""
    rows = [
        [quantity, *(change(table, quantity, *arms) for arms in CHANGES.values())]
        for quantity in (*FAULTS, "count error, regular", "IoU, regular")
    ]
    caption = f"Change per image, irregular where not said otherwise, over {len(table.seeds)} seeds"
    return Table(["", *CHANGES], rows, caption)
