"""Lesson 11, claim G22: which drifts does the article's rule see, and which do windows and charts see?

A seed is a line of production: its own reference of 8,000 in-control images, and streams of every kind of
drift, five of each that the claim names. All levels watch the same streams.

When does a rule for single images raise an alarm? If one flagged image is an alarm, it alarms in every stream
of a thousand, in control or not. So its flags are counted per window, and an alarm is what it is for level 2:
two windows in a row with more flags than any of the reference's 40 chunks had. Rule and windows then have the
same rate of false alarms, and differ in what they look at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from gantrans.operations.drift.charts import ChartConfig
from gantrans.operations.drift.detector import DriftConfig, DriftDetector
from gantrans.operations.drift.profile import Measured
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from lessons.lesson11.experiments.drift_streams import measured_stream


@dataclass(frozen=True)
class Watched:
    """One kind of stream: a drift of `drift_streams`, and the images over which it ramps up (0: a step)."""

    drift: str
    ramp: int = 0


STREAMS: Mapping[str, Watched] = {
    "in control": Watched("none"),
    "brightness ramp": Watched("brightness", 1000),
    "contrast ramp": Watched("contrast", 1000),
    "blur ramp": Watched("blur", 1000),
    "noise ramp": Watched("noise", 1000),
    "noise step": Watched("noise"),
    "gross brightness": Watched("gross brightness"),
    "pitch": Watched("pitch"),
    "rotation": Watched("rotation"),
    "jogs": Watched("jogs"),
    "bridges": Watched("bridges"),
    "new family": Watched("new family"),
}
PARTS: Mapping[str, str] = {
    "rotation": "rotation",
    "pitch": "pitch",
    "noise +25 %": "noise step",
    "slow intensity": "brightness ramp",
    "gross intensity": "gross brightness",
}
"""Part of claim G22: the stream that decides it."""
GOALS = (
    "brightness ramp",
    "contrast ramp",
    "blur ramp",
    "noise ramp",
    "rotation",
    "jogs",
    "bridges",
    "new family",
)
"""Streams in which levels 2 and 3 together shall find the drift within 1,000 images, in 95 % of lines."""


@dataclass(frozen=True)
class DriftSetting:
    """Sizes at one scale.

    size: side of the images. reference, images: of a line's reference and of a stream; a drift that is there
    from the first image is watched for `step_images` alone. seeds: lines of production. repeats: streams of
    each kind that the claim names.
    """

    size: int
    reference: int
    images: int
    step_images: int
    seeds: int
    repeats: int


SETTINGS: Mapping[str, DriftSetting] = {
    "smoke": DriftSetting(32, 8000, 600, 600, 1, 1),
    "reduced": DriftSetting(64, 8000, 1000, 600, 20, 5),
    "full": DriftSetting(64, 8000, 1000, 600, 20, 5),
}
RUN_LENGTHS = {"smoke": 20_000.0, "reduced": 200_000.0, "full": 200_000.0}
"""Images per alarm that the chart's limit is set for; it takes seconds to find the limit for a long one."""
_REFERENCE_SEED, _STREAM_SEED = 1_000_000, 2_000_000
"""Added to a line's seed, so that reference and streams never share a random number."""


def monitors(scale: str) -> DriftConfig:
    """The settings of every line's monitors."""
    return DriftConfig(chart=ChartConfig(run_length=RUN_LENGTHS[scale]))


@dataclass(frozen=True)
class Line:
    """A line of production in control: its reference, and a detector fitted to it (for copies by `fresh`)."""

    reference: Measured
    fitted: DriftDetector
    most_flags: int

    def fresh(self) -> DriftDetector:
        """A detector that has seen nothing yet."""
        f = self.fitted
        return DriftDetector(f.config, f.profile, f.windows, f.chart)


def line(scale: str, seed: int, lots: bool = False) -> Line:
    """Measure a reference and calibrate all levels on it; kept for the next call."""
    return _line(scale, seed, lots)


@lru_cache(maxsize=4)
def _line(scale: str, seed: int, lots: bool) -> Line:
    setting = SETTINGS[scale]
    reference = measured_stream(
        "none", setting.reference, _REFERENCE_SEED + seed, lots=lots, size=setting.size
    )
    detector = DriftDetector.fit(reference, monitors(scale), seed=seed)
    flags = detector.profile.judge(reference).flagged
    return Line(reference, detector, max(_per_window(flags, detector.config.window)))


def watched(name: str, scale: str, seed: int, lots: bool = False, repeat: int = 0) -> Measured:
    """What the monitors measure of one of `STREAMS`, kept for later; `repeat` names one of several."""
    return _watched(name, scale, seed, lots, repeat)


