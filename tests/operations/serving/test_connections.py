"""Connections: strangers who open many and send nothing do not take the service from the others."""

import logging
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response

from gantrans.operations.serving.connections import RESERVED, Limits, limited, most_connections
from gantrans.operations.serving.guard import guard
from gantrans.operations.serving.hosting import listen, server


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/v2/health/live")
    async def live() -> int:
        return 1

    @app.get("/large")
    async def large() -> Response:
        return Response(b"x" * 50_000_000)

    guard(app, "serve.html")
    return app


@pytest.fixture
def start() -> Iterator[Callable[..., int]]:
    """Start a server with limits; returns its port."""
    started: list[tuple[Any, threading.Thread, socket.socket]] = []

    def begin(**limits: Any) -> int:
        listening = listen("127.0.0.1", 0)
        one = server(make_app(), http=limited(Limits(**limits)))
        thread = threading.Thread(target=one.run, kwargs={"sockets": [listening]})
        thread.start()
        started.append((one, thread, listening))
        while not one.started:
            time.sleep(0.01)
        return listening.getsockname()[1]

    yield begin
    for one, thread, listening in started:
        one.should_exit = True
        thread.join(20)
        listening.close()
        assert not thread.is_alive()


def connect(port: int, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(sent)
    return connection


def alive(port: int) -> float:
    """Milliseconds until a new client knows that the service lives."""
    start = time.perf_counter()
    with connect(port, b"GET /v2/health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n") as one:
        assert one.recv(100).startswith(b"HTTP/1.1 200")
    return 1000 * (time.perf_counter() - start)


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_new_request_displaces_connections_that_wait(start: Callable[..., int]) -> None:
    """Half a request line on each of 400 connections: nobody else was answered, the log grew by 150 MB."""
    port = start(connections=10, request_s=60.0)
    stalled = []
    for _ in range(6):
        stalled += [connect(port, b"GET /v2/hea") for _ in range(10)]
        assert alive(port) < 1000  # a loaded machine; the benchmark measures
    assert is_closed(stalled[0])
    assert is_closed(stalled[20])
    stalled[-1].setblocking(False)
    with pytest.raises(BlockingIOError):  # the newest are still there
        stalled[-1].recv(1)
    for one in stalled:
        one.close()


def test_requests_at_work_are_not_displaced(start: Callable[..., int]) -> None:
    port = start(connections=4, request_s=60.0)
    with connect(port, b"GET /large HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n") as working:
        assert working.recv(12) == b"HTTP/1.1 200"
        stalled = [connect(port, b"G") for _ in range(12)]
        assert alive(port) < 1000
        received = 12
        while received < 50_000_000:
            part = working.recv(2**20)
            assert part, f"cut off after {received} bytes"
            received += len(part)
        for one in stalled:
            one.close()


@pytest.mark.parametrize("answered", [False, True])
def test_a_head_that_trickles_is_ended(start: Callable[..., int], answered: bool) -> None:
    """Also on a connection that has been answered, where every byte restarted uvicorn's time limit."""
    port = start(connections=10, request_s=0.5)
    head = b"GET /v2/health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    with connect(port, head + b"\r\n" + head if answered else head) as slow:
        began = time.monotonic()
        if answered:
            assert slow.recv(2000).startswith(b"HTTP/1.1 200")
        with suppress(ConnectionResetError, BrokenPipeError):
            while time.monotonic() - began < 8:
                slow.sendall(b"a")
                time.sleep(0.1)
        assert time.monotonic() - began < 6


def test_a_client_that_does_not_read_is_ended(start: Callable[..., int]) -> None:
    port = start(connections=10, response_s=0.5)
    with connect(port, b"GET /large HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n") as deaf:
        time.sleep(3)
        received = 0
        with suppress(ConnectionResetError):
            while part := deaf.recv(2**20):
                received += len(part)
        assert received < 50_000_000


def test_nonsense_is_answered_in_one_shape_and_not_logged(start: Callable[..., int], caplog) -> None:
    port = start(connections=10)
    head = b"POST /v2/health/live HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
    with caplog.at_level(logging.DEBUG, "uvicorn.error"), caplog.at_level(logging.DEBUG, "asyncio"):
        for sent in (
            b"\x16\x03\x01 nonsense\r\n\r\n",
            b"GET / HTTP/9\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\n\r\n",
            b"x" * 10**5,
        ):
            with connect(port, sent) as one:
                answer = one.recv(1000)  # in one packet
                assert answer.startswith(b"HTTP/1.1 400"), sent[:20]
                assert b'{"detail": "' in answer
        for body in (b"zz\r\n", b"5\r\nabcdefgh\r\n", b"-1\r\n"):
            with connect(port, head + body) as one:
                one.settimeout(10)
                one.recv(1000)
        time.sleep(0.3)
    assert alive(port) < 1000
    noted = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert noted == []


def test_the_number_of_connections_leaves_descriptors_for_the_work() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert most_connections() == 256 - RESERVED
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
        assert most_connections() == 8
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_keep_alive_still_works(start: Callable[..., int]) -> None:
    port = start(connections=4)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as web:
        for _ in range(5):
            assert web.get("/v2/health/live").status_code == 200
