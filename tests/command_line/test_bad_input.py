"""Folders and runs that cannot be used: one sentence, exit code 2, nothing written and nothing overwritten.

Each mistake is made through the command line, with a network as it is.
"""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_call import code_and_error
from PIL import Image

from gantrans.files import held
from gantrans.networks import PatchGANConfig, UNetConfig
from gantrans.training import FitConfig, load_checkpoint
from gantrans.training.budget import Costs
from gantrans.translation import Pix2PixConfig, recipes

SMOKE = ("--direction", "sem2layout", "--scale", "smoke")


def pairs(root: Path, splits: str, size: int = 32) -> Path:
    """A folder of pairs, one for each letter of `splits`: t(rain), v(al) or e (test)."""
    names = {"t": "train", "v": "val", "e": "test"}
    for kind in ("input", "target"):
        (root / kind).mkdir(parents=True)
        for i in range(len(splits)):
            draw = np.random.default_rng(i)
            image = 255 * draw.integers(0, 2, (size // 4, size // 4)).repeat(4, 0).repeat(4, 1)
            if kind == "input":
                image = (0.6 * image + draw.normal(50, 8, image.shape)).clip(0, 255)
            Image.fromarray(image.astype(np.uint8)).save(root / kind / f"{i}.png")
    (root / "pairs.json").write_text('{"input": "sem"}')
    rows = [f"{i},{names[letter]}" for i, letter in enumerate(splits)]
    (root / "split.csv").write_text("\n".join(["name,split", *rows]) + "\n")
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps on a folder of three pairs, one for each split."""
    root = tmp_path_factory.mktemp("fitting")
    chosen = recipes.recipe("sem2layout", "smoke", str(pairs(root / "pairs", "tve")))
    short = recipes.replace(chosen, fit=recipes.replace(chosen.fit, steps=3))
    recipes.train_recipe(short, root / "run", progress=False, device="cpu")
    return root / "run"


def refused(capsys: pytest.CaptureFixture[str], words: str, *arguments: object) -> None:
    """The call ends with code 2 and one line that holds `words`."""
    code, err = code_and_error(capsys, *arguments)
    assert code == 2, err
    assert words in err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1


def state(*roots: Path) -> dict[Path, int]:
    """Every path below, with its time of change."""
    return {path: path.stat().st_mtime_ns for root in roots for path in root.rglob("*")}


@pytest.mark.parametrize(
    ("splits", "size", "words"),
    [
        ("t", 32, "no pair in the split 'val' (1 train, 0 val, 0 test)"),
        ("v", 32, "no pair in the split 'train' (0 train, 1 val, 0 test)"),
        ("te", 32, "no pair in the split 'val'"),
        ("tve", 16, "16 x 16 px, smaller than the 32 px asked for"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--max-seconds", 5)])
def test_training_on_a_folder_that_is_too_small(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, splits: str, size: int, words: str, more: tuple[Any]
) -> None:
    folder = pairs(tmp_path / "pairs", splits, size)
    refused(capsys, words, "train", *SMOKE, "--source", folder, "--out", tmp_path / "run", *more)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("splits", "size", "asked", "words"),
    [
        ("t", 32, "test", "no pair in the split 'test' (1 train, 0 val, 0 test)"),
        ("e", 32, "train", "no pair in the split 'train'"),
        ("tve", 16, "all", "smaller than the 32 px asked for"),
    ],
)
def test_evaluating_a_folder_that_is_too_small(
    capsys: pytest.CaptureFixture[str],
    run: Path,
    tmp_path: Path,
    splits: str,
    size: int,
    asked: str,
    words: str,
) -> None:
    folder, before = pairs(tmp_path / "pairs", splits, size), state(run)
    refused(capsys, words, "evaluate", "--run", run, "--source", folder, "--split", asked)
    assert state(run) == before


def test_one_pair_and_a_tiny_image_can_be_evaluated_and_predicted(
    capsys: pytest.CaptureFixture[str], run: Path, tmp_path: Path
) -> None:
    folder = pairs(tmp_path / "pairs", "e")
    assert code_and_error(capsys, "evaluate", "--run", run, "--source", folder)[0] == 0
    Image.new("L", (3, 2)).save(tmp_path / "tiny.png")
    assert (
        code_and_error(
            capsys, "predict", "--run", run, "--input", tmp_path / "tiny.png", "--output", tmp_path / "o.png"
        )[0]
        == 0
    )
    assert Image.open(tmp_path / "o.png").size == (3, 2)


NETWORKS = {
    "do not fit a U-Net with n_down = 6, which needs multiples of 64 px": Pix2PixConfig(
        UNetConfig(base_filters=2, n_down=6), None
    ),
    "one pixel at the bottleneck of a U-Net with n_down = 5": Pix2PixConfig(
        UNetConfig(base_filters=2, n_down=5), None
    ),
    "too small for the discriminator: with n_layers = 4 it gives a logit from 48 px on": Pix2PixConfig(
        UNetConfig(base_filters=2, n_down=2), PatchGANConfig(base_filters=2, n_layers=4)
    ),
}


@pytest.mark.parametrize("words", NETWORKS)
@pytest.mark.parametrize("more", [(), ("--max-seconds", 5)])
def test_networks_that_do_not_fit_the_size_of_the_pairs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str,
    more: tuple[Any]
) -> None:  # fmt: skip
    monkeypatch.setitem(recipes.TRAININGS, ("binary", "smoke"), lambda: (NETWORKS[words], FitConfig(2)))
    monkeypatch.setitem(recipes.BATCH, "smoke", 1)
    refused(capsys, words, "train", *SMOKE, "--out", tmp_path / "run", *more)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"--direction": "layout2sem"}, "other settings (extra.recipe.direction: 'sem2layout' there"),
        ({"--scale": "reduced"}, "32 x 32 px, smaller than the 64 px"),
        ({"--seed": "1"}, "other settings"),
    ],
)
def test_a_run_of_another_recipe_is_not_continued(
    capsys: pytest.CaptureFixture[str], run: Path, changed: dict[str, str], words: str
) -> None:
    folder, before = run.parent / "pairs", state(run)
    options = {"--direction": "sem2layout", "--scale": "smoke", "--source": folder, "--out": run} | changed
    flat = [value for pair in options.items() for value in pair]
    refused(capsys, words, "train", *flat, "--resume")
    refused(capsys, words, "train", *flat, "--resume", "--max-seconds", 5)
    assert state(run) == before


def test_a_folder_without_a_run_is_not_resumed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    refused(capsys, "no run to resume", "train", *SMOKE, "--out", tmp_path / "run", "--resume")
    assert not (tmp_path / "run").exists()


def test_a_budget_is_stored_and_a_killed_run_ends_as_the_unbroken_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its first checkpoint a run has only its config.json, which holds the number of steps."""
    monkeypatch.setattr("gantrans.training.budget.measure_costs", lambda *a, **k: Costs(step=1e4))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert code_and_error(capsys, "train", *SMOKE, "--out", whole, "--max-seconds", 1e5)[0] == 0
    settings = json.loads((whole / "config.json").read_text())["settings"]
    steps = settings["extra"]["budget"]["steps"]
    assert steps == 9
    assert settings["fit"]["steps"] == settings["extra"]["recipe"]["fit"]["steps"] == steps
    killed.mkdir()
    (killed / "config.json").write_bytes((whole / "config.json").read_bytes())
    assert code_and_error(capsys, "train", *SMOKE, "--out", killed, "--resume", "--max-seconds", 900)[0] == 0
    one, other = (load_checkpoint(folder / "last.pt") for folder in (whole, killed))
    assert one["step"] == other["step"] == steps
    weights = one["networks"]["generator"]
    assert all(torch.equal(other["networks"]["generator"][key], weights[key]) for key in weights)


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "--run", "run", "--count", 99_999_999_999), ("review", "run", "--count", 10**12),
        ("data", "export", "--out", "pairs", "--count", 10**12),
        ("data", "export", "--out", "pairs", "--count", 99_999, "--size", 2048),
        ("clips", "sample", "--run", "run", "--out", "clips", "--count", 10**12),
    ],
)  # fmt: skip
def test_a_number_that_would_never_end_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, err = code_and_error(capsys, *arguments)
    assert code == 2
    assert "--count" in err
    assert "100000" in err or "need 839 GB" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("at_a_terminal")
