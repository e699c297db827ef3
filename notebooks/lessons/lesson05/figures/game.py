"""The figures of lesson 05 on the game: who moves what, a GAN of one number, and fakes while they learn."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from gantrans.teaching.plots import (
    COLOURS,
    describe,
    image_axes,
    image_grid,
    new_figure,
    overlay_axes,
    styled,
)

GRADIENT = "#D55E00"
"""Gradients have this colour, as what is learned has on every page."""
BALANCE = {"V": 2 * float(np.log(0.5)), "least squares": 0.25}
"""What the value of the game and D's halved least-squares loss are when D cannot tell."""
PIXEL_NM = 20.0


@styled
def twice_figure(layout: Tensor, first: Tensor, second: Tensor, blur: Tensor) -> Figure:
    """A row per layout, all (N, 1, S, S) in [-1, 1]: a real image, a second one, and the one made by L1."""
    wide = f"layout, {PIXEL_NM * layout.shape[-1]:.0f} nm wide"
    columns = {wide: layout, "real SEM": first, "A": second, "B": blur}
    rows = [[images[i] / 2 + 0.5 for images in columns.values()] for i in range(len(layout))]
    return image_grid(rows, list(columns), size=1.9)


@styled
def turns_figure(way: Sequence[tuple[float, float, float, float]], real: float) -> Figure:
    """The GAN of one number: where its fake is, the value of the game, and D's curve at four turns.

    Args:
        way: (fake, w, b, value) after each turn; D(x) is the sigmoid of w x + b.
        real: the real number.
    """
    fakes, _, _, values = map(np.array, zip(*way, strict=True))
    turns = np.arange(1, len(way) + 1)
    figure = new_figure(9.4, 3.0)
    left, middle, right = figure.subplots(1, 3)
    left.plot(turns, fakes, color=COLOURS[1])
    left.axhline(real, color="black", linewidth=0.8, linestyle=":")
    left.set(title="the fake", xlabel="turn", ylabel="number")
    describe(
        left,
        f"The fake starts at 0, is at {fakes.max():.1f} at most and at {fakes[-1]:.2f} after {len(way)} "
        f"turns; the real number is {real:g}.",
    )
    middle.plot(turns, values, color=COLOURS[0])
    middle.axhline(BALANCE["V"], color="black", linewidth=0.8, linestyle=":", label="D cannot tell")
    middle.legend(loc="upper right")
    middle.set(title="the value of the game", xlabel="turn", ylabel="V")
    describe(middle, f"V is {values.max():.2f} at most and {values[-1]:.2f} at the end.")
    x = np.linspace(min(-1.0, fakes.min() - 0.5), max(4.0, fakes.max() + 0.5), 101)
    shown = [turn for turn in (1, 10, 25, len(way)) if turn <= len(way)]
    for k, turn in enumerate(dict.fromkeys(shown)):
        fake, w, b, _ = way[turn - 1]
        right.plot(x, _sigmoid(w * x + b), color=COLOURS[k], label=f"turn {turn}")
        right.plot(fake, _sigmoid(w * fake + b), "o", color=COLOURS[k])
    right.axvline(real, color="black", linewidth=0.8, linestyle=":")
    right.set(title="D's verdicts; the fake is the dot", xlabel="x", ylabel="D(x)", ylim=(0, 1))
    right.legend(loc="upper left")
    fake, w, b, _ = way[-1]
    describe(right, f"At the end D is {_sigmoid(w * fake + b):.2f} at the fake.")
    return figure


def _sigmoid(x: np.ndarray | float) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))))


