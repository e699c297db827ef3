"""Lesson 07: the price of realism, weights, cycles without pairs, irregular arrays, and all its figures."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from gantrans.images import unit_from_uint8
from gantrans.teaching import claims
from gantrans.teaching.explorers import Choice, Explorer, Slider
from gantrans.teaching.plots import alt_text
from gantrans.teaching.runs import from_scratch
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table, committed
from gantrans.training import Runtime
from gantrans.translation import BidirectionalTask
from lessons.lesson07.experiments import arrays, hallucination, loss_weights, pairs_cycle
from lessons.lesson07.experiments.arrays import KINDS, Place
from lessons.lesson07.figures import irregular_arrays, realism

MODULES = (loss_weights, pairs_cycle, hallucination)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


def made_up(arms, quantities, seeds=6):
    """A table of plausible positive numbers."""
    draw = np.random.default_rng(0)
    rows = {
        s: {arm: dict(zip(quantities, draw.random(len(quantities)), strict=True)) for arm in arms}
        for s in range(seeds)
    }
    return Table({"scale": "reduced", "date": "2026-01-01", "code": "0", "command": "-"}, rows)


WEIGHTS = made_up(
    (*loss_weights.ARMS, loss_weights.REAL), ("L1", "PSNR", "spectrum", "texture", "EPE", "diversity")
)
CYCLE = made_up(pairs_cycle.ARMS, ("IoU", "EPE", "L1"))
JUDGED = (*irregular_arrays.FAULTS, "IoU", "count error, regular", "IoU, regular")
ARRAYS = made_up(hallucination.ARMS, (*JUDGED, *(f"completed, {kind}" for kind in KINDS)))


# ---- theory


def test_a_perfect_imitator_loses_three_decibels():
    lost, texture = realism.grain_trade(np.array([0.0, 0.5, 1.0]))
    assert lost == pytest.approx([0.0, 0.9691, 3.0103], abs=1e-4)
    assert texture == pytest.approx([-math.inf, -6.0206, 0.0], abs=1e-4)
    for strength in (0.0, 0.5, 1.0):
        theory = float(realism.grain_trade(strength)[0])
        assert realism.measured_trade(strength) == pytest.approx(theory, abs=0.05)


# ---- layout -> SEM


def test_arms_of_the_weights_differ_in_the_loss_alone():
    setting = loss_weights.SETTINGS["reduced"]
    configs = {arm: loss_weights.task_config(arm, setting) for arm in loss_weights.ARMS}
    assert len({(c.generator, c.lr_generator, c.weight_gan) for c in configs.values()}) == 1
    assert configs["L1 only"].discriminator is None
    assert [configs[arm].weight_l1 for arm in loss_weights.WEIGHTS] == [100, 30, 10, 3, 1, 0]
    same = replace(configs["L1 weight 10"], weight_fm=10.0)
    assert configs[loss_weights.MATCHING] == same
    assert sorted(arm for group in loss_weights.GROUPS.values() for arm in group) == sorted(
        (*loss_weights.ARMS, loss_weights.REAL)
    )


def test_two_images_of_one_layout_have_the_same_features_and_another_grain():
    test = loss_weights.test_set("smoke", 3)
    first, second = unit_from_uint8(test.sem), unit_from_uint8(test.another)
    assert float((first - second).abs().mean()) > 0.03
    same = float((first - second).square().mean())
    assert same < 0.8 * float((first - second.roll(1, 0)).square().mean())  # other layouts differ more


def test_judge_knows_the_real_image_and_the_mean_of_two():
    with from_scratch():
        reader = loss_weights.train_reader(0, "smoke")
    test = loss_weights.test_set("smoke", 0)
    real, another = unit_from_uint8(test.sem), unit_from_uint8(test.another)
    own = loss_weights.judge(another, real, test, reader)
    blurred = loss_weights.judge((another + real) / 2, (another + real) / 2, test, reader)
    assert own["diversity"] == pytest.approx(float((another - real).square().mean().div(2).sqrt()))
    assert blurred["diversity"] == 0.0
    assert blurred["L1"] == pytest.approx(own["L1"] / 2, rel=1e-4)
    assert blurred["texture"] < own["texture"] - 1.0  # averaging removes grain
    assert own["spectrum"] >= 0.0


def test_one_arm_of_each_kind_runs_and_logs_its_gradient_ratio():
    with from_scratch():
        row = loss_weights.run_seed(0, "smoke", ("L1 only", "L1 weight 1", "no L1", loss_weights.REAL))
    assert all(np.isfinite(v) for numbers in row.values() for v in numbers.values())
    assert [arm for arm in row if "gradient ratio" in row[arm]] == ["L1 weight 1"]


# ---- the cycle


def test_arms_of_the_cycle_differ_in_the_cycle_and_the_pairs_alone():
    setting = pairs_cycle.SETTINGS["reduced"]
    none, cycle, apart = (
        pairs_cycle.task_config(c, setting) for c in ("no cycle", "cycle", pairs_cycle.UNPAIRED)
    )
    assert (none.weight_l1, none.weight_gan, cycle.weight_cycle) == (100.0, 0.5, 10.0)
    assert replace(cycle, weight_cycle=0.0) == none == apart
    assert set(pairs_cycle.ARMS) == {
        arm for run in pairs_cycle.SWEEP.settings.values() for arm in run.keywords["arms"]
    }


def test_unpaired_images_are_no_pairs_and_change_no_paired_batch():
    plain = pairs_cycle.Batches("smoke", 0, 50, unpaired=False)(7)
    both = pairs_cycle.Batches("smoke", 0, 50, unpaired=True)(7)
    assert set(both) - set(plain) == {"sem", "layout"}
    assert torch.equal(plain["input"], both["input"])
    assert torch.equal(plain["target"], both["target"])
    everything = pairs_cycle.pool("smoke", 0)
    source = pairs_cycle.BatchSource(everything, "sem2layout", 2, 1000)
    assert torch.equal(both["sem"], source(7)["input"])
    assert not torch.equal(both["layout"], source(7)["target"])


def test_the_unpaired_cycle_adds_its_gradient_to_that_of_the_pairs():
    config = replace(pairs_cycle.task_config("no cycle", pairs_cycle.SETTINGS["smoke"]), buffer=0)
    batch = pairs_cycle.Batches("smoke", 0, 50, unpaired=True)(0)
    grads, losses = {}, {}
    for kind in (BidirectionalTask, pairs_cycle.UnpairedCycleTask):
        task = kind(config, 0)
        runtime = Runtime(torch.device("cpu"), "fp32", 1, torch.Generator().manual_seed(0))
        losses[kind] = task.step(batch, runtime)
        grads[kind] = torch.cat([p.grad.flatten() for p in task.a.parameters()])
    assert "loss_cycle" not in losses[BidirectionalTask]
    assert float(losses[pairs_cycle.UnpairedCycleTask]["loss_cycle"]) > 0.0
    assert not torch.allclose(*grads.values())
    shared = set(losses[BidirectionalTask]) - {"loss_cycle"}
    assert all(
        torch.equal(losses[BidirectionalTask][k], losses[pairs_cycle.UnpairedCycleTask][k]) for k in shared
    )


def test_an_arm_of_the_cycle_is_judged_in_both_directions():
    with from_scratch():
        row = pairs_cycle.run_seed(0, "smoke", ["50 pairs, cycle, unpaired too"])
    (numbers,) = row.values()
    assert set(numbers) == {
        "IoU", "EPE", "defects", "L1", "spectrum", "round trip, SEM", "round trip, layout"
    }  # fmt: skip
    assert all(np.isfinite(v) for v in numbers.values())


# ---- irregular arrays


def test_irregular_places_are_where_they_say():
    made = arrays.make_arrays(40, 0.25, 5, "test")
    layout = unit_from_uint8(made.pairs.layout)
    assert made.pairs.family[:10] == ["lines", "contacts"] * 5
    assert set(made.pairs.family[10:]) == set(KINDS)
    for image, place, family in zip(layout, made.places, made.pairs.family, strict=True):
        assert (place is None) == (family in arrays.REGULAR)
        if place is not None:
            there = arrays.crop(image, place)
            assert int(arrays.count_features(there[None])) == place.drawn == (2 if "contact" in family else 0)
            assert not arrays.completed(image, place)
            assert not arrays.completed(1.0 - image, place) or place.drawn == 0


def test_a_share_changes_the_clips_between_alone():
    most, some = (arrays.make_arrays(20, share, 1, "train").pairs for share in (0.9, 0.5))
    assert torch.equal(most.sem[:10], some.sem[:10])
    assert torch.equal(most.sem[18:], some.sem[18:])
    assert [a == b for a, b in zip(most.family, some.family, strict=True)] == [True] * 10 + [False] * 8 + [
        True
    ] * 2


def test_completed_is_what_the_rule_says():
    line, pair = Place(0, 2, 8, 7, 0, 16), Place(0, 0, 6, 12, 2, 16)
    blank = torch.zeros(1, 8, 12)
    full, half, less = blank.clone(), blank.clone(), blank.clone()
    full[:, :, 3:5], half[:, :4, 3:5], less[:, :3, 3:5] = 1, 1, 1
    assert [arrays.completed(x, line) for x in (blank, less, half, full)] == [False, False, True, True]
    one, two = blank.clone(), blank.clone()
    one[:, 1:5, 4:8] = 1
    two[:, 1:5, 1:5] = two[:, 1:5, 7:11] = 1
    assert [arrays.completed(x, pair) for x in (blank, one, two)] == [False, True, False]


def test_specks_do_not_count():
    image = torch.zeros(2, 1, 9, 9)
    image[0, 0, 0, :7], image[0, 0, 4, :8], image[1, 0, 2:5, 2:5] = 1, 1, 1
    assert arrays.count_features(image).tolist() == [1, 1]
    clean = arrays.without_specks(image)
    assert float(clean[0].sum()) == 8.0
    assert torch.equal(clean[1], image[1])


def test_the_truth_has_no_errors_and_an_added_line_has_one():
    test = hallucination.test_clips("smoke", 0)
    layout = unit_from_uint8(test.pairs.layout)
    right = hallucination.judge(layout, test)
    assert right["count error"] == right["completed"] == right["extra"] == right["missing"] == 0.0
    assert right["IoU"] == right["IoU, regular"] == 1.0
    i = test.pairs.family.index("missing line")
    place = test.places[i]
    filled = layout.clone()
    filled[i, 0, place.y0 + 5 : place.y1 - 5, place.x0 + 5 : place.x1 - 5] = 1.0
    wrong, irregular = hallucination.judge(filled, test), sum(p is not None for p in test.places)
    assert wrong["extra"] == wrong["completed"] == wrong["count error"] == pytest.approx(1 / irregular)


def test_arms_of_the_arrays_differ_as_their_names_say():
    setting = hallucination.SETTINGS["reduced"]
    configs = {arm: hallucination.task_config(arm, setting) for arm in hallucination.ARMS}
    one_way = {arm: c for arm, c in configs.items() if arm not in ("no cycle", "cycle")}
    assert len({(c.generator, c.lr_generator) for c in one_way.values()}) == 1
    assert [arm for arm, c in one_way.items() if c.discriminator is None] == [
        "regular only, L1 only", "95 % regular, L1 only", "80 % regular, L1 only"
    ]  # fmt: skip
    assert replace(configs["L1 weight 100"], weight_l1=10.0) == configs["regular only"]
    assert replace(configs["cycle"], weight_cycle=0.0) == configs["no cycle"]
    groups = [arm for group in hallucination.GROUPS.values() for arm in group]
    assert sorted(groups) == sorted(hallucination.ARMS)


def test_one_way_and_two_way_arms_run():
    with from_scratch():
        row = hallucination.run_seed(0, "smoke", ("95 % regular", "cycle"))
    assert all(np.isfinite(v) for numbers in row.values() for v in numbers.values())


# ---- sweeps and claims


@pytest.mark.parametrize("module", MODULES)
def test_sweeps_have_six_seeds_and_name_their_module(module):
    assert module.SWEEP.seeds["reduced"] >= 6
    assert module.SWEEP.name == module.__name__.rsplit(".", 1)[-1]


def test_claims_compare_the_arms_they_name(tmp_path):
    """With numbers made so that every part of every rule holds, each verdict is "holds"."""
    weights = {
        s: {
            "L1 weight 10": {"spectrum": 0.5 + 0.01 * s, "L1": 0.09, "EPE": 6.0 + 0.1 * s},
            "L1 weight 100": {"spectrum": 5.0, "L1": 0.07, "EPE": 4.0},
        }
        for s in range(6)
    }
    cycle = {
        s: {
            arm: {"IoU": 0.7 + 0.001 * s + (0.05 if arm.startswith("50 pairs, cycle") else 0.0)}
            for arm in pairs_cycle.ARMS
        }
        for s in range(6)
    }
    worse = {"regular only": 3.0, "95 % regular": 2.0, "80 % regular": 1.0, "no cycle": 2.0}
    quantities = ("count error", "completed")
    clips = {
        s: {arm: dict.fromkeys(quantities, worse.get(arm, 0.5) + 0.01 * s) for arm in hallucination.ARMS}
        for s in range(6)
    }
    data = {
        "G11": loss_weights.SWEEP.claims["G11"](Table({}, weights)),
        "G12": pairs_cycle.SWEEP.claims["G12"](Table({}, cycle)),
        "G21": hallucination.SWEEP.claims["G21"](Table({}, clips)),
        "G40": hallucination.SWEEP.claims["G40"](Table({}, clips)),
    }
    for claim_id, judged in data.items():
        entry = claims.record(claim_id, **judged, scale="reduced", seeds=range(6), run=tmp_path / "run.jsonl")
        assert {part["verdict"] for part in entry["parts"].values()} == {"holds"}, claim_id
        words = str(realism.parts_table(entry))
        assert all(part in words for part in entry["parts"])
    assert set(data) <= set(experiments())


# ---- figures


def test_the_front_draws_every_state_of_its_grid():
    pictures = {arm: torch.rand(1, 32, 32) for arm in loss_weights.LIVE}
    controls = (
        Slider("place", "from correct to real", 0, 3, 1, 2),
        Choice("error", "error", tuple(realism.ERRORS), "L1"),
    )
    explorer = Explorer(
        partial(realism.front_figure, WEIGHTS, pictures, torch.rand(1, 32, 32)), controls, "front"
    )
    for state in explorer.grid():
        assert explorer.problems(state) == []
    assert "Marked: L1 weight 1." in alt_text(explorer.figure({"place": 3}))


def test_irregular_clips_are_drawn_in_every_state():
    test = hallucination.test_clips("smoke", 0)
    layout = unit_from_uint8(test.pairs.layout)
    read = {"right": layout, "blank": torch.zeros_like(layout)}
    controls = (Choice("kind", "kind", KINDS, KINDS[0]), Slider("number", "clip", 0, 2, 1, 0))
    explorer = Explorer(partial(irregular_arrays.irregular_figure, test, read), controls, "irregular")
    for state in explorer.grid():
        assert explorer.problems(state) == []
    words = alt_text(explorer.figure({"kind": "doubled contact"}))
    assert "the irregular place is not completed" in words
    assert "blank reads 0 features" in words


def test_every_figure_has_words():
    images = torch.rand(3, 1, 32, 32)
    test = hallucination.test_clips("smoke", 0)
    figures = {
        "costs 3.01 dB": realism.trade_figure().figure,
        "real SEM": realism.made_figure(images, images, {"L1 weight 10": images}, [0, 2]),
        "second draw": realism.draws_figure({"an arm": images}, {"an arm": images}, 1),
        "50 pairs, cycle": realism.cycle_figure(CYCLE),
        "doubled contact": irregular_arrays.kinds_figure(test),
        "50 % regular": irregular_arrays.share_figure(ARRAYS).figure,
        "no cycle": irregular_arrays.parts_figure(ARRAYS),
    }
    for words, figure in figures.items():
        assert words in alt_text(figure)


def test_tables_have_every_arm():
    assert list(realism.weights_table(WEIGHTS)) == list(WEIGHTS.arms)
    rows = irregular_arrays.kinds_table(ARRAYS)
    assert list(rows) == list(hallucination.ARMS)
    mean = np.mean(ARRAYS.values("completed, wider gap", "mixed")["mixed"])
    assert rows["mixed"]["wider gap"] == pytest.approx(100 * mean)


def test_a_change_is_told_apart_when_its_interval_leaves_out_zero():
    rows = {s: {"old": {"IoU": 0.5}, "new": {"IoU": 0.5 + d}} for s, d in enumerate((0.1, 0.2, 0.3))}
    table = Table({}, rows)
    _, low, high = claims.paired_effect([0.6, 0.7, 0.8], [0.5] * 3)
    assert low < 0 < high
    words = realism.change(table, "IoU", "new", "old", factor=10)
    assert words == f"+2 ({10 * low:+.2g} to {10 * high:+.2g}): undecided"
    for s in rows:
        rows[s]["new"]["IoU"] = 0.7 + 0.001 * s
    assert realism.change(table, "IoU", "new", "old").endswith(": higher")
    assert realism.change(table, "IoU", "old", "new").endswith(": lower")


def test_every_step_of_the_front_and_every_fault_has_its_change():
    steps = realism.steps_table(WEIGHTS).rows
    assert [row[0] for row in steps] == [
        "L1 only to 100", "L1 weight 100 to 30", "L1 weight 30 to 10", "L1 weight 10 to 3",
        "L1 weight 3 to 1", "L1 weight 1 to no L1", "L1 weight 100 to 10", "L1 weight 10 to 1",
    ]  # fmt: skip
    assert steps[-2][1] == realism.change(WEIGHTS, "spectrum", "L1 weight 10", "L1 weight 100")
    faults = {row[0]: row[1:] for row in irregular_arrays.changes_table(ARRAYS).rows}
    assert faults["opens"][-1] == realism.change(ARRAYS, "opens", "cycle", "no cycle")
    assert list(faults)[-2:] == ["count error, regular", "IoU, regular"]


def test_the_text_on_the_front_and_on_faults_is_what_the_sweeps_say():
    """The lesson's words rest on these: a new sweep that says otherwise must change the words."""
    said = [
        [cell.rsplit(": ", 1)[1] for cell in r[1:]]
        for r in realism.steps_table(committed("loss_weights")).rows
    ]
    more_real, undecided = ["lower", "higher", "undecided"], ["undecided"] * 3
    assert said[:5] == [more_real] * 3 + [undecided] * 2
    assert said[5:] == [["undecided", "higher", "higher"], more_real, ["undecided", "higher", "undecided"]]
    found = {
        r[0]: [cell.rsplit(": ", 1)[1] for cell in r[1:]]
        for r in irregular_arrays.changes_table(committed("hallucination")).rows
    }
    assert found["extra"] == ["lower", "undecided", "undecided", "undecided"]
    assert found["opens"] == ["lower", "lower", "undecided", "higher"]
    assert found["completed"] == ["lower", "lower", "undecided", "lower"]
    assert found["count error, regular"] == ["higher", "undecided", "undecided", "undecided"]
    assert found["IoU, regular"] == ["lower", "undecided", "higher", "lower"]
