"""Routes of the monitors: their present state, and the metrics for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from gantrans.operations.serving import schemas as s
from gantrans.operations.serving.dependencies import CurrentService
from gantrans.operations.serving.monitors import performance

router = APIRouter(tags=["monitors"])


@router.get("/monitors")
def monitors(service: CurrentService) -> s.Monitors:
    """State of the service, drift of the inputs, and quality of the outputs that have a label."""
    return s.Monitors(
        operational=service.monitor.report(),
        drift=service.inputs.report() if service.inputs else None,
        performance=performance(service.store),
        store=service.store.counts(),
        problems=service.models.problems,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
)
def metrics(service: CurrentService) -> Response:
    """Metrics in the text format of Prometheus."""
    return Response(service.monitor.text(), media_type=CONTENT_TYPE_LATEST)
