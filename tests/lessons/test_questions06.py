"""The recall questions of lesson 06: what the right answers are, computed."""

from functools import partial

import pytest
import torch
from answers import questions_of
from pages import defined_on_page
from torch.func import jacrev

from gantrans.teaching.exercises import exercise
from gantrans.translation import ImageBuffer
from lessons.lesson06.experiments.gradients import curves


def _silent_loss() -> str:
    names = {"minimax": "log(1 - D)", "non_saturating": "-log D", "lsgan": "(f - 1)^2 on the raw output f"}
    size = {kind: float(curves(kind, torch.tensor([-10.0]), sigmoid=False)[1].abs()) for kind in names}
    return names[min(size, key=size.__getitem__)]


def _smallest_after_spectral_norm() -> str:
    weight, u = torch.diag(torch.tensor([3.0, 1.0])).view(2, 2, 1, 1), torch.tensor([0.8, 0.6])
    divided = exercise("spectral_normalise").function(weight, u, 50)[0]
    return f"{float(torch.linalg.svdvals(divided.flatten(1))[-1]):.2f}"


def _share_of_new_fakes() -> str:
    buffer = ImageBuffer(50)
    images = torch.arange(2000.0).view(-1, 1, 1, 1)
    given = torch.cat([buffer.exchange(part, part)[1] for part in images.split(10)])
    new = float((given[50:] == images[50:]).float().mean())
    return "About half" if 0.45 < new < 0.55 else f"{new:.2f}"


def _stays_away() -> str:
    names = {
        "r1_value": "R1", "noisy_value": "Instance noise", "wgan_gp_value": "The gradient penalty of WGAN-GP"
    }  # fmt: skip
    *games, _, _, path = defined_on_page("06", *names, "value", "turn", "path")
    return max(zip(names.values(), games, strict=True), key=lambda pair: float(path(pair[1])[-1].norm()))[0]


def _at_once() -> str:
    value, turn = defined_on_page("06", "value", "turn")
    jacobian = jacrev(partial(turn, value=value, alternating=False, h=0.2))(torch.zeros(2))
    return f"{float(torch.linalg.eigvals(jacobian).abs().max()):.3f}"


ANSWERS = {
    "06_vanishes": lambda: (
        f"{float(curves('non_saturating', torch.tensor([-10.0]), sigmoid=False)[1].abs()):.0f}"
    ),
    "06_smooth": lambda: (
        f"{float(exercise('optimal_discriminator').function(torch.ones(1), torch.ones(1), 0.9, 0.0)):.2f}"
    ),
    "06_last_rate": lambda: f"{exercise('decayed_rate').function(1.0, 9, 10):g}",
    "06_home": _stays_away,
    "06_spiral": _at_once,
    "06_saturates": _silent_loss,
    "06_smallest": _smallest_after_spectral_norm,
    "06_undecided": lambda: (
        f"{float(exercise('discriminator_loss').function(*torch.zeros(2, 1), 'non_saturating')):.2f}"
    ),
    "06_buffer": _share_of_new_fakes,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("06")[name].right


def test_every_question_is_computed():
    assert set(ANSWERS) == set(questions_of("06"))
