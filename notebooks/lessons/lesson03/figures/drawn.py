"""The figures of lesson 03 that show what its networks draw: digits, clips, steps, guidance."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.images import unit_from_network
from gantrans.metrics import frechet_distance, nearest_distance
from gantrans.teaching.plots import COLOURS, MARKERS, describe, image_axes, new_figure, styled
from gantrans.teaching.plots.style import LINES
from lessons.lesson03.figures.sampling import clip_axes, valid_share, violations
from lessons.shared.denoising import clips, clips_judge, digits_distance

SIDE, RULE = 16, 2
"""Pixels of a clip, and the least width and space of its design rule."""


@styled
def digits_figure(made: Mapping[str, Tensor], count: int = 14) -> Figure:
    """A row of digits (N, 64) per name, with the distance of all N from real digits."""
    rows = {
        f"{name}\ndistance {digits_distance(x):.0f}": x[:count].view(-1, 8, 8) for name, x in made.items()
    }
    figure = new_figure(9.4, 0.66 * len(rows))
    for row, (axes, (name, digits)) in enumerate(
        zip(figure.subplots(len(rows), count, squeeze=False), rows.items(), strict=True)
    ):
        for ax, digit in zip(axes, digits, strict=True):
            ax.imshow(digit.clamp(-1, 1), cmap="gray", vmin=-1, vmax=1, interpolation="bicubic")
            ax.set(xticks=[], yticks=[])
            ax.grid(visible=False)
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
        describe(axes[0], f"Row {row + 1}: {name.replace(chr(10), ', ')}.")
    return figure


def distance(drawn: Tensor) -> float:
    """Frechet distance of clips (N, 1, 16, 16) in [-1, 1] from held-out ones, on the judge's features."""
    judge = clips_judge(SIDE)
    real = clips(SIDE, "test", 256).network()
    return frechet_distance(judge.features(drawn.sign()), judge.features(real))


@styled
def steps_figure(scores: Mapping[str, Mapping[int, Tensor]]) -> Figure:
    """Valid clips and distance from real ones against the number of evaluations, a line per sampler.

    Args:
        scores: {sampler: {evaluations: clips (N, 1, 16, 16)}}.
    """
    figure = new_figure(9.0, 3.2)
    axes = figure.subplots(1, 2)
    judged: Sequence[tuple[str, Callable[[Tensor], float]]] = (
        ("valid clips (%), more is better", lambda drawn: 100 * valid_share(drawn, RULE)),
        ("distance from real, less is better", distance),
    )
    for ax, (label, judge) in zip(axes, judged, strict=True):
        words = []
        for i, (name, row) in enumerate(scores.items()):
            values = [judge(drawn) for drawn in row.values()]
            ax.plot(list(row), values, color=COLOURS[i], linestyle=LINES[i], marker=MARKERS[i], label=name)
            numbers = ", ".join(f"{value:.0f} at {count}" for count, value in zip(row, values, strict=True))
            words.append(f"{name} {numbers}")
        describe(ax, f"{label}: {'; '.join(words)}.")
        counts = list(next(iter(scores.values())))
        ax.set(xscale="log", xlabel="evaluations of the network", ylabel=label, ylim=(0, None))
        ax.set_xticks(counts, [str(count) for count in counts])
        ax.minorticks_off()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@styled
def scrubber_figure(
    ways: Mapping[str, tuple[Sequence[int], Tensor, Tensor]], *, sampler: str, step: int
) -> Figure:
    """x_t before a step and the image predicted from it, a column per clip; after the last step the clips.

    Args:
        ways: {sampler: (the timesteps, x (steps + 1, N, 1, S, S), predicted images (steps, N, 1, S, S))}.
        step: 0 (noise) to the number of steps (the clips).
    """
    times, way, seen = ways[sampler]
    done = step >= len(times)
    x_t, x0 = (way[-1], seen[-1]) if done else (way[step], seen[step])
    figure = new_figure(1.45 * len(x_t) + 0.4, 3.4)
    axes = figure.subplots(2, len(x_t), squeeze=False)
    for row, images in zip(axes, (x_t, x0), strict=True):
        for ax, image in zip(row, images, strict=True):
            image_axes(image, ax=ax, limits=(-1.6, 1.6))
            describe(ax, "")
    axes[0, 0].set_ylabel("the clips" if done else "x_t")
    axes[1, 0].set_ylabel("last prediction" if done else "predicted image")
    place = "done" if done else f"t = {times[step]}"
    figure.suptitle(f"{sampler}, {step} of {len(times)} steps taken, {place}")
    undecided = float((x0.abs() < 0.8).float().mean())
    describe(axes[1, 0], f"{place}: {undecided:.0%} of the predicted pixels are undecided.")
    return figure


@styled
def guidance_figure(made: Mapping[float, Tensor], label: Tensor, *, scale: float) -> Figure:
    """Clips at one guidance scale, and what the scale buys and costs: family, variety, violations.

    Args:
        made: {scale: clips (N, 1, 16, 16)}, all with the same labels (N,).
        scale: the one whose clips are shown.
    """
    figure = new_figure(9.4, 3.3)
    parts: Any = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    left, right = parts
    for ax, clip in zip(left.subplots(2, 4).ravel(), made[scale], strict=False):
        clip_axes(ax, clip, RULE)
    left.suptitle(f"guidance {scale:g}: two clips of each family")
    quantities = {
        "of the family asked for (%)": lambda drawn: 100 * agreement(drawn, label),
        "pixels that differ within a family (%)": lambda drawn: 100 * variety(drawn, label),
        "pixels that break the rule (%)": lambda drawn: 100 * float(violations(drawn, RULE).float().mean()),
    }
    for i, (ax, (name, measure)) in enumerate(zip(right.subplots(1, 3), quantities.items(), strict=True)):
        values = [measure(drawn) for drawn in made.values()]
        ax.plot(list(made), values, color=COLOURS[i], marker=MARKERS[i], markersize=4)
        ax.plot(scale, values[list(made).index(scale)], "o", color="black", fillstyle="none", markersize=11)
        ax.set(ylabel=name, ylim=(0, 1.15 * max(values) + 1e-9), xticks=list(made)[::2], xlabel="scale")
        ax.margins(x=0.12)
        ax.tick_params(labelsize="small")
        words = ", ".join(f"{value:.3g} at {s:g}" for s, value in zip(made, values, strict=True))
        describe(ax, f"{name}: {words}.")
    return figure


def agreement(drawn: Tensor, label: Tensor) -> float:
    """Share of clips that the judge puts into the family that was asked for."""
    return float((clips_judge(SIDE).classes(drawn.sign()) == label).float().mean())


def variety(drawn: Tensor, label: Tensor) -> float:
    """Mean share of pixels in which two clips of one family differ, averaged over the families."""
    shares = []
    for family in label.unique():
        black = (drawn[label == family] > 0).flatten(1).float()
        count, pixels = black.shape
        shares.append(float(torch.cdist(black, black, p=1).sum()) / (count * (count - 1) * pixels))
    return sum(shares) / len(shares)


def copy_share(drawn: Tensor, known: Tensor) -> float:
    """Share of clips (N, 1, S, S) in [-1, 1] that are one of `known` to the pixel, after thresholding."""
    nearest = nearest_distance(unit_from_network(drawn.clamp(-1, 1)), unit_from_network(known))
    return float((nearest == 0).float().mean())
