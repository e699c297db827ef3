"""The figures and tables of lesson 13: depth, late labels, the dashboard of a quarter, two policies."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from gantrans.data import PairedDataset
from gantrans.errors import DataError
from gantrans.images import unit_from_uint8
from gantrans.operations.promotion.triggers import ChartRule, QualityChart
from gantrans.operations.serving.decode import decode
from gantrans.teaching.plots import COLOURS, MARKERS, Table, describe, image_axes, new_figure, styled
from gantrans.teaching.sweeps.tables import Table as SweepTable
from lessons.lesson13.experiments.live_quarter import png_16_bit
from lessons.lesson13.experiments.loop import Start, Story
from lessons.lesson13.experiments.person import RETIRE, ROLL_BACK, Note
from lessons.lesson13.experiments.quarter import ARMS, NEVER, ON_LABELS, ORACLE, named, recovered
from lessons.lesson13.experiments.quarter_setting import KEPT, LOST, PARTS, QuarterSetting, part_of

WORDS = {"before": "old process", "images": "images changed", "relation": "relation changed"}
SHORT = ("never", "on\ndrift", "on\nlabels", "oracle")


def through_pillow(data: bytes) -> Tensor:
    """What the obvious line makes of a file: `Image.open(...).convert("L")`; (1, H, W) in [0, 1]."""
    with Image.open(io.BytesIO(data)) as image:
        return unit_from_uint8(torch.from_numpy(np.array(image.convert("L"))))[None]


@styled
def depth_figure(image: Tensor) -> Figure:
    """One scene in a 16-bit file and in one of 12 used bits, read by Pillow's conversion and by `decode`."""
    full, camera = png_16_bit(image), png_16_bit(image, bits=12)
    pictures = {
        "the scene": image,
        '16 bits, convert("L")': through_pillow(full),
        "16 bits, decode": decode(full),
        "12 bits, decode(bits=16)": decode(camera, bits=16),
        "12 bits, decode(bits=12)": decode(camera, bits=12),
    }
    figure = new_figure(10.4, 2.5)
    for ax, (title, picture) in zip(figure.subplots(1, len(pictures)), pictures.items(), strict=True):
        image_axes(picture, f"{title}: mean {float(picture.mean()):.2f}", ax=ax)
        ax.set_title(f"{title}\nmean {float(picture.mean()):.2f}", fontsize=9)
    return figure


def refusal(data: bytes, **how: Any) -> str:
    """Why `decode` refuses; a word of acceptance if it does not."""
    try:
        return f"accepted, mean {float(decode(data, **how).mean()):.2f}"
    except DataError as error:
        return str(error)


@styled
def phases_figure(sets: Mapping[str, PairedDataset], image: int = 0) -> Figure:
    """A column per phase, in the order of the quarter: an SEM image over its drawing."""
    figure = new_figure(6.6, 4.5)
    axes = figure.subplots(2, len(sets))
    for column, (part, pairs) in enumerate(zip(PARTS, sets.values(), strict=True)):
        for row, images in enumerate((pairs.sem, pairs.layout)):
            ax = axes[row, column]
            what = ("SEM image", "drawn layout")[row]
            image_axes(unit_from_uint8(images[image]), f"{WORDS[part]}: {what}", ax=ax)
            ax.set_title(WORDS[part] if row == 0 else "")
            if column == 0:
                ax.set_ylabel(what)
    return figure


