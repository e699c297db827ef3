"""The second monitor: drift detectors of a running service, what alarmed, and who acknowledged it."""

import threading
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gantrans.errors import CheckpointError, DataError, GantransError
from gantrans.images import grey
from gantrans.operations.drift.detector import Alarm, DriftDetector
from gantrans.operations.drift.features import FEATURES
from gantrans.operations.drift.profile import measure

SAVE_EVERY = 50  # images between two saves of a drift detector
SHOWN = 5  # the last alarms and acknowledgements in a report


class OtherAlarmsError(GantransError, ValueError):
    """There are other alarms than those that were shown."""


class DriftWatch:
    """Drift detectors, one per direction, as an `InputMonitor`; their state survives a restart.

    A save that fails (a full disk) does not fail the translation that caused it: `report` has the reason
    until a save succeeds, and the next one is tried `SAVE_EVERY` images later.

    Args:
        files: for every monitored direction a file that `DriftDetector.save` wrote. It belongs to this
            process; alarms that another program acknowledges in it are taken over at the next save.

    Raises:
        CheckpointError: a file cannot be read.
    """

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files
        self.detectors = {direction: DriftDetector.load(path) for direction, path in files.items()}
        self.unmeasured: Counter[str] = Counter()
        self.problems: dict[str, str] = {}
        self.on_alarm: Callable[[str, Alarm, list[dict[str, Any]]], None] | None = None
        self._known_files = {direction: _stamp(path) for direction, path in files.items()}
        self._recent: dict[str, deque[Tensor]] = {
            direction: deque(maxlen=detector.config.window) for direction, detector in self.detectors.items()
        }
        self._lock = threading.RLock()

    def observe(self, direction: str, image: Tensor, pixel_nm: float | None) -> None:
        """Add the next input, of colour its luma (a change of hue alone is not seen); the state is saved every `SAVE_EVERY` images."""
        if direction not in self.detectors:
            return
        with self._lock:
            detector = self.detectors[direction]
            try:
                measured = measure(grey(image)[None], pixel_nm or 1.0, detector.config.schema)
            except DataError:  # too small for the features, but it was translated
                self.unmeasured[direction] += 1
                return
            before = len(detector.alarms)
            detector.update(measured)
            self._recent[direction].append(measured.features[0])
            for alarm in detector.alarms[before:]:
                if self.on_alarm is not None:
                    self.on_alarm(direction, alarm, self._values(direction, alarm.features))
            if detector.seen % SAVE_EVERY == 0:
                self._try_save(direction)

    def save(self) -> None:
        """Write the state of all detectors.

        Raises:
            CheckpointError: one cannot be written; the others are.
        """
        with self._lock:
            for direction in self.detectors:
                self._try_save(direction)
            if self.problems:
                raise CheckpointError(" ".join(self.problems.values()))

    def acknowledge(self, direction: str, *, who: str, why: str, shown: int) -> int:
        """Acknowledge the alarms so far; on the disk when this returns how many were not acknowledged before.

        Args:
            shown: the number of alarms that the person saw; one that was raised since must be seen first.

        Raises:
            OtherAlarmsError: there is another number of alarms.
            CheckpointError: the state cannot be written; nothing was acknowledged.
        """
        with self._lock:
            detector = self.detectors[direction]
            if len(detector.alarms) != shown:
                raise OtherAlarmsError(
                    f"There are {len(detector.alarms)} alarms for {direction} now, not {shown}; look again."
                )
            before = list(detector.acknowledgements)
            count = detector.acknowledge(why, who=who)
            try:
                self._save(direction)
            except CheckpointError:
                detector.acknowledgements = before
                raise
            return count

    def features(self, direction: str) -> list[dict[str, Any]]:
        """All features: mean of the last images, mean and spread of the reference, sum of the chart."""
        with self._lock:
            detector = self.detectors[direction]
            state, chart = detector.chart_state.values, detector.chart
            sums = [chart.statistic(state[..., i : i + 1]) for i in range(len(FEATURES))]
            rows = self._values(direction, FEATURES)
        return [
            {**row, "chart": total, "beyond": total > chart.limit}
            for row, total in zip(rows, sums, strict=True)
        ]

    def report(self) -> dict[str, dict[str, Any]]:
        """Status, images seen, outlier rate, scores, features, the last alarms and who acknowledged them."""
        with self._lock:
            return {direction: self._report(direction) for direction in self.detectors}

    def _report(self, direction: str) -> dict[str, Any]:
        detector, report = self.detectors[direction], self.detectors[direction].report()
        alarms = [
            vars(alarm) | {"features": list(alarm.features), "acknowledged": place < detector.acknowledged}
            for place, alarm in enumerate(report.alarms)
        ]
        return {
            "status": report.status,
            "seen": report.seen,
            "unmeasured": self.unmeasured[direction],
            "outlier_rate": report.outlier_rate,
            "score": report.score,
            "threshold": report.threshold,
            "chart": report.chart,
            "limit": report.limit,
            "alarms": alarms[-SHOWN:],
            "alarm_count": len(alarms),
            "acknowledged": detector.acknowledged,
            "acknowledgements": [vars(one) for one in detector.acknowledgements[-SHOWN:]],
            "features": self.features(direction),
            "problem": self.problems.get(direction),
        }

    def _values(self, direction: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
        """Mean of the last images (a window at most) against the reference, of some features."""
        profile, recent = self.detectors[direction].profile, self._recent[direction]
        means = torch.stack(list(recent)).mean(0).tolist() if recent else None
        return [
            against(name, None if means is None else means[i], float(profile.mean[i]), float(profile.std[i]))
            for name in names
            for i in [FEATURES.index(name)]
        ]

    def _try_save(self, direction: str) -> None:
        try:
            self._save(direction)
        except CheckpointError as error:  # shown in the report until a later save succeeds
            self.problems[direction] = str(error)

    def _save(self, direction: str) -> None:
        """Write a detector, after taking over what another program acknowledged in its file."""
        path, detector = self.files[direction], self.detectors[direction]
        stamp = _stamp(path)
        if stamp is not None and stamp != self._known_files[direction]:
            other = DriftDetector.load(path)
            shared = other.alarms == detector.alarms[: len(other.alarms)]
            if shared and other.acknowledged > detector.acknowledged:
                detector.acknowledgements = list(other.acknowledgements)
        detector.save(path)
        self._known_files[direction] = _stamp(path)
        self.problems.pop(direction, None)


def against(name: str, value: float | None, reference: float, spread: float) -> dict[str, Any]:
    """A feature's value, mean and standard deviation of the reference, and the distance in the latter."""
    deviations = None if value is None or spread <= 0 else (value - reference) / spread
    return {
        "feature": name,
        "value": value,
        "reference": reference,
        "spread": spread,
        "deviations": deviations,
    }


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced; None if it is gone."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size
