"""The figures and tables of lesson 12 on promotion: bounds, rules, defects, decisions, the registry."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gantrans.errors import GantransError
from gantrans.operations.promotion.gate import Array, Compared, Decision, GateConfig, lower_bound
from gantrans.operations.promotion.registry import Registry
from gantrans.teaching.claims.verdicts import proportion_interval
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    describe,
    new_figure,
    styled,
)
from lessons.lesson12.experiments import kills, promotion
from lessons.lesson12.experiments.promotion import GAINS, GATES, LAYOUTS, RULES, Hold
from lessons.shared import process_change

DIFFERENCES, BOUNDS = 0.11, (-0.035, 0.035)
"""Axes of the explorer of bounds: the same in every state, so that what grows is seen to grow."""


@styled
def bounds_figure(*, gain: float, layouts: int, common: int, images: int = 5, seed: int = 3) -> Figure:
    """One simulated challenger: its differences layout by layout, and what two bounds make of them.

    Args:
        gain: true mean difference, in thousandths of IoU.
        layouts: in the hold-out.
        common: percent of the variance that images of one layout share.
        images: per layout.
    """
    spread = 0.03
    hold = Hold(layouts, images, spread * (common / 100) ** 0.5, spread * (1 - common / 100) ** 0.5)
    differences = hold.draw(np.random.default_rng(seed), gain / 1000)
    bounds = {
        "images": lower_bound(differences, [str(i) for i in range(len(differences))]),
        "layouts": lower_bound(differences, hold.clusters),
    }
    figure = new_figure(8.4, 3.1)
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    order = np.argsort(differences.reshape(layouts, images).mean(1))
    for place, row in enumerate(differences.reshape(layouts, images)[order]):
        left.plot([place] * images, row, "o", color=COLOURS[0], markersize=2.5, alpha=0.6)
        left.plot(place, row.mean(), "_", color="black", markersize=7)
    left.axhline(0, color="#777777", linewidth=0.8)
    left.set(xlabel="layout, sorted by its mean (dash)", ylabel="challenger minus champion (IoU)")
    left.set_ylim(-DIFFERENCES, DIFFERENCES)
    mean = float(differences.mean())
    words = [f"mean {mean:+.4f}"]
    for i, (name, bound) in enumerate(bounds.items()):
        if bound is None:
            right.text(i, mean, "insufficient\ndata", ha="center", va="center")
            words.append(f"{name}: insufficient data")
            continue
        colour = COLOURS[i + 1]
        right.plot([i, i], [bound, mean], color=colour, linewidth=3)
        right.plot(i, bound, MARKERS[i + 1], color=colour, markersize=8)
        right.plot(i, mean, "_", color="black", markersize=14)
        words.append(f"{name} {bound:+.4f}, {'promote' if bound > 0 else 'keep the champion'}")
    right.axhline(0, color="#777777", linewidth=0.8)
    right.set_xticks(range(2), list(bounds))
    right.set_xlim(-0.6, 1.6)
    right.set_ylim(*BOUNDS)
    right.set(title="mean and lower bound", ylabel="IoU", xlabel="what is resampled")
    left.set_title(f"{layouts} layouts, {images} images of each")
    describe(left, f"Differences of {layouts} layouts; true gain {gain / 1000:g}.")
    describe(right, f"Lower bounds: {'; '.join(words)}.")
    return figure


@styled
def rules_figure(record: Mapping[str, Any]) -> Figure:
    """What rules promote, from a record of G26: against the true gain, and against the number of layouts."""
    numbers, parts = record["numbers"], record["parts"]
    figure = new_figure(9.2, 4.2)
    left, right = figure.subplots(1, 2)
    words = []
    for i, rule in enumerate((*RULES, *GATES)):
        none = parts[rule]["measured"] if rule in parts else numbers[f"{rule}: gain 0"]
        shares = [none, *(numbers[f"{rule}: gain {gain:g}"] for gain in GAINS[1:])]
        left.plot(GAINS, shares, label=rule, color=COLOURS[i], marker=MARKERS[i])
        words.append(f"{rule} {none:.1%}")
    left.set_xticks(GAINS, [f"{gain:g}" for gain in GAINS])
    left.set(
        xlabel="true gain (IoU)", ylabel="share promoted", title="60 layouts of 5 images", ylim=(0, 1.03)
    )
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize=8)
    describe(left, f"Share of equal challengers promoted: {'; '.join(words)}.")
    for i, (name, word) in enumerate((("bootstrap", ", bootstrap"), ("our rule: t below 40", ""))):
        values = [100 * numbers[f"{n} layouts{word}"] for n in LAYOUTS]
        right.plot(LAYOUTS, values, label=name, color=COLOURS[i + 1], marker=MARKERS[i + 1])
    right.axhline(100 * numbers["alpha"], color="#777777", linestyle=":", linewidth=1)
    right.text(LAYOUTS[-1], 100 * numbers["alpha"], "alpha", ha="right", va="top", color="#555555")
    right.set_xscale("log")
    right.set_xticks([n for n in LAYOUTS if n != 39], [str(n) for n in LAYOUTS if n != 39])
    right.minorticks_off()
    right.set_ylim(0, None)
    right.set(xlabel="layouts (logarithmic)", ylabel="equal challengers promoted (%)")
    right.set_title("how many layouts?")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize=8)
    few = f"{LAYOUTS[0]} layouts"
    describe(
        right,
        f"With {few} the bootstrap promotes {numbers[few + ', bootstrap']:.1%} of equal challengers, "
        f"the t bound {numbers[few]:.1%}.",
    )
    return figure


def equal_table(shares: Mapping[str, tuple[int, int]]) -> Table:
    """Share of equal challengers that each rule promoted, with exact 99 % intervals."""
    rows = []
    for rule, (promoted, count) in shares.items():
        share, low, high = proportion_interval(promoted, count)
        rows.append([rule, f"{promoted} of {count}", f"{share:.1%}", f"{low:.1%} to {high:.1%}"])
    return Table(["rule", "promoted", "share", "99 % interval"], rows, "Equal challengers")


def winners_table(years: promotion.Years) -> Table:
    """What years of twelve equal challengers promise, by how the hold-out is used; the true gain is 0."""
    rows = []
    for name, found in years.items():
        seen = "none" if np.isnan(found.claimed) else f"{found.claimed:+.4f}"
        rows.append([name, f"{found.promoted:.1%}", f"{found.promoting:.0%}", seen, "0"])
    header = ["hold-out", "promoted", "years that promote one", "gain that the gate saw (IoU)", "true gain"]
    return Table(header, rows, "Twelve equal challengers a year, bound by layout")


def defects_table(count: int) -> Table:
    """Share of `count` challengers that each rule on opens and bridges refuses, by what the models make."""
    rows = []
    for case, defects in promotion.DEFECT_CASES.items():
        shares = [
            promotion.refused_for_defects(defects, config, count)
            for config in promotion.DEFECT_CONFIGS.values()
        ]
        rows.append([case, *(f"{share:.0%}" for share in shares)])
    header = ["opens and bridges of champion and challenger", *promotion.DEFECT_CONFIGS]
    return Table(header, rows, f"Refused by each rule, of {count} challengers")


def shared_variance(compared: Compared) -> float:
    """Share of the variance of the differences that images of one layout have in common, 0 to 1.

    The intraclass correlation of a one-way analysis of variance with equal groups (Shrout and Fleiss 1979).
    """
    _, which = np.unique(np.asarray(compared.cluster), return_inverse=True)
    groups: list[Array] = [compared.differences[which == g] for g in range(which.max() + 1)]
    size = float(np.mean([len(g) for g in groups]))
    between = size * float(np.var([g.mean() for g in groups], ddof=1))
    within = float(np.mean([g.var(ddof=1) for g in groups]))
    return max(0.0, (between - within) / (between + (size - 1) * within))


def decision_table(decisions: Mapping[str, Decision]) -> Table:
    """One row per condition, one column per challenger, the verdict last."""
    mark = {True: "passed", False: "FAILED", None: "no data"}
    names = [check.name for check in next(iter(decisions.values())).checks]
    rows = []
    for i, name in enumerate(names):
        checks = [decision.checks[i] for decision in decisions.values()]
        rows.append([name, f"{checks[0].limit:g}", *(f"{c.measured:.3g}: {mark[c.passed]}" for c in checks)])
    rows.append(["verdict", "", *(decision.verdict for decision in decisions.values())])
    return Table(["condition", "limit", *decisions], rows, "The gate")


def history_table(registry: Registry, direction: str = process_change.DIRECTION) -> Table:
    """Every change that took effect, and who was champion afterwards."""
    rows = [
        [str(r["event"]), r["action"], r["version"], r["line"][-1] if r["line"] else "-", r["hash"][:8]]
        for r in registry.history(direction)
    ]
    return Table(["event", "action", "version", "champion afterwards", "hash"], rows)


def kill_table(count: int, run: Path) -> Table:
    """Kill writers `count` times, once overwriting a live file and once with a registry of `run`s."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder) / "promotions" / "registry")
        for number in range(3):  # previous, champion and challenger
            registry.register(run)
            if number < 2:
                registry.promote(kills.DIRECTION)
        for name, what in (("torch.save over the live file", "overwriting"), ("registry", "promotions")):
            try:
                found = kills.in_a_process(what, Path(folder) / what, count)
            except GantransError as error:
                rows.append([name, str(error), "", ""])
                continue
            rows.append([name, str(found.kills), str(found.unreadable), str(found.lost)])
    return Table(["writer", "kills", "unreadable afterwards", "acknowledged and lost"], rows)


def latency_table(record: Mapping[str, Any]) -> Table:
    """Share of 5 % better challengers refused, by how much slower they are, from a record of G39."""
    rows = []
    for slower in promotion.LATENCIES:
        refused = record["numbers"][f"{slower:g} times as slow: refused"]
        rows.append([f"{slower:g}", f"{refused:.0%}"])
    return Table(
        ["times as slow", "refused"],
        rows,
        f"5 % better challengers; limit {GateConfig().latency_factor:g}; simulated timings, 10 % of spread",
    )
