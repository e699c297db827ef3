"""Exact epsilon, x0 and v predictors of one mixture sample alike, with every sampler and spacing.

The data are a mixture of three normals on the line, weights, places and widths all different, so that no
symmetry hides a sign. Its posterior mean, its score and its probability flow are closed forms:

    p_t(x) = sum_k w_k N(x; a m_k, a^2 c_k^2 + s^2)
    E[x_0 | x_t] = sum_k r_k (m_k + a c_k^2 (x_t - a m_k) / (a^2 c_k^2 + s^2)),   r_k the responsibilities
    epsilon = -s d/dx log p_t (Vincent 2011),   v = a epsilon - s x_0 (Salimans and Ho 2022)
    x_0 of the deterministic flow = F_0^-1(F_T(x_T)), F_t the distribution function: on a line, the flow
    keeps the order of the points and with it their quantiles.
"""

import math

import pytest
import torch
from torch import Tensor

from gantrans.diffusion import (
    PREDICTIONS,
    SCHEDULES,
    SamplerConfig,
    Schedule,
    make_schedule,
    sample,
)

WEIGHTS = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
PLACES = torch.tensor([-0.7, 0.1, 0.8], dtype=torch.float64)
WIDTHS = torch.tensor([0.05, 0.10, 0.03], dtype=torch.float64)
CONFIGS = {
    "ddpm": SamplerConfig("ddpm", 50),
    "ddpm, all steps": SamplerConfig("ddpm", 200),
    "ddim": SamplerConfig("ddim", 20),
    "ddim, eta .3": SamplerConfig("ddim", 20, eta=0.3),
    "ddim, eta 1": SamplerConfig("ddim", 20, eta=1.0),
    "dpm++": SamplerConfig("dpm++", 20),
    "ddpm, rho 3": SamplerConfig("ddpm", 20, rho=3.0),
    "ddim, rho 2": SamplerConfig("ddim", 10, rho=2.0),
    "dpm++, rho 7": SamplerConfig("dpm++", 12, rho=7.0),
    "unclipped": SamplerConfig("ddim", 20, eta=0.5, clip=False),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def coefficients(schedule: Schedule, t: Tensor) -> tuple[Tensor, Tensor]:
    """a and s of every sample, (B, 1) float64, from alpha_bar alone."""
    alpha_bar = schedule.alpha_bars[t][:, None]
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def log_density(x: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """log p_t of (B, 1) points, (B,)."""
    variance = a**2 * WIDTHS**2 + s**2
    return (WEIGHTS.log() - 0.5 * (x - a * PLACES) ** 2 / variance - 0.5 * variance.log()).logsumexp(1)


def exact(schedule: Schedule, prediction: str):
    """The best possible prediction as a model of `sample`."""

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        a, s = coefficients(schedule, t)
        x = x_t.double()
        if prediction == "epsilon":
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                (score,) = torch.autograd.grad(log_density(x, a, s).sum(), x)
            return -s * score
        variance = a**2 * WIDTHS**2 + s**2
        share = (WEIGHTS.log() - 0.5 * (x - a * PLACES) ** 2 / variance - 0.5 * variance.log()).softmax(1)
        x0 = (share * (PLACES + a * WIDTHS**2 * (x - a * PLACES) / variance)).sum(1, keepdim=True)
        return x0 if prediction == "x0" else a * (x - a * x0) / s - s * x0

    return model


def draw(prediction: str, config: SamplerConfig, schedule: Schedule, count: int = 64) -> Tensor:
    stream = generator(1)
    noise = torch.randn(count, 1, generator=stream, dtype=torch.float64)
    return sample(
        exact(schedule, prediction), (count, 1), schedule, config, prediction=prediction, generator=stream,
        noise=noise,
    )  # fmt: skip


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_exact_epsilon_and_exact_v_sample_like_exact_x0(config, name, prediction):
    schedule = make_schedule(name, 200)
    expected = draw("x0", config, schedule)
    assert expected.std() > 0.3  # the samples reach several modes, so that equality is no accident
    torch.testing.assert_close(draw(prediction, config, schedule), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++"])
def test_exact_v_samples_like_exact_x0_from_pure_noise(sampler):
    schedule = make_schedule("linear", 200, zero_terminal_snr=True)
    config = SamplerConfig(sampler, 20)
    expected = draw("x0", config, schedule)
    torch.testing.assert_close(draw("v", config, schedule), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(
    "config",
    [SamplerConfig("ddpm", 1000), SamplerConfig("ddim", 400, eta=0.5), SamplerConfig("ddim", 400),
     SamplerConfig("dpm++", 200)],
    ids=["ddpm", "ddim, eta .5", "ddim", "dpm++"],
)  # fmt: skip
def test_the_samples_are_the_mixture(config, prediction):
    """Shares, means and spreads of the modes, within four standard errors and the sampler's own error.

    With finite steps a sampler draws the narrow modes a little too narrow; 15 % remain here at most.
    """
    count = 4000
    x = draw(prediction, config, make_schedule("cosine"), count)
    nearest = (x - PLACES).abs().argmin(1)
    for k, (weight, place, width) in enumerate(zip(WEIGHTS, PLACES, WIDTHS, strict=True)):
        chosen = x[nearest == k]
        share = len(chosen) / count
        assert share == pytest.approx(float(weight), abs=4 * math.sqrt(weight * (1 - weight) / count) + 0.01)
        assert float(chosen.mean()) == pytest.approx(float(place), abs=0.02)
        assert float(chosen.std()) == pytest.approx(float(width), rel=0.2)


def distribution(x: Tensor, a: float, s: float) -> Tensor:
    """F_t at (B, 1), (B,)."""
    spread = torch.sqrt(a**2 * WIDTHS**2 + s**2)
    return (WEIGHTS * torch.special.ndtr((x - a * PLACES) / spread)).sum(1)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(
    ("config", "error"),
    [(SamplerConfig("ddim", 1000, clip=False), 0.004), (SamplerConfig("dpm++", 200, clip=False), 0.004)],
    ids=["ddim", "dpm++"],
)
def test_deterministic_samplers_follow_the_probability_flow(config, error, prediction):
    """The distance to the true flow is the discretisation's: a few thousandths, for every prediction."""
    schedule = make_schedule("cosine")
    noise = torch.linspace(-2.0, 2.0, 41, dtype=torch.float64)[:, None]
    a, s = (float(c[0, 0]) for c in coefficients(schedule, torch.tensor([999])))
    quantile = distribution(noise, a, s)
    low, high = torch.full_like(quantile, -2.0), torch.full_like(quantile, 2.0)
    for _ in range(60):  # F_0 rises, so halving finds its inverse
        middle = (low + high) / 2
        below = distribution(middle[:, None], 1.0, 0.0) < quantile
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    x = sample(
        exact(schedule, prediction), noise.shape, schedule, config, prediction=prediction,
        generator=generator(), noise=noise,
    )  # fmt: skip
    errors = (x[:, 0] - low).abs()
    assert float(errors.median()) < error
    assert float(errors.mean()) < 4 * error  # where two modes meet the flow is steep
