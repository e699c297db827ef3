"""The figures of lesson 07 on realism against correctness; `grain` holds theory against the arms, and
`irregular_arrays` has those on hallucination."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.teaching import claims
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    describe,
    image_axes,
    image_grid,
    new_axes,
    new_figure,
    styled,
)
from gantrans.teaching.plots.style import LINES
from gantrans.teaching.sweeps import sweep
from lessons.lesson07.experiments import loss_weights, pairs_cycle

ERRORS: Mapping[str, tuple[str, bool]] = {
    "L1": ("held-out L1 error", False),
    "PSNR": ("PSNR (dB)", True),
    "EPE": ("EPE, read back (nm)", False),
}
"""Quantity of the sweep -> its axis, and whether more is better."""
_APART = {loss_weights.BASELINE: (5, -12), "L1 weight 100": (-24, 5)}
"""Where the labels of two near neighbours go, in points."""


def grain_trade(strength: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What it costs to add grain of a strength s to the best blurred image, in theory: two values in dB.

    The real grain has variance 1. Independent grain of variance s^2 makes the squared error 1 + s^2 instead
    of 1, and the power of the texture s^2 instead of 1.

    Returns:
        PSNR lost, 10 log10(1 + s^2), and texture against real, 20 log10(s).
    """
    s = np.asarray(strength, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(1 + s**2), 20 * np.log10(s)


def measured_trade(strength: float, pixels: int = 40_000, seed: int = 0) -> float:
    """PSNR lost by adding grain to the mean, in dB, of a toy image: real grain is normal, and so is ours."""
    real, ours = torch.randn(2, pixels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    lost: Tensor = 10 * torch.log10((real - strength * ours).square().mean() / real.square().mean())
    return float(lost)


@styled
def trade_figure(ax: Axes | None = None) -> Axes:
    """PSNR lost against the strength of the grain that a generator adds; the honest imitator is marked."""
    ax = new_axes(ax, 6.4, 3.3)
    s = np.linspace(0.02, 1.5, 80)
    lost, texture = grain_trade(s)
    ax.plot(texture, lost, color=COLOURS[0], label="theory")
    for strength, name in ((0.14, "nearly blurred"), (0.5, "half the grain"), (1.0, "all the grain")):
        x, y = grain_trade(strength)[::-1]
        ax.plot(x, y, MARKERS[1], color=COLOURS[1], markersize=7)
        ax.annotate(f"{name}\n{y:.2f} dB", (x, y), (-8, 8), textcoords="offset points", ha="right")
    ax.set(xlabel="power of the texture against the real one (dB)", ylabel="PSNR lost (dB)", ylim=(-0.2, 5.4))
    return describe(
        ax, "PSNR lost against texture, in theory: grain as strong as the real one costs 3.01 dB, half of it "
        "(-6 dB) 0.97 dB, none of it nothing.",
    )  # fmt: skip


@styled
def made_figure(
    layout: Tensor, real: Tensor, made: Mapping[str, Tensor], picked: Sequence[int], size: float = 1.6
) -> Figure:
    """A row per test pair: layout, real SEM image and what each arm makes of the layout, (N, 1, S, S)."""
    columns = {"layout": layout, "real SEM": real, **made}
    rows = [[images[i] for images in columns.values()] for i in picked]
    titles = [name.replace("L1 weight", "L1 weight\n").replace(", ", ",\n") for name in columns]
    return image_grid(rows, titles, pixel_nm=loss_weights.PIXEL_NM, size=size)


@styled
def draws_figure(first: Mapping[str, Tensor], second: Mapping[str, Tensor], image: int) -> Figure:
    """Two draws of the noise of every arm for one layout, and their difference about grey."""
    names = list(first)
    rows = [[m[name][image] for name in names] for m in (first, second)]
    rows.append([(0.5 + first[name][image] - second[name][image]).clamp(0, 1) for name in names])
    labels = ["first draw", "second draw", "difference"]
    return image_grid(rows, names, row_titles=labels, pixel_nm=loss_weights.PIXEL_NM, size=1.8)


def _front(ax: Axes, table: sweep.Table, error: str) -> str:
    """All arms in the plane of realism and error: dots per seed, means joined from L1 alone to no L1."""
    order = [loss_weights.BASELINE, *loss_weights.WEIGHTS]
    means = table.means()
    x, y = ([means[arm][q] for arm in order] for q in ("spectrum", error))
    for arm in (*order, loss_weights.MATCHING, loss_weights.REAL):
        seeds = [table.values(q, arm)[arm] for q in ("spectrum", error)]
        ax.plot(*seeds, ".", color="#AAAAAA", markersize=3.5, zorder=1)
    ax.plot(x, y, "-o", color=COLOURS[0], label="L1 weight from 100 to 0")
    for k, arm in enumerate((loss_weights.MATCHING, loss_weights.REAL), start=1):
        here = means[arm]
        ax.plot(here["spectrum"], here[error], MARKERS[k], color=COLOURS[k], markersize=8, label=arm)
    for arm, place in zip(order, zip(x, y, strict=True), strict=True):
        label = arm.removeprefix("L1 weight ")
        ax.annotate(label, place, _APART.get(arm, (5, 5)), textcoords="offset points", fontsize=8.5)
    name, more_is_better = ERRORS[error]
    better = "up" if more_is_better else "down"
    ax.set(xlabel="spectrum distance (dB): more real to the left", ylabel=f"{name}: better {better}")
    ax.set_xscale("log")
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if ax.get_xlim()[0] <= t <= ax.get_xlim()[1]]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    ax.legend(loc="best")
    words = "; ".join(f"{arm} {means[arm]['spectrum']:.2g} dB, {means[arm][error]:.3g}" for arm in means)
    return f"{name} against spectrum distance, means over {len(table.seeds)} seeds: {words}."


@styled
def front_figure(
    table: sweep.Table, pictures: Mapping[str, Tensor], real: Tensor, *, place: int, error: str
) -> Figure:
    """The front of the sweep with one arm marked, beside what that arm makes and the real image.

    Args:
        table: of the sweep `loss_weights`.
        pictures: {arm: (1, S, S) in [0, 1]}, in order from correct to real.
        real: (1, S, S) in [0, 1].
        place: which of the pictures; error: a key of `ERRORS`.
    """
    arm = list(pictures)[place]
    figure = new_figure(9.4, 3.7)
    grid = figure.add_gridspec(2, 3)
    ax = figure.add_subplot(grid[:, :2])
    words = _front(ax, table, error)
    here = table.means(arm)[arm]
    ax.plot(
        here["spectrum"], here[error], "o", markersize=16, markerfacecolor="none", markeredgewidth=2,
        color=COLOURS[1],
    )  # fmt: skip
    lost = "" if error == "L1" else f", {error} {here[error]:.3g}"
    ax.set_title(f"{arm}: {here['spectrum']:.2g} dB, L1 error {here['L1']:.3f}{lost}")
    describe(ax, f"Marked: {arm}. {words}")
    image_axes(pictures[arm], arm, ax=figure.add_subplot(grid[0, 2]), pixel_nm=loss_weights.PIXEL_NM)
    image_axes(real, "real SEM", ax=figure.add_subplot(grid[1, 2]))
    return figure


def weights_table(table: sweep.Table) -> dict[str, dict[str, float]]:
    """Means of every arm of the sweep `loss_weights`, under the names of the lesson."""
    names = {
        "gradient ratio": "GAN gradient / L1's", "L1": "L1 error", "PSNR": "PSNR",
        "spectrum": "spectrum distance",
        "texture": "fine half", "EPE": "EPE", "diversity": "spread of draws",
    }  # fmt: skip
    means = table.means(*loss_weights.ARMS, loss_weights.REAL)
    return {arm: {name: row[q] for q, name in names.items() if q in row} for arm, row in means.items()}


def change(table: sweep.Table, quantity: str, after: str, before: str, factor: float = 1.0) -> str:
    """What one arm changes in a quantity, seed by seed: mean, 99 % interval, and whether it leaves out zero.

    Args:
        after, before: two arms of the table; factor: of the unit that is shown.
    """
    both = table.values(quantity, after, before)
    effect, low, high = (factor * v for v in claims.paired_effect(both[after], both[before]))
    said = "higher" if low > 0 else "lower" if high < 0 else "undecided"
    return f"{effect:+.2g} ({low:+.2g} to {high:+.2g}): {said}"


def steps_table(table: sweep.Table) -> Table:
    """The front step by step, from L1 alone to no L1, and two longer steps: what each changes for sure."""
    order = [loss_weights.BASELINE, *loss_weights.WEIGHTS]
    steps = [*pairwise(order), ("L1 weight 100", "L1 weight 10"), ("L1 weight 10", "L1 weight 1")]
    shown = {
        "spectrum distance (dB)": ("spectrum", 1),
        "L1 error (thousandths)": ("L1", 1000),
        "EPE (nm)": ("EPE", 1),
    }
    rows = [
        [f"{before} to {after.removeprefix('L1 weight ')}"]
        + [change(table, quantity, after, before, factor) for quantity, factor in shown.values()]
        for before, after in steps
    ]
    return Table(["step", *shown], rows, f"Change with its 99 % interval over {len(table.seeds)} seeds")


@styled
def cycle_figure(table: sweep.Table, quantity: str = "IoU") -> Figure:
    """Left: the quantity with and without a cycle against the number of pairs. Right: the paired gains."""
    figure = new_figure(9.4, 3.5)
    left, right = figure.subplots(1, 2)
    means, words = table.means(), []
    for k, cycle in enumerate((*pairs_cycle.CYCLES, pairs_cycle.UNPAIRED)):
        arms = {n: pairs_cycle.arm_name(n, cycle) for n in pairs_cycle.COUNTS}
        counts = [n for n, arm in arms.items() if arm in means]
        values = [means[arms[n]][quantity] for n in counts]
        left.plot(counts, values, marker=MARKERS[k], linestyle=LINES[k], color=COLOURS[k], label=cycle)
        words.append(f"{cycle}: " + ", ".join(f"{v:.3f}" for v in values))
        if cycle == "no cycle":
            continue
        for i, values in enumerate(pairs_cycle.gains(table, quantity, cycle).values()):
            x = i + (-0.12 if cycle == "cycle" else 0.12)
            mean, low, high = claims.paired_effect(values, [0.0] * len(values))
            right.plot([x] * len(values), values, ".", color=COLOURS[k], alpha=0.5)
            right.errorbar(
                x, mean, [[mean - low], [high - mean]], color=COLOURS[k], marker=MARKERS[k], capsize=4,
                label=cycle if i == 0 else None,
            )  # fmt: skip
    left.set(xscale="log", xlabel="pairs", ylabel=f"held-out {quantity}")
    left.set_xticks(pairs_cycle.COUNTS, list(map(str, pairs_cycle.COUNTS)))
    left.minorticks_off()
    left.legend()
    describe(left, f"Held-out {quantity} from {pairs_cycle.COUNTS} pairs. {'; '.join(words)}.")
    right.axhline(0, color="black", linewidth=0.8)
    right.set_xticks(range(len(pairs_cycle.COUNTS)), [f"{n} pairs" for n in pairs_cycle.COUNTS])
    right.set_xlim(-0.5, len(pairs_cycle.COUNTS) - 0.5)
    right.set_ylabel(f"gain in {quantity} over no cycle")
    right.grid(axis="x", visible=False)
    right.legend()
    gains = {
        f"{name}, {cycle}": float(np.mean(v))
        for cycle in ("cycle", pairs_cycle.UNPAIRED)
        for name, v in pairs_cycle.gains(table, quantity, cycle).items()
    }
    listed = "; ".join(f"{name} {value:+.4f}" for name, value in gains.items())
    describe(right, f"Gains with 99 % intervals over {len(table.seeds)} seeds: {listed}.")
    return figure


def parts_table(record: claims.ledger.Record) -> Table:
    """One row per part of a claim's rule: both arms' means, effect with its interval, and verdict."""
    rows = []
    for name, part in record["parts"].items():
        arms = ", ".join(f"{arm} {np.mean(values):.3g}" for arm, values in part["data"].items())
        effect = f"{part['measured']:.3g} ({part['low']:.3g} to {part['high']:.3g})"
        rows.append([name, arms, effect, part["verdict"]])
    return Table(["part of the rule", "means of the arms", "effect (99 % interval)", "verdict"], rows)
