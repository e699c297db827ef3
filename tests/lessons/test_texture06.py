"""Lesson 06: the factorial of layout -> SEM and the four arms of SEM -> layout with new seeds."""

import math

import numpy as np
import pytest
import torch

from gantrans.errors import ConfigError
from gantrans.networks import PatchGAN, UNetGenerator
from gantrans.teaching.sweeps.tables import Table
from lessons.lesson06.experiments import factorial as plan
from lessons.lesson06.experiments import stabilization_arms, stabilization_pair, texture
from lessons.lesson06.experiments import texture_arms as arms

ABOUT = {"scale": "smoke", "date": "2026-01-01T00:00:00+00:00", "code": "0", "command": "none"}
LOG_EFFECTS = {"least squares": -0.3, "spectral norm": -0.1, "smoothing": 0.0, "decay": 0.2}
QUANTITIES = ("spectrum", "EPE", "diversity", "PSNR", "gradient", "late swing", "raw growth", "D accuracy")


def made_up(seeds=6):
    """A table whose arms have known effects on the logarithm of every quantity."""
    rows = {}
    for seed in range(seeds):
        draw, row = np.random.default_rng(seed), {}
        for arm in (*arms.FACTORIAL, *arms.BESIDE, arms.REAL):
            log = 0.1 * seed + sum(LOG_EFFECTS[f] for f in stabilization_arms.factors_of(arm))
            value = math.exp(log + 1e-3 * draw.standard_normal())
            row[plan.arm_in(texture.TEXTURE, arm)] = dict.fromkeys(QUANTITIES, value)
        for k, arm in enumerate(texture.FEW_ARMS):
            row[plan.arm_in(texture.FEW, arm)] = {"told apart": 0.9 - 0.2 * k - 0.001 * seed}
        rows[seed] = row
    return Table(ABOUT, rows)


TABLE = made_up()


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTRANS_CACHE", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("TQDM_DISABLE", "1")
        yield


def ratio(arms_of_a_rule):
    """The first arm over the second: geometric mean over seeds."""
    first, second = (np.log(values) for values in arms_of_a_rule.values())
    return float(np.exp(np.mean(first - second)))


# ---- the factorial


def test_an_interaction_is_half_the_change_of_an_effect():
    rows = {
        seed: {
            plan.arm_in("s", plan.arm_name(subset)): {
                "q": ("decay" in subset) + 3.0 * ({"decay", "smoothing"} <= set(subset)) + 0.01 * seed
            }
            for subset in plan.factorial()
        }
        for seed in range(3)
    }
    assert plan.interaction(rows, "s", "decay", "smoothing", "q").measured == pytest.approx(1.5)
    assert plan.interaction(rows, "s", "decay", "least squares", "q").measured == pytest.approx(0)
    assert plan.main_effect(rows, "s", "decay", "q").measured == pytest.approx(1 + 1.5)
    with pytest.raises(ConfigError, match="given twice"):
        plan.interaction(rows, "s", "decay", "decay", "q")


# ---- arms


def test_arms_differ_from_the_baseline_in_one_thing_each():
    base = arms.task_config("baseline", "reduced")

    def changed(arm):
        task, parts = arms.task_config(arm, "reduced"), []
        for name in ("generator", "discriminator", "adversarial", "real_label", "weight_l1", "lr_generator"):
            if getattr(task, name) != getattr(base, name):
                parts.append(name)
        return parts

    assert {arm: changed(arm) for arm in arms.BESIDE} == {
        "saturating loss": ["adversarial"],
        "hinge": ["adversarial"],
        "batch norm in D": ["discriminator"],
        "D twice as wide": ["discriminator"],
        "D four times as wide": ["discriminator"],
        "G twice as wide": ["generator"],
        "L1 only": ["discriminator"],
    }
    assert changed("decay") == []  # the schedule is the training's
    assert changed("all four") == ["discriminator", "adversarial", "real_label"]
    assert arms.task_config("D four times as wide", "reduced").discriminator.base_filters == 64
    assert base.lr_discriminator == 5 * base.lr_generator
    assert base.weight_l1 == 1
    assert base.generator.noise_injection


def test_pairs_are_disjoint_and_the_few_are_of_the_training_pairs():
    train, few, val = (arms.pairs(split, "smoke", 0) for split in ("train", "few", "val"))
    assert (len(train), len(few), len(val)) == (24, 8, 3)
    assert torch.equal(few.layout, train.layout[:8])
    assert not any(torch.equal(one, other) for one in val.sem for other in train.sem)
    test = arms.test_set("smoke", 0)
    assert not torch.equal(test.sem, test.another)
    assert len(test.layout) == len(test.sem) == len(test.another) == 9


def test_the_watch_scores_often_at_the_end():
    watch = arms.Watch(arms.pairs("val", "smoke", 0), steps=100, watch=5)

    class Task:
        generator = UNetGenerator(arms.task_config("baseline", "smoke").generator).eval()

    scored = [step for step in range(2, 101, 2) if watch(Task())]
    assert scored == [*range(10, 91, 10), 92, 94, 96, 98, 100]


