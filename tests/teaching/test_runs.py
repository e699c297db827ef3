"""Train or load: once per key, whole or not at all, one process at a time."""

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import pytest

from gantrans import files
from gantrans.errors import CheckpointError, ConfigError
from gantrans.teaching import runs
from gantrans.teaching.runs import config_hash, train_or_load


@dataclass(frozen=True)
class Config:
    lr: float = 1e-3


@dataclass(frozen=True)
class Other:
    lr: float = 1e-3


def trainer(calls, value="ok"):
    def train(folder):
        calls.append(folder)
        (folder / "weights.txt").write_text(value)
        return {"IoU": 0.84123, "steps": 20}

    return train


def load(folder):
    return (folder / "weights.txt").read_text()


def test_trains_once_and_says_what_it_did(tmp_path, capsys):
    calls = []
    for _ in range(2):
        assert train_or_load(Config(), trainer(calls), load, name="unet", root=tmp_path) == "ok"
    trained, loaded = capsys.readouterr().out.splitlines()
    assert len(calls) == 1
    assert trained.startswith("trained run ")
    assert loaded.startswith("loaded run ")
    assert loaded.endswith("IoU 0.8412, steps 20); retrain=True trains it again")


def test_key_depends_on_config_kind_data_and_name(tmp_path):
    calls = []
    for config, data, name in (
        (Config(), 1, "a"), (Config(2e-3), 1, "a"), (Other(), 1, "a"), (Config(), 2, "a"), (Config(), 1, "b"),
    ):  # fmt: skip
        train_or_load(config, trainer(calls), load, name=name, data={"count": data}, root=tmp_path)
    assert len(calls) == 5


def test_retrain_replaces_the_run(tmp_path):
    train_or_load({}, trainer([]), load, name="a", root=tmp_path)
    assert train_or_load({}, trainer([], "new"), load, name="a", root=tmp_path, retrain=True) == "new"
    assert train_or_load({}, trainer([], "never"), load, name="a", root=tmp_path) == "new"


def test_a_failed_or_killed_training_leaves_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "code_version", lambda: "same")

    def fail(folder):
        (folder / "weights.txt").write_text("half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        train_or_load({}, fail, load, name="a", root=tmp_path)
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == []
    code = (
        "import os, sys; from pathlib import Path; from gantrans.teaching import runs\n"
        "runs.code_version = lambda: 'same'\n"
        "runs.experiment_version = lambda train: ''\n"
        "runs.train_or_load({}, lambda f: os._exit(9), str, name='a', root=Path(sys.argv[1]))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
    calls = []
    assert train_or_load({}, trainer(calls), load, name="a", root=tmp_path) == "ok"
    assert len(calls) == 1
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 1


def test_racing_trainings_of_one_key_train_once(tmp_path, monkeypatch):
    said: list[str] = []  # not capsys: what a thread prints while it is being emptied is lost
    monkeypatch.setattr(files, "print", said.append, raising=False)
    calls, started, go = [], threading.Event(), threading.Event()

    def slow(folder):
        started.set()
        assert go.wait(120)
        return trainer(calls)(folder)

    def first():
        train_or_load({}, slow, load, name="a", root=tmp_path)

    def second():
        train_or_load({}, trainer(calls), load, name="a", root=tmp_path)

    one = threading.Thread(target=first)
    one.start()
    assert started.wait(120)
    two = threading.Thread(target=second)
    two.start()
    while not any("waiting for another process" in line for line in said):
        assert two.is_alive()
        time.sleep(0.01)
    go.set()
    one.join(120)
    two.join(120)
    assert len(calls) == 1


def test_config_hash_is_stable_and_empty_for_nothing():
    assert config_hash(None) == ""
    assert config_hash({"a": 1, "b": Config()}) == config_hash({"b": Config(), "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})
    assert re.fullmatch(r"[0-9a-f]{12}", config_hash([1]))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda run: (run / "run.json").write_text(""), "run.json cannot be read"),
        (lambda run: (run / "run.json").write_text("[1]"), "run.json cannot be read"),
        (
            lambda run: (run / "run.json").write_text('{"numbers": 3, "trained": ""}'),
            "run.json cannot be read",
        ),
        (lambda run: (run / "weights.txt").write_text("o"), "weights.txt has 1 of 2 bytes"),
        (lambda run: (run / "weights.txt").unlink(), "weights.txt has 0 of 2 bytes"),
    ],
)
def test_a_damaged_run_is_trained_again_in_one_line(tmp_path, capsys, damage, says):
    calls = []
    train_or_load({}, trainer(calls), load, name="a", root=tmp_path)
    (run,) = (path for path in tmp_path.iterdir() if path.is_dir())
    damage(run)
    capsys.readouterr()
    for _ in range(2):
        assert train_or_load({}, trainer(calls), load, name="a", root=tmp_path) == "ok"
    told, trained, loaded = capsys.readouterr().out.splitlines()
    assert told.endswith(f"is damaged ({says}) and is trained again")
    assert (trained[:12], loaded[:11]) == ("trained run ", "loaded run ")
    assert len(calls) == 2


def test_a_checkpoint_that_cannot_be_read_is_trained_again_and_a_bug_is_not_hidden(tmp_path, capsys):
    calls, reasons = [], [None, CheckpointError("best.pt is cut."), None, KeyError("a bug")]

    def odd(folder):
        if reason := reasons.pop(0):
            raise reason
        return load(folder)

    train_or_load({}, trainer(calls), odd, name="a", root=tmp_path)
    assert train_or_load({}, trainer(calls), odd, name="a", root=tmp_path) == "ok"
    assert "is damaged (best.pt is cut) and is trained again" in capsys.readouterr().out
    with pytest.raises(KeyError):
        train_or_load({}, trainer(calls), odd, name="a", root=tmp_path)
    assert len(calls) == 2


def test_a_cache_that_cannot_be_written_gives_what_it_has(tmp_path, monkeypatch):
    calls = []
    train_or_load({}, trainer(calls), load, name="a", root=tmp_path)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(runs, "locked", refuse)
    assert train_or_load({}, trainer(calls), load, name="a", root=tmp_path) == "ok"
    with pytest.raises(ConfigError, match=r"cannot be written \(Permission denied\); .* GANTRANS_CACHE"):
        train_or_load({"other": 1}, trainer(calls), load, name="a", root=tmp_path)
    assert len(calls) == 1


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_two_users_can_share_a_cache(tmp_path):
    before = os.umask(0o002)
    try:
        train_or_load({}, trainer([]), load, name="a", root=tmp_path / "cache")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes.pop("cache") == 0o775
    assert sorted(modes.values()) == [0o664, 0o664, 0o666, 0o775], modes
