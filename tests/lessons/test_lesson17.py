"""Lesson 17: the maker of pairs, its exercises in use, the sweep's parts and rules, its page."""

import math

import pytest
import torch
from answers import questions_of
from pages import defined_on_page
from PIL import Image

from gantrans.errors import DataError
from gantrans.teaching import claims, mine
from gantrans.teaching.exercises import exercise
from gantrans.teaching.plots import alt_text
from gantrans.teaching.runs import config_hash
from gantrans.teaching.sweeps.tables import Table
from lessons.lesson17 import facades, pairs
from lessons.lesson17.experiments import few_pairs, own_pairs
from lessons.lesson17.figures import pictures


@pytest.fixture(scope="module")
def houses():
    return facades.facades(10, 2)


# ---- pairs


def test_houses_are_repeatable_and_more_of_them_change_nothing(houses):
    more = facades.facades(12, 3)
    again = [more.names.index(name) for name in houses.names]
    assert torch.equal(more.given[again], houses.given)
    assert torch.equal(more.wanted[again], houses.wanted)
    assert not torch.equal(facades.facades(1, 1, seed=1).wanted, houses.wanted[:1])
    colours = {tuple(c) for c in (255 * houses.given).permute(0, 2, 3, 1).flatten(0, 2).int().tolist()}
    assert colours == set(facades.LABELS.values())


def test_two_pictures_of_a_house_are_more_alike_than_two_houses(houses):
    small = torch.nn.functional.avg_pool2d(houses.wanted, 8)
    same = (small[0::2] - small[1::2]).abs().mean((1, 2, 3))
    others = (small[0::2] - small[1::2].roll(1, 0)).abs().mean((1, 2, 3))
    assert float(same.mean()) < 0.6 * float(others.mean())


def test_a_folder_gives_the_pairs_back_and_what_is_wrong_with_one(houses, tmp_path):
    root = pairs.write_folder(houses, tmp_path / "own")
    back = pairs.read_folder(root, 64)
    assert back.names == houses.names
    assert torch.equal(back.given, houses.given)
    assert torch.equal(back.wanted, houses.wanted)
    assert pairs.read_folder(root, 32).given.shape == (20, 3, 32, 32)
    path = root / "input" / "house03_1.png"
    Image.new("RGB", (60, 64)).save(path)
    with pytest.raises(
        DataError, match=r"input/house03_1.png is 60 x 64 px, but .*target/house03_1.png is 64 x 64 px"
    ):
        pairs.read_folder(root, 64)
    Image.new("I;16", (64, 64), 4095).save(path)
    with pytest.raises(DataError, match="state which with --bits 12"):
        pairs.read_folder(root, 64)
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="is not an image in a supported format"):
        pairs.read_folder(root, 64)
    few = pairs.ColourPairs(houses.names[:5], houses.given[:5], houses.wanted[:5])
    with pytest.raises(DataError, match="has 5 pairs; at least 12 are needed"):
        pairs.read_folder(pairs.write_folder(few, tmp_path / "few"), 64)


# ---- the exercises in use


def test_the_shift_of_a_set_is_the_most_frequent_one(houses):
    find = exercise("find_shift").function
    for shift in ((0, 0), (2, -3)):
        moved = houses.given.roll(shift, (-2, -1))
        found = [find(x, y, 4) for x, y in zip(moved, houses.wanted, strict=True)]
        assert max(set(found), key=found.count) == shift


def test_a_stop_depends_on_nothing_that_comes_later():
    stop_rule, draw = exercise("stop_rule").function, torch.Generator().manual_seed(0)
    for _ in range(50):
        errors = (torch.rand(30, generator=draw) + 0.1).tolist()
        stop, kept = stop_rule(errors, 3, 0.5)
        assert stop_rule(errors[: stop + 1], 3, 0.5) == (stop, kept)
        assert kept <= stop
        assert stop_rule([*errors[: stop + 1], 0.0, 0.0], 3, 0.5) == (stop, kept) or stop == 29


def test_a_copy_of_a_house_with_two_pictures_is_seen(houses):
    score, group = exercise("copy_score").function, torch.arange(20) // 2
    assert (score(houses.wanted, houses.wanted, group) == 1).all()
    blurred = houses.wanted.mean(0, keepdim=True)
    assert float(score(blurred, houses.wanted, group)) < 0.2


def test_an_interval_of_groups_keeps_its_promise_and_one_of_pictures_does_not():
    interval, draw = exercise("group_interval").function, torch.Generator().manual_seed(1)
    five, hits = torch.arange(5).repeat_interleave(4), [0, 0]
    for _ in range(600):
        values = torch.randn(5, generator=draw)[five] + 0.2 * torch.randn(20, generator=draw)
        for k, (of, t) in enumerate(((five, 2.132), (torch.arange(20), 1.729))):
            _, low, high = interval(values, of, t)
            hits[k] += low <= 0 <= high
    assert hits[0] / 600 == pytest.approx(0.9, abs=0.04)
    assert hits[1] / 600 < 0.7


