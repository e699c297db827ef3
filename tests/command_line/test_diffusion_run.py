"""The recipes `diffusion` and `transformer` at the command line: train, evaluate, predict, the loop."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_call import call
from PIL import Image

from gantrans.operations.feedback.store import Store
from gantrans.translation import Recipe, load_recipe, recipe, train_recipe

Capture = pytest.CaptureFixture[str]


def small(direction: str, name: str) -> Recipe:
    chosen = recipe(direction, "smoke", name=name)
    return replace(chosen, data=replace(chosen.data, count=8, validation=4), fit=replace(chosen.fit, steps=2))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A diffusion run of each direction, and a transformer."""
    folder = tmp_path_factory.mktemp("runs")
    names = {"many": ("layout2sem", "diffusion"), "back": ("sem2layout", "diffusion")}
    names["one"] = ("sem2layout", "transformer")
    for name, (direction, kind) in names.items():
        train_recipe(small(direction, kind), folder / name, progress=False, device="cpu")
    return {name: folder / name for name in names}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A line of 8 px in an image of 40 x 32."""
    pixels = np.zeros((32, 40), np.uint8)
    pixels[:, 16:24] = 255
    Image.fromarray(pixels).save(tmp_path / "in.png")
    return tmp_path / "in.png"


def grey(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path), np.float32)


@pytest.mark.parametrize("name", ["diffusion", "transformer"])
def test_it_is_trained_and_goes_on(capsys: Capture, tmp_path: Path, name: str) -> None:
    train = ("train", "--recipe", name, "--direction", "layout2sem", "--scale", "smoke")
    common = (*train, "--out", tmp_path / "run", "--max-seconds", "1e-9")
    code, out, err = call(capsys, *common)
    assert code == 0, err
    assert "python -m gantrans evaluate --run" in out
    assert "Diagnosis" not in out
    assert load_recipe(tmp_path / "run").task == recipe("layout2sem", "smoke", name=name).task
    assert call(capsys, *common, "--resume")[0] == 0
    code, _, err = call(capsys, "train", "--recipe", name, "--direction", "both", "--out", tmp_path / "both")
    assert (code, err.count("\n")) == (2, 1)
    assert f"The recipe {name} trains one direction" in err
    assert not (tmp_path / "both").exists()


def test_it_is_evaluated_with_the_steps_asked_for(capsys: Capture, runs: dict[str, Path]) -> None:
    found = []
    for further in ((), ("--steps", 1), ("--steps", 1)):
        code, out, err = call(capsys, "evaluate", "--run", runs["back"], "--count", 3, "--json", *further)
        assert code == 0, err
        found.append(json.loads(out)["rows"]["model"]["all"]["l1"])
    assert found[1] == found[2] != found[0]
    code, _, err = call(capsys, "evaluate", "--run", runs["one"], "--count", 3, "--steps", 1)
    assert (code, err.count("\n")) == (2, 1)
    assert "this run translates in one evaluation; leave out --steps" in err
    code, _, err = call(capsys, "evaluate", "--run", runs["back"], "--count", 3, "--steps", 1001)
    assert (code, err.count("\n")) == (2, 1)
    assert "give 1 to 1000" in err


def test_one_image_and_equal_seeds(
    capsys: Capture, runs: dict[str, Path], picture: Path, tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        common = ("--run", runs["many"], "--input", picture, "--output", tmp_path / f"{name}.png")
        code, out, err = call(capsys, "predict", *common, "--steps", 2, "--seed", seed)
        assert (code, err) == (0, "")
        assert "Wrote 1 image" in out
    assert grey(tmp_path / "a.png").shape == (32, 40)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (grey(tmp_path / "a.png") != grey(tmp_path / "c.png")).any()


def test_many_answers_their_mean_and_their_interval(
    capsys: Capture, runs: dict[str, Path], picture: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    common = ("predict", "--run", runs["many"], "--input", picture, "--output", out, "--steps", 2)
    assert call(capsys, *common, "--answers", 19)[0] == 0
    answers = np.stack([grey(out / f"in-answer{k:02d}.png") for k in range(1, 20)])
    mean, low, high = (grey(out / f"in{end}.png") for end in ("", "-low", "-high"))
    assert len(list(out.iterdir())) == 22
    np.testing.assert_allclose(mean, answers.mean(0), atol=1.0)
    np.testing.assert_array_equal(low, answers.min(0))  # of 19 answers the extremes bound 90 %
    np.testing.assert_array_equal(high, answers.max(0))
    assert (answers[0] != answers[1]).any()
    code, _, err = call(capsys, *common, "--answers", 2)
    assert (code, err.count("\n")) == (2, 1)
    assert "in.png exists and was not replaced" in err
    few = tmp_path / "few"
    assert call(capsys, *common[:6], few, "--answers", 2, "--steps", 2)[0] == 0
    assert sorted(path.name for path in few.iterdir()) == ["in-answer01.png", "in-answer02.png", "in.png"]
    np.testing.assert_array_equal(grey(few / "in-answer01.png"), answers[0])


def test_a_run_with_one_answer_says_so(
    capsys: Capture, runs: dict[str, Path], picture: Path, tmp_path: Path
) -> None:
    common = ("predict", "--run", runs["one"], "--input", picture, "--output", tmp_path / "out")
    code, _, err = call(capsys, *common, "--answers", 5)
    assert (code, err.count("\n")) == (2, 1)
    assert "a generator without noise, which has one" in err
    assert not (tmp_path / "out").exists()


def test_names_of_answers_that_collide_are_refused(
    capsys: Capture, runs: dict[str, Path], picture: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "a-answer01.png"):
        (folder / name).write_bytes(picture.read_bytes())
    common = ("predict", "--run", runs["many"], "--input", folder, "--output", tmp_path / "out")
    code, _, err = call(capsys, *common, "--answers", 2)
    assert (code, err.count("\n")) == (2, 1)
    assert "would both become a-answer01.png" in err
    assert not (tmp_path / "out").exists()


def test_the_loop_takes_it_from_registration_to_the_gate(
    capsys: Capture, runs: dict[str, Path], tmp_path: Path
) -> None:
    models, store, pairs = tmp_path / "models", tmp_path / "feedback.sqlite", tmp_path / "pairs"
    where = ("--registry", models, "--store", store)
    road = [
        ("registry", "init", models),
        ("registry", "register", models, runs["back"]),
        ("registry", "promote", models, "--why", "the first"),
        ("data", "export", "--size", 32, "--count", 12, "--seed", 1, "--out", pairs),
        ("data", "import", "--pairs", pairs, *where),
        ("finetune", *where, "--out", tmp_path / "tuned", "--epochs", 1),
        ("registry", "register", models, tmp_path / "tuned", "--parent", "v0001"),
    ]
    for command in road:
        code, _, err = call(capsys, *command)
        assert code == 0, (command, err)
    code, out, err = call(capsys, "gate", *where, "--report", tmp_path / "gate.json")
    assert (code in (0, 1), err) == (True, "")
    assert "v0002 against v0001" in out
    assert json.loads((tmp_path / "gate.json").read_text())["challenger"] == "v0002"
    assert call(capsys, "registry", "promote", models, "--why", "tried")[0] == 0
    assert len(Store(store, create=False).pairs("sem2layout")) == 12
