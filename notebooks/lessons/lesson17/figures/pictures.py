"""The figures of lesson 17: colour pictures in rows, curves of a training, copies."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.teaching.plots import COLOURS, MARKERS, describe, new_figure, styled
from gantrans.teaching.plots.style import LINES


def colour_axes(image: Tensor, ax: Axes) -> Axes:
    """One image (3, H, W) in [0, 1] without ticks."""
    ax.imshow(image.clamp(0, 1).permute(1, 2, 0).numpy(), interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    return ax


@styled
def sheet(rows: Mapping[str, Tensor], size: float = 1.05) -> Figure:
    """Rows of colour images (N, 3, H, W) in [0, 1], each with its name."""
    count = max(len(images) for images in rows.values())
    figure = new_figure(size * count + 0.9, size * len(rows) + 0.15)
    axes = figure.subplots(len(rows), count, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for ax, image in zip(line, images, strict=False):
            describe(colour_axes(image, ax), "")
        for ax in line[len(images) :]:
            ax.set_axis_off()
        line[0].set_ylabel(name)
        colours = ", ".join(f"{float(v):.2f}" for v in images.mean((0, 2, 3)))
        describe(line[0], f"{name}: {len(images)} pictures of mean red, green, blue {colours}.")
    return figure


@styled
def stops_figure(
    runs: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    stops: Mapping[str, tuple[int, int]],
    every: int,
) -> Figure:
    """Validation and test error by step, a panel for each run, with the stop and the kept check.

    Args:
        runs: {name: (validation errors, test errors)}, one per check.
        stops: {name: (check of the stop, check that is kept)}.
        every: steps between two checks.
    """
    figure = new_figure(3.1 * len(runs), 2.9)
    axes = figure.subplots(1, len(runs), squeeze=False, sharey=True)[0]
    for ax, (name, curves) in zip(axes, runs.items(), strict=True):
        steps = every * (1 + np.arange(len(curves[0])))
        for k, (kind, errors) in enumerate(zip(("validation", "test"), curves, strict=True)):
            ax.plot(steps, errors, color=COLOURS[k], linestyle=LINES[k], label=kind)
        stop, kept = stops[name]
        ax.axvline(steps[stop], color="black", linestyle=":", label="the rule stops")
        ax.plot([steps[kept]], [curves[1][kept]], MARKERS[2], color="black", markersize=8, label="kept")
        ax.set(title=name, xlabel="step")
        best = min(curves[1])
        describe(
            ax,
            f"{name}: it stops after {steps[stop]} of {steps[-1]} steps and keeps step {steps[kept]}, with a "
            f"test error of {curves[1][kept]:.3f}; the smallest of the whole run is {best:.3f}.",
        )
    axes[0].set_ylabel("mean absolute error")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@styled
def game_figure(losses: Sequence[tuple[float, float]], errors: Sequence[float], every: int) -> Figure:
    """The losses of both players, and beside them the validation error of the same training."""
    figure = new_figure(8.2, 2.8)
    left, right = figure.subplots(1, 2)
    for k, name in enumerate(("D", "G")):
        values = [pair[k] / losses[0][k] for pair in losses]
        left.plot(values, color=COLOURS[k], linestyle=LINES[k], label=f"loss of {name}")
        describe(left, f"Loss of {name}: {values[-1]:.2f} of its first value at the end.")
    left.set(xlabel="step", ylabel="over its first value", title="what the players minimise")
    left.legend()
    steps = every * (1 + np.arange(len(errors)))
    right.plot(steps, errors, MARKERS[0] + "-", color=COLOURS[2])
    right.set(xlabel="step", ylabel="mean absolute error", title="validation error of G")
    words = (
        f"Losses of the players over their first values: D {losses[-1][0] / losses[0][0]:.2f}, G "
        f"{losses[-1][1] / losses[0][1]:.2f} at the end."
    )
    describe(left, words)
    describe(right, f"Validation error: {errors[0]:.3f} at first, {errors[-1]:.3f} at the end.")
    return figure


@styled
def copies_figure(scores: Mapping[str, tuple[Tensor, Tensor, Tensor]]) -> Figure:
    """Copy scores of outputs for new inputs, for training inputs, and of real new pictures; (N,) each.

    Args:
        scores: {number of training pairs in words: the three}.
    """
    figure = new_figure(7.6, 2.9)
    ax = figure.subplots()
    names = ("made of new inputs", "made of training inputs", "real new pictures")
    for place, (what, three) in enumerate(scores.items()):
        for k, (name, values) in enumerate(zip(names, three, strict=True)):
            x = place + 0.22 * (k - 1) + 0.06 * np.linspace(-1, 1, len(values))
            ax.plot(
                x, values, MARKERS[k], color=COLOURS[k], alpha=0.7, linestyle="none",
                label=name if place == 0 else None,
            )  # fmt: skip
        middle = [float(values.median()) for values in three]
        words = ", ".join(f"{name} {value:.2f}" for name, value in zip(names, middle, strict=True))
        describe(ax, f"{what}: median copy score {words}.")
    every = "; ".join(
        f"{what}: " + ", ".join(f"{n} {float(v.median()):.2f}" for n, v in zip(names, three, strict=True))
        for what, three in scores.items()
    )
    describe(ax, f"Median copy score, {every}.")
    ax.set_xticks(range(len(scores)), list(scores))
    ax.set(ylabel="copy score (1: an exact copy)", ylim=(-0.05, 1.05))
    ax.legend(loc="upper right")
    return figure
