"""Lesson 01: a schedule of one's own, with a score."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args
from gantrans.teaching.exercises.kinds import OpenTask
from lessons.lesson01.exercises.cosine_betas import cosine_betas
from lessons.lesson01.exercises.linear_betas import linear_betas
from lessons.lesson01.exercises.thin_out import thin_out

STEPS = 10
COUNT = 10_000
SEEDS = (11, 12, 13, 14)
WEIGHTS = torch.tensor([0.1, 0.4, 0.1, 0.4], dtype=torch.float64)
CENTRES = torch.tensor([-1.23, -0.91, 0.39, 1.12], dtype=torch.float64)
WIDTH = 0.065
"""The data: four bumps with mean 0 and variance 1. Narrow, so that a last step too long shrinks them; two of
them rare and none in the middle, so that a walk that starts in an image finds them in wrong shares."""

ex = OpenTask(
    id="own_schedule",
    lesson="01",
    title="A schedule of your own",
    difficulty=3,
    minutes=20,
    importance="may",
    measure="the mean distance by which samples have to be moved to become the data (Wasserstein-1)",
    target=0.06,
    spec=r"""
    How good can ten steps be? Here the data are four bumps on a line (a mixture of Gaussians), so the best
    possible guess of the noise is a formula, and no training is needed: the schedule alone decides how well
    the DDPM sampler does. Draw a curve of $\bar\alpha$ of your own. Return it as a float64 tensor of shape
    `(steps,)`, from the timestep with the least noise to the one with the most. It has to fall strictly, and
    every value lies between 0 and 1, both excluded. The same call gives the same curve. The score is taken
    with 10 steps; the rules are tried with other numbers too, from 2 to 100.
    """,
    hints=(
        "Start from a curve that you know: the alpha-bars of `cosine_betas(steps, 0.999)`.",
        "Look at both ends: how much noise is left before the last step down, and how much image where the "
        "sampler starts from pure noise?",
        "Curves with two knobs are easy to search: a sigmoid of a straight line from `a` to `b`, "
        "`torch.sigmoid(torch.linspace(a, b, steps, dtype=torch.float64))`.",
    ),
    source="Nichol, Dhariwal 2021 (cosine); Jabri, Fleet, Chen 2022 (sigmoid); Kingma et al. 2021 (learned "
    "schedules); Ho, Jain, Abbeel 2020, algorithm 2 (the sampler).",
    equivalent={
        "value.detach()": "nothing here carries a graph",
        "value.double()": "everything is float64 already",
        "value.float()": "math takes any number; the rest is killed where precision matters",
        "-> `(value.diff()": "a truth value all the same",
        "-> `value.isfinite()": "a truth value all the same",
        "-> `value[": "a tensor of one number is compared like a number",
        "14.41 `-1` -> `1`": "with 2 steps the second is the last",
        "14.42 `1` -> `-1`": "a number after the minus sign: the same place",
        "-> `torch.stack(distances).mean()`": "the score is made a number again",
        "- data).abs()`": "the mean of a mean is the mean",
        "-> `data - walked": "a distance is symmetric",
        "dim=-1": "of two axes the last is 1",
        "7.74 `1` -> `-1`": "of two axes the last is 1",
        "zip(here": "both have one entry less than the schedule",
        "6.61 `True`": "both have one entry less than the schedule",
        "5.19 `50`": "49 halvings are as good",
        "`4.0` -> ": "any ends will do that lie outside the data",
        "`share < wanted` -> `share <= wanted`": "no share is hit exactly",
    },
)


@ex.reference
def own_schedule(steps: int) -> Tensor:
    """T = `steps` -> alpha-bars (steps,) float64, strictly falling, between 0 and 1."""
    return torch.cumprod(1 - cosine_betas(steps, 0.999), dim=0)


@ex.edges
def _() -> list[Args]:
    return [(STEPS,), (2,), (3,), (25,), (100,)]


@ex.valid
def _(value: Any, steps: int) -> str | None:
    if not isinstance(value, Tensor):
        return "no_tensor"
    if value.dtype != torch.float64:
        return "float32"
    if value.shape != (steps,):
        return "other_length"
    if not bool(value.isfinite().all()):
        return "not_finite"
    if not bool((value.diff() < 0).all()):
        return "not_falling"
    if float(value[0]) >= 1:
        return "starts_at_one"
    return "ends_at_zero" if float(value[-1]) <= 0 else None


@ex.part_of_score
def guessed(x: Tensor, alpha_bar: float) -> Tensor:
    """The mean of x0 given x_t: per bump a regression, weighted by how likely the bump is. (N,) -> (N,)."""
    signal = math.sqrt(alpha_bar)
    variance = alpha_bar * WIDTH**2 + 1 - alpha_bar
    away = x[:, None] - signal * CENTRES
    likely = torch.softmax(WEIGHTS.log() - away.square() / (2 * variance), dim=1)
    return (likely * (CENTRES + signal * WIDTH**2 / variance * away)).sum(1)


@ex.part_of_score
def walked(alpha_bars: Tensor, seed: int) -> Tensor:
    """Samples (COUNT,) of DDPM along the whole schedule, with the exact guess, from evenly spread noise."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.special.ndtri((torch.arange(COUNT, dtype=torch.float64) + 0.5) / COUNT)
    here = alpha_bars.tolist()
    for bar, before in zip(here[:0:-1], here[-2::-1], strict=True):
        alpha = bar / before
        mean = math.sqrt(before) * (1 - alpha) / (1 - bar) * guessed(x, bar)
        mean = mean + math.sqrt(alpha) * (1 - before) / (1 - bar) * x
        spread = math.sqrt((1 - alpha) * (1 - before) / (1 - bar))
        x = mean + spread * torch.randn(COUNT, generator=draw, dtype=torch.float64)
    return guessed(x, here[0])


