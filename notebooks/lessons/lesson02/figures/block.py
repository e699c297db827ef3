"""The diagram of a denoiser's block with time, for vectors (lesson 02) and for images (lesson 03)."""

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from gantrans.teaching.plots import COLOURS, describe, new_figure, styled

DATA, TIME = "#E8F1F8", "#FBE9DD"
"""Fills: what works on the data, and what works on the time."""


@dataclass(frozen=True)
class _Kind:
    """The words in the diagram of one kind of block; `main` is the way of the data, in its order."""

    x: str
    before: tuple[str, ...]
    norm: str
    after: tuple[str, ...]
    shortcut: str
    scale: str


KINDS = {
    "vector": _Kind(
        "x\n(B, features)",
        (),
        "layer norm",
        ("linear\n(inner)", "SiLU", "linear\n(outer)"),
        "x itself",
        "one number each per feature",
    ),
    "image": _Kind(
        "x\n(B, C, H, W)",
        ("group\nnorm", "SiLU", "conv\n3 x 3"),
        "group\nnorm",
        ("SiLU", "conv\n3 x 3"),
        "x itself (conv 1 x 1 where the number of channels changes)",
        "one number each per channel",
    ),
}
"""What a diagram can show; the image's block is that of `gantrans.networks.Denoiser`."""


@styled
def block_figure(kind: str) -> Figure:
    """A residual block with time: norm, scale and shift from the time MLP, layers, and the sum.

    Args:
        kind: "vector" for linear layers, "image" for convolutions; another one is a `KeyError`.
    """
    words = KINDS[kind]
    figure = new_figure(9.2, 3.5)
    ax = figure.add_subplot()
    ax.set(xlim=(0, 100), ylim=(0, 38))
    ax.set_axis_off()
    names = [*words.before, words.norm, "* (1 + scale)\n+ shift", *words.after]
    widths = [max(8.0, 2.0 + 0.92 * max(map(len, name.splitlines()))) for name in names]
    gap = (78 - sum(widths)) / (len(names) + 1)
    places = [12 + gap * (i + 1) + sum(widths[:i]) + widths[i] / 2 for i in range(len(names))]
    modulated = places[len(words.before) + 1]
    ax.text(4.2, 25, words.x, ha="center", va="center")
    for place, width, name in zip(places, widths, names, strict=True):
        _box(ax, place, 25, width, name, TIME if "scale" in name else DATA)
    ends = [9.2, *[p + w / 2 for p, w in zip(places, widths, strict=True)]]
    starts = [*[p - w / 2 for p, w in zip(places, widths, strict=True)], 91.2]
    for end, start in zip(ends, starts, strict=True):
        _arrow(ax, (end, 25), (start, 25))
    ax.text(93, 25, "+", ha="center", va="center", fontsize=15, bbox=_ring())
    _arrow(ax, (94.8, 25), (99.6, 25))
    _shortcut(ax, words.shortcut)
    _time(ax, modulated, words)
    described = ", ".join(name.replace("\n", " ") for name in names)
    describe(
        ax,
        f"Block for {kind}s. The data go through {described}; at the end x is added. The time goes from t "
        "through an embedding and the time MLP, then SiLU and a linear layer, which gives scale and shift.",
    )
    return figure


def _box(ax: Axes, x: float, y: float, width: float, text: str, fill: str) -> None:
    shape = FancyBboxPatch(
        (x - width / 2, y - 3.4), width, 6.8, boxstyle="round,pad=0,rounding_size=0.8", facecolor=fill,
        edgecolor="#555555", linewidth=1,
    )  # fmt: skip
    ax.add_patch(shape)
    ax.text(x, y, text, ha="center", va="center")


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = "#333333") -> None:
    head: Any = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=head)


def _ring() -> Any:
    return {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": "#555555"}


def _shortcut(ax: Axes, text: str) -> None:
    ax.plot([11, 11, 93], [25, 35, 35], color="#333333", linewidth=1.3, solid_joinstyle="miter")
    _arrow(ax, (93, 35), (93, 27.6))
    ax.text(50, 35.5, text, ha="center", va="bottom")


def _time(ax: Axes, target: float, words: _Kind) -> None:
    """The way of the time, below: what is made once, and what each block makes of it."""
    orange = COLOURS[1]
    ax.text(4.2, 8, "t\n(B,)", ha="center", va="center")
    boxes = {15: "embedding\n(sines, cosines)", 32: "time MLP", 50: "SiLU", 66: "linear\n(modulation)"}
    widths = {15: 14.0, 32: 11.0, 50: 8.0, 66: 12.5}
    ends = [6.2, *[x + widths[x] / 2 for x in boxes]]
    for (x, name), end in zip(boxes.items(), ends, strict=False):
        _box(ax, x, 8, widths[x], name, TIME)
        _arrow(ax, (end, 8), (x - widths[x] / 2, 8), orange)
    ax.plot([72.3, 78, 78, target], [8, 8, 15.5, 15.5], color=orange, linewidth=1.3)
    _arrow(ax, (target, 15.5), (target, 21.4), orange)
    ax.text(79, 11.5, f"scale and shift:\n{words.scale}", ha="left", va="center")
    ax.plot([5, 39], [2.2, 2.2], color="#777777", linewidth=1)
    ax.text(22, 1.6, "once for the whole network", ha="center", va="top", color="#444444")
    ax.plot([45, 73], [2.2, 2.2], color="#777777", linewidth=1)
    ax.text(59, 1.6, "in every block", ha="center", va="top", color="#444444")