@lru_cache(maxsize=64)
def _watched(name: str, scale: str, seed: int, lots: bool, repeat: int) -> Measured:
    kind, setting = STREAMS[name], SETTINGS[scale]
    images = setting.images if kind.ramp or kind.drift == "none" else setting.step_images
    number = _STREAM_SEED + 100 * seed + repeat
    return measured_stream(kind.drift, images, number, ramp=kind.ramp, lots=lots, size=setting.size)


def _per_window(flags: Tensor, window: int) -> list[int]:
    return [int(w.sum()) for w in flags.split(window) if len(w) == window]


def rule_alarm(of: Line, measured: Measured) -> int | None:
    """The image at which the article's rule, counted per window, alarms; None if it does not."""
    window = of.fitted.config.window
    counts = _per_window(of.fitted.profile.judge(measured).flagged, window)
    beyond = [count > of.most_flags for count in counts]
    both = [i + 2 for i, pair in enumerate(pairwise(beyond)) if all(pair)]
    return both[0] * window if both else None


def first_alarms(of: Line, measured: Measured) -> dict[str, int | None]:
    """The image of the first alarm of each level, and of levels 2 and 3 together; None without one."""
    alarms = of.fresh().update(measured).alarms
    first = {
        level: next((a.image for a in alarms if a.level == level), None) for level in ("windows", "chart")
    }
    return {"rule": rule_alarm(of, measured), **first, "both": alarms[0].image if alarms else None}


def score(of: Line, measured: Measured) -> dict[str, float]:
    """Level 1's flags per 10,000 images, is there one at all; for every level whether it alarmed and where.

    Where there is no alarm, the image is the stream's length.
    """
    flagged = of.fitted.profile.judge(measured).flagged
    numbers = {"flags per 10,000": 1e4 * float(flagged.double().mean()), "any flag": float(flagged.any())}
    for level, image in first_alarms(of, measured).items():
        numbers[f"{level} alarm"] = float(image is not None)
        numbers[f"{level} image"] = float(len(flagged) if image is None else image)
    return numbers


def run_line(seed: int, scale: str, *, lots: bool = False, repeats: int = 1) -> dict[str, dict[str, float]]:
    """One line of production: {"stream, number": what every level says of it}."""
    of = line(scale, seed, lots)
    return {
        f"{name}, {repeat + 1}": score(of, watched(name, scale, seed, lots, repeat))
        for name in STREAMS
        for repeat in range(repeats if name in PARTS.values() else 1)
    }


def run_seed(seed: int, scale: str) -> dict[str, dict[str, float]]:
    """Independent images: what the claim is about."""
    return run_line(seed, scale, repeats=SETTINGS[scale].repeats)


def values(table: Table, quantity: str, name: str) -> list[float]:
    """A quantity of one of `STREAMS`, over all streams of that kind and all lines of a stored table."""
    arms = [arm for arm in table.arms if arm.rsplit(", ", 1)[0] == name]
    return [value for of_arm in table.values(quantity, *arms).values() for value in of_arm]


def shares(table: Table, level: str) -> dict[str, tuple[int, int]]:
    """{stream: (streams in which a level alarmed, streams)}."""
    alarmed = {name: values(table, f"{level} alarm", name) for name in STREAMS}
    return {name: (int(sum(found)), len(found)) for name, found in alarmed.items()}


def judged(table: Table) -> dict[str, Any]:
    """The data of claim G22, and the shares of every level in every stream as numbers.

    The streams of a line share its reference, so that a line is one observation: the share of its streams.
    """
    numbers = {
        f"{level}: {name}": k / n
        for level in ("rule", "windows", "chart", "both")
        for name, (k, n) in shares(table, level).items()
    }
    for quantity in ("flags per 10,000", "any flag"):
        numbers |= {f"{quantity}: {name}": float(np.mean(values(table, quantity, name))) for name in STREAMS}
    numbers["streams"] = float(len(values(table, "rule alarm", PARTS["pitch"])))
    return {"data": {part: by_line(table, name) for part, name in PARTS.items()}, "numbers": numbers}


def by_line(table: Table, name: str) -> list[float]:
    """Per line of production, the share of its streams of a kind in which the rule alarmed."""
    arms = [arm for arm in table.arms if arm.rsplit(", ", 1)[0] == name]
    return [float(np.mean([row[arm]["rule alarm"] for arm in arms])) for _, row in sorted(table.rows.items())]


SWEEP = Sweep(
    "drift",
    run_seed,
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: [SETTINGS[scale], monitors(scale), *STREAMS.values()],
    {"G22": judged},
)
