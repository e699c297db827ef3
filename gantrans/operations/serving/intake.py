"""Admission control in front of the service: authentication, concurrency limit, limits on the upload, time.

The order matters. A framework reads the whole body before it checks anything else, so that an
unauthenticated client could make the server allocate 40 MB. Here the token is compared first, then the
number of requests in progress, and only then is the body read. Its bytes are counted while they arrive,
because a client may omit or misstate the length, and they must arrive at a minimum rate. A request counts as
"in progress" only when its body is complete: an upload that stalls holds a place among the uploads
(`uploads.py`), which a new upload can take. After that, the client is watched, so that no network runs for
one that has left, and the answer is sent when the time limit has passed, whatever the work is doing.
"""

import asyncio
import hmac
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gantrans.config import check_range
from gantrans.operations.serving.answers import error_response, retry_response
from gantrans.operations.serving.calls import Call
from gantrans.operations.serving.uploads import Unfinished, Uploads

CALL = "gantrans.call"
"""The key of a request's `Call` in its scope."""
PART = 2**18  # bytes of a body that the application gets at a time
THREADS = 40  # for requests without a body, beside those for the places


@dataclass(frozen=True)
class IntakeConfig:
    """Limits of admission.

    token: what clients must send as `Authorization: Bearer TOKEN`; None requires no token.
    max_requests: largest number of requests with a body that are handled or queued at the same time; and of
        unfinished uploads beside them.
    body_bytes: largest body in bytes; text_bytes: the same if it is no form, as JSON is parsed in one piece.
    upload_s: time limit of the upload in seconds.
    bytes_per_s: slowest accepted upload, after `grace_s` seconds.
    request_s: time limit of the work on a request, in seconds.
    origins: pages of these origins ("https://host:port") may send requests, beside those of the service.

    Raises:
        ConfigError: a limit is out of range.
    """

    token: str | None = None
    max_requests: int = 16
    body_bytes: int = 20 * 2**20
    text_bytes: int = 2**18
    upload_s: float = 30.0
    bytes_per_s: float = 8192.0
    grace_s: float = 3.0
    request_s: float = 60.0
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_range(self, "max_requests", 1, 1000)
        check_range(self, "body_bytes", 1)
        check_range(self, "text_bytes", 1)
        for name in ("upload_s", "bytes_per_s", "grace_s", "request_s"):
            check_range(self, name, 0.0, open_low=True)


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
        self.uploads = Uploads(config.max_requests, config.bytes_per_s, config.grace_s)
        self._left_behind: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Each place needs a thread that waits for the network; without more, they would take all of them.
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS + self.config.max_requests
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
        refused: ASGIApp
        if not self._authorised(scope["path"], headers):
            refused = error_response(
                401, "Send the token as Authorization: Bearer TOKEN.", **{"www-authenticate": "Bearer"}
            )
        elif scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._forward(scope, receive, send, b"")
            return
        elif _is_foreign(headers, self.config.origins):
            refused = error_response(403, "Pages of other sites must not send requests to this service.")
        elif _length(headers) > (most := self._most_bytes(headers)):
            refused = _too_large(most)
        elif self.in_progress >= self.config.max_requests:
            refused = self._full()
        elif (upload := self.uploads.admit((scope.get("client") or ("",))[0])) is None:
            refused = retry_response(f"{len(self.uploads.open)} uploads are unfinished; try again later.")
        else:
            await self._read_and_forward(scope, receive, send, upload, most)
            return
        await refused(scope, receive, send)

    async def _read_and_forward(
        self, scope: Scope, receive: Receive, send: Send, upload: Unfinished, most: int
    ) -> None:
        body = bytearray()
        try:
            refused = await self._read(receive, upload, body, most)
        except ConnectionAbortedError:
            return
        finally:
            self.uploads.end(upload)
        if refused is None and self.in_progress >= self.config.max_requests:
            refused = self._full()
        if refused is None:
            await self._forward(scope, receive, send, bytes(body), place=True)
        else:
            await refused(scope, receive, send)

    async def _read(self, receive: Receive, upload: Unfinished, body: bytearray, most: int) -> ASGIApp | None:
        """Read the body; returns the refusal if it is too large or too slow.

        Raises:
            ConnectionAbortedError: the client has left.
        """
        until, more = time.monotonic() + self.config.upload_s, True
        displaced: asyncio.Future[Any] = asyncio.ensure_future(upload.displaced.wait())
        part = displaced
        try:
            while more:
                part = asyncio.ensure_future(receive())
                left = min(until - time.monotonic(), self.uploads.left_s(upload))
                await asyncio.wait({part, displaced}, timeout=max(left, 0.0), return_when="FIRST_COMPLETED")
                if not part.done():
                    return self._too_slow(displaced.done())
                message = part.result()
                if message["type"] == "http.disconnect":
                    raise ConnectionAbortedError
                body += message.get("body", b"")
                upload.received = len(body)
                more = message.get("more_body", False)
                if len(body) > most:
                    return _too_large(most)
        finally:
            part.cancel()
            displaced.cancel()
        return None

    async def _forward(
        self, scope: Scope, receive: Receive, send: Send, body: bytes, *, place: bool = False
    ) -> None:
        """Let the application answer; after the time limit answer in its stead and leave it behind."""
        call = scope[CALL] = Call(self.config.request_s)
        watch = asyncio.ensure_future(_watch(receive, call))
        parts = _parts(body)
        started = over = False
        leave = self._enter() if place else lambda: None

        async def replay() -> Message:
            if part := next(parts, None):
                await asyncio.sleep(0)  # others have their turn while a large form is parsed
                return part
            await asyncio.wait({watch})
            return {"type": "http.disconnect"}

        async def send_in_time(message: Message) -> None:
            nonlocal started
            if over:
                return
            started = True
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                leave()  # before the client can send its next request
            await send(message)

        work = asyncio.ensure_future(self._work(scope, replay, send_in_time, leave))
        try:
            await asyncio.wait({work}, timeout=self.config.request_s)
        except asyncio.CancelledError:  # the server stops: what waits for the network need not run
            call.leave()
            work.cancel()
            raise
        finally:
            watch.cancel()
        if work.done():
            work.result()  # raises what the application raised
        elif started:  # the client reads too slowly; the server closes a connection with half a response
            work.cancel()
        else:
            over = True
            self._left_behind.add(work)
            work.add_done_callback(self._left_behind.discard)
            limit = f"The request took longer than {self.config.request_s:g} s; try again later."
            await retry_response(limit)(scope, receive, send)

    async def _work(self, scope: Scope, receive: Receive, send: Send, leave: Callable[[], None]) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            leave()

    def _enter(self) -> Callable[[], None]:
        """Take a place; returns the function that frees it, once."""
        inside = True
        self._move(1)

        def leave() -> None:
            nonlocal inside
            if inside:
                inside = False
                self._move(-1)

        return leave

    def _move(self, change: int) -> None:
        self.in_progress += change
        self.on_change(change)

    def _full(self) -> ASGIApp:
        return retry_response(f"{self.in_progress} requests are in progress already; try again later.")

    def _most_bytes(self, headers: Headers) -> int:
        form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        return self.config.body_bytes if form else min(self.config.text_bytes, self.config.body_bytes)

    def _too_slow(self, displaced: bool) -> ASGIApp:
        reason = (
            "Another upload took the place of this one, which was too slow; send it again."
            if displaced
            else f"The upload took longer than {self.config.upload_s:g} s, or sent fewer than "
            f"{self.config.bytes_per_s:g} bytes/s; send it faster or smaller."
        )
        return error_response(408, reason, connection="close")

    def _authorised(self, path: str, headers: Headers) -> bool:
        if self.config.token is None or path in self.open_paths or path.startswith(self.open_below):
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        sent, right = token.encode("latin-1"), self.config.token.encode(errors="surrogateescape")
        return scheme.lower() == "bearer" and hmac.compare_digest(sent, right)


def _too_large(most: int) -> ASGIApp:
    return error_response(413, f"The body has more than {most:,} bytes; send less.", connection="close")


async def _watch(receive: Receive, call: Call) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    call.leave()


def _parts(body: bytes) -> Iterator[Message]:
    for start in range(0, max(1, len(body)), PART):
        more = start + PART < len(body)
        yield {"type": "http.request", "body": body[start : start + PART], "more_body": more}


def _is_foreign(headers: Headers, allowed: Collection[str]) -> bool:
    """Whether a browser sent the request for a page of another site (cross-site request forgery)."""
    origin = headers.get("origin")
    if origin is None or origin.lower() in allowed:
        return False
    try:
        return urlsplit(origin).netloc != headers.get("host", "")
    except ValueError:  # no browser sends such an origin
        return True


def _length(headers: Headers) -> int:
    """The stated length of the body; 0 if it is missing or malformed, since the bytes are counted anyway."""
    stated = headers.get("content-length", "0")
    return int(stated[:20]) if stated.isascii() and stated.isdigit() else 0
