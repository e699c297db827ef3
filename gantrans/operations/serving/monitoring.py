"""What the routes of the monitors share: one instance per application, made at its first request or start."""

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from starlette.concurrency import run_in_threadpool

from gantrans.errors import GantransError
from gantrans.operations.drift.detector import Alarm
from gantrans.operations.promotion.regimes import Reference
from gantrans.operations.serving import monitor_schemas as m
from gantrans.operations.serving.drift_watch import DriftWatch
from gantrans.operations.serving.history import History, HistoryError
from gantrans.operations.serving.quality import NOTES, Quality, main_quality, with_reference
from gantrans.operations.serving.recorder import Recorder
from gantrans.operations.serving.registry_desk import RegistryDesk
from gantrans.operations.serving.service import Service
from gantrans.operations.serving.strangeness import Strangeness

REPORT_S = 0.5
"""How long a report measures new labels; the recorder measures the rest."""
_ALARMS = 50  # alarms whose values are kept in memory, per direction
_build = threading.Lock()


class Monitoring:
    """The three monitors of a service, their history, and the registry.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, service: Service, clock: Callable[[], float] = time.time) -> None:
        self.service, self.clock = service, clock
        self.watch = service.inputs if isinstance(service.inputs, DriftWatch) else None
        self.quality = Quality(service.store)
        path = service.store.path
        self.history = History(path.with_name(f"{path.stem}-history.sqlite"))
        self.recorder = Recorder(service.monitor, service.inputs, self.quality, self.history, clock)
        self.strangeness = Strangeness(service.store, self.watch)
        self.registry = RegistryDesk(service.models)
        self._alarms: dict[tuple[str, int, str], tuple[float, list[dict[str, Any]]]] = {}
        if self.watch is not None:
            self._recall(self.watch)
            self.watch.on_alarm = self._note

    def report(self) -> m.Monitors:
        """The present state of the three monitors."""
        service = self.service
        problems = dict(service.models.problems) | service.problems
        rows = self.quality.report(REPORT_S)
        references = self._references(rows, problems)
        for name, problem in (
            ("history", self.history.problem),
            ("recorder", self.recorder.problem),
            ("labels", self.quality.problem),
        ):
            if problem is not None:
                problems[name] = problem
        return m.Monitors(
            operational=service.monitor.report(),
            drift=self._drift(),
            performance=rows,
            notes=NOTES,
            reference=references,
            store=service.store.counts(),
            problems=problems,
        )

    def choose_reference(self, direction: str, wanted: m.ChooseReference) -> m.Reference:
        """Make a version the reference of quality, with its present mean.

        Raises:
            MoveError: it was refused; nothing was changed.
        """
        rows = self.quality.report(REPORT_S)
        metric = main_quality(direction)
        mine = [row for row in rows if (row["direction"], row["model"]) == (direction, wanted.model)]
        found: dict[str, Any] = mine[0][metric] if mine else {"mean": None, "count": 0}
        reference = self.registry.set_reference(
            direction,
            version=wanted.model,
            why=wanted.why,
            who=wanted.who,
            value=found["mean"],
            metric=metric,
            count=found["count"],
        )
        return _reference(reference)

    def _references(self, rows: list[dict[str, Any]], problems: dict[str, str]) -> dict[str, m.Reference]:
        """The reference of every direction; the rows are marked."""
        chosen: dict[str, m.Reference] = {}
        registry = self.registry.registry
        for direction in {row["direction"] for row in rows} if registry is not None else ():
            try:
                reference = registry.reference(direction)  # type: ignore[union-attr]
            except (GantransError, OSError) as error:
                problems[f"reference {direction}"] = str(error)
                continue
            if reference is not None:
                chosen[direction] = _reference(reference)
        marked = with_reference(rows, {direction: one.model for direction, one in chosen.items()})
        by_version = {(row["direction"], row["model"]): row for row in rows}
        for direction, model in marked.items():
            if direction not in chosen:
                metric = main_quality(direction)
                found = by_version[direction, model][metric]
                chosen[direction] = m.Reference(
                    model=model, chosen=False, value=found["mean"], metric=metric, count=found["count"]
                )
        return chosen

    def _drift(self) -> dict[str, Any] | None:
        if self.service.inputs is None:
            return None
        reports = self.service.inputs.report()
        for direction, report in reports.items():
            for alarm in report.get("alarms", []):
                at, values = self._alarms.get((direction, alarm["image"], alarm["level"]), (None, []))
                alarm["made_at"] = None if at is None else iso(at)
                alarm["values"] = values
        return reports

    def _note(self, direction: str, alarm: Alarm, values: list[dict[str, Any]]) -> None:
        at = self.clock()
        self._alarms[direction, alarm.image, alarm.level] = at, values
        about = {"image": alarm.image, "level": alarm.level, "values": values}
        self.history.note(at, "alarm", direction, about)

    def _recall(self, watch: DriftWatch) -> None:
        """Values of earlier alarms; without a history they are unknown."""
        for direction in watch.detectors:
            try:
                events = self.history.events("alarm", direction, _ALARMS)
            except HistoryError as error:
                self.history.problem = str(error)
                return
            for at, about in events:
                self._alarms[direction, about["image"], about["level"]] = at, about["values"]


def iso(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def monitoring_of(app: FastAPI) -> Monitoring:
    """The monitors of an application, made once."""
    with _build:
        if not hasattr(app.state, "monitoring"):
            app.state.monitoring = Monitoring(app.state.service)
        found: Monitoring = app.state.monitoring
        return found


@asynccontextmanager
async def recording(app: FastAPI) -> AsyncIterator[None]:
    """The life of a running application: its history is written from the start to the end."""
    recorder = monitoring_of(app).recorder
    recorder.start()
    try:
        yield
    finally:
        await run_in_threadpool(recorder.stop)


def _current(request: Request) -> Monitoring:
    return monitoring_of(request.app)


CurrentMonitoring = Annotated[Monitoring, Depends(_current)]


def _reference(found: Reference) -> m.Reference:
    return m.Reference(
        model=found.version,
        chosen=True,
        value=found.value,
        metric=found.metric,
        count=found.count,
        who=found.who,
        why=found.why,
        made_at=found.time,
    )
