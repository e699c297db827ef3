"""The checkers against answers by authors who saw only the exercises' texts (`tests/strangers`)."""

import sys
from pathlib import Path

import pytest

from gantrans.teaching.exercises import State, exercise

sys.path.insert(0, str(Path(__file__).parents[1] / "strangers"))
from strangers import answers

ALL = [pytest.param(s, id=f"{s.exercise}: {s.words}") for s in answers()]
OTHERWISE = {
    "predict_x0: a predicted image keeps its own dtype": "the text now says that both have one dtype",
    "checkerboard_excess: three frequencies by cosines and sines, without an FFT": "fails on a GPU; now said",
    "anisotropy: a convolution with two crosses": "fails on a GPU; the text now says so",
    "train: an inner function for one step, zero_grad(set_to_none=False) first of all, list comprehension": (
        "draws on the CPU; the text asks for the device of x0"
    ),
}
"""Answers that are judged otherwise than their authors thought, with the reason."""


@pytest.mark.parametrize("stranger", ALL)
def test_a_strangers_answer_is_judged_rightly(stranger):
    result = exercise(stranger.exercise).judge(stranger.answer)
    wanted = stranger.right
    if f"{stranger.exercise}: {stranger.words}" in OTHERWISE:
        wanted = not wanted
    assert result.passed == wanted, str(result)
    if not wanted:  # a loop that never ends cannot be checked, and says so
        assert result.state is State.INCORRECT or "does a loop never end?" in result.message, str(result)


def test_there_are_hundreds_of_them_and_about_half_was_seen():
    wrong = [s for s in answers() if not s.right]
    assert len(wrong) >= 500
    assert len(answers()) - len(wrong) >= 170
    first = [s for s in answers() if s.answer.__module__ != "second_round"]
    assert 0.4 < sum(s.seen for s in first) / len(first) < 0.6
