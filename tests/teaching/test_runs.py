"""Train or load: once per key, whole or not at all, one process at a time."""

import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import pytest

from gantrans import files
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
