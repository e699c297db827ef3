"""The recipe `article`: its parts, an exact resume, and a run that is used by direction."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gantrans.config import from_dict, to_dict
from gantrans.data import BatchSource, make_pairs
from gantrans.errors import ConfigError, DataError
from gantrans.images import unit_from_uint8
from gantrans.networks import UNetGenerator
from gantrans.operations.promotion.finetune import FineTuneConfig, fine_tune
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.promotion.versions import RegistryError
from gantrans.operations.serving.models import Models
from gantrans.operations.serving.review import Review
from gantrans.training import fit, load_checkpoint
from gantrans.translation import (
    BidirectionalConfig,
    Pix2PixConfig,
    Predictor,
    Recipe,
    build_task,
    diagnose,
    diagnose_both,
    evaluate_run,
    load_recipe,
    recipe,
    validation_of,
)

BOTH = ("sem2layout", "layout2sem")


def article(scale: str) -> Recipe:
    return recipe("both", scale, name="article")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Three steps of the recipe at smoke."""
    out = tmp_path_factory.mktemp("article") / "run"
    chosen = replace(article("smoke"), fit=replace(article("smoke").fit, steps=3))
    pairs = chosen.data.pairs("train", "sem2layout")
    batches = BatchSource(pairs, "sem2layout", chosen.batch_size, 0)
    validate = validation_of(chosen, chosen.data.pairs("val", "sem2layout"))
    extra = {"recipe": to_dict(chosen)}
    fit(build_task(chosen), batches, chosen.fit, out=out, validate=validate, extra=extra, progress=False)
    return out


def test_the_full_recipe_is_the_article_s() -> None:
    chosen = article("full")
    task = chosen.task
    assert isinstance(task, BidirectionalConfig)
    weights = (task.weight_gan, task.weight_l1, task.weight_cycle, task.weight_fm)
    assert weights == (0.5, 100.0, 10.0, 10.0)
    assert (task.adversarial, task.real_label, task.buffer, task.betas) == ("lsgan", 0.9, 50, (0.5, 0.999))
    for config in (task.generator_a, task.generator_b):
        network = UNetGenerator(config)
        assert network.gammas == {0: 0.0, 1: 0.0}
        with torch.no_grad():
            maps = network.eval().encode(torch.zeros(1, 1, 256, 256))
            first, *_ = network.decode(maps)
        assert (maps[-1].shape[1:], first.shape[1:]) == ((256, 8, 8), (256, 16, 16))
        dropouts = [
            block.dropout.p for block in network.decoder if isinstance(block.dropout, torch.nn.Dropout)
        ]
        assert dropouts == [0.5, 0.5]
    critic = task.discriminator
    assert critic is not None
    assert (critic.receptive_field, critic.base_filters, critic.spectral_norm) == (70, 48, True)
    assert (chosen.data.size, chosen.data.count) == (256, 2000)
    assert chosen.fit.lr_schedule == "linear_decay"


@pytest.mark.parametrize("scale", ["smoke", "reduced", "full"])
def test_a_recipe_of_both_survives_a_checkpoint(scale: str) -> None:
    chosen = article(scale)
    assert from_dict(Recipe, to_dict(chosen)) == chosen
    assert chosen.directions == BOTH
    one = chosen.towards("layout2sem", "a run")
    assert (one.directions, one.generator) == (("layout2sem",), ("b", chosen.task.generator_b))
    single = recipe("layout2sem", scale)
    assert from_dict(Recipe, to_dict(single)) == single
    assert isinstance(single.one_way, Pix2PixConfig)


def test_nine_and_nine_steps_are_eighteen_bit_for_bit(tmp_path: Path) -> None:
    """Eighteen steps, so that the buffers (50 pairs, 4 a step) swap before and after the stop."""
    chosen = replace(article("smoke"), fit=replace(article("smoke").fit, steps=18, monitor=None))
    batches = BatchSource(chosen.data.pairs("train", "sem2layout"), "sem2layout", chosen.batch_size, 0)
    whole = build_task(chosen)
    fit(whole, batches, chosen.fit, progress=False, device="cpu")
    for until, resume in ((9, False), (None, True)):
        parts = build_task(chosen)
        fit(
            parts, batches, chosen.fit, out=tmp_path / "run", until=until, resume=resume, progress=False,
            device="cpu",
        )  # fmt: skip
    assert set(whole.networks) == {"a", "b", "d_a", "d_b"}
    for name, network in whole.networks.items():
        other = parts.networks[name].state_dict()
        assert all(torch.equal(value, other[key]) for key, value in network.state_dict().items()), name
    assert whole.buffers["d_b"].state()["pairs"][0].equal(parts.buffers["d_b"].state()["pairs"][0])


