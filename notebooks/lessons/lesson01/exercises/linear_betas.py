"""Lesson 01: the linear schedule, for any number of steps."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="linear_betas",
    lesson="01",
    title="The linear schedule, scaled to T",
    difficulty=1,
    minutes=6,
    spec=r"""
    The betas of Ho et al. (2020) rise evenly from `first` to `last`, and these two numbers belong to
    $T = 1000$. With fewer steps each must do more: multiply both ends by $1000/T$, then space `steps` betas
    evenly between them, both ends included. If the last beta would reach 1 or more, there is no such
    schedule: raise a `ValueError`. Return float64, shape `(steps,)`.
    """,
    hints=(
        "Work out the factor first: 1000 / steps. It is 1 for the schedule of the paper, 5 for 200 steps.",
        "A beta is the share of variance replaced by noise; at 1 nothing is left. Check the scaled last one.",
        "`torch.linspace(factor * first, factor * last, steps, dtype=torch.float64)`",
    ),
    source="Ho, Jain, Abbeel 2020, sec. 4 (1e-4 to 0.02, T = 1000); the scaling as in the code of "
    "Nichol and Dhariwal 2021.",
    equivalent={
        "value.double()": "the betas are float64 already",
        "value.detach()": "no gradient flows through a schedule",
    },
)


@ex.reference
def linear_betas(steps: int, first: float, last: float) -> Tensor:
    """T = `steps`, and the ends for T = 1000 -> betas (steps,) float64, ends scaled by 1000 / steps."""
    factor = 1000 / steps
    if factor * last >= 1:
        raise ValueError(f"{steps} steps are too few: the last beta would reach 1")
    return torch.linspace(factor * first, factor * last, steps, dtype=torch.float64)


@ex.edges
def _() -> list[Args]:
    paper = [(steps, 1e-4, 0.02) for steps in (1000, 200, 2000, 50, 21, 20, 10)]
    ends = [(1000, 0.3, 0.3), (300, 0.0, 0.3), (2, 1e-4, 0.0019), (100, 0.02, 1e-4)]
    return [
        *paper,
        *ends,
        (1000, 0.5, 1.0),
        (1000, 0.5, 1.5),
        (4, 1e-3, 0.004),
        (4, 1e-3, 0.003),
        (500, 0.25, 0.5),
        (800, 0.2, 0.6),
    ]


@ex.inputs
def _(case: Case) -> Args:
    steps = case.integer(30, 1500)
    first = 1e-4 * case.integer(1, 30)
    return steps, first, first + 1e-3 * case.integer(1, 20)


def _linear(first: float, last: float, steps: int) -> Tensor:
    if last >= 1:
        raise ValueError
    return torch.linspace(first, last, steps, dtype=torch.float64)


ex.wrong(
    "not_scaled",
    "You keep the betas of T = 1000 whatever the number of steps: a part of the image is left at the end.",
    lambda steps, first, last: _linear(first, last, steps),
)
ex.wrong(
    "scaled_the_other_way",
    "You multiply by steps / 1000: fewer steps would then each add less noise, and even more image is left.",
    lambda steps, first, last: _linear(steps / 1000 * first, steps / 1000 * last, steps),
)
ex.wrong(
    "scaled_last_only",
    "You scale only the last beta; both ends belong to T = 1000.",
    lambda steps, first, last: _linear(first, 1000 / steps * last, steps),
)
ex.wrong(
    "no_last",
    "You stop one step short of the last beta, as `range` would; it belongs to the schedule.",
    lambda steps, first, last: _linear(1000 / steps * first, 1000 / steps * last, steps + 1)[:-1],
)
ex.wrong(
    "float32",
    "You compute in float32; alpha-bar is a product of a thousand factors near 1, so use float64.",
    lambda steps, first, last: _linear(1000 / steps * first, 1000 / steps * last, steps).float(),
)
ex.wrong(
    "clamped",
    "You clamp betas that reach 1: it runs, but the schedule is another one. Too few steps deserve an error.",
    lambda steps, first, last: torch.linspace(
        1000 / steps * first, 1000 / steps * last, steps, dtype=torch.float64
    ).clamp(max=0.999),
)
ex.wrong(
    "unchecked",
    "You let betas of 1 and more pass; alpha = 1 - beta is then zero or negative.",
    lambda steps, first, last: torch.linspace(
        1000 / steps * first, 1000 / steps * last, steps, dtype=torch.float64
    ),
)
ex.wrong(
    "geometric",
    "You space the betas evenly on a logarithmic scale; the linear schedule adds the same amount each step.",
    lambda steps, first, last: (
        _linear(1000 / steps * first, 1000 / steps * last, steps).log().mean().exp()
        * (last / first) ** torch.linspace(-0.5, 0.5, steps, dtype=torch.float64)
    ),
)
ex.wrong(
    "descending",
    "You let the betas fall; noise is added gently at first and faster later.",
    lambda steps, first, last: _linear(1000 / steps * first, 1000 / steps * last, steps).flip(0),
)
ex.wrong(
    "alphas",
    "You return the alphas, 1 - beta.",
    lambda steps, first, last: 1 - _linear(1000 / steps * first, 1000 / steps * last, steps),
)


@ex.right
def _(steps: int, first: float, last: float) -> Tensor:
    if last * 1000 / steps >= 1.0:
        raise ValueError("use more steps")
    return torch.linspace(first, last, steps, dtype=torch.float64) * (1000 / steps)


@ex.right
def _(steps: int, first: float, last: float) -> Tensor:
    low, high = (1000 * beta / steps for beta in (first, last))
    if not high < 1:
        raise ValueError(steps)
    return low + (high - low) * torch.arange(steps, dtype=torch.float64) / (steps - 1)


@ex.right
def _(steps: int, first: float, last: float) -> Tensor:
    betas = [(first + (last - first) * i / (steps - 1)) * 1000 / steps for i in range(steps)]
    if betas[-1] >= 1 - 1e-12:
        raise ValueError("the last beta reaches 1")
    return torch.tensor(betas, dtype=torch.float64)


@ex.right
def _(steps: int, first: float, last: float) -> Tensor:
    import numpy as np

    betas = np.linspace(first, last, steps) * 1000 / steps
    if betas.max() >= 1:
        raise ValueError("a beta of 1 or more")
    return torch.from_numpy(betas)


ex.background("The betas of Ho et al.")
ex.breach("rise evenly from `first` to `last`", "geometric")
ex.breach("these two numbers belong to $T = 1000$", "not_scaled")
ex.breach("With fewer steps each must do more", "scaled_the_other_way")
ex.breach("multiply both ends by $1000/T$", "scaled_last_only")
ex.breach("both ends included", "no_last")
ex.breach("If the last beta would reach 1 or more", "clamped")
ex.breach("raise a `ValueError`", "unchecked")
ex.breach("Return float64, shape `(steps,)`", "float32")