def played(
    d: int, g: int, rate: float, turns: int = 100, real: float = 2.0
) -> list[tuple[float, float, float, float]]:
    """The game of section 2 with `d` steps of D and `g` of G in each turn -> (fake, w, b, V) after each.

    Gradients by hand: of V along w (1 - D(real)) real - D(fake) fake, along b (1 - D(real)) - D(fake), along
    the fake -D(fake) w.
    """
    fake, w, b, way = 0.0, 0.0, 0.0, []
    for _ in range(turns):
        for _ in range(d):
            at_real, at_fake = float(_sigmoid(w * real + b)), float(_sigmoid(w * fake + b))
            w, b = w + rate * ((1 - at_real) * real - at_fake * fake), b + rate * (1 - at_real - at_fake)
        for _ in range(g):
            fake += rate * float(_sigmoid(w * fake + b)) * w
        value = float(np.log(_sigmoid(w * real + b)) + np.log(_sigmoid(-(w * fake + b))))
        way.append((fake, w, b, value))
    return way


def played_figure(*, d: int, g: int, rate: float) -> Figure:
    """`turns_figure` of a game of one's own."""
    return turns_figure(played(d, g, rate), 2.0)


WIDE, HIGH = 0.128, 0.15
PLACES = {
    "x": (0.09, 0.40, "x\nlayout"),
    "G": (0.28, 0.40, "G"),
    "fake": (0.47, 0.40, "G(x)\nfake SEM"),
    "y": (0.47, 0.80, "y\nreal SEM"),
    "D": (0.68, 0.60, "D"),
    "logits": (0.89, 0.60, "logits"),
}
"""Middle of each box in a panel, as shares of it, and what it says."""
ROUTES = (("x", "G"), ("G", "fake"), ("fake", "D"), ("y", "D"), ("D", "logits"))


@styled
def gradients_figure() -> Figure:
    """Where images go (grey) and where each loss's gradient goes (orange), in D's turn and in G's."""
    figure = new_figure(9.6, 3.1)
    left, right = figure.subplots(1, 2)
    for ax in (left, right):
        ax.set(xlim=(0, 1), ylim=(0.22, 1))
        ax.set_axis_off()
    _turn(left, "D's turn: D learns", moved="D", still="G")
    _arrow(left, (0.89, 0.51), (0.73, 0.49), GRADIENT, bend=-0.3)
    left.text(0.90, 0.42, "D's loss", color=GRADIENT, ha="center")
    left.plot([0.548, 0.608], [0.545, 0.497], color="black", linewidth=2.6)
    left.text(0.57, 0.385, "detach: no gradient\ngets past this bar", ha="left", va="top", fontsize=9)
    describe(
        left,
        "D's turn: its loss moves D. The fake is detached, so no gradient reaches G.",
    )
    _turn(right, "G's turn: G learns", moved="G", still="D")
    _arrow(right, (0.89, 0.51), (0.73, 0.49), GRADIENT, bend=-0.3)
    _arrow(right, (0.65, 0.50), (0.53, 0.33), GRADIENT, bend=-0.2)
    _arrow(right, (0.44, 0.30), (0.30, 0.30), GRADIENT, bend=-0.3)
    right.text(0.87, 0.42, "adversarial loss", color=GRADIENT, ha="center")
    right.text(0.72, 0.75, "frozen: lets the\ngradient through", ha="left", va="bottom", fontsize=9)
    _arrow(right, (0.43, 0.71), (0.43, 0.50), GRADIENT)
    right.text(0.415, 0.60, "L1", color=GRADIENT, ha="right", va="center")
    describe(
        right,
        "G's turn: the adversarial loss goes back through D, which is frozen, to the fake and on to G. The "
        "L1 loss goes from the real image straight to the fake and G.",
    )
    return figure


def _turn(ax: Axes, title: str, *, moved: str, still: str) -> None:
    ax.set_title(title)
    for name, (x, y, words) in PLACES.items():
        network = name in (moved, still)
        face = "#FBE3D2" if name == moved else "#E8E8E8" if name == still else "white"
        edge = GRADIENT if name == moved else "#555555"
        box = FancyBboxPatch(
            (x - WIDE / 2, y - HIGH / 2), WIDE, HIGH, boxstyle="round,pad=0.012", facecolor=face,
            edgecolor=edge, linewidth=1.8 if name == moved else 1.0,
        )  # fmt: skip
        ax.add_patch(box)
        ax.text(x, y, words, ha="center", va="center", fontsize=12 if network else 9.5)
    for start, end in ROUTES:
        (a, b, _), (c, d, _) = PLACES[start], PLACES[end]
        shift = 0.0 if b == d else np.sign(d - b) * 0.05
        _arrow(ax, (a + WIDE / 2 + 0.015, b + shift), (c - WIDE / 2 - 0.015, d - shift / 2), "#555555")
    # the condition goes to D as well, round the outside
    ax.plot([0.09, 0.09, 0.68], [0.50, 0.95, 0.95], color="#555555", linewidth=1.2)
    _arrow(ax, (0.68, 0.95), (0.68, 0.70), "#555555")


