"""Does the service's memory grow? Two clients translate and label for ten minutes, on loopback.

Goal: the resident memory of the last minute is less than 2 % above that of the second (in the first, caches
fill). Every request is registered with its images, every tenth is labelled, and the monitors are asked now
and then, so that whatever could pile up has the chance. Reads Linux's /proc.
"""

import base64
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.operations_service import serving

MOST = 0.02


def run(quick: bool) -> list[dict[str, Any]]:
    """One row: requests answered, memory at the beginning and at the end, and its growth."""
    minute = 2.0 if quick else 60.0
    with serving(quick) as server:
        process, address, pictures = server.process, server.address, server.pictures
        counts = [0, 0]
        end = time.monotonic() + 10 * minute
        clients = [threading.Thread(target=_use, args=(address, pictures, end, counts, i)) for i in range(2)]
        for client in clients:
            client.start()
        memory = []
        start = time.monotonic()
        while time.monotonic() < end:
            memory.append((time.monotonic() - start, _resident_mb(process)))
            time.sleep(minute / 30)
        for client in clients:
            client.join()
    early, late = (
        statistics.median(mb for at, mb in memory if low * minute <= at < (low + 1) * minute)
        for low in (1, 9)
    )
    return [
        {
            "minutes": round(10 * minute / 60, 1),
            "requests": sum(counts),
            "second_minute_mb": round(early, 1),
            "last_minute_mb": round(late, 1),
            "largest_mb": round(max(mb for _, mb in memory), 1),
            "growth": round(late / early - 1, 4),
            "goal": MOST,
            "met": late / early - 1 < MOST,
        }
    ]


def _use(address: str, pictures: list[bytes], end: float, counts: list[int], client: int) -> None:
    with httpx.Client(base_url=address, timeout=60) as web:
        while time.monotonic() < end:
            asked = {"direction": "sem2layout", "format": "json"}
            answer = web.post("/translate", params=asked, files={"image": pictures[counts[client] % 32]})
            if answer.status_code != 200:
                raise RuntimeError(f"the service answered {answer.status_code}: {answer.text[:200]}")
            counts[client] += 1
            if counts[client] % 10 == 0:
                made = answer.json()
                label = web.put(
                    f"/predictions/{made['id']}/labels/{made['id']}",
                    params={"kind": "corrected"},
                    files={"image": base64.b64decode(made["image"])},
                )
                label.raise_for_status()
            if counts[client] % 100 == 0:
                web.get("/monitors").raise_for_status()
                web.get("/metrics").raise_for_status()


def _resident_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return float(status.split("VmRSS:")[1].split()[0]) / 1024
