"""The ring of eight Gaussians of lesson 06: what a generator covers of it, over training and at the end."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.teaching.plots import COLOURS, describe, new_figure, styled

NEAR, SHARE = 0.2, 0.02
"""A point belongs to a group within this distance (four sigma); a group counts from this share on."""
REACH = 1.6


def covered(points: Tensor, centres: Tensor) -> int:
    """How many groups hold at least 2 % of the points.

    Args:
        points: (N, 2).
        centres: (K, 2).
    """
    distance, group = torch.cdist(points, centres).min(dim=1)
    counts = torch.bincount(group[distance < NEAR], minlength=len(centres))
    return int((counts >= SHARE * len(points)).sum())


def _panel(ax: Axes, points: Tensor, centres: Tensor, size: float) -> int:
    ax.plot(*centres.T, "o", color="black", fillstyle="none", markersize=size, markeredgewidth=0.8)
    ax.plot(*points.T, ".", color=COLOURS[1], markersize=2, alpha=0.5)
    ax.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xticks=(), yticks=())
    return covered(points, centres)


@styled
def moments_figure(runs: Mapping[str, Sequence[Tensor]], steps: int, centres: Tensor) -> Figure:
    """Points of a generator at moments of its training, one line per run.

    Args:
        runs: {name: [(N, 2), ...]}, moments evenly spread from step 0 to the last.
        steps: of a training.
    """
    count = len(next(iter(runs.values())))
    figure = new_figure(1.55 * count, 1.55 * len(runs) + 0.3)
    axes = figure.subplots(len(runs), count, squeeze=False)
    for line, (row, (name, moments)) in enumerate(zip(axes, runs.items(), strict=True)):
        found = [_panel(ax, points, centres, 11) for ax, points in zip(row, moments, strict=True)]
        row[0].set_ylabel(name)
        for i, ax in enumerate(row):
            describe(ax, "")
            if line == 0:
                ax.set_title(f"step {i * steps // (count - 1)}", fontsize=10)
        describe(row[0], f"{name}: groups covered, in order: {', '.join(map(str, found))} of {len(centres)}.")
    return figure


@styled
def rescue_figure(runs: Mapping[str, Sequence[Tensor]], centres: Tensor) -> Figure:
    """Points at the end of training: a column per repair, a line per seed, the groups covered as a number.

    Args:
        runs: {repair: [(N, 2) of seed 0, of seed 1, ...]}.
    """
    seeds = len(next(iter(runs.values())))
    figure = new_figure(1.17 * len(runs) + 0.2, 1.25 * seeds + 0.45)
    axes = figure.subplots(seeds, len(runs), squeeze=False)
    for column, (name, ends) in enumerate(runs.items()):
        found = []
        for ax, points in zip(axes[:, column], ends, strict=True):
            found.append(_panel(ax, points, centres, 7))
            ax.text(0, 0, str(found[-1]), ha="center", va="center", fontsize=13, fontweight="bold")
            describe(ax, "")
        axes[0, column].set_title(name, fontsize=9)
        describe(
            axes[0, column], f"{name.replace(chr(10), ' ')}: groups covered {', '.join(map(str, found))}."
        )
    for i in range(seeds):
        axes[i, 0].set_ylabel(f"seed {i}")
    return figure
