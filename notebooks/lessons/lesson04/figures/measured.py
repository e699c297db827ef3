"""The evidence page of lesson 04: the pairs of trainings behind G02, as a figure and as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from gantrans.teaching.plots import Table, bars_with_intervals, metric_table, new_figure, styled
from lessons.lesson04.experiments.skip_levels import REPLACEMENTS
from lessons.lesson04.experiments.skips import ARMS, CONTROL_SEEDS, LONGER, METRICS, WIDER

UNITS = {"EPE": "px", "CD error": "nm"}


@styled
def paired_figure(data: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """A panel per metric with both arms' values, joined by seed: {metric: {arm: values}}; axes from 0."""
    figure = new_figure(3.8 * len(data), 3.3)
    for ax, (metric, groups) in zip(figure.subplots(1, len(data)), data.items(), strict=True):
        bars_with_intervals(groups, quantity=metric, unit=UNITS.get(metric, ""), ax=ax)
        ax.set_ylim(0, 1 if metric == "IoU" else None)
    return figure


def paired_data(record: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """The values of G02's two arms by metric, as the ledger has them."""
    return {metric: dict(record["parts"][metric]["data"]) for metric in ("IoU", "EPE")}


def sweep_table(record: Mapping[str, Any]) -> Table:
    """The committed sweep of G02: every arm, controls included, by metric."""
    numbers = record["numbers"]
    rows = {arm: {m: numbers[f"{arm} {m}"] for m in METRICS} for arm in (*ARMS, WIDER, LONGER)}
    seeds = f"{len(record['seeds'])} seeds ({len(CONTROL_SEEDS)} for wider and longer)"
    return metric_table(rows, units=UNITS, caption=f"Means over {seeds}, scale {record['scale']}")


def levels_table(record: Mapping[str, Any], names: Sequence[str]) -> Table:
    """IoU lost when one of the decoder's maps is replaced, means over the seeds' networks."""
    numbers = record["numbers"]
    rows = {name: {by: numbers[f"{by} {name}"] for by in REPLACEMENTS} for name in names}
    return metric_table(rows, caption="IoU lost, by the map that is replaced and what replaces it")
