"""When to train again, and when to collect labels first.

A drift alarm means that the inputs have changed. It does not give the right outputs, and without labels there
is nothing to train on: drift raises the priority of labelling, and labels start training. A changed relation
between input and target (concept drift) is invisible to every input monitor and shows in labels only.

Whether labels show a loss is decided by `QualityChart`, whose rate of false alarms is set beforehand. A limit
on the mean of the last few labels has no such rate: with a spread of .15 between images, the mean of twenty
lies .08 below its reference, itself a mean of twenty, on some day of every third quiet month.

Whatever the reasons, a run starts at most once per cool-down. The time of the last start is kept in a file
that is read and written under a lock, so that the rule holds across restarts and concurrent processes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from gantrans.config import check_range
from gantrans.errors import ConfigError, DataError
from gantrans.files import locked
from gantrans.operations.promotion.disk import Disk, as_json, read_json

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
HOUR = 3600.0
FEWEST_REFERENCE = 20
"""Smallest number of labelled predictions that can be the reference of a chart."""


@dataclass(frozen=True)
class TriggerConfig:
    """Conditions that start a training.

    enough_pairs: number of accepted, unused pairs that starts a training by itself.
    fewest_pairs: smallest number of such pairs with which lost quality starts a training.
    quality_loss: fall of the mean quality of labelled predictions below the reference that counts as lost.
    cool_down_hours: shortest time between the starts of two runs.
    """

    enough_pairs: int = 50
    fewest_pairs: int = 20
    quality_loss: float = 0.03
    cool_down_hours: float = 24.0

    def __post_init__(self) -> None:
        check_range(self, "enough_pairs", 1)
        check_range(self, "fewest_pairs", 1, self.enough_pairs)
        check_range(self, "quality_loss", 0.0, open_low=True)
        check_range(self, "cool_down_hours", 0.0)


@dataclass(frozen=True)
class Signals:
    """Readings of the monitors.

    new_pairs: accepted pairs that no training has used.
    quality: mean quality of recent labelled predictions, None without labels.
    reference: the same at the time of promotion.
    drift: whether the input monitor has an alarm that was not acknowledged.
    lost: whether quality counts as lost, by a `QualityChart` or by a person. None: by `quality_loss`, from
        the two means, which raises false alarms at an unknown rate.
    """

    new_pairs: int
    quality: float | None = None
    reference: float | None = None
    drift: bool = False
    lost: bool | None = None


@dataclass(frozen=True)
class Advice:
    """Whether to train, whether to label with priority, and why, in sentences."""

    train: bool
    label_first: bool
    reasons: tuple[str, ...]


def advise(signals: Signals, config: TriggerConfig | None = None) -> Advice:
    """Apply the conditions to the signals; the cool-down is claimed separately, when a run starts."""
    config = config or TriggerConfig()
    train, reasons = False, []
    if signals.new_pairs >= config.enough_pairs:
        train = True
        reasons.append(f"{signals.new_pairs} new pairs, enough to train")
    fall = 0.0
    if signals.quality is not None and signals.reference is not None:
        fall = signals.reference - signals.quality
    lost = fall > config.quality_loss if signals.lost is None else signals.lost
    if lost:
        train = train or signals.new_pairs >= config.fewest_pairs
        reasons.append(f"quality fell by {fall:.3f}" if fall > 0 else "quality was lost")
    if signals.drift:
        pairs = "no target" if signals.new_pairs == 0 else "too little"
        yet = "" if train else f", there is {pairs} to train on yet"
        reasons.append(f"the input has drifted: label what comes in now{yet}")
    short = lost and signals.new_pairs < config.fewest_pairs
    if short:
        reasons.append(f"{signals.new_pairs} labelled pairs, of at least {config.fewest_pairs}")
    return Advice(train, signals.drift or short, tuple(reasons))


@dataclass(frozen=True)
class ChartRule:
    """What a `QualityChart` is set for.

    stretch: number of labels that one looks back on, such as those of a month.
    false_alarms: share of stretches of unchanged quality in which the chart may alarm.
    slack: fall per label, in standard deviations, that is not added up; half of the fall to be found.
    clip: a label counts at most this many standard deviations.
    resamples, seed: of the simulation that finds the limit.
    """

    stretch: int = 360
    false_alarms: float = 0.05
    slack: float = 0.5
    clip: float = 3.0
    resamples: int = 4000
    seed: int = 0

    def __post_init__(self) -> None:
        check_range(self, "stretch", 1, 100_000)
        check_range(self, "false_alarms", 0.0, 0.5, open_low=True)
        check_range(self, "slack", 0.0, 4.0)
        check_range(self, "clip", 1.0)
        check_range(self, "resamples", 100, 1_000_000)
        if self.false_alarms * self.resamples < 10:
            raise ConfigError(
                f"ChartRule.resamples is {self.resamples!r}; a share of {self.false_alarms:g} false alarms "
                f"needs at least {10 / self.false_alarms:.0f}."
            )


@dataclass(frozen=True)
class Reading:
    """What a chart finds in a series of labels.

    level: the sum after the last label, in units of the limit.
    alarm: number of the label (from 0) at which the sum first exceeded the limit; None if it never did.
    began: number of the label with which the fall probably began: the first of the rise that ended in the
        alarm (Page 1954). None without an alarm.
    """

    level: float
    alarm: int | None = None
    began: int | None = None


@dataclass(frozen=True)
class QualityChart:
    """A one-sided CUSUM of the quality of labelled predictions, which alarms when quality falls.

    Each label adds (mean - quality) / std - slack to a sum that never falls below 0. Mean and std are those
    of a reference, such as the hold-out on which the gate judged the model. The limit is found by simulation:
    each resample takes its own reference, and from it mean and std, and follows a stretch of labels drawn
    from the whole reference; so the uncertainty of the reference counts. It holds for labels that are
    independent and come from the conditions of the reference; if labels of one lot are alike, give the lots'
    means.
    """

    rule: ChartRule
    mean: float
    std: float
    limit: float

    @classmethod
    def fit(cls, reference: ArrayLike, rule: ChartRule | None = None) -> "QualityChart":
        """Set a chart up.

        Args:
            reference: quality of labelled predictions of the model (N,), higher is better; none of them may
                have been trained on, and N is at least 20.

        Raises:
            DataError: fewer than 20 values, one that is not finite, or all equal.
        """
        rule = rule or ChartRule()
        values = np.asarray(reference, np.float64)
        if values.ndim != 1 or len(values) < FEWEST_REFERENCE:
            raise DataError(
                f"A chart of quality needs a reference of at least {FEWEST_REFERENCE} labelled predictions, "
                f"not {values.size}; label more first."
            )
        if not np.isfinite(values).all() or values.std() < 1e-9:
            raise DataError(
                "The qualities of a reference must be finite and not all equal; leave out images without one."
            )
        limit = float(np.quantile(_highest(values, rule), 1 - rule.false_alarms))
        return cls(rule, float(values.mean()), float(values.std(ddof=1)), limit)

    def read(self, qualities: ArrayLike) -> Reading:
        """Follow the quality of labelled predictions (N,), in the order in which the images were taken."""
        level, began, start = 0.0, None, 0
        alarm: int | None = None
        for number, quality in enumerate(np.asarray(qualities, np.float64)):
            below = (self.mean - float(quality)) / self.std
            level = max(0.0, level + min(max(below, -self.rule.clip), self.rule.clip) - self.rule.slack)
            if level == 0.0:
                start = number + 1
            if alarm is None and level > self.limit:
                alarm, began = number, start
        return Reading(level / self.limit, alarm, began)


def _highest(values: Array, rule: ChartRule) -> Array:
    """The largest sum of each simulated stretch of unchanged quality, (resamples,)."""
    generator, count = np.random.default_rng(rule.seed), len(values)
    known = values[generator.integers(count, size=(rule.resamples, count))]
    mean, std = known.mean(1), np.maximum(known.std(1, ddof=1), 1e-9)
    level, highest = np.zeros(rule.resamples), np.zeros(rule.resamples)
    for _ in range(rule.stretch):
        below = (mean - values[generator.integers(count, size=rule.resamples)]) / std
        level = np.maximum(0.0, level + below.clip(-rule.clip, rule.clip) - rule.slack)
        highest = np.maximum(highest, level)
    return highest


@dataclass(frozen=True)
class Claim:
    """Whether a run may start now, and otherwise after how many hours."""

    granted: bool
    wait_hours: float


class CoolDown:
    """A rate limit: at most one start per cool-down among all processes that use the same file.

    Args:
        path: the file with the time of the last start; its folder is created.
        hours: length of the cool-down.
        clock: seconds since 1970; a monotonic clock would restart with the machine.
        disk: file operations; tests pass one that fails.
    """

    def __init__(
        self,
        path: Path,
        hours: float = 24.0,
        *,
        clock: Callable[[], float] = time.time,
        disk: Disk | None = None,
    ) -> None:
        self.path, self.hours, self.clock, self.disk = Path(path), hours, clock, disk or Disk()

    def claim(self) -> Claim:
        """Claim the start of a run; a claim that is not granted has the time to wait.

        The start is on the disk before it is granted, so a process that is killed afterwards has used it. If
        the clock is behind the last start, the wait becomes longer.

        Raises:
            DiskError: the file cannot be read or written; the claim is not granted.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_name(f".{self.path.name}.lock")):
            now = self.clock()
            wait = self._wait(now)
            if wait > 0:
                return Claim(False, wait)
            self.disk.put(self.path, as_json({"started": now}))
            return Claim(True, 0.0)

    def _wait(self, now: float) -> float:
        if not self.path.exists():
            return 0.0
        return max(0.0, self.hours - (now - read_json(self.path)["started"]) / HOUR)
