"""The recall questions of lesson 01: what the right answers are, computed."""

import pytest
import torch
from answers import questions_of

from gantrans.diffusion import make_schedule
from gantrans.teaching.exercises import exercise


def _target() -> str:
    """Which answer of the network costs nothing."""
    x0, noise = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    t, bars = torch.tensor([0, 1, 1]), torch.tensor([0.9, 0.4], dtype=torch.float64)
    answers = {"The image it was made from": x0, "The noise that was added": noise}
    loss = exercise("diffusion_loss").function
    (free,) = [name for name, x in answers.items() if loss(lambda _x, _t, x=x: x, x0, t, noise, bars) == 0]
    return free


def _thinned() -> str:
    return f"{float(torch.cumprod(1 - make_schedule('linear', 1000).betas[19::20], 0)[-1].sqrt()):.2f}"


def _scaled() -> str:
    make = exercise("linear_betas").function
    ratio = float(make(250, 1e-4, 0.02)[-1] / make(1000, 1e-4, 0.02)[-1])
    return {4.0: "They are multiplied by 4", 0.25: "They are divided by 4"}[round(ratio, 6)]


def _fewest() -> str:
    def exists(steps: int) -> bool:
        try:
            exercise("linear_betas").function(steps, 1e-4, 0.02)
        except ValueError:
            return False
        return True

    return str(next(steps for steps in range(2, 1000) if exists(steps)))


def _mixed_without_roots() -> str:
    x, noise = torch.randn(2, 10**6, generator=torch.Generator().manual_seed(0))
    return f"{float((0.36 * x + 0.64 * noise).var()):.2f}"


ANSWERS = {
    "01_closed": lambda: f"{float(torch.tensor([0.5, 0.5]).prod()):g}",
    "01_terminal": lambda: f"{float(make_schedule('linear', 100, rescale=False).signal[-1]):.2f}",
    "01_target": _target,
    "01_thin": _thinned,
    "01_snr": lambda: f"{float(exercise('log_snr').function(torch.tensor([0.2]).double()).exp()):g}",
    "01_scale": _scaled,
    "01_fewest": _fewest,
    "01_roots": _mixed_without_roots,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("01")[name].right


def test_every_question_is_computed():
    assert set(ANSWERS) == set(questions_of("01"))
