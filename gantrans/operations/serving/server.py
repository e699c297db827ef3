"""The service over HTTP: translate, label, judge, watch. Every status and type it can answer is declared.

Health and model metadata (`health.py`) have the paths of the Open Inference Protocol; translation does not
follow it: images come as files, not as tensors.
"""

import base64
from enum import IntEnum
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import FastAPI, File, HTTPException, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import Scope

from gantrans import __version__
from gantrans.errors import DataError
from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.records import LabelKind, Prediction
from gantrans.operations.feedback.store import ConflictError
from gantrans.operations.serving import schemas as s
from gantrans.operations.serving.decode import decode
from gantrans.operations.serving.health import add_health
from gantrans.operations.serving.hosting import LOOPBACK, add_pages
from gantrans.operations.serving.intake import RETRY_S, Intake, IntakeConfig
from gantrans.operations.serving.monitors import performance
from gantrans.operations.serving.service import Answer, Service

Direction = Literal["sem2layout", "layout2sem"]
OPEN = ("/", "/web/", "/v2/health/live", "/v2/health/ready")
_BODY = (400, 403, 408, 413, 422, 503)
Upload = Annotated[UploadFile, File(description="PNG, JPEG, TIFF or BMP.")]


class UsedBits(IntEnum):
    """`decode.BITS`, for the document."""

    ten = 10
    twelve = 12
    fourteen = 14
    sixteen = 16


Bits = Annotated[UsedBits | None, Query(description="Used bits of a 16-bit image.")]


