"""`clips --method few|flow|distil`: train, resume, draw with the run's own sampler, evaluate; mistakes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from gantrans.__main__ import app
from gantrans.diffusion import (
    ClipGenerator,
    ConsistencyConfig,
    DiffusionConfig,
    FlowConfig,
    SamplerConfig,
    clip_recipe,
    distil_recipe,
    few_recipe,
    flow_recipe,
    train_clips,
)
from gantrans.errors import CheckpointError, ConfigError, GantransError
from gantrans.training import TimeBudget


def call(*arguments: object) -> None:
    app([str(a) for a in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("methods")
    made = {method: folder / method for method in ("diffusion", "few", "flow", "distil")}
    for method, out in made.items():
        taught = ("--teacher", made["diffusion"]) if method == "distil" else ()
        call("clips", "train", "--scale", "smoke", "--method", method, *taught, "--out", out)
    return made


def test_the_run_names_its_method_network_and_sampler(runs: dict[str, Path]) -> None:
    loaded = {method: ClipGenerator.load(run) for method, run in runs.items()}
    assert {method: generator.method for method, generator in loaded.items()} == {m: m for m in runs}
    assert isinstance(loaded["flow"].recipe.task, FlowConfig)
    student = loaded["distil"].recipe
    assert isinstance(student.task, ConsistencyConfig)
    assert student.task.teacher == loaded["diffusion"].recipe.task
    assert student.data == loaded["diffusion"].recipe.data
    asked: list[torch.Tensor] = []
    for method, evaluations in (("diffusion", 50), ("few", 4), ("flow", 10), ("distil", 4)):
        asked.clear()
        loaded[method].network.register_forward_pre_hook(lambda _, given: asked.append(given[1]))
        drawn = loaded[method].draw(2)
        assert drawn.shape == (2, 1, 16, 16)
        assert drawn.abs().max() <= 1.0
        assert len(asked) == loaded[method].evaluations(None, None) == evaluations
        asked.clear()
        loaded[method].draw(2, steps=3)
        assert len(asked) == 3
        assert float(asked[0][0]) == {"flow": 1000.0, "few": 860}.get(method, 999)


def test_a_run_for_few_evaluations_is_asked_where_it_has_learnt(runs: dict[str, Path]) -> None:
    generator = ClipGenerator.load(runs["few"])
    task = generator.recipe.task
    assert isinstance(task, DiffusionConfig)
    assert (task.near, task.rule_px, task.rule_weight) == ((860, 700, 500, 300), 2, 1.5)
    asked: list[int] = []
    generator.network.register_forward_pre_hook(lambda _, given: asked.append(int(given[1][0])))
    for steps, wanted in ((1, [860]), (2, [860, 300]), (4, [860, 700, 500, 300]), (3, [860, 600, 300])):
        asked.clear()
        generator.draw(2, steps=steps)
        assert asked == wanted
    measured = few_recipe(clip_recipe("sky130", "smoke", quick=True)).task
    assert measured.rule_px >= 2 or measured.rule_weight == 0


def test_more_clips_than_a_block_are_drawn_in_blocks(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gantrans.diffusion.generator._BLOCK", 4)
    generator = ClipGenerator.load(runs["distil"])
    sizes: list[int] = []
    generator.network.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    drawn = generator.draw(10, steps=1)
    assert sizes == [4, 4, 2]
    assert drawn.shape == (10, 1, 16, 16)
    assert torch.equal(drawn[:4], generator.draw(4, steps=1))


def test_a_diffusion_run_can_renew_its_noise_without_a_student(runs: dict[str, Path], tmp_path: Path) -> None:
    generator = ClipGenerator.load(runs["diffusion"])
    asked: list[int] = []
    generator.network.register_forward_pre_hook(lambda _, given: asked.append(int(given[1][0])))
    drawn = generator.draw(3, "renewed", steps=4, seed=1)
    assert asked == [999, 800, 600, 400]
    assert generator.evaluations("renewed", None) == 10
    assert generator.evaluations(SamplerConfig("ddim", 7), None) == 7
    assert not torch.equal(drawn, generator.draw(3, steps=4, seed=1))
    options = ("--run", runs["diffusion"], "--count", 3, "--steps", 4, "--seed", 1, "--sampler", "renewed")
    call("clips", "sample", *options, "--out", tmp_path / "drawn")
    assert len(list((tmp_path / "drawn").iterdir())) == 3
    with pytest.raises(ConfigError, match="leave it out for --sampler renewed"):
        call("clips", "sample", *options, "--rho", 2, "--out", tmp_path / "other")


def test_families_can_be_asked_for(runs: dict[str, Path]) -> None:
    for method in ("flow", "distil"):
        generator = ClipGenerator.load(runs[method])
        with torch.no_grad():  # a few steps of training leave the label without an effect
            torch.nn.init.normal_(generator.network.exit.weight, generator=torch.Generator().manual_seed(0))
            torch.nn.init.normal_(
                generator.network.conditioning.label.weight, generator=torch.Generator().manual_seed(1)
            )
        free, led = generator.draw(4, steps=2), generator.draw(4, steps=2, family="jogs")
        assert [torch.equal(a, b) for a, b in zip(free, led, strict=True)] == [False, False, False, True]
        assert torch.equal(led, generator.draw(4, steps=2, family="jogs"))  # "jogs" is the last of four


@pytest.mark.parametrize("method", ["few", "flow", "distil"])
def test_a_resumed_run_is_the_uninterrupted_one(
    method: str, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget that is used up after the first of four steps, then the same command with `resume`."""
    base = clip_recipe("procedural", "smoke", quick=True)
    weights = ClipGenerator.load(runs["diffusion"]).network.state_dict()
    recipe = {"few": few_recipe, "flow": flow_recipe, "distil": lambda _: distil_recipe(base, "smoke")}[
        method
    ](base)
    recipe = replace(recipe, fit=replace(recipe.fit, steps=4, checkpoint_every=1))
    teacher = weights if method == "distil" else None
    whole = train_clips(recipe, tmp_path / "whole", teacher=teacher, progress=False)
    assert whole.step == 4
    monkeypatch.setattr(TimeBudget, "limit", lambda self, config: replace(config, max_seconds=1e-9))
    assert train_clips(recipe, tmp_path / "parts", teacher=teacher, progress=False).step == 1
    monkeypatch.undo()
    resumed = train_clips(recipe, tmp_path / "parts", teacher=teacher, resume=True, progress=False)
    assert resumed.step == 4
    one, other = (ClipGenerator.load(tmp_path / name).network.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_run_is_evaluated_and_sampled_from_the_command_line(runs: dict[str, Path], tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["clips", "evaluate", "--run", str(runs["distil"]), "--count", "8", "--steps", "2", "--json"]
    )
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)
    assert (row["method"], row["evaluations"], row["clips"]) == ("distil", 2, 8)
    assert {"valid", "coverage", "copies"} <= set(row)
    assert row["seconds per clip"] > 0
    call("clips", "sample", "--run", runs["flow"], "--steps", 4, "--count", 3, "--out", tmp_path / "drawn")
    assert len(list((tmp_path / "drawn").iterdir())) == 3


