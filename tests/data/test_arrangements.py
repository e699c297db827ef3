"""How files lie: every arrangement gives the same pairs, others are offered, groups stay whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantrans.data.arrangements import recognise
from gantrans.data.encoding import ARRANGEMENTS, Encoding
from gantrans.data.folder import PairedFolder, hash_split
from gantrans.data.streaming import StreamedPairs
from gantrans.errors import DataError

COUNT = 12
Write = Callable[[Path, str, np.ndarray, np.ndarray], None]


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    draw = np.random.default_rng(1)
    return {
        f"im{i:02d}": tuple(draw.integers(0, 256, (16, 20), dtype=np.uint8) for _ in "ab")
        for i in range(COUNT)
    }


def write_folders(root: Path, name: str, a: np.ndarray, b: np.ndarray) -> None:
    save(root / "input" / f"{name}.png", a)
    save(root / "target" / f"{name}.bmp", b)


def write_halves(root: Path, name: str, a: np.ndarray, b: np.ndarray) -> None:
    save(root / f"{name}.png", np.concatenate([a, b], axis=1))


def write_masks(root: Path, name: str, a: np.ndarray, b: np.ndarray) -> None:
    save(root / "images" / f"{name}.png", a)
    save(root / "masks" / f"{name}.png", b)


def write_ends(root: Path, name: str, a: np.ndarray, b: np.ndarray) -> None:
    save(root / f"{name}_input.png", a)
    save(root / f"{name}_target.png", b)


def write_ab(root: Path, name: str, a: np.ndarray, b: np.ndarray) -> None:
    save(root / "trainA" / f"{name}.png", a)
    save(root / "trainB" / f"{name}.png", b)


WRITERS: dict[str, Write] = {
    "folders": write_folders,
    "side-by-side": write_halves,
    "train-ab": write_ab,
    "images-masks": write_masks,
    "suffixes": write_ends,
}


def written(root: Path, layout: str) -> Path:
    for name, (a, b) in pairs().items():
        WRITERS[layout](root, name, a, b)
    return root


@pytest.mark.parametrize("layout", ARRANGEMENTS)
def test_every_arrangement_gives_the_same_pairs(tmp_path: Path, layout: str) -> None:
    root = written(tmp_path, layout)
    assert recognise(root) == [layout]
    folder = PairedFolder(root, encoding=Encoding(layout=layout))
    swapped = PairedFolder(root, encoding=Encoding(layout=layout, swap=True))
    begin = "train-" if layout == "train-ab" else ""
    assert list(folder.inputs) == [begin + name for name in pairs()]
    for name, (a, b) in pairs().items():
        first, second = folder.read(begin + name)
        assert torch.equal(first[0], torch.from_numpy(a))
        assert torch.equal(second[0], torch.from_numpy(b))
        assert all(map(torch.equal, swapped.read(begin + name), (second, first)))
        assert folder.size(begin + name) == (16, 20)
    loaded = folder.load("image2image", split="all", size=16, progress=False)
    streamed = StreamedPairs(folder, "image2image", split="all", size=16, readers=0, progress=False)
    assert all(map(torch.equal, streamed.fetch("image2image", range(len(loaded))), (loaded.a, loaded.b)))


@pytest.mark.parametrize("layout", ARRANGEMENTS[1:])
def test_an_arrangement_that_was_not_stated_is_offered_and_not_taken(tmp_path: Path, layout: str) -> None:
    with pytest.raises(DataError, match=f"input is missing.*--layout {layout}") as caught:
        PairedFolder(written(tmp_path, layout))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", ARRANGEMENTS)
def test_a_stated_arrangement_that_does_not_fit_is_named(tmp_path: Path, layout: str) -> None:
    save(tmp_path / "other" / "a.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"is missing|holds no") as caught:
        PairedFolder(tmp_path, encoding=Encoding(layout=layout))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("layout", ["folders", "train-ab", "images-masks", "suffixes"])
def test_an_image_without_partner_is_named(tmp_path: Path, layout: str) -> None:
    root = written(tmp_path, layout)
    sorted(root.rglob("im03*"))[-1].unlink()
    with pytest.raises(DataError, match=r"im03.*has no partner"):
        PairedFolder(root, encoding=Encoding(layout=layout))


def test_folders_keep_their_splits_though_names_repeat(tmp_path: Path) -> None:
    a, b = next(iter(pairs().values()))
    for split, count in (("train", 30), ("val", 3), ("test", 2)):
        for i in range(count):
            write_halves(tmp_path / "halves" / split, f"{i + 1}", a, b)
            save(tmp_path / "ab" / f"{split}A" / f"{i + 1}.png", a)
            save(tmp_path / "ab" / f"{split}B" / f"{i + 1}.png", b)
    for root, layout in (("halves", "side-by-side"), ("ab", "train-ab")):
        folder = PairedFolder(tmp_path / root, encoding=Encoding(layout=layout))
        assert [len(folder.names(s)) for s in ("train", "val", "test")] == [30, 3, 2]
        assert folder.names("test") == ["test-1", "test-2"]


def test_without_a_validation_folder_some_training_pairs_validate_and_test_is_left_alone(
    tmp_path: Path,
) -> None:
    a, b = next(iter(pairs().values()))
    for i in range(40):
        write_halves(tmp_path / "train", f"{i}", a, b)
    write_halves(tmp_path / "test", "0", a, b)
    folder = PairedFolder(tmp_path, encoding=Encoding(layout="side-by-side"))
    names = [f"train-{i}" for i in range(40)]
    assert set(folder.names("val")) == {name for name in names if hash_split(name) == "val"}
    assert folder.names("test") == ["test-0"]
    assert len(folder.names("train")) + len(folder.names("val")) == 40


def test_a_group_is_in_one_split_and_contradictions_are_named(tmp_path: Path) -> None:
    a, b = next(iter(pairs().values()))
    names = [f"wafer{w:02d}-{i}" for w in range(30) for i in range(4)]
    for name in names:
        write_folders(tmp_path, name, a, b)
    grouped = PairedFolder(tmp_path, encoding=Encoding(split_by="^(wafer[0-9]+)-"))
    assert grouped.split == {name: hash_split(name.split("-")[0]) for name in names}
    assert set(grouped.split.values()) == {"train", "val", "test"}
    assert grouped.split == PairedFolder(tmp_path, encoding=Encoding(split_by="^wafer[0-9]+")).split
    assert PairedFolder(tmp_path).split == {name: hash_split(name) for name in names}
    with pytest.raises(DataError, match=r"--split-by '\^lot' finds no group in the name 'wafer00-0'"):
        PairedFolder(tmp_path, encoding=Encoding(split_by="^lot"))

    def listed(split: Callable[[str], str]) -> None:
        rows = "".join(f"{name},{split(name)}\n" for name in names)
        (tmp_path / "split.csv").write_text("name,split\n" + rows)

    listed(lambda name: "test" if name.startswith("wafer00") else "train")
    csv = PairedFolder(tmp_path, encoding=Encoding(split_by="^wafer[0-9]+"))
    assert csv.names("test") == [f"wafer00-{i}" for i in range(4)]  # the file wins
    listed(lambda name: "test" if name == "wafer00-2" else "train")
    with pytest.raises(DataError, match=r"split\.csv puts 'wafer00-0' in train and 'wafer00-2' in test"):
        PairedFolder(tmp_path, encoding=Encoding(split_by="^wafer[0-9]+"))


def test_pairs_of_classes_that_the_manifest_calls_inputs_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "input" / "a.png", np.uint8([[0, 1]]))
    save(tmp_path / "target" / "a.png", np.uint8([[0, 1]]))
    (tmp_path / "pairs.json").write_text('{"input": "classes", "classes": 2}')
    with pytest.raises(DataError, match=r"the targets of image2classes.*--swap"):
        PairedFolder(tmp_path).load("image2classes", split="all", progress=False)
    (tmp_path / "pairs.json").write_text('{"classes": 2}')
    loaded = PairedFolder(tmp_path).load("image2classes", split="all", progress=False)
    assert (loaded.classes, loaded.b.flatten().tolist()) == (("0", "1"), [0, 1])