# ---- the page against the sweep


def test_the_network_of_the_page_is_the_sweeps(houses):
    given = {"mine": mine, "scale": "reduced", "device": "cpu"}
    *_, translator = defined_on_page("17", "Up", "down", "translator", **given)
    one, other = translator(3), own_pairs.translator(16, 3)
    x = 2 * houses.given[:2] - 1
    torch.testing.assert_close(one(x), other(x))
    assert sum(p.numel() for p in one.parameters()) == sum(p.numel() for p in other.parameters())


# ---- the sweep


def test_a_leak_keeps_the_number_of_pairs_and_the_tested_pictures():
    setting = own_pairs.SETTINGS["reduced"]
    train, val, test = few_pairs.split(setting, 4)
    assert [len(part) for part in (train, val, test)] == [20, 10, 10]
    assert not {i // 2 for i in test} & {i // 2 for i in train + val}


def test_what_a_stop_costs_and_saves_is_judged_on_the_test_pictures():
    seen = [(0.5, 0.4), (0.4, 0.3), (0.3, 0.2), *[(0.4, 0.1)] * 20]
    found = few_pairs.judged_stop(seen)
    stop, kept = exercise("stop_rule").function([v for v, _ in seen], 8, 0.75)
    assert found["regret"] == pytest.approx(seen[kept][1] / 0.1 - 1)
    assert found["saved"] == pytest.approx(1 - (stop + 1) / 23)
    assert found["last"] == pytest.approx(0)


def test_a_smoke_run_gives_finite_numbers_for_every_rule():
    row = few_pairs.SWEEP.part("all", 0, "smoke")
    assert list(row) == [few_pairs.L1, few_pairs.GAN, few_pairs.APART, few_pairs.LEAKY, "4 pairs", "8 pairs"]
    assert all(math.isfinite(value) for numbers in row.values() for value in numbers.values())
    assert row[few_pairs.APART] != row[few_pairs.LEAKY]


def test_the_table_gives_every_rule_its_data():
    arms = {arm: {"regret": 0.02, "saved": 0.4} for arm in (few_pairs.L1, few_pairs.GAN)}
    arms |= {few_pairs.APART: {"error": 0.1}, few_pairs.LEAKY: {"error": 0.08}, "10 pairs": {"copies": 0.3}}
    about = {"scale": "reduced", "date": "2026-01-01", "code": "0", "command": "again"}
    table = Table(about, dict.fromkeys(range(3), arms))
    for claim_id, judged in few_pairs.SWEEP.claims.items():
        claim, data = claims.get(claim_id), judged(table)["data"]
        if claim_id == "G81":
            assert data == {"leaky": [0.08] * 3, "by group": [0.1] * 3}
        elif claim_id == "G82":
            assert data == pytest.approx([0.2] * 3)
        else:
            assert set(data) == {part.name for part in claim.parts}
    made_of = config_hash(few_pairs.config("reduced"))
    assert {claims.get(i).config["reduced"] for i in few_pairs.SWEEP.claims} == {made_of}


# ---- figures and questions


def test_figures_say_their_numbers(houses):
    assert "input: 4 pictures" in alt_text(pictures.sheet({"input": houses.given[:4]}))
    runs = {"seed 0": ([0.3, 0.2, 0.25], [0.3, 0.25, 0.2])}
    words = alt_text(pictures.stops_figure(runs, {"seed 0": (2, 1)}, 10))
    assert "it stops after 30 of 30 steps and keeps step 20, with a test error of 0.250" in words
    words = alt_text(pictures.game_figure([(2.0, 4.0), (1.0, 3.0)], [0.3, 0.2], 1))
    assert "D 0.50, G 0.75 at the end" in words
    three = (torch.tensor([0.1, 0.3]), torch.tensor([0.9]), torch.tensor([0.2]))
    assert "real new pictures 0.20" in alt_text(pictures.copies_figure({"10 pairs": three}))


def test_answers_to_questions_can_be_computed():
    asked = {name: question.right for name, question in questions_of("17").items()}
    assert len(asked) >= 6
    errors = [30.0 - i for i in range(20)] + [99.0] * 40
    stop, best = exercise("stop_rule").function([*errors[:20], *errors[20:]], 8, 0.75)
    assert best == 19
    assert asked["17_patience"] == str(stop)
    two = torch.tensor([1.0, -1.01]).view(2, 1, 1, 1)
    near = exercise("copy_score").function(torch.zeros(1, 1, 1, 1), two, torch.tensor([0, 1]))
    assert asked["17_blur"] == f"Near {round(float(near))}"
    assert asked["17_counted"] == str(len(torch.arange(5).repeat_interleave(4).unique()))
