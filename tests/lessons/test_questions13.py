"""The recall questions of lesson 13: what the right answers are, computed."""

import pytest
import torch
from answers import questions_of

from gantrans.operations.promotion.replay import ReplayBatches
from gantrans.teaching.exercises import exercise
from lessons.lesson13.experiments.live_quarter import png_16_bit
from lessons.lesson13.experiments.quarter_setting import phase_pairs
from lessons.lesson13.figures.dashboard import through_pillow
from lessons.shared.process_change import DIRECTION


def _credited_after_a_rollback() -> str:
    events = [("prediction", "p", "Version 2's", 0.0, 1.0), ("prediction", "q", "Version 1's", 0.0, 1.0)]
    (version,) = exercise("join_labels").function([*events, ("label", "l", "p", 9.0, 0.0)])
    return version


def _label_sent_twice() -> str:
    def joined(times: int) -> dict[str, dict[str, float]]:
        label = ("label", "l", "p", 9.0, 0.0)
        return exercise("join_labels").function([("prediction", "p", "v1", 0.0, 1.0), *[label] * times])

    return "Nothing" if joined(2) == joined(1) else "It counts twice"


def _batch_after_a_retirement() -> str:
    pairs = phase_pairs("old", "some", 32, 0, 4)
    replayed = [ReplayBatches(pairs, old, DIRECTION, 8, 0.5, 0).old_before(1) for old in (pairs, None)]
    return {(4, 0): "8 new pairs", (4, 4): "4 new and 4 old pairs"}[tuple(replayed)]


ANSWERS = {
    "13_credit": _credited_after_a_rollback,
    "13_silence": lambda: {None: "Unknown"}[exercise("three_monitors").function([(200, False, None)])[2]],
    "13_drift_start": lambda: {(): "On none", (0,): "On the first"}[
        tuple(exercise("start_days").function([(0, 0.0, True)] * 10, 240, 72, 0.08, 1))
    ],
    "13_white": lambda: {1.0: "White", 0.5: "Mid grey"}[
        round(float(through_pillow(png_16_bit(torch.full((1, 8, 8), 0.5))).mean()), 1)
    ],
    "13_dark": lambda: {True: "Refuse and ask", False: "Divide by 65535"}[
        exercise("decode_depth").function(torch.tensor([[0.0, 3000.0]]), "uint16", None) is None
    ],
    "13_twice": _label_sent_twice,
    "13_refused": lambda: {(0.0, 0.0): "Neither of the two", (0.5, 0.0): "That of failures"}[
        exercise("three_monitors").function([(200, False, True), (422, False, None)])[:2]
    ],
    "13_regime": _batch_after_a_retirement,
    "13_enough": lambda: (
        f"Day {exercise('start_days').function([(12, 0.0, False)] * 40, 240, 72, 0.08, 1)[0]}"
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("13")[name].right


def test_every_question_is_computed():
    assert set(ANSWERS) == set(questions_of("13"))
