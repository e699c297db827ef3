"""The gate in front of the service: who may come in, how many at a time, and how much they may bring.

The order matters. A framework reads the body before it looks at anything else, so that a stranger could make
the server hold 40 MB; here the token is compared first, then a place must be free, and only then is the body
read: counted while it arrives (a client need not say its length, or may lie), and for a limited time.
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
    """What the gate lets in.

    token: what clients must send as `Authorization: Bearer TOKEN`; None lets everybody in.
    places: requests with a body that are in the house at the same time, waiting ones included.
    body_bytes: largest body. upload_s: seconds in which it must have arrived.
    """

    token: str | None = None
    places: int = 16
    body_bytes: int = 20 * 2**20
    upload_s: float = 30.0

    def __post_init__(self) -> None:
        check_range(self, "places", 1, 1000)
        check_range(self, "body_bytes", 1)
        check_range(self, "upload_s", 0.0, open_low=True)


class Intake:
    """ASGI middleware, see the module's text.

    Args:
        open_paths: need no token: health, and the page that asks for the token. One that ends in / stands for
            all below it.
        finished: called with (scope, status, seconds) after every answer.
        moved: called with +1 and -1 when a place is taken and left.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: IntakeConfig,
        open_paths: Collection[str],
        finished: Callable[[Scope, int, float], None],
        moved: Callable[[int], None],
    ) -> None:
        self.app, self.config, self.finished, self.moved = app, config, finished, moved
        self.open_paths = frozenset(open_paths)
        self.open_below = tuple(path for path in open_paths if path.endswith("/") and path != "/")
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._admit(scope, receive, noting)
        finally:
            self.finished(scope, status, time.perf_counter() - started)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if not self._knows(scope["path"], headers):
            await _refuse(
                401, "Send the token as Authorization: Bearer TOKEN.", scope, receive, send,
                {"www-authenticate": "Bearer"},
            )  # fmt: skip
        elif scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
        elif _is_foreign(headers):
            await _refuse(403, "Other sites may not send to this service.", scope, receive, send, {})
        elif _length(headers) > self.config.body_bytes:
            await self._too_large(scope, receive, send)
        elif self.inside >= self.config.places:
            await _refuse(
                503, f"{self.inside} requests are waiting already; try again later.", scope, receive, send,
                {"retry-after": str(RETRY_S)},
            )  # fmt: skip
        else:
            self._move(1)
            try:
                await self._read_and_answer(scope, receive, send)
            finally:
                self._move(-1)

    def _move(self, change: int) -> None:
        self.inside += change
        self.moved(change)

    async def _read_and_answer(self, scope: Scope, receive: Receive, send: Send) -> None:
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

    def _knows(self, path: str, headers: Headers) -> bool:
        if self.config.token is None or path in self.open_paths or path.startswith(self.open_below):
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), self.config.token.encode())


def _is_foreign(headers: Headers) -> bool:
    """Sent by a browser for the page of another site, which could else upload behind a person's back."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


def _length(headers: Headers) -> int:
    """The length a client states; 0 if it states none, or nonsense: the bytes are counted anyway."""
    stated = headers.get("content-length", "0")
    return int(stated) if stated.isascii() and stated.isdigit() else 0


async def _refuse(
    status: int, reason: str, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]
) -> None:
    await JSONResponse({"detail": reason}, status, headers)(scope, receive, send)