def serve_app(service: Service, config: IntakeConfig, hosts: tuple[str, ...] = LOOPBACK) -> FastAPI:
    """The application behind `python -m gantrans serve`."""
    app = FastAPI(
        title="gantrans", version=__version__, docs_url=None, redoc_url=None, responses=s.errors(401)
    )
    _explain_errors(app)
    add_health(app, service)
    _add_translation(app, service)
    _add_predictions(app, service)
    _add_monitors(app, service)

    def finished(scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")  # names, not addresses: they must stay few
        service.monitor.answered(route if scope["path"] != "/translate" else "/translate", status, seconds)

    app.add_middleware(
        Intake, config=config, open_paths=OPEN, finished=finished, moved=service.monitor.inside.inc
    )
    add_pages(app, "serve.html", hosts)
    return app


def _explain_errors(app: FastAPI) -> None:
    """Every error has the same shape, and the library's errors have a status."""

    def answer(status: int, detail: str, **headers: str) -> JSONResponse:
        return JSONResponse({"detail": detail}, status, headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return answer(422, f"{' '.join(map(str, first['loc']))}: {first['msg']}.")

    @app.exception_handler(StarletteHTTPException)
    def refused(_: Request, error: StarletteHTTPException) -> JSONResponse:
        return answer(error.status_code, str(error.detail), **(error.headers or {}))

    @app.exception_handler(DataError)
    def unusable(_: Request, error: DataError) -> JSONResponse:
        return answer(422, str(error))

    @app.exception_handler(StoreError)
    def not_kept(_: Request, error: StoreError) -> JSONResponse:
        if isinstance(error, ConflictError):
            return answer(409, str(error))
        return answer(503, str(error), **{"retry-after": str(RETRY_S)})


def _add_translation(app: FastAPI, service: Service) -> None:
    png: s.Responses = {
        200: {"model": s.Translation, "description": "The output.", "content": {"image/png": {}}}
    }

    @app.post("/translate", tags=["translation"], response_model=None, responses=png | s.errors(409, *_BODY))
    def translate(
        direction: Direction,
        image: Upload,
        bits: Bits = None,
        pixel_nm: Annotated[float | None, Query(gt=0, le=1e4, allow_inf_nan=False)] = None,
        seed: Annotated[int, Query(ge=0, lt=2**31, description="Draws the noise of layout2sem.")] = 0,
        format: Literal["png", "json"] = "png",
        id: Annotated[s.Id | None, Query(description="Your name for it, so that you may try again.")] = None,
    ) -> Response:
        """Translate an image. The answer is sent once the prediction is registered."""
        answer = service.translate(
            image.file.read(), direction, id=id or uuid4().hex, bits=bits, pixel_nm=pixel_nm, seed=seed
        )
        about = {"x-prediction-id": answer.id, "x-model-version": answer.version}
        if format == "png":
            return Response(answer.png, media_type="image/png", headers=about)
        return JSONResponse(_translation(answer).model_dump(), headers=about)


def _add_predictions(app: FastAPI, service: Service) -> None:
    store = service.store
    kept: s.Responses = {
        201: {"model": s.Kept, "description": "Kept."},
        200: {"model": s.Kept, "description": "It had come before."},
    }

    def found(prediction: str) -> Prediction:
        known = store.prediction(prediction)
        if known is None:
            raise HTTPException(404, f"There is no prediction {prediction!r}.")
        return known

    def shown(prediction: Prediction) -> s.Registered:
        verdict = store.verdict(prediction.id)
        return s.Registered(
            id=prediction.id,
            direction=prediction.direction,
            model=prediction.model,
            pixel_nm=prediction.pixel_nm,
            seconds=prediction.seconds,
            made_at=prediction.made_at,
            verdict=verdict.verdict if verdict else None,
            note=verdict.note if verdict else "",
        )

    @app.get("/predictions", tags=["feedback"], responses=s.errors(422))
    def predictions(last: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[s.Registered]:
        """The newest predictions, newest first."""
        return [shown(p) for p in store.predictions(last=last)]

    @app.get("/predictions/{prediction}", tags=["feedback"], responses=s.errors(404, 422))
    def one(prediction: s.Id) -> s.Registered:
        return shown(found(prediction))

    @app.get(
        "/predictions/{prediction}/{picture}.png",
        tags=["feedback"],
        response_class=Response,
        responses={200: {"content": {"image/png": {}}}, **s.errors(404, 422)},
    )
    def picture(prediction: s.Id, picture: Literal["input", "output"]) -> Response:
        return Response(store.png(getattr(found(prediction), picture)), media_type="image/png")

    @app.put(
        "/predictions/{prediction}/labels/{label}",
        tags=["feedback"],
        status_code=201,
        responses=kept | s.errors(409, *_BODY),
    )
    def label(
        response: Response,
        prediction: s.Id,
        label: s.Id,
        kind: LabelKind,
        image: Upload,
        made_at: Annotated[str | None, Query(max_length=40, description="ISO 8601 with a time zone.")] = None,
        bits: Bits = None,
    ) -> s.Kept:
        """Say what an output should have been: measured elsewhere (truth), or corrected by a person.

        It may come at any time, again, and even before the prediction.
        """
        decoded = decode(image.file.read(), bits=bits)
        new = store.add_label(label, prediction, kind, decoded, made_at=made_at)
        response.status_code = 201 if new else 200
        return s.Kept(new=new, prediction_known=store.prediction(prediction) is not None)

    @app.put(
        "/predictions/{prediction}/verdicts/{event}",
        tags=["feedback"],
        status_code=201,
        responses=kept | s.errors(404, 409, *_BODY),
    )
    def judge(response: Response, prediction: s.Id, event: s.Id, judgement: s.Judgement) -> s.Kept:
        """Accept an output (it becomes a pair for training), or reject it; null takes that back."""
        model = found(prediction).model
        new = store.judge(prediction, judgement.verdict, judgement.note, id=event, model=model)
        response.status_code = 201 if new else 200
        return s.Kept(new=new, prediction_known=True)


def _add_monitors(app: FastAPI, service: Service) -> None:
    @app.get("/monitors", tags=["monitors"])
    def monitors() -> s.Monitors:
        """Is the service up? Has the input changed? Is the output right?"""
        return s.Monitors(
            operational=service.monitor.report(),
            drift=service.inputs.report() if service.inputs else None,
            performance=performance(service.store),
            store=service.store.counts(),
            problems=service.models.problems,
        )

    @app.get(
        "/metrics",
        tags=["monitors"],
        response_class=Response,
        responses={200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
    )
    def metrics() -> Response:
        """For Prometheus."""
        return Response(service.monitor.text(), media_type=CONTENT_TYPE_LATEST)


def _translation(answer: Answer) -> s.Translation:
    def statistics(image: Any) -> s.Statistics:
        return s.Statistics(mean=float(image.mean()), contrast=float(image.std(correction=0)))

    return s.Translation(
        id=answer.id,
        direction=answer.direction,
        model=answer.version,
        width=answer.output.shape[-1],
        height=answer.output.shape[-2],
        milliseconds={stage: 1000 * seconds for stage, seconds in answer.seconds.items()},
        input=statistics(answer.input),
        output=statistics(answer.output),
        image=base64.b64encode(answer.png).decode(),
    )
