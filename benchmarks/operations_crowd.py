"""Strangers and crowds: stalled connections at few file descriptors, stalled uploads, and many clients.

Stalled: a service that may open 256 files, and clients that hold half a request line on each of 400
connections and, once a second, open again those that were closed; then 16 uploads of which one byte arrives.
Crowd: 500 clients that translate at once, where 16 have places. Goals: liveness, asked on a new connection
each time, stays under 100 ms; translations are still answered; only 200 and 503 in the crowd; the log stays
empty.
"""

import http.client
import multiprocessing
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from benchmarks.operations_service import percentile, serving

FILES = 256
STALLED = 400
UPLOADS = 16
AGAIN_S = 1.0  # in which all connections that were closed are opened again
GOAL_MS = 100.0


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per question."""
    seconds = 4.0 if quick else 40.0
    rows = []
    with serving(quick, places=16, files=FILES) as server:
        rows.append(_measure("nobody else", server.address, server.pictures[0], seconds / 2, server.log))
        for question, begin in (
            (f"{STALLED} stalled connections, {FILES} files", lambda: _stalled(server.address)),
            (f"{UPLOADS} stalled uploads", lambda: _uploads(server.address)),
        ):
            with begin():
                rows.append(_measure(question, server.address, server.pictures[0], seconds, server.log))
    clients = 100 if quick else 500
    with serving(quick, places=16) as server:
        picture = server.pictures[0]
        with _crowd(server.address, picture, clients) as answers:
            row = _measure(f"{clients} clients", server.address, picture, seconds, server.log)
        told = ", ".join(f"{status}: {count}" for status, count in sorted(answers.items(), key=str))
        rows.append(row | {"answers": told})
    return rows


def _measure(question: str, address: str, picture: bytes, seconds: float, log: Path) -> dict[str, Any]:
    """Liveness on new connections all the time, and a translation now and then."""
    live: list[float] = []
    translations: Counter[object] = Counter()
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end or len(live) < 20:
        start = time.perf_counter()
        with suppress(OSError):
            _ask(address, b"GET /v2/health/live HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
        live.append(1000 * (time.perf_counter() - start))
        number += 1
        if number % 20 == 0:
            translations[_translate(address, picture)] += 1
        time.sleep(0.02)
    return {
        "question": question,
        "live": len(live),
        **{f"live_p{q}_ms": percentile(live, q) for q in (50, 99)},
        "live_max_ms": round(max(live), 1),
        "goal_ms": GOAL_MS,
        "met": percentile(live, 99) < GOAL_MS,
        "translations": ", ".join(f"{s}: {n}" for s, n in sorted(translations.items(), key=str)),
        "log_bytes": log.stat().st_size,
    }


def _ask(address: str, request: bytes) -> bytes:
    url = httpx.URL(address)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(request)
        return connection.recv(100)


def _translate(address: str, picture: bytes) -> object:
    try:
        asked = {"direction": "sem2layout"}
        answer = httpx.post(f"{address}/translate", params=asked, files={"image": picture}, timeout=30)
        return answer.status_code
    except httpx.TransportError as error:
        return type(error).__name__


@contextmanager
def _stalled(address: str) -> Iterator[None]:
    """`STALLED` connections with half a request line, opened again when they are closed."""
    with _apart(_keep_open, address, STALLED, b"GET /v2/hea"):
        yield


@contextmanager
def _uploads(address: str) -> Iterator[None]:
    """`UPLOADS` uploads of 1,000 bytes of which one arrives, begun again when they are refused."""
    host = httpx.URL(address).netloc.decode()
    head = f"POST /translate HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000\r\n\r\nx"
    with _apart(_keep_open, address, UPLOADS, head.encode()):
        yield


@contextmanager
def _crowd(address: str, picture: bytes, count: int) -> Iterator[Counter[object]]:
    """Clients that translate one image after the other; counts their answers after the block."""
    answers: Counter[object] = Counter()
    with _apart(_translate_on, address, count, picture) as results:
        yield answers
    answers.update(results.get())


@contextmanager
def _apart(work: Callable[..., None], address: str, count: int, sent: bytes) -> Iterator[Any]:
    """Run `work` in a process of its own until the end of the block; yields a queue for its result.

    In this process its threads would hold the interpreter's lock, and the measured times would hold them.
    """
    context = multiprocessing.get_context("spawn")
    begun, stop, results = context.Event(), context.Event(), context.Queue()
    process = context.Process(target=work, args=(address, count, sent, begun, stop, results))
    process.start()
    begun.wait()
    try:
        yield results
    finally:
        stop.set()
        process.join()


def _keep_open(address: str, count: int, sent: bytes, begun: Any, stop: Any, results: Any) -> None:
    _raise_limit(2 * count)
    url = httpx.URL(address)
    connections: list[socket.socket | None] = [None] * count
    while not stop.is_set():
        for place, one in enumerate(connections):
            with suppress(OSError):
                if one is not None and _is_open(one):
                    continue
                if one is not None:
                    one.close()
                connections[place] = None
                new = socket.create_connection((url.host, url.port or 80), timeout=1)
                connections[place] = new
                new.sendall(sent)
                stop.wait(AGAIN_S / count if begun.is_set() else 0)  # evenly, not in one burst
        begun.set()
        stop.wait(AGAIN_S)


def _translate_on(address: str, count: int, sent: bytes, begun: Any, stop: Any, results: Any) -> None:
    """Those that are refused wait as they are told."""
    _raise_limit(2 * count)
    url, answers = httpx.URL(address), Counter[object]()
    form = httpx.Request("POST", address, files={"image": sent})
    body, kind = form.read(), form.headers["content-type"]

    def work() -> None:
        web = http.client.HTTPConnection(url.host, url.port or 80, timeout=60)
        while not stop.is_set():
            try:
                web.request("POST", "/translate?direction=sem2layout", body, {"content-type": kind})
                answer = web.getresponse()
                answer.read()
            except OSError as error:
                answers[type(error).__name__] += 1
                web.close()
                continue
            answers[answer.status] += 1
            if answer.status == 503:
                stop.wait(float(answer.getheader("retry-after", "1")))

    clients = [threading.Thread(target=work) for _ in range(count)]
    for one in clients:
        one.start()
    begun.set()
    for one in clients:
        one.join()
    results.put(dict(answers))


def _is_open(connection: socket.socket) -> bool:
    """Whether the server has neither answered nor closed."""
    try:
        connection.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _raise_limit(files: int) -> None:
    """Let this process open that many files beside those that it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files + 200
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
