"""The figures of the report as PNG, each for a light and a dark page.

Colours are those of Okabe and Ito (2008), which people with any kind of colour vision distinguish; curves
differ by marker and line style as well.
"""

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gantrans.operations.comparison.intervals import Interval

THEMES = {
    "light": {"ground": "#ffffff", "ink": "#1b1d1f", "grid": "#dfe2e4"},
    "dark": {"ground": "#202326", "ink": "#eceded", "grid": "#3d4348"},
}
_COLOURS = {
    "light": ("#0072B2", "#D55E00", "#007A5A", "#882255", "#5b6268"),
    "dark": ("#56B4E9", "#FF9A4D", "#2FC79B", "#E69ACD", "#a4abb1"),
}
_MARKERS = ("o", "s", "^", "D", "v")
_LINES: tuple[str, ...] = ("-", "--", "-.", ":", "-")
_DPI = 160
Points = Sequence[tuple[float, float]]
Image = NDArray[np.uint8]


def _settings(theme: str) -> dict[str, object]:
    look = THEMES[theme]
    ink = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), look["ink"]
    )
    return {
        **ink, "figure.facecolor": look["ground"], "axes.facecolor": look["ground"],
        "grid.color": look["grid"],
        "axes.grid": True, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
        "font.size": 11, "legend.frameon": False, "lines.markersize": 5, "image.interpolation": "nearest",
    }  # fmt: skip


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def curves(
    series: Mapping[str, Points], xlabel: str, ylabel: str, theme: str, *, diagonal: bool = False
) -> bytes:
    """Lines over a common axis; `diagonal`: shares from 0 to 1 with the line of equality."""
    with mpl.rc_context(_settings(theme)):  # type: ignore[arg-type]
        figure = Figure(figsize=(5.2, 3.9), layout="constrained")
        axes = figure.add_subplot()
        for k, (name, points) in enumerate(series.items()):
            x, y = zip(*points, strict=True)
            axes.plot(
                x,
                y,
                label=name,
                color=_COLOURS[theme][k % 5],
                marker=_MARKERS[k % 5],
                linestyle=_LINES[k % 5],
            )
        if diagonal:
            axes.plot([0, 1], [0, 1], color=THEMES[theme]["ink"], linewidth=1, label="right")
            axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.legend(loc="best")
        return _png(figure)


def trade(points: Mapping[str, tuple[float, Interval]], ylabel: str, theme: str) -> bytes:
    """Quality with its interval over images per second: name -> (images a second, quality)."""
    with mpl.rc_context(_settings(theme)):  # type: ignore[arg-type]
        figure = Figure(figsize=(5.2, 3.9), layout="constrained")
        axes = figure.add_subplot()
        for k, (name, (x, y)) in enumerate(points.items()):
            reach = np.nan_to_num([[y.mean - y.low], [y.high - y.mean]])
            axes.errorbar(
                [x], [y.mean], yerr=np.maximum(reach, 0), label=name, color=_COLOURS[theme][k % 5],
                marker=_MARKERS[k % 5], linestyle="none", capsize=3,
            )  # fmt: skip
        axes.set(xlabel="images a second, in batches", ylabel=ylabel, xscale="log")
        axes.legend(loc="best")
        return _png(figure)


def strips(rows: Mapping[str, Mapping[str, Image]], theme: str) -> bytes:
    """Rows of images with equal columns: name of the row -> name of the column -> uint8 (H, W)."""
    columns = list(next(iter(rows.values())))
    with mpl.rc_context(_settings(theme)):  # type: ignore[arg-type]
        figure = Figure(figsize=(1.5 * len(columns), 1.7 * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), len(columns), squeeze=False)
        for axes, column in zip(grid[0], columns, strict=True):
            axes.set_title(column, fontsize=9)
        for line, (name, images) in zip(grid, rows.items(), strict=True):
            line[0].set_ylabel(name)
            for axes, column in zip(line, columns, strict=True):
                _show(axes, images[column])
        return _png(figure)


def _show(axes: Axes, image: Image) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
