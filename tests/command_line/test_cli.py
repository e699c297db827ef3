"""The command line as a user meets it: the four commands in a row, and one sentence for every mistake."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_call import call
from PIL import Image

from gantrans.training import load_checkpoint

TRAIN = ["train", "--direction", "sem2layout", "--scale", "smoke"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A `PairedFolder` as `data export` writes it."""
    out = tmp_path_factory.mktemp("export") / "pairs"
    arguments = ["data", "export", "--source", "sky130", "--size", "32", "--count", "40", "--out", str(out)]
    subprocess.run([sys.executable, "-m", "gantrans", *arguments], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def run(tmp_path_factory, folder):
    """A smoke run trained on the folder, through the real program."""
    out = tmp_path_factory.mktemp("run") / "run"
    done = subprocess.run(
        [sys.executable, "-m", "gantrans", *TRAIN, "--source", str(folder), "--out", str(out)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "python -m gantrans evaluate" in done.stdout
    return out


def test_export_writes_sem_in_input_and_layout_in_target(folder: Path) -> None:
    sem, layout = (sorted((folder / name).glob("*.png")) for name in ("input", "target"))
    assert len(sem) == 40
    assert [p.name for p in sem] == [p.name for p in layout]
    grey = np.asarray(Image.open(sem[0]))
    drawn = np.asarray(Image.open(layout[0]))
    assert grey.shape == drawn.shape == (32, 32)
    assert len(np.unique(grey)) > 50
    assert json.loads((folder / "pairs.json").read_text())["pixel_nm"] == 20.0


def test_train_evaluate_predict(capsys, run: Path, folder: Path, tmp_path: Path) -> None:
    assert load_checkpoint(run)["step"] == 20
    code, out, _ = call(capsys, "evaluate", "--run", run, "--source", folder, "--split", "all", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["count"] == 40
    assert set(report["rows"]) == {"model", "denoise+otsu"}
    for metric in ("l1", "ssim", "psnr", "iou", "epe", "cd_error", "opens", "bridges", "missing", "extra"):
        assert report["rows"]["model"]["all"][metric]["count"] <= 40

    Image.fromarray(np.full((50, 90), 20_000, np.uint16)).save(tmp_path / "wide.tif")
    code, _, _ = call(
        capsys, "predict", "--run", run, "--input", tmp_path / "wide.tif", "--output", tmp_path / "o.png"
    )
    assert code == 0
    assert Image.open(tmp_path / "o.png").size == (90, 50)
    call(capsys, "predict", "--run", run, "--input", folder / "input", "--output", tmp_path / "all")
    assert {p.name for p in (tmp_path / "all").iterdir()} == {p.name for p in (folder / "input").iterdir()}


def test_the_shortest_budget_is_one_step_and_the_whole_schedule(capsys, tmp_path: Path) -> None:
    arguments = [*TRAIN, "--out", tmp_path / "again"]
    assert call(capsys, *arguments, "--max-seconds", "1e-9")[0] == 0
    assert load_checkpoint(tmp_path / "again" / "last.pt")["step"] == 1
    code, out, _ = call(capsys, *arguments, "--resume")
    assert code == 0
    assert "Training finished at step 1" in out


def test_a_folder_of_sem_and_layout_serves_both_directions(capsys, folder: Path, tmp_path: Path) -> None:
    arguments = [
        "train",
        "--direction",
        "layout2sem",
        "--scale",
        "smoke",
        "--source",
        folder,
        "--out",
        tmp_path / "r",
    ]
    code, out, _ = call(capsys, *arguments)
    assert code == 0
    assert "Diagnosis of generator and discriminator: too short: 1 of the 12 records" in out
    code, out, _ = call(
        capsys, "evaluate", "--run", tmp_path / "r", "--source", folder, "--split", "all", "--json"
    )
    assert code == 0
    assert set(json.loads(out)["rows"]) == {"model", "real image"}


def _damage(folder: Path, kind: str) -> None:
    """Spoil a copy of a `PairedFolder` in one way."""
    first = sorted((folder / "input").iterdir())[0]
    if kind == "no partner":
        (folder / "target" / first.name).unlink()
    elif kind == "truncated":
        first.write_bytes(first.read_bytes()[:200])
    elif kind == "zero bytes":
        first.write_bytes(b"")
    elif kind == "nan":
        first.unlink()
        Image.fromarray(np.full((32, 32), np.nan, np.float32)).save(first.with_suffix(".tif"))
    elif kind == "cmyk":
        first.unlink()
        Image.new("CMYK", (32, 32)).save(first.with_suffix(".jpg"))
    elif kind == "too small":
        Image.new("L", (8, 8)).save(first)
        Image.new("L", (8, 8)).save(folder / "target" / first.name)
    elif kind == "missing":
        for path in (folder / "target").iterdir():
            path.unlink()
        (folder / "target").rmdir()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no partner", "has no partner"),
        ("truncated", "truncated or damaged"),
        ("zero bytes", "empty"),
        ("nan", "NaN"),
        ("cmyk", "CMYK"),
        ("too small", "smaller than"),
        ("missing", "missing"),
    ],
)
def test_a_spoilt_folder_gets_one_sentence(
    capsys, folder: Path, tmp_path: Path, kind: str, words: str
) -> None:
    import shutil

    copy = tmp_path / "pairs"
    shutil.copytree(folder, copy)
    (copy / "split.csv").write_text(
        "name,split\n" + "".join(f"{p.stem},train\n" for p in (copy / "input").iterdir())
    )
    _damage(copy, kind)
    code, _, err = call(capsys, *TRAIN, "--source", copy, "--out", tmp_path / "run")
    _is_one_sentence(code, err, words)
    assert not (tmp_path / "run").exists()


def test_a_damaged_image_is_named_whichever_split_it_falls_into(
    capsys, run: Path, folder: Path, tmp_path: Path
) -> None:
    import shutil

    copy = tmp_path / "pairs"
    shutil.copytree(folder, copy)
    names = sorted(path.stem for path in (copy / "input").iterdir())
    for damaged in ("train", "val", "test"):
        others = [("train", "val", "test")[i % 3] for i in range(1, len(names))]
        rows = [f"{n},{s}" for n, s in zip(names, [damaged, *others], strict=True)]
        (copy / "split.csv").write_text("\n".join(["name,split", *rows]))
        _damage(copy, "truncated")
        for arguments in ([*TRAIN, "--out", tmp_path / "new"], ["evaluate", "--run", run]):
            code, _, err = call(capsys, *arguments, "--source", copy)
            _is_one_sentence(code, err, names[0])
    assert not (tmp_path / "new").exists()


TRAIN_ANYWHERE = ["train", "--direction", "sem2layout", "--scale", "smoke", "--out"]
PREDICT = ["predict", "--run", "{run}", "--input"]
MISTAKES = {
    "no source 'skye130': give procedural, sky130": [*TRAIN_ANYWHERE, "{tmp}/r", "--source", "skye130"],
    "no source 'nowhere'": ["evaluate", "--run", "{run}", "--source", "nowhere"],
    "max_seconds is 0.0": [*TRAIN_ANYWHERE, "{tmp}/r", "--max-seconds", "0"],
    "pixel_nm is 0.0": [*TRAIN_ANYWHERE, "{tmp}/r", "--pixel-nm", "0"],
    "cannot be created": [*PREDICT, "{folder}/input", "--output", "{folder}/pairs.json/x"],
    "not empty (": [*TRAIN_ANYWHERE, "{run}"],
    "other settings": [*TRAIN_ANYWHERE, "{run}", "--resume"],
    "no checkpoint": ["evaluate", "--run", "{tmp}/nothing"],
    "for folders": ["evaluate", "--run", "{run}", "--split", "all"],
    "7 nm per pixel": ["evaluate", "--run", "{run}", "--pixel-nm", "7"],
    "no.png": [*PREDICT, "{tmp}/no.png", "--output", "{tmp}/x.png"],
    "no image": [*PREDICT, "{tmp}", "--output", "{tmp}/x"],
    "overwritten": [*PREDICT, "{folder}/input", "--output", "{folder}/input"],
    "not empty;": ["data", "export", "--out", "{folder}"],
    "met9": ["data", "export", "--out", "{tmp}/e", "--source", "sky130", "--layer", "met9"],
}


@pytest.mark.parametrize(("words", "arguments"), MISTAKES.items())
def test_a_mistake_gets_one_sentence_and_code_2(capsys, run, folder, tmp_path, words, arguments) -> None:
    before = {p: p.stat().st_mtime_ns for p in [*run.rglob("*"), *folder.rglob("*")]}
    filled = [a.format(run=run, folder=folder, tmp=tmp_path) for a in arguments]
    code, _, err = call(capsys, *filled)
    _is_one_sentence(code, err, words)
    assert before == {p: p.stat().st_mtime_ns for p in [*run.rglob("*"), *folder.rglob("*")]}


def test_a_checkpoint_of_another_version_is_refused(capsys, run: Path, tmp_path: Path) -> None:
    import shutil

    import torch

    copy = tmp_path / "old"
    shutil.copytree(run, copy)
    for path in copy.glob("*.pt"):
        torch.save({**torch.load(path, weights_only=True), "format": 99}, path)
    code, _, err = call(capsys, "evaluate", "--run", copy)
    _is_one_sentence(code, err, "format")


def test_a_checkpoint_with_an_unknown_setting_is_refused(capsys, run: Path, tmp_path: Path) -> None:
    import shutil

    import torch

    copy = tmp_path / "newer"
    shutil.copytree(run, copy)
    for path in copy.glob("*.pt"):
        contents = torch.load(path, weights_only=True)
        contents["settings"]["extra"]["recipe"]["data"]["colour"] = "red"
        torch.save(contents, path)
    code, _, err = call(capsys, "evaluate", "--run", copy)
    _is_one_sentence(
        code, err, "newer are not valid in this version of gantrans: DataSpec has no field 'colour'"
    )


def test_programs_get_json(capsys) -> None:
    for arguments in (["doctor", "--json"], ["course", "claims", "--json"], ["course", "list", "--json"]):
        _, out, _ = call(capsys, *arguments)
        assert isinstance(json.loads(out), list)


def test_a_rerun_shows_what_it_gave_not_what_is_committed(capsys) -> None:
    code, out, _ = call(capsys, "course", "claims", "--rerun", "G03", "--scale", "smoke", "--json")
    assert code == 0
    (row,) = json.loads(out)
    assert (row["id"], row["scale"], row["verdict"]) == ("G03", "smoke", "open")


def test_help_of_every_command_explains_itself(capsys) -> None:
    for arguments in (["train"], ["evaluate"], ["predict"], ["data", "export"], ["doctor"], ["course"]):
        code, out, _ = call(capsys, *arguments, "--help")
        assert code == 0
        assert "Usage" in out


def _is_one_sentence(code: int, err: str, words: str) -> None:
    lines = [line for line in err.splitlines() if line.strip() and "step/s" not in line]
    assert code == 2, err
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert lines[0].endswith(".")
    assert words in lines[0]
