"""The registry under faults and kills, beside the usual way: `torch.save` over the live file.

Every step (write, fsync, rename) of registering, promoting and rolling back fails once, in four ways; then a
loop of promotions and rollbacks is killed at random moments. Afterwards there must be one valid champion,
and nothing that was acknowledged may be lost. A rollback checks all bytes first, here as many as a checkpoint
of the full preset has.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from gantrans.operations.promotion.registry import Registry
from gantrans.training import load_checkpoint
from lessons.lesson12.experiments import kills

KILLS = 200
ROLLBACK_GOAL_S = 1.0
BALLAST_BYTES = 100_000_000  # weights, gradients' moments and D of the full preset


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per operation and kind of fault, one for the kills, one for the usual way, one for times."""
    count = 10 if quick else KILLS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kills.prepared(folder)
        rows = [_faults(folder, operation, how) for operation in kills.OPERATIONS for how in _hows(quick)]
        found = kills.in_a_process("promotions", folder, count)
        wrong = found.lost + found.unreadable + found.without_champion
        rows.append(
            {
                "test": "promotions killed",
                "cases": found.kills,
                "acknowledged": found.acknowledged,
                "wrong": wrong,
                "goal": "0 of >= 100",
                "met": wrong == 0 and found.kills >= 100,
            }
        )
        usual = kills.in_a_process("overwriting", folder / "usual", min(count, 24))
        rows.append(
            {
                "test": "peer: torch.save over the file, killed",
                "cases": usual.kills,
                "wrong": usual.unreadable,
            }
        )
        rows.append(_times(folder, 5 if quick else 50))
    return rows


def _hows(quick: bool) -> tuple[str, ...]:
    return ("half",) if quick else kills.HOWS


def _faults(folder: Path, operation: str, how: str) -> dict[str, Any]:
    faults = kills.inject(folder, operation, how)
    wrong = [f"step {fault.step}: {fault.problem}" for fault in faults if fault.problem]
    return {
        "test": f"{operation}, fault {how}",
        "cases": len(faults),
        "acknowledged": sum(fault.acknowledged for fault in faults),
        "wrong": len(wrong),
        "goal": "0",
        "met": not wrong,
    }


def _times(folder: Path, repeats: int) -> dict[str, Any]:
    """Seconds of a rollback to a version whose checkpoint is as large as one of the full preset."""
    large = {**load_checkpoint(folder / "run0"), "ballast": torch.zeros(BALLAST_BYTES // 4)}
    torch.save(large, folder / "large.pt")
    registry = Registry(folder / "large")
    name = registry.register(folder / "large.pt").name
    registry.promote(kills.DIRECTION)
    other = registry.register(folder / "run1").name
    seconds = []
    for _ in range(repeats):
        registry.promote(kills.DIRECTION, other)
        started = time.perf_counter()
        back = registry.rollback(kills.DIRECTION, why="the benchmark")
        seconds.append(time.perf_counter() - started)
        assert back.name == name
    return {
        "test": f"rollback, {BALLAST_BYTES // 10**6} MB checked",
        "cases": repeats,
        "p50_s": statistics.median(seconds),
        "p95_s": statistics.quantiles(seconds, n=20)[-1],
        "goal": f"< {ROLLBACK_GOAL_S:g} s",
        "met": max(seconds) < ROLLBACK_GOAL_S,
    }