@ex.part_of_score
def quantiles(count: int) -> Tensor:
    """The data themselves: `count` evenly spaced quantiles of the mixture, by bisection."""
    wanted = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    low, high = torch.full_like(wanted, -4.0), torch.full_like(wanted, 4.0)
    for _ in range(50):
        middle = (low + high) / 2
        share = torch.special.ndtr((middle[:, None] - CENTRES) / WIDTH) @ WEIGHTS
        low, high = torch.where(share < wanted, middle, low), torch.where(share < wanted, high, middle)
    return (low + high) / 2


@ex.score
def score(answer: Answer) -> float:
    """Mean over the seeds of the distance between samples and data."""
    alpha_bars, data = answer(STEPS), quantiles(COUNT)
    distances = [(walked(alpha_bars, seed).sort().values - data).abs().mean() for seed in SEEDS]
    return float(torch.stack(distances).mean())


def thinned(steps: int) -> Tensor:
    """The linear schedule of 1000 steps, thinned out to ten."""
    return torch.cumprod(1 - thin_out(linear_betas(1000, 1e-4, 0.02), 1000 // steps), dim=0)


ex.compare("the linear schedule of 1000 steps, thinned out to 10", thinned)


def _u(steps: int) -> Tensor:
    return (torch.arange(steps, dtype=torch.float64) + 1) / (steps + 1)


def _curve(change: Callable[[Tensor], Any]) -> Answer:
    return lambda steps: change(own_schedule(steps))


for name, misconception, answer in (
    ("no_tensor", "A tensor is asked for.", _curve(Tensor.tolist)),
    ("float32", "The curve has to be float64, like every schedule of this lesson.", _curve(Tensor.float)),
    (
        "other_length",
        "There must be one value for each of the `steps` timesteps; the clean image, 1, is not among them.",
        _curve(lambda bars: torch.cat([bars.new_ones(1), bars])),
    ),
    (
        "not_finite",
        "Every value has to be a finite number.",
        lambda steps: torch.log(torch.linspace(1, 0, steps, dtype=torch.float64)),
    ),
    (
        "not_falling",
        "The curve does not fall strictly. Betas rise, and so does the share of noise; alpha-bar, the share "
        "of the image, falls from each timestep to the next.",
        _curve(lambda bars: bars.clamp(max=float(bars[1]))),
    ),
    (
        "starts_at_one",
        "The first value has to lie below 1: the first timestep has some noise already.",
        lambda steps: torch.linspace(1, 0.01, steps, dtype=torch.float64),
    ),
    (
        "ends_at_zero",
        "The last value has to lie above 0: the sampler divides by what is left.",
        lambda steps: torch.linspace(0.99, 0, steps, dtype=torch.float64),
    ),
    (
        "changes",
        "The same call has to give the same curve; this one changes from call to call.",
        lambda steps: torch.rand(steps, dtype=torch.float64).sort(descending=True).values,
    ),
):
    ex.wrong(name, misconception, answer)


@ex.right
def _(steps: int) -> Tensor:
    """Jabri's sigmoid, cut off above zero."""
    u = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    low, high = torch.sigmoid(torch.tensor([-3.0, 3.0], dtype=torch.float64))
    curve = (high - torch.sigmoid(6 * u - 3)) / (high - low)
    return curve * (1 - 1e-3) + 1e-3


ex.right(lambda steps: torch.sigmoid(torch.linspace(4, -3, steps, dtype=torch.float64)))
ex.right(lambda steps: 1 - _u(steps))


@ex.right
def _(steps: int) -> Tensor:
    """Ten numbers found by a random search, and straight lines between them."""
    found = (0.9934, 0.9831, 0.8463, 0.762, 0.6408, 0.5618, 0.4857, 0.1145, 0.0241, 0.0032)
    places = torch.linspace(0, len(found) - 1, steps, dtype=torch.float64)
    left = places.floor().long().clamp(max=len(found) - 2)
    known = torch.tensor(found, dtype=torch.float64)
    return torch.lerp(known[left], known[left + 1], places - left)


ex.background(
    "How good can ten steps be?",
    "Here the data are four bumps",
    "the schedule alone decides",
    "Draw a curve of",
    "The score is taken with 10 steps",
)
ex.breach("Return it as a float64 tensor of shape `(steps,)`", "other_length")
ex.breach("float64 tensor", "float32")
ex.breach("from the timestep with the least noise", lambda steps: cosine_betas(steps, 0.999))
ex.breach("It has to fall strictly", "not_falling")
ex.breach("It has to fall strictly", lambda steps: torch.full((steps,), 0.5, dtype=torch.float64))
ex.breach("both excluded", "starts_at_one")
ex.breach("every value lies between 0 and 1", "ends_at_zero")
ex.breach("The same call gives the same curve", "changes")
ex.breach("the rules are tried with other numbers too", lambda steps: own_schedule(STEPS))
