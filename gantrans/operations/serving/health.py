"""Health and model metadata at the paths of the Open Inference Protocol
(https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol).

`/v2/models`, the list of all models, is an addition; the protocol has no list.
"""

from fastapi import APIRouter, HTTPException, Response

from gantrans import __version__
from gantrans.operations.feedback.kept import legend
from gantrans.operations.serving import schemas as s
from gantrans.operations.serving.dependencies import CurrentService
from gantrans.operations.serving.models import Model
from gantrans.operations.serving.service import Service

router = APIRouter()
_MISSING = s.errors(404)


@router.get("/v2/health/live", tags=["health"])
async def live() -> s.Live:
    """Whether the process responds."""
    return s.Live(live=True)


@router.get(
    "/v2/health/ready", tags=["health"], responses={503: {"model": s.Ready, "description": "Not ready."}}
)
async def ready(service: CurrentService, response: Response) -> s.Ready:
    """Whether a model is loaded and a prediction can be stored: the last result of a probe that writes.

    `problem` is also set while the service is ready but something needs attention, such as a champion that
    cannot be loaded while the previous one is in use.
    """
    state = await service.readiness.state_async()
    response.status_code = 200 if state.ready else 503
    return s.Ready(ready=state.ready, problem=state.problem)


@router.get("/v2", tags=["models"])
def server() -> s.ServerMetadata:
    """Name and version of the server."""
    return s.ServerMetadata(name="gantrans", version=__version__, extensions=[])


@router.get("/v2/models", tags=["models"])
def models(service: CurrentService) -> list[s.ModelMetadata]:
    """Every loaded model, in the order of the table of directions."""
    return [_metadata(service.model(direction)) for direction in service.models.directions()]


@router.get("/v2/models/{name}", tags=["models"], responses=_MISSING)
def model(service: CurrentService, name: str) -> s.ModelMetadata:
    """A model by its direction."""
    return _metadata(_find(service, name))


@router.get("/v2/models/{name}/ready", tags=["models"], responses=_MISSING)
def model_ready(service: CurrentService, name: str) -> s.ModelReady:
    """Whether the model is loaded."""
    return s.ModelReady(name=_find(service, name).direction, ready=True)


@router.get("/v2/models/{name}/versions/{version}", tags=["models"], responses=_MISSING)
def model_version(service: CurrentService, name: str, version: str) -> s.ModelMetadata:
    """A model by its direction and version."""
    return _metadata(_find(service, name, version))


@router.get("/v2/models/{name}/versions/{version}/ready", tags=["models"], responses=_MISSING)
def version_ready(service: CurrentService, name: str, version: str) -> s.ModelReady:
    """Whether this version of the model is loaded."""
    return s.ModelReady(name=_find(service, name, version).direction, ready=True)


def _find(service: Service, name: str, version: str | None = None) -> Model:
    found = service.models.get(name) if name in service.models.directions() else None
    if found is None or version not in (None, found.version):
        raise HTTPException(404, f"There is no model {name!r}{f' {version!r}' if version else ''} here.")
    return found


def _metadata(model: Model) -> s.ModelMetadata:
    data, read = model.predictor.recipe.data, model.reading
    given = s.TensorMetadata(name="image", datatype="FP32", shape=[1, read.input.channels, -1, -1])
    kind, channels = ("UINT8", 1) if read.classes else ("FP32", read.target.channels)
    made = s.TensorMetadata(name="image", datatype=kind, shape=[1, channels, -1, -1])
    return s.ModelMetadata(
        name=model.direction,
        versions=[model.version],
        platform="pytorch",
        inputs=[given],
        outputs=[made],
        parameters={"pixel_nm": data.pixel_nm, "tile_px": data.size},
        classes=[s.ClassShown(**one) for one in legend(read.classes)],
    )
