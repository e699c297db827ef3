"""The service under load on loopback: what HTTP, decoding, encoding and registering cost on top of the
forward pass, and what happens when four times more clients come than there are places.

Goals: p50 overhead at most 10 ms; no error at capacity; only 503 beyond; liveness p99 under 100 ms.
"""

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gantrans.data import make_pairs
from gantrans.images import unit_from_uint8
from gantrans.operations.feedback.pictures import encode_png
from gantrans.operations.serving.hosting import listen
from gantrans.translation import recipe, train_recipe

PLACES = 4


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per number of clients; the network is the reduced one, barely trained: its cost counts."""
    with serving(quick) as server:
        png, seconds = server.pictures[0], 2 if quick else 20
        return [_load(server.address, png, clients, seconds) for clients in (1, PLACES, 4 * PLACES)]


@dataclass(frozen=True)
class Served:
    """A service on loopback: its process, its address, PNGs for it, and what it printed to stderr."""

    process: int
    address: str
    pictures: list[bytes]
    log: Path


@contextmanager
def serving(quick: bool, places: int = PLACES, files: int | None = None) -> Iterator[Served]:
    """Train a network barely and serve it, with `places` requests at once and `files` open files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scale = "smoke" if quick else "reduced"
        train_recipe(recipe("sem2layout", scale), folder / "run", max_seconds=5, progress=False)
        size = recipe("sem2layout", scale).data.size
        images = make_pairs("procedural", count=32, size=size, progress=False).sem
        pictures = [encode_png(unit_from_uint8(image)) for image in images]
        with listen("127.0.0.1", 0) as free:
            port = free.getsockname()[1]
        command = [
            sys.executable, "-m", "gantrans", "serve", "--run", str(folder / "run"), "--port", str(port),
            "--store", str(folder / "store.sqlite"), "--waiting", str(places),
        ]  # fmt: skip
        if files is not None:
            command = ["prlimit", f"--nofile={files}:{files}", *command]
        log = folder / "log"
        with log.open("w") as errors:
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(server, address)
            yield Served(server.pid, address, pictures, log)
        finally:
            server.terminate()
            server.wait()


def _wait(server: subprocess.Popen, address: str) -> None:
    while True:
        try:
            if httpx.get(f"{address}/v2/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            if server.poll() is not None:
                raise RuntimeError("the service did not start") from None
            time.sleep(0.2)


def _load(address: str, png: bytes, clients: int, seconds: float) -> dict[str, Any]:
    ready = threading.Barrier(clients + 1)  # making a client takes longer than a request
    statuses: Counter[int] = Counter()
    whole: list[float] = []
    overhead: list[float] = []
    live: list[float] = []

    def translate() -> None:
        with httpx.Client(base_url=address, timeout=60) as web:
            ready.wait()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                start = time.perf_counter()
                answer = web.post(
                    "/translate", params={"direction": "sem2layout", "format": "json"}, files={"image": png}
                )
                took = 1000 * (time.perf_counter() - start)
                statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    whole.append(took)
                    overhead.append(took - answer.json()["milliseconds"]["forward"])
                else:
                    time.sleep(0.05)

    def watch() -> None:
        with httpx.Client(base_url=address, timeout=60) as web:
            ready.wait()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                start = time.perf_counter()
                web.get("/v2/health/live")
                live.append(1000 * (time.perf_counter() - start))
                time.sleep(0.02)

    threads = [threading.Thread(target=f) for f in [*[translate] * clients, watch]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "clients": clients,
        "places": PLACES,
        "per_s": round(statuses[200] / seconds, 1),
        **{f"p{q}_ms": percentile(whole, q) for q in (50, 95, 99)},
        "overhead_p50_ms": percentile(overhead, 50) if clients == 1 else "",  # else it holds the waiting, too
        "live_p99_ms": percentile(live, 99),
        "answers": ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())),
    }


def percentile(values: list[float], q: int) -> float:
    """The q-th percentile."""
    return round(statistics.quantiles(values, n=100)[q - 1], 1)
