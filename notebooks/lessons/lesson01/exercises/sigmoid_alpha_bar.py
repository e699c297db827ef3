"""Lesson 01: the second of two schedules called "sigmoid": a sigmoid alpha-bar."""

import math

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="sigmoid_alpha_bar",
    lesson="01",
    title="Sigmoid, the second: alpha-bar",
    difficulty=3,
    minutes=10,
    spec=r"""
    Here it is $\bar\alpha$ that follows a sigmoid. Take $z = \texttt{start} + (\texttt{end} -
    \texttt{start})\,u$ for times $u$ in $[0, 1]$ and turn the sigmoid upside down and stretch it, so that it
    is exactly 1 at $u = 0$ and exactly 0 at $u = 1$:

    $$\bar\alpha(u) = \frac{\sigma(\texttt{end}) - \sigma(z)}
    {\sigma(\texttt{end}) - \sigma(\texttt{start})}.$$

    `u` is a float64 tensor of any shape; the result has the same.
    """,
    hints=(
        "Check the two ends on paper first: u = 0 gives z = start, u = 1 gives z = end.",
        "`start` and `end` are Python numbers; a sigmoid of a number is `1 / (1 + math.exp(-end))`, or "
        "`torch.sigmoid(torch.tensor(end, dtype=torch.float64))`.",
        "`(high - torch.sigmoid(z)) / (high - low)` with `low`, `high` the sigmoids of start and end.",
    ),
    source="Jabri, Fleet, Chen 2022 (RIN), appendix; start = -3, end = 3, tau = 1.",
    equivalent={
        "value.double()": "everything is float64 already",
        "value.detach()": "no gradient is asked for",
    },
)


@ex.reference
def sigmoid_alpha_bar(u: Tensor, start: float, end: float) -> Tensor:
    """Times u in [0, 1], float64, any shape -> alpha-bar, same shape: 1 at u = 0, 0 at u = 1."""
    low, high = 1 / (1 + math.exp(-start)), 1 / (1 + math.exp(-end))
    z = start + (end - start) * u
    return (high - torch.sigmoid(z)) / (high - low)


@ex.edges
def _() -> list[Args]:
    ends = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    return [(ends, -3.0, 3.0), (ends, 0.0, 3.0), (ends.view(2, 2), -2.0, 5.0), (ends[1:2], -3.0, 3.0)]


@ex.inputs
def _(case: Case) -> Args:
    u = case.rand(case.batch, case.width).double()
    return u, -0.5 * case.integer(0, 7), 0.5 * case.integer(1, 7)


def _sigma(z: float) -> float:
    return 1 / (1 + math.exp(-z))


ex.wrong(
    "not_stretched",
    "You turn the sigmoid upside down but do not stretch it: at the start some noise is there already, and "
    "at the end some image is left.",
    lambda u, start, end: 1 - torch.sigmoid(start + (end - start) * u),
)
ex.wrong(
    "rising",
    "You let alpha-bar rise: it is the share of the image, so it starts at 1 and ends at 0.",
    lambda u, start, end: (
        (torch.sigmoid(start + (end - start) * u) - _sigma(start)) / (_sigma(end) - _sigma(start))
    ),
)
ex.wrong(
    "betas",
    "You use a sigmoid between start and end as if it were the betas: that is the other schedule of this "
    "name.",
    lambda u, start, end: 1e-4 + (0.02 - 1e-4) * torch.sigmoid(start + (end - start) * u),
)
ex.wrong(
    "linear",
    "You leave the sigmoid out: a straight line from 1 to 0.",
    lambda u, start, end: (end - (start + (end - start) * u)) / (end - start),
)
ex.wrong(
    "signal",
    "You take the root: this is the factor of the image, and alpha-bar is its square.",
    lambda u, start, end: (
        (_sigma(end) - torch.sigmoid(start + (end - start) * u)) / (_sigma(end) - _sigma(start))
    ).sqrt(),
)
ex.wrong(
    "ends_without_sigmoid",
    "You stretch by start and end themselves; it is their sigmoids that the curve reaches.",
    lambda u, start, end: (end - torch.sigmoid(start + (end - start) * u)) / (end - start),
)
ex.wrong(
    "fixed_ends",
    "You have -3 and 3 written into the function and do not use `start` and `end`.",
    lambda u, start, end: (_sigma(3) - torch.sigmoid(6 * u - 3)) / (_sigma(3) - _sigma(-3)),
)
ex.wrong(
    "mirrored",
    "You run z from end to start and turn nothing upside down: the same curve only if end = -start.",
    lambda u, start, end: (
        (torch.sigmoid(end + (start - end) * u) - _sigma(start)) / (_sigma(end) - _sigma(start))
    ),
)
ex.wrong(
    "float32",
    "You compute in float32; schedules are float64.",
    lambda u, start, end: (
        (_sigma(end) - torch.sigmoid(start + (end - start) * u)) / (_sigma(end) - _sigma(start))
    ).float(),
)


@ex.right
def _(u: Tensor, start: float, end: float) -> Tensor:
    low, high = torch.sigmoid(torch.tensor([start, end], dtype=torch.float64))
    return 1 - (torch.sigmoid(torch.lerp(torch.full_like(u, start), torch.full_like(u, end), u)) - low) / (
        high - low
    )


@ex.right
def _(u: Tensor, start: float, end: float) -> Tensor:
    def f(z: Tensor) -> Tensor:
        return torch.tanh(z / 2)  # a sigmoid, shifted and stretched

    zero = torch.zeros((), dtype=u.dtype, device=u.device)
    z = (1 - u) * start + u * end
    return (f(zero + end) - f(z)) / (f(zero + end) - f(zero + start))


@ex.right
def _(u: Tensor, start: float, end: float) -> Tensor:
    z = start + u * (end - start)
    both = 1 / (1 + torch.exp(-torch.stack([z, torch.full_like(z, start), torch.full_like(z, end)])))
    return (both[2] - both[0]) / (both[2] - both[1])


@ex.right
def _(u: Tensor, start: float, end: float) -> Tensor:
    values = [
        (_sigma(end) - _sigma(start + (end - start) * float(v))) / (_sigma(end) - _sigma(start))
        for v in u.flatten()
    ]
    return torch.tensor(values, dtype=torch.float64).reshape(u.shape)
