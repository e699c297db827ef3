"""The HTTP service: translation and feedback. Every status and type of a response is declared.

The monitors are in `operating.py`.

Health and model metadata (`health.py`) use the paths of the Open Inference Protocol. Translation does not
follow that protocol, because images are sent as files instead of tensors.
"""

import base64
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, FastAPI, HTTPException, Query, Response
from fastapi.responses import JSONResponse
from starlette.types import Scope

from gantrans import __version__
from gantrans.operations.feedback.records import LabelKind, Prediction
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving import health, operating
from gantrans.operations.serving import schemas as s
from gantrans.operations.serving.decode import read_upload
from gantrans.operations.serving.dependencies import (
    Bits,
    CurrentCall,
    CurrentService,
    DirectionName,
    Upload,
)
from gantrans.operations.serving.guard import guard
from gantrans.operations.serving.hosting import LOOPBACK
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.service import Service, TranslationResult

_BODY = (400, 403, 408, 410, 413, 422)
_PNG: s.Responses = {
    200: {"model": s.Translation, "description": "The output.", "content": {"image/png": {}}}
}
_KEPT: s.Responses = {
    201: {"model": s.Kept, "description": "Stored."},
    200: {"model": s.Kept, "description": "Stored by an earlier request with the same id."},
}

translation = APIRouter(tags=["translation"])
feedback = APIRouter(tags=["feedback"])


def serve_app(service: Service, config: IntakeConfig, hosts: tuple[str, ...] = LOOPBACK) -> FastAPI:
    """The application behind `python -m gantrans serve`."""
    app = FastAPI(
        title="gantrans", version=__version__, docs_url=None, redoc_url=None, responses=s.errors(401, 503)
    )
    app.state.service = service
    for router in ROUTERS:
        app.include_router(router)

    def on_response(scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")  # the route's template: few distinct values
        path = "/translate" if scope["path"] == "/translate" else route
        service.monitor.observe_response(path, status, seconds)

    in_progress = service.monitor.in_progress.inc
    guard(app, "serve.html", config, hosts=hosts, on_response=on_response, on_change=in_progress)
    return app


# ---- translation


@translation.post("/translate", response_model=None, responses=_PNG | s.errors(409, *_BODY))
def translate(
    service: CurrentService,
    call: CurrentCall,
    direction: DirectionName,
    image: Upload,
    bits: Bits = None,
    pixel_nm: Annotated[float | None, Query(gt=0, le=1e4, allow_inf_nan=False)] = None,
    seed: Annotated[
        int, Query(ge=0, lt=2**31, description="Seed of the noise of a generator with noise injection.")
    ] = 0,
    format: Literal["png", "json"] = "png",
    id: Annotated[
        s.Id | None, Query(description="Your id of the prediction; with it a request can be repeated.")
    ] = None,
) -> Response:
    """Translate an image. The response is sent after the prediction has been stored.

    The image is read as those of the model's training: channels, white, inverted. The output is a PNG with
    the depth of the image, 8 or 16 bits, in grey or colour; classes have their stored values.
    """
    result = service.translate(
        image.file.read(), direction, id=id or uuid4().hex, bits=bits, pixel_nm=pixel_nm, seed=seed, call=call
    )
    # The name of a run folder can hold anything; a header holds printable ASCII.
    about = {
        "x-prediction-id": result.id,
        "x-model-version": quote(result.version, safe=" !#$&'()*+,/:;=?@[]"),
    }
    if format == "png":
        return Response(result.png, media_type="image/png", headers=about)
    return JSONResponse(_translation(result).model_dump(), headers=about)


def _translation(result: TranslationResult) -> s.Translation:
    def statistics(image: Any) -> s.Statistics:
        return s.Statistics(mean=float(image.mean()), contrast=float(image.std(correction=0)))

    return s.Translation(
        id=result.id,
        direction=result.direction,
        model=result.version,
        width=result.output.shape[-1],
        height=result.output.shape[-2],
        milliseconds={stage: 1000 * seconds for stage, seconds in result.seconds.items()},
        input=statistics(result.input),
        output=None if result.classes else statistics(result.output),
        classes=_shares(result) if result.classes else None,
        image=base64.b64encode(result.png).decode(),
    )


def _shares(result: TranslationResult) -> dict[str, float]:
    counts = result.output.flatten().bincount(minlength=len(result.classes)).double() / result.output.numel()
    return dict(zip(result.classes, counts.tolist(), strict=True))


# ---- feedback


def _find(store: Store, prediction: str) -> Prediction:
    known = store.prediction(prediction)
    if known is None:
        raise HTTPException(404, f"There is no prediction {prediction!r}.")
    return known


def _registered(store: Store, prediction: Prediction) -> s.Registered:
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
        reviewer=verdict.reviewer if verdict else "",
    )


@feedback.get("/predictions", responses=s.errors(422))
def predictions(
    service: CurrentService, last: Annotated[int, Query(ge=1, le=1000)] = 50
) -> list[s.Registered]:
    """The newest predictions, newest first."""
    return [_registered(service.store, p) for p in service.store.predictions(last=last)]


@feedback.get("/predictions/{prediction}", responses=s.errors(404, 422))
def one(service: CurrentService, prediction: s.Id) -> s.Registered:
    """A prediction with its last verdict."""
    return _registered(service.store, _find(service.store, prediction))


@feedback.get(
    "/predictions/{prediction}/{picture}.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}, **s.errors(404, 410, 422)},
)
def picture(service: CurrentService, prediction: s.Id, picture: Literal["input", "output"]) -> Response:
    """The input or the output of a prediction as PNG."""
    name = getattr(_find(service.store, prediction), picture)
    return Response(service.store.png(name), media_type="image/png")


@feedback.put(
    "/predictions/{prediction}/labels/{label}", status_code=201, responses=_KEPT | s.errors(409, *_BODY)
)
def label(
    service: CurrentService,
    response: Response,
    prediction: s.Id,
    label: s.Id,
    kind: LabelKind,
    image: Upload,
    made_at: Annotated[str | None, Query(max_length=40, description="ISO 8601 with a time zone.")] = None,
    bits: Bits = None,
) -> s.Kept:
    """Store the right output of a prediction: measured elsewhere (truth), or corrected by a person.

    A label may be sent at any time, several times, and even before its prediction. It is read as the targets
    of the model's training were: channels, white, values of a mask, classes.
    """
    read = service.label_reading(prediction)
    sent = read_upload(image.file.read(), bits=bits, run_bits=read.bits, side=read.target)
    picture = read.picture(sent.image, sent.depth)
    new = service.store.add_label(label, prediction, kind, picture, made_at=made_at)
    response.status_code = 201 if new else 200
    return s.Kept(new=new, prediction_known=service.store.prediction(prediction) is not None)


@feedback.put(
    "/predictions/{prediction}/verdicts/{event}",
    status_code=201,
    responses=_KEPT | s.errors(404, 409, *_BODY),
)
def judge(
    service: CurrentService, response: Response, prediction: s.Id, event: s.Id, judgement: s.Judgement
) -> s.Kept:
    """Accept an output, which makes it a training pair, or reject it; null withdraws the last verdict."""
    model = _find(service.store, prediction).model
    new = service.store.judge(
        prediction, judgement.verdict, judgement.note, id=event, model=model, reviewer=judgement.reviewer
    )
    response.status_code = 201 if new else 200
    return s.Kept(new=new, prediction_known=True)


ROUTERS = (health.router, translation, feedback, operating.router)
"""All routes of the service; another module's are added here."""
