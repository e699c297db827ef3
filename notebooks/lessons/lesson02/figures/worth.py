"""The figures of lesson 02 on what the time is worth to a network: losses and samples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.teaching.claims import paired_effect
from gantrans.teaching.plots import COLOURS, MARKERS, describe, new_axes, new_figure, styled
from gantrans.teaching.sweeps.tables import Table as Sweep
from lessons.lesson02.experiments import embeddings, reading_time
from lessons.lesson02.figures.clocks import LINES, STEPS, coordinates
from lessons.shared.denoising import digits_distance

Curves = Mapping[str, tuple[Sequence[int], Sequence[Sequence[float]]]]
"""{arm: (timesteps, losses by seed)}."""


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
def training_figure(losses: Mapping[str, Sequence[float]], smooth: int = 20) -> Figure:
    """Training losses by name, each a mean over `smooth` steps, on a logarithmic scale."""
    figure = new_figure(6.4, 2.8)
    ax = figure.subplots()
    words = []
    for i, (name, values) in enumerate(losses.items()):
        width = max(1, min(smooth, len(values) // 4))
        mean = np.convolve(values, np.ones(width) / width, mode="valid")
        ax.plot(np.arange(len(mean)) + width, mean, color=COLOURS[i], linestyle=LINES[i], label=name)
        words.append(f"{name} ends at {mean[-1]:.2g}")
    ax.set(xlabel="step", ylabel="training loss", yscale="log")
    ax.legend(loc="upper right")
    describe(ax, f"Training loss: {'; '.join(words)}.")
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
        coordinates(ax)
        ax.plot(*points.T.numpy(), ".", color=COLOURS[0], markersize=2, alpha=0.6)
        ax.plot(*embeddings.ring_centres().T.numpy(), "o", mfc="none", mec=COLOURS[1], markersize=13, mew=1)
        ax.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        ax.set_aspect("equal")
        share = embeddings.good_share(points)
        ax.set_title(f"{name}\n{share:.0%} good")
        describe(ax, f"{name}: {share:.0%} of the points are good.")
    return figure


def distance(images: Tensor) -> float:
    """Frechet distance of digits (N, 64) from the held-out ones; lower is better."""
    return digits_distance(images.cpu())


@styled
def digits_figure(made: Mapping[str, Tensor], count: int = 10) -> Figure:
    """A row of digits (N, 64) per label, with the Frechet distance of all of them from held-out ones.

    Neighbouring pixels are blended for the eye.
    """
    figure = new_figure(0.8 * count + 1.4, 0.86 * len(made) + 0.1)
    axes = figure.subplots(len(made), count, squeeze=False)
    for row, (name, images) in zip(axes, made.items(), strict=True):
        far = distance(images)
        for ax, image in zip(row, images.cpu(), strict=False):
            ax.imshow(image.view(8, 8).clamp(-1, 1), cmap="gray", vmin=-1, vmax=1, interpolation="bicubic")
            ax.set_axis_off()
        words = f"{name}\ndistance {far:.0f}"
        place: Any = {"transform": row[0].transAxes, "ha": "right", "va": "center"}
        row[0].text(-0.15, 0.5, words, **place)
        describe(row[0], f"{name}: Fréchet distance {far:.1f} over {len(images)} digits.")
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
