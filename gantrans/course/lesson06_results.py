"""The figures of lesson 06, part two: trainings, the factorial, what D knows by heart, diagnoses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from torch import Tensor

from gantrans.course.experiments.factorial import FACTORS, Rows, arm_in, arm_name, factorial
from gantrans.course.experiments.stabilization import effects
from gantrans.course.experiments.stabilization_arms import (
    BETWEEN,
    FULL,
    HOSTILE,
    L1_ONLY,
    USUAL,
    Trained,
)
from gantrans.course.experiments.sweeps import Table
from gantrans.course.plots import (
    COLOURS,
    MARKERS,
    bars_with_intervals,
    describe,
    image_grid,
    new_figure,
    styled,
)
from gantrans.course.plots.style import LINES
from gantrans.training import History
from gantrans.translation.diagnostics import DIAGNOSES

WORDS: Mapping[str, str] = {
    USUAL: "L1 weight 100,\nD at G's pace",
    BETWEEN: "L1 weight 10,\nD five times faster",
    HOSTILE: "L1 weight 1,\nD five times faster",
}
UNITS = {"EPE": "nm"}
RATIOS = ("gradient ratio", "late swing")


@styled
def training_figure(trained: Mapping[str, Trained]) -> Figure:
    """D's accuracy, the ratio of gradients and the validation IoU over training, a line per arm."""
    panels = {
        "d_accuracy": "D's accuracy",
        "gradient_ratio": "adversarial / L1 gradient",
        "val_iou": "validation IoU",
    }
    figure = new_figure(9.6, 3.6)
    for ax, (name, quantity) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        words = []
        for i, (arm, one) in enumerate(trained.items()):
            steps, values = one.history.series(name)
            if values:
                shown: dict[str, Any] = {"color": COLOURS[i], "linestyle": LINES[i], "marker": MARKERS[i]}
                ax.plot(steps, values, label=arm, markevery=max(1, len(values) // 6), **shown)
                words.append(f"{arm} ends at {values[-1]:.2g}")
        ax.set(xlabel="training step", title=quantity, yscale="log" if name == "gradient_ratio" else "linear")
        describe(ax, f"{quantity}: {'; '.join(words)}.")
    figure.axes[1].axhline(1, color="black", linewidth=0.8)
    handles, labels = figure.axes[2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@styled
def outputs_figure(sem: Tensor, layout: Tensor, made: Mapping[str, Tensor], picked: Sequence[int]) -> Figure:
    """A row per test pair: SEM image, drawn layout, what each arm makes of it; all in [0, 1]."""
    columns = {"SEM": sem, "drawn layout": layout, **made}
    rows = [[images[i, 0] for images in columns.values()] for i in picked]
    return image_grid(rows, list(columns), pixel_nm=20.0, size=1.4)


def _arms_of(table: Table, setting: str) -> dict[str, str]:
    """{arm: its name in the table} for every arm of a setting that the table has."""
    start = arm_in(setting, "")
    return {arm.removeprefix(start): arm for arm in table.arms if arm.startswith(start)}


@styled
def arms_figure(table: Table, quantity: str = "IoU", settings: Sequence[str] = FULL) -> Figure:
    """Every arm of every setting: a dot per seed and the mean as a bar; the factorial's arms come first.

    LS is least squares, SN spectral norm.
    """
    names = list(_arms_of(table, settings[0]))
    figure = new_figure(9.6, 1.2 + 0.235 * len(names))
    axes = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
    for ax, setting in zip(axes, settings, strict=True):
        arms, words = _arms_of(table, setting), []
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
def indicators_figure(table: Table) -> Figure:
    """Mean IoU of every arm against what its log said: D's accuracy, and the ratio of gradients."""
    figure = new_figure(9.4, 3.4)
    means = table.means(*[arm for setting in FULL for arm in _arms_of(table, setting).values()])
    for ax, name in zip(figure.subplots(1, 2, sharey=True), ("D accuracy", "gradient ratio"), strict=True):
        for i, setting in enumerate(FULL):
            arms = [means[arm] for arm in _arms_of(table, setting).values() if name in means[arm]]
            x, y = [row[name] for row in arms], [row["IoU"] for row in arms]
            ax.plot(x, y, MARKERS[i], color=COLOURS[i], label=setting, markerfacecolor="none")
            alone = means[arm_in(setting, L1_ONLY)]["IoU"]
            ax.axhline(alone, color=COLOURS[i], linestyle=LINES[i], linewidth=0.8)
        ax.set(xlabel=name, xscale="log" if name == "gradient ratio" else "linear")
        every = [(row[name], row["IoU"]) for row in means.values() if name in row]
        tied = np.corrcoef(*_ranks(np.array(every)))[0, 1]
        ax.set_title(f"rank correlation {tied:+.2f}")
        describe(ax, f"Held-out IoU against {name}, one point per arm: rank correlation {tied:+.2f}.")
    figure.axes[0].set_ylabel("held-out IoU")
    figure.axes[1].axvline(1, color="black", linewidth=0.8)
    figure.axes[0].legend(title="setting (line: L1 only)", loc="lower left")
    return figure


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values, axis=0), axis=0).T.astype(np.float64)


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
    """The log of runs: D's accuracy and how much fakes differ from each other, a line per run."""
    figure = new_figure(9.4, 3.4)
    panels = {"d_accuracy": "D's accuracy", "spread": "spread of fakes / of targets"}
    for ax, (name, quantity) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        words = []
        for i, (label, history) in enumerate(histories.items()):
            steps, values = history.series(name)
            shown: dict[str, Any] = {"color": COLOURS[i], "linestyle": LINES[i], "marker": MARKERS[i]}
            ax.plot(steps, values, label=label, markevery=max(1, len(values) // 7), **shown)
            words.append(f"{label}: {min(values):.2f} to {max(values):.2f}, at the end {values[-1]:.2f}")
        ax.set(xlabel="training step", ylabel=quantity)
        describe(ax, f"{quantity}. {'; '.join(words)}.")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@styled
def confusion_figure(counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """The confusion matrix of the diagnoses: a row per provoked failure, a column per diagnosis."""
    columns = [name for name in DIAGNOSES if any(row[name] for row in counts.values()) or name in counts]
    shares = np.array([[row[name] for name in columns] for row in counts.values()], dtype=np.float64)
    runs = shares.sum(1, keepdims=True)
    figure = new_figure(7.2, 3.6)
    ax: Axes = figure.add_subplot()
    ax.imshow(shares / runs, cmap="cividis", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    for i, row in enumerate(shares):
        for j, count in enumerate(row):
            ax.text(
                j,
                i,
                f"{count:.0f}",
                ha="center",
                va="center",
                color="black" if count > runs[i] / 2 else "white",
            )
    ax.set_xticks(range(len(columns)), [name.replace(" ", "\n") for name in columns])
    ax.set_yticks(range(len(counts)), list(counts))
    ax.set(xlabel="diagnosed", ylabel="provoked", title=f"runs, of {runs[0, 0]:.0f} each")
    ax.grid(visible=False)
    named = "; ".join(f"{name}: {row[name]} of {sum(row.values())}" for name, row in counts.items())
    describe(ax, f"Runs that were diagnosed as provoked: {named}.")
    return figure
