"""Checkpoints: complete, safe to read, atomic, and clear about what is wrong with them."""

import errno
import hashlib
import json
import os
import pickle
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from toy_task import ToyConfig, ToyTask, same, toy_data

from gantrans.errors import CheckpointError
from gantrans.training import FitConfig, History, export_weights, fit, load_checkpoint, load_networks
from gantrans.training.checkpoint import FORMAT, save_checkpoint

CONFIG = FitConfig(3, precision="fp32", ema_decay=0.9, log_every=1, channels_last=True)


def train(out: Path, config: FitConfig = CONFIG, task: ToyTask | None = None, **options: Any) -> ToyTask:
    task = task or ToyTask()
    fit(task, toy_data, config, out=out, progress=False, device="cpu", **options)
    return task


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests only read it."""
    out = tmp_path_factory.mktemp("runs") / "run"
    train(out, extra={"pixel_nm": 20.0, "classes": ("a", "b")})
    return out


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_checkpoint_is_complete_and_plain(run: Path) -> None:
    stored = torch.load(run / "last.pt", weights_only=True)
    assert (stored["format"], stored["task"], stored["step"]) == (FORMAT, "toy", 3)
    assert stored["settings"]["task"] == {"width": 4, "plain": False}
    assert stored["settings"]["fit"]["steps"] == 3
    assert stored["settings"]["extra"] == {"pixel_nm": 20.0, "classes": ["a", "b"]}
    assert stored["environment"].keys() == {"gantrans", "torch", "python", "platform"}
    assert stored["random"][0].keys() == {"global", "runtime"}
    assert len(stored["task_state"]["buffer"]) == 2
    described = json.loads((run / "config.json").read_text())
    assert described["settings"] == stored["settings"]
    assert len(History.load(run / "history.jsonl")) == stored["history_length"] == 3


def test_loading_for_inference_takes_the_averages_and_needs_no_optimizer(run: Path) -> None:
    stored = load_checkpoint(run)
    for ema, expected in ((True, stored["ema"]["generator"]), (False, stored["networks"]["generator"])):
        network = ToyTask().networks["generator"]
        load_networks(run, {"generator": network}, ema=ema)
        assert same(dict(network.state_dict()), dict(expected))
        assert not network.training
    assert not same(stored["ema"]["generator"]["0.weight"], stored["networks"]["generator"]["0.weight"])


def test_exported_weights_carry_their_hash_and_origin(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "generator.safetensors"
    digest = export_weights(run, out, network="generator")
    assert digest == hashlib.sha256(out.read_bytes()).hexdigest()
    assert (tmp_path / "generator.safetensors.sha256").read_text() == f"{digest}  generator.safetensors\n"
    assert same(load_file(out), dict(load_checkpoint(run)["ema"]["generator"]))
    with safe_open(out, "pt") as file:
        assert json.loads(file.metadata()["gantrans"])["step"] == 3


class Evil:
    """What a hostile pickle would do: it must never be called."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch evil",)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda p: p.unlink(), "There is no checkpoint at .*last.pt; give the folder of a run"),
        (lambda p: p.write_bytes(p.read_bytes()[:-1]), "cannot be read as a checkpoint"),
        (lambda p: p.write_bytes(p.read_bytes()[:1000]), "cannot be read as a checkpoint"),
        (lambda p: p.write_bytes(b""), "cannot be read as a checkpoint"),
        (lambda p: p.write_text("step,loss\n1,2\n"), "cannot be read as a checkpoint"),
        (lambda p: p.write_bytes(pickle.dumps(Evil())), "cannot be read as a checkpoint"),
        (lambda p: torch.save({"format": FORMAT, "task": Evil()}, p), "cannot be read as a checkpoint"),
        (lambda p: torch.save({"model": torch.ones(1)}, p), "not a checkpoint of gantrans"),
        (lambda p: torch.save([1], p), "not a checkpoint of gantrans"),
        (
            lambda p: torch.save({"format": 99}, p),
            f"has checkpoint format 99, and gantrans .* reads format {FORMAT}",
        ),
        (lambda p: torch.save({"format": FORMAT, "task": "toy"}, p), "lacks ema, networks, optimizers"),
    ],
)
def test_bad_files_get_one_sentence(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], Any], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "last.pt"
    path.write_bytes((run / "last.pt").read_bytes())
    damage(path)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "evil").exists()


def test_a_flipped_bit_in_the_weights_does_not_go_unnoticed(run: Path, tmp_path: Path) -> None:
    data = bytearray((run / "last.pt").read_bytes())
    weights = load_checkpoint(run)["networks"]["generator"]["0.weight"]
    data[data.index(weights.permute(0, 2, 3, 1).contiguous().numpy().tobytes()) + 5] ^= 0x10  # channels last
    (tmp_path / "last.pt").write_bytes(data)
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / "last.pt")


