"""Lesson 11, claim G36: does the alarm come before quality is lost?

A day is 200 images, one window. A drift begins on the first day, reaches its stated size after five days and
goes on at that pace. The simulator makes the same images without the drift too, and knows every layout: what
a day costs is the mean IoU of all its 200 images without the drift minus that with it. Quality is lost on the
first of two days in a row that cost at least 0.05. In production nobody knows that. There 40 images a day are
reviewed, and the loss is found on the second of two days in a row whose mean IoU is significantly below that
of the days in control (one-sided Welch test at 1 %): a weak test, which comes days later. An alarm counts on
the day it is raised. What has not happened by the last day is taken to happen on the day after it, which
understates a lead.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from scipy import stats
from torch import Tensor

from gantrans.metrics import iou
from gantrans.operations.drift.profile import Measured, measure
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from gantrans.translation import Predictor
from lessons.lesson00.experiments.first_translator import first_recipe, train_first
from lessons.lesson11.experiments import drift
from lessons.lesson11.experiments.drift_streams import PIXEL_NM, stream

DAY, REVIEWED, RAMP_DAYS = 200, 40, 5
PARTS: Mapping[str, str] = {
    "intensity": "brightness",
    "noise": "noise",
    "blur": "blur",
    "pitch": "shrink",
    "SEM-layout relation": "relation",
}
"""Part of claim G36: the drift of `drift_streams` that decides it."""
NEVER_LOST = "intensity"
LEVEL = 0.01
"""Of the test by which reviewed images find a loss."""
MARGIN = 0.05
"""Quality is lost where a day's images have so much less IoU than they would have without the drift."""
_SEED = 3_000_000


@dataclass(frozen=True)
class QualitySetting:
    """Sizes at one scale: days of a stream, and reviewed images in control."""

    days: int
    in_control: int


SETTINGS: Mapping[str, QualitySetting] = {
    "smoke": QualitySetting(3, 50),
    "reduced": QualitySetting(20, 400),
    "full": QualitySetting(20, 400),
}
SEEDS: Mapping[str, Sequence[int]] = {"smoke": range(2), "reduced": range(20, 32), "full": range(20, 32)}
"""Lines of production. Lines 0 to 5 were looked at before the rule was written."""


class Course(NamedTuple):
    """What became of one stream, day by day.

    iou, error: mean IoU of the reviewed images and its standard error. cost: IoU lost by all images of the
    day, by the simulator's truth. lost: the day from which quality is lost. found: the day on which the
    reviewed images show it. alarm: the day of the first alarm. Days count from 1; None is never.
    """

    iou: list[float]
    error: list[float]
    cost: list[float]
    lost: int | None
    found: int | None
    alarm: int | None


def reviewed_iou(predictor: Predictor, sem: Tensor, layout: Tensor) -> Tensor:
    """IoU of the translated images with their drawn layouts, (N,)."""
    return iou(predictor.translate(sem), layout)


@lru_cache(maxsize=1)
def translator(scale: str) -> Predictor:
    """Lesson 00's translator: one for all lines, because streams are what is repeated."""
    return train_first(scale, 0).predictor


@lru_cache(maxsize=4)
def _in_control(scale: str, seed: int) -> Tensor:
    size = drift.SETTINGS[scale].size
    piece = stream("none", SETTINGS[scale].in_control, _SEED + 500_000 + seed, size=size)
    return reviewed_iou(translator(scale), piece.sem, piece.layout)


def usual_iou(scale: str, seed: int) -> float:
    """Mean IoU of reviewed images in control."""
    return float(_in_control(scale, seed).mean())


@lru_cache(maxsize=2)
def _without_drift(scale: str, seed: int) -> Tensor:
    """IoU of the images of every day as they are without a drift, (days, 200)."""
    days = range(SETTINGS[scale].days)
    pieces = [
        stream("none", DAY, _SEED + seed, start=day * DAY, size=drift.SETTINGS[scale].size) for day in days
    ]
    return torch.stack([reviewed_iou(translator(scale), piece.sem, piece.layout) for piece in pieces])


def lost_day(cost: Sequence[float], margin: float = MARGIN) -> int | None:
    """The first of the first two days in a row (from 1) that cost at least `margin`."""
    return next((i + 1 for i in range(len(cost) - 1) if min(cost[i], cost[i + 1]) >= margin), None)


