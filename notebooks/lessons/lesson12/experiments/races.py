"""Claim G28: processes race for the right to start a training, with a clock that the experiment sets.

A race: several processes, each with a new `CoolDown` on one file, claim at the same moment; twelve hours
later they race again. More than one start in the two is a breach. Beside it the obvious code without a lock:
read the file, compare, write.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gantrans.operations.promotion.triggers import HOUR, CoolDown
from gantrans.teaching.sweeps.registry import experiment

HEAD_START = 0.01  # seconds that the racers wait for each other at the line


@dataclass(frozen=True)
class RaceSetting:
    """How many races, of how many processes."""

    races: int
    processes: int


SETTINGS: Mapping[str, RaceSetting] = {
    "smoke": RaceSetting(6, 3),
    "reduced": RaceSetting(240, 4),
    "full": RaceSetting(1000, 8),
}


class Racers:
    """Processes that claim when they are told to."""

    def __init__(self, count: int) -> None:
        command = [sys.executable, "-m", __name__]
        pipe = subprocess.PIPE
        self.processes = [
            subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) for _ in range(count)
        ]

    def claim(self, path: Path, now: float, *, lock: bool = True) -> list[bool]:
        """All claim at once, with the clock at `now`: who may start."""
        start = time.time() + HEAD_START
        order = json.dumps({"path": str(path), "now": now, "lock": lock, "start": start})
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(order + "\n")
        return [bool(json.loads(self._answer(process))) for process in self.processes]

    def _answer(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()

    def __enter__(self) -> "Racers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait()
            process.stdout.close()


def unlocked_claim(path: Path, now: float) -> bool:
    """The obvious code: read, compare, write. Two processes can both read before either writes."""
    if path.exists():
        text = path.read_text()
        if text and now - float(text) < 24 * HOUR:
            return False
    path.write_text(str(now))
    return True


def race(racers: Racers, folder: Path, count: int, *, lock: bool) -> tuple[int, int]:
    """(races with more than one start within 24 hours, races); each race has its own file.

    Raises:
        RuntimeError: a race without any start, or none a day later: a rule that never starts keeps no rule.
    """
    breaches = 0
    for k in range(count):
        path, now = folder / f"{'locked' if lock else 'unlocked'}-{k}", 1e9 + k
        starts = sum(racers.claim(path, now, lock=lock)) + sum(racers.claim(path, now + 12 * HOUR, lock=lock))
        breaches += starts > 1
        if starts == 0 or not any(racers.claim(path, now + 24 * HOUR, lock=lock)):
            raise RuntimeError(f"In race {k} nobody could start; is {folder} writable?")
    return breaches, count


@experiment("G28")
def racing_processes(scale: str) -> dict[str, Any]:
    """Share of races with more than one start: with the lock (the claim), and without it."""
    setting = SETTINGS[scale]
    with tempfile.TemporaryDirectory() as folder, Racers(setting.processes) as racers:
        locked, unlocked = (race(racers, Path(folder), setting.races, lock=lock) for lock in (True, False))
    numbers = {"without a lock": unlocked[0] / unlocked[1], "processes": float(setting.processes)}
    return {"data": locked, "numbers": numbers, "config": setting}


def main(lines: Sequence[str] | None = None) -> None:
    """One racer: read an order per line, wait for its moment, claim, answer."""
    for line in lines or sys.stdin:
        order = json.loads(line)
        path, now = Path(order["path"]), order["now"]
        while time.time() < order["start"]:
            pass
        if order["lock"]:
            granted = CoolDown(path, clock=partial(float, now)).claim().granted
        else:
            granted = unlocked_claim(path, now)
        print(json.dumps(granted), flush=True)


if __name__ == "__main__":
    main()
