"""Lesson 12: fail every step of a promotion once, kill promotions at random moments, and look what is left.

Faults: the n-th write, fsync or rename raises an error (before it happens, half way, or after it happened),
or kills the process, for every n. Kills: SIGKILL at a random moment of a loop of promotions and rollbacks;
what the process had acknowledged, it had told its parent through a pipe.
"""

import errno
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from gantrans.config import to_dict
from gantrans.data import BatchSource, make_pairs
from gantrans.errors import GantransError
from gantrans.networks import PatchGANConfig, ResidualUNetConfig
from gantrans.operations.promotion.disk import Disk, DiskError
from gantrans.operations.promotion.registry import Registry
from gantrans.training import FitConfig, fit
from gantrans.translation import DataSpec, Pix2PixConfig, Pix2PixTask, Recipe

DIRECTION = "sem2layout"
HOWS = ("before", "half", "after", "kill")
OPERATIONS: dict[str, Callable[[Registry, Path], object]] = {
    "register": lambda registry, run: registry.register(run),
    "promote": lambda registry, _: registry.promote(DIRECTION, "v0003"),
    "rollback": lambda registry, _: registry.rollback(DIRECTION, why="a fault is being injected"),
}


class FailingDisk(Disk):
    """A disk whose n-th step (write, fsync or rename) fails.

    how: "before" it happens, "half" way (a write only), "after" it happened, or "kill" the process there.
    """

    def __init__(self, n: int, how: str = "before") -> None:
        self.n, self.how, self.count = n, how, 0

    def write(self, handle: int, data: bytes | memoryview) -> int:
        """Write, or fail; half way, a half of the data has arrived."""
        if self._now() and self.how == "half":
            super().write(handle, data[: len(data) // 2])
        self._fail()
        written = super().write(handle, data)
        self._fail(after=True)
        return written

    def fsync(self, handle: int) -> None:
        """Sync, or fail."""
        self._now()
        self._fail()
        super().fsync(handle)
        self._fail(after=True)

    def rename(self, source: Path, target: Path) -> None:
        """Rename, or fail."""
        self._now()
        self._fail()
        super().rename(source, target)
        self._fail(after=True)

    def _now(self) -> bool:
        self.count += 1
        return self.count == self.n

    def _fail(self, *, after: bool = False) -> None:
        if self.count != self.n or after != (self.how == "after"):
            return
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def tiny_run(folder: Path, seed: int) -> Path:
    """A translator after one step, small enough to copy thousands of times."""
    task = Pix2PixConfig(
        ResidualUNetConfig(base_filters=2, multipliers=(1, 2)), PatchGANConfig(base_filters=2, n_layers=1)
    )
    recipe = Recipe(DIRECTION, DataSpec(size=16, count=4, validation=4), task, FitConfig(1, precision="fp32"))
    pairs = make_pairs("procedural", count=4, size=16, seed=seed, progress=False)
    batches = BatchSource(pairs, DIRECTION, 2, seed)
    extra = {"recipe": to_dict(recipe)}
    fit(Pix2PixTask(task, seed), batches, recipe.fit, out=folder, extra=extra, progress=False, device="cpu")
    return folder


def prepared(folder: Path) -> tuple[Registry, Path]:
    """A registry with champion v0002, previous v0001 and challenger v0003; and a run to register."""
    registry = Registry(folder / "registry")
    for seed in range(3):
        registry.register(tiny_run(folder / f"run{seed}", seed))
        if seed < 2:
            registry.promote(DIRECTION)
    return registry, folder / "run0"


@dataclass(frozen=True)
class Fault:
    """What one fault left: which step failed, whether it was acknowledged, and what is wrong (nothing)."""

    operation: str
    how: str
    step: int
    acknowledged: bool
    champion: str
    problem: str


def inject(folder: Path, operation: str, how: str) -> list[Fault]:
    """Run an operation on copies of a prepared registry, with a fault at its 1st, 2nd, ... step in turn.

    `folder` holds what `prepared` made. Afterwards the same operation must succeed with a sound disk.
    """
    found: list[Fault] = []
    for n in range(1, 200):
        copy = folder / f"copy-{operation}-{how}-{n}"
        shutil.copytree(folder / "registry", copy)
        disk = FailingDisk(n, how)
        acknowledged = _attempt(Registry(copy, disk=disk), operation, folder / "run0", how == "kill")
        fault = _look(copy, operation, how, n, acknowledged, folder / "run0")
        shutil.rmtree(copy)
        if acknowledged:
            return found  # fewer steps than n: nothing failed
        found.append(fault)
    raise RuntimeError(f"{operation} takes 200 steps or more; a fault at each of them is too much.")


def _attempt(registry: Registry, operation: str, run: Path, in_a_child: bool) -> bool:
    """Whether the operation came back without an error."""
    if in_a_child:
        child = os.fork()
        if child == 0:
            OPERATIONS[operation](registry, run)
            os._exit(0)
        return os.waitpid(child, 0)[1] == 0
    try:
        OPERATIONS[operation](registry, run)
    except DiskError:
        return False
    return True


def _look(copy: Path, operation: str, how: str, step: int, acknowledged: bool, run: Path) -> Fault:
    """Open the registry as a new process would: is there exactly one valid champion, and does it go on?"""
    registry, problem, champion = Registry(copy), "", ""
    allowed = {"register": {"v0002"}, "promote": {"v0002", "v0003"}, "rollback": {"v0001", "v0002"}}
    try:
        before = registry.verify(DIRECTION, "champion").name
        champion = before
        events = registry.history(DIRECTION)
        if before not in allowed[operation] or len(events) != registry.aliases(DIRECTION).event:
            problem = f"champion {before} after {len(events)} events"
        elif before == "v0002":  # the change did not happen: it must be possible now
            OPERATIONS[operation](registry, run)
            registry.verify(DIRECTION, "champion")
    except GantransError as error:
        problem = str(error)
    return Fault(operation, how, step, acknowledged, champion, problem)


@dataclass(frozen=True)
class Kills:
    """What `kills` of a process left: changes that were acknowledged, and how often something was wrong."""

    kills: int
    acknowledged: int
    lost: int
    unreadable: int
    without_champion: int


def kill_promotions(folder: Path, count: int, seed: int = 0) -> Kills:
    """Kill a loop of promotions and rollbacks `count` times, on one registry that lives on.

    `folder` holds what `prepared` made.
    """
    draw = random.Random(seed)
    root = folder / "registry"
    told, lost, unreadable, missing = Registry(root).aliases(DIRECTION).event, 0, 0, 0
    first = told
    for _ in range(count):
        told = max(told, _killed(lambda tell: _loop(Registry(root), tell), draw.uniform(0.0, 0.06)))
        registry = Registry(root)
        try:
            state = registry.aliases(DIRECTION)
            lost += state.event < told
            registry.history(DIRECTION)
            if state.champion is None:
                missing += 1
            else:
                registry.verify(DIRECTION, "champion")
        except GantransError:
            unreadable += 1
        told = max(told, registry.aliases(DIRECTION).event)
    return Kills(count, told - first, lost, unreadable, missing)


def kill_overwriting(folder: Path, count: int, seed: int = 0) -> Kills:
    """The same with `torch.save` over the live file, 4 MB: how often it is unreadable afterwards."""
    draw = random.Random(seed)
    live, unreadable = folder / "live.pt", 0
    weights = {"w": torch.zeros(1_000_000)}
    folder.mkdir(parents=True, exist_ok=True)

    def overwrite(tell: Callable[[int], None]) -> None:
        for n in range(1, 10**6):
            torch.save(weights, live)
            tell(n)

    acknowledged = 0
    for _ in range(count):
        acknowledged += _killed(overwrite, draw.uniform(0.01, 0.06))
        try:
            torch.load(io.BytesIO(live.read_bytes()), weights_only=True)
        except Exception:  # the unpickler raises whatever the damaged bytes lead it to
            unreadable += 1
    return Kills(count, acknowledged, 0, unreadable, unreadable)


def _loop(registry: Registry, tell: Callable[[int], None]) -> None:
    for _ in range(10**6):
        if registry.aliases(DIRECTION).champion == "v0003":
            registry.rollback(DIRECTION, why="the loop")
        else:
            registry.promote(DIRECTION, "v0003")
        tell(registry.aliases(DIRECTION).event)


def _tell(send: int, number: int) -> None:
    os.write(send, number.to_bytes(8, "little"))


def _killed(work: Callable[[Callable[[int], None]], None], seconds: float) -> int:
    """Run `work` in a child and kill it `seconds` after it has begun; returns the last number it told."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        try:
            os.write(send, bytes(8))  # ready
            work(lambda number: _tell(send, number))
        finally:
            os._exit(1)
    os.close(send)
    os.read(receive, 8)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    told = b"".join(iter(lambda: os.read(receive, 4096), b""))
    os.close(receive)
    if not os.WIFSIGNALED(status):
        raise RuntimeError("The process that was to be killed ended by itself; its error stands above.")
    whole = len(told) - len(told) % 8
    return int.from_bytes(told[whole - 8 : whole], "little") if whole else 0


def in_a_process(what: str, folder: Path, count: int) -> Kills:
    """`kill_promotions` or `kill_overwriting` in a process of its own, which may fork safely.

    Raises:
        GantransError: this system cannot fork, or the process failed.
    """
    if not hasattr(os, "fork"):
        raise GantransError("Killing processes needs a system that can fork: Linux or macOS.")
    command = [sys.executable, "-m", __name__, what, str(folder), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GantransError(f"The process that kills failed: {done.stderr.strip().splitlines()[-1]}")
    return Kills(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """The command behind `in_a_process`."""
    what, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    if what == "promotions":
        if not (folder / "registry").exists():
            prepared(folder)
        print(json.dumps(asdict(kill_promotions(folder, count))))
    else:
        print(json.dumps(asdict(kill_overwriting(folder, count))))


if __name__ == "__main__":
    main()
