"""One look for every figure: colours for every kind of sight and for print, units on axes, alt text.

Colours are four of Okabe and Ito (2008), a wine red and a grey: of ten candidates the six whose smallest
CIEDE2000 distance over normal, protan, deutan and tritan sight is largest (17). Curves differ by marker and
line style as well. Figures are made without pyplot, so none is left open and none is shown twice.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

COLOURS = ("#0072B2", "#D55E00", "#000000", "#56B4E9", "#882255", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
AGREE, MISSING, EXTRA = "#BDBDBD", "#D55E00", "#0072B2"
"""Overlay of a prediction on its target: in both, in the target only, in the prediction only."""

STYLE: Any = {
    "figure.dpi": 105,
    "savefig.dpi": 105,
    "figure.facecolor": "white",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "figure.titlesize": 11,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "lines.linewidth": 1.7,
    "lines.markersize": 5,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.formatter.useoffset": False,
}

# Machado, Oliveira and Fernandes (2009), severity 1.0, linear RGB.
DEFICIENCIES: Mapping[str, tuple[tuple[float, ...], ...]] = {
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a plotting function under the shared style."""

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(STYLE):
            return function(*args, **kwargs)

    return inner


@styled
def new_figure(width: float = 6.4, height: float = 3.4) -> Figure:
    """An empty figure in inches; 9.5 by 3.4 fills a JupyterLab cell."""
    return Figure(figsize=(width, height), layout="constrained")


def new_axes(ax: Axes | None = None, width: float = 6.4, height: float = 3.4) -> Axes:
    """`ax`, or the axes of a new figure of that size in inches."""
    return new_figure(width, height).add_subplot() if ax is None else ax


def figure_of(ax: Axes) -> Figure:
    """The whole figure that axes belong to."""
    return ax.get_figure(root=True)  # type: ignore[return-value]


def describe(ax: Axes, text: str) -> Axes:
    """Attach the words for this picture; `show` joins those of all axes into the alt text."""
    ax.gantrans_alt = " ".join(text.split())  # type: ignore[attr-defined]
    return ax


def alt_text(figure: Figure) -> str:
    """The descriptions of a figure's axes, after its title; empty when there are none."""
    title = figure.get_suptitle()
    words = [getattr(ax, "gantrans_alt", "") for ax in figure.axes]
    words = [w for w in words if w]
    return " ".join([f"{title.rstrip('.')}."] * bool(title and words) + words).replace("$", "")


def simulate(rgb: Any, deficiency: str | None) -> np.ndarray:
    """sRGB in [0, 1], (..., 3), as a person with a full protan, deutan or tritan deficiency sees it."""
    rgb = np.asarray(rgb, dtype=np.float64)
    if deficiency is None:
        return rgb
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(DEFICIENCIES[deficiency]).T, 0, 1)
    return np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
