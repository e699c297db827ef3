"""Noise, image and v carry the same information; the weightings agree about the error of the image."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gantrans.diffusion import (
    PREDICTIONS,
    SCHEDULES,
    WEIGHTINGS,
    convert,
    loss_weight,
    make_schedule,
    q_sample,
    target,
    to_epsilon,
    to_x0,
)
from gantrans.diffusion.parameterisation import middle_density, middle_timesteps
from gantrans.errors import ConfigError, DataError


def draw(seed: int, steps: int, size: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x0, noise = torch.randn(2, size, 1, 3, 4, generator=generator, dtype=torch.float64)
    return x0, noise, torch.randint(steps, (size,), generator=generator)


def test_q_sample_is_the_chain_of_single_steps():
    """Mean and variance of x_t, from x_t = sqrt(1 - beta_t) x_(t-1) + sqrt(beta_t) noise."""
    schedule = make_schedule("linear", 50)
    mean, variance = 1.0, 0.0
    one = torch.ones(1, 1).double()
    for t, beta in enumerate(schedule.betas.tolist()):
        mean, variance = (1 - beta) ** 0.5 * mean, (1 - beta) * variance + beta
        times = torch.tensor([t])
        assert q_sample(schedule, one, times, 0 * one).item() == pytest.approx(mean, rel=1e-12)
        assert q_sample(schedule, 0 * one, times, one).item() == pytest.approx(variance**0.5, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SCHEDULES), st.sampled_from(PREDICTIONS), st.integers(0, 2**31))
def test_every_target_gives_back_image_and_noise(name, prediction, seed):
    schedule = make_schedule(name)
    x0, noise, t = draw(seed, 900)  # where alpha_bar is not so small that epsilon loses the image
    x_t = q_sample(schedule, x0, t, noise)
    output = target(schedule, prediction, x0, t, noise)
    torch.testing.assert_close(to_x0(schedule, prediction, output, x_t, t), x0, rtol=0, atol=1e-9)
    torch.testing.assert_close(to_epsilon(schedule, prediction, output, x_t, t), noise, rtol=0, atol=1e-9)
    for other in PREDICTIONS:
        converted = convert(schedule, output, x_t, t, source=prediction, to=other)
        torch.testing.assert_close(converted, target(schedule, other, x0, t, noise), rtol=0, atol=1e-9)


@pytest.mark.parametrize("prediction", ["x0", "v"])
def test_image_is_found_where_nothing_but_noise_is_left(prediction):
    schedule = make_schedule("linear", zero_terminal_snr=True)
    x0, noise, _ = draw(1, 1000)
    t = torch.full((6,), 999)
    x_t = q_sample(schedule, x0, t, noise)
    assert torch.equal(x_t, noise)
    output = target(schedule, prediction, x0, t, noise)
    torch.testing.assert_close(to_x0(schedule, prediction, output, x_t, t), x0, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weighting", [w for w in WEIGHTINGS if w != "uniform"])
def test_a_weighting_means_the_same_for_every_prediction(weighting):
    """An error made in x0 costs the same, whichever way the network expresses it."""
    schedule = make_schedule("cosine", 100)
    x0, noise, t = draw(2, 95)
    t[0] = 0
    x_t = q_sample(schedule, x0, t, noise)
    costs = []
    for prediction in PREDICTIONS:
        wrong = convert(schedule, x0 + 0.1, x_t, t, source="x0", to=prediction)
        error = (wrong - target(schedule, prediction, x0, t, noise)).square().mean((1, 2, 3))
        costs.append(loss_weight(schedule, prediction, weighting, t) * error)
    torch.testing.assert_close(costs[1], costs[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(costs[2], costs[0], rtol=1e-6, atol=0)


def test_the_middle_is_drawn_as_often_as_it_weighs():
    t = middle_timesteps(200_000, 50, torch.Generator().manual_seed(0))
    assert (t.diff() >= 0).all()
    drawn = torch.bincount(t, minlength=50).double() / 200_000
    density = middle_density(torch.arange(50), 50)
    assert float(density.mean()) == pytest.approx(1, abs=1e-3)
    assert int(density.argmax()) == 31  # the highest is right of the middle
    torch.testing.assert_close(drawn * 50, density, rtol=0.02, atol=0.01)
    torch.testing.assert_close(
        loss_weight(make_schedule("cosine", 50), "x0", "middle", torch.arange(50)), density
    )
    few = middle_timesteps(4, 1000, torch.Generator().manual_seed(1))
    edges = torch.sigmoid(0.4 + 0.7 * torch.special.ndtri(torch.tensor([0.25, 0.5, 0.75]))) * 1000
    assert torch.bucketize(few.float(), edges).tolist() == [0, 1, 2, 3]  # one of each quarter


def test_weights_in_closed_form():
    schedule = make_schedule("linear", 100)
    t = torch.arange(100)
    snr = schedule.snr
    assert torch.equal(loss_weight(schedule, "v", "uniform", t), torch.ones(100).double())
    torch.testing.assert_close(loss_weight(schedule, "epsilon", "snr", t), torch.ones(100).double())
    torch.testing.assert_close(loss_weight(schedule, "x0", "min_snr", t), snr.clamp(max=5))
    torch.testing.assert_close(loss_weight(schedule, "x0", "truncated_snr", t), snr.clamp(min=1))
    bound = loss_weight(schedule, "x0", "bound", t)
    assert bound.sum().item() == pytest.approx((2 * snr[0] - snr[-1]).item() / 2, rel=1e-9)  # telescopes
    beta, a, before = schedule.betas[9], schedule.alphas[9], schedule.alpha_bars[8]
    variance = beta * (1 - before) / (1 - before * a)
    ho = beta**2 / (2 * variance * a * (1 - schedule.alpha_bars[9]))  # Ho et al. 2020, eq. 12
    assert loss_weight(schedule, "epsilon", "bound", t[9:10]).item() == pytest.approx(ho.item(), rel=1e-9)


def test_bad_input_is_refused_in_a_sentence():
    schedule = make_schedule("cosine", 10)
    x = torch.zeros(2, 1, 4, 4)
    t = torch.tensor([0, 9])
    with pytest.raises(ConfigError, match="no prediction 'eps'; the predictions are epsilon, x0, v"):
        target(schedule, "eps", x, t, x)
    with pytest.raises(ConfigError, match="no weighting 'p2'"):
        loss_weight(schedule, "x0", "p2", t)
    with pytest.raises(ConfigError, match=r"zero terminal SNR .* predict x0 or v"):
        to_x0(make_schedule("linear", zero_terminal_snr=True), "epsilon", x, x, t)
    with pytest.raises(DataError, match=r"reach from 0 to 10, but this schedule has 0, \.\.\., 9"):
        q_sample(schedule, x, torch.tensor([0, 10]), x)
    with pytest.raises(DataError, match="3 timesteps for 2 samples"):
        q_sample(schedule, x, torch.tensor([0, 1, 2]), x)
    with pytest.raises(DataError, match="whole numbers"):
        q_sample(schedule, x, t.float(), x)
    with pytest.raises(DataError, match="equal shapes"):
        q_sample(schedule, x, t, x[..., :2])
