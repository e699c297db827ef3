"""Three monitors: operation, input drift, performance.

Operation: is the service up, and how fast? Input drift: have the inputs changed (`drift.detector`; this
module only passes images on)? Performance: are the outputs right? Performance needs labels, which arrive late
or never, so every quality is reported together with the share of predictions that have a label.
"""

import math
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as PrometheusCounter
from torch import Tensor

from gantrans.directions import direction as registered
from gantrans.directions import directions
from gantrans.errors import DataError
from gantrans.metrics import epe
from gantrans.metrics.image import WINDOW
from gantrans.operations.drift.detector import DriftDetector
from gantrans.operations.drift.profile import measure
from gantrans.operations.feedback.store import Store
from gantrans.translation.inference import SCORES

RECENT = 1000  # requests whose latencies are kept for the page
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
QUALITIES = ("l1", "ssim", "psnr", "iou", "epe_px")
SAVE_EVERY = 50  # images between two saves of a drift detector


class Operational:
    """Counts and latencies, for Prometheus (`text`) and for the page (`report`); one instance per process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = PrometheusCounter(
            "gantrans_requests", "Responses by route and status.", ("route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "gantrans_request_seconds",
            "From arrival to response.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "gantrans_stage_seconds",
            "Parts of a translation: decode, forward, encode, store.",
            ("stage",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_progress = Gauge("gantrans_requests_inside", "Requests in progress.", registry=self.registry)
        self.predictions = PrometheusCounter(
            "gantrans_predictions", "Translations.", ("direction", "model"), registry=self.registry
        )
        self.pixels = Histogram(
            "gantrans_pixel_mean",
            "Mean grey value of images, 0 to 1.",
            ("side",),
            buckets=tuple(i / 10 for i in range(1, 11)),
            registry=self.registry,
        )
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._statuses: Counter[int] = Counter()

    def observe_response(self, route: str, status: int, seconds: float) -> None:
        """Count a response and its latency."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        if route == "/translate":
            self._statuses[status] += 1
            if status == 200:
                self._recent.append(seconds)

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self.registry)

    def report(self) -> dict[str, Any]:
        """Number of translations by status, and latencies of the last successful ones in milliseconds."""
        recent = list(self._recent)
        total, failed = sum(self._statuses.values()), sum(n for s, n in self._statuses.items() if s >= 500)
        return {
            "translations": total,
            "statuses": {str(status): n for status, n in sorted(self._statuses.items())},
            "error_rate": failed / total if total else None,
            "latency_ms": {
                f"p{q}": 1000 * float(np.percentile(recent, q)) if recent else None for q in (50, 95, 99)
            },
        }


class InputMonitor(Protocol):
    """A monitor that receives every input in the order of time."""

    def observe(self, direction: str, image: Tensor, pixel_nm: float | None) -> None:
        """Add the next input, (1, H, W) in [0, 1]."""

    def report(self) -> dict[str, dict[str, Any]]:
        """The present state by direction, as plain values."""


class DriftWatch:
    """Drift detectors, one per direction, as an `InputMonitor`; their state survives a restart.

    Args:
        files: for every monitored direction a file that `DriftDetector.save` wrote.

    Raises:
        CheckpointError: a file cannot be read.
    """

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files
        self.detectors = {direction: DriftDetector.load(path) for direction, path in files.items()}
        self.unmeasured: Counter[str] = Counter()
        self._lock = threading.Lock()

    def observe(self, direction: str, image: Tensor, pixel_nm: float | None) -> None:
        """Add the next input; the state is saved every `SAVE_EVERY` images."""
        if direction not in self.detectors:
            return
        with self._lock:
            detector = self.detectors[direction]
            try:
                measured = measure(image[None], pixel_nm or 1.0, detector.config.schema)
            except DataError:  # too small for the features, but it was translated
                self.unmeasured[direction] += 1
                return
            detector.update(measured)
            if detector.seen % SAVE_EVERY == 0:
                detector.save(self.files[direction])

    def save(self) -> None:
        """Write the state of all detectors."""
        with self._lock:
            for direction, detector in self.detectors.items():
                detector.save(self.files[direction])

    def report(self) -> dict[str, dict[str, Any]]:
        """Status, images seen, outlier rate, scores and the last alarms."""
        reports = {}
        for direction, detector in self.detectors.items():
            report = detector.report()
            reports[direction] = {
                "status": report.status,
                "seen": report.seen,
                "unmeasured": self.unmeasured[direction],
                "outlier_rate": report.outlier_rate,
                "score": report.score,
                "threshold": report.threshold,
                "chart": report.chart,
                "limit": report.limit,
                "alarms": [vars(alarm) | {"features": list(alarm.features)} for alarm in report.alarms[-5:]],
            }
        return reports


def performance(store: Store) -> list[dict[str, Any]]:
    """Quality of every model version on its labelled predictions, with their share (`coverage`).

    A label counts for the version that made the prediction, even if another one is champion when the label
    arrives. Each row has direction, model, predictions, labelled, coverage, and for each of `QUALITIES` its
    mean and the number of predictions that define it. Metrics are computed once and kept in the store.
    """
    scores: dict[tuple[str, str], list[dict[str, float | None]]] = defaultdict(list)
    for prediction, direction, model, output, label, image in store.labels():
        known = store.score(prediction, label)
        if known is None:
            known = label_scores(store.image(output), store.image(image), qualities(direction))
            store.keep_score(prediction, label, known)
        scores[direction, model].append(known)
    rows = []
    for direction, model, count in store.versions():
        known_scores = scores[direction, model]
        row: dict[str, Any] = {
            "direction": direction,
            "model": model,
            "predictions": count,
            "labelled": len(known_scores),
            "coverage": len(known_scores) / count,
        }
        for name in QUALITIES:
            shown = known_scores if name in qualities(direction) else []  # older stores hold more
            values = [value for score in shown if (value := score.get(name)) is not None]
            row[name] = {"mean": sum(values) / len(values) if values else None, "count": len(values)}
        rows.append(row)
    return rows


def qualities(direction: str) -> tuple[str, ...]:
    """Which of `QUALITIES` are among the metrics of a direction; all for one that is not registered."""
    if direction not in directions():
        return QUALITIES
    metrics = registered(direction).metrics
    return tuple(name for name in QUALITIES if name.removesuffix("_px") in metrics)


def label_scores(
    output: Tensor, label: Tensor, names: Collection[str] = QUALITIES
) -> dict[str, float | None]:
    """Some of `QUALITIES` of one output, (1, H, W) in [0, 1]; None for a value that is not finite.

    SSIM is not defined for images smaller than its window.
    """
    pred, target = output[None], label[None]
    small = min(output.shape[-2:]) < WINDOW
    values: dict[str, float] = {}
    for name in names:
        if name == "epe_px":
            values[name] = float(epe(pred, target, 1.0).mean)
        else:
            values[name] = math.nan if name == "ssim" and small else float(SCORES[name](pred, target))
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
