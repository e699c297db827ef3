"""Lesson 01's evidence: names and conventions elsewhere, the ends of schedules, the race of the arms."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.diffusion import PREDICTIONS, SCHEDULES, Schedule, check_prediction, make_schedule
from gantrans.errors import ConfigError
from gantrans.teaching.claims.ledger import Record
from gantrans.teaching.plots import COLOURS, MARKERS, Table, describe, new_figure, styled
from gantrans.teaching.plots.style import LINES
from gantrans.teaching.sweeps import sweep
from lessons.lesson01.experiments.schedules import DIFFUSERS, PARTS

RATIOS = (1, 1.5, 2, 3, 4)
"""Ticks of the race's axes."""


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
            ax.plot(ratios, [row] * len(ratios), "o", color=COLOURS[i], alpha=0.6, markersize=5, zorder=3)
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
