"""The figures of lesson 03 that explain: the chain there and back, one jump, the ways of single points."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from torch import Tensor

from gantrans.teaching.plots import COLOURS, describe, image_axes, new_figure, styled

LEARNED = "#D55E00"
"""What is learned has this colour on the page."""
REACH = 2.3
"""Half the side of the plane that is shown: pure noise is this wide."""


@styled
def chain_figure(noisy: Tensor, names: Sequence[str]) -> Figure:
    """The chain of a diffusion model: images from clean to noise, the way there above, the way back below.

    Args:
        noisy: (N, S, S), from the image to pure noise.
        names: of the images, in mathematical notation.
    """
    figure = new_figure(9.2, 2.75)
    figure.set_layout_engine("none")
    count, side = len(noisy), 0.155
    lefts = [0.03 + i * (0.94 - side) / (count - 1) for i in range(count)]
    for left, image, name in zip(lefts, noisy, names, strict=True):
        ax = figure.add_axes((left, 0.22, side, 0.52))
        image_axes(image, name, ax=ax, limits=(-1.6, 1.6))
        describe(ax, "")
    for i, (left, right) in enumerate(pairwise(lefts)):
        dots = i % 2 == 0
        for height, start, end, colour in (
            (0.57, left + side + 0.008, right - 0.008, "#333333"),
            (0.41, right - 0.008, left + side + 0.008, LEARNED),
        ):
            style = "dotted" if dots else "solid"
            figure.add_artist(
                FancyArrowPatch(
                    (start, height), (end, height), arrowstyle="-|>", mutation_scale=13, color=colour,
                    linestyle=style, linewidth=1.4, transform=figure.transFigure,
                )
            )  # fmt: skip
    figure.text(0.5, 0.92, "the way there: add noise; known, nothing is learned", ha="center", va="center")
    figure.text(
        0.5, 0.09, "the way back: remove a little noise; learned", ha="center", va="center", color=LEARNED
    )
    describe(
        figure.axes[0],
        f"{count} images from a clean one to noise; arrows to the right add noise, those back remove it.",
    )
    return figure


@styled
def jump_figure(start: Tensor, ends: Mapping[str, Tensor], centres: Tensor) -> Figure:
    """Points before and after, one panel each, over the centres of the data.

    Args:
        start: (N, 2), pure noise.
        ends: {words: (N, 2)}.
        centres: (K, 2).
    """
    panels = {"pure noise": start, **ends}
    figure = new_figure(3.0 * len(panels), 3.3)
    for i, (ax, (name, points)) in enumerate(
        zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True)
    ):
        ax.plot(*points[:1000].T, ".", color=COLOURS[0] if i else "#888888", markersize=2.5, alpha=0.5)
        ax.plot(*centres.T, "o", color="black", fillstyle="none", markersize=13, label="the data")
        ax.set(title=name, xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xlabel="first number")
        near = float((torch.cdist(points, centres).amin(dim=1) < 0.12).double().mean())
        describe(ax, f"{name}: {near:.0%} of the points lie on one of the eight groups of data.")
    figure.axes[0].set_ylabel("second number")
    figure.axes[-1].legend(loc="upper right")
    return figure


@styled
def moments_figure(way: Sequence[Tensor], times: Sequence[int], centres: Tensor) -> Figure:
    """Four moments of a way of points from noise to data.

    Args:
        way: the points (N, 2) at the start and after every step.
        times: the timesteps at which was asked; the points before the step are at that timestep.
    """
    figure = new_figure(9.4, 2.8)
    steps = len(way) - 1
    for ax, share in zip(figure.subplots(1, 4, sharey=True), (0.0, 0.5, 0.8, 1.0), strict=True):
        moment = round(share * steps)
        points = way[moment]
        ax.plot(*points[:1000].T, ".", color=COLOURS[0], markersize=2.5, alpha=0.5)
        ax.plot(*centres.T, "o", color="black", fillstyle="none", markersize=10)
        words = f"t = {times[moment]}" if moment < steps else "after the last step"
        ax.set(title=words, xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xlabel="first number")
        near = float((torch.cdist(points, centres).amin(dim=1) < 0.12).double().mean())
        describe(ax, f"{words}: {near:.0%} of the points lie on the data.")
    figure.axes[0].set_ylabel("second number")
    return figure


@styled
def ways_figure(made: Mapping[str, Sequence[Sequence[Tensor]]], centres: Tensor, count: int = 4) -> Figure:
    """The ways of `count` points from noise to data, drawn twice from the same starts for each sampler.

    Args:
        made: {sampler: [the first way, the second way]}; a way is its points (N, 2) after every step.
    """
    figure = new_figure(9.0, 4.6)
    for ax, (name, twice) in zip(
        figure.subplots(1, len(made), sharey=True, squeeze=False)[0], made.items(), strict=True
    ):
        ax.plot(*centres.T, "o", color="#BBBBBB", markersize=13, label="data")
        for run, way in enumerate(twice):
            points = torch.stack(list(way))[:, :count]
            steps = len(points) - 1
            for i in range(steps):  # later pieces are darker, so that the direction can be seen
                ax.plot(
                    points[i : i + 2, :, 0].numpy(), points[i : i + 2, :, 1].numpy(),
                    color=COLOURS[run], linestyle=("-", "--")[run], linewidth=1.3,
                    alpha=0.25 + 0.75 * i / steps,
                )  # fmt: skip
            ax.plot(
                *points[-1].T, "os"[run], color=COLOURS[run], markersize=(9, 5)[run],
                label=f"end, {('first', 'second')[run]} time",
            )  # fmt: skip
        ax.plot(*twice[0][0][:count].T, "X", color="black", markersize=8, label="start")
        apart = float((twice[0][-1] - twice[1][-1])[:count].norm(dim=1).max())
        ax.set(title=f"{name}: ends up to {apart:.2g} apart", aspect="equal", xlabel="first number")
        ax.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH))
        describe(ax, f"{name}, {count} points twice from the same start: ends up to {apart:.2g} apart.")
    figure.axes[0].set_ylabel("second number")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