def test_mistakes_are_one_sentence_each(runs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    for options, words in (
        (("--method", "distil"), "needs --teacher"),
        (("--method", "flow", "--teacher", runs["diffusion"]), "--teacher belongs to --method distil"),
        (("--method", "distil", "--teacher", tmp_path / "nothing"), "nothing"),
        (("--method", "distil", "--teacher", runs["flow"]), "a teacher is a run of --method diffusion"),
        (("--method", "distil", "--teacher", runs["few"]), "a teacher is a run of --method diffusion"),
        (("--method", "few", "--teacher", runs["diffusion"]), "--teacher belongs to --method distil"),
    ):
        with pytest.raises(GantransError, match=words):
            call("clips", "train", "--scale", "smoke", *options, "--out", out)
        assert not out.exists()
    for options in (("--sampler", "ddim"), ("--rho", 2), ("--family", "jogs", "--guidance", 2)):
        with pytest.raises(ConfigError, match="has its own sampler and no guidance"):
            call("clips", "sample", "--run", runs["flow"], *options, "--out", out)
    with pytest.raises(ConfigError, match="its families are line_space"):
        call("clips", "sample", "--run", runs["distil"], "--family", "blobs", "--out", out)
    with pytest.raises(ConfigError, match="evaluations"):
        call("clips", "sample", "--run", runs["distil"], "--steps", 900, "--out", out)
    with pytest.raises(CheckpointError, match="flow"):  # the folder is another method's
        call("clips", "train", "--scale", "smoke", "--out", runs["flow"], "--resume")
    with pytest.raises(ConfigError, match="needs a teacher"):
        train_clips(distil_recipe(clip_recipe("procedural", "smoke"), "smoke"), None, progress=False)
    with pytest.raises(ConfigError, match="no recipe at scale 'huge'"):
        distil_recipe(clip_recipe("procedural", "smoke"), "huge")
