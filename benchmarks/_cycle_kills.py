"""Kill a turn of the loop at every step that it makes on the disk, and at random moments; look what is left.

Steps are writes, fsyncs and renames, of the training run as of the registry: all go through `files.Steps`.
`python -m benchmarks._cycle_kills steps|moments FOLDER COUNT OFFSET` prints one JSON object; in a process of
its own, which has one thread and may fork safely.
"""

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
from typing import Any

import torch

from gantrans import files
from gantrans.data import make_pairs
from gantrans.errors import GantransError
from gantrans.images import unit_from_uint8
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion.cycle import PROMOTED, WAITING, CycleConfig, Outcome, run_cycle
from gantrans.operations.promotion.finetune import FineTuneConfig
from gantrans.operations.promotion.gate import GateConfig
from gantrans.operations.promotion.registry import Registry
from lessons.lesson12.experiments.kills import DIRECTION, tiny_run

HOWS = ("before", "half", "after")
CONFIG = CycleConfig(
    at_least=8,
    tuning=FineTuneConfig(epochs=2, rate=1.0, share=0.25),
    gate=GateConfig(alpha=0.45, old_margin=1.0, family_margin=1.0, defect_rule="margin", defect_margin=1e6),
)
"""A gate that lets a challenger through which is only a little better, so that promotions are killed, too."""


@dataclass(frozen=True)
class Killed:
    """What kills left: how many there were, at how many different steps, and what was wrong, in sentences."""

    kills: int
    steps: int
    promoted: int
    labels: int
    wrong: tuple[str, ...]


def prepared(folder: Path, labels: int = 48, images: int = 48) -> Path:
    """A registry with a champion and a store with images, the first `labels` of them labelled."""
    registry = Registry(folder / "models")
    registry.register(tiny_run(folder / "run", 0))
    registry.promote(DIRECTION)
    store = Store(folder / "feedback.sqlite")
    pairs = make_pairs("procedural", count=images, size=16, seed=9, progress=False)
    sem, layout = unit_from_uint8(pairs.sem), unit_from_uint8(pairs.layout)
    for i, output in enumerate(registry.predictor(DIRECTION).translate(sem)):
        store.register(f"image{i:04d}", DIRECTION, "v0001", sem[i], output)
        if i < labels:
            store.add_label(f"label{i:04d}", f"image{i:04d}", "truth", layout[i])
    store.close()
    return folder


def turn(folder: Path, config: CycleConfig = CONFIG) -> Outcome:
    """One turn on a prepared folder."""
    store = Store(folder / "feedback.sqlite", create=False)
    try:
        return run_cycle(Registry(folder / "models"), store, DIRECTION, config, progress=False, device="cpu")
    finally:
        store.close()


