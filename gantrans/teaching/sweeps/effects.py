"""Paired effects over seeds with bootstrap intervals, and their figure.

The effect of a pair of arms is the mean over seeds of first minus second, or the geometric mean of first over
second; the interval is the bootstrap's, corrected for bias and skew (Efron 1987, "BCa"), over seeds. With ten
seeds or fewer it is too narrow; the verdicts of claims therefore use t intervals (`claims.verdicts`).
"""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import bootstrap

from gantrans.errors import ConfigError
from gantrans.teaching.plots import COLOURS, describe, new_figure, styled
from gantrans.teaching.sweeps.grid import Comparison
from gantrans.teaching.sweeps.rows import Observation

RESAMPLES = 9999


@dataclass(frozen=True)
class Effect:
    """Of the first arm over the second; `low` and `high` are NaN with a single seed."""

    group: str
    first: str
    second: str
    quantity: str
    compare: str
    unit: str
    effect: float
    low: float
    high: float
    seeds: tuple[int, ...]

    @property
    def pair(self) -> str:
        """The arms and, where the grid has several, the setting in which they are compared."""
        words = f"{self.first} {'-' if self.compare == 'difference' else '/'} {self.second}"
        return f"{words} ({self.group})" if self.group else words


def paired_effects(observations: Sequence[Observation], comparison: Comparison) -> list[Effect]:
    """The effects that a grid asks for, on the seeds that both arms have; pairs without any are left out.

    Raises:
        ConfigError: an arm or quantity occurs nowhere, or a ratio is asked of values that are not positive.
    """
    values: dict[tuple[str, str, str], dict[int, float]] = {}
    for o in observations:
        if not math.isnan(o.value):
            values.setdefault((o.group, o.arm, o.quantity), {})[o.seed] = o.value
    arms = list(dict.fromkeys(o.arm for o in observations))
    named = {arm for pair in comparison.pairs for arm in pair} | {comparison.reference or arms[0]}
    _known("arm", named, arms)
    _known("quantity", comparison.quantities, list(dict.fromkeys(o.quantity for o in observations)))
    reference = comparison.reference
    pairs = comparison.pairs or [(arm, str(reference)) for arm in arms if arm != reference]
    found = []
    for group in dict.fromkeys(o.group for o in observations):
        for quantity, compare in comparison.quantities.items():
            for first, second in pairs:
                one, other = (values.get((group, arm, quantity), {}) for arm in (first, second))
                if seeds := tuple(seed for seed in one if seed in other):
                    numbers = _interval(
                        np.array([one[s] for s in seeds]),
                        np.array([other[s] for s in seeds]),
                        compare, comparison.level, f"{quantity!r} of {first!r} and {second!r}",
                    )  # fmt: skip
                    unit = comparison.units.get(quantity, "") if compare == "difference" else ""
                    found.append(Effect(group, first, second, quantity, compare, unit, *numbers, seeds))
    return found


def _known(what: str, asked: Iterable[str], there: Sequence[str]) -> None:
    if missing := [name for name in asked if name not in there]:
        raise ConfigError(
            f"No run has the {what} {missing[0]!r} of the grid's effects; there are {', '.join(there)}."
        )


def _interval(
    first: np.ndarray, second: np.ndarray, compare: str, level: float, where: str
) -> tuple[float, float, float]:
    """(effect, low, high); the same numbers for the same values, since the resampling has a fixed seed."""
    if compare == "ratio":
        if min(first.min(), second.min()) <= 0:
            raise ConfigError(f"The ratio of {where} needs positive values; ask for the difference.")
        effect, low, high = _mean_interval(np.log(first) - np.log(second), level)
        return math.exp(effect), math.exp(low), math.exp(high)
    return _mean_interval(first - second, level)


def _mean_interval(differences: np.ndarray, level: float) -> tuple[float, float, float]:
    mean = float(differences.mean())
    if len(differences) < 2:
        return mean, math.nan, math.nan
    if np.ptp(differences) <= 1e-12 * max(1.0, abs(mean)):  # every resample is the same
        return mean, mean, mean
    method = "BCa" if len(differences) > 2 else "percentile"  # two values have no skew to correct
    interval = bootstrap(
        (differences,), np.mean, n_resamples=RESAMPLES, confidence_level=level, method=method,
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return mean, float(interval.low), float(interval.high)


def effects_csv(effects: Iterable[Effect]) -> str:
    """Columns: setting, first, second, quantity, kind, unit, effect, low, high, number of seeds."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["setting", "first", "second", "quantity", "kind", "unit", "effect", "low", "high", "seeds"]
    )
    for e in effects:
        numbers = ["" if math.isnan(v) else repr(v) for v in (e.effect, e.low, e.high)]
        writer.writerow([e.group, e.first, e.second, e.quantity, e.compare, e.unit, *numbers, len(e.seeds)])
    return buffer.getvalue()


def effects_text(effects: Sequence[Effect]) -> str:
    """One line per effect, for the terminal."""
    width = max((len(f"{e.quantity}: {e.pair}") for e in effects), default=0)
    lines = []
    for e in effects:
        interval = "one seed" if math.isnan(e.low) else f"{e.low:.3g} to {e.high:.3g}, {len(e.seeds)} seeds"
        lines.append(
            f"{f'{e.quantity}: {e.pair}':{width}}  {e.effect:.3g} {e.unit}".rstrip() + f"  ({interval})"
        )
    return "\n".join(lines)


@styled
def effects_figure(effects: Sequence[Effect], title: str) -> Figure:
    """A panel per quantity: effects as points, intervals as bars, "no effect" as a line."""
    quantities = list(dict.fromkeys((e.quantity, e.compare, e.unit) for e in effects))
    rows = list(dict.fromkeys((e.group, e.first, e.second) for e in effects))
    longest = max(len(e.pair) for e in effects)
    figure = new_figure(1.2 + 0.065 * longest + 2.6 * len(quantities), 1.3 + 0.3 * len(rows))
    figure.suptitle(title)
    panels = figure.subplots(1, len(quantities), squeeze=False, sharey=True)[0]
    for ax, (quantity, compare, unit) in zip(panels, quantities, strict=True):
        _panel(ax, [e for e in effects if e.quantity == quantity], rows, compare)
        kind = "ratio" if compare == "ratio" else "difference"
        ax.set_xlabel(f"{quantity}, {kind}" + f" ({unit})" * bool(unit))
    names = [f"{first} vs {second}" + f" ({group})" * bool(group) for group, first, second in rows]
    panels[0].set_yticks(range(len(rows)), names)
    panels[0].set_ylim(-0.7, len(rows) - 0.3)
    panels[0].invert_yaxis()
    return figure


def _panel(ax: Axes, effects: Sequence[Effect], rows: Sequence[tuple[str, str, str]], compare: str) -> None:
    ax.axvline(1.0 if compare == "ratio" else 0.0, color="black", linewidth=0.9)
    for e in effects:
        place = rows.index((e.group, e.first, e.second))
        if not math.isnan(e.low):
            ax.plot([e.low, e.high], [place, place], color=COLOURS[0], linewidth=2.2)
        ax.plot([e.effect], [place], "o", color=COLOURS[1])
    if compare == "ratio" and max(e.effect for e in effects) > 5 * min(e.effect for e in effects):
        ax.set_xscale("log")
    ax.grid(axis="y", visible=False)
    describe(
        ax, f"Effects with bootstrap intervals over seeds: {'; '.join(effects_text(effects).splitlines())}."
    )
