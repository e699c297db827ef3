"""Routes of the monitors and of the registry: what a person reads and decides who operates the service."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from prometheus_client import CONTENT_TYPE_LATEST

from gantrans.errors import CheckpointError
from gantrans.operations.serving import monitor_schemas as m
from gantrans.operations.serving import schemas as s
from gantrans.operations.serving.dependencies import CurrentService, DirectionName
from gantrans.operations.serving.drift_watch import OtherAlarmsError
from gantrans.operations.serving.history import HOUR, HistoryError
from gantrans.operations.serving.monitoring import CurrentMonitoring, Monitoring, iso, recording
from gantrans.operations.serving.recorder import all_series
from gantrans.operations.serving.registry_desk import MoveError

router = APIRouter(lifespan=recording)
_BODY = (400, 403, 404, 408, 409, 413, 422, 503)
_LONGEST = 2 * 365 * 24
_ACKNOWLEDGED: s.Responses = {200: {"model": m.Acknowledged, "description": "Acknowledged before."}}


@router.get("/monitors", tags=["monitors"], responses=s.errors(503))
def monitors(monitoring: CurrentMonitoring) -> m.Monitors:
    """State of the service, drift of the inputs, and quality of the outputs that have a label."""
    return monitoring.report()


@router.get("/monitors/history", tags=["monitors"], responses=s.errors(422, 503))
def history(monitoring: CurrentMonitoring, hours: Annotated[int, Query(ge=1, le=_LONGEST)] = 24) -> m.Past:
    """What the monitors showed in the last hours; the step grows with the time that is asked for."""
    now, service = monitoring.clock(), monitoring.service
    start = now - hours * HOUR
    try:
        step, series = all_series(monitoring.history, monitoring.quality, service.inputs, start, now)
    except HistoryError as error:
        raise HTTPException(503, str(error)) from error
    return m.Past(start=iso(start), end=iso(now), step_s=step, series=[m.Series(**one) for one in series])


@router.post(
    "/monitors/drift/{direction}/acknowledgements",
    tags=["monitors"],
    status_code=201,
    responses=_ACKNOWLEDGED | s.errors(*_BODY),
)
def acknowledge(
    monitoring: CurrentMonitoring, response: Response, direction: DirectionName, body: m.Acknowledge
) -> m.Acknowledged:
    """Acknowledge the alarms of a direction; who and why are kept with the detector."""
    watch = monitoring.watch
    if watch is None or direction not in watch.detectors:
        raise HTTPException(404, f"No drift detector watches {direction}; see serve --drift.")
    try:
        count = watch.acknowledge(direction, who=body.who, why=body.why, shown=body.alarms)
    except OtherAlarmsError as error:
        raise HTTPException(409, str(error)) from error
    except CheckpointError as error:
        raise HTTPException(503, str(error)) from error
    response.status_code = 201 if count else 200
    report = watch.report()[direction]
    return m.Acknowledged(
        direction=direction,
        status=report["status"],
        acknowledged=report["acknowledged"],
        new=bool(count),
    )


@router.put("/monitors/reference/{direction}", tags=["monitors"], responses=s.errors(*_BODY))
def choose_reference(
    monitoring: CurrentMonitoring, direction: DirectionName, body: m.ChooseReference
) -> m.Reference:
    """Make a registered version the reference of quality; a promotion never does."""
    try:
        return monitoring.choose_reference(direction, body)
    except MoveError as error:
        raise HTTPException(error.status, str(error)) from error


@router.get(
    "/metrics",
    tags=["monitors"],
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
)
def metrics(service: CurrentService) -> Response:
    """Metrics in the text format of Prometheus."""
    return Response(service.monitor.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/strangest", tags=["feedback"], responses=s.errors(422, 503))
def strangest(
    monitoring: CurrentMonitoring,
    direction: DirectionName,
    last: Annotated[int, Query(ge=1, le=1000)] = 200,
    count: Annotated[int, Query(ge=1, le=100)] = 12,
) -> m.Strangest:
    """The strangest of the newest inputs, strangest first, each with the feature that deviates most."""
    return m.Strangest(**monitoring.strangeness.strangest(direction, last, count))


@router.get("/queue", tags=["feedback"], responses=s.errors(422, 503))
def queue(
    monitoring: CurrentMonitoring,
    direction: DirectionName,
    count: Annotated[int, Query(ge=1, le=100)] = 20,
    random_share: Annotated[float, Query(ge=0, le=1, allow_inf_nan=False)] = 0.5,
    last: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> m.Queue:
    """Predictions to label: a random share and the strangest of those without label or verdict."""
    return m.Queue(**monitoring.strangeness.queue(direction, last, count, random_share))


@router.get("/registry", tags=["registry"], responses=s.errors(503))
def registry(monitoring: CurrentMonitoring) -> m.RegistryState:
    """Versions, aliases, and why each became what it is."""
    return monitoring.registry.state()


_MOVED: s.Responses = {200: {"model": m.Moved, "description": "An earlier, equal request had done it."}}
_MOVE: dict[str, Any] = {
    "tags": ["registry"], "status_code": 201, "responses": _MOVED | s.errors(*_BODY),
}  # fmt: skip


@router.post("/registry/{direction}/promotions", **_MOVE)
def promote(
    monitoring: CurrentMonitoring, response: Response, direction: DirectionName, move: m.Move
) -> m.Moved:
    """Make a version the champion. It is loaded and run first; if that fails, nothing is changed."""
    return _moved(monitoring, response, "promote", direction, move)


@router.post("/registry/{direction}/rollbacks", **_MOVE)
def rollback(
    monitoring: CurrentMonitoring, response: Response, direction: DirectionName, move: m.Move
) -> m.Moved:
    """Bring the previous champion back. It is loaded and run first; if that fails, nothing is changed."""
    return _moved(monitoring, response, "rollback", direction, move)


def _moved(monitoring: Monitoring, response: Response, action: str, direction: str, move: m.Move) -> m.Moved:
    try:
        moved: m.Moved = getattr(monitoring.registry, action)(direction, move)
    except MoveError as error:
        raise HTTPException(error.status, str(error)) from error
    response.status_code = 201 if moved.new else 200
    return moved
