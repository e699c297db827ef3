"""Automatic mutants: what the mutator makes, and that the checkers kill a fixed sample of 200."""

import pytest

from gantrans.teaching.exercises import exercises
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.mutation import mutants_of, mutation_row, sample, survives

SAMPLE = sample(exercises(), 200)
BY_TRAINING = {"own_sampler", "own_four"}
"""Scored by a trained network on fresh seeds: a mutant of the score costs seconds and moves a mean. What the
score rests on is tried in tests/lessons/test_net03.py."""


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
    if ex.id not in BY_TRAINING:
        assert [m.id for other, m in SAMPLE if other is ex and survives(ex, m)] == []


@pytest.mark.parametrize("ex", exercises(), ids=lambda ex: ex.id)
def test_listed_equivalents_are_still_needed(ex):
    if ex.equivalent and ex.id not in BY_TRAINING:
        assert mutation_row(ex)["stale"] == []
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
