"""Three monitors: operation, input drift, performance.

Operation (here): is the service up, and how fast? Input drift (`drift_watch`): have the inputs changed?
Performance (`quality`): are the outputs right? What each of them showed earlier is in the history
(`recorder`).
"""

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as PrometheusCounter
from torch import Tensor

from gantrans.operations.serving.drift_watch import SAVE_EVERY, DriftWatch
from gantrans.operations.serving.quality import QUALITIES, label_scores, performance, qualities

__all__ = [
    "QUALITIES",
    "SAVE_EVERY",
    "DriftWatch",
    "InputMonitor",
    "Minute",
    "Operational",
    "label_scores",
    "performance",
    "qualities",
]

RECENT = 1000  # requests whose latencies are kept for the page
MINUTES = 10_000  # latencies of one minute that are kept for the history
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True)
class Minute:
    """Translations since the last `Operational.drain`: all, failed (500 or more), refused (400 to 499), and
    the latencies of the successful ones in seconds.
    """

    translations: int
    failed: int
    refused: int
    seconds: list[float]


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
        self._minute: Counter[int] = Counter()
        self._minute_seconds: deque[float] = deque(maxlen=MINUTES)
        self._lock = threading.Lock()

    def observe_response(self, route: str, status: int, seconds: float) -> None:
        """Count a response and its latency."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        if route == "/translate":
            with self._lock:
                self._statuses[status] += 1
                self._minute[status] += 1
                if status == 200:
                    self._recent.append(seconds)
                    self._minute_seconds.append(seconds)

    def drain(self) -> Minute:
        """What was observed since the last call."""
        with self._lock:
            statuses, seconds = self._minute, list(self._minute_seconds)
            self._minute = Counter()
            self._minute_seconds.clear()
        failed = sum(n for status, n in statuses.items() if status >= 500)
        refused = sum(n for status, n in statuses.items() if 400 <= status < 500)
        return Minute(sum(statuses.values()), failed, refused, seconds)

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self.registry)

    def report(self) -> dict[str, Any]:
        """Number of translations by status, and latencies of the last successful ones in milliseconds."""
        with self._lock:
            recent, statuses = list(self._recent), dict(self._statuses)
        total, failed = sum(statuses.values()), sum(n for s, n in statuses.items() if s >= 500)
        return {
            "translations": total,
            "statuses": {str(status): n for status, n in sorted(statuses.items())},
            "error_rate": failed / total if total else None,
            "latency_ms": {
                f"p{q}": 1000 * float(np.percentile(recent, q)) if recent else None for q in (50, 95, 99)
            },
        }


class InputMonitor(Protocol):
    """A monitor that receives every input in the order of time."""

    def observe(self, direction: str, image: Tensor, pixel_nm: float | None) -> None:
        """Add the next input, (1 or 3, H, W) in [0, 1]."""

    def report(self) -> dict[str, dict[str, Any]]:
        """The present state by direction, as plain values."""
