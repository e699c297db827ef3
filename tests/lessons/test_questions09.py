"""The recall questions of lesson 09: what the right answers are, computed."""

import pytest
import torch
from answers import questions_of

from gantrans.networks import (
    PatchGAN,
    PatchGANConfig,
)
from gantrans.teaching.exercises import exercise
from gantrans.translation import feature_matching
from lessons.lesson09.experiments.matching import detach_gradients, two_conventions


def _what_detaching_changes() -> str:
    return (
        "Nothing" if detach_gradients(True).generator.equal(detach_gradients(False).generator) else "Its sign"
    )


def _even(kernel: int) -> bool:
    counts = exercise("overlap_counts").function(12, kernel, 2, 1)
    return len(set(counts[kernel:-kernel])) == 1


def _who_gets_gradients() -> str:
    real, fake = torch.ones(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    feature_matching([real], [fake]).backward()
    return {(True, True): "Both", (True, False): "The real ones", (False, True): "The made ones"}[
        real.grad is not None, fake.grad is not None
    ]


ANSWERS = {
    "09_conventions": lambda: f"{10 / two_conventions('smoke')['data']:.1f}",
    "09_detach": _what_detaching_changes,
    "09_even": lambda: str(next(k for k in (3, 4, 5) if _even(k))),
    "09_places": lambda: str(
        sum((row in (0, 32)) and (column in (0, 32)) for row in range(64) for column in range(64)) - 1
    ),
    "09_real_constant": _who_gets_gradients,
    "09_layers": lambda: str(
        len(PatchGAN(PatchGANConfig(base_filters=2))(*torch.zeros(2, 1, 1, 64, 64)).features)
    ),
    "09_constant": lambda: f"{float(feature_matching([torch.ones(2, 3)], [torch.ones(2, 3)])):.0f}",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("09")[name].right


def test_every_question_is_computed():
    assert set(ANSWERS) == set(questions_of("09"))
