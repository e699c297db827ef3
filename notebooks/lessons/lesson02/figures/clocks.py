"""The figures of lesson 02 on clocks: why the answer depends on t, embeddings, what blocks do with them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.diffusion import Schedule, q_sample
from gantrans.networks import TimeEmbedding, sinusoidal_embedding
from gantrans.networks.blocks import weights_from
from gantrans.teaching.plots import COLOURS, describe, new_figure, styled
from lessons.lesson02.experiments import embeddings, reading_time
from lessons.shared.denoising import Trained

STEPS = 1000
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
WORDS = {"sinusoidal": "sinusoidal", "fourier": "Fourier", "learned": "learned table", "raw": "raw t"}


@styled
def same_point_figure(schedule: Schedule, point: tuple[float, float], times: Sequence[int]) -> Figure:
    """One point of the plane among the x_t of several timesteps, and the exact mean of its noise at each."""
    x0, exact = embeddings.ring(600, 3), embeddings.ExactRing(schedule)
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(3))
    x = torch.tensor([point])
    figure = new_figure(2.35 * len(times), 2.75)
    for ax, t in zip(figure.subplots(1, len(times), squeeze=False)[0], times, strict=True):
        cloud = q_sample(schedule, x0, torch.full((len(x0),), t), noise)
        ax.plot(*cloud.T.numpy(), ".", color=COLOURS[3], markersize=2, alpha=0.5)
        (u, v) = exact(x, torch.tensor([t]))[0].tolist()
        head: Any = {"arrowstyle": "-|>", "color": COLOURS[1], "linewidth": 2}
        ax.annotate("", (point[0] + u, point[1] + v), point, arrowprops=head)
        ax.plot(*point, "o", color=COLOURS[2], markersize=6)
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
    """An untrained embedding (N, width) of a kind; `max_period` matters to the sinusoidal one alone."""
    if kind == "sinusoidal":
        return sinusoidal_embedding(t, width, max_period=max_period)
    with weights_from(0), torch.inference_mode():
        made: Tensor = TimeEmbedding(kind, width, STEPS)(t)
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
    describe(left, f"{WORDS[kind]}: {width} channels, from {embedded.min():.2f} to {embedded.max():.2f}.")
    shown = middle.imshow(
        alike, cmap="cividis", vmin=-1, vmax=1, extent=(0, STEPS, STEPS, 0), interpolation="nearest"
    )
    _image(middle, "similarity (cosine)", "t'", "t")
    figure.colorbar(shown, ax=middle, shrink=0.8)
    for i, at in enumerate((200, 500, 800)):
        right.plot(t - at, alike[at // 4], color=COLOURS[i], linestyle=LINES[i], label=f"t = {at}")
    right.set(title="its rows, by distance", xlabel="t' - t", ylabel="similarity", xlim=(-500, 500))
    right.set_ylim(-1.05, 1.45)
    right.legend(loc="upper center", ncols=3, columnspacing=0.8, handlelength=1.1, fontsize=7.5)
    near, far = (float(alike[125, 125 + lag // 4]) for lag in (20, 400))
    describe(right, f"From t = 500 the similarity is {near:.2f} after 20 steps and {far:.2f} after 400.")
    return figure


def _image(ax: Axes, title: str, xlabel: str, ylabel: str) -> None:
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.grid(False)


@styled
def wave_figure(said: Mapping[str, Tensor]) -> Figure:
    """What a small network learned of a slow and a fast wave, from each kind of embedding."""
    wanted = reading_time.wave()
    figure = new_figure(9.6, 2.7)
    for i, (ax, (kind, values)) in enumerate(
        zip(figure.subplots(1, len(said), sharey=True, squeeze=False)[0], said.items(), strict=True)
    ):
        ax.plot(wanted, color="#BBBBBB", linewidth=3, label="wanted")
        ax.plot(values, color=COLOURS[i], linewidth=1.2, label="learned")
        slow, fast = (reading_time.learned_share(values, n) for n in (reading_time.SLOW, reading_time.FAST))
        ax.set(title=f"{WORDS[kind]}\nslow {slow:.0%}, fast {fast:.0%}", xlabel="timestep t")
        describe(ax, f"{WORDS[kind]}: {slow:.0%} of the slow wave and {fast:.0%} of the fast one learned.")
    figure.axes[0].set(ylabel="function of t", ylim=(-1.2, 1.7))
    figure.axes[0].legend(loc="upper right", ncols=2, handlelength=1, columnspacing=0.8)
    return figure


@torch.inference_mode()
def heard(trained: Trained, t: Tensor) -> Tensor:
    """What every block is told at timesteps (N,), after the time MLP and its SiLU: (N, D)."""
    told: Tensor = F.silu(trained.network.conditioning(t, None))  # type: ignore[operator]
    return told


@styled
def heard_figure(trained: Mapping[str, Trained]) -> Figure:
    """Similarity between what the blocks hear at t and at t', after training, per arm."""
    t = torch.arange(0, STEPS, 4)
    figure = new_figure(2.0 * len(trained) + 0.6, 2.6)
    axes = figure.subplots(1, len(trained), squeeze=False)[0]
    for ax, (arm, one) in zip(axes, trained.items(), strict=True):
        told = heard(one, t)
        told = told - told.mean(0)  # what is the same at all times says nothing about t
        told = torch.where(told.abs() > 1e-5, told, 0.0)  # nor does what rounding leaves of a constant
        alike = similarity(told, told)
        shown = ax.imshow(
            alike, cmap="cividis", vmin=-1, vmax=1, extent=(0, STEPS, STEPS, 0), interpolation="nearest"
        )
        _image(ax, arm, "t'", "t" if ax is axes[0] else "")
        ax.set_xticks((0, 500), labels=("0", "500"))
        ax.set_yticks((0, 500), labels=("0", "500") if ax is axes[0] else ("", ""))
        near, far = (float(alike.diagonal(lag // 4).mean()) for lag in (20, 500))
        describe(ax, f"{arm}: similarity {near:.2f} for times 20 apart, {far:.2f} for times 500 apart.")
    figure.colorbar(shown, ax=axes, shrink=0.75, label="cosine")
    return figure


@torch.inference_mode()
def modulation(trained: Trained, t: Tensor) -> Tensor:
    """[scale | shift] that the first block of a `VectorDenoiser` makes of timesteps (N,): (N, 2 C)."""
    made: Tensor = trained.network.modulations[0](heard(trained, t))  # type: ignore[index, operator]
    return made


def haste(values: Tensor, lag: int = 20) -> float:
    """How far a function of t (T, C) moves in `lag` timesteps, on average, as a share of all it ever does.

    Near 0 for slow functions; about 0.4 where it forgets where it was.
    """
    return float(((values[lag:] - values[:-lag]).abs().mean(0) / (values.amax(0) - values.amin(0))).mean())


@styled
def modulation_figure(trained: Trained) -> Figure:
    """Scale and shift that the first block of a `VectorDenoiser` makes of t, for every channel."""
    scale, shift = modulation(trained, torch.arange(0, STEPS, 4)).chunk(2, dim=1)
    order = (scale[:125].mean(0) - scale[125:].mean(0)).argsort()  # those that fade with t come last
    figure = new_figure(8.6, 3.2)
    for ax, (name, values) in zip(
        figure.subplots(1, 2), {"1 + scale": 1 + scale, "shift": shift}.items(), strict=True
    ):
        limit = float(values.abs().quantile(0.995))
        middle = 1.0 if name == "1 + scale" else 0.0
        limit = max(abs(limit - middle), 0.1)
        shown = ax.imshow(
            values[:, order].T, aspect="auto", cmap="cividis", vmin=middle - limit, vmax=middle + limit,
            extent=(0, STEPS, values.shape[1], 0), interpolation="nearest",
        )  # fmt: skip
        _image(ax, name, "timestep t", "channel, sorted")
        figure.colorbar(shown, ax=ax, shrink=0.85)
        moved = float((values.amax(0) - values.amin(0)).mean())
        describe(ax, f"{name}: over all timesteps a channel moves by {moved:.2f} on average.")
    return figure
