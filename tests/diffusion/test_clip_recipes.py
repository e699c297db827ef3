"""The clip generator from the command line: train, resume, draw, judge; mistakes are one sentence."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from gantrans.__main__ import app
from gantrans.data import make_clips
from gantrans.diffusion import ClipGenerator, SamplerConfig, clip_recipe, train_clips
from gantrans.errors import CheckpointError, ConfigError, GantransError
from gantrans.training import TimeBudget, load_checkpoint
from gantrans.training.budget import Costs


def call(*arguments: object) -> None:
    """Run the command as `main` does, errors unprinted."""
    app([str(a) for a in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clips") / "run"
    call("clips", "train", "--scale", "smoke", "--out", out)
    return out


@pytest.mark.parametrize("source", ["procedural", "sky130"])
@pytest.mark.parametrize("scale", ["smoke", "reduced", "full"])
def test_every_recipe_fits_its_data(source: str, scale: str) -> None:
    recipe, quick = clip_recipe(source, scale), clip_recipe(source, scale, quick=True)
    assert (quick.task.weighting == "middle") == (scale != "full") == (quick != recipe)
    assert recipe.task.network.classes == len(recipe.data.names)
    image = make_clips(recipe.data, "train", 4).network()
    assert image.shape[-1] % recipe.task.network.factor == 0


def test_draws_are_png_files_of_what_the_seed_names(run: Path, tmp_path: Path) -> None:
    options = ("--run", run, "--count", 3, "--steps", 4, "--sampler", "dpm++", "--rho", 2, "--seed", 5)
    call("clips", "sample", *options, "--out", tmp_path / "a")
    written = [Image.open(tmp_path / "a" / f"clip_000{i}.png") for i in range(3)]
    assert len(list((tmp_path / "a").iterdir())) == 3
    generator, sampler = ClipGenerator.load(run), SamplerConfig("dpm++", 4, rho=2.0)
    drawn = generator.draw(3, sampler, seed=5)
    for image, clip in zip(written, drawn, strict=True):
        assert image.tobytes() == bytes((clip > 0).to(torch.uint8).mul(255).flatten().tolist())
    assert torch.equal(drawn, generator.draw(3, sampler, seed=5))
    assert not torch.equal(drawn, generator.draw(3, sampler, seed=6))


def test_a_resumed_run_is_the_uninterrupted_one(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget for three steps, and a kill after the first: the run ends as the one of three steps."""
    recipe = clip_recipe("procedural", "smoke", quick=True)
    monkeypatch.setattr("gantrans.training.budget.measure_costs", lambda *a, **k: Costs(step=1e4))
    monkeypatch.setattr(TimeBudget, "limit", lambda self, config: replace(config, max_seconds=1e-9))
    train_clips(recipe, tmp_path / "r", max_seconds=3.9e4)
    monkeypatch.undo()
    stored = load_checkpoint(tmp_path / "r" / "last.pt")
    assert (stored["step"], stored["settings"]["extra"]["budget"]["steps"]) == (1, 3)
    train_clips(recipe, tmp_path / "r", resume=True)
    one, other = (ClipGenerator.load(folder).network.state_dict() for folder in (run, tmp_path / "r"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_family_and_guidance_change_the_draw(run: Path) -> None:
    generator, sampler = ClipGenerator.load(run), SamplerConfig("ddim", 3)
    with torch.no_grad():  # three steps of training leave the label without a voice
        torch.nn.init.normal_(generator.network.exit.weight, generator=torch.Generator().manual_seed(0))
        torch.nn.init.normal_(
            generator.network.conditioning.label.weight, generator=torch.Generator().manual_seed(1)
        )
    free = generator.draw(2, sampler)
    led = generator.draw(2, sampler, family="jogs")
    assert not torch.equal(free, led)
    assert torch.equal(led, generator.draw(2, sampler, family="jogs", guidance=1.0))
    assert torch.equal(free, generator.draw(2, sampler, family="jogs", guidance=0.0))
    assert not torch.equal(led, generator.draw(2, sampler, family="jogs", guidance=3.0))


def test_the_panel_judges_a_run_of_real_cells() -> None:
    """Training clips of SKY130 themselves, judged as if they were drawn: valid by their own measured rule."""
    recipe = clip_recipe("sky130", "smoke")
    generator = ClipGenerator(recipe, None)  # type: ignore[arg-type]
    panel = generator.judge(make_clips(recipe.data, "train", recipe.count).network())
    assert panel.valid > 0.95
    assert panel.copies == 1.0


def test_mistakes_are_one_sentence_each(run: Path, tmp_path: Path) -> None:
    mistakes = [
        (("--run", tmp_path / "nothing"), "nothing"),
        (("--run", run, "--family", "blobs"), "its families are line_space"),
        (("--run", run, "--guidance", 2), "name one"),
        (("--run", run, "--steps", 2000), "schedule with 1000"),
    ]
    for options, words in mistakes:
        with pytest.raises(GantransError, match=words):
            call("clips", "sample", *options, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    with pytest.raises(GantransError, match="not empty"):
        call("clips", "sample", "--run", run, "--count", 1, "--steps", 1, "--out", tmp_path / "full")
    assert (tmp_path / "full" / "mine.txt").read_text() == "kept"
    with pytest.raises(ConfigError, match="no recipe at scale 'huge'"):
        clip_recipe("procedural", "huge")
    with pytest.raises(ConfigError, match="source"):
        clip_recipe("mine", "smoke")


def test_a_translator_is_not_taken_for_a_generator(run: Path, tmp_path: Path) -> None:
    call("train", "--direction", "sem2layout", "--scale", "smoke", "--out", tmp_path / "t")
    with pytest.raises(CheckpointError, match="holds no clip generator"):
        ClipGenerator.load(tmp_path / "t")
    with pytest.raises(CheckpointError, match="holds no translator"):
        call("predict", "--run", run, "--input", tmp_path, "--output", tmp_path / "o")
