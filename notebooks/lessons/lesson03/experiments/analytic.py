"""Lesson 03, claims D05 and D06: a mixture of Gaussians, where score, best prediction and bound are known.

If x_0 is a mixture of Gaussians, so is x_t, and everything a perfect network would answer can be written
down. What is left of an error then belongs to the sampler.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gantrans.diffusion import Model, SamplerConfig, Schedule, loss_weight, make_schedule, q_sample, sample
from gantrans.teaching.sweeps.registry import experiment

PARTS = {"DDPM": SamplerConfig("ddpm", 50), "DDIM, eta = 0": SamplerConfig("ddim", 50)}


@dataclass(frozen=True)
class Mixture:
    """Equal shares of Gaussians with the same isotropic spread: centres (K, D), float64."""

    centres: Tensor
    spread: float

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, D) float64."""
        chosen = torch.randint(len(self.centres), (count,), generator=generator)
        noise = torch.randn(count, self.centres.shape[1], generator=generator, dtype=torch.float64)
        return self.centres[chosen] + self.spread * noise

    def log_density(self, x: Tensor, signal: Tensor, sigma: Tensor) -> Tensor:
        """log p(x_t), (N,), where x_t = signal x_0 + sigma noise; signal 1 and sigma 0 give log p(x_0)."""
        variance = (signal * self.spread) ** 2 + sigma**2
        dimensions = self.centres.shape[1]
        constant = math.log(len(self.centres)) + 0.5 * dimensions * torch.log(2 * math.pi * variance)
        return torch.logsumexp(-self._squares(x, signal) / (2 * variance), 1) - constant

    def best_x0(self, x: Tensor, signal: Tensor, sigma: Tensor) -> Tensor:
        """E[x_0 | x_t], (N, D): the least squared error that any network can reach."""
        variance = (signal * self.spread) ** 2 + sigma**2
        shares = torch.softmax(-self._squares(x, signal) / (2 * variance), 1)  # which centre it came from
        gain = signal * self.spread**2 / variance
        centre = shares @ self.centres
        return centre + gain * (x - signal * centre)

    def _squares(self, x: Tensor, signal: Tensor) -> Tensor:
        return (x[:, None] - signal * self.centres).square().sum(2)

    def model(self, schedule: Schedule) -> Model:
        """The perfect denoiser as a function (x_t, t) -> x_0."""

        def predict(x_t: Tensor, t: Tensor) -> Tensor:
            now = int(t[0])
            return self.best_x0(x_t.double(), schedule.signal[now], schedule.sigma[now]).to(x_t)

        return predict


def ring(count: int = 8, radius: float = 0.8, spread: float = 0.04) -> Mixture:
    """`count` Gaussians on a circle."""
    angle = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    return Mixture(radius * torch.stack([angle.cos(), angle.sin()], 1), spread)


def grid(side: int = 5, spread: float = 0.05) -> Mixture:
    """side x side Gaussians on a grid in [-0.8, 0.8]^2."""
    line = torch.linspace(-0.8, 0.8, side, dtype=torch.float64)
    return Mixture(torch.cartesian_prod(line, line), spread)


def score_by_gradient(mixture: Mixture, x: Tensor, signal: Tensor, sigma: Tensor) -> Tensor:
    """The score of p(x_t), (N, D), as the gradient of its logarithm by autograd."""
    x = x.clone().requires_grad_()
    (score,) = torch.autograd.grad(mixture.log_density(x, signal, sigma).sum(), x)
    return score


def score_by_noise(mixture: Mixture, x: Tensor, signal: Tensor, sigma: Tensor) -> Tensor:
    """-epsilon* / sigma, (N, D), from the best prediction of the noise (Vincent 2011)."""
    epsilon = (x - signal * mixture.best_x0(x, signal, sigma)) / sigma
    return -epsilon / sigma


def bound(mixture: Mixture, schedule: Schedule, count: int = 4000, seed: int = 0) -> tuple[float, float]:
    """The variational bound with the perfect denoiser, and -log p(x_0), both means in nats per sample.

    Prior, one weighted squared error per step (`loss_weight`, "bound"), and the reconstruction by a Gaussian
    of variance 1 / SNR(0) (Kingma et al. 2021, eq. 11 to 13).
    """
    draw = torch.Generator().manual_seed(seed)
    x0 = mixture.draw(count, draw)
    dimensions = x0.shape[1]
    last_bar = schedule.alpha_bars[-1]
    prior = 0.5 * (last_bar * x0.square().sum(1) - dimensions * (last_bar + torch.log1p(-last_bar)))
    total = prior.mean() + 0.5 * dimensions * torch.log(2 * math.pi / schedule.snr[0])
    for now in range(schedule.steps):
        t = torch.full((count,), now)
        x_t = q_sample(schedule, x0, t, torch.randn(x0.shape, generator=draw, dtype=torch.float64))
        error = (x0 - mixture.best_x0(x_t, schedule.signal[now], schedule.sigma[now])).square().sum(1)
        total = total + (loss_weight(schedule, "x0", "bound", t) * error).mean()
    exact = -mixture.log_density(x0, torch.ones(()).double(), torch.zeros(()).double()).mean()
    return float(total), float(exact)


def draw_twice(sampler: SamplerConfig, count: int = 64) -> float:
    """Largest difference of two samplings from one x_T with other noise on the way, on the ring."""
    schedule = make_schedule("cosine")
    start = torch.randn(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one, other = (
        sample(ring().model(schedule), (count, 2), schedule, sampler, prediction="x0", noise=start,
               generator=torch.Generator().manual_seed(seed))
        for seed in (1, 2)
    )  # fmt: skip
    assert isinstance(one, Tensor)
    assert isinstance(other, Tensor)
    return float((one - other).abs().max())


@experiment("D05")
def noise_is_the_score(scale: str) -> dict[str, Any]:
    """Exact at every scale: the largest relative difference over t, and the bound for several T."""
    mixture, schedule = ring(), make_schedule("cosine")
    draw, worst = torch.Generator().manual_seed(0), 0.0
    for now in range(0, schedule.steps, 37):
        t = torch.full((200,), now)
        x0 = mixture.draw(200, draw)
        x_t = q_sample(schedule, x0, t, torch.randn(x0.shape, generator=draw, dtype=torch.float64))
        place = schedule.signal[now], schedule.sigma[now]
        by_gradient, by_noise = (f(mixture, x_t, *place) for f in (score_by_gradient, score_by_noise))
        worst = max(worst, float((by_gradient - by_noise).norm(dim=1).max() / by_gradient.norm(dim=1).max()))
    numbers = {}
    for steps in (10, 100, 1000):
        numbers[f"bound, T = {steps}"], numbers["exact"] = bound(mixture, make_schedule("cosine", steps))
    return {"data": worst, "numbers": numbers}


@experiment("D06")
def fresh_noise(scale: str) -> dict[str, Any]:
    """Exact at every scale: does sampling from one x_T come out twice the same?"""
    return {"data": {part: draw_twice(sampler) for part, sampler in PARTS.items()}}
