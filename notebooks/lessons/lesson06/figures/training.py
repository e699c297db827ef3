"""The figures of lesson 06, of trainings: the factorial, its claims, and logs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    bars_with_intervals,
    describe,
    new_figure,
    styled,
)
from gantrans.teaching.plots.style import LINES
from gantrans.teaching.sweeps.tables import Table
from gantrans.training import History
from gantrans.translation import Thresholds
from lessons.lesson06.experiments.factorial import FACTORS, Rows, arm_in, arm_name, factorial
from lessons.lesson06.experiments.stabilization import effects
from lessons.lesson06.experiments.stabilization_arms import BETWEEN, FULL, HOSTILE, USUAL

WORDS: Mapping[str, str] = {
    USUAL: "L1 weight 100,\nD at G's pace",
    BETWEEN: "L1 weight 10,\nD five times faster",
    HOSTILE: "L1 weight 1,\nD five times faster",
}
UNITS = {"EPE": "nm"}
RATIOS = ("gradient ratio", "late swing")


def arms_of(table: Table, setting: str) -> dict[str, str]:
    """{arm: its name in the table} for every arm of a setting that the table has."""
    start = arm_in(setting, "")
    return {arm.removeprefix(start): arm for arm in table.arms if arm.startswith(start)}


@styled
def arms_figure(table: Table, quantity: str = "IoU", settings: Sequence[str] = FULL) -> Figure:
    """Every arm of every setting: a dot per seed and the mean as a bar; the factorial's arms come first.

    LS is least squares, SN spectral norm. Each panel has its own axis.
    """
    names = list(arms_of(table, settings[0]))
    figure = new_figure(9.6, 1.2 + 0.235 * len(names))
    axes = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
    for ax, setting in zip(axes, settings, strict=True):
        arms, words = arms_of(table, setting), []
        for i, name in enumerate(names):
            values = [v for v in _present(table, arms[name], quantity) if np.isfinite(v)]
            if not values:
                continue
            colour = COLOURS[0] if name in FACTORIAL_ARMS else COLOURS[1]
            ax.plot(values, [i] * len(values), MARKERS[0], color=colour, alpha=0.5, markersize=4)
            ax.plot([np.mean(values)] * 2, [i - 0.35, i + 0.35], color="black", linewidth=2)
            words.append(f"{name} {np.mean(values):.3g}")
        ax.axhline(len(FACTORIAL_ARMS) - 0.5, color="#999999", linewidth=0.8)
        title = f"{setting}\n{WORDS[setting]}" if setting in WORDS else setting
        ax.set(title=title, xlabel=_unit(quantity), ylim=(len(names) - 0.4, -0.6))
        ax.set_yticks(range(len(names)), [_short(name) for name in names])
        describe(ax, f"{setting}, mean {quantity}: {'; '.join(words)}.")
    return figure


FACTORIAL_ARMS = tuple(map(arm_name, factorial()))


def _present(table: Table, arm: str, quantity: str) -> list[float]:
    """One value per seed; none if the arm does not have the quantity."""
    return [row[arm][quantity] for row in table.rows.values() if quantity in row[arm]]


def _short(arm: str) -> str:
    """An arm's name for a narrow axis."""
    return arm.replace("least squares", "LS").replace("spectral norm", "SN")


def _unit(quantity: str) -> str:
    return f"{quantity} ({UNITS[quantity]})" if quantity in UNITS else quantity