def test_validation_scores_both_directions(run: Path) -> None:
    record = load_checkpoint(run)["best"]
    assert record["name"] == "iou_sem2layout"
    names = {"iou_sem2layout", "l1_sem2layout", "l1_layout2sem", "spectrum_layout2sem"}
    assert set(_scores(run)) == {f"val_{name}" for name in names}


def _scores(run: Path) -> Mapping[str, Any]:
    last = (run / "history.jsonl").read_text().splitlines()[-1]
    return {key: value for key, value in json.loads(last).items() if key.startswith("val_")}


def test_each_direction_is_translated_by_its_own_generator(run: Path) -> None:
    image = unit_from_uint8(make_pairs("procedural", count=1, size=32, progress=False).sem)
    stored = load_checkpoint(run)["networks"]
    for direction, name in zip(BOTH, ("a", "b"), strict=True):
        predictor = Predictor.load(run, direction=direction)
        assert predictor.recipe.direction == direction
        network = build_task(load_recipe(run)).networks[name]
        network.load_state_dict(stored[name])
        by_hand = Predictor(network, predictor.recipe, predictor.device).translate(image)
        assert torch.equal(predictor.translate(image), by_hand)
    report = {d: evaluate_run(run, direction=d, count=4) for d in BOTH}
    assert [r.direction for r in report.values()] == list(BOTH)
    assert "real image" in report["layout2sem"].rows
    reviews = [Review.open(run, direction=d, count=2) for d in BOTH]
    assert not set(reviews[0].items) & set(reviews[1].items)


def test_a_direction_must_be_chosen_and_be_there(run: Path) -> None:
    with pytest.raises(DataError, match="translates in both directions; choose one with --direction"):
        Predictor.load(run)
    with pytest.raises(DataError, match="translates sem2layout and layout2sem, not other"):
        Predictor.load(run, direction="other")


def test_both_directions_of_a_run_are_served(run: Path) -> None:
    served = Models([run], device="cpu")
    assert served.directions() == list(BOTH)
    assert served.get("sem2layout").predictor.recipe.direction == "sem2layout"
    assert Models([run], device="cpu", direction="layout2sem").directions() == ["layout2sem"]
    with pytest.raises(ConfigError, match="leave it out with a registry"):
        Models(registry=run, direction="layout2sem")
    with pytest.raises(ConfigError, match="is a second run for sem2layout"):
        Models([run, run], device="cpu")


def test_registry_and_fine_tuning_refuse_it_in_a_sentence(run: Path, tmp_path: Path) -> None:
    with pytest.raises(
        RegistryError, match="translates in both directions, and a registry keeps runs of one"
    ):
        Registry(tmp_path / "registry").register(run)
    assert not (tmp_path / "registry").exists()
    pairs = make_pairs("procedural", count=4, size=32, progress=False)
    with pytest.raises(ConfigError, match="registry and fine-tuning take runs of one direction"):
        fine_tune(run, pairs, pairs, FineTuneConfig(epochs=1), out=tmp_path / "tuned", progress=False)
    assert not (tmp_path / "tuned").exists()


def test_each_direction_is_diagnosed_by_its_own_scalars() -> None:
    calm = {"d_accuracy": 0.7, "spread": 0.9, "gradient_ratio": 0.3}
    alike = {**calm, "spread": 0.1}
    records = [
        {
            "step": step,
            "loss_cycle": 1.0,
            **{f"{k}_a": v for k, v in calm.items()},
            **{f"{k}_b": v for k, v in alike.items()},
        }
        for step in range(20)
    ]
    found = diagnose_both(records)
    assert {direction: one.name for direction, one in found.items()} == {
        "sem2layout": "healthy",
        "layout2sem": "collapse",
    }
    assert diagnose([{**calm, "step": k} for k in range(20)]) == found["sem2layout"]


@pytest.mark.parametrize(
    ("direction", "name", "words"),
    [
        ("sem2layout", "article", "trains both directions at once, not sem2layout alone"),
        ("both", "default", "The recipe default trains one direction"),
        ("both", "other", "no recipe 'other'; choose one of default, gan, transformer, diffusion, article"),
    ],
)
def test_a_recipe_and_a_direction_that_do_not_fit(direction: str, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        recipe(direction, "smoke", name=name)


def test_a_task_and_a_direction_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"Recipe\.direction"):
        replace(recipe("sem2layout", "smoke"), direction="both")
