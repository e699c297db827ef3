"""The figures of lesson 06, part three: which number of the log warned, and how far its diagnoses go."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gantrans.teaching.claims import get
from gantrans.teaching.plots import COLOURS, MARKERS, Table, describe, metric_table, new_figure, styled
from gantrans.teaching.plots.style import LINES
from gantrans.teaching.sweeps.tables import Table as Measured
from gantrans.translation.diagnostics import COLLAPSE, DIAGNOSES, OSCILLATION, Thresholds
from lessons.lesson06.experiments.factorial import arm_in, compare
from lessons.lesson06.experiments.failures import confusion, missed
from lessons.lesson06.experiments.stabilization_arms import FULL, L1_ONLY
from lessons.lesson06.figures.training import arms_of

INDICATORS = ("D accuracy", "gradient ratio")
LOSS = 0.05
"""An IoU this far below L1 alone counts as spoilt; claim G10 asks for as much."""
EDGES = (0.0, 0.5, 1.0, Thresholds().excess, 3.0, float("inf"))


def correlations(table: Measured) -> dict[str, dict[str, float]]:
    """Rank correlation of held-out IoU with each indicator, over the arms' means: per setting, and of all."""
    means, found = table.means(), {}
    arms = {setting: [means[arm] for arm in arms_of(table, setting).values()] for setting in FULL}
    for name in INDICATORS:
        pairs = {s: [(row[name], row["IoU"]) for row in rows if name in row] for s, rows in arms.items()}
        pairs["all together"] = [pair for setting in FULL for pair in pairs[setting]]
        found[name] = {group: _rank_correlation(np.array(values)) for group, values in pairs.items()}
    return found


def _rank_correlation(pairs: np.ndarray) -> float:
    first, second = np.argsort(np.argsort(pairs, axis=0), axis=0).T.astype(np.float64)
    return float(np.asarray(np.corrcoef(first, second))[0, 1])


@styled
def indicators_figure(table: Measured) -> Figure:
    """Mean IoU of every arm against what its log said: D's accuracy, and the ratio of gradients.

    A panel's title has the rank correlation within each setting: between settings the L1 weight differs, and
    with it both the ratio, which is divided by it, and the IoU.
    """
    figure = new_figure(9.4, 3.7)
    means, tied = table.means(), correlations(table)
    for ax, name in zip(figure.subplots(1, 2, sharey=True), INDICATORS, strict=True):
        for i, setting in enumerate(FULL):
            arms = [means[arm] for arm in arms_of(table, setting).values() if name in means[arm]]
            x, y = [row[name] for row in arms], [row["IoU"] for row in arms]
            ax.plot(x, y, MARKERS[i], color=COLOURS[i], label=setting, markerfacecolor="none")
            alone = means[arm_in(setting, L1_ONLY)]["IoU"]
            ax.axhline(alone, color=COLOURS[i], linestyle=LINES[i], linewidth=0.8)
        ax.set(xlabel=name, xscale="log" if name == "gradient ratio" else "linear")
        words = ", ".join(f"{group} {value:+.2f}" for group, value in tied[name].items())
        within = ", ".join(f"{setting} {tied[name][setting]:+.2f}" for setting in FULL)
        ax.set_title(f"rank correlation within a setting:\n{within}")
        describe(ax, f"Held-out IoU against {name}, one point per arm: rank correlation {words}.")
    figure.axes[0].set_ylabel("held-out IoU")
    figure.axes[1].axvline(Thresholds().excess, color="black", linewidth=0.8)
    figure.axes[0].legend(title="setting (line: L1 only)", loc="lower left")
    return figure


class Run(NamedTuple):
    """A run with a D: its setting, two means over its second half, its IoU minus L1 alone's of that seed."""

    setting: str
    ratio: float
    accuracy: float
    lead: float


def runs_of(table: Measured) -> list[Run]:
    """Every run of the three settings that has a D."""
    return [
        Run(
            setting,
            own["gradient ratio"],
            own["D accuracy"],
            own["IoU"] - row[arm_in(setting, L1_ONLY)]["IoU"],
        )
        for row in table.rows.values()
        for setting in FULL
        for own in (row[arm] for arm in arms_of(table, setting).values())
        if "gradient ratio" in own
    ]


