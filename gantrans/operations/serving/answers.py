"""Errors as answers: every one has the shape of `schemas.Error`, whoever raised it."""

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gantrans.errors import DataError, GantransError
from gantrans.operations.feedback import store as feedback
from gantrans.operations.feedback.database import StoreError
from gantrans.operations.serving.calls import GoneError

RETRY_S = 2
GONE = 499  # as in nginx's log; the connection is closed, so the response is not received
_SENTENCES = {
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    416: "The requested range is not in the file.",
}


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of `app` with one sentence in the shape of `schemas.Error`."""
    for kind, handler in (
        (RequestValidationError, _invalid_request),
        (HTTPException, _refused_request),
        (DataError, _unusable_data),
        (StoreError, _store_failure),
        (GantransError, _try_later),  # over time, a network that cannot be run, a file that cannot be written
        (GoneError, lambda *_: Response(status_code=GONE)),
        (Exception, _bug),
    ):
        app.add_exception_handler(kind, handler)  # type: ignore[arg-type]


def error_response(status: int, detail: str, **headers: str) -> JSONResponse:
    """The response; what UTF-8 cannot encode (parts of odd file names) is replaced."""
    return JSONResponse({"detail": detail.encode(errors="replace").decode()}, status, headers)


def retry_response(detail: str) -> JSONResponse:
    """503: the same request may succeed later."""
    return error_response(503, detail, **{"retry-after": str(RETRY_S)})


def _invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    return error_response(422, f"{' '.join(map(str, first['loc']))}: {first['msg']}.")


def _refused_request(_: Request, error: HTTPException) -> JSONResponse:
    if isinstance(error.__cause__, OSError):  # the framework calls every failure to read a body "400"
        reason = error.__cause__.strerror or error.__cause__
        return retry_response(f"The upload could not be kept ({reason}); the server lacks room, try again.")
    detail = str(error.detail)
    if detail in ("Not Found", "Method Not Allowed"):
        detail = _SENTENCES[error.status_code]
    return error_response(error.status_code, f"{detail.rstrip('.')}.", **(error.headers or {}))


def _unusable_data(_: Request, error: DataError) -> JSONResponse:
    return error_response(422, str(error))


def _store_failure(request: Request, error: StoreError) -> JSONResponse:
    if isinstance(error, feedback.ConflictError):
        return error_response(409, str(error))
    if isinstance(error, getattr(feedback, "DamagedPictureError", ())):
        return error_response(410, str(error))
    service = getattr(request.app.state, "service", None)
    if service is not None:
        service.readiness.expire()
    return retry_response(str(error))


def _try_later(_: Request, error: GantransError) -> JSONResponse:
    return retry_response(str(error))


def _bug(_: Request, error: Exception) -> JSONResponse:
    return error_response(500, f"The service failed ({type(error).__name__}); its log has the details.")


class OneShape:
    """ASGI middleware that gives the errors of file routes and of the framework the shape of the others."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced: Response | None = None

        async def shaped(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] >= 400:
                headers = MutableHeaders(scope=message)
                if "json" not in headers.get("content-type", "") and message["status"] != GONE:
                    status = message["status"]
                    sentence = _SENTENCES.get(status, "The request is malformed.")
                    replaced = error_response(status, sentence)
                    for name in ("content-type", "content-length"):
                        headers[name] = replaced.headers[name]
            elif replaced is not None and message["type"] == "http.response.body":
                if message.get("more_body", False):
                    return
                message = {"type": "http.response.body", "body": replaced.body}
            await send(message)

        await self.app(scope, receive, shaped if scope["type"] == "http" else send)
