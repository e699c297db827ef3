"""A training on a folder: streamed, validated on a bounded part, stopped in order when a file goes bad."""

import shutil
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from gantrans.data import PairedFolder, make_pairs, write_pairs
from gantrans.data.streaming import StreamedPairs
from gantrans.errors import DataError
from gantrans.training import load_checkpoint
from gantrans.translation import DataSpec, Recipe, recipe, sources, train_recipe

DIRECTION = "sem2layout"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pairs(
        make_pairs("procedural", count=24, size=48, progress=False), tmp_path / "pairs", source="x"
    )


def short(folder: Path, steps: int = 6) -> Recipe:
    chosen = recipe(DIRECTION, "smoke", str(folder))
    return replace(chosen, fit=replace(chosen.fit, steps=steps, validate_every=3, checkpoint_every=4))


def reading() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("reading")]


def test_validation_is_bounded_and_the_same_every_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = DataSpec(source=str(folder), size=32)
    whole = spec.pairs("val", DIRECTION)
    assert torch.equal(spec.validating(DIRECTION).a, whole.a)
    monkeypatch.setattr(sources, "MOST_VALIDATION", 3)
    few = spec.validating(DIRECTION)
    expected = whole.subset([i * len(whole) // 3 for i in range(3)])
    assert len(whole) > 3
    assert few.names == expected.names
    assert torch.equal(few.a, expected.a)
    assert torch.equal(few.b, expected.b)
    assert len(DataSpec(size=32, validation=5).validating(DIRECTION)) == 5  # simulated: as the recipe says


def test_training_from_files_equals_training_from_memory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_recipe(short(folder), tmp_path / "streamed", progress=False, device="cpu")
    assert not reading()
    monkeypatch.setattr(DataSpec, "training", lambda self, direction: self.pairs("train", direction))
    train_recipe(short(folder), tmp_path / "memory", progress=False, device="cpu")
    one, other = (load_checkpoint(tmp_path / run / "last.pt")["networks"] for run in ("streamed", "memory"))
    assert all(torch.equal(one["generator"][key], value) for key, value in other["generator"].items())


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_damaged_file_of_any_split_is_named_before_the_training(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    monkeypatch.setattr(sources, "MOST_VALIDATION", 1)
    path = folder / "input" / f"{PairedFolder(folder).names(split)[-1]}.png"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=f"{path.name} cannot be decoded"):
        train_recipe(short(folder), tmp_path / "run", progress=False, device="cpu")
    assert not (tmp_path / "run").exists()
    assert not reading()


def test_a_file_that_goes_bad_ends_the_training_saved_and_resume_equals_the_unbroken_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, out = short(folder), tmp_path / "run"
    train_recipe(chosen, tmp_path / "whole", progress=False, device="cpu")
    fetch = StreamedPairs.fetch
    calls: list[Path] = []

    def damaging(
        self: StreamedPairs, direction: str, indices: list[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(self.folder.inputs[self.files[self._image[indices[0]]]].path)
        if len(calls) == 4:
            shutil.copy(calls[-1], tmp_path / "kept.png")
            calls[-1].write_bytes(b"")
            self._coming.clear()  # as if it had not been read ahead
        return fetch(self, direction, indices)

    with monkeypatch.context() as patched:
        patched.setattr(sources, "StreamedPairs", partial(StreamedPairs, cache_bytes=0))
        patched.setattr(StreamedPairs, "fetch", damaging)
        says = r"is empty.*; training stopped at step 3 and is saved in .*--resume"
        with pytest.raises(DataError, match=says):
            train_recipe(chosen, out, progress=False, device="cpu")
    assert load_checkpoint(out / "last.pt")["step"] == 3
    assert not reading()
    shutil.copy(tmp_path / "kept.png", calls[-1])
    train_recipe(chosen, out, resume=True, progress=False, device="cpu")
    one, other = (load_checkpoint(tmp_path / run / "last.pt")["networks"] for run in ("whole", "run"))
    assert all(torch.equal(one["generator"][key], value) for key, value in other["generator"].items())
