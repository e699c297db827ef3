"""One process at a time in the folder of a run, Ctrl-C, and checkpoints that somebody made by hand."""

import contextlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_task import ToyTask, same_training, toy_data

from gantrans.errors import BusyError, CheckpointError, GantransError
from gantrans.files import held
from gantrans.training import FitConfig, History, fit, load_checkpoint, load_networks

CONFIG = FitConfig(6, precision="fp32", ema_decay=0.9, log_every=1, checkpoint_every=2)


def train(out: Path, **options: Any) -> None:
    fit(ToyTask(), toy_data, CONFIG, out=out, progress=False, device="cpu", **options)


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_process_is_told_who_trains_and_changes_nothing(tmp_path: Path, resume: bool) -> None:
    out = tmp_path / "run"
    if resume:
        train(out, until=2)
    code = (
        "import sys\nfrom pathlib import Path\nfrom toy_task import ToyTask, toy_data\n"
        "from gantrans.training import fit, FitConfig\n"
        "def wait(step):\n"
        "    if step == 3: print('training', flush=True); sys.stdin.read()\n"
        "    return toy_data(step)\n"
        f"fit(ToyTask(), wait, {CONFIG!r}, out=Path(sys.argv[1]), progress=False, device='cpu', "
        f"resume={resume})"
    )
    beside = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": beside, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert first.stdout is not None
    assert first.stdout.readline() == "training\n"
    before = contents_of(out)
    with pytest.raises(BusyError, match=rf"run in .*run is in use by process {first.pid} on .*; wait for it"):
        train(out, resume=True)
    if not (out / "last.pt").exists():
        with pytest.raises(GantransError, match="not empty"):
            train(out)
    assert contents_of(out) == before
    first.communicate("")
    assert first.returncode == 0
    train(tmp_path / "straight")
    assert same_training(load_checkpoint(out / "last.pt"), load_checkpoint(tmp_path / "straight" / "last.pt"))
    assert {path.name for path in out.iterdir()} == {"config.json", "history.jsonl", "last.pt"}


def test_of_two_that_begin_together_one_gets_the_folder(tmp_path: Path) -> None:
    with held(tmp_path / ".lock", "The run"), pytest.raises(BusyError):
        train(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_training_left_half_written_goes_when_it_is_resumed(tmp_path: Path) -> None:
    train(tmp_path / "run", until=2)
    (tmp_path / "run" / ".last.pt.1-0.tmp").write_bytes(bytes(10))
    train(tmp_path / "run", resume=True)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"config.json", "history.jsonl", "last.pt"}


@pytest.mark.usefixtures("at_a_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("checkpoint_every", [100, 3])
def test_a_signal_to_stop_finishes_the_step_and_saves_it(
    tmp_path: Path, checkpoint_every: int, number: signal.Signals
) -> None:
    config = FitConfig(6, precision="fp32", ema_decay=0.9, log_every=1, checkpoint_every=checkpoint_every)
    struck = []

    def strike(step: int) -> Any:
        if step == 2 and not struck:
            struck.append(step)
            signal.raise_signal(number)
        return toy_data(step)

    for out in ("stopped", "straight"):
        options = {"out": tmp_path / out, "progress": False, "device": "cpu"}
        if out == "stopped":
            with pytest.raises(KeyboardInterrupt, match="interrupted at step 3 and saved in "):
                fit(ToyTask(), strike, config, **options)
            assert load_checkpoint(tmp_path / out)["step"] == 3
            options["resume"] = True
        fit(ToyTask(), toy_data, config, **options)
    one, other = (load_checkpoint(tmp_path / out / "last.pt") for out in ("stopped", "straight"))
    assert same_training(one, other)
    assert [r["step"] for r in History.load(tmp_path / "stopped" / "history.jsonl").records] == list(
        range(1, 7)
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.usefixtures("at_a_terminal")
def test_a_second_ctrl_c_and_one_without_a_folder_stop_at_once(tmp_path: Path) -> None:
    for out, strikes in ((tmp_path / "run", 2), (None, 1)):
        begun = []

        def strike(step: int, begun: list[int] = begun, strikes: int = strikes) -> Any:
            begun.append(step)
            for _ in range(strikes):
                signal.raise_signal(signal.SIGINT)
            return toy_data(step)

        with pytest.raises(KeyboardInterrupt):
            fit(ToyTask(), strike, CONFIG, out=out, progress=False, device="cpu")
        assert begun == [0]
    assert not (tmp_path / "run" / "last.pt").exists()


def put(part: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Replace a part, by its dotted name, in a loaded checkpoint; `...` removes it."""

    def change(stored: dict[str, Any]) -> None:
        *path, last = part.split("/")
        for key in path:
            stored = stored[key]
        if value is ...:
            del stored[last]
        else:
            stored[last] = value(stored[last]) if callable(value) else value

    return change


def poisoned(value: torch.Tensor) -> torch.Tensor:
    value = value.clone()
    value.view(-1)[0] = math.nan
    return value


MADE = {
    "no settings": put("settings", {}),
    "settings a list": put("settings", [1]),
    "settings without fit": put("settings/fit", ...),
    "extra a list": put("settings/extra", [1]),
    "no networks": put("networks", {}),
    "networks a list": put("networks", [1]),
    "network a list": put("networks/generator", [1]),
    "weights of numbers": put("networks/generator", {"0.weight": 1.0}),
    "NaN weights": put("networks/generator/0.weight", poisoned),
    "no averages": put("ema", None),
    "averages a list": put("ema", [1]),
    "averages without a network": put("ema", {}),
    "NaN averages": put("ema/generator/0.weight", poisoned),
    "no optimizer": put("optimizers", {}),
    "optimizer a number": put("optimizers/generator", 3),
    "optimizer without state": put("optimizers/generator", {}),
    "no random states": put("random", []),
    "random states of nothing": put("random", [{}]),
    "random states odd": put("random", [{"global": 1, "runtime": 2}]),
    "step a text": put("step", "3"),
    "step below zero": put("step", -1),
    "step true": put("step", True),
    "seconds infinite": put("seconds", math.inf),
    "seconds NaN": put("seconds", math.nan),
    "best a text": put("best", "x"),
    "best without a score": put("best", {"name": "iou"}),
    "no history length": put("history_length", ...),
    "history length a text": put("history_length", "1"),
    "no window": put("window", ...),
    "window a list": put("window", [1]),
    "task a number": put("task", 7),
    "task state a list": put("task_state", [1]),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "run"
    train(out, until=4)
    return out


@pytest.mark.parametrize("name", MADE)
def test_a_checkpoint_made_by_hand_gets_one_sentence(name: str, run: Path, tmp_path: Path) -> None:
    stored = torch.load(run / "last.pt", weights_only=True)
    MADE[name](stored)
    for path in run.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save(stored, tmp_path / "last.pt")
    before = contents_of(tmp_path)
    with pytest.raises(CheckpointError) as refusal:
        train(tmp_path, resume=True)
    sentence = str(refusal.value)
    assert "last.pt" in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert contents_of(tmp_path) == before
    network = ToyTask().networks["generator"]
    with contextlib.suppress(CheckpointError):  # parts that only training needs do not disturb
        load_networks(tmp_path, {"generator": network})
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())