def found_day(days: Sequence[Tensor], in_control: Tensor) -> int | None:
    """The second of the first two days in a row (from 1) that are significantly worse than in control."""
    worse = [
        float(stats.ttest_ind(day.numpy(), in_control.numpy(), equal_var=False, alternative="less").pvalue)
        < LEVEL
        for day in days
    ]
    return next((i + 1 for i in range(1, len(worse)) if worse[i] and worse[i - 1]), None)


def follow(part: str, scale: str, seed: int) -> Course:
    """One stream through monitors and translator."""
    of, predictor, usual = drift.line(scale, seed), translator(scale), _without_drift(scale, seed)
    how: dict[str, Any] = {"ramp": RAMP_DAYS * DAY, "most": math.inf, "size": drift.SETTINGS[scale].size}
    days, parts = [], []
    for day in range(SETTINGS[scale].days):
        piece = stream(PARTS[part], DAY, _SEED + seed, start=day * DAY, **how)
        days.append(reviewed_iou(predictor, piece.sem, piece.layout))
        parts.append(measure(piece.sem, PIXEL_NM))
    measured = Measured(*(torch.cat(p) for p in zip(*parts, strict=True)))
    alarms = of.fresh().update(measured).alarms
    reviewed = [day[:: DAY // REVIEWED] for day in days]
    cost = [float((before - day).mean()) for before, day in zip(usual, days, strict=True)]
    return Course(
        [float(d.mean()) for d in reviewed],
        [float(d.std()) / math.sqrt(len(d)) for d in reviewed],
        cost,
        lost_day(cost),
        found_day(reviewed, _in_control(scale, seed)),
        math.ceil(alarms[0].image / DAY) if alarms else None,
    )


def score(course: Course, in_control: float) -> dict[str, float]:
    """Days of loss, of finding it and of the alarm (the day after the last, if they did not come), leads over
    both, and IoU and cost day by day."""
    after = len(course.iou) + 1
    lost, found, alarm = (day or after for day in (course.lost, course.found, course.alarm))
    numbers = {"loss day": float(lost), "found day": float(found), "alarm day": float(alarm)}
    numbers |= {"lead": float(lost - alarm), "before it is found": float(found - alarm)}
    numbers |= {"lost": float(course.lost is not None), "alarmed": float(course.alarm is not None)}
    numbers |= {f"IoU, day {i + 1}": value for i, value in enumerate(course.iou)}
    numbers |= {f"cost, day {i + 1}": value for i, value in enumerate(course.cost)}
    return {"IoU in control": in_control, **numbers}


def run_seed(seed: int, scale: str, parts: Sequence[str] = tuple(PARTS)) -> dict[str, dict[str, float]]:
    """One line of production, its own reference and streams: every part, {part: {quantity: value}}."""
    usual = usual_iou(scale, seed)
    return {part: score(follow(part, scale, seed), usual) for part in parts}


class Pooled(NamedTuple):
    """A drift over all lines of a table: mean days of the alarm and of finding the loss, and the day from
    which the images of all lines together have lost `MARGIN`; None is never."""

    alarm: float | None
    found: float | None
    lost: int | None


def pooled(table: Table) -> dict[str, Pooled]:
    """Every part over all lines, by the simulator's truth."""
    means, rows = table.means(*PARTS), {}
    for part, row in means.items():
        days = [name for name in row if name.startswith("cost, day ")]
        cost = [row[name] for name in days]
        never = len(days) + 1
        alarm, found = (day if day < never else None for day in (row["alarm day"], row["found day"]))
        rows[part] = Pooled(alarm, found, lost_day(cost))
    return rows


def judged(table: Table) -> dict[str, Any]:
    """The data of claim G36, days from the alarm to the loss of quality; means as numbers.

    Where quality was never lost, as under a change of intensity, there is no lead to judge; it is a number.
    """
    quantities = (
        "loss day",
        "found day",
        "alarm day",
        "before it is found",
        "lost",
        "alarmed",
        "IoU in control",
    )
    means = table.means(*PARTS)
    numbers = {f"{part}: {q}": means[part][q] for part in PARTS for q in quantities}
    numbers |= {f"{part}: lead": means[part]["lead"] for part in PARTS}
    judged_parts = [part for part in PARTS if part != NEVER_LOST]
    return {"data": table.values("lead", *judged_parts), "numbers": numbers}


SWEEP = Sweep(
    "drift_quality",
    run_seed,
    SEEDS,
    lambda scale: [
        SETTINGS[scale],
        first_recipe(scale, 0),
        drift.monitors(scale),
        DAY,
        REVIEWED,
        RAMP_DAYS,
        MARGIN,
    ],
    {"G36": judged},
)
