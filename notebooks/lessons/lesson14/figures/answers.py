"""The figures of lesson 14 that show answers: the toy, SEM images, intervals, a doubtful break."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.images import unit_from_network
from gantrans.teaching.plots import COLOURS, MARKERS, describe, image_axes, image_grid, new_figure, styled


@styled
def toy_figure(rows: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Answers against the input, a panel for each method; the title says which share is positive.

    Args:
        rows: {name: (inputs (N, 1), answers (N, 1))}.
    """
    figure = new_figure(2.35 * len(rows), 2.7)
    for ax, (name, (given, made)) in zip(
        figure.subplots(1, len(rows), sharey=True), rows.items(), strict=True
    ):
        right = given[:, 0] > 0.5
        upper = float((made[right, 0] > 0).float().mean())
        ax.plot(given[:, 0], made[:, 0], ".", color=COLOURS[0], markersize=2, alpha=0.4)
        ax.set(title=f"{name}\n{upper:.0%} positive beyond 0.5", xlabel="input $c$", ylim=(-1.6, 1.6))
        between = float((made.abs() < 0.35).float().mean())
        describe(
            ax,
            f"{name}: {upper:.0%} of the answers to inputs beyond 0.5 are positive, {between:.0%} of all lie "
            "between the two branches.",
        )
    figure.axes[0].set_ylabel("answer $y$")
    return figure


@styled
def question_figure(layout: Tensor, first: Tensor, second: Tensor, mean: Tensor) -> Figure:
    """A layout, two images of it and the mean of many; each (1, S, S) in [-1, 1]."""
    panels = {
        "a layout": layout,
        "an SEM image of it": first,
        "another one, as right": second,
        "the mean of 64": mean,
    }
    shown = [unit_from_network(image).clamp(0, 1) for image in panels.values()]
    return image_grid([shown], list(panels), pixel_nm=20.0, size=2.0)


@styled
def ensemble_figure(given: Tensor, truth: Tensor, answers: Tensor, picked: Sequence[int]) -> Figure:
    """For some inputs: the image, what was drawn, four answers, the share of all answers that draw a pixel.

    Args:
        given, truth: (N, 1, S, S); answers: (K, N, 1, S, S); all in [-1, 1].
    """
    share = (answers > 0).float().mean(0)
    names = ["SEM image", "drawn layout", *(f"answer {k}" for k in range(1, 5)), "share of answers"]
    rows = []
    for i in picked:
        shown = [given[i], truth[i], *answers[:4, i]]
        rows.append([*(unit_from_network(image).clamp(0, 1) for image in shown), share[i]])
    return image_grid(rows, names, row_titles=[f"clip {i}" for i in picked], size=1.35)


@styled
def interval_figure(low: Tensor, high: Tensor, truth: Tensor, coverage: float, level: float) -> Figure:
    """Intervals of the drawn area, (N,) each, sorted by their middle; a cross is a truth outside."""
    order = (low + high).argsort()
    first, last, true = (100 * values[order].numpy() for values in (low, high, truth))
    place, inside = np.arange(len(first)), (first <= true) & (true <= last)
    figure = new_figure(8.4, 3.0)
    ax = figure.subplots()
    ax.vlines(place, first, last, color=COLOURS[0], alpha=0.6, linewidth=3, label="interval of the answers")
    ax.plot(place[inside], true[inside], "o", color=COLOURS[2], markersize=4, label="truth, inside")
    ax.plot(place[~inside], true[~inside], "X", color=COLOURS[1], markersize=7, label="truth, outside")
    ax.set(xlabel="held-out clips, sorted", ylabel="drawn area (%)", title=f"{coverage:.0%} inside")
    ax.legend(loc="upper left")
    describe(
        ax,
        f"Drawn area of {len(first)} clips: {coverage:.0%} of the truths lie in their {level:.0%} interval, "
        f"whose mean width is {float((last - first).mean()):.1f} % of the clip.",
    )
    return figure


@styled
def break_figure(
    given: Tensor, answers: Tensor, single: Tensor, strengths: Sequence[float], place: tuple[slice, slice]
) -> Figure:
    """A break that is there more or less: the images, the share of answers that draw it, one L1 answer.

    Args:
        given, single: (N, 1, S, S); answers: (K, N, 1, S, S); all in [-1, 1].
        place: rows and columns in which the break is counted.
    """
    votes = break_votes(answers, place)
    figure = new_figure(1.65 * len(strengths) + 0.6, 4.6)
    axes = figure.subplots(3, len(strengths))
    share = (answers > 0).float().mean(0)
    for column, strength in enumerate(strengths):
        shown = (
            unit_from_network(given[column]),
            share[column],
            unit_from_network(single[column]).clamp(0, 1),
        )
        for ax, image in zip(axes[:, column], shown, strict=True):
            image_axes(image, ax=ax)
            describe(ax, "")
        axes[0, column].set_title(f"break {strength:.0%}")
        axes[1, column].set_title(f"{votes[column]:.0%} draw it", fontsize=9)
    words = "; ".join(f"{s:.0%}: {v:.0%}" for s, v in zip(strengths, votes, strict=True))
    for ax, name in zip(axes[:, 0], ("SEM image", "share of answers", "L1"), strict=True):
        ax.set_ylabel(name)
    describe(axes[0, 0], f"Share of {len(answers)} answers that draw a break of strength {words}.")
    return figure


def break_votes(answers: Tensor, place: tuple[slice, slice]) -> list[float]:
    """Share of the answers (K, N, 1, S, S) that leave most pixels of a place empty, one per input."""
    inside = (answers[..., place[0], place[1]] > 0).float().mean((2, 3, 4))
    return [float(v) for v in (inside < 0.5).float().mean(0)]


@styled
def disagreement_figure(usual: Tensor, doubtful: Sequence[float], strengths: Sequence[float]) -> Figure:
    """How much the answers disagree at their worst place: a histogram of clips (N,), marks for others."""
    figure = new_figure(7.2, 2.7)
    ax = figure.subplots()
    ax.hist(usual.numpy(), bins=20, color=COLOURS[0], alpha=0.6, label="usual clips")
    limit = float(usual.quantile(0.95))
    ax.axvline(limit, color="black", linestyle=":", label="95 % of the usual clips")
    for number, (value, strength) in enumerate(zip(doubtful, strengths, strict=True)):
        colour, marker = COLOURS[(number + 1) % len(COLOURS)], MARKERS[number % len(MARKERS)]
        height = (1 + 2 * number) * ax.get_ylim()[1] / 20  # one above another: equal values stay apart
        ax.plot(
            [value], [height], marker, color=colour, markeredgecolor="white", markersize=9,
            label=f"break {strength:.0%}",
        )  # fmt: skip
    ax.set(xlabel="disagreement at the worst place", ylabel="clips")
    ax.legend(fontsize=8)
    words = "; ".join(f"{s:.0%}: {v:.2f}" for s, v in zip(strengths, doubtful, strict=True))
    describe(
        ax, f"Disagreement: 95 % of {len(usual)} usual clips below {limit:.2f}; breaks of strength {words}."
    )
    return figure


def tiles(images: Tensor, count: int) -> Tensor:
    """The first `count` images (N, 1, S, S) side by side, (1, S, count * S)."""
    return torch.cat(list(images[:count]), dim=2)
