"""Lesson 09's whole machine: its arms, its committed run, its cost, and what the page says of a table."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from gantrans.config import to_dict
from gantrans.networks import UNetGenerator
from gantrans.teaching.claims import provenance
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.tables import Table
from lessons.lesson09.experiments import article, article_run, step_cost
from lessons.lesson09.figures import machine

CHANGED = {
    "attention": {"generator_a.attention", "generator_b.attention"},
    "feature matching": {"weight_fm"},
    "cycle": {"weight_cycle"},
    "spectral norm": {"discriminator.spectral_norm"},
    "smoothing": {"real_label"},
    "least squares": {"adversarial"},
    "discriminators": {"discriminator"},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> article_run.Stored:
    folder = tmp_path_factory.mktemp("article") / "article_run"
    article_run.measure("smoke", 0, folder)
    stored = article_run.stored(folder)
    assert stored is not None
    assert sum(path.stat().st_size for path in folder.iterdir()) < 400_000
    return stored


def flat(values: dict, prefix: str = "") -> dict:
    found = {}
    for key, value in values.items():
        inner = flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        found |= inner
    return found


@pytest.mark.parametrize("part", article.PARTS)
def test_an_arm_lacks_its_part_and_nothing_else(part: str) -> None:
    whole, arm = (
        flat(to_dict(article.task_config(a, "reduced"))) for a in (article.WHOLE, article.without(part))
    )
    differing = {key for key in whole if whole[key] != arm.get(key)}
    wanted = CHANGED[part]
    assert differing == (
        {k for k in whole if k.startswith("discriminator.")} if wanted == {"discriminator"} else wanted
    )


def test_the_real_images_are_drawn_afresh_and_judged_like_an_arm() -> None:
    data = article.held_out("smoke", 0)
    assert data.layout.shape == data.sem.shape == data.another.shape
    assert (data.sem - data.another).abs().mean() > 0.01
    again = article.texture(data.sem, data)
    assert (again["L1"], again["spectrum"]) == (0.0, 0.0)


def test_draws_differ_by_dropout_alone() -> None:
    config = article.task_config(article.WHOLE, "smoke").generator_b
    layout = article.held_out("smoke", 0).layout[:2]
    maker = UNetGenerator(config)
    before = torch.random.get_rng_state()
    one, again, other = (article.drawn(maker, layout, seed) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert article.spread(one, other) > 0.0
    assert torch.equal(before, torch.random.get_rng_state())
    still = UNetGenerator(dataclasses.replace(config, dropout_blocks=0))
    assert article.spread(*(article.drawn(still, layout, seed) for seed in (0, 1))) == 0.0
    assert not any(module.training for module in maker.modules())


def test_a_run_keeps_its_fakes_and_says_where_it_comes_from(run: article_run.Stored) -> None:
    record = run.record
    assert record["snapshots"] == [0, 1, 3, 6, 12, 20]
    assert {d: [len(row) for row in rows] for d, rows in run.rows.items()} == {
        "sem2layout": [8, 8],
        "layout2sem": [8, 8],
    }
    layout = run.rows["sem2layout"][0][-1]
    assert torch.equal(layout, run.rows["layout2sem"][0][0])
    assert set(layout.unique().tolist()) <= {0.0, 1.0}
    assert [row["step"] for row in record["validation"]] == list(range(1, 21))
    assert {"commit", "device", "date", "seed", "command", "recipe"} <= set(record["about"])
    words = alt_text(machine.over_training(run)) + alt_text(machine.scores_over_training(run))
    assert "steps 0, 1, 3, 6, 12, 20" in words
    assert "IoU, SEM to layout from" in words
    assert "healthy" in machine.source(run) or "collapse" in machine.source(run)
    assert {"IoU", "EPE"} <= set(machine.result(run)["layout2sem, real image"])


def test_without_a_run_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    assert article_run.stored(tmp_path) is None
    assert "article_run.measure('reduced', 0)" in machine.source(None)


def test_the_committed_run_is_of_a_commit_and_of_the_recipe() -> None:
    run = article_run.stored()
    assert run is not None
    about = run.record["about"]
    provenance.check("the whole run", about, about["date"])
    assert about["scale"] == "reduced"
    text = (article_run.FOLDER / "history.json").read_text("utf-8")
    assert json.loads(text)["about"]["recipe"]["direction"] == "both"


def table(seeds: int, effect: float = 0.0) -> Table:
    """All arms alike up to a little noise, but for the IoU without the cycle."""
    rows = {}
    for seed in range(seeds):
        rows[seed] = {
            arm: dict.fromkeys(machine.QUANTITIES, 0.5 + 1e-4 * ((seed * 7 + k * 3) % 5))
            for k, arm in enumerate(article.ARMS)
        }
        rows[seed]["without cycle"]["IoU"] -= effect
    return Table({"scale": "reduced", "date": "2026-11-30T00:00:00"}, rows, "article")


def test_a_part_is_named_when_its_absence_shows_and_not_before() -> None:
    assert "2 seeds: too few" in machine.said_of_parts(table(2, 0.1))
    assert [machine.told_apart(table(n, 0.1), "IoU") for n in (2, 6)] == [0, 1]
    said = machine.said_of_parts(table(6, 0.1)).splitlines()
    assert said[0].startswith("- **IoU of SEM to layout**: without cycle -0.0999")
    assert "attention" not in said[0]
    assert "no part is told from its absence" in said[2]
    assert "cycle -0.0998" in alt_text(machine.leave_one_out(table(2, 0.1)))
    assert machine.changes(table(3, 0.1), "spectrum")["cycle"] == pytest.approx([1.0] * 3, abs=1e-2)


def test_the_counted_operations_are_those_of_the_article_s_step() -> None:
    """The saying has 10 to 15 %; counted by hand of the reviewers: 11.5 % with both directions."""
    plain, both = (step_cost.operations("full", step_cost.STEPS[0], arm) for arm in ("neither", "both"))
    assert 100 * (both / plain - 1) == pytest.approx(11.5, abs=0.05)
    rows = {
        arm: {"attention (+%)": 1.0, "feature matching (+%)": 10.0, "both (+%)": 11.0}
        for arm in step_cost.STEPS
    }
    assert "**11.0 %** of the operations, as the saying has it" in machine.cost_sentence(rows)
    rows[step_cost.STEPS[0]]["both (+%)"] = 20.0
    assert "not what the saying has" in machine.cost_sentence(rows)
