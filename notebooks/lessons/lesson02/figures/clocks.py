"""The figures of lesson 02 on clocks: why the answer depends on t, embeddings, what a block makes of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.diffusion import make_schedule, q_sample
from gantrans.networks import TimeEmbedding, sinusoidal_embedding
from gantrans.networks.blocks import weights_from
from gantrans.teaching.plots import COLOURS, describe, new_figure, styled
from lessons.lesson02.experiments import embeddings

STEPS = 1000
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
KINDS = {"sines": "sinusoidal", "raw t": "raw", "per t": "learned"}
"""Ways to give a network the time, as the lesson calls them, and their kind of `TimeEmbedding`."""


@styled
def same_point_figure(point: tuple[float, float], times: Sequence[int]) -> Figure:
    """One point of the plane among the x_t of several timesteps, and the exact mean of its noise at each."""
    schedule = make_schedule("cosine")
    x0, exact = embeddings.ring(600, 3), embeddings.ExactRing(schedule)
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(3))
    x = torch.tensor([point])
    figure = new_figure(2.35 * len(times), 2.75)
    for ax, t in zip(figure.subplots(1, len(times), squeeze=False)[0], times, strict=True):
        cloud = q_sample(schedule, x0, torch.full((len(x0),), t), noise)
        ax.plot(*cloud.T.numpy(), ".", color=COLOURS[3], markersize=2, alpha=0.5)
        (u, v) = exact(x, torch.tensor([t]))[0].tolist()
        ax.plot(*point, "o", color=COLOURS[2], markersize=5)
        head: Any = {"arrowstyle": "-|>", "color": COLOURS[1], "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (point[0] + u, point[1] + v), point, arrowprops=head)
        _square(ax, 2.4)
        ax.set_title(f"t = {t}\nbest answer ({u:.2f}, {v:.2f})")
        describe(ax, f"t = {t}: for the point {point} the best answer is ({u:.2f}, {v:.2f}).")
    return figure


def _square(ax: Axes, side: float) -> None:
    ax.set(xlim=(-side, side), ylim=(-side, side), xticks=(-2, 0, 2), yticks=(-2, 0, 2))
    ax.set_aspect("equal")
    coordinates(ax)


def coordinates(ax: Axes) -> None:
    ax.set_xlabel("first coordinate")
    if ax.get_subplotspec().get_geometry()[2] == 0:  # type: ignore[union-attr]
        ax.set_ylabel("second coordinate")


def embed(kind: str, width: int, max_period: float, t: Tensor) -> Tensor:
    """An untrained embedding (N, width) of one of `KINDS`; `max_period` matters to the sines alone."""
    if kind == "sines":
        return sinusoidal_embedding(t, width, max_period=max_period)
    with weights_from(0), torch.inference_mode():
        made: Tensor = TimeEmbedding(KINDS[kind], width, STEPS)(t)
    return made


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """Cosines between rows: (N, D) and (M, D) -> (N, M)."""
    return F.normalize(first, dim=1) @ F.normalize(second, dim=1).T


@styled
def embedding_figure(*, kind: str, width: int, max_period: float) -> Figure:
    """The embedding as an image, its similarity between all pairs of timesteps, and three rows of that."""
    t = torch.arange(0, STEPS, 4)
    embedded = embed(kind, width, max_period, t)
    alike = similarity(embedded, embedded)
    figure = new_figure(9.6, 3.2)
    left, middle, right = figure.subplots(1, 3)
    limit = max(1.0, float(embedded.abs().max()))
    extent: Any = (0, STEPS, width - 0.5, -0.5)
    shown = left.imshow(
        embedded.T, aspect="auto", cmap="cividis", vmin=-limit, vmax=limit, extent=extent,
        interpolation="nearest",
    )  # fmt: skip
    _image(left, "the embedding", "timestep t", "channel")
    figure.colorbar(shown, ax=left, shrink=0.8)
    describe(left, f"{kind}: {width} channels, from {embedded.min():.2f} to {embedded.max():.2f}.")
    shown = middle.imshow(
        alike, cmap="cividis", vmin=-1, vmax=1, extent=(0, STEPS, STEPS, 0), interpolation="nearest"
    )
    _image(middle, "similarity (cosine)", "t'", "t")
    figure.colorbar(shown, ax=middle, shrink=0.8)
    for i, at in enumerate((200, 500, 800)):
        right.plot(t - at, alike[at // 4], color=COLOURS[i], linestyle=LINES[i], label=f"t = {at}")
    right.set(title="three of its rows", xlabel="t' - t", ylabel="similarity", xlim=(-500, 500))
    right.set_ylim(-1.05, 1.75)
    right.set_yticks((-1, 0, 1))
    right.legend(loc="upper right", handlelength=1.6, fontsize=8)
    near, far = (float(alike[125, 125 + lag // 4]) for lag in (20, 400))
    describe(right, f"From t = 500 the similarity is {near:.2f} after 20 steps and {far:.2f} after 400.")
    return figure


def _image(ax: Axes, title: str, xlabel: str, ylabel: str) -> None:
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.grid(False)


def haste(values: Tensor, lag: int = 20) -> float:
    """How far a function of t (T, C) moves in `lag` timesteps, on average, as a share of all it ever does.

    Near 0 for slow functions; about 0.4 where it forgets where it was.
    """
    return float(((values[lag:] - values[:-lag]).abs().mean(0) / (values.amax(0) - values.amin(0))).mean())


@styled
def scales_figure(scales: Mapping[str, Tensor], count: int = 8) -> Figure:
    """The scales (T, features) that a block makes of every timestep, for `count` features: from the one that
    moves most down to the middle one, in even ranks.
    """
    figure = new_figure(4.6 * len(scales), 3.0)
    axes = figure.subplots(1, len(scales), sharey=True, squeeze=False)[0]
    for ax, (arm, values) in zip(axes, scales.items(), strict=True):
        ranked = (values.amax(0) - values.amin(0)).argsort(descending=True)
        chosen = ranked[torch.linspace(0, len(ranked) // 2, count).long()]
        for i, k in enumerate(chosen.tolist()):
            ax.plot(1 + values[:, k], color=COLOURS[i % len(COLOURS)], linestyle=LINES[i % len(LINES)])
        ax.set(title=arm, xlabel="timestep t")
        moved = haste(values[:, chosen])
        describe(ax, f"{arm}: in 20 timesteps these features move by {moved:.0%} of all they ever do.")
    axes[0].set_ylabel("1 + scale")
    return figure


@styled
def quiet_figure(alpha_bars: Tensor, times: Tensor, spreads: Tensor) -> Figure:
    """How far the always black pixels of a noised image spread: the middle of eight images in ten, against t.

    Args:
        alpha_bars: (T,), whose 1 - alpha-bar is the variance of the noise.
        times: (N,); spreads: (N, images), the standard deviation over those pixels.
    """
    figure = new_figure(6.4, 3.0)
    ax = figure.subplots()
    low, middle, high = spreads.quantile(torch.tensor([0.1, 0.5, 0.9]), dim=1)
    ax.fill_between(times, low, high, color=COLOURS[0], alpha=0.25, linewidth=0, label="eight images in ten")
    ax.plot(times, middle, color=COLOURS[0], label="the image in the middle")
    ax.plot((1 - alpha_bars).sqrt(), color=COLOURS[1], linestyle="--", label="the noise that was added")
    ax.set(xlabel="timestep t", ylabel="spread of these pixels", ylim=(0, None))
    ax.legend(loc="upper left")
    at = int((times - 500).abs().argmin())
    middle_words = f"At t = {int(times[at])} eight images in ten lie from {low[at]:.2f} to {high[at]:.2f}."
    describe(ax, f"The spread of the black pixels grows with t. {middle_words}")
    return figure
