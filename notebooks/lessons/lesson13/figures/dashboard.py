"""The figures and tables of lesson 13: depth, late labels, the dashboard of a quarter, two policies."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
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
from gantrans.operations.serving.decode import decode
from gantrans.teaching.plots import COLOURS, MARKERS, Table, describe, image_axes, new_figure, styled
from gantrans.teaching.sweeps.tables import Table as SweepTable
from lessons.lesson13.experiments.live_quarter import png_16_bit
from lessons.lesson13.experiments.quarter import (
    NEVER,
    ON_DRIFT,
    ON_LABELS,
    PHASES,
    QuarterSetting,
    Start,
    Story,
    phase_of,
)

WORDS = {"old": "old process", "new": "images changed", "redrawn": "relation changed"}


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
    """A column per phase: an SEM image over its drawing."""
    figure = new_figure(6.6, 4.5)
    axes = figure.subplots(2, len(sets))
    for column, (phase, pairs) in enumerate(sets.items()):
        for row, images in enumerate((pairs.sem, pairs.layout)):
            ax = axes[row, column]
            what = ("SEM image", "drawn layout")[row]
            image_axes(unit_from_uint8(images[image]), f"{WORDS[phase]}: {what}", ax=ax)
            ax.set_title(WORDS[phase] if row == 0 else "")
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
    """Every training of a quarter: day, reason, bound of the gain, verdict, checks that failed."""
    rows = [[str(s.day), s.reason, f"{s.gain:+.3f}", s.verdict, ", ".join(s.failed) or "-"] for s in starts]
    header = ["day", "reason", "lower bound of the gain", "the gate", "failed"]
    return Table(header, rows, "Trainings of the quarter")


@styled
def dashboard_figure(story: Story, statuses: Sequence[Counter[int]], setting: QuarterSetting) -> Figure:
    """The three monitors of a quarter under each other, with changes, trainings and promotions."""
    days = range(len(story.truth))
    figure = new_figure(9.0, 7.4)
    service, inputs, output = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1, 1.5))
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
    inputs.axhline(1, color="#777777", linestyle="--", linewidth=1, label="limit")
    standing = [day for day in days if story.alarm[day]]
    inputs.plot(standing, [0.0] * len(standing), "s", color="black", markersize=3, label="alarm stands")
    inputs.set(ylabel="in units of its limit", title="2  Has the input changed?")
    inputs.set_ylim(-0.1, 1.6)
    words = f"from day {standing[0]} on {len(standing)} days" if standing else "never"
    describe(inputs, f"The alarm stands {words}.")
    output.plot(days, story.truth, color="#bbbbbb", linewidth=1, label="truth (nobody knows)")
    known = [np.nan if q is None else q for q in story.quality]
    output.plot(days, known, color=COLOURS[0], label="labelled predictions of the champion")
    for number, start in enumerate(story.starts):
        promoted = start.verdict == "promote"
        first = next(i for i, s in enumerate(story.starts) if (s.verdict == "promote") == promoted)
        output.plot(
            start.day, 0.27, MARKERS[2 if promoted else 3], color=COLOURS[2 if promoted else 1], markersize=8,
            label=("promoted" if promoted else "trained, not promoted") if number == first else None,
        )  # fmt: skip
    output.set(xlabel="day", ylabel="IoU", title="3  Is the output right?")
    output.set_ylim(0.0, 1.0)
    _describe_output(output, story, setting)
    for ax in (service, inputs, output):
        for change in setting.changes:
            ax.axvline(change, color="#999999", linestyle=":", linewidth=1)
        ax.legend(fontsize=8, ncols=5, loc="upper right" if ax is not output else "lower left")
    return figure


def _describe_output(ax: Axes, story: Story, setting: QuarterSetting) -> None:
    means = []
    for phase in PHASES:
        values = [v for day, v in enumerate(story.truth) if phase_of(day, setting) == phase]
        means.append(f"{WORDS[phase]} {np.mean(values):.3f}")
    days = ", ".join(str(s.day) for s in story.starts if s.verdict == "promote") or "none"
    describe(ax, f"True IoU by phase: {'; '.join(means)}. Promotions on days: {days}.")


def signal(labels: int, delay: int, days: int, change: int, seed: int) -> tuple[Tensor, Tensor]:
    """Simulated IoU of labelled images with the days on which each label arrives, (N,) both.

    Normal with mean .75 before the change and .55 from it on, standard deviation .15.
    """
    generator = torch.Generator().manual_seed(seed)
    made = torch.arange(days).repeat_interleave(labels)
    mean = torch.where(made < change, 0.75, 0.55)
    return mean + 0.15 * torch.randn(len(made), generator=generator), made + delay


@styled
def delay_figure(*, labels: int, delay: int, loss: int, window: int = 20, seed: int = 3) -> Figure:
    """When do labels see a loss? A running mean of the last labels, and the days on which it would start.

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
    figure = new_figure(8.0, 3.2)
    ax = figure.subplots()
    ax.plot(shown, means, color=COLOURS[0], label=f"mean of the last {window} labels")
    ax.axhline(limit, color="#777777", linestyle="--", linewidth=1, label="reference minus the loss")
    ax.axvline(change, color="#999999", linestyle=":", linewidth=1, label="the process changes")
    ax.plot(false, [limit] * len(false), "v", color=COLOURS[1], label="false alarm")
    if true:
        ax.plot(true[0], limit, "o", color="black", label="the loss is seen")
    ax.set(xlabel="day", ylabel="IoU", title=f"{labels} labels a day, {delay} days late")
    ax.set_xlim(0, days)
    ax.set_ylim(0.4, 0.95)
    ax.legend(fontsize=8, ncols=3, loc="upper right")
    seen = f"{true[0] - change} days after the change" if true else "not within the shown days"
    describe(ax, f"The loss is seen {seen}; {len(false)} days with a false alarm.")
    return figure


