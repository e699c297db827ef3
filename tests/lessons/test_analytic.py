"""The mixture whose score, best prediction and likelihood are known: closed forms against each other."""

import math

import pytest
import torch

from gantrans.diffusion import SamplerConfig, make_schedule, sample
from lessons.lesson03.experiments import analytic
from lessons.lesson03.experiments.analytic import (
    Mixture,
    bound,
    grid,
    ring,
    score_by_gradient,
    score_by_noise,
)

ONE = torch.ones((), dtype=torch.float64)


def test_the_density_adds_up_to_one() -> None:
    line = torch.linspace(-5, 5, 501, dtype=torch.float64)
    points = torch.cartesian_prod(line, line)
    for signal, sigma in ((1.0, 0.0), (0.6, 0.8)):
        density = ring(spread=0.1).log_density(points, signal * ONE, sigma * ONE).exp()
        assert float(density.sum()) * 0.02**2 == pytest.approx(1.0, abs=1e-6)


def test_one_gaussian_is_the_textbook_case() -> None:
    """x_0 ~ N(m, s^2): E[x_0 | x_t] = m + a s^2 (x_t - a m) / (a^2 s^2 + sigma^2)."""
    m, s, a, sigma = torch.tensor([[0.3, -0.2]], dtype=torch.float64), 0.5, 0.6, 0.8
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    variance = a**2 * s**2 + sigma**2
    single = Mixture(m, s)
    torch.testing.assert_close(single.best_x0(x, a * ONE, sigma * ONE), m + a * s**2 * (x - a * m) / variance)
    torch.testing.assert_close(score_by_gradient(single, x, a * ONE, sigma * ONE), -(x - a * m) / variance)


@pytest.mark.parametrize("mixture", [ring(), grid()])
def test_the_noise_is_the_score(mixture: Mixture) -> None:
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for a in (0.1, 0.7, 0.95):
        place = a * ONE, math.sqrt(1 - a**2) * ONE
        torch.testing.assert_close(score_by_noise(mixture, x, *place), score_by_gradient(mixture, x, *place))


def test_the_best_prediction_is_the_mean_of_what_could_have_been() -> None:
    """Monte Carlo: draw x_0, noise it, average the x_0 whose x_t fell near a place."""
    mixture, a, sigma = ring(spread=0.2), 0.8, 0.6
    draw = torch.Generator().manual_seed(2)
    x0 = mixture.draw(400_000, draw)
    x_t = a * x0 + sigma * torch.randn(x0.shape, generator=draw, dtype=torch.float64)
    place = torch.tensor([[0.5, 0.1]], dtype=torch.float64)
    near = (x_t - place).norm(dim=1) < 0.05
    expected = mixture.best_x0(place, a * ONE, sigma * ONE)[0]
    error = x0[near].std(0) / near.sum().sqrt()
    assert ((x0[near].mean(0) - expected).abs() < 4 * error + 0.01).all()


def test_the_bound_is_above_and_tightens_with_more_steps() -> None:
    wide = ring(spread=0.3)
    coarse, exact = bound(wide, make_schedule("cosine", 10))
    fine, same = bound(wide, make_schedule("cosine", 200))
    assert exact == same
    assert exact < fine < coarse


def test_perfect_samples_land_on_the_modes() -> None:
    """With the perfect denoiser what is left is the sampler's own error."""
    mixture, schedule = ring(), make_schedule("cosine")
    drawn = sample(
        mixture.model(schedule), (400, 2), schedule, SamplerConfig("ddpm", 200), prediction="x0",
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    distance = torch.cdist(drawn.double(), mixture.centres).min(1)
    assert float((distance.values < 4 * mixture.spread).double().mean()) > 0.98
    assert len(distance.indices.unique()) == 8


def test_only_the_deterministic_sampler_repeats_itself() -> None:
    assert analytic.draw_twice(SamplerConfig("ddim", 20)) == 0.0
    assert analytic.draw_twice(SamplerConfig("ddpm", 20)) > 0.1
