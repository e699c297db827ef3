"""The recall questions of lesson 04: what the right answers are, computed."""

import pytest
import torch
import torch.nn.functional as F
from answers import questions_of

from gantrans.teaching.exercises import exercise


def _best_constant(power: int) -> str:
    values = torch.tensor([0.0] * 7 + [1.0] * 3)
    guesses = torch.linspace(0, 1, 101)
    loss = (values[:, None] - guesses).abs().pow(power).mean(0)
    return f"{float(guesses[loss.argmin()]):g}"


def _iou() -> str:
    a, b = torch.zeros(1, 1, 3, 4), torch.zeros(1, 1, 3, 4)
    a[..., :2], b[..., 1:3] = 1.0, 1.0  # six pixels each, three in common
    return {0.25: "1/4", 1 / 3: "1/3", 0.5: "1/2"}[
        round(float(exercise("iou").function(a, b, 0.5)) * 12) / 12
    ]


def _moves_with_batch_mate(training: bool) -> bool:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    other = torch.stack([x[0], x[1] + 5])
    mean, var = torch.zeros(3), torch.ones(3)
    one, two = (F.batch_norm(b, mean.clone(), var.clone(), training=training)[0] for b in (x, other))
    return not torch.equal(one, two)


ANSWERS = {
    "04_median": lambda: _best_constant(1),
    "04_bottleneck": lambda: "{0} x {0}".format(exercise("encoder_shapes").function(64, 16, 5, 256)[-1][1]),
    "04_channels": lambda: str(exercise("encoder_shapes").function(256, 48, 5, 256)[3][0]),
    "04_iou": _iou,
    "04_mean": lambda: _best_constant(2),
    "04_batch_norm": lambda: {
        (True, False): "In training only",
        (True, True): "Always",
        (False, False): "Never",
    }[(_moves_with_batch_mate(True), _moves_with_batch_mate(False))],
}

BY_HAND = {"04_where"}  # no computation decides these


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("04")[name].right


def test_every_question_is_computed_or_listed():
    assert set(ANSWERS) | BY_HAND == set(questions_of("04"))