@pytest.mark.parametrize(
    ("config", "task", "pixel_nm", "says"),
    [
        (replace(CONFIG, seed=1, steps=9), None, 20.0, r"\(fit\.seed: 0 there, 1 here; fit\.steps: 3 "),
        (CONFIG, ToyTask(ToyConfig(width=5)), 20.0, r"\(task\.width: 4 there, 5 here\); use the same"),
        (CONFIG, None, 9.0, r"extra\.pixel_nm: 20\.0 there, 9\.0 here"),
    ],
)  # fmt: skip
def test_resume_with_other_settings_is_refused(
    run: Path, config: FitConfig, task: ToyTask | None, pixel_nm: float, says: str
) -> None:
    before = contents_of(run)
    with pytest.raises(CheckpointError, match=says):
        train(run, config, task, resume=True, extra={"pixel_nm": pixel_nm, "classes": ("a", "b")})
    assert contents_of(run) == before


def test_resume_of_another_task_and_of_nothing_is_refused(run: Path, tmp_path: Path) -> None:
    task = ToyTask()
    task.name = "cyclegan"
    with pytest.raises(CheckpointError, match="is of the task 'toy', not 'cyclegan'"):
        train(run, task=task, resume=True)
    with pytest.raises(CheckpointError, match=r"no run to resume in .*; leave out --resume"):
        train(tmp_path / "nothing", resume=True)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("text", ["{", "[1]", '{"model": "other"}'])
def test_resume_of_a_foreign_folder_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(
        CheckpointError, match=r"config\.json does not describe a run of gantrans; choose another"
    ):
        train(tmp_path, resume=True)


def test_a_taken_folder_is_refused_and_left_alone(run: Path, tmp_path: Path) -> None:
    before = contents_of(run)
    with pytest.raises(
        CheckpointError, match=r"is not empty .*use --resume or another --out; nothing was overwritten"
    ):
        train(run)
    assert contents_of(run) == before
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"Cannot use .*file as the folder of a run"):
        train(tmp_path / "file")


def test_a_run_killed_before_its_first_checkpoint_starts_again(run: Path, tmp_path: Path) -> None:
    train(tmp_path / "run", until=2)
    (tmp_path / "run" / "last.pt").unlink()
    train(tmp_path / "run", resume=True, extra={})
    assert [record["step"] for record in History.load(tmp_path / "run" / "history.jsonl").records] == [
        1,
        2,
        3,
    ]
    again, straight = (load_checkpoint(folder)["networks"] for folder in (tmp_path / "run", run))
    assert same(again, straight)


def refuse(error: int) -> Callable[..., None]:
    def fail(*_: Any) -> None:
        raise OSError(error, os.strerror(error))

    return fail


@pytest.mark.parametrize("where", ["os.fsync", "os.replace"])
def test_a_write_that_fails_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    save_checkpoint(tmp_path / "last.pt", {"step": 1})
    before = contents_of(tmp_path)
    monkeypatch.setattr(where, refuse(errno.ENOSPC))
    with pytest.raises(
        CheckpointError, match=r"Cannot write .* \(No space left on device\); the earlier last\.pt is"
    ):
        save_checkpoint(tmp_path / "last.pt", {"step": 2})
    assert contents_of(tmp_path) == before


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, where this machine lets us mount one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        refused = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if refused.returncode:
        pytest.skip(f"cannot mount a small tmpfs here: {refused.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_leaves_the_last_checkpoint(tiny_disk: Path) -> None:
    run = tiny_disk / "run"
    train(run, until=1)
    disk = os.statvfs(tiny_disk)
    room = (run / "last.pt").stat().st_size // 2
    (tiny_disk / "other").write_bytes(bytes(disk.f_bavail * disk.f_frsize - room))
    before = contents_of(run)
    with pytest.raises(CheckpointError, match="No space left on device"):
        train(run, resume=True)
    assert load_checkpoint(run)["step"] == 1
    assert contents_of(run)["last.pt"] == before["last.pt"]


def test_history_reads_nan_and_leaves_out_a_cut_line(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path)
    for step, value in enumerate([1.0, float("nan"), float("-inf")]):
        history.append({"step": step, "loss": value})
    history.close()
    with path.open("ab") as file:
        file.write(b'{"step": 3, "lo')
    json.loads(
        path.read_text().splitlines()[1], parse_constant=lambda name: pytest.fail(f"{name} is not JSON")
    )
    steps, values = History.load(path).series("loss")
    assert (steps, str(values)) == ([0, 1, 2], "[1.0, nan, -inf]")
    again = History(path, keep=2)
    again.append({"step": 2, "loss": 5.0})
    again.close()
    assert [record["step"] for record in History.load(path).records] == [0, 1, 2]
    assert History.load(path).series("loss")[1][2] == 5.0


@pytest.mark.parametrize(
    ("text", "says"), [(None, "There is no history at"), ("a,b\n1,2\n", "is not a training history")]
)
def test_history_refuses_other_files(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "history.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CheckpointError, match=says):
        History.load(path)


class Foreign:
    """An object that a checkpoint has no business to hold."""


def test_a_file_that_holds_objects_is_not_read_at_all(tmp_path: Path) -> None:
    """Reading one would run code of whoever wrote it."""
    torch.save({"format": 1, "object": Foreign()}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        load_checkpoint(tmp_path)
