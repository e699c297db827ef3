"""Lesson 01: the quadratic schedule."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="quadratic_betas",
    lesson="01",
    title="The quadratic schedule",
    difficulty=1,
    minutes=5,
    spec=r"""
    The *square roots* of the betas rise evenly from $\sqrt{\texttt{first}}$ to $\sqrt{\texttt{last}}$. So the
    first steps add less noise than those of the linear schedule, and the ends are the same. Return float64,
    shape `(steps,)`. (The ends are scaled to T already: that was the last exercise.) `diffusers` has this
    schedule under the name `scaled_linear`.
    """,
    hints=(
        "Three operations: the root of both ends, even spacing, the square.",
        "The middle beta of an odd number of steps is the square of the mean of the two roots.",
        "`torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64) ** 2`",
    ),
    source="Song, Meng, Ermon 2021 (DDIM), code; Rombach et al. 2022 (latent diffusion), code.",
    equivalent={
        "value.double()": "the betas are float64 already",
        "value.detach()": "no gradient flows through a schedule",
    },
)


@ex.reference
def quadratic_betas(steps: int, first: float, last: float) -> Tensor:
    """T = `steps` -> betas (steps,) float64 whose roots rise evenly from sqrt(first) to sqrt(last)."""
    roots = torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64)
    return roots**2


@ex.edges
def _() -> list[Args]:
    return [(1000, 1e-4, 0.02), (200, 5e-4, 0.1), (5, 0.04, 0.64), (3, 0.01, 0.81), (2, 0.25, 0.5)]


@ex.inputs
def _(case: Case) -> Args:
    first = 1e-4 * case.integer(1, 90)
    return case.integer(2, 1200), first, first + 1e-3 * case.integer(1, 400)


def _linear(first: float, last: float, steps: int) -> Tensor:
    return torch.linspace(first, last, steps, dtype=torch.float64)


ex.wrong(
    "linear",
    "You space the betas themselves evenly: that is the linear schedule.",
    lambda steps, first, last: _linear(first, last, steps),
)
ex.wrong(
    "not_squared",
    "You forget to square again: these are the roots of the betas.",
    lambda steps, first, last: _linear(first**0.5, last**0.5, steps),
)
ex.wrong(
    "squared_ends",
    "You square the ends and take roots at the end; it is the other way round.",
    lambda steps, first, last: _linear(first**2, last**2, steps) ** 0.5,
)
ex.wrong(
    "no_roots",
    "You square evenly spaced betas without taking roots first: the ends come out squared.",
    lambda steps, first, last: _linear(first, last, steps) ** 2,
)
ex.wrong(
    "squared_ramp",
    "You square a ramp from 0 to 1 and stretch it: a parabola as well, but another one; here it is the roots "
    "that rise evenly.",
    lambda steps, first, last: first + (last - first) * _linear(0, 1, steps) ** 2,
)
ex.wrong(
    "no_last",
    "You stop one step short of the last beta.",
    lambda steps, first, last: _linear(first**0.5, last**0.5, steps + 1)[:-1] ** 2,
)
ex.wrong(
    "float32",
    "You compute in float32; schedules are float64.",
    lambda steps, first, last: _linear(first**0.5, last**0.5, steps).float() ** 2,
)
ex.wrong(
    "geometric",
    "You space the logarithms of the betas evenly, not their roots.",
    lambda steps, first, last: first * (last / first) ** _linear(0, 1, steps),
)

ex.right(lambda steps, first, last: _linear(first**0.5, last**0.5, steps).square())


@ex.right
def _(steps: int, first: float, last: float) -> Tensor:
    from math import sqrt

    share = torch.arange(steps, dtype=torch.float64) / (steps - 1)
    return ((1 - share) * sqrt(first) + share * sqrt(last)).pow(2)


@ex.right
def _(steps: int, first: float, last: float) -> Tensor:
    a, b = first**0.5, last**0.5
    return torch.tensor([(a + (b - a) * i / (steps - 1)) ** 2 for i in range(steps)], dtype=torch.float64)


@ex.right
def _(steps: int, first: float, last: float) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.linspace(np.sqrt(first), np.sqrt(last), steps) ** 2)


@ex.right
def _(steps: int, first: float, last: float) -> Tensor:
    u = torch.linspace(0, 1, steps, dtype=torch.float64)  # the square, multiplied out
    return first + 2 * u * ((first * last) ** 0.5 - first) + u**2 * (first - 2 * (first * last) ** 0.5 + last)
