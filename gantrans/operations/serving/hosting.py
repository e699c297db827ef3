"""Web pages, security headers and the server process of the review page and the service."""

import re
import signal
import socket
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gantrans.errors import ConfigError
from gantrans.operations.serving.answers import error_response

if TYPE_CHECKING:
    import uvicorn

WEB = Path(__file__).parent / "web"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
STOP_S = 5  # how long requests may go on after SIGTERM; Docker kills after 10 s
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/?#@\[\]]+))(?::[0-9]{0,5})?")
_HEADERS = {
    # Pages load nothing from other origins, cannot be framed, make no markup of text, and their content types
    # are not guessed.
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'; object-src 'none'; require-trusted-types-for 'script'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class SecureHeaders:
    """ASGI middleware that adds `_HEADERS` to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class HostCheck:
    """ASGI middleware that refuses requests whose Host header names none of `hosts` ("*": any).

    Otherwise a page of another site could reach this service under its own host name (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app, self.hosts = app, frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "*" not in self.hosts:
            found = _HOST.fullmatch(Headers(scope=scope).get("host", ""))
            if not found or (found[1] or found[2]).lower() not in self.hosts:
                reason = "The Host header names another host; use the address that the service printed."
                await error_response(400, reason)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def add_pages(app: FastAPI, page: str, hosts: tuple[str, ...] = LOOPBACK) -> None:
    """Serve `page` of the web folder at / and its files at /web; check hosts and add security headers."""

    @app.get("/", include_in_schema=False)
    def root() -> FileResponse:
        return FileResponse(WEB / page)

    app.mount("/web", StaticFiles(directory=WEB), name="web")
    app.add_middleware(HostCheck, hosts=hosts)
    app.add_middleware(SecureHeaders)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free port.

    Raises:
        ConfigError: the address is in use, or it is not an address of this machine.
    """
    try:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        # Connections inherit the option. asyncio sets it only for sockets that it creates; without it the
        # second packet of a response waits 40 ms for the client's acknowledgement of the first.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise ConfigError(
            f"Cannot bind to {host}, port {port} ({error.strerror or error}); stop the other "
            "program or choose another --port."
        ) from error


def server(app: FastAPI, **settings: Any) -> "uvicorn.Server":
    """The server process's main object, with limits on connections; `settings` are those of uvicorn."""
    import uvicorn

    from gantrans.operations.serving.connections import ACCEPTED_AT_ONCE, BoundedServer, limited

    defaults: dict[str, Any] = {
        "http": limited(),
        "loop": "asyncio",
        "ws": "none",
        "backlog": ACCEPTED_AT_ONCE,
        "log_level": "error",  # a warning for each malformed request: strangers would fill the disk
        "server_header": False,
        "timeout_graceful_shutdown": STOP_S,
    }
    return BoundedServer(uvicorn.Config(app, **defaults | settings))


def serve(app: FastAPI, listening: socket.socket, *, browser: bool = False, **settings: Any) -> None:
    """Serve requests until Ctrl+C or SIGTERM; call it from the main thread."""
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # as Ctrl+C, so that the caller's `finally` runs

    host, port = listening.getsockname()[:2]
    if browser:
        opener = threading.Timer(0.5, webbrowser.open, (f"http://{host}:{port}/",))
        opener.daemon = True
        opener.start()
    with suppress(KeyboardInterrupt):  # Ctrl+C is the regular way to stop the server
        server(app, **settings).run(sockets=[listening])
