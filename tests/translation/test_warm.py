"""A training that begins with the weights of another run: `train --from RUN`."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command_call import call

from gantrans.errors import CheckpointError
from gantrans.training import load_checkpoint
from gantrans.training.checkpoint import weights_of
from gantrans.translation import build_task, recipe, train_recipe
from gantrans.translation.recipes import Recipe
from gantrans.translation.warm import BEGUN_FROM, warm_start_of

STEPS = 6


def small(direction: str = "layout2sem", **changes: Any) -> Recipe:
    """A recipe of a few steps on few pairs; layout -> SEM has a discriminator."""
    chosen = recipe(direction, "smoke", seed=changes.pop("seed", 0))
    fit = replace(chosen.fit, steps=STEPS, checkpoint_every=2, log_every=1, validate_every=STEPS)
    return replace(chosen, data=replace(chosen.data, count=8, validation=4), fit=fit, **changes)


@pytest.fixture(scope="module")
def parent(tmp_path_factory) -> Path:
    """A run whose translating weights are averages, so that they differ from the trained ones."""
    out = tmp_path_factory.mktemp("parent") / "run"
    chosen = small()
    fit = replace(chosen.fit, ema_decay=0.5, ema_networks=("generator",))
    train_recipe(replace(chosen, fit=fit), out, progress=False)
    return out


def equal(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_the_first_weights_are_those_by_which_the_other_run_translates(parent: Path) -> None:
    contents = load_checkpoint(parent)
    task = warm_start_of(build_task(small(seed=5)), parent, None, resume=False).made(
        build_task, small(seed=5)
    )
    assert equal(task.networks["generator"].state_dict(), contents["ema"]["generator"])
    assert not equal(contents["ema"]["generator"], contents["networks"]["generator"])
    assert equal(task.networks["discriminator"].state_dict(), contents["networks"]["discriminator"])


def test_every_step_follows_the_whole_schedule_at_the_recipes_rate(parent: Path, tmp_path: Path) -> None:
    rates = {}
    for name, start in (("cold", None), ("warm", parent)):
        result = train_recipe(small(seed=1), tmp_path / name, start=start, progress=False)
        rates[name] = [r["lr_generator"] for r in result.history.records if "lr_generator" in r]
    assert rates["warm"] == rates["cold"]
    assert len(rates["warm"]) == STEPS
    ended = [weights_of(load_checkpoint(tmp_path / name), "generator") for name in rates]
    assert not equal(*ended)


def test_a_resumed_run_equals_the_unbroken_one_without_the_other_run(parent: Path, tmp_path: Path) -> None:
    whole, broken, other = tmp_path / "whole", tmp_path / "broken", tmp_path / "other"
    shutil.copytree(parent, other)
    train_recipe(small(seed=1), whole, start=other, progress=False)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gantrans.training.loop._validate", stop)  # after the checkpoint of step 4
        with pytest.raises(KeyboardInterrupt):
            train_recipe(small(seed=1), broken, start=other, progress=False)
    assert load_checkpoint(broken / "last.pt")["step"] == 4
    shutil.rmtree(other)
    train_recipe(small(seed=1), broken, resume=True, progress=False)
    one, two = (load_checkpoint(folder / "last.pt") for folder in (whole, broken))
    for name in one["networks"]:
        assert equal(one["networks"][name], two["networks"][name])
    began = one["settings"]["extra"][BEGUN_FROM]
    assert began == two["settings"]["extra"][BEGUN_FROM]
    assert began["run"] == str(other)
    assert began["networks"] == ["generator", "discriminator"]


def test_a_run_killed_before_its_first_checkpoint_reads_the_other_run_again(
    parent: Path, tmp_path: Path
) -> None:
    whole, killed, other = tmp_path / "whole", tmp_path / "killed", tmp_path / "other"
    shutil.copytree(parent, other)
    train_recipe(small(seed=1), whole, start=other, progress=False)
    killed.mkdir()
    shutil.copy(whole / "config.json", killed)
    train_recipe(small(seed=1), killed, resume=True, progress=False)
    one, two = (load_checkpoint(folder / "last.pt") for folder in (whole, killed))
    assert equal(one["networks"]["generator"], two["networks"]["generator"])

    again = tmp_path / "again"
    again.mkdir()
    shutil.copy(whole / "config.json", again)
    shutil.rmtree(other)
    train_recipe(small(seed=3), other, progress=False)
    with pytest.raises(CheckpointError, match=r"no longer what the run in .* began with"):
        train_recipe(small(seed=1), again, resume=True, progress=False)
    assert [path.name for path in again.iterdir()] == ["config.json"]


def test_a_discriminator_that_only_one_of_the_two_has_begins_at_random(parent: Path) -> None:
    chosen = small()
    alone = replace(chosen, task=replace(chosen.task, discriminator=None))
    warm = warm_start_of(build_task(alone), parent, None, resume=False)
    assert warm.kept[BEGUN_FROM]["networks"] == ["generator"]


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("missing", "There is no checkpoint at"),
        ("wider", "its generator differ (base_filters: 8 there, 4 here)"),
        ("critic", "its discriminator differ (base_filters: 8 there, 6 here)"),
        ("both", "it has no network 'a' (it has generator, discriminator)"),
        ("diffusion", "its generator differ ("),
    ],
)
def test_what_cannot_begin_a_training_is_named_and_nothing_is_written(
    parent: Path, tmp_path: Path, case: str, sentence: str
) -> None:
    chosen, start = small(), parent
    if case == "missing":
        start = tmp_path / "nowhere"
    elif case in ("wider", "critic"):
        name, width = ("generator", 4) if case == "wider" else ("discriminator", 6)
        chosen = replace(
            chosen,
            task=replace(chosen.task, **{name: replace(getattr(chosen.task, name), base_filters=width)}),
        )
    elif case == "both":
        chosen = recipe("both", "smoke", name="article")
    else:
        chosen = recipe("layout2sem", "smoke", name="diffusion")
    out = tmp_path / "out"
    with pytest.raises(CheckpointError) as caught:
        train_recipe(chosen, out, start=start, progress=False)
    assert sentence in str(caught.value)
    assert not out.exists()


def test_the_command_line_states_the_origin_and_refuses_another(capsys, parent: Path, tmp_path: Path) -> None:
    train = ["train", "--direction", "layout2sem", "--scale", "smoke", "--max-seconds", "1e-9"]
    code, _, error = call(capsys, *train, "--from", parent, "--out", tmp_path / "run")
    assert code == 0, error
    extra = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]["extra"]
    assert extra[BEGUN_FROM]["run"] == str(parent)
    assert extra[BEGUN_FROM]["step"] == STEPS
    assert call(capsys, *train, "--from", parent, "--out", tmp_path / "run", "--resume")[0] == 0
    code, _, error = call(capsys, *train, "--from", tmp_path / "x", "--out", tmp_path / "run", "--resume")
    assert (code, error.count("\n")) == (2, 1)
    assert f"began from {parent}, not from {tmp_path / 'x'}" in error
    assert call(capsys, *train, "--out", tmp_path / "cold")[0] == 0
    code, _, error = call(capsys, *train, "--from", parent, "--out", tmp_path / "cold", "--resume")
    assert code == 2
    assert "began with random weights" in error
