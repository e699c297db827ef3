"""Writes the monitors' numbers to the history once a minute, and reads them back as series for the page."""

import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from gantrans.operations.feedback.queries import Bucket, quality_over_time, verdicts_over_time
from gantrans.operations.serving.history import MINUTE, History, Observation, Point, step_of
from gantrans.operations.serving.monitors import InputMonitor, Minute, Operational
from gantrans.operations.serving.quality import Quality, main_quality

MEASURE_S = 2.0  # how long new labels are measured after every minute
UNITS = {
    "volume": "translations per minute",
    "errors": "share of the translations that failed in the server",
    "refused": "share of the translations that were refused",
    "latency_p50": "ms",
    "latency_p95": "ms, of the slowest minute",
    "drift_chart": "highest sum of the control chart",
    "drift_score": "highest score of a window",
    "outliers": "share of the images",
}
_HIGHEST = ("latency_p95", "drift_chart", "drift_score")  # the others are means


class Recorder:
    """Adds a minute of the monitors to a history with every `tick`; `start` and `stop` run it in a thread.

    Args:
        clock: seconds since 1970.
    """

    def __init__(
        self,
        monitor: Operational,
        inputs: InputMonitor | None,
        quality: Quality,
        history: History,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.monitor, self.inputs, self.quality, self.history = monitor, inputs, quality, history
        self.clock = clock
        self.problem: str | None = None
        self._outliers: dict[str, tuple[int, float]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def tick(self) -> None:
        """Add what happened since the last tick."""
        observed = [*translations(self.monitor.drain()), *self._drift()]
        self.history.add(self.clock(), [one for one in observed if math.isfinite(one.total + one.high)])

    def start(self) -> None:
        """Tick once a minute, and measure new labels then, until `stop`."""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Add the running minute and end the thread."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def try_tick(self) -> None:
        """Tick, then measure new labels; a failure of either is in `problem`."""
        try:
            self.tick()
            if not self._stop.is_set():
                self.quality.report(MEASURE_S)
        except Exception as error:  # shown with the monitors; the next minute is tried
            self.problem = f"The minute could not be recorded: {error}"
        else:
            self.problem = None

    def _run(self) -> None:
        while not self._stop.wait(MINUTE - self.clock() % MINUTE):
            self.try_tick()
        self.try_tick()

    def _drift(self) -> Iterable[Observation]:
        for direction, report in (self.inputs.report() if self.inputs else {}).items():
            for name, key in (("drift_chart", "chart"), ("drift_score", "score")):
                if (value := report.get(key)) is not None:
                    yield Observation(name, value, 1, value, direction)
            seen, share = report.get("seen", 0), report.get("outlier_rate") or 0.0
            before, outliers = self._outliers.get(direction, (seen, share * seen))
            self._outliers[direction] = seen, share * seen
            if seen > before:
                yield Observation("outliers", share * seen - outliers, seen - before, 0.0, direction)


def translations(minute: Minute) -> Iterable[Observation]:
    """The observations of the first monitor: volume, shares of failed and refused ones, latencies in ms."""
    yield Observation("volume", minute.translations)
    if minute.translations:
        yield Observation("errors", minute.failed, minute.translations)
        yield Observation("refused", minute.refused, minute.translations)
    if minute.seconds:
        p50, p95 = (1000 * float(np.percentile(minute.seconds, q)) for q in (50, 95))
        count = len(minute.seconds)
        yield Observation("latency_p50", p50 * count, count, p50)
        yield Observation("latency_p95", p95 * count, count, p95)


def all_series(
    history: History, quality: Quality, inputs: InputMonitor | None, start: float, end: float
) -> tuple[int, list[dict[str, Any]]]:
    """The step in seconds and every series within [start, end), in seconds since 1970.

    Quality and verdicts come from the store, at the time of the *prediction*: a label that arrives late
    changes the past.

    Raises:
        HistoryError, StoreError: a file cannot be read.
    """
    step = step_of(end - start)
    start = start // step * step
    limits = inputs.report() if inputs else {}
    lines: dict[tuple[str, str], list[Point]] = {}
    for point in history.points(start, end, step):
        lines.setdefault((point.name, point.direction), []).append(point)
    found = [
        _series(
            name,
            direction or None,
            None,
            UNITS.get(name, ""),
            [(p.at, p.high if name in _HIGHEST else p.total / p.count, p.count) for p in points],
            _limit(name, limits.get(direction, {})),
        )
        for (name, direction), points in sorted(lines.items())
    ]
    return step, [*found, *_performance(quality, start, end, step)]


def _performance(quality: Quality, start: float, end: float, step: int) -> list[dict[str, Any]]:
    store, found = quality.store, []
    for direction in dict.fromkeys(direction for direction, _, _ in store.versions()):
        metric = main_quality(direction)
        found += _by_version("quality", metric, quality_over_time(store, metric, direction, start, end, step))
    for name, verdict in (("accepted", "accept"), ("rejected", "reject")):
        unit = f"share of the judged outputs, {verdict}"
        found += _by_version(name, unit, verdicts_over_time(store, verdict, start, end, step))
    return found


def _by_version(name: str, unit: str, buckets: list[Bucket]) -> list[dict[str, Any]]:
    lines: dict[tuple[str, str], list[tuple[int, float, int]]] = {}
    for bucket in buckets:
        line = lines.setdefault((bucket.direction, bucket.model), [])
        line.append((bucket.at, bucket.mean, bucket.count))
    return [_series(name, direction, model, unit, points) for (direction, model), points in lines.items()]


def _series(
    name: str,
    direction: str | None,
    model: str | None,
    unit: str,
    points: list[tuple[int, float, int]],
    limit: float | None = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "direction": direction,
        "model": model,
        "unit": unit,
        "limit": limit,
        "points": points,
    }


def _limit(name: str, report: dict[str, Any]) -> float | None:
    key = {"drift_chart": "limit", "drift_score": "threshold"}.get(name)
    return None if key is None else report.get(key)
