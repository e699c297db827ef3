"""How well a grid fills its workers, and what a run costs beyond its work.

Every run burns a fixed amount of CPU time in one thread, so that two workers on two free cores could at best
do twice the work of one. Throughput is work done per second of wall time from the first start to the last end
of a run, on W workers over W times that on one; the overhead of a run is its wall time less that of the work.
There is no peer: the same runs as plain calls have no overhead and no notebooks.
"""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from gantrans.teaching.sweeps import read_grid, run_grid
from gantrans.teaching.sweeps.task import RUNS

GOAL = 0.9
WORKERS = (1, 2)
GRID = """
title = "Work"
notebook = "work.ipynb"
seeds = {{ smoke = {count} }}
minutes = {{ smoke = 1 }}

[factors]
cpu_seconds = [{seconds}]
"""
PARAMETERS = "cpu_seconds = 1.0\nseed = 0\nscale = 'smoke'\nout = None"
WORK = """
import time

from gantrans.teaching.sweeps import save_row

start, end = time.perf_counter(), time.process_time() + cpu_seconds
while time.process_time() < end:
    sum(range(1000))
save_row({"wall": time.perf_counter() - start}, out)"""


def run(quick: bool) -> list[dict[str, Any]]:
    """A row per number of workers."""
    seconds, each = (1.0, 1) if quick else (20.0, 3)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="gantrans-") as folder:
        grid_file = Path(folder) / "work.toml"
        cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell(WORK)]
        nbformat.write(new_notebook(cells=cells), Path(folder) / "work.ipynb")
        for workers in WORKERS:
            count = each * workers
            grid_file.write_text(GRID.format(count=count, seconds=seconds))
            rows.append(_measure(grid_file, Path(folder) / f"on-{workers}", workers, count, seconds, rows))
    return rows


def _measure(
    grid_file: Path, out: Path, workers: int, count: int, seconds: float, earlier: list[dict[str, Any]]
) -> dict[str, Any]:
    load = os.getloadavg()[0]
    began = time.perf_counter()
    report = run_grid(read_grid(grid_file), "smoke", out, workers=workers)
    whole = time.perf_counter() - began
    if not report.complete:
        raise RuntimeError(f"A run of the benchmark failed: {report}")
    abouts = [json.loads(path.read_text()) for path in (out / RUNS).glob("*/run.json")]
    walls = [json.loads(path.read_text())["row"]["wall"] for path in (out / RUNS).glob("*/results.json")]
    span = max(a["started"] + a["seconds"] for a in abouts) - min(a["started"] for a in abouts)
    throughput = count * seconds / span
    share = throughput / (workers * earlier[0]["work_per_s"]) if earlier else 1.0
    return {
        "workers": workers,
        "runs": count,
        "cpu_s_per_run": seconds,
        "load_before": load,
        "whole_s": whole,
        "span_s": span,
        "work_per_s": throughput,
        "share_of_W_times_one": share,
        "overhead_per_run_s": (sum(a["seconds"] for a in abouts) - sum(walls)) / count,
        "goal": GOAL,
        "met": share >= GOAL,
    }
