"""The figures of lesson 11, second half: monitors over time, the stream player, alarms against quality."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gantrans.operations.drift.charts import ChartConfig, SequentialTest
from gantrans.operations.drift.detector import Alarm
from gantrans.operations.drift.profile import Measured
from gantrans.teaching.plots import (
    COLOURS,
    Table,
    bars_with_intervals,
    describe,
    image_axes,
    new_figure,
    styled,
)
from gantrans.teaching.plots.style import LINES
from gantrans.teaching.sweeps.tables import Table as SweepTable
from lessons.lesson11.experiments import drift, drift_quality
from lessons.lesson11.experiments.drift_quality import MARGIN, RAMP_DAYS, REVIEWED, Course
from lessons.lesson11.experiments.drift_streams import DRIFTS, LOT, measured_stream, stream

CUT = 4.0
"""Curves of values over their limits end here; what lies beyond is drawn at the edge with an open symbol."""
REVIEWED_LABEL = f"{REVIEWED} reviewed, 2 s.e."
CHART, WINDOW = "chart: largest of 20 sums", "window score: largest of 10"
PLAYED = ("none", "brightness", "blur", "noise", "rotation", "bridges")
"""Drifts of the stream player."""
_PLAYER_SEED = 5_000_000


class Trace(NamedTuple):
    """Levels 1 to 3 along a stream, over their limits: (image, value) each; and the alarms.

    outliers: flags per window over the reference's worst chunk. windows: score over the threshold. chart:
    statistic over the limit.
    """

    outliers: tuple[list[int], list[float]]
    windows: tuple[list[int], list[float]]
    chart: tuple[list[int], list[float]]
    alarms: tuple[Alarm, ...]


def trace(of: drift.Line, measured: Measured) -> Trace:
    """Follow a stream: what each level says, as a multiple of what it would call strange."""
    detector = of.fresh()
    window, block = detector.config.window, detector.chart.config.block
    flags = detector.profile.judge(measured).flagged
    ends = list(range(window, len(flags) + 1, window))
    outliers = [float(flags[e - window : e].sum()) / (of.most_flags + 0.5) for e in ends]
    scores = [
        detector.windows.judge(measured.features[e - window : e]).score / detector.windows.threshold
        for e in ends
    ]
    chart, blocks = chart_path(detector.chart, measured), list(range(block, len(flags) + 1, block))
    return Trace((ends, outliers), (ends, scores), (blocks, chart), detector.update(measured).alarms)


def chart_path(test: SequentialTest, measured: Measured) -> list[float]:
    """The statistic over its limit after every block, never set back to rest."""
    state, path = test.start(), []
    for block in measured.features.split(test.config.block):
        if len(block) == test.config.block:
            state.values = test.advance(state, block)
            path.append(test.statistic(state.values) / test.limit)
    return path


@lru_cache(maxsize=32)
def _played(name: str, ramp: int, images: int, scale: str, seed: int) -> Trace:
    size = drift.SETTINGS[scale].size
    measured = measured_stream(name, images, _PLAYER_SEED + seed, ramp=ramp, size=size)
    return trace(drift.line(scale, seed), measured)


@styled
def player_figure(name: str, ramp: int, seen: int, *, images: int, scale: str, seed: int) -> Figure:
    """The stream player: the newest image, and what the three levels have said up to it.

    Args:
        name: a drift of `PLAYED`.
        ramp: images until the drift has its stated size; 0 is a step.
        seen: images that have come so far, in percent of `images`.
    """
    now = max(LOT, round(seen / 100 * images / LOT) * LOT)
    whole = _played(name, ramp, images, scale, seed)
    figure = new_figure(9.4, 2.9)
    left, right = figure.subplots(1, 2, width_ratios=(1, 2.9))
    last = stream(name, LOT, _PLAYER_SEED + seed, start=now - LOT, ramp=ramp, size=drift.SETTINGS[scale].size)
    reached = "in control" if name == "none" else f"{last.progress[-1]:.0%} of {DRIFTS[name].size}"
    image_axes(last.sem[-1], f"image {now}\n{reached}", ax=left)
    _timeline(right, whole, now, images)
    return figure


def _timeline(ax: Axes, whole: Trace, now: int, images: int) -> None:
    series = {"1 flags per window": whole.outliers, f"2 {WINDOW}": whole.windows, f"3 {CHART}": whole.chart}
    words = []
    for i, (label, (at, values)) in enumerate(series.items()):
        kept = [(x, v) for x, v in zip(at, values, strict=True) if x <= now]
        _cut_line(ax, [k[0] for k in kept], [k[1] for k in kept], i, label)
        words.append(f"{label} {kept[-1][1]:.2f}" if kept else f"{label}: insufficient data")
    ax.axhline(1, color="black", linewidth=1, linestyle="--")
    raised = [a for a in whole.alarms if a.image <= now]
    for level, colour, height in (("windows", COLOURS[1], 5.1), ("chart", COLOURS[2], 4.6)):
        at = [a.image for a in raised if a.level == level]
        if at:
            ax.plot(at, [height] * len(at), "v", color=colour, markersize=6, clip_on=False)
    if raised:
        ax.text(raised[0].image - 0.015 * images, 4.85, "alarms", ha="right", va="center", fontsize=8.5)
    ax.set(
        xlim=(0, images), ylim=(0, 5.4), xlabel="images seen", ylabel=f"value / limit, to {CUT:g}",
        yticks=range(5), title=f"first alarm at image {raised[0].image}" if raised else "no alarm",
    )  # fmt: skip
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    first = f"first alarm at image {raised[0].image} ({raised[0].level})" if raised else "no alarm"
    describe(
        ax, f"After {now} of {images} images, as multiples of their limits: {', '.join(words)}; {first}."
    )


def _cut_line(ax: Axes, at: Sequence[int], values: Sequence[float], i: int, label: str) -> None:
    """A curve that ends at `CUT`; what is cut has open symbols there."""
    size = (4.0, 4.5, 3.5)[i]
    ax.plot(
        at, np.minimum(values, CUT), linestyle=LINES[i], marker="os^"[i], markersize=size, color=COLOURS[i],
        label=label,
    )  # fmt: skip
    beyond = [x for x, v in zip(at, values, strict=True) if v > CUT]
    if beyond:
        ax.plot(
            beyond, [CUT] * len(beyond), "os^"[i], markersize=size, color=COLOURS[i], markerfacecolor="white",
            zorder=3,
        )  # fmt: skip


@styled
def charts_figure(of: drift.Line, streams: Mapping[str, Measured]) -> Figure:
    """CUSUM and EWMA beside the window score, as multiples of their limits, on slow streams."""
    run_length = of.fitted.chart.config.run_length
    ewma = SequentialTest.fit(of.reference.features, ChartConfig("ewma", run_length=run_length))
    figure = new_figure(9.4, 3.2)
    panels = figure.subplots(1, len(streams), sharey=True, squeeze=False)[0]
    for ax, (name, measured) in zip(panels, streams.items(), strict=True):
        seen = trace(of, measured)
        series = {"CUSUM": seen.chart, "window score": seen.windows}
        series["EWMA"] = (seen.chart[0], chart_path(ewma, measured))
        crossing = {}
        for i, (label, (at, values)) in enumerate(series.items()):
            _cut_line(ax, at, values, i, label)
            crossing[label] = next((x for x, v in zip(at, values, strict=True) if v > 1), None)
        ax.axhline(1, color="black", linewidth=1)
        ax.set(title=name, xlabel="images seen", ylim=(0, CUT + 0.3))
        words = ", ".join(f"{k} first at {v}" if v else f"{k} never" for k, v in crossing.items())
        describe(ax, f"{name}, beyond the limit: {words}.")
    panels[0].set_ylabel(f"value / limit, to {CUT:g}")
    panels[0].legend(loc="upper left")
    return figure


@styled
def quality_figure(courses: Mapping[str, Course], in_control: float) -> Figure:
    """IoU by day, of all images and of reviewed ones; days of the alarm, of the loss and of finding it."""
    figure = new_figure(9.4, 5.2)
    axes = figure.subplots(2, 3, sharey=True).ravel()
    for ax, (part, course) in zip(axes, courses.items(), strict=False):
        days = np.arange(1, len(course.iou) + 1)
        iou, error = np.array(course.iou), np.array(course.error)
        ax.fill_between(days, iou - 2 * error, iou + 2 * error, color=COLOURS[3], alpha=0.4, linewidth=0)
        ax.plot(days, iou, marker="o", markersize=2.5, linewidth=0.8, color=COLOURS[3], label=REVIEWED_LABEL)
        ax.plot(days, in_control - np.array(course.cost), color=COLOURS[0], label="all images, by the truth")
        ax.axhline(in_control - MARGIN, color=COLOURS[5], linewidth=1, label=f"{MARGIN:g} below in control")
        marks = {
            "alarm": (course.alarm, COLOURS[2], "-"),
            "quality lost": (course.lost, COLOURS[1], "--"),
            "loss found by labels": (course.found, COLOURS[1], ":"),
        }
        for label, (day, colour, style) in marks.items():
            if day is not None:
                ax.axvline(day, color=colour, linestyle=style, label=label)
        alarm, lost, found = (f"day {d}" if d else "never" for d in (course.alarm, course.lost, course.found))
        ticks = [d for d in (1, 5, 10, 15, 20) if d <= len(days)]
        ax.set_xticks(ticks, [f"{d}\n{d / RAMP_DAYS:g}" for d in ticks])
        ax.set(title=part, xlabel="day, and size of the drift" if ax in axes[3:] else "")
        ax.set_xlim(0.5, len(days) + 0.5)
        words = f"{part}: IoU from {iou[0]:.2f} to {iou[-1]:.2f}; alarm {alarm}, quality lost {lost}"
        describe(ax, f"{words}, found by labels {found}.")
    for ax in (axes[0], axes[3]):
        ax.set_ylabel("IoU with the layout")
    handles = {
        label: handle
        for ax in axes[: len(courses)]
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    for ax in axes[len(courses) :]:
        ax.set_axis_off()
    axes[-1].legend(list(handles.values()), list(handles), loc="center", fontsize=9.5)
    return figure


@styled
def lead_figure(record: Mapping[str, Any]) -> Axes:
    """The data of claim G36 in the ledger: days from the alarm to the loss of quality."""
    leads: dict[str, Sequence[float]] = {
        name.replace("SEM-layout ", "SEM-layout\n"): part["data"] for name, part in record["parts"].items()
    }
    ax = bars_with_intervals(leads, quantity="alarm before the loss", unit="days", paired=False)
    ax.axhline(0, color="black", linewidth=0.8)
    return ax


def pooled_table(table: SweepTable) -> Table:
    """When the alarm came, when labels found the loss, and since when the IoU of all lines is lower."""

    def day(value: float | None) -> str:
        return "never" if value is None else f"{value:.1f}"

    rows = []
    for part, found in drift_quality.pooled(table).items():
        leads = [
            "" if last is None or found.alarm is None else f"{last - found.alarm:.1f}"
            for last in (found.found, found.lost)
        ]
        rows.append([part, day(found.alarm), day(found.found), day(found.lost), *leads])
    header = ["drift", "alarm, day", "labels find the loss", f"{MARGIN:g} of IoU lost, all lines"]
    header += ["alarm before labels (days)", "alarm before the loss (days)"]
    return Table(header, rows, f"Means over {len(table.seeds)} lines; 40 reviewed images a day and line")


def follow_all(scale: str, seed: int) -> tuple[dict[str, Course], float]:
    """Every part of claim G36 on one line of production, and the IoU in control."""
    courses = {part: drift_quality.follow(part, scale, seed) for part in drift_quality.PARTS}
    return courses, drift_quality.usual_iou(scale, seed)
