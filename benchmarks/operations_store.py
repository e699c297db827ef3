"""The feedback store under fire: kills of its writer, failures of its disk, and what a safe commit costs.

The peer of the commit is the same file with `synchronous=OFF`, which acknowledges before anything is on the
disk. Goals: 0 acknowledged events lost over 200 kills and over every failing write and sync, a flush for
every commit.
"""

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gantrans import ROOT
from gantrans.operations.feedback.store import Store

WRITER = ROOT / "tests" / "store_writer.py"
SHIM = ROOT / "tests" / "fixtures" / "failing_disk.c"


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per question."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [{"question": "kill -9", **_writer("kill", folder, 10 if quick else 200)}]
        if sys.platform == "linux" and shutil.which("cc"):
            shim = folder / "failing_disk.so"
            subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, SHIM, "-ldl"], check=True)
            result = _writer("fail", folder, 10 if quick else 100_000, LD_PRELOAD=str(shim))  # all there are
            rows.append({"question": "every write and sync failing once", **result})
        count = 200 if quick else 2000
        for question, mode in (("commit, synchronous=FULL", "FULL"), ("commit, OFF", "OFF")):
            rows.append({"question": question, **_commits(folder / f"{mode}.sqlite", mode, count)})
        return rows


def _writer(task: str, folder: Path, times: int, **environment: str) -> dict[str, Any]:
    command = [sys.executable, str(WRITER), task, str(folder), str(times)]
    done = subprocess.run(command, env=os.environ | environment, cwd=ROOT, capture_output=True, check=True)
    return json.loads(done.stdout)


def _commits(path: Path, mode: str, count: int) -> dict[str, Any]:
    store = Store(path)
    store._connection.execute(f"PRAGMA synchronous = {mode}")  # of the connection that writes
    milliseconds = []
    for number in range(count):
        start = time.perf_counter()
        store.judge(f"item {number}", "accept", id=str(number))
        milliseconds.append(1000 * (time.perf_counter() - start))
    store.close()
    cuts = statistics.quantiles(milliseconds, n=100)
    return {
        "commits": count,
        "p50_ms": round(cuts[49], 3),
        "p99_ms": round(cuts[98], 3),
        "sqlite": sqlite3.sqlite_version,
    }
