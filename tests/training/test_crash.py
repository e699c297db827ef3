"""kill -9 during training, again and again: no checkpoint is ever unreadable, and nothing is lost in the end.

Run as a program this file is the parent: it imports everything once, then forks a trainer for every kill, so
that a life costs no start-up. It computes nothing itself (a fork may not inherit PyTorch's threads).
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = 24


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_killed_training_resumes_bit_for_bit(tmp_path: Path) -> None:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    beside = [str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")]  # where toy_task is
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, beside))
    command = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{KILLS} kills" in done.stdout


def train(out: Path) -> None:
    from toy_task import ToyTask, toy_data

    from gantrans.training import FitConfig, fit

    config = FitConfig(
        60,
        precision="fp32",
        ema_decay=0.99,
        monitor="score",
        log_every=3,
        validate_every=10,
        checkpoint_every=2,
    )
    fit(
        ToyTask(),
        toy_data,
        config,
        out=out,
        resume=(out / "config.json").exists(),
        validate=lambda task: {"score": float(task.networks["generator"][0].weight.sum())},
        device="cpu",
    )


def in_a_child(out: Path) -> int:
    """Fork a process that trains in `out`; returns its id at once."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            train(out)
            status = 0
        finally:
            os._exit(status)
    return child


def check_readable(out: Path) -> None:
    """Every checkpoint there is can be read, and the history has every step once."""
    from gantrans.training import History, load_checkpoint

    for path in out.glob("*.pt"):
        load_checkpoint(path)
    if (out / "history.jsonl").exists():
        steps, _ = History.load(out / "history.jsonl").series("l1")
        assert steps == list(range(3, 3 * len(steps) + 1, 3)), steps


def check_equal(out: Path, reference: Path) -> None:
    """The run ended where the one that was left in peace did."""
    from toy_task import same_training

    from gantrans.training import History, load_checkpoint

    for name in ("last.pt", "best.pt"):
        assert same_training(load_checkpoint(out / name), load_checkpoint(reference / name)), name
    one, other = (History.load(folder / "history.jsonl").records for folder in (out, reference))
    assert [{**r, "seconds": 0} for r in one] == [{**r, "seconds": 0} for r in other]


def main(folder: Path) -> None:
    """Train once in peace, then kill and resume until `KILLS` kills struck; finished runs must be equal."""
    import torch
    import torch._dynamo  # optimizers import it at their first step: once here instead of in every child

    import gantrans.training  # noqa: F401

    torch.set_num_threads(1)
    started = time.perf_counter()
    assert os.waitpid(in_a_child(folder / "reference"), 0)[1] == 0
    lifetime = (time.perf_counter() - started) / 4
    moments = random.Random(0)
    kills, finished = 0, 0
    while kills < KILLS or not finished:
        out = folder / f"run{finished}"
        child = in_a_child(out)
        if kills < KILLS:
            time.sleep(moments.uniform(0.0, lifetime))
            os.kill(child, signal.SIGKILL)  # an unreaped child that has ended already takes it as well
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        assert os.WIFSIGNALED(status) or status == 0
        check_readable(out)
        if status == 0:
            check_equal(out, folder / "reference")
            finished += 1
    print(f"{kills} kills, {finished} runs finished")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
