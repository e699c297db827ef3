"""The recall questions of lesson 05: what the right answers are, computed."""

import pytest
import torch
import torch.nn.functional as F
from answers import questions_of

from gantrans.teaching.exercises import exercise

PATCHGAN = [(4, 2, 1)] * 3 + [(4, 1, 1)] * 2  # (kernel, stride, padding), n_layers = 3


def _instance_norm_field() -> str:
    x = torch.randn(1, 1, 9, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y = F.conv2d(F.instance_norm(x), torch.ones(1, 1, 3, 3), padding=1)
    (gradient,) = torch.autograd.grad(y[0, 0, 4, 4], x)
    return "The whole image" if bool((gradient != 0).all()) else "Still 3 x 3 pixels"


def _corner_rows() -> str:
    first, last = exercise("logit_span").function(0, PATCHGAN)
    return str(last - max(first, 0) + 1)


ANSWERS = {
    "05_field": lambda: str(exercise("receptive_field").function(PATCHGAN, 256)[0]),
    "05_map": lambda: "{0} x {0}".format(exercise("receptive_field").function(PATCHGAN, 256)[1]),
    "05_next_field": lambda: str(exercise("receptive_field").function([(4, 2, 1), *PATCHGAN], 256)[0]),
    "05_undecided": lambda: (
        f"{float(exercise('lsgan_d_loss').function(torch.full((1,), 0.5), torch.full((1,), 0.5))):g}"
    ),
    "05_instance_norm": _instance_norm_field,
    "05_corner": _corner_rows,
}

BY_HAND = {"05_condition"}  # no computation decides these


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("05")[name].right


def test_every_question_is_computed_or_listed():
    assert set(ANSWERS) | BY_HAND == set(questions_of("05"))
