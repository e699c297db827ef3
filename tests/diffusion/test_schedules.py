"""Schedules against diffusers' numbers, closed forms, and what must be refused."""

import math

import pytest
import torch

from gantrans.diffusion import SCHEDULES, Schedule, make_schedule
from gantrans.errors import ConfigError

THEIRS = {
    "linear": "linear",
    "quadratic": "scaled_linear",
    "cosine": "squaredcos_cap_v2",
    "sigmoid": "sigmoid",
}


@pytest.mark.parametrize("steps", [50, 200, 1000])
@pytest.mark.parametrize("name", THEIRS)
def test_schedules_are_those_of_diffusers(name, steps):
    import diffusers

    theirs = diffusers.DDPMScheduler(steps, 1e-4, 0.02, beta_schedule=THEIRS[name])
    ours = make_schedule(name, steps, rescale=False)
    torch.testing.assert_close(ours.betas, theirs.betas.double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.alpha_bars, theirs.alphas_cumprod.double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["linear", "quadratic", "sigmoid"])
def test_zero_terminal_snr_is_that_of_diffusers(name):
    import diffusers

    theirs = diffusers.schedulers.scheduling_ddim.rescale_zero_terminal_snr(make_schedule(name).betas)
    ours = make_schedule(name, zero_terminal_snr=True)
    torch.testing.assert_close(ours.betas, theirs, rtol=0, atol=1e-12)
    assert ours.betas[-1] == 1
    assert ours.log_snr[-1] == -math.inf
    assert ours.signal[0].item() == pytest.approx(make_schedule(name).signal[0].item(), abs=1e-12)


@pytest.mark.parametrize(
    ("steps", "rescale", "left"),
    [
        (100, False, 0.603),
        (200, False, 0.364),
        (1000, False, 0.00635),
        (100, True, 0.0045),
        (200, True, 0.0055),
    ],
)
def test_linear_schedule_leaves_the_image_when_not_rescaled(steps, rescale, left):
    """The trap of small T: alpha_bar_T in closed form, exp of the sum of log(1 - beta)."""
    factor = 1000 / steps if rescale else 1.0
    closed = math.exp(
        0.5 * sum(math.log1p(-factor * (1e-4 + i / (steps - 1) * 0.0199)) for i in range(steps))
    )
    signal = make_schedule("linear", steps, rescale=rescale).signal[-1].item()
    assert signal == pytest.approx(closed, rel=1e-9)
    assert signal == pytest.approx(left, rel=0.02)


@pytest.mark.parametrize("steps", [30, 100, 1000])
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_falls_from_image_to_noise(name, steps):
    schedule = make_schedule(name, steps)
    assert schedule.betas.dtype == torch.float64
    assert schedule.steps == steps
    assert (schedule.alpha_bars.diff() < 0).all()
    assert schedule.signal[-1] < 0.05
    torch.testing.assert_close(schedule.signal**2 + schedule.sigma**2, torch.ones(steps).double())
    torch.testing.assert_close(schedule.log_snr.exp(), schedule.snr)


@pytest.mark.parametrize("steps", [30, 1000])
def test_the_shifted_schedule_is_the_linear_one_of_a_fainter_image(steps):
    shifted, linear = make_schedule("shifted_linear", steps), make_schedule("linear", steps)
    torch.testing.assert_close(shifted.snr, 0.09 * linear.snr)
    torch.testing.assert_close(
        shifted.log_snr - linear.log_snr, torch.full((steps,), 2 * math.log(0.3)).double()
    )
    assert (shifted.betas > 0).all()
    assert (shifted.alpha_bars.diff() < 0).all()


def test_sigmoid_alpha_bar_is_symmetric_and_another_schedule_than_sigmoid():
    curve = make_schedule("sigmoid_alpha_bar", 1000).alpha_bars
    assert curve[499].item() == pytest.approx(0.5, abs=1e-9)
    torch.testing.assert_close(curve[:-1] + curve[:-1].flip(0), torch.ones(999).double(), atol=1e-9, rtol=0)
    assert (curve - make_schedule("sigmoid").alpha_bars).abs().max() > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cubic"}, "no schedule 'cubic'; the schedules are linear"),
        (
            {"name": "linear", "steps": 20},
            "last beta, scaled from T = 1000, would be 1, .* at least 21 steps",
        ),
        ({"name": "cosine", "steps": 1}, "at least 2 steps, and steps is 1"),
        ({"name": "cosine", "steps": 10.0}, "at least 2 steps, and steps is 10.0"),
    ],
)
def test_what_cannot_be_a_schedule_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        make_schedule(**arguments)


def test_least_number_of_steps_in_the_message_works():
    assert make_schedule("linear", 21).betas[-1] < 1


@pytest.mark.parametrize(
    ("betas", "message"),
    [
        ([0.1, 1.2], "a variance in"),
        ([0.1, 1.0, 0.5], "1 before the last step"),
        ([0.0, 0.5], "a variance in"),
        ([[0.1]], "shape"),
    ],
)
def test_betas_of_ones_own_are_checked(betas, message):
    with pytest.raises(ConfigError, match=message):
        Schedule("mine", torch.tensor(betas))