def _arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, bend: float = 0.0
) -> None:
    ax.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=13, color=colour, shrinkA=0, shrinkB=0,
            linewidth=2.2 if colour == GRADIENT else 1.2, connectionstyle=f"arc3,rad={bend}",
        )
    )  # fmt: skip


@styled
def strip_figure(
    layout: Tensor, strip: Mapping[int, Tensor], real: Tensor, others: Mapping[str, Tensor] | None = None
) -> Figure:
    """Fakes of the same layouts while G learns, beside the real image; a row per layout.

    Args:
        layout, real: (N, 1, S, S) in [-1, 1].
        strip: {steps done: (N, 1, S, S)}.
        others: more columns at the end.
    """
    steps = {f"step {step}": images for step, images in strip.items()}
    columns = {"input": layout, **steps, "real": real, **(others or {})}
    rows = [[images[i] / 2 + 0.5 for images in columns.values()] for i in range(len(layout))]
    return image_grid(rows, list(columns), size=1.25)


@styled
def directions_figure(layout: Tensor, sem: Tensor, made: Tensor, read: Tensor) -> Figure:
    """The same loop both ways, (N, 1, S, S) in [-1, 1]: an image made of the layout, and a layout read off.

    `made` stands beside the real SEM image, and `read` is laid over the drawn layout.
    """
    figure = new_figure(1.9 * 5, 1.75 * len(layout) + 0.4)
    for i, row in enumerate(figure.subplots(len(layout), 5, squeeze=False)):
        panels = {"layout": layout, "made, weight 100": made, "real SEM": sem, "read from it": read}
        for ax, (name, images) in zip(row, panels.items(), strict=False):
            image_axes(images[i] / 2 + 0.5, name if i == 0 else "", ax=ax)
        overlay_axes(read[i], layout[i], "against the layout" if i == 0 else "", threshold=0.0, ax=row[4])
    return figure


@styled
def losses_figure(log: Sequence[tuple[float, float]]) -> Figure:
    """D's loss over the steps with the value at which D cannot tell, and G's whole loss.

    Args:
        log: (D's halved least-squares loss, G's whole loss) of each step.
    """
    d, g = (torch.tensor(values) for values in zip(*log, strict=True))
    figure = new_figure(8.4, 2.5)
    left, right = figure.subplots(1, 2)
    width = max(len(d) // 40, 1)
    for ax, values, title in ((left, d, "D's loss"), (right, g, "G's loss")):
        ax.plot(values, color="#BBBBBB", linewidth=0.7)
        smooth = values.unfold(0, width, 1).mean(1)
        ax.plot(np.arange(len(smooth)) + width / 2, smooth, color=COLOURS[0])
        ax.set(
            title=title,
            xlabel="step",
            ylabel="loss",
            ylim=(0, float(values[len(values) // 20 :].quantile(0.99)) * 1.1),
        )
        describe(ax, f"{title}: {smooth[0]:.2f} at first, {smooth[-1]:.2f} at the end.")
    left.axhline(BALANCE["least squares"], color="black", linewidth=0.8, linestyle=":", label="D cannot tell")
    left.legend(loc="upper right")
    return figure


def grain(images: Tensor) -> float:
    """Grain: the standard deviation of what a 3 x 3 average takes away, in grey levels of [0, 1]."""
    smooth = torch.nn.functional.avg_pool2d(images, 3, 1)
    return float((images[..., 1:-1, 1:-1] - smooth).std()) / 2
