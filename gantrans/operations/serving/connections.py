"""Limits on connections: how many, how long a request may take to arrive, and a response to leave.

An HTTP server that waits for requests without a limit is stopped by anyone who opens connections and sends
half a line on each: when the process has no file descriptor left, no other client can connect. Here the
number of connections stays below the number of descriptors, and a new connection displaces the one that has
waited longest without a request. Connections whose request is being answered are never displaced.
"""

import asyncio
import functools
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

ACCEPTED_AT_ONCE = 16  # by asyncio in one step; too late to displace others before they are there
QUEUE = 1024  # connections that the system keeps until they are accepted
RESERVED = 64 + 4 * ACCEPTED_AT_ONCE  # descriptors for everything else
LARGEST = 2000


@dataclass(frozen=True)
class Limits:
    """connections: largest number. request_s: time for the head of a request to arrive, counted from the
    connection or from the previous response. response_s: time in which the client must take a response.
    """

    connections: int
    request_s: float = 10.0
    response_s: float = 30.0


def most_connections() -> int:
    """How many connections the descriptors of this process allow."""
    try:
        import resource
    except ImportError:  # Windows
        return LARGEST
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed == resource.RLIM_INFINITY:
        return LARGEST
    return max(8, min(LARGEST, allowed - RESERVED))


def limited(limits: Limits | None = None) -> Callable[..., "Connection"]:
    """A protocol for uvicorn's `http` setting."""
    return functools.partial(Connection, limits=limits or Limits(most_connections()))


class Connection(H11Protocol):
    """An HTTP connection with `Limits`; `BoundedServer` calls `enforce` once a second."""

    def __init__(self, *arguments: Any, limits: Limits, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.limits = limits
        self.aborted = False
        self._waiting_since = self.loop.time()
        self._unread_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        held = [c for c in cast("set[Connection]", self.connections) if not c.aborted]
        if len(held) > self.limits.connections:
            others = [c for c in held if c is not self and c.is_waiting()]
            idle = [c for c in others if not c.transport.get_write_buffer_size()]
            min(idle or others, key=lambda c: c._waiting_since, default=self).abort()

    def is_waiting(self) -> bool:
        """Whether there is no request that is not answered; a part of the answer may still be unread."""
        return self.cycle is None or self.cycle.response_complete

    def on_response_complete(self) -> None:
        self._waiting_since = self.loop.time()
        super().on_response_complete()

    def enforce(self) -> None:
        """Close the connection if its client has been too slow."""
        now = self.loop.time()
        if not self.transport.get_write_buffer_size():
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        if (self._unread_since is not None and now - self._unread_since > self.limits.response_s) or (
            self._unread_since is None
            and self.is_waiting()
            and now - self._waiting_since > self.limits.request_s
        ):
            self.abort()

    def abort(self) -> None:
        """Close the connection at once, whatever has not been sent."""
        self.aborted = True
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer a malformed request in the shape of all errors."""
        body = json.dumps({"detail": "The request is not HTTP/1.1, or its head is too long."}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application must not answer, too
            self.cycle.message_event.set()
        try:
            events = (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            )
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        except h11.LocalProtocolError:  # a response has begun: it is cut off
            self.abort()
        self.transport.close()


class BoundedServer(uvicorn.Server):
    """uvicorn's server, which enforces the limits of its connections once a second."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen with a long queue; asyncio uses one number for it and for `ACCEPTED_AT_ONCE`."""
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(QUEUE)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if counter % 10 == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.enforce()
        return await super().on_tick(counter)
