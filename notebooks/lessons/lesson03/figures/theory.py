"""The figures of lesson 03 that need no image: score, bound, paths, repairs, norms, gradients, modes."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from gantrans.diffusion import (
    SamplerConfig,
    Schedule,
    Trajectory,
    make_schedule,
    q_sample,
    sample,
    sampler_steps,
    take_step,
    target,
)
from gantrans.networks import Denoiser, DenoiserConfig
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    bars_with_intervals,
    describe,
    new_axes,
    new_figure,
    styled,
)
from gantrans.teaching.plots.style import LINES
from gantrans.teaching.sweeps import sweep
from lessons.lesson03.experiments.analytic import PARTS, Mixture, bound, ring, score_by_gradient
from lessons.shared.denoising import Trained

REACH = 1.5
"""Half the side of the plane that is shown."""
EFFECTS: Mapping[str, tuple[str, str]] = {
    "batch norm / group norm": ("folded, v, batch norm", "folded, v"),
    "group norm / no norm": ("folded, v", "folded, v, no norm"),
    "attention / no attention": ("folded, v", "folded, v, no attention"),
}
"""Ratios of held-out losses: the claims D03 (first) and D09."""

AT_A_MODE = {"real data": 1 - math.exp(-8), "spread evenly": math.pi / 4}
"""Share of points within four standard deviations of a centre of `analytic.grid`, where the circles touch."""

# ---- the score and the bound


@styled
def score_figure(mixture: Mixture, schedule: Schedule, t: Sequence[int] = (60, 250, 500, 900)) -> Figure:
    """The density of x_t and sigma times its score, which is the direction of -epsilon, at several t."""
    figure = new_figure(2.4 * len(t), 2.75)
    fine, coarse = (torch.linspace(-REACH, REACH, n, dtype=torch.float64) for n in (121, 15))
    for ax, now in zip(figure.subplots(1, len(t), sharey=True), t, strict=True):
        place = schedule.signal[now], schedule.sigma[now]
        dense = mixture.log_density(torch.cartesian_prod(fine, fine), *place).view(121, 121).T
        edges = (-REACH, REACH, -REACH, REACH)
        ax.imshow(
            (dense - dense.max()).exp().numpy(), origin="lower", extent=edges, cmap="Blues", vmin=0, vmax=1
        )
        points = torch.cartesian_prod(coarse, coarse)
        arrows = place[1] * score_by_gradient(mixture, points, *place)
        arrows *= (3.0 / arrows.norm(dim=1, keepdim=True)).clamp(max=1.0)  # far away they grow without bound
        ax.quiver(*points.T, *arrows.T, color="#333333", scale=34, width=0.006, headwidth=4)
        ax.set(title=f"t = {now}", xlabel="first coordinate", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        ax.grid(False)
        describe(ax, f"t = {now}: noise has the factor {float(place[1]):.2f}.")
    figure.axes[0].set_ylabel("second coordinate")
    figure.suptitle("Where the noise came from: density (blue) and score times sigma (arrows)")
    return figure


def even_schedule(steps: int, reach: float = 11.0) -> Schedule:
    """A schedule whose log-SNR falls from `reach` to -`reach` in equal steps."""
    bars = torch.sigmoid(torch.linspace(reach, -reach, steps, dtype=torch.float64))
    return Schedule("even log-SNR", 1 - torch.cat([bars[:1], bars[1:] / bars[:-1]]))


def bound_terms(mixture: Mixture, schedule: Schedule, count: int = 500, seed: int = 0) -> dict[str, float]:
    """The bound's three terms with a perfect denoiser, their sum, and -log p(x_0), means in nats per point.

    The prior compares x_T with pure noise, the steps are the weighted squared errors, the reconstruction
    names x_0 from x_1 to the density of its Gaussian, which may exceed 1: so it may be negative.
    """
    total, exact = bound(mixture, schedule, count, seed)
    x0 = mixture.draw(count, torch.Generator().manual_seed(seed))  # the points that `bound` takes
    dimensions, last = x0.shape[1], schedule.alpha_bars[-1]
    prior = 0.5 * (last * x0.square().sum(1).mean() - dimensions * (last + torch.log1p(-last)))
    names = 0.5 * dimensions * torch.log(2 * torch.pi / schedule.snr[0])
    steps = total - float(prior) - float(names)
    return {
        "prior": float(prior), "steps": steps, "reconstruction": float(names), "bound": total,
        "-log p(x0)": exact, "gap": total - exact,
    }  # fmt: skip


def bound_table(steps: Sequence[int] = (25, 100, 1000), count: int = 500) -> Table:
    """`bound_terms` by schedule and T, on the ring."""
    rows, header = [], ["schedule", "T"]
    for name in ("linear", "cosine", "even log-SNR"):
        for number in steps:
            even = name == "even log-SNR"
            schedule = even_schedule(number) if even else make_schedule(name, number)
            terms = bound_terms(ring(), schedule, count)
            header[2:] = list(terms)
            rows.append([name, f"{number:,}", *(f"{value:.2f}" for value in terms.values())])
    return Table(header, rows, "Nats per point; a density may exceed 1, so they may be negative")


# ---- one way back, and what becomes of an error


def ways(sampler: SamplerConfig, count: int, seed: int) -> Trajectory:
    """The way of `count` points from one fixed x_T, on the ring with the perfect denoiser."""
    schedule = make_schedule("cosine")
    start = torch.randn(count, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    draw = torch.Generator().manual_seed(seed)
    way = sample(
        ring().model(schedule), (count, 2), schedule, sampler, prediction="x0", generator=draw, noise=start,
        trajectory=True,
    )  # fmt: skip
    assert isinstance(way, Trajectory)
    return way


@styled
def paths_figure(count: int = 2) -> Figure:
    """Points of noise, sent to the ring twice each: by DDPM and by DDIM with eta = 0."""
    figure = new_figure(8.4, 4.1)
    centres = ring().centres
    made = {name: [ways(sampler, count, seed).x_t for seed in (1, 2)] for name, sampler in PARTS.items()}
    reach = 1.05 * max(float(x.abs().max()) for twice in made.values() for x in twice)
    for ax, (name, twice) in zip(figure.subplots(1, 2), made.items(), strict=True):
        ax.plot(*centres.T, "o", color="#BBBBBB", markersize=10, label="data: a ring of eight")
        for run, (x, line) in enumerate(zip(twice, LINES, strict=False)):
            for point in range(count):
                label = f"way {run + 1}" if point == 0 else None
                ax.plot(*x[:, point].T, linestyle=line, color=COLOURS[run], linewidth=1.1, label=label)
            ax.plot(*x[-1].T, MARKERS[run + 1], color=COLOURS[run], markersize=7)
        ax.plot(*twice[0][0].T, "X", color="black", markersize=8, label="start: x_T")
        gap = float((twice[0][-1] - twice[1][-1]).norm(dim=1).max())
        ax.set(title=f"{name}: ends differ by up to {gap:.2g}", xlim=(-reach, reach), ylim=(-reach, reach))
        ax.set(xlabel="first coordinate", ylabel="second coordinate", aspect="equal")
        describe(ax, f"{name}, twice from the same {count} starts: the ends differ by up to {gap:.2g}.")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def offsets(sampler: SamplerConfig, push: float, at: int = 400, count: int = 1000) -> Tensor:
    """Where points end, radially, off their centre of the ring, (count,), in standard deviations of the data.

    Args:
        push: at the first step at or below timestep `at` every point is moved outwards by so many standard
            deviations of the noise; the denoiser is perfect before and after.
    """
    mixture, schedule = ring(), make_schedule("cosine")
    model, draw = mixture.model(schedule), torch.Generator().manual_seed(1)
    x = torch.randn(count, 2, generator=draw, dtype=torch.float64)
    before, pushed = None, False
    for step in sampler_steps(schedule, sampler):
        if step.t <= at and not pushed:
            x, pushed = x + push * step.sigma * F.normalize(x, dim=1), True
        x0 = model(x, torch.full((count,), step.t)).clamp(-1.0, 1.0)
        noise = torch.randn(x.shape, generator=draw, dtype=torch.float64) if step.spread else None
        x, before = take_step(step, x0, x, before, noise), x0
    centres = mixture.centres[torch.cdist(x, mixture.centres).argmin(1)]
    return ((x - centres) * F.normalize(centres, dim=1)).sum(1) / mixture.spread


@styled
def repair_figure(push: float = 2.0, at: int = 400, steps: int = 50) -> Figure:
    """The same error half way, in three samplers: how much of it is left at the end."""
    samplers = {"DDIM": "ddim", "DPM++": "dpm++", "DDPM": "ddpm"}
    figure = new_figure(9.2, 2.9)
    edges = np.linspace(-4, 4, 41)
    for ax, (name, kind) in zip(figure.subplots(1, 3, sharey=True), samplers.items(), strict=True):
        for i, (label, size) in enumerate({"left alone": 0.0, "pushed": push}.items()):
            ends = offsets(SamplerConfig(kind, steps), size, at)
            shares, _ = np.histogram(ends.clamp(-3.99, 3.99), edges)
            mean = float(ends.mean())
            style = {"color": COLOURS[i], "linestyle": LINES[i]}
            ax.stairs(100 * shares / len(ends), edges, label=label, linewidth=1.7, **style)
            if size:
                ax.set_title(f"{name}: {mean:+.1f} of {push:+.1f} is left")
                describe(ax, f"{name}: pushed by {push:g} at t = {at}, the points end {mean:.2f} outwards.")
        ax.set(xlabel="end, outwards (sd of the data)", ylim=(0, 20))
    figure.axes[0].set_ylabel("points (%)")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


# ---- norms, gradients, modes


def moved_by_mate(norm: str, *, training: bool, size: int = 16) -> float:
    """Largest change of one image's answer when nothing but the t of its batch-mate changes.

    Args:
        norm: of the denoiser; its weights are random, also those that start at zero.
        training: whether the network is in training mode.
    """
    network = Denoiser(DenoiserConfig(base_filters=16, unshuffle=2, norm=norm)).double().train(training)
    draw = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        if not bool(weight.any()):
            nn.init.normal_(weight, std=0.1, generator=draw)
    x = torch.randn(2, 1, size, size, generator=draw, dtype=torch.float64)
    with torch.no_grad():
        one, other = (network(x, torch.tensor([500, mate]))[0] for mate in (10, 990))
    return float((one - other).abs().max())


def mate_table() -> Table:
    """`moved_by_mate` for both norms, in training and in use."""
    rows = []
    for norm, name in {"group": "group norm", "batch": "batch norm"}.items():
        moved = [moved_by_mate(norm, training=training) for training in (True, False)]
        rows.append([name, *(f"{value:.2f}" for value in moved)])
    return Table(["", "in training", "in use"], rows, "Change of image 1 when only the t of image 2 changes")


@styled
def effects_figure(table: sweep.Table) -> Axes:
    """Ratios of held-out losses of `EFFECTS`: dots per seed, means, 99 % intervals."""
    ax = new_axes(None, 7.4, 2.6)
    words = []
    for row, (name, arms) in enumerate(EFFECTS.items()):
        both = table.values("loss", *arms)
        mean, low, high = table.ratio("loss", *arms)
        ratios = np.divide(both[arms[0]], both[arms[1]])
        ax.plot(ratios, [row] * len(ratios), "o", color=COLOURS[0], alpha=0.6, markersize=5, zorder=3)
        spread = [[mean - low], [high - mean]]
        ax.errorbar(mean, row, xerr=spread, fmt="|", color="black", capsize=4, markersize=11)
        words.append(f"{name} {mean:.3f} ({low:.3f} to {high:.3f})")
    ax.axvline(1, color="black", linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(EFFECTS)), list(EFFECTS))
    ax.set_ylim(len(EFFECTS) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("held-out loss, ratio (left of 1: the first is better)")
    return describe(ax, f"Ratio of held-out losses, 99 % interval: {'; '.join(words)}.")


def gradient_table(
    trained: Trained, x0: Tensor, t: Sequence[int] = (50, 500, 950)
) -> dict[str, dict[str, float]]:
    """Norm of the loss's gradient in weights from the first to the last layer, at several timesteps.

    Args:
        x0: (N, 1, S, S) in [-1, 1].
    """
    network, schedule = trained.network, trained.config.noise_schedule
    assert isinstance(network, Denoiser)
    layers = {
        "first layer": network.entry.weight,
        "encoder": network.encoder[0][0].conv1.weight,  # type: ignore[index]
        "middle": network.middle.conv1.weight,
        "decoder": network.decoder[0][0].conv1.weight,  # type: ignore[index]
        "last layer": network.exit.weight,
    }
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    rows: dict[str, dict[str, float]] = {name: {} for name in layers}
    for now in t:
        times = torch.full((len(x0),), now)
        wanted = target(schedule, trained.config.prediction, x0, times, noise)
        loss = F.mse_loss(network(q_sample(schedule, x0, times, noise), times), wanted)
        gradients = torch.autograd.grad(loss, list(layers.values()))
        for name, gradient in zip(layers, gradients, strict=True):
            rows[name][f"t = {now}"] = float(gradient.norm())
    return rows


@styled
def modes_figure(table: sweep.Table) -> Figure:
    """Modes covered, and the share of points at one, by maker: dots are seeds, joined; bars their means.

    The right panel says what real data reach, and points that are spread evenly over the square.
    """
    figure = new_figure(8.6, 3.3)
    left, right = figure.subplots(1, 2)
    bars_with_intervals(table.values("modes"), quantity="modes covered", unit="of 25", ax=left)
    left.set_ylim(0, 26)
    shares = {arm: [100 * v for v in values] for arm, values in table.values("at a mode").items()}
    bars_with_intervals(shares, quantity="points within 4 sd of a mode", unit="%", ax=right)
    references = {
        "real data": 100 * AT_A_MODE["real data"],
        "spread evenly": 100 * AT_A_MODE["spread evenly"],
    }
    for i, (name, share) in enumerate(references.items()):
        right.axhline(share, color=COLOURS[5], linewidth=1, linestyle=LINES[i + 1])
        place = {"xytext": (0, -3), "textcoords": "offset points", "va": "top", "fontsize": 8.5}
        right.annotate(f"{name} {share:.1f} %", (-0.55, share), **place)
    right.set_ylim(70, 102)
    words = "; ".join(f"{name} {share:.1f}" for name, share in references.items())
    describe(right, f"{right.gantrans_alt} For comparison: {words}.")  # type: ignore[attr-defined]
    return figure
