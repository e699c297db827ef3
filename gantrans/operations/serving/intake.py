"""Admission control in front of the service: authentication, concurrency limit, limits on the upload.

The order matters. A framework reads the whole body before it checks anything else, so that an
unauthenticated client could make the server allocate 40 MB. Here the token is compared first, then the
number of requests in progress, and only then is the body read. Its bytes are counted while they arrive,
because a client may omit or misstate the length, and the time for the upload is limited.
"""

import asyncio
import hmac
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gantrans.config import check_range

RETRY_S = 2


@dataclass(frozen=True)
class IntakeConfig:
    """Limits of admission.

    token: what clients must send as `Authorization: Bearer TOKEN`; None requires no token.
    max_requests: largest number of requests with a body that are handled or queued at the same time.
    body_bytes: largest body in bytes. upload_s: time limit of the upload in seconds.

    Raises:
        ConfigError: a limit is out of range.
    """

    token: str | None = None
    max_requests: int = 16
    body_bytes: int = 20 * 2**20
    upload_s: float = 30.0

    def __post_init__(self) -> None:
        check_range(self, "max_requests", 1, 1000)
        check_range(self, "body_bytes", 1)
        check_range(self, "upload_s", 0.0, open_low=True)


class Intake:
    """ASGI middleware that applies an `IntakeConfig`; see the module's text for the order of the checks.

    Args:
        open_paths: paths that need no token: health, and the page on which the token is entered. A path that
            ends in / includes everything below it.
        on_response: called with (scope, status, seconds) after every response.
        on_change: called with +1 and -1 when a request with a body starts and ends.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: IntakeConfig,
        open_paths: Collection[str],
        on_response: Callable[[Scope, int, float], None],
        on_change: Callable[[int], None],
    ) -> None:
        self.app, self.config, self.on_response, self.on_change = app, config, on_response, on_change
        self.open_paths = frozenset(open_paths)
        self.open_below = tuple(path for path in open_paths if path.endswith("/") and path != "/")
        self.in_progress = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._admit(scope, receive, send_and_note_status)
        finally:
            self.on_response(scope, status, time.perf_counter() - started)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if not self._authorised(scope["path"], headers):
            await _refuse(
                401, "Send the token as Authorization: Bearer TOKEN.", scope, receive, send,
                {"www-authenticate": "Bearer"},
            )  # fmt: skip
        elif scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
        elif _is_foreign(headers):
            await _refuse(
                403, "Pages of other sites must not send requests to this service.", scope, receive, send, {}
            )
        elif _length(headers) > self.config.body_bytes:
            await self._too_large(scope, receive, send)
        elif self.in_progress >= self.config.max_requests:
            await _refuse(
                503, f"{self.in_progress} requests are in progress already; try again later.", scope, receive,
                send, {"retry-after": str(RETRY_S)},
            )  # fmt: skip
        else:
            self._move(1)
            try:
                await self._read_and_forward(scope, receive, send)
            finally:
                self._move(-1)

    def _move(self, change: int) -> None:
        self.in_progress += change
        self.on_change(change)

    async def _read_and_forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(self.config.upload_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self.config.body_bytes:
                        await self._too_large(scope, receive, send)
                        return
        except TimeoutError:
            reason = f"The upload took longer than {self.config.upload_s:g} s; send it faster or smaller."
            await _refuse(408, reason, scope, receive, send, {"connection": "close"})
            return
        whole: Message | None = {"type": "http.request", "body": bytes(body), "more_body": False}

        async def replay() -> Message:
            nonlocal whole
            if whole is None:
                return await receive()
            message, whole = whole, None
            return message

        await self.app(scope, replay, send)

    async def _too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = f"The body has more than {self.config.body_bytes:,} bytes; send a smaller image."
        await _refuse(413, reason, scope, receive, send, {"connection": "close"})

    def _authorised(self, path: str, headers: Headers) -> bool:
        if self.config.token is None or path in self.open_paths or path.startswith(self.open_below):
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), self.config.token.encode())


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser sent the request for a page of another site (cross-site request forgery)."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


def _length(headers: Headers) -> int:
    """The stated length of the body; 0 if it is missing or malformed, since the bytes are counted anyway."""
    stated = headers.get("content-length", "0")
    return int(stated) if stated.isascii() and stated.isdigit() else 0


async def _refuse(
    status: int, reason: str, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]
) -> None:
    await JSONResponse({"detail": reason}, status, headers)(scope, receive, send)
