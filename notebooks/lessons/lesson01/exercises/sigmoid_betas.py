"""Lesson 01: the first of two schedules called "sigmoid": sigmoid betas."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="sigmoid_betas",
    lesson="01",
    title="Sigmoid, the first: betas",
    difficulty=2,
    minutes=6,
    spec=r"""
    Here the *betas* follow a sigmoid $\sigma(z) = 1/(1 + e^{-z})$, while $z$ runs evenly from $-6$ to 6, both
    included:

    $$\beta = \texttt{first} + (\texttt{last} - \texttt{first})\,\sigma(z).$$

    A sigmoid at ±6 is not quite 0 or 1, so the ends are not quite `first` and `last`; leave them so, as
    everybody does. Return float64, shape `(steps,)`.
    """,
    hints=(
        "Even spacing, sigmoid, then stretch from (0, 1) to (first, last).",
        "`torch.linspace(-6, 6, steps, dtype=torch.float64)` has the argument of the sigmoid.",
        "`first + (last - first) * torch.sigmoid(z)`",
    ),
    source="Xu et al. 2022 (GeoDiff), code; diffusers, beta_schedule='sigmoid'.",
    equivalent={
        "value.double()": "the betas are float64 already",
        "value.detach()": "no gradient flows through a schedule",
    },
)


@ex.reference
def sigmoid_betas(steps: int, first: float, last: float) -> Tensor:
    """T = `steps` -> betas (steps,) float64 on a sigmoid between first and last, argument -6 to 6."""
    z = torch.linspace(-6, 6, steps, dtype=torch.float64)
    return first + (last - first) * torch.sigmoid(z)


@ex.edges
def _() -> list[Args]:
    return [(1000, 1e-4, 0.02), (200, 5e-4, 0.1), (5, 0.25, 0.75), (3, 0.01, 0.81), (2, 0.125, 0.5)]


@ex.inputs
def _(case: Case) -> Args:
    first = 1e-4 * case.integer(1, 90)
    return case.integer(2, 1200), first, first + 1e-3 * case.integer(1, 400)


def _z(low: float, high: float, steps: int) -> Tensor:
    return torch.linspace(low, high, steps, dtype=torch.float64)


ex.wrong(
    "linear",
    "You leave the sigmoid out: that is the linear schedule.",
    lambda steps, first, last: _z(first, last, steps),
)
ex.wrong(
    "stretched_to_the_ends",
    "You stretch the sigmoid so that it meets both ends exactly; the usual schedule does not.",
    lambda steps, first, last: (
        first
        + (last - first)
        * (_z(-6, 6, steps).sigmoid() - _z(-6, 6, 2).sigmoid()[0])
        / (1 - 2 * _z(-6, 6, 2).sigmoid()[0])
    ),
)
ex.wrong(
    "no_offset",
    "You forget to add `first`, so the schedule starts below it.",
    lambda steps, first, last: (last - first) * _z(-6, 6, steps).sigmoid(),
)
ex.wrong(
    "times_last",
    "You stretch by `last` instead of `last - first`: the end then lies above `last`.",
    lambda steps, first, last: first + last * _z(-6, 6, steps).sigmoid(),
)
ex.wrong(
    "narrow",
    "You run the argument from -1 to 1: there a sigmoid is nearly a straight line.",
    lambda steps, first, last: first + (last - first) * _z(-1, 1, steps).sigmoid(),
)
ex.wrong(
    "half",
    "You use only the right half of the sigmoid, 0 to 6: it starts half way up.",
    lambda steps, first, last: first + (last - first) * _z(0, 6, steps).sigmoid(),
)
ex.wrong(
    "falling",
    "You let the betas fall: the argument runs from -6 to 6.",
    lambda steps, first, last: first + (last - first) * _z(6, -6, steps).sigmoid(),
)
ex.wrong(
    "tanh",
    "You use tanh, which runs from -1 to 1: half of the betas come out too small or negative.",
    lambda steps, first, last: first + (last - first) * _z(-6, 6, steps).tanh(),
)
ex.wrong(
    "float32",
    "You compute in float32; schedules are float64.",
    lambda steps, first, last: (first + (last - first) * _z(-6, 6, steps).sigmoid()).float(),
)
ex.wrong(
    "alpha_bar",
    "You let alpha-bar fall along the sigmoid: that is the other schedule of this name (Jabri et al. 2022).",
    lambda steps, first, last: _z(6, -6, steps).sigmoid(),
)

ex.right(lambda steps, first, last: first + (last - first) / (1 + torch.exp(-_z(-6, 6, steps))))
ex.right(
    lambda steps, first, last: torch.lerp(  # type: ignore[call-overload]
        *torch.tensor([first, last], dtype=torch.float64), _z(-6, 6, steps).sigmoid()
    )
)
ex.right(lambda steps, first, last: (first + last) / 2 + (last - first) / 2 * torch.tanh(_z(-3, 3, steps)))


@ex.right
def _(steps: int, first: float, last: float) -> Tensor:
    z = 12 * torch.arange(steps, dtype=torch.float64) / (steps - 1) - 6
    rise = z.sigmoid()
    return first * (1 - rise) + last * rise


@ex.right
def _(steps: int, first: float, last: float) -> Tensor:
    from math import exp

    z = [-6 + 12 * i / (steps - 1) for i in range(steps)]
    return torch.tensor([first + (last - first) / (1 + exp(-v)) for v in z], dtype=torch.float64)