def test_noise_makes_draws_differ_and_its_seed_names_them():
    generator = UNetGenerator(arms.task_config("baseline", "smoke").generator).eval()
    layout = arms.test_set("smoke", 0).layout
    first, again, other = (arms.draws(generator, layout, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0 <= float(first.min()) < float(first.max()) <= 1


# ---- judging


def test_told_apart_counts_ordered_pairs():
    told = texture.told_apart
    assert told(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0])) == 1.0
    assert told(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])) == 0.0
    assert told(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 3.0])) == pytest.approx((1 + 0.5) / 4)


def test_a_real_image_is_nearer_to_real_than_noise_and_differs_from_its_twin():
    test = arms.test_set("smoke", 0)
    sem, another = (part.float() / 255 for part in (test.sem, test.another))
    real = texture.judge(another, sem, 0, "smoke")
    noise = texture.judge(torch.rand(sem.shape, generator=torch.Generator().manual_seed(0)), sem, 0, "smoke")
    assert real["spectrum"] < noise["spectrum"]
    assert real["PSNR"] > noise["PSNR"]
    assert noise["fine"] > 3  # white noise has too much that is fine
    assert real["diversity"] > 0
    assert texture.judge(sem, sem, 0, "smoke") | {"EPE": 0} == {
        "spectrum": 0, "fine": 0, "EPE": 0, "unread": 0, "diversity": 0, "PSNR": math.inf
    }  # fmt: skip


def test_every_kind_of_arm_is_scored():
    row = texture.run_seed(("all four", arms.L1_ONLY, arms.REAL), 0, "smoke")
    assert list(row) == ["texture: all four", "texture: L1 only", "texture: another real image"]
    for arm, numbers in row.items():
        assert all(math.isfinite(value) for value in numbers.values()), arm
    assert {*QUANTITIES, "growth"} <= set(row["texture: all four"])
    assert "D accuracy" not in row["texture: L1 only"]
    assert "late swing" in row["texture: L1 only"]
    few = texture.run_few(0, "smoke")
    assert list(few) == ["few pairs: baseline", "few pairs: smoothing"]
    assert all(0 <= numbers["told apart"] <= 1 for numbers in few.values())


def test_realness_is_the_mean_logit_of_each_pair():
    data = arms.pairs("val", "smoke", 0)
    critic = PatchGAN(arms.task_config("baseline", "smoke").discriminator).eval()
    scores = texture.realness(critic, data)
    layout, sem = (part.float() / 127.5 - 1 for part in (data.layout, data.sem))
    assert torch.allclose(scores, critic(layout, sem).logits.mean((1, 2, 3)), atol=1e-5)


# ---- what the tables will decide


def test_rules_get_the_arms_and_levels_that_they_name():
    results = {claim_id: judged(TABLE) for claim_id, judged in texture.DECIDES.items()}
    for claim_id, result in results.items():
        assert all(math.isfinite(value) for value in result["numbers"].values()), claim_id
    data = {claim_id: result["data"] for claim_id, result in results.items()}
    assert ratio(data["G46"]["edges"]) == pytest.approx(math.exp(-0.3), abs=2e-3)
    assert ratio(data["G46"]["against spectral norm"]) == pytest.approx(math.exp(-0.2), abs=2e-3)
    assert ratio(data["G47"]) == pytest.approx(1, abs=2e-3)
    assert ratio(data["G60"]) == pytest.approx(math.exp(0.2), abs=2e-3)
    assert ratio(data["G44"]["diversity"]) == pytest.approx(math.exp(-0.2), abs=2e-3)
    assert ratio(data["G45"]["texture"]) == pytest.approx(math.exp(-0.4), abs=2e-3)
    assert ratio(data["G61"]["weight growth"]) == pytest.approx(math.exp(-0.1), abs=2e-3)
    smoothed, plain = data["G61"]["memory of D"].values()
    assert np.subtract(smoothed, plain) == pytest.approx(-0.2)


def test_rules_of_the_four_arms_get_the_right_ones():
    rows = {
        seed: {
            plan.arm_in(setting, arm): {"IoU": k + 0.1 * i + 0.01 * seed, "EPE": 1.0}
            for i, setting in enumerate(stabilization_arms.FULL)
            for k, arm in enumerate(stabilization_pair.ARMS)
        }
        for seed in range(6)
    }
    table, names = Table(ABOUT, rows), list(stabilization_pair.ARMS)
    pair, four, none, alone = map(names.index, (stabilization_pair.PAIR, plan.ALL, plan.BASELINE, "L1 only"))
    for claim_id, gain in (("G10", four - none), ("G42", pair - four), ("G43", pair - alone)):
        data = stabilization_pair.DECIDES[claim_id](table)["data"]
        assert len(data) == (2 if claim_id == "G10" else 3)
        for values in data.values():
            assert np.subtract(*values.values()) == pytest.approx(gain)
