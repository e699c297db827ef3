"""DDPM and DDIM in the papers' own form: Ho et al. 2020, algorithms 1 and 2; Song et al. 2021, equation 12.

`epsilon_theta(x_t, t)` predicts the noise: (B, ...) and (B,) int64 -> (B, ...). `alpha_bars` is (T,) float64.
The papers count t = 1, ..., T; here t = 0, ..., T - 1, and alpha_bar before t = 0 is 1. Song et al. write
alpha for what Ho et al. and this file call alpha_bar. `gantrans.diffusion` computes the same numbers.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

EpsilonTheta = Callable[[Tensor, Tensor], Tensor]


def ddpm_training_step(
    epsilon_theta: nn.Module,
    optimizer: torch.optim.Optimizer,
    x_0: Tensor,
    alpha_bars: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Ho et al. 2020, algorithm 1, lines 2 to 5: a batch x_0 (B, ...) in [-1, 1] -> its loss, detached."""
    t = torch.randint(len(alpha_bars), (len(x_0),), generator=generator)
    epsilon = torch.randn(x_0.shape, generator=generator)
    alpha_bar = alpha_bars[t].view(-1, *[1] * (x_0.dim() - 1))  # (B, 1, ...): one value per sample
    x_t = (alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * epsilon).to(x_0.dtype)
    loss = (epsilon - epsilon_theta(x_t, t)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def ddpm_sample(
    epsilon_theta: EpsilonTheta, shape: Sequence[int], alpha_bars: Tensor, generator: torch.Generator
) -> Tensor:
    """Ho et al. 2020, algorithm 2, with the smaller of their two variances (section 3.2) -> x_0, `shape`."""
    bars = [1.0, *alpha_bars.tolist()]  # bars[t] is alpha_bar one step before t
    x = torch.randn(*shape, generator=generator)
    for t in reversed(range(len(alpha_bars))):
        alpha_bar, alpha_bar_prev = bars[t + 1], bars[t]
        alpha = alpha_bar / alpha_bar_prev
        sigma = ((1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha)) ** 0.5
        z = torch.randn(*shape, generator=generator) if t > 0 else torch.zeros(*shape)
        epsilon = epsilon_theta(x, torch.full((len(x),), t))
        x = (x - (1 - alpha) / (1 - alpha_bar) ** 0.5 * epsilon) / alpha**0.5 + sigma * z
    return x


@torch.no_grad()
def ddim_sample(
    epsilon_theta: EpsilonTheta,
    shape: Sequence[int],
    alpha_bars: Tensor,
    timesteps: Sequence[int],
    generator: torch.Generator,
    eta: float = 0.0,
) -> Tensor:
    """Song et al. 2021, equation 12 along descending `timesteps` (their tau), sigma of equation 16 -> x_0.

    eta = 0 is DDIM, deterministic; eta = 1 over all timesteps is DDPM.
    """
    x = torch.randn(*shape, generator=generator)
    bars = [*alpha_bars[list(timesteps)].tolist(), 1.0]
    for t, (alpha_bar, alpha_bar_prev) in zip(timesteps, pairwise(bars), strict=True):
        sigma = eta * ((1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev)) ** 0.5
        epsilon = epsilon_theta(x, torch.full((len(x),), t))
        predicted_x_0 = (x - (1 - alpha_bar) ** 0.5 * epsilon) / alpha_bar**0.5
        direction_to_x_t = (1 - alpha_bar_prev - sigma**2) ** 0.5 * epsilon
        x = alpha_bar_prev**0.5 * predicted_x_0 + direction_to_x_t
        x = x + sigma * torch.randn(*shape, generator=generator)
    return x
