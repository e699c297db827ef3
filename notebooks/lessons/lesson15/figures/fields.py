"""The figures of lesson 15 in the plane: single paths, their average, Euler's steps along the field."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from gantrans.teaching.plots import COLOURS, describe, new_figure, styled

LEARNED = "#D55E00"
"""What is learned has this colour on the page."""
REACH = 2.6
"""Half the side of the plane that is shown: pure noise is this wide."""
NEAR = 0.08
"""A point closer than this to a sample lies on the data."""


def moons(count: int, generator: torch.Generator) -> Tensor:
    """Two half circles that reach into each other, with a little noise: (count, 2)."""
    angle = torch.pi * torch.rand(count, generator=generator)
    upper = torch.rand(count, generator=generator) < 0.5
    sign = torch.where(upper, 1.0, -1.0)
    x = angle.cos() + 0.5 * sign
    y = sign * (angle.sin() - 0.4)
    points = torch.stack([x, y], dim=1) * 1.1
    return points + 0.05 * torch.randn(count, 2, generator=generator)


def on_data(points: Tensor, data: Tensor) -> float:
    """Share of points (N, 2) that lie within 0.08 of one of `data` (M, 2)."""
    return float((torch.cdist(points, data).amin(dim=1) < NEAR).double().mean())


def coverage(points: Tensor, data: Tensor) -> float:
    """Share of `data` (M, 2) with a point (N, 2) within 0.08."""
    return on_data(data, points)


def _plane(ax: Axes, title: str) -> Axes:
    ax.set(title=title, xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xlabel="first number")
    return ax


def _dots(ax: Axes, points: Tensor, colour: str, label: str = "") -> None:
    ax.plot(*points.T, ".", color=colour, markersize=2.5, alpha=0.5, label=label)


@styled
def paths_figure(data: Tensor, noise: Tensor, place: Tensor, time: float, radius: float = 0.35) -> Figure:
    """One path; paths that pass near a place at a time, and their mean; that mean at many places.

    All arrows point against time, from noise to data.

    Args:
        data, noise: the two ends of each path, (N, 2) each; time 0 is at the data.
        place: (2,).
        time: of the second and third panel, 0 to 1.
    """
    at, velocity = (1 - time) * data + time * noise, noise - data
    figure = new_figure(9.4, 3.9)
    one, near, field = figure.subplots(1, 3, sharey=True)
    for ax in (one, near, field):
        _dots(ax, data[:600], "#AAAAAA", "data")
    long = torch.nonzero((velocity.norm(dim=1) - 1.8).abs() < 0.3)[:, 0]
    pick = int(long[(at[long] - place).norm(dim=1).argmin()])
    _plane(one, "one path")
    one.plot(*torch.stack([data[pick], noise[pick]]).T, color=COLOURS[0], marker="o", label="noise to data")
    _arrow(one, at[pick], -0.45 * velocity[pick], COLOURS[0])
    describe(one, "One straight path from a noise to a sample; its velocity is the same everywhere on it.")
    passing = torch.nonzero((at - place).norm(dim=1) < radius)[:14, 0]
    mean = velocity[(at - place).norm(dim=1) < radius].mean(dim=0)
    _plane(near, f"paths near one place, time {time:g}")
    for i in passing.tolist():
        near.plot(*torch.stack([data[i], noise[i]]).T, color=COLOURS[0], linewidth=0.7, alpha=0.6)
    near.add_patch(Circle((float(place[0]), float(place[1])), radius, fill=False, linewidth=1.5))
    _arrow(near, place, -0.45 * mean, LEARNED)
    describe(near, f"{len(passing)} paths cross near one place, from many sides; an arrow shows their mean.")
    _plane(field, f"the mean at every place, time {time:g}")
    count = _field_arrows(field, at, velocity, radius)
    describe(field, f"The mean velocity at {count} places, as arrows towards the data.")
    one.set_ylabel("second number")
    one.legend(loc="upper right")
    return figure


def _arrow(ax: Axes, start: Tensor, step: Tensor, colour: str) -> None:
    end = start + step
    ax.annotate(
        "", (float(end[0]), float(end[1])), (float(start[0]), float(start[1])),
        arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2.2, "mutation_scale": 16},
    )  # fmt: skip


def _field_arrows(ax: Axes, at: Tensor, velocity: Tensor, radius: float) -> int:
    """Arrows of the mean velocity, against time, at places with enough paths; how many there are."""
    line = torch.linspace(-2, 2, 11)
    places = torch.cartesian_prod(line, line)
    passing = torch.cdist(places, at) < radius
    enough = passing.sum(dim=1) > 4
    means = (passing.float() @ velocity)[enough] / passing.sum(dim=1, keepdim=True)[enough]
    ax.quiver(*places[enough].T, *-means.T, color=LEARNED, angles="xy", scale=26, width=0.006)
    return int(enough.sum())


@styled
def walks_figure(
    walks: Mapping[str, Mapping[int, Sequence[Tensor]]], data: Tensor, *, steps: int, count: int = 60
) -> Figure:
    """Euler's walks in `steps` steps, a panel per path; lines of `count` points, and where all points end.

    Args:
        walks: {name: {steps: the points (N, 2) at the start and after every step}}.
        data: (M, 2).
    """
    figure = new_figure(7.4, 4.6)
    for ax, (name, made) in zip(figure.subplots(1, len(walks), sharey=True), walks.items(), strict=True):
        way = torch.stack(list(made[steps]))
        _dots(ax, data[:800], "#AAAAAA", "data")
        ax.plot(way[:, :count, 0], way[:, :count, 1], color=COLOURS[0], linewidth=0.6, alpha=0.5)
        _dots(ax, way[-1][:800], LEARNED, "where the walks end")
        hit, held = on_data(way[-1], data), coverage(way[-1], data)
        _plane(
            ax,
            f"{name}, {steps} step{'s' * (steps > 1)}\n{hit:.0%} end on the data, {held:.0%} of it reached",
        )
        describe(
            ax,
            f"{name}, {steps} steps: {hit:.0%} of the points end on the data, and {held:.0%} of the data are "
            "reached.",
        )
    figure.axes[0].set_ylabel("second number")
    figure.axes[0].legend(loc="lower right", markerscale=3)
    return figure


@styled
def bends_figure(
    data: Tensor, noise: Tensor, walks: Mapping[str, Sequence[Tensor]], count: int = 40
) -> Figure:
    """The straight paths of a training batch beside the trajectories of learned fields, which do not cross.

    Args:
        data, noise: ends of the paths of a batch, (N, 2).
        walks: {name of the paths: points (N, 2) at the start and after every step}.
    """
    figure = new_figure(9.4, 4.2)
    axes = figure.subplots(1, 1 + len(walks), sharey=True)
    _plane(axes[0], "lines in training")
    for a, b in zip(noise[:count], data[:count], strict=True):
        axes[0].plot(*torch.stack([a, b]).T, color=COLOURS[0], linewidth=0.8, alpha=0.7)
    describe(axes[0], f"{count} straight paths between noise and data, which cross each other.")
    for ax, (name, way) in zip(axes[1:], walks.items(), strict=True):
        points = torch.stack(list(way))[:, :count]
        _plane(ax, "")
        ax.plot(points[..., 0], points[..., 1], color=LEARNED, linewidth=0.8, alpha=0.8)
        ax.plot(*points[-1].T, "o", color="black", markersize=2.5)
        extra = detour(points)
        describe(
            ax,
            f"Learned from {name}: the trajectories are {extra:.0%} longer than the straight lines between "
            "their ends.",
        )
        ax.set_title(f"trajectories, learned from {name}:\n{extra:.0%} longer than straight")
    axes[0].set_ylabel("second number")
    return figure


def detour(points: Tensor) -> float:
    """How much longer trajectories (S + 1, N, 2) are than straight lines between their ends: 0 for lines."""
    length = points.diff(dim=0).norm(dim=2).sum(dim=0)
    return float((length.sum() / (points[-1] - points[0]).norm(dim=1).sum()) - 1)