@styled
def policies_figure(table: SweepTable) -> Figure:
    """Mean IoU of the quarter and of its phases under each policy; seeds are joined by lines."""
    figure = new_figure(9.2, 3.5)
    arms = (NEVER, ON_DRIFT, ON_LABELS)
    parts = ("quarter", *PHASES)
    for ax, part in zip(figure.subplots(1, len(parts), sharey=True), parts, strict=True):
        values = table.values(part, *arms)
        for seed in range(len(table.seeds)):
            ax.plot(range(3), [values[arm][seed] for arm in arms], color="#bbbbbb", linewidth=0.8)
        for place, arm in enumerate(arms):
            ax.plot([place] * len(table.seeds), values[arm], MARKERS[place], color=COLOURS[place], alpha=0.6)
            ax.hlines(np.mean(values[arm]), place - 0.3, place + 0.3, color="black", linewidth=2)
        ax.set_xticks(range(3), ["never", "on\ndrift", "on\nlabels"])
        ax.set_xlim(-0.6, 2.6)
        ax.set_title("whole quarter" if part == "quarter" else WORDS[part], fontsize=10)
        means = "; ".join(f"{arm} {np.mean(values[arm]):.3f}" for arm in arms)
        describe(ax, f"Mean IoU, {'whole quarter' if part == 'quarter' else WORDS[part]}: {means}.")
    figure.axes[0].set_ylabel("mean IoU")
    return figure


def policies_table(table: SweepTable) -> Table:
    """Means over seeds: trainings, promotions, IoU of the quarter."""
    means = table.means(NEVER, ON_DRIFT, ON_LABELS)
    rows = [
        [arm, f"{m['trainings']:.1f}", f"{m['promotions']:.1f}", f"{m['quarter']:.3f}"]
        for arm, m in means.items()
    ]
    return Table(["policy", "trainings", "promotions", "mean IoU"], rows, f"Mean of {len(table.seeds)} seeds")