@styled
def effects_figure(rows: Rows, *, quantity: str) -> Figure:
    """The main effect of each factor on a quantity in each setting: mean, 99 % interval, a dot per seed.

    Quantities of `RATIOS` are compared by ratio (the effect on the logarithm), the others by difference.
    """
    figure, ratio = new_figure(9.4, 2.7), quantity in RATIOS
    rows = _logarithms(rows, quantity) if ratio else rows
    for k, (ax, setting) in enumerate(zip(figure.subplots(1, len(FULL), sharex=True), FULL, strict=True)):
        words = []
        for i, (factor, effect) in enumerate(effects(rows, setting, quantity).items()):
            shown = np.array([effect.measured, effect.low, effect.high, *effect.per_seed])
            mean, low, high, *seeds = np.exp(shown) if ratio else shown
            ax.plot(seeds, [i] * len(seeds), MARKERS[i], color=COLOURS[i], alpha=0.45)
            sides = [[mean - low], [high - mean]]
            ax.errorbar(mean, i, xerr=sides, color=COLOURS[i], capsize=4, fmt="|", markersize=12)
            words.append(f"{factor} {f'x {mean:.3g}' if ratio else f'{mean:+.3g}'} ({low:.3g} to {high:.3g})")
        ax.axvline(1 if ratio else 0, color="black", linewidth=0.8)
        if ratio:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_yticks(range(len(FACTORS)), FACTORS if k == 0 else [""] * len(FACTORS))
        ax.set(title=setting, xlabel=f"{'factor on' if ratio else 'change of'} {_unit(quantity)}")
        ax.set_ylim(len(FACTORS) - 0.5, -0.5)
        ax.set_ylabel("factor", color="black" if k == 0 else "none")  # the same for all: seen once
        describe(ax, f"{setting}: {'; '.join(words)}.")
    return figure


def _logarithms(rows: Rows, quantity: str) -> Rows:
    """The rows with one quantity replaced by its natural logarithm, where an arm has it."""
    return {
        seed: {
            arm: {quantity: float(np.log(numbers[quantity]))} if quantity in numbers else {}
            for arm, numbers in row.items()
        }
        for seed, row in rows.items()
    }


@styled
def claim_figure(record: Mapping[str, Any], quantities: Mapping[str, str]) -> Figure:
    """Parts of a claim as the ledger holds them: both arms' values, joined by seed.

    Args:
        quantities: {part: label of its axis}.
    """
    figure = new_figure(4.0 * len(quantities), 3.3)
    axes = figure.subplots(1, len(quantities), squeeze=False)[0]
    for ax, (part, quantity) in zip(axes, quantities.items(), strict=True):
        bars_with_intervals(record["parts"][part]["data"], quantity=quantity, title=part, ax=ax)
    return figure


@styled
def failures_figure(histories: Mapping[str, History]) -> Figure:
    """The log of runs: D's accuracy and how much fakes differ from each other, a line per run.

    A thick bar over the second half is the mean that the diagnosis compares with its limit (dotted).
    """
    figure, limits = new_figure(9.4, 3.6), Thresholds()
    panels = {
        "d_accuracy": ("D's accuracy", limits.accuracy, f"dotted: dominance from {limits.accuracy:g} on"),
        "spread": (
            "spread of fakes / of targets",
            limits.spread,
            f"dotted: collapse below {limits.spread:g}",
        ),
    }
    for ax, (name, (quantity, limit, said)) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        words = []
        for i, (label, history) in enumerate(histories.items()):
            steps, values = history.series(name)
            mean = float(np.mean(values[len(values) // 2 :]))
            shown: dict[str, Any] = {"color": COLOURS[i], "marker": MARKERS[i]}
            ax.plot(steps, values, markevery=max(1, len(values) // 7), linewidth=0.8, alpha=0.55, **shown)
            half = [steps[len(values) // 2], steps[-1]]
            ax.plot(half, [mean, mean], color=COLOURS[i], linestyle=LINES[i], linewidth=3, label=label)
            words.append(f"{label}: mean of the second half {mean:.2f}, at the end {values[-1]:.2f}")
        ax.axhline(limit, color="black", linestyle=":", linewidth=1.2)
        ax.set(xlabel="training step", ylabel=quantity, ylim=(0, 1.08), title=said)
        describe(ax, f"{quantity}, limit {limit:g}. {'; '.join(words)}.")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), title="bars: mean of the second half"
    )
    return figure