def ratio_table(table: Measured) -> Table:
    """How many runs of each range of the ratio lost IoU against L1 alone, and how sure their D was."""
    rows, runs, sure = {}, runs_of(table), Thresholds().accuracy
    for low, high in pairwise(EDGES):
        inside = [run for run in runs if low <= run.ratio < high]
        if inside:
            where = {f"of {s}": float(sum(run.setting == s for run in inside)) for s in FULL}
            rows[f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} and more"] = {
                "runs": float(len(inside)),
                **where,
                "mean IoU - L1 only": float(np.mean([run.lead for run in inside])),
                f"IoU {LOSS:g} or more below": float(sum(run.lead <= -LOSS for run in inside)),
                f"D right {sure:.0%} or more": float(sum(run.accuracy >= sure for run in inside)),
            }
    return _counts(metric_table(rows, caption="Runs by their gradient ratio"))


def _counts(table: Table) -> Table:
    """The same table with whole numbers written as such."""
    return Table(
        table.header,
        [[cell.removesuffix(".0").removesuffix(".00") for cell in row] for row in table.rows],
        table.caption,
    )


def against_l1(table: Measured) -> Table:
    """IoU of the baseline and of all four minus that of L1 alone, by setting: mean and 99 % interval."""
    rows = []
    for setting in FULL:
        effects = [compare(table.rows, setting, arm, L1_ONLY, "IoU") for arm in ("baseline", "all four")]
        rows.append([setting, *(f"{e.measured:+.3f} ({e.low:+.3f} to {e.high:+.3f})" for e in effects)])
    return Table(["", "baseline - L1 only", "all four - L1 only"], rows, "IoU, mean and 99 % interval")


def shares_table(record: Mapping[str, Any]) -> Table:
    """Claim G33 as the ledger has it: the share of runs that got the provoked name, by kind."""
    rows = [
        [name, f"{p['measured']:.0%} of {p['count']}", f"{p['low']:.0%} to {p['high']:.0%}", p["verdict"]]
        for name, p in record["parts"].items()
    ]
    part = get("G33").parts[0]
    header = ["provoked", "right name", f"{part.level:.0%} interval", f"in at least {part.region[0]:.0%}?"]
    return Table(header, rows, f"All four kinds together: {record['verdict']}")


def missed_words(table: Measured, thresholds: Thresholds | None = None) -> str:
    """A line for each provoked kind with runs that got another name: how many, which names, and why.

    Args:
        table: of the sweep `failures`.
        thresholds: of the diagnosis; it is made anew from the numbers in the table.
    """
    limits, lines = thresholds or Thresholds(), []
    for kind, counts in confusion(table, limits).items():
        others = ", ".join(f"{name} {count}" for name, count in counts.items() if count and name != kind)
        if others:
            why = _why(kind, list(missed(table, kind, limits).values()), limits)
            lines.append(f"- **{kind}**, {sum(counts.values())} runs; called otherwise: {others}.{why}")
    return "\n".join(lines) or "Every run got the name of what was provoked."


def _why(kind: str, rows: list[dict[str, float]], limits: Thresholds) -> str:
    if kind == COLLAPSE:
        spread = ", ".join(f"{s:.3g}" for s in sorted(row["spread"] for row in rows if "spread" in row))
        return f" Their spread: {spread}; the limit is {limits.spread:g}."
    if kind != OSCILLATION:
        return ""
    seldom = [row.get("crossings", np.inf) < limits.crossings for row in rows]
    small = [row.get("swing", np.inf) <= limits.swing for row in rows]
    both = sum(one and other for one, other in zip(seldom, small, strict=True))
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    loud = f" Their gradient ratio: {min(ratios):.2g} to {max(ratios):.2g}." if ratios else ""
    few = f" Fewer than {limits.crossings} crossings: {sum(seldom)}"
    return f"{few}; a swing of {limits.swing:g} or less: {sum(small)}; both: {both}.{loud}"


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
