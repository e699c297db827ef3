"""Lesson 02: how much of t can be read off x_t. Nothing is trained here: both readers are Bayes' formula."""

import torch
from torch import Tensor, nn

from gantrans.diffusion import make_schedule, q_sample
from lessons.lesson02.experiments.embeddings import ExactRing, held_out
from lessons.shared.denoising import digits


@torch.inference_mode()
def readings(reader: nn.Module, case: str, points: int = 21) -> tuple[Tensor, Tensor]:
    """Guesses for held-out samples: true timesteps (points,), and guessed ones (points, N)."""
    schedule, x0 = make_schedule("cosine"), held_out(case)
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(77))
    true = torch.linspace(0, schedule.steps - 1, points).round().long()
    guessed = [reader(q_sample(schedule, x0, t.expand(len(x0)), noise)) * schedule.steps for t in true]
    return true, torch.stack(guessed)


class ExactReader(nn.Module):
    """The best reader there is on the plane: the mean of t given x_t, as a share of the schedule."""

    def __init__(self) -> None:
        super().__init__()
        schedule = make_schedule("cosine")
        self.ring, self.steps = ExactRing(schedule, given=False, every=20), schedule.steps

    def forward(self, x_t: Tensor) -> Tensor:
        """(B, 2) -> (B,)."""
        return self.ring.by_time(x_t)[0] @ (self.ring.times / self.steps)


def quiet_pixels(largest: float = 0.05) -> Tensor:
    """Which of the 64 pixels hardly differ between training digits: their standard deviation is below."""
    return digits("train").std(0) < largest


class QuietReader(nn.Module):
    """Reads t off a noised digit (B, 64) by the pixels that are the same in every digit.

    The mean of t given these pixels, as a share of the schedule: each is a known number in noise of a known
    strength at every t, and all t are equally likely before.
    """

    def __init__(self, every: int = 10) -> None:
        super().__init__()
        schedule = make_schedule("cosine")
        self.quiet, self.steps = quiet_pixels(), schedule.steps
        self.times = torch.arange(every // 2, schedule.steps, every)
        known = digits("train")[:, self.quiet]
        mean, spread = known.mean(0), known.std(0).clamp(min=1e-3)
        signal, sigma = (v[self.times].float()[:, None] for v in (schedule.signal, schedule.sigma))
        self.centre, self.variance = signal * mean, (signal * spread).square() + sigma.square()

    def forward(self, x_t: Tensor) -> Tensor:
        """(B, 64) -> (B,)."""
        apart = x_t[:, None, self.quiet] - self.centre
        fit = -(apart.square() / self.variance + self.variance.log()).sum(2) / 2
        guess: Tensor = fit.softmax(1) @ (self.times / self.steps)
        return guess


def miss(true: Tensor, guessed: Tensor) -> float:
    """Root mean squared error of `readings`, in timesteps; who always says the middle misses by about 300."""
    return float((guessed - true[:, None]).square().mean().sqrt())
