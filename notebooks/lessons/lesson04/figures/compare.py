"""Pictures that set answers beside the truth: shrunk layouts, copies, translations with and without skips."""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.metrics import iou
from gantrans.teaching.plots import (
    describe,
    image_axes,
    image_grid,
    new_figure,
    overlay_axes,
    radial_spectrum,
    spectrum_figure,
    styled,
)

PIXEL_NM = 20.0
TRUTH = "#0072B2"


@styled
def shrunk_figure(layout: Tensor, sides: Sequence[int]) -> Figure:
    """A layout (1, S, S) at several numbers of places, each enlarged again to the same size."""
    images = [F.adaptive_avg_pool2d(layout, side) for side in sides]
    return image_grid([images], [f"{side} x {side} places" for side in sides], size=1.8)


@styled
def difference_figure(
    layout: Tensor, answers: Mapping[str, Tensor], picked: Sequence[int], sem: Tensor | None = None
) -> Figure:
    """A row per picked clip: the image with the true outline, then where each answer differs from the truth.

    Args:
        layout: (N, 1, S, S) in [0, 1].
        answers: by name, of the same shape.
        sem: the images to show in the first column; without them the layouts.
    """
    shown = layout if sem is None else sem
    figure = new_figure(2.2 * (1 + len(answers)), 2.6 * len(picked) + 0.2)
    figure.set_layout_engine("constrained", h_pad=0.12)  # room for the words under the maps
    axes = figure.subplots(len(picked), 1 + len(answers), squeeze=False)
    for row, i in zip(axes, picked, strict=True):
        image_axes(shown[i], "layout" if sem is None else "SEM image, true outline", ax=row[0])
        if sem is not None:
            outline(row[0], layout[i], TRUTH)
        for ax, (name, answer) in zip(row[1:], answers.items(), strict=True):
            value = float(iou(answer[i : i + 1], layout[i : i + 1])[0])
            overlay_axes(answer[i], layout[i], f"{name}: IoU {value:.2f}", ax=ax)
    return figure


def outline(ax: Axes, layout: Tensor, colour: str, style: str = "solid") -> None:
    """Draw the edges of a layout (1, S, S) onto an image."""
    if 0 < float((layout > 0.5).float().mean()) < 1:
        ax.contour(layout[0].numpy(), levels=[0.5], colors=[colour], linewidths=1.3, linestyles=style)


@styled
def grain_figure(layout: Tensor, made: Tensor, sem: Tensor, count: int = 4) -> Figure:
    """Layouts, the SEM images a network makes of them, and the simulated ones, (N, 1, S, S) in [0, 1]."""
    rows = [list(images[:count]) for images in (layout, made, sem)]
    return image_grid(rows, row_titles=["layout", "made with L1", "simulated SEM"], size=1.7)


def grain_spectrum(made: Tensor, sem: Tensor) -> Axes:
    """How much structure there is at each spatial frequency."""
    spectra = {
        "simulated SEM": radial_spectrum(sem, PIXEL_NM),
        "made with L1": radial_spectrum(made, PIXEL_NM),
    }
    return spectrum_figure(spectra, title="How much fine structure?")


@styled
def answers_figure(ways: Mapping[str, Sequence[float]], coins: Sequence[float]) -> Figure:
    """How one number is trained against targets of 0 and 1: {loss: its value after every step}."""
    figure = new_figure(6.6, 2.9)
    ax = figure.add_subplot()
    colours = {"L1": "#D55E00", "L2": "#0072B2"}
    ends = []
    steps, mean = len(next(iter(ways.values()))), sum(coins) / len(coins)
    for name, way in ways.items():
        ax.plot(range(len(way)), way, color=colours[name], label=name)
        ax.text(steps * 1.02, way[-1], f"{name}: {way[-1]:.2f}", color=colours[name], va="center")
        ends.append(f"{name} ends at {way[-1]:.2f}")
    ax.plot([0, steps], [mean, mean], color="#666666", linewidth=0.9, linestyle=":")
    ax.text(steps * 0.99, mean + 0.03, "mean of the targets", ha="right", color="#666666")
    ax.set(xlabel="step", ylabel="the number", ylim=(-0.06, 1.02), xlim=(0, steps * 1.14))
    describe(ax, f"One number, trained: {'; '.join(ends)}.")
    return figure