@pytest.mark.parametrize("when", ["pairs", "steps"])
def test_ctrl_c_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    train, out = ("train", *SMOKE, "--out", tmp_path / "run"), tmp_path / "run"

    def strike(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        if when == "pairs":
            patched.setattr(recipes.DataSpec, "pairs", strike)
        else:
            patched.setattr("gantrans.training.loop._note", strike)
        code, err = code_and_error(capsys, *train)
    assert code == 130
    if when == "pairs":
        assert err == f"Interrupted before the training began; nothing was written to {out}.\n"
        assert not out.exists()
        return
    assert err == (
        f"Training was interrupted at step 1 and saved in {out}: the same command with --resume goes on from "
        "there.\n"
    )
    assert load_checkpoint(out / "last.pt")["step"] == 1
    assert code_and_error(capsys, *train, "--resume")[0] == 0
    assert load_checkpoint(out / "last.pt")["step"] == 20


@pytest.mark.parametrize("again", [(), ("--resume",)])
def test_a_folder_in_which_another_process_trains_is_left_alone(
    capsys: pytest.CaptureFixture[str], run: Path, tmp_path: Path, again: tuple[str]
) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    for path in run.iterdir() if again else ():
        (copy / path.name).write_bytes(path.read_bytes())
    with held(copy / ".lock", "The run"):
        before = state(copy)
        words = f"The run in {copy} is in use by process {os.getpid()} on "
        refused(capsys, words, "train", *SMOKE, "--source", run.parent / "pairs", "--out", copy, *again)
        assert state(copy) == before


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Replace a part of a loaded checkpoint by its place; `...` removes it."""

    def change(stored: dict[str, Any]) -> None:
        *places, last = path.split("/")
        for place in places:
            stored = stored[place]
        if value is ...:
            del stored[last]
        else:
            stored[last] = value

    return change


def poison(stored: dict[str, Any]) -> None:
    weights = stored["networks"]["generator"]
    next(value for value in weights.values() if value.ndim).fill_(float("nan"))


RECIPE = "settings/extra/recipe"
MADE = {
    "settings empty": put("settings", {}),
    "no recipe": put(RECIPE, ...),
    "recipe a list": put(RECIPE, [1]),
    "recipe without a task": put(f"{RECIPE}/task", ...),
    "size a text": put(f"{RECIPE}/data/size", "32"),
    "generator of another width": put(f"{RECIPE}/task/generator/base_filters", 16),
    "generator of no width": put(f"{RECIPE}/task/generator/base_filters", "wide"),
    "direction unknown": put(f"{RECIPE}/direction", "up"),
    "no networks": put("networks", {}),
    "another network": put("networks", {"mine": {"0.weight": torch.zeros(1)}}),
    "weights of numbers": put("networks/generator", {"x": 1}),
    "weights NaN": poison,
    "weights missing": lambda stored: stored["networks"]["generator"].popitem(),
    "fit a list": put("settings/fit", [1]),
}
RESUMED = {
    "no optimizers": put("optimizers", {}),
    "optimizer odd": put("optimizers/generator", {"state": {0: 1}, "param_groups": 3}),
    "random odd": put("random", [1]),
    "no buffer": put("task_state", {}),
    "buffer odd": put("task_state", {"buffer": {"pairs": 1, "random": 2}}),
    "best odd": put("best", {"x": 1}),
    "window odd": put("window", {"l1": 3}),
    "history length negative": put("history_length", -1),
}


@pytest.mark.parametrize("name", [*MADE, *RESUMED])
def test_a_checkpoint_made_by_hand_gets_one_sentence_from_every_command(
    capsys: pytest.CaptureFixture[str], run: Path, tmp_path: Path, name: str
) -> None:
    image, made = next((run.parent / "pairs" / "input").iterdir()), tmp_path / "run"
    made.mkdir()
    for path in run.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    for path in made.glob("*.pt"):
        stored = torch.load(path, weights_only=True)
        {**MADE, **RESUMED}[name](stored)
        torch.save(stored, path)
    before, pairs_folder = state(made), run.parent / "pairs"
    calls = [("train", *SMOKE, "--source", pairs_folder, "--out", made, "--resume")]
    if name in MADE:
        calls.append(("predict", "--run", made, "--input", image, "--output", tmp_path / "o.png"))
        calls.append(("evaluate", "--run", made, "--source", pairs_folder))
    for arguments in calls:
        refused(capsys, "", *arguments)
        assert state(made) == before
    assert not (tmp_path / "o.png").exists()
