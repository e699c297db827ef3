"""The tables and figures of lesson 06's evidence: best arms, main effects, interactions, batch norm."""

import itertools
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gantrans.teaching.plots import COLOURS, Table, describe, new_figure, styled
from gantrans.teaching.plots.style import MARKERS
from gantrans.teaching.sweeps.tables import Table as Measured
from lessons.lesson06.experiments.factorial import (
    ALL,
    BASELINE,
    FACTORS,
    Effect,
    arm_name,
    compare,
    interaction,
)
from lessons.lesson06.experiments.stabilization import effects
from lessons.lesson06.experiments.stabilization_arms import BATCH_NORM, FULL, L1_ONLY
from lessons.lesson06.figures.training import arms_of

PAIR = arm_name(("least squares", "spectral norm"))
SHORT = {"least squares": "LS", "spectral norm": "SN", "smoothing": "smoothing", "decay": "decay"}


def _words(effect: Effect) -> str:
    return f"{effect.measured:+.3f} ({effect.low:+.3f} to {effect.high:+.3f})"


def _against(
    table: Measured, pairs: Sequence[tuple[str, str]], quantity: str, caption: str, settings: Sequence[str]
) -> Table:
    """One row per pair of arms: the first minus the second in every setting, with its 99 % interval."""
    rows = [
        [
            f"{first} minus {second}",
            *(_words(compare(table.rows, s, first, second, quantity)) for s in settings),
        ]
        for first, second in pairs
    ]
    return Table(["", *settings], rows, caption)


def best_arms(table: Measured, quantity: str = "IoU", settings: Sequence[str] = FULL) -> Table:
    """The three highest means of every setting by name, and the means of four arms that have a story."""
    means = table.means()
    rows = []
    for setting in settings:
        here = {name: means[arm][quantity] for name, arm in arms_of(table, setting).items()}
        highest = sorted(here, key=lambda name: here[name], reverse=True)[:3]
        known = (f"{here[name]:.3f}" for name in (L1_ONLY, PAIR, ALL, BASELINE))
        rows.append([setting, "; ".join(f"{name} {here[name]:.3f}" for name in highest), *known])
    return Table(
        ["setting", "the three highest", L1_ONLY, PAIR, ALL, BASELINE], rows, f"Mean held-out {quantity}"
    )


def pair_table(table: Measured) -> Table:
    """The pair of least squares and spectral norm against L1 alone, all four and the baseline."""
    others = (L1_ONLY, ALL, BASELINE)
    caption = "IoU, mean difference and 99 % interval"
    return _against(table, [(PAIR, other) for other in others], "IoU", caption, FULL)


def batch_norm_table(table: Measured) -> Table:
    """Batch normalisation in D against the baseline, the best pair and all four."""
    pairs = [(BATCH_NORM, other) for other in (BASELINE, PAIR, ALL)]
    return _against(table, pairs, "IoU", "IoU, mean difference and 99 % interval", FULL)


def main_effects_table(table: Measured, quantity: str = "IoU") -> Table:
    """What each factor changes, over all arms of the factorial."""
    found = {setting: effects(table.rows, setting, quantity) for setting in FULL}
    rows = [[factor, *(_words(found[setting][factor]) for setting in FULL)] for factor in FACTORS]
    return Table(["factor", *FULL], rows, f"Main effects on {quantity}, 99 % intervals")


@styled
def interactions_figure(table: Measured, quantity: str = "IoU", settings: Sequence[str] = FULL) -> Figure:
    """How much two factors change each other's effect: mean, 99 % interval, a dot per seed.

    A panel per setting. 0: the two effects add up; below 0: together they do less than the sum.
    """
    pairs = list(itertools.combinations(FACTORS, 2))
    figure = new_figure(3.2 * len(settings), 3.1)
    for k, (ax, setting) in enumerate(
        zip(figure.subplots(1, len(settings), squeeze=False)[0], settings, strict=True)
    ):
        words = []
        for i, (first, second) in enumerate(pairs):
            effect = interaction(table.rows, setting, first, second, quantity)
            name = f"{SHORT[first]} x {SHORT[second]}"
            ax.plot(effect.per_seed, [i] * len(effect.per_seed), MARKERS[0], color=COLOURS[0], alpha=0.45)
            sides = [[effect.measured - effect.low], [effect.high - effect.measured]]
            ax.errorbar(effect.measured, i, xerr=sides, color="black", capsize=4, fmt="|", markersize=11)
            words.append(f"{name} {_words(effect)}")
        ax.axvline(0, color="black", linewidth=0.8)
        ax.xaxis.set_major_locator(MaxNLocator(3))
        names = [f"{SHORT[first]} x {SHORT[second]}" for first, second in pairs]
        ax.set_yticks(range(len(pairs)), names if k == 0 else [""] * len(pairs))
        ax.set(title=setting, xlabel=f"interaction on {quantity}", ylim=(len(pairs) - 0.5, -0.5))
        ax.set_ylabel("two factors", color="black" if k == 0 else "none")
        describe(ax, f"{setting}: {'; '.join(words)}.")
    return figure
