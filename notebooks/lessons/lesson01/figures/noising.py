"""The figures of lesson 01: noise on images, schedules side by side, what is left at the end, the race."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.diffusion import PREDICTIONS, SCHEDULES, Schedule, check_prediction, make_schedule, q_sample
from gantrans.errors import ConfigError
from gantrans.teaching.claims.ledger import Record
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    describe,
    image_axes,
    image_grid,
    new_figure,
    styled,
)
from gantrans.teaching.plots.style import LINES
from gantrans.teaching.sweeps import sweep
from lessons.lesson01.experiments.schedules import DIFFUSERS, PARTS

LIMITS = (-2.0, 2.0)
"""Values shown as black and white: images reach from -1 to 1, noise further."""
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Where on the way from t = 0 to T - 1 the strips look."""
RATIOS = (1, 1.5, 2, 3, 4)
"""Ticks of the race's axes."""
REFERENCE = "linear"
"""The grey curve of the explorer, with T = 1000."""


def chain(schedule: Schedule, x0: float, count: int, seed: int = 0) -> Tensor:
    """`count` pixels that start at x0 and take every small step of a schedule, (T + 1, count) float64."""
    generator = torch.Generator().manual_seed(seed)
    x = [torch.full((count,), x0, dtype=torch.float64)]
    for beta in schedule.betas:
        noise = torch.randn(count, generator=generator, dtype=torch.float64)
        x.append((1 - beta).sqrt() * x[-1] + beta.sqrt() * noise)
    return torch.stack(x)


@styled
def chain_figure(x: Tensor, schedule: Schedule) -> Figure:
    """Pixels on their way (left), and mean and spread of all of them on the curves of the formula (right)."""
    figure = new_figure(9.2, 3.2)
    left, right = figure.subplots(1, 2)
    t = np.arange(schedule.steps)
    mean, spread = float(x[0, 0]) * schedule.signal.numpy(), schedule.sigma.numpy()
    left.fill_between(t, mean - 2 * spread, mean + 2 * spread, color="#D9E6F2", label="formula: mean ± 2 sd")
    left.plot(t, x[1:, :8].numpy(), color="#555555", linewidth=0.6)
    left.plot(t, mean, color=COLOURS[0], label="formula: mean")
    left.set(title="eight pixels, step by step", xlabel="timestep t", ylabel="value of the pixel")
    left.legend(loc="upper left")
    measured = {"mean": (x[1:].mean(1), mean), "standard deviation": (x[1:].std(1), spread)}
    words = []
    for i, (name, (dots, curve)) in enumerate(measured.items()):
        right.plot(t, curve, color=COLOURS[i], linestyle=LINES[i], label=f"formula: {name}")
        chosen = np.linspace(0, schedule.steps - 1, 15).round().astype(int)
        right.plot(chosen, dots[chosen], MARKERS[i], color=COLOURS[i], label=f"measured: {name}")
        words.append(f"{name} {float(dots[-1]):.2f} at the end, by formula {curve[-1]:.2f}")
    right.set(title=f"{x.shape[1]:,} pixels", xlabel="timestep t", ylabel="mean, standard deviation")
    right.legend(loc="center right")
    describe(left, f"A pixel starts at {float(x[0, 0]):g} and wanders for {schedule.steps} steps.")
    describe(right, f"Over {x.shape[1]:,} pixels: {'; '.join(words)}.")
    return figure


def noised(schedule: Schedule, image: Tensor, t: Sequence[int], seed: int = 0) -> Tensor:
    """One image (1, S, S) in [-1, 1] at several timesteps, with the same noise: (len(t), 1, S, S)."""
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    copies = image.expand(len(t), *image.shape)
    return q_sample(schedule, copies, torch.tensor(t), noise.expand_as(copies))


def places(schedule: Schedule) -> list[int]:
    """The timesteps at `SHARES` of the way."""
    return [round(share * (schedule.steps - 1)) for share in SHARES]


