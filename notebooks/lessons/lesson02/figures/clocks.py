"""The figures of lesson 02: why the answer depends on t, embeddings, what blocks hear, what it is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.diffusion import Schedule, q_sample
from gantrans.networks import TimeEmbedding, sinusoidal_embedding
from gantrans.networks.blocks import weights_from
from gantrans.teaching.claims import paired_effect
from gantrans.teaching.plots import COLOURS, MARKERS, describe, new_axes, new_figure, styled
from gantrans.teaching.sweeps.tables import Table as Sweep
from lessons.lesson02.experiments import embeddings, reading_time
from lessons.shared.denoising import Trained, digits_distance

Curves = Mapping[str, tuple[Sequence[int], Sequence[Sequence[float]]]]
"""{arm: (timesteps, losses by seed)}."""
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
    _coordinates(ax)


def _coordinates(ax: Axes) -> None:
    ax.set_xlabel("first coordinate")
    if ax.get_subplotspec().get_geometry()[2] == 0:  # type: ignore[union-attr]
        ax.set_ylabel("second coordinate")


# ---- the embedding itself


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


# ---- what a trained network hears


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


# ---- what it is worth


@styled
def loss_figure(curves: Curves, *, title: str = "") -> Figure:
    """Held-out loss per timestep by arm, and how many times that of the first arm it is, paired by seed.

    With four seeds or more the ratio has a 99 % interval, drawn as a band.
    """
    figure = new_figure(9.6, 3.5)
    left, right = figure.subplots(1, 2)
    first = np.array(next(iter(curves.values()))[1])
    for i, (arm, (t, losses)) in enumerate(curves.items()):
        values = np.array(losses)
        style: Any = {"color": COLOURS[i], "linestyle": LINES[i], "marker": MARKERS[i], "markersize": 4}
        left.plot(t, values.mean(0), label=arm, **style)
        if i:
            ratio = np.exp(np.log(values / first).mean(0))
            right.plot(t, ratio, label=arm, **style)
            if len(values) > 3:
                bands = [paired_effect(values[:, k], first[:, k], compare="ratio") for k in range(len(t))]
                low, high = np.array(bands)[:, 1:].T
                right.fill_between(t, low, high, color=COLOURS[i], alpha=0.2, linewidth=0)
            worst = int(ratio.argmax())
            describe(
                left if i == 1 else right,
                f"{getattr(left if i == 1 else right, 'gantrans_alt', '')} {arm}: mean loss "
                f"{values.mean():.4f}, against {first.mean():.4f}; most at t = {t[worst]}, "
                f"{ratio[worst]:.2f} times.",
            )
    left.set(xlabel="timestep t", ylabel="held-out loss (MSE of epsilon)", yscale="log")
    right.set(xlabel="timestep t", ylabel=f"loss / loss of {next(iter(curves))}", yscale="log")
    right.yaxis.set_major_formatter("{x:g}")
    right.yaxis.set_minor_formatter("{x:g}")
    right.axhline(1, color="black", linewidth=0.8)
    left.legend()
    figure.suptitle(title)
    return figure


@styled
def effect_figure(tables: Sequence[Sweep], limit: float = 0.95, ax: Axes | None = None) -> Axes:
    """Held-out losses, sinusoidal over the other arm: a dot per seed, and the mean as a line.

    An arm that several tables have is taken from the first; with four seeds or more its 99 % interval is
    drawn. The region that claim D04 asks for is shaded.
    """
    rows: dict[tuple[str, str], list[float]] = {}
    for table in tables:
        for case in embeddings.CASES:
            for arm in (a for a in embeddings.scored(table, case)[1:] if a in embeddings.ARMS):
                losses = table.values(f"{case}: loss", "sinusoidal", arm)
                each = (np.array(losses["sinusoidal"]) / losses[arm]).tolist()
                rows.setdefault((case, arm), each)
    cases, words = list(dict.fromkeys(case for case, _ in rows)), []
    rows = {key: rows[key] for key in sorted(rows, key=lambda key: cases.index(key[0]))}
    ax = new_axes(ax, 7.4, 0.9 + 0.34 * len(rows))
    for i, ((case, arm), ratios) in enumerate(rows.items()):
        style: Any = {"color": COLOURS[cases.index(case)]}
        mean = float(np.exp(np.log(ratios).mean()))
        word = f"{case}, {arm}: {mean:.3f}, seeds: {len(ratios)}"
        if len(ratios) > 3:
            _, low, high = paired_effect(ratios, np.ones(len(ratios)), compare="ratio")
            ax.plot([low, high], [i, i], linewidth=5, alpha=0.3, solid_capstyle="butt", **style)
            word += f" ({low:.3f} to {high:.3f})"
        ax.plot(ratios, [i] * len(ratios), MARKERS[cases.index(case)], markersize=4, alpha=0.7, **style)
        ax.plot([mean, mean], [i - 0.3, i + 0.3], linewidth=2.2, **style)
        words.append(word)
    ax.set_yticks(range(len(rows)), [f"{case}: {arm}" for case, arm in rows])
    ax.invert_yaxis()
    left = ax.get_xlim()[0]
    ax.axvspan(left, limit, color="#EEEEEE", zorder=0)
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set(xlabel="held-out loss, sinusoidal / this arm (shaded: what D04 asks for)", xlim=(left, None))
    ax.grid(axis="y", visible=False)
    return describe(
        ax, f"Loss of the sinusoidal arm over that of another, 99 % intervals. {'; '.join(words)}."
    )


def quality_rows(table: Sweep, case: str) -> dict[str, dict[str, float]]:
    """Means over seeds of loss and samples of every arm that was scored on a case."""
    wanted = ("loss", *embeddings.SAMPLERS)
    return {
        arm: {name: means[f"{case}: {name}"] for name in wanted}
        for arm, means in table.means().items()
        if f"{case}: loss" in means
    }


@styled
def points_figure(made: Mapping[str, Tensor]) -> Figure:
    """Samples (N, 2) in the plane by label, with the share of good ones; rings mark what counts as good."""
    figure = new_figure(1.95 * len(made), 2.45)
    for ax, (name, points) in zip(figure.subplots(1, len(made), squeeze=False)[0], made.items(), strict=True):
        _coordinates(ax)
        ax.plot(*points.T.numpy(), ".", color=COLOURS[0], markersize=2, alpha=0.6)
        ax.plot(*embeddings.ring_centres().T.numpy(), "o", mfc="none", mec=COLOURS[1], markersize=13, mew=1)
        ax.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        ax.set_aspect("equal")
        share = embeddings.good_share(points)
        ax.set_title(f"{name}\n{share:.0%} good")
        describe(ax, f"{name}: {share:.0%} of the points are good.")
    return figure


@styled
def digits_figure(made: Mapping[str, Tensor], count: int = 12) -> Figure:
    """A row of digits (N, 64) per label, with the Frechet distance of all of them from held-out ones."""
    figure = new_figure(0.62 * count + 2.4, 0.68 * len(made) + 0.1)
    axes = figure.subplots(len(made), count, squeeze=False)
    for row, (name, images) in zip(axes, made.items(), strict=True):
        distance = digits_distance(images)
        for ax, image in zip(row, images, strict=False):
            ax.imshow(image.view(8, 8).clamp(-1, 1), cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
            ax.set_axis_off()
        row[0].text(
            -0.15,
            0.5,
            f"{name}\ndistance {distance:.0f}",
            transform=row[0].transAxes,
            ha="right",
            va="center",
        )
        describe(row[0], f"{name}: Fréchet distance {distance:.1f} over {len(images)} digits.")
    return figure


@styled
def reading_figure(read: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Guessed against true t by label: the middle guess and the band of eight guesses in ten."""
    figure = new_figure(2.7 * len(read) + 0.4, 3.1)
    for i, (ax, (name, (true, guessed))) in enumerate(
        zip(figure.subplots(1, len(read), sharey=True, squeeze=False)[0], read.items(), strict=True)
    ):
        low, middle, high = guessed.quantile(torch.tensor([0.1, 0.5, 0.9]), dim=1)
        ax.plot([0, STEPS], [0, STEPS], color="#999999", linewidth=0.9)
        ax.fill_between(true, low, high, color=COLOURS[i], alpha=0.25, linewidth=0)
        ax.plot(true, middle, color=COLOURS[i])
        error = reading_time.miss(true, guessed)
        ax.set(title=f"{name}\nmisses by {error:.0f} timesteps", xlabel="true t", ylim=(-60, 1060))
        describe(ax, f"{name}: t read off x_t, root mean squared error {error:.0f} timesteps.")
    figure.axes[0].set_ylabel("t read off x_t")
    return figure


@styled
def told_figure(trained: Trained, *, shift: float, sampler: str, count: int = 350) -> Figure:
    """Digits drawn while the network is told t + shift in place of t, below those of the true t."""
    lied = embeddings.WrongTime(trained.network, 1, int(shift), trained.config.steps)
    both = {
        "true t": trained,
        f"told t {'-' if shift < 0 else '+'} {abs(shift):.0f}": replace(trained, network=lied),
    }
    return digits_figure({name: embeddings.draw(one, "digits", sampler, count) for name, one in both.items()})
