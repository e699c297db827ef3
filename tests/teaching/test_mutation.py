"""Automatic mutants: what the mutator makes, and that the checkers kill a fixed sample of 200."""

import pytest
import torch

from gantrans.teaching.exercises import exercises
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.mutation import (
    explained,
    mutants_for,
    mutants_of,
    mutation_row,
    sample,
    stale_equivalents,
    survives,
)
from lessons.lesson03.exercises import own_sampler
from lessons.lesson03.exercises._predictors import KNOWN, SIZE, Nearest, pictures
from lessons.lesson15.exercises import own_four
from lessons.shared.denoising import clips

SAMPLE = sample(exercises(), 200)
BY_TRAINING = {"own_sampler": own_sampler, "own_four": own_four}
"""Scored by a trained network, for which a quick one stands in here."""


@pytest.fixture(autouse=True)
def quick_network(monkeypatch):
    """A predictor in no time, of grey known clips, new ones, and pictures that break the rule: of 256 images
    12 count."""
    known, new = clips(SIZE, "train", KNOWN).network(), clips(SIZE, "test", 12).network()
    nearest = Nearest(torch.cat([known[:4], new, pictures(4, 0)]))
    for module in BY_TRAINING.values():
        monkeypatch.setattr(module, "network", lambda: lambda x, t: 0.5 * nearest(x, t))
        monkeypatch.delitem(vars(module.ex), "_own_verdicts", raising=False)
    yield
    for module in BY_TRAINING.values():
        vars(module.ex).pop("_own_verdicts", None)


def shrink(x, flag=True):
    """Documented."""
    for i in range(3):
        x = x.mean(dim=1, keepdim=flag) + i
    return x / 2 if x.sum() > 0 else -x


def test_the_mutator_knows_its_slips():
    ids = [m.id for m in mutants_of(shrink)]
    assert len(ids) == len(set(ids))
    for slip in (
        "`x.mean` -> `x.sum`",
        "`x.mean(dim=1, keepdim=flag)` -> `x.mean(dim=0, keepdim=flag)`",
        "`x.mean(dim=1, keepdim=flag)` -> `x.mean(dim=1)`",
        "`x.mean(dim=1, keepdim=flag) + i` -> `x.mean(dim=1, keepdim=flag) - i`",
        "`3` -> `4`",
        "`x / 2` -> `x * 2`",
        "`x / 2` -> `2 / x`",
        "`x.sum() > 0` -> `x.sum() >= 0`",
        "`-x` -> `x`",
        "`x / 2 if x.sum() > 0 else -x` -> `x / 2`",
        "5.4 value.detach()",
        "drop `x = x.mean(dim=1, keepdim=flag) + i`",
    ):
        assert any(slip in i for i in ids), slip
    assert not any("Documented" in i for i in ids)


def test_every_mutant_differs_and_the_original_is_untouched():
    before = shrink.__code__.co_code
    for mutant in mutants_of(shrink):
        assert mutant.function.__code__ is not shrink.__code__
    assert shrink.__code__.co_code == before


def test_the_sample_is_fixed_and_covers_the_course():
    assert [m.id for _, m in SAMPLE] == [m.id for _, m in sample(exercises(), 200)]
    assert len(SAMPLE) == 200
    assert len({ex.id for ex, _ in SAMPLE}) >= 12


@pytest.mark.parametrize("ex", exercises(), ids=lambda ex: ex.id)
def test_sampled_mutants_are_killed(ex):
    mutants = [m for other, m in SAMPLE if other is ex]
    if mutants and ex.id in BY_TRAINING:  # compiled again, among the names of this test
        sampled = {m.id for m in mutants}
        mutants = [m for m in mutants_for(ex) if m.id in sampled and not explained(ex, m)]
    assert [m.id for m in mutants if survives(ex, m)] == []


def test_the_score_of_a_trained_network_is_judged_like_the_rules():
    """A part of the score counts where the score looks it up, which may be another lesson's module."""
    assert own_four.ex.scored(own_four.own_four, 1) == 12 / 256
    forgetful = next(m for m in mutants_of(own_sampler.new_and_different) if "drop `seen.add(row)`" in m.id)
    for module in BY_TRAINING.values():
        assert module.new_and_different is own_sampler.new_and_different
        assert not survives(module.ex, forgetful)


@pytest.mark.parametrize("ex", exercises(), ids=lambda ex: ex.id)
def test_listed_equivalents_are_still_needed(ex):
    assert stale_equivalents(ex) == []
    assert all(ex.equivalent.values())


def test_a_blind_checker_is_caught_by_its_mutants():
    """An exercise tried with one value only cannot tell 2 x from x squared: its mutants survive."""
    ex = Exercise("blind", "00", "Blind", 1, 1, "", ("a",), "-")

    @ex.reference
    def blind(x):
        """A number."""
        return x * x

    ex.inputs(lambda case: (2,))
    row = mutation_row(ex)
    assert "3.11 `x * x` -> `x + x`" in row["survivors"] or "2.11 `x * x` -> `x + x`" in row["survivors"]
    assert row["score"] < 0.98