def credit_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The third monitor: quality by version, with coverage."""
    cells = []
    for row in rows:
        quality = row["iou"]["mean"]
        shown = "-" if quality is None else f"{quality:.3f}"
        cells.append(
            [row["model"], str(row["predictions"]), str(row["labelled"]), f"{row['coverage']:.0%}", shown]
        )
    return Table(["version", "predictions", "labelled", "coverage", "IoU"], cells, "Quality by version")


def starts_table(starts: Sequence[Start]) -> Table:
    """Every training of a quarter: day, reason, pairs, bound of the gain, verdict, checks that failed."""
    rows = [
        [
            str(s.day), s.reason, f"{s.pairs[0]} / {s.pairs[1]}", f"{s.gain:+.3f}", s.verdict,
            ", ".join(s.failed) or "-",
        ]
        for s in starts
    ]  # fmt: skip
    header = ["day", "reason", "taught / judged", "lower bound of the gain", "the gate", "failed"]
    return Table(header, rows, "Trainings of the quarter")


def notes_table(notes: Sequence[Note]) -> Table:
    """What a person decided in the quarter, and why."""
    rows = [[str(n.day), n.action, n.why] for n in notes]
    return Table(["day", "decision", "why"], rows, "Decisions of a person")


@styled
def dashboard_figure(
    story: Story, statuses: Sequence[Counter[int]], setting: QuarterSetting, best: Story | None = None
) -> Figure:
    """The three monitors of a quarter under each other, with changes, trainings and decisions.

    `best` is the oracle's quarter; its mean in each phase is drawn.
    """
    days = range(len(story.truth))
    figure = new_figure(9.0, 8.2)
    service, inputs, output = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1, 2))
    answered = [day[200] for day in statuses]
    refused = [sum(n for status, n in day.items() if 400 <= status < 500) for day in statuses]
    failed = [sum(n for status, n in day.items() if status >= 500) for day in statuses]
    service.step(days, answered, where="mid", color=COLOURS[0], label="answered")
    service.step(days, refused, where="mid", color=COLOURS[1], label="refused (4xx)")
    service.step(days, failed, where="mid", color="black", linestyle=":", label="failed (5xx)")
    service.set(ylabel="requests per day", title="1  Is the service up?")
    service.set_ylim(-1, 1.45 * max(answered))
    describe(service, f"{sum(answered)} answered, {sum(refused)} refused, {sum(failed)} failed.")
    inputs.plot(days, story.chart, color=COLOURS[2], label="chart of the inputs")
    fall = [np.nan if level is None else level for level in story.fall]
    inputs.plot(days, fall, color=COLOURS[0], label="chart of labelled quality")
    inputs.axhline(1, color="#777777", linestyle="--", linewidth=1, label="limit of both")
    standing = [day for day in days if story.alarm[day]]
    inputs.plot(standing, [0.0] * len(standing), "s", color="black", markersize=3, label="input alarm stands")
    inputs.set(ylabel="in units of its limit", title="2  Has the input changed, and has quality fallen?")
    inputs.set_ylim(-0.1, 2.4)
    words = f"from day {standing[0]} on {len(standing)} days" if standing else "never"
    describe(inputs, f"The alarm of the inputs stands {words}.")
    _draw_output(output, story, setting, best)
    for ax in (service, inputs, output):
        for change in setting.changes:
            ax.axvline(change, color="#999999", linestyle=":", linewidth=1)
        ax.legend(fontsize=8, ncols=4, loc="upper right" if ax is not output else "lower left")
    return figure


def _draw_output(ax: Axes, story: Story, setting: QuarterSetting, best: Story | None) -> None:
    days = range(len(story.truth))
    parts = [part_of(day, setting) for day in days]
    ax.plot(days, story.truth, color="#bbbbbb", linewidth=1, label="truth (nobody knows)")
    known = [np.nan if q is None else q for q in story.quality]
    ax.plot(days, known, color=COLOURS[0], label="labelled predictions of the champion")
    means = {}
    for part in PARTS:
        inside = [day for day in days if parts[day] == part]
        means[part] = f"{WORDS[part]} {np.mean([story.truth[d] for d in inside]):.3f}"
        if best is not None:
            level = float(np.mean([best.truth[d] for d in inside]))
            first = "oracle" if part == PARTS[0] else ""
            ax.hlines(level, inside[0], inside[-1], color="black", linestyle="--", linewidth=1, label=first)
            means[part] += f" (oracle {level:.3f})"
    marks = {
        "promoted": ([s.day for s in story.starts if s.verdict == "promote"], MARKERS[2], COLOURS[2]),
        "trained, not promoted": ([s.day for s in story.starts if s.verdict != "promote"], "x", COLOURS[1]),
        "regime retired": ([n.day for n in story.notes if n.action == RETIRE], "|", "black"),
        "rolled back": ([n.day for n in story.notes if n.action == ROLL_BACK], "<", "black"),
    }
    for label, (at, marker, colour) in marks.items():
        if at:
            ax.plot(at, [0.34] * len(at), marker, color=colour, markersize=8, linestyle="none", label=label)
    ax.set(xlabel="day", ylabel="IoU", title="3  Is the output right?")
    ax.set_ylim(0.0, 1.0)
    said = "; ".join(f"{label} on days {_days(at)}" for label, (at, _, _) in marks.items())
    describe(ax, f"True IoU by phase: {'; '.join(means.values())}. {said}.")


def _days(days: Sequence[int]) -> str:
    return ", ".join(str(day) for day in days) or "none"


def signal(labels: int, delay: int, days: int, change: int, seed: int) -> tuple[Tensor, Tensor]:
    """Simulated IoU of labelled images with the days on which each label arrives, (N,) both.

    Normal with mean .75 before the change and .55 from it on, standard deviation .15.
    """
    generator = torch.Generator().manual_seed(seed)
    made = torch.arange(days).repeat_interleave(labels)
    mean = torch.where(made < change, 0.75, 0.55)
    return mean + 0.15 * torch.randn(len(made), generator=generator), made + delay


RUNS = 200
"""Simulated runs behind the rates of false alarms."""
REFERENCE = 96
"""Labels behind the reference of the chart, as in the quarter."""


@lru_cache(maxsize=64)
def false_shares(labels: int, loss: int, window: int = 20, days: int = 30) -> tuple[float, float]:
    """Share of `RUNS` simulated months of unchanged quality in which each rule alarms: (mean, chart)."""
    by_mean = by_chart = 0
    for seed in range(1000, 1000 + RUNS):
        values = signal(labels, 0, days, days, seed)[0]
        sums = torch.cat([torch.zeros(1), values.cumsum(0)])
        means = (sums[window:] - sums[:-window]) / window if len(values) >= window else torch.ones(1)
        at_days = means[:: max(1, labels)]  # it is looked at once a day
        by_mean += bool((at_days < 0.75 - loss / 100).any())
        by_chart += quality_chart(seed % 8).read(values.tolist()).alarm is not None
    return by_mean / RUNS, by_chart / RUNS


@lru_cache(maxsize=16)
def quality_chart(seed: int) -> QualityChart:
    """A chart set for 5 % of months of 360 labels, on a reference of its own."""
    return QualityChart.fit(signal(REFERENCE, 0, 1, 1, 5000 + seed)[0].tolist(), ChartRule())


@styled
def delay_figure(*, labels: int, delay: int, loss: int, window: int = 20, seed: int = 3) -> Figure:
    """When do labels see a loss? Two rules: the mean of the last labels, and a chart with a stated rate.

    The rates of false alarms are counted over `RUNS` simulated months without a loss, since one run, like the
    one that is drawn, may have none by luck.

    Args:
        labels: per day. delay: days until a label comes.
        loss: fall below the reference that counts, in hundredths of IoU. window: labels in the mean.
    """
    days, change = 60, 30
    values, arrives = signal(labels, delay, days, change, seed)
    shown, means = [], []
    for day in range(days):
        there = values[arrives <= day]
        if len(there) >= window:
            shown.append(day)
            means.append(float(there[-window:].mean()))
    limit = 0.75 - loss / 100
    low = [day for day, mean in zip(shown, means, strict=True) if mean < limit]
    false, true = [d for d in low if d < change], [d for d in low if d >= change + delay]
    after = values[change * labels :]
    alarm = quality_chart(0).read(after.tolist()).alarm
    rates = false_shares(labels, loss)
    figure = new_figure(8.0, 3.4)
    ax = figure.subplots()
    ax.plot(shown, means, color=COLOURS[0], label=f"mean of the last {window} labels")
    ax.axhline(limit, color="#777777", linestyle="--", linewidth=1, label="reference minus the loss")
    ax.axvline(change, color="#999999", linestyle=":", linewidth=1, label="the process changes")
    ax.plot(false, [limit] * len(false), "v", color=COLOURS[1], label="false alarm")
    if true:
        ax.plot(true[0], limit, "o", color="black", label="the mean shows the loss")
    seen = change + alarm // labels + delay if alarm is not None else None
    if seen is not None and seen < days:
        ax.plot(seen, 0.45, "s", color=COLOURS[2], label="the chart shows it")
    by_mean, by_chart = (f"{100 * rate:.0f} %" for rate in rates)
    title = f"{labels} labels a day, {delay} days late\nquiet months with a false alarm: mean {by_mean}"
    ax.set(xlabel="day", ylabel="IoU", title=f"{title}, chart {by_chart}")
    ax.set_xlim(0, days)
    ax.set_ylim(0.4, 1.0)
    ax.legend(fontsize=8, ncols=3, loc="upper right")
    words = f"{true[0] - change} days after the change" if true else "not within the shown days"
    charted = f"{seen - change} days after it" if seen is not None and seen < days else "not within them"
    describe(
        ax,
        f"By the mean the loss is seen {words}, by the chart {charted}. Of {RUNS} quiet months, "
        f"{by_mean} have a false alarm of the mean and {by_chart} one of the chart.",
    )
    return figure


@styled
def policies_figure(table: SweepTable) -> Figure:
    """Mean IoU of the quarter and of its phases under each arm; seeds are joined by lines."""
    figure = new_figure(10.4, 3.5)
    parts = ("quarter", *PARTS)
    for ax, part in zip(figure.subplots(1, len(parts), sharey=True), parts, strict=True):
        values = table.values(part, *ARMS)
        for seed in range(len(table.seeds)):
            ax.plot(range(4), [values[arm][seed] for arm in ARMS], color="#bbbbbb", linewidth=0.8)
        for place, arm in enumerate(ARMS):
            ax.plot([place] * len(table.seeds), values[arm], MARKERS[place], color=COLOURS[place], alpha=0.6)
            ax.hlines(np.mean(values[arm]), place - 0.3, place + 0.3, color="black", linewidth=2)
        ax.set_xticks(range(4), SHORT)
        ax.set_xlim(-0.6, 3.6)
        ax.set_title("whole quarter" if part == "quarter" else WORDS[part], fontsize=10)
        means = "; ".join(f"{arm} {np.mean(values[arm]):.3f}" for arm in ARMS)
        describe(ax, f"Mean IoU, {'whole quarter' if part == 'quarter' else WORDS[part]}: {means}.")
    figure.axes[0].set_ylabel("mean IoU")
    return figure


def policies_table(table: SweepTable) -> Table:
    """Means over seeds: trainings, promotions, IoU of the quarter."""
    means = table.means(*ARMS)
    rows = [
        [arm, f"{m['trainings']:.1f}", f"{m['promotions']:.1f}", f"{m['quarter']:.3f}"]
        for arm, m in means.items()
    ]
    return Table(["policy", "trainings", "promotions", "mean IoU"], rows, f"Mean of {len(table.seeds)} seeds")


def recovery_table(table: SweepTable) -> Table:
    """IoU in the last ten days of a phase, and the share of the oracle's gain that the loop has back."""
    rows = []
    for scenario, name in ((KEPT, ""), (LOST, ", information lost")):
        for part in PARTS[1:]:
            arms = [named(arm, scenario) for arm in (NEVER, ON_LABELS, ORACLE)]
            levels = [f"{m[f'{part}, end']:.3f}" for m in table.means(*arms).values()]
            rows.append([WORDS[part] + name, *levels, f"{np.mean(recovered(table, part, scenario)):.0%}"])
    header = ["change", "never train", "the loop", "oracle", "share recovered"]
    return Table(header, rows, f"The last ten days of each phase, mean of {len(table.seeds)} seeds")
