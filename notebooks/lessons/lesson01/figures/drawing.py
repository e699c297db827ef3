"""The figures of lesson 01's two models: numbers in four bumps, and digits over training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.teaching.plots import COLOURS, describe, image_grid, new_figure, styled

RANGE = (-3.0, 3.0)
BUMPS = (-1.5, -0.5, 0.5, 1.5)
"""Centres of the four bumps, for the words of a figure."""


@styled
def way_back_figure(way: Sequence[Tensor], data: Tensor) -> Figure:
    """Sampling of single numbers: some ways from noise to data, and the numbers at four moments.

    Args:
        way: the numbers (N,) at the start and after every step.
        data: numbers from the data, (M,).
    """
    figure = new_figure(9.4, 5.0)
    parts: Any = figure.subfigures(2, 1)
    paths = parts[0].subplots()
    paths.plot(torch.stack(list(way))[:, :40].numpy(), color="#555555", linewidth=0.6)
    paths.set(xlabel="steps taken", ylabel="value", title="forty numbers on their way from noise (left)")
    describe(paths, f"Forty numbers start spread out and end near {', '.join(f'{b:g}' for b in BUMPS)}.")
    axes = parts[1].subplots(1, 4, sharey=True)
    moments = [round(share * (len(way) - 1)) for share in (0.0, 0.5, 0.8, 1.0)]
    for ax, moment in zip(axes, moments, strict=True):
        words = "pure noise" if moment == 0 else f"after {moment} steps"
        _histogram(ax, way[moment], data, words, legend=moment == 0)
    return figure


@styled
def bumps_figure(made: Mapping[str, Tensor], data: Tensor) -> Figure:
    """One histogram of numbers (N,) for each name, over that of the data."""
    figure = new_figure(4.7 * len(made), 2.6)
    axes = figure.subplots(1, len(made), sharey=True, squeeze=False)[0]
    for ax, (name, x) in zip(axes, made.items(), strict=True):
        _histogram(ax, x, data, name, legend=ax is axes[0])
    return figure


def shares(x: Tensor) -> list[float]:
    """Which share of numbers lies within 0.36 (three standard deviations) of each bump's centre."""
    return [float(((x - centre).abs() < 0.36).double().mean()) for centre in BUMPS]


def _histogram(ax: Axes, x: Tensor, data: Tensor, title: str, *, legend: bool) -> None:
    style = {"bins": 90, "range": RANGE, "density": True}
    ax.hist(data.numpy(), color="#BBBBBB", label="data", **style)  # type: ignore[arg-type]
    ax.hist(x.numpy(), color=COLOURS[0], histtype="step", linewidth=1.4, label="model", **style)  # type: ignore[arg-type]
    ax.set(title=title, xlabel="value", yticks=[])
    if legend:
        ax.legend(loc="upper left")
    held = ", ".join(f"{share:.0%}" for share in shares(x))
    describe(ax, f"{title}: {held} of the numbers lie at the four bumps.")


@styled
def table_figure(table: Tensor) -> Figure:
    """The learned table (T, bins) as a picture: which noise it names at each timestep and value."""
    figure = new_figure(6.4, 3.0)
    ax = figure.subplots()
    steps = len(table)
    picture = ax.imshow(
        table.detach().numpy().T, aspect="auto", origin="lower", extent=(-0.5, steps - 0.5, *RANGE),
        cmap="RdBu_r", vmin=-3, vmax=3, interpolation="nearest",
    )  # fmt: skip
    ax.grid(visible=False)
    ax.set(xlabel="timestep t", ylabel="value seen, x_t")
    figure.colorbar(picture, ax=ax, label="noise that it names")
    last = table[-1]
    known = last != 0
    centre = torch.linspace(*RANGE, len(last))[known]
    slope = float((centre * last.detach()[known]).mean() / (centre * centre).mean())
    describe(ax, f"At the last timestep the named noise is about {slope:.1f} times the value seen.")
    return figure


@styled
def samples_figure(samples: Mapping[str, Tensor], count: int = 10, *, smooth: bool = False) -> Figure:
    """A row of 8 x 8 digits (N, 64) in [-1, 1] per name; `smooth` blends neighbouring pixels for the eye."""
    rows = [list(x[:count].cpu().view(-1, 1, 8, 8).clamp(-1, 1)) for x in samples.values()]
    names = [name.replace(", ", ",\n") for name in samples]
    figure = image_grid(rows, row_titles=names, limits=(-1.0, 1.0), size=0.92)
    for ax, name in zip(figure.axes[:: len(rows[0])], samples, strict=True):
        ax.set_ylabel(ax.get_ylabel(), rotation=0, ha="right", va="center")
        describe(ax, f"{name}: mean pixel {float(samples[name].mean()):.2f}.")
    for i, ax in enumerate(figure.axes):
        if smooth:
            ax.images[0].set_interpolation("bicubic")
        if i % len(rows[0]):
            describe(ax, "")
    return figure


@styled
def losses_figure(losses: Mapping[str, Sequence[float]], smooth: int = 25) -> Figure:
    """Training losses by step, each averaged over the last `smooth` steps."""
    figure = new_figure(7.4, 2.8)
    ax = figure.subplots()
    words = []
    for i, (name, values) in enumerate(losses.items()):
        width = min(smooth, len(values))
        mean = np.convolve(values, np.ones(width) / width, mode="valid")
        ax.plot(np.arange(width, len(values) + 1), mean, color=COLOURS[i], label=name)
        words.append(f"{name} ends at {mean[-1]:.2f}")
    ax.axhline(1.0, color="#777777", linestyle=":", linewidth=0.8)
    ax.text(0.99, 1.0, "answering 0 every time", transform=ax.get_yaxis_transform(), ha="right", va="bottom")
    ax.set(xlabel="training step", ylabel="loss", ylim=(0, 1.15))
    ax.legend(loc="upper center", ncols=2)
    describe(ax, f"Training loss: {'; '.join(words)}; answering 0 would cost 1.")
    return figure
