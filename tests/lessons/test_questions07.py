"""The recall questions of lesson 07: what the right answers are, computed."""

import pytest
import torch
from answers import questions_of

from gantrans.teaching.exercises import exercise
from gantrans.translation import BidirectionalConfig
from gantrans.translation.gan_gradients import l1_gradient_norm
from lessons.lesson07.figures import realism


def _features_gained() -> str:
    drawn, output = torch.zeros(2, 5, 7, dtype=torch.bool)
    drawn[:, 0], drawn[2, 5] = True, True
    output[:, 0], output[:, 3] = True, True
    count = exercise("invented_features").function
    invented, missing = count(drawn, output)
    assert (invented, missing) == (1, 1)
    return str(invented - missing)


def _lopsided() -> str:
    best = exercise("best_grey").function(torch.tensor([[0.3]]), 0.0, 1.0, "l1", 3.0)
    return {0.0: "dark", 1.0: "bright"}.get(float(best), "in between")


ANSWERS = {
    "07_cost": lambda: f"{realism.measured_trade(1.0):.0f} dB",
    "07_net": _features_gained,
    "07_weights": lambda: f"{BidirectionalConfig().weight_l1 / BidirectionalConfig().weight_gan:g}",
    "07_l1_gradient": lambda: (
        f"{float(l1_gradient_norm(100.0, torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 64, 64))):g}"
    ),
    "07_off": lambda: {True: "NaN", False: "0"}[bool((0 * torch.tensor(torch.nan)).isnan())],
    "07_lopsided": _lopsided,
    "07_half_grain": lambda: "{:.0f} dB and {:.0f} dB".format(*map(abs, realism.grain_trade(0.5))),
}

BY_HAND = {"07_cycle_layout"}  # no computation decides these


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("07")[name].right


def test_every_question_is_computed_or_listed():
    assert set(ANSWERS) | BY_HAND == set(questions_of("07"))
