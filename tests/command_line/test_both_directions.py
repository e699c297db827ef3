"""A run of both directions at the command line, and one sentence for every direction that does not fit."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from test_cli import call

TRAIN = ("train", "--recipe", "article", "--direction", "both", "--scale", "smoke", "--out")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A run of both directions and one of SEM -> layout, at smoke, stopped after a step."""

    folder = tmp_path_factory.mktemp("runs")
    both = [*TRAIN, str(folder / "both"), "--max-seconds", "1e-9"]
    one = ["train", "--direction", "sem2layout", "--scale", "smoke", "--out", str(folder / "one")]
    for arguments in (both, [*one, "--max-seconds", "1e-9"]):
        subprocess.run([sys.executable, "-m", "gantrans", *arguments], check=True, capture_output=True)
    return {name: folder / name for name in ("both", "one")}


def test_the_whole_machine_is_trained_evaluated_and_used(
    capsys, runs: dict[str, Path], tmp_path: Path
) -> None:
    code, out, err = call(capsys, *TRAIN, runs["both"], "--resume", "--max-seconds", "1e-9")
    assert code == 0, err
    assert "Diagnosis of generator and discriminator, sem2layout: too short" in out
    assert "Diagnosis of generator and discriminator, layout2sem: too short" in out
    assert "--direction sem2layout" in out
    for direction in ("sem2layout", "layout2sem"):
        chosen = ("--run", runs["both"], "--direction", direction)
        code, out, _ = call(capsys, "evaluate", *chosen, "--count", 4)
        assert code == 0
        assert f"4 pairs of procedural (test), {direction}" in out
        Image.new("L", (40, 32), 90).save(tmp_path / "in.png")
        result = tmp_path / f"{direction}.png"
        assert call(capsys, "predict", *chosen, "--input", tmp_path / "in.png", "--output", result)[0] == 0
        assert Image.open(result).size == (40, 32)
    pictures = [(tmp_path / f"{d}.png").read_bytes() for d in ("sem2layout", "layout2sem")]
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--direction", "sem2layout", "--recipe", "article"], "give --direction both, or --recipe default"),
        (
            ["--direction", "both"],
            "give --direction sem2layout, layout2sem, image2mask, image2classes or image2image, or --recipe",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_writes_nothing(
    capsys, tmp_path: Path, arguments: list[str], words: str
) -> None:
    code, out, err = call(capsys, "train", *arguments, "--scale", "smoke", "--out", tmp_path / "run")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["evaluate", "predict", "review", "serve"])
def test_a_direction_that_a_run_lacks_is_one_sentence(
    capsys, runs: dict[str, Path], tmp_path: Path, command: str
) -> None:
    Image.new("L", (32, 32), 90).save(tmp_path / "in.png")
    further = {
        "predict": ["--input", tmp_path / "in.png", "--output", tmp_path / "out.png"],
        "serve": ["--store", tmp_path / "store.sqlite"],
    }.get(command, [])
    where = [] if command == "review" else ["--run"]
    code, _, err = call(capsys, command, *where, runs["one"], *further, "--direction", "layout2sem")
    assert (code, err.count("\n")) == (2, 1)
    assert "translates sem2layout, not layout2sem" in err
    if command != "serve":
        code, _, err = call(capsys, command, *where, runs["both"], *further)
        assert (code, err.count("\n")) == (2, 1)
        assert "choose one with --direction sem2layout or --direction layout2sem" in err
    assert not (tmp_path / "out.png").exists()
    assert not (tmp_path / "store.sqlite").exists()
