"""Health and model metadata at the paths of the Open Inference Protocol
(https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol).
"""

from fastapi import FastAPI, HTTPException, Response

from gantrans import __version__
from gantrans.operations.serving import schemas as s
from gantrans.operations.serving.models import Model
from gantrans.operations.serving.service import Service


def add_health(app: FastAPI, service: Service) -> None:
    @app.get("/v2/health/live", tags=["health"])
    async def live() -> s.Live:
        return s.Live(live=True)

    @app.get(
        "/v2/health/ready", tags=["health"], responses={503: {"model": s.Ready, "description": "Not ready."}}
    )
    def ready(response: Response) -> s.Ready:
        problem = service.problem()
        response.status_code = 503 if problem else 200
        return s.Ready(ready=problem is None, problem=problem)

    @app.get("/v2", tags=["models"])
    def server() -> s.ServerMetadata:
        return s.ServerMetadata(name="gantrans", version=__version__, extensions=[])

    def model_of(name: str, version: str | None = None) -> Model:
        model = service.models.get(name) if name in service.models.directions() else None
        if model is None or version not in (None, model.version):
            raise HTTPException(404, f"There is no model {name!r}{f' {version!r}' if version else ''} here.")
        return model

    missing = s.errors(404)

    @app.get("/v2/models/{name}", tags=["models"], responses=missing)
    def model(name: str) -> s.ModelMetadata:
        return _metadata(model_of(name))

    @app.get("/v2/models/{name}/ready", tags=["models"], responses=missing)
    def model_ready(name: str) -> s.ModelReady:
        return s.ModelReady(name=model_of(name).direction, ready=True)

    @app.get("/v2/models/{name}/versions/{version}", tags=["models"], responses=missing)
    def model_version(name: str, version: str) -> s.ModelMetadata:
        return _metadata(model_of(name, version))

    @app.get("/v2/models/{name}/versions/{version}/ready", tags=["models"], responses=missing)
    def version_ready(name: str, version: str) -> s.ModelReady:
        return s.ModelReady(name=model_of(name, version).direction, ready=True)


def _metadata(model: Model) -> s.ModelMetadata:
    images = s.TensorMetadata(name="image", datatype="FP32", shape=[1, 1, -1, -1])
    data = model.predictor.recipe.data
    return s.ModelMetadata(
        name=model.direction,
        versions=[model.version],
        platform="pytorch",
        inputs=[images],
        outputs=[images],
        parameters={"pixel_nm": data.pixel_nm, "tile_px": data.size},
    )
