"""Two processes through Accelerate take the steps of one. Run as a program, this file is one of the two."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_task import ToyConfig, ToyTask, toy_data

from gantrans.errors import ConfigError
from gantrans.training import FitConfig, History, fit, load_checkpoint
from gantrans.training.processes import Processes

CONFIG = FitConfig(
    3, accumulate=2, precision="fp32", log_every=1, max_seconds=1e6, ema_decay=0.9, clip_norm=1.0
)


def train(out: Path, until: int | None, *, resume: bool = False) -> None:
    task = ToyTask(ToyConfig(plain=True))
    fit(
        task,
        toy_data,
        CONFIG,
        out=out,
        until=until,
        resume=resume,
        validate=lambda _: {"score": 1.0},
        device="cpu",
    )


def test_two_processes_equal_one(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        __file__,
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TQDM_DISABLE": "1"}
    command.append(str(tmp_path / "two"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    train(tmp_path / "one", None)
    one, two = (load_checkpoint(tmp_path / name) for name in ("one", "two"))
    for part in ("networks", "ema"):
        for name in one["networks"]:
            torch.testing.assert_close(one[part][name], two[part][name], rtol=1e-4, atol=1e-6)
    assert len(two["random"]) == 2
    assert not torch.equal(*(state["runtime"] for state in two["random"]))  # each process draws its own noise
    logs = [History.load(tmp_path / name / "history.jsonl") for name in ("one", "two")]
    assert logs[1].series("l1")[0] == [1, 2, 3]  # written once, by rank 0
    assert logs[1].series("l1")[1] == pytest.approx(logs[0].series("l1")[1], rel=1e-4)


def test_parts_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes(torch.device("cpu"))
    assert processes.part(toy_data(0)).keys() == {"input", "target", "family"}
    monkeypatch.setattr(processes, "world", 2)
    monkeypatch.setattr(processes, "rank", 1)
    part = processes.part({"input": torch.arange(4), "family": ["a", "b", "c", "d"]})
    assert part["input"].tolist() == [1, 3]
    assert part["family"] == ["b", "d"]
    with pytest.raises(ConfigError, match="A batch of 3 cannot be split evenly among 2 processes"):
        processes.part({"input": torch.arange(3)})


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(Path(sys.argv[1]), until=2)
    train(Path(sys.argv[1]), until=None, resume=True)
    torch.distributed.destroy_process_group()