@styled
def noising_figure(images: Mapping[str, Tensor], schedule: Schedule) -> Figure:
    """A row per image (1, S, S) in [-1, 1]: noised at `SHARES` of the way, with the variance that is left."""
    t = places(schedule)
    shares = [float(schedule.alpha_bars[step]) for step in t]
    titles = [
        f"t = {step}\n{f'{share:.0%}' if share >= 0.01 else 'under 1%'} left"
        for step, share in zip(t, shares, strict=True)
    ]
    rows = [list(noised(schedule, image, t)) for image in images.values()]
    return image_grid(rows, titles, row_titles=list(images), limits=LIMITS, size=1.5)


@styled
def curves_figure(schedules: Mapping[str, Schedule]) -> Figure:
    """Betas, alpha-bar and log-SNR of several schedules over the way from 0 to T."""
    figure = new_figure(9.4, 3.5)
    axes = figure.subplots(1, 3)
    words = []
    for i, (name, schedule) in enumerate(schedules.items()):
        _curves(axes, schedule, {"color": COLOURS[i], "linestyle": LINES[i], "label": name})
        half = float(schedule.alpha_bars[schedule.steps // 2 - 1])
        words.append(f"{name} {half:.2f}")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(schedules))
    describe(axes[1], f"alpha-bar half way: {'; '.join(words)}.")
    return figure


def _curves(axes: Sequence[Axes], schedule: Schedule, style: dict[str, object]) -> None:
    """One schedule on three axes: betas, alpha-bar and log-SNR; a last log-SNR of -inf is left out."""
    u = (np.arange(schedule.steps) + 1) / schedule.steps
    finite = np.isfinite(schedule.log_snr.numpy())
    axes[0].plot(u, schedule.betas, **style)  # type: ignore[arg-type]
    axes[1].plot(u, schedule.alpha_bars, **style)  # type: ignore[arg-type]
    axes[2].plot(u[finite], schedule.log_snr[finite], **style)  # type: ignore[arg-type]
    axes[0].set(title="noise added by a step", ylabel="beta", yscale="log", ylim=(5e-5, 1.5))
    axes[1].set(title="share of the image left", ylabel="alpha-bar", ylim=(-0.03, 1.03))
    axes[2].set(title="signal against noise", ylabel="log-SNR", ylim=(-13, 11))
    for ax in axes:
        ax.set_xlabel("(t + 1) / T")


@styled
def schedule_figure(
    images: Mapping[str, Tensor], *, name: str, steps: int, rescale: bool, zero_terminal_snr: bool
) -> Figure:
    """A schedule's three curves over noised images (1, S, S), or why there is no such schedule.

    The grey curve is the linear schedule with T = 1000.
    """
    try:
        schedule = make_schedule(name, steps, rescale=rescale, zero_terminal_snr=zero_terminal_snr)
    except ConfigError as error:
        return _refused(str(error))
    figure = new_figure(9.4, 2.8 + 1.55 * len(images))
    parts: Any = figure.subfigures(2, 1, height_ratios=[2.8, 1.55 * len(images)])
    above, below = parts
    axes = above.subplots(1, 3)
    _curves(axes, make_schedule(REFERENCE), {"color": "#AAAAAA", "linewidth": 3})
    _curves(axes, schedule, {"color": COLOURS[0]})
    left = float(schedule.signal[-1])
    axes[1].set_title(f"left at the end: factor {left:.2g}" if left else "left at the end: nothing")
    if not left:
        axes[2].set_title("log-SNR ends at minus infinity")
    describe(axes[1], f"{name}, T = {steps}: factor {left:.3g} of the image is left at the last timestep.")
    t = places(schedule)
    rows = below.subplots(len(images), len(t), squeeze=False)
    for i, (label, image) in enumerate(images.items()):
        for ax, step, x_t in zip(rows[i], t, noised(schedule, image, t), strict=True):
            image_axes(x_t, f"t = {step}" if i == 0 else "", ax=ax, limits=LIMITS)
            describe(ax, "")
        rows[i, 0].set_ylabel(label)
    return figure


def _refused(message: str) -> Figure:
    figure = new_figure(9.4, 1.6)
    ax = figure.add_subplot()
    ax.set_axis_off()
    ax.text(0.5, 0.5, textwrap.fill(message, 95), ha="center", va="center", fontsize=11, color=COLOURS[1])
    describe(ax, f"No such schedule: {message}")
    return figure


@styled
def left_figure(image: Tensor, steps: Sequence[int] = (1000, 500, 200, 100, 50)) -> Figure:
    """The last x_t of the linear schedule for several T, not scaled and scaled, beside pure noise."""
    figure = new_figure(1.6 * (len(steps) + 1), 3.9)
    axes = figure.subplots(2, len(steps) + 1)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    for row, rescale in zip(axes, (False, True), strict=True):
        words = []
        for ax, count in zip(row, steps, strict=False):
            schedule = make_schedule("linear", count, rescale=rescale)
            left = float(schedule.signal[-1])
            image_axes(noised(schedule, image, [count - 1])[0], ax=ax, limits=LIMITS)
            ax.set_title(f"T = {count}\nfactor {left:.2g}")
            words.append(f"T = {count} {left:.2g}")
            describe(ax, "")
        kind = "scaled by 1000 / T" if rescale else "not scaled"
        row[0].set_ylabel(kind)
        describe(row[0], f"Factor of the image at the last step, {kind}: {'; '.join(words)}.")
        image_axes(noise, "sampling starts\nfrom noise", ax=row[-1], limits=LIMITS)
        describe(row[-1], "")
    return figure


def end_table(names: Sequence[str] = SCHEDULES, steps: int = 1000) -> Table:
    """What a schedule gives the network to see, and what it asks at the end."""
    header = ["", "alpha-bar half way", "timesteps with |log-SNR| < 3", "image's factor at the end"]
    header.append("there an error of epsilon grows, times")
    rows = []
    for name in names:
        schedule = make_schedule(name, steps)
        left, middle = float(schedule.signal[-1]), float((schedule.log_snr.abs() < 3).double().mean())
        half = float(schedule.alpha_bars[steps // 2 - 1])
        rows.append([name, f"{half:.3f}", f"{middle:.0%}", f"{left:.2g}", f"{1 / left:,.0f}"])
    return Table(header, rows, f"T = {steps}")


def impossible(schedule: Schedule) -> dict[str, str]:
    """The predictions that a schedule rules out, each with the sentence that says why."""
    refused = {}
    for prediction in PREDICTIONS:
        try:
            check_prediction(schedule, prediction)
        except ConfigError as error:
            refused[prediction] = str(error)
    return refused


# ---- diffusers


def parity_table(record: Record) -> Table:
    """Claim D01 as it was recorded: largest absolute differences from `diffusers`, by name."""
    numbers, rows = record["numbers"], []
    for name, theirs in DIFFUSERS.items():
        part = PARTS[name]
        values = [record["parts"][part]["measured"], *(numbers[f"{part}: T = {t}"] for t in (200, 50))]
        rows.append([name, theirs, *(f"{v:.0e}" for v in (*values, numbers[f"{part}: alpha-bar"]))])
    header = ["here", "diffusers", "betas, T = 1000", "T = 200", "T = 50", "alpha-bar, T = 1000"]
    return Table(header, rows, "Largest absolute difference, both without scaling")


def conventions_table(numbers: Mapping[str, float]) -> Table:
    """Where the two do not meet; `numbers` are those of claim D01's record."""
    left, start = (
        {who: f"{numbers[f'{what}, {who}']:.3g}" for who in ("ours", "diffusers")}
        for what in ("T = 200: left", "first of 10 timesteps")
    )
    rows = [
        ["roots of the betas evenly spaced", "quadratic", "scaled_linear"],
        ["sigmoid betas", "sigmoid", "sigmoid"],
        ["sigmoid alpha-bar", "sigmoid_alpha_bar", "none"],
        ["betas for another T", "scaled by 1000 / T", "as given, never scaled"],
        ["so T = 200, linear, ends with the factor", left["ours"], left["diffusers"]],
        ["arithmetic of a schedule", "float64", "float32"],
        ["spacing of sampling timesteps", "trailing", "leading, unless told otherwise"],
        ["so 10 of 1000 timesteps start at t =", start["ours"], start["diffusers"]],
        ["epsilon with zero terminal SNR", "refused", "not refused; DDIM gives NaN"],
        ["DDIM, where x0 was clipped", "epsilon follows from it", "raw epsilon, unless told otherwise"],
    ]
    return Table(["", "here", "diffusers, defaults"], rows, "Where conventions do not meet")


# ---- the race


@styled
def loss_figure(curves: Mapping[str, tuple[Tensor, Tensor, Tensor]], steps: Mapping[str, int]) -> Figure:
    """The same held-out errors of epsilon twice: over the way from 0 to T, and over the log-SNR.

    Args:
        curves: {arm: (t, log-SNR, error)}, each (points,); steps: {arm: T}.
    """
    figure = new_figure(9.4, 3.7)
    left, right = figure.subplots(1, 2, sharey=True)
    words = []
    for i, (arm, (t, log_snr, error)) in enumerate(curves.items()):
        style = {"color": COLOURS[i], "linestyle": LINES[i], "marker": MARKERS[i], "markevery": 4}
        left.plot((t + 1) / steps[arm], error, label=arm, **style)  # type: ignore[arg-type]
        right.plot(log_snr, error, **style)  # type: ignore[arg-type]
        words.append(f"{arm} from log-SNR {float(log_snr[0]):.1f} to {float(log_snr[-1]):.1f}")
    left.set(title="over time", xlabel="(t + 1) / T", ylabel="mean squared error of epsilon", ylim=(0, None))
    right.set(title="over the signal-to-noise ratio", xlabel="log-SNR (time runs to the right)")
    right.set_xlim(10.5, -10.5)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(curves))
    describe(left, f"Error of epsilon on held-out digits, over time and over log-SNR: {'; '.join(words)}.")
    return figure


@styled
def samples_figure(samples: Mapping[str, Tensor], count: int = 10) -> Figure:
    """A row of 8 x 8 digits per name, (N, 64) in [-1, 1]."""
    rows = [list(x[:count].view(-1, 1, 8, 8).clamp(-1, 1)) for x in samples.values()]
    names = [name.replace(", ", ",\n") for name in samples]
    figure = image_grid(rows, row_titles=names, limits=(-1.0, 1.0), size=0.92)
    for ax, name in zip(figure.axes[:: len(rows[0])], samples, strict=True):
        ax.set_ylabel(ax.get_ylabel(), rotation=0, ha="right", va="center")
        describe(ax, f"{name}: mean pixel {float(samples[name].mean()):.2f}.")
    for i, ax in enumerate(figure.axes):
        if i % len(rows[0]):
            describe(ax, "")
    return figure


@styled
def race_figure(table: sweep.Table, base: str = "cosine") -> Figure:
    """Both samplers' distances as multiples of those of one arm: dots per seed, means, 99 % intervals."""
    arms = [arm for arm in table.arms if arm != base]
    figure = new_figure(9.4, 0.9 + 0.42 * len(arms))
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for i, (ax, sampler) in enumerate(zip(axes, ("DDIM", "DDPM"), strict=True)):
        words = []
        for row, arm in enumerate(arms):
            both = table.values(sampler, arm, base)
            mean, low, high = table.ratio(sampler, arm, base)
            ratios = np.divide(both[arm], both[base])
            ax.plot(ratios, [row] * len(ratios), "o", color=COLOURS[i], alpha=0.35, markersize=4)
            spread = [[mean - low], [high - mean]]
            ax.errorbar(mean, row, xerr=spread, fmt="|", color="black", capsize=4, markersize=11)
            words.append(f"{arm} {mean:.2f} ({low:.2f} to {high:.2f})")
        ax.axvline(1, color="black", linewidth=0.8, linestyle=":")
        ax.set_yticks(range(len(arms)), arms)
        ax.set_xscale("log")
        ax.set_xticks(RATIOS, [f"{ratio:g}" for ratio in RATIOS])
        ax.minorticks_off()
        ax.set(title=f"{sampler}, 20 steps", xlabel=f"distance from real digits, times that of {base}")
        ax.grid(axis="y", visible=False)
        describe(ax, f"{sampler}, distance as a multiple of {base}, 99 % interval: {'; '.join(words)}.")
    figure.axes[0].invert_yaxis()
    return figure
