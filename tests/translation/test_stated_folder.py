"""What is stated at the training of a folder counts in every command that takes the run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gantrans.__main__ import app
from gantrans.data.encoding import Encoding
from gantrans.data.pairs import make_pairs
from gantrans.data.reading import read_image
from gantrans.errors import ConfigError, DataError
from gantrans.operations.feedback.sides import reading_of
from gantrans.operations.serving.decode import decode
from gantrans.operations.serving.review import Review
from gantrans.translation import Predictor, evaluate_run, load_recipe, recipe, train_recipe
from gantrans.translation.sources import DataSpec, held_out

STATED = Encoding(white=4095.0, mask_values=(0, 1))
COUNT = 20


@dataclass(frozen=True)
class Trained:
    folder: Path
    run: Path
    inputs: np.ndarray
    masks: np.ndarray


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A smoke run on 12-bit images in 16-bit files, with masks of 0 and 1."""
    root = tmp_path_factory.mktemp("stated")
    pairs = make_pairs("procedural", count=COUNT, size=32, progress=False)
    inputs = np.round(pairs.sem[:, 0].numpy() / 255.0 * 4095).astype(np.uint16)
    masks = (pairs.layout[:, 0].numpy() > 127).astype(np.uint8)
    rows = ["name,split"]
    for i in range(COUNT):
        for role, values in (("input", inputs[i]), ("target", masks[i])):
            (root / "pairs" / role).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / "pairs" / role / f"im{i:02d}.png")
        rows.append(f"im{i:02d},{('train', 'train', 'val', 'test')[i % 4]}")
    (root / "pairs" / "split.csv").write_text("\n".join(rows))
    chosen = recipe("image2mask", "smoke", str(root / "pairs"), encoding=STATED)
    train_recipe(chosen, root / "run", progress=False, device="cpu")
    return Trained(root / "pairs", root / "run", inputs, masks)


def test_evaluate_and_review_see_the_stated_pixels(trained: Trained) -> None:
    assert load_recipe(trained.run).data.encoding == STATED
    spec = held_out(load_recipe(trained.run).data, str(trained.folder))
    pairs = spec.pairs("test", "image2mask")
    chosen = range(3, COUNT, 4)
    for place, i in enumerate(chosen):
        wanted = np.round(trained.inputs[i] / 4095 * 255).astype(np.uint8)
        np.testing.assert_array_equal(pairs.a[place, 0].numpy(), wanted)
        np.testing.assert_array_equal(pairs.b[place, 0].numpy(), 255 * trained.masks[i])
    report = evaluate_run(trained.run, str(trained.folder), device="cpu")
    swapped = evaluate_run(
        trained.run, str(trained.folder), device="cpu", encoding=Encoding(mask_values=(1, 0))
    )
    assert report.count == len(chosen)
    assert report.mean("model", "l1") == pytest.approx(1 - swapped.mean("model", "l1"), abs=0.02)
    review = Review.open(trained.run, str(trained.folder), seed=None, device="cpu")
    assert torch.equal(review.inputs, pairs.a)
    assert torch.equal(review.references, pairs.b)


def test_predict_and_the_service_read_as_the_training_did(trained: Trained, tmp_path: Path) -> None:
    path = trained.folder / "input" / "im03.png"
    wanted = torch.from_numpy((trained.inputs[3] / 4095).astype(np.float32))[None]
    side = reading_of(load_recipe(trained.run)).input
    torch.testing.assert_close(decode(path.read_bytes(), side=side), wanted)
    done = CliRunner().invoke(
        app, ["predict", "--run", str(trained.run), "--input", str(path), "--output", str(tmp_path / "o.png"),
              "--device", "cpu"], catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    output = Predictor.load(trained.run, torch.device("cpu")).translate_large(wanted)
    torch.testing.assert_close(read_image(tmp_path / "o.png"), output, atol=0.51 / 255, rtol=0)
    (tmp_path / "full").mkdir()
    Image.fromarray((trained.inputs[3] * 16).astype(np.uint16)).save(tmp_path / "full" / "a.png")
    again = CliRunner().invoke(
        app, ["predict", "--run", str(trained.run), "--input", str(tmp_path / "full"), "--output",
              str(tmp_path / "out"), "--white", str(4095 * 16), "--device", "cpu"], catch_exceptions=False,
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    assert (tmp_path / "out" / "a.png").read_bytes() == (tmp_path / "o.png").read_bytes()


def test_options_reach_evaluate_and_wrong_ones_are_named(trained: Trained) -> None:
    run = ["evaluate", "--run", str(trained.run), "--device", "cpu", "--source"]
    good = CliRunner().invoke(app, [*run, str(trained.folder), "--mask-values", "0,1"])
    assert good.exit_code == 0, good.output
    for options, error, said in (
        (["--classes", "3"], DataError, "3 classes, but the run was trained on none"),
        (["--colour", "input,target"], DataError, "trained on grey images alone"),
        (["--mask-values", "0,2"], DataError, "value 1 in"),
        (["--white", "100"], DataError, "--white 100 was stated"),
        (["--split-by", "("], ConfigError, "no regular expression"),
    ):
        bad = CliRunner().invoke(app, [*run, str(trained.folder), *options])
        assert isinstance(bad.exception, error), (options, bad.output)
        assert said in str(bad.exception)
    for source, options, said in (
        ("procedural", ["--white", "4095", "--swap"], "leave out --white, --swap"),
        (str(trained.folder.parent / "no"), [], "There is no source"),
    ):
        bad = CliRunner().invoke(app, [*run, source, *options])
        assert said in str(bad.exception)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mask-values", "0"], "not the values of black and white"),
        (["--classes", "1"], "no number of classes"),
        (["--layout", "heap"], "side-by-side"),
        (["--invert", "both"], "is not one of"),
    ],
)
def test_an_option_of_another_form_is_a_usage_error(options: list[str], said: str) -> None:
    bad = CliRunner().invoke(app, ["data", "check", ".", *options], env={"COLUMNS": "300"})
    assert bad.exit_code == 2
    assert said in bad.output


def test_the_run_s_arrangement_counts_for_folders_that_lie_alike(tmp_path: Path) -> None:
    for root in ("same", "other"):
        (tmp_path / root).mkdir()
    Image.fromarray(np.zeros((16, 32), np.uint8)).save(tmp_path / "same" / "a.png")
    for role in ("input", "target"):
        (tmp_path / "other" / role).mkdir()
        Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "other" / role / "a.png")
    run = Encoding(white=9.0, layout="side-by-side", swap=True, split_by="a", colour=("input",))
    spec = DataSpec(encoding=run, size=16)
    assert held_out(spec, str(tmp_path / "same")).encoding == run
    other = held_out(spec, str(tmp_path / "other"), encoding=Encoding(white=7.0)).encoding
    assert other == Encoding(white=7.0, colour=("input",))
    assert held_out(spec, "procedural").encoding == Encoding()