def on_each_step(act: Callable[[int, str, Callable[[Any], Any], tuple[Any, ...]], Any]) -> None:
    """Call `act(number, name, step, given)` in place of every write, fsync and rename of this process."""
    count = 0

    def acting(real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def step(self: files.Steps, *given: Any) -> Any:
            nonlocal count
            count += 1
            return act(count, name, lambda changed: real(self, *changed), given)

        return step

    for name in ("write", "fsync", "rename"):
        setattr(files.Steps, name, acting(getattr(files.Steps, name), name))


def die_at(n: int, how: str) -> None:
    """Kill this process at the n-th write, fsync or rename: before it, after it, or half way of a write."""

    def act(number: int, name: str, step: Callable[[Any], Any], given: tuple[Any, ...]) -> Any:
        if number != n:
            return step(given)
        if how == "half" and name == "write":
            step((given[0], given[1][: len(given[1]) // 2]))
        if how == "after":
            step(given)
        return os.kill(os.getpid(), signal.SIGKILL)

    on_each_step(act)


def count_steps(folder: Path) -> int:
    """The number of steps of an undisturbed turn on a prepared folder, which must promote."""
    copy, seen = folder / "counted", folder / "steps.json"
    _copy(folder, copy)
    child = os.fork()
    if child == 0:
        last = [0]

        def act(number: int, name: str, step: Callable[[Any], Any], given: tuple[Any, ...]) -> Any:
            last[0] = number
            return step(given)

        on_each_step(act)
        promoted = turn(copy).outcome == PROMOTED
        seen.write_text(json.dumps(last[0] if promoted else 0))
        os._exit(0)
    os.waitpid(child, 0)
    shutil.rmtree(copy)
    count = json.loads(seen.read_text()) if seen.exists() else 0
    if not count:
        raise RuntimeError("The undisturbed turn promoted nothing; its output stands above.")
    return int(count)


def kill_steps(folder: Path, count: int, offset: int = 0) -> Killed:
    """`count` kills, spread evenly over all steps of a turn and the three ways of `HOWS`."""
    steps = count_steps(folder)
    cases = [(n, how) for how in HOWS for n in range(1, steps + 1)]
    stride = max(1, len(cases) // count)
    chosen = (cases[offset % stride :: stride] * (1 + count // len(cases)))[:count]
    wrong: list[str] = []
    promoted = 0
    for n, how in chosen:
        copy = folder / "copy"
        _copy(folder, copy)
        child = os.fork()
        if child == 0:
            die_at(n, how)
            turn(copy)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            wrong.append(f"step {n} {how}: the process was not killed (status {status})")
        problem, again = _look(copy)
        wrong += [f"step {n} {how}: {problem}"] if problem else []
        promoted += again
        shutil.rmtree(copy)
    return Killed(len(chosen), len(set(chosen)), promoted, 0, tuple(wrong))


def _copy(folder: Path, copy: Path) -> None:
    shutil.copytree(folder / "models", copy / "models")
    for path in folder.glob("feedback.sqlite*"):
        shutil.copy(path, copy / path.name)


def _look(copy: Path) -> tuple[str, bool]:
    """What is wrong after a kill, before and after the next turn; and whether that turn promoted."""
    registry = Registry(copy / "models")
    try:
        champion = registry.verify(DIRECTION, "champion").name
        events = registry.history(DIRECTION)
        if champion not in ("v0001", "v0002") or len(events) != registry.aliases(DIRECTION).event:
            return f"champion {champion} after {len(events)} events", False
        found = turn(copy)
        now = registry.verify(DIRECTION, "champion").name
        registry.history(DIRECTION)
    except GantransError as error:
        return str(error), False
    if champion != "v0001" and found.outcome != WAITING:
        return f"{champion} was promoted, and the same labels started another turn", False
    if champion == "v0001" and (found.outcome != PROMOTED or now != found.version):
        return f"the next turn ended as {found.outcome}, champion {now}", False
    return left_over(copy / "models"), found.outcome == PROMOTED


def left_over(models: Path) -> str:
    """Drafts, locks and runs that a turn must not leave."""
    found = [
        str(path.relative_to(models))
        for path in sorted(models.rglob(".*"))
        if path.name != ".lock" and path.name not in (".", "..")
    ]
    return f"left over: {', '.join(found)}" if found else ""


def kill_moments(folder: Path, count: int, seed: int = 0) -> Killed:
    """Kill a process that labels and runs turns, on one folder that lives on, at random moments.

    Every label and every turn that came back was told to the parent: none of them may be lost.
    """
    draw = random.Random(seed)
    registry, wrong, promoted = Registry(folder / "models"), list[str](), 0
    told = {"labels": 0, "event": registry.aliases(DIRECTION).event}
    for number in range(count):
        said = _killed(lambda tell: _live(folder, tell), draw.uniform(0.0, 1.0))
        told = {name: max(value, said.get(name, 0)) for name, value in told.items()}
        try:
            registry.verify(DIRECTION, "champion")
            registry.history(DIRECTION)
            state = registry.aliases(DIRECTION)
            promoted = len(state.line) - 1
            store = Store(folder / "feedback.sqlite", create=False)
            labels = store.counts()["labels"]
            store.close()
            if state.event < told["event"] or labels < told["labels"]:
                wrong.append(f"kill {number}: {labels} labels, event {state.event}, but {told} were told")
        except GantransError as error:
            wrong.append(f"kill {number}: {error}")
    turn(folder)
    if problem := left_over(folder / "models"):
        wrong.append(problem)
    return Killed(count, count, promoted, told["labels"], tuple(wrong))


def _live(folder: Path, tell: Callable[[dict[str, int]], None]) -> None:
    """Label some images, run a turn, and so on; every result is told."""
    registry = Registry(folder / "models")
    store = Store(folder / "feedback.sqlite", create=False)
    labelled = store.counts()["labels"]
    pairs = make_pairs("procedural", count=labelled + 60, size=16, seed=9, progress=False)
    layout = unit_from_uint8(pairs.layout)
    for i in range(labelled, labelled + 60):
        store.add_label(f"label{i:04d}", f"image{i:04d}", "truth", layout[i])
        tell({"labels": i + 1, "event": registry.aliases(DIRECTION).event})
        if i % 10 == 9:
            turn(folder)
            tell({"labels": i + 1, "event": registry.aliases(DIRECTION).event})


def _send(pipe: int, message: dict[str, int]) -> None:
    os.write(pipe, json.dumps(message).encode() + b"\n")


def _killed(work: Callable[[Callable[[dict[str, int]], None]], None], seconds: float) -> dict[str, int]:
    """Run `work` in a child, kill it `seconds` after its first message; returns its last whole message."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        try:
            work(lambda message: _send(send, message))
        finally:
            os._exit(0)
    os.close(send)
    said = os.read(receive, 4096)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    said += b"".join(iter(lambda: os.read(receive, 4096), b""))
    os.close(receive)
    whole = [line for line in said.split(b"\n")[:-1] if line]
    return json.loads(whole[-1]) if whole else {}


def in_a_process(what: str, folder: Path, count: int, offset: int = 0) -> Killed:
    """`kill_steps` or `kill_moments` in a process of its own, which may fork safely.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, "-m", __name__, what, str(folder), str(count), str(offset)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The process that kills failed:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Killed(**{**found, "wrong": tuple(found["wrong"])})


def main() -> None:
    """The command behind `in_a_process`."""
    what, folder, count, offset = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    if what == "steps":
        prepared(folder)
        print(json.dumps(asdict(kill_steps(folder, count, offset))))
    else:
        prepared(folder, labels=16, images=16 + 60 * count)
        print(json.dumps(asdict(kill_moments(folder, count, offset))))


if __name__ == "__main__":
    main()
