"""Lesson 01: the cosine schedule, which is defined by alpha-bar and turned into betas."""

import math

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="cosine_betas",
    lesson="01",
    title="The cosine schedule",
    difficulty=3,
    minutes=12,
    spec=r"""
    Nichol and Dhariwal choose the curve of $\bar\alpha$ first, for $u = t/T$ from 0 to 1:

    $$f(u) = \cos^2\!\left(\frac{u + s}{1 + s}\cdot\frac{\pi}{2}\right), \qquad s = 0.008.$$

    The betas follow: each step takes $\bar\alpha$ from one point of the curve to the next, so
    $\beta_t = 1 - f\big((t+1)/T\big) / f(t/T)$ for $t = 0, \ldots, T - 1$. The last one would be 1; no beta
    may exceed `largest`. Return float64, shape `(steps,)`.
    """,
    hints=(
        "There are `steps` betas and `steps + 1` points on the curve: u = 0, 1/T, ..., 1.",
        "With `curve` of shape (steps + 1,), later points are `curve[1:]`, earlier ones `curve[:-1]`.",
        "`(1 - curve[1:] / curve[:-1]).clamp(max=largest)`",
    ),
    source="Nichol, Dhariwal 2021, eq. 17 and the text after it (cap .999).",
    equivalent={
        "value.double()": "everything is float64 already",
        "value.detach()": "no gradient flows through a schedule",
        "`1` -> `0.5`": "arange(steps + 0.5) has steps + 1 entries too",
        "`2` -> `-2`": "the cosine is even",
        "`1.008` -> `-1.008`": "the cosine is even",
    },
)


@ex.reference
def cosine_betas(steps: int, largest: float) -> Tensor:
    """T = `steps` -> betas (steps,) float64 of the cosine curve with s = 0.008, none above `largest`."""
    u = torch.arange(steps + 1, dtype=torch.float64) / steps
    curve = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - curve[1:] / curve[:-1]).clamp(max=largest)


@ex.edges
def _() -> list[Args]:
    return [(1000, 0.999), (4, 0.999), (1, 0.999), (2, 0.5), (50, 0.999), (10, 0.2), (200, 1.0)]


@ex.inputs
def _(case: Case) -> Args:
    return case.integer(3, 1200), case.choice((0.999, 0.99, 0.9, 0.5))


def _curve(u: Tensor, s: float = 0.008) -> Tensor:
    return torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2


def _u(points: int, steps: int) -> Tensor:
    return torch.arange(points, dtype=torch.float64) / steps


def _betas(curve: Tensor, largest: float) -> Tensor:
    return (1 - curve[1:] / curve[:-1]).clamp(max=largest)


ex.wrong(
    "uncapped",
    "You do not cap the betas: the last is 1, and nothing of the image is left to divide by.",
    lambda steps, largest: _betas(_curve(_u(steps + 1, steps)), 2.0),
)
ex.wrong(
    "not_squared",
    "You forget the square: cos falls too slowly; alpha-bar is its square.",
    lambda steps, largest: _betas(_curve(_u(steps + 1, steps)).sqrt(), largest),
)
ex.wrong(
    "no_offset",
    "You leave s out: the first betas are then tiny, which s was put in to avoid.",
    lambda steps, largest: _betas(_curve(_u(steps + 1, steps), 0.0), largest),
)
ex.wrong(
    "offset_not_normalised",
    "You add s but do not divide by 1 + s: the curve runs past its zero.",
    lambda steps, largest: _betas(torch.cos((_u(steps + 1, steps) + 0.008) * math.pi / 2) ** 2, largest),
)
ex.wrong(
    "from_the_start",
    "You divide by the first point of the curve, not by the one before: that is 1 - alpha-bar, not beta.",
    lambda steps, largest: (1 - _curve(_u(steps + 1, steps))[1:] / _curve(_u(steps + 1, steps))[0]).clamp(
        max=largest
    ),
)
ex.wrong(
    "upside_down",
    "You divide earlier by later: alpha would be above 1 and beta negative.",
    lambda steps, largest: _betas(_curve(_u(steps + 1, steps)).flip(0), largest).flip(0),
)
ex.wrong(
    "one_point_short",
    "You take `steps` points on the curve and get a beta too few: count posts, not gaps.",
    lambda steps, largest: _betas(_curve(_u(steps, steps)), largest),
)
ex.wrong(
    "linspace_to_one",
    "You space the points of t and t + 1 each from 0 to 1 with `linspace`; their distance is then not 1/T.",
    lambda steps, largest: _betas(
        _curve(torch.linspace(0, 1 + 1 / max(steps - 1, 1), steps + 1, dtype=torch.float64)), largest
    ),
)
ex.wrong(
    "difference",
    "You subtract neighbouring points; a beta is relative to what was left: 1 minus their ratio.",
    lambda steps, largest: (-_curve(_u(steps + 1, steps)).diff()).clamp(max=largest),
)
ex.wrong(
    "float32",
    "You compute in float32; the first ratios are so close to 1 that digits of beta get lost.",
    lambda steps, largest: _betas(_curve(_u(steps + 1, steps)), largest).float(),
)
ex.wrong(
    "clamped_curve",
    "You cap alpha-bar instead of beta.",
    lambda steps, largest: _betas(_curve(_u(steps + 1, steps)).clamp(min=1 - largest), 2.0),
)

ex.right(
    lambda steps, largest: torch.minimum(
        1 - _curve((_u(steps, steps) * steps + 1) / steps) / _curve(_u(steps, steps)),
        torch.tensor(largest, dtype=torch.float64),
    )
)


@ex.right
def _(steps: int, largest: float) -> Tensor:
    def f(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - f((t + 1) / steps) / f(t / steps), largest) for t in range(steps)]
    return torch.tensor(betas, dtype=torch.float64)


@ex.right
def _(steps: int, largest: float) -> Tensor:
    angle = (torch.linspace(0, 1, steps + 1, dtype=torch.float64) + 0.008) / 1.008 * torch.pi / 2
    curve = (1 + torch.cos(2 * angle)) / 2  # cos^2 by the double angle
    betas = 1 - curve[1:] / curve[:-1]
    return torch.where(betas > largest, largest, betas)


@ex.right
def _(steps: int, largest: float) -> Tensor:
    import numpy as np

    curve = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
    return torch.from_numpy(np.clip((curve[:-1] - curve[1:]) / curve[:-1], 0, largest))


@ex.right
def _(steps: int, largest: float) -> Tensor:
    alpha_bars = _curve(_u(steps + 1, steps)) / _curve(torch.zeros(1, dtype=torch.float64))
    betas = torch.ones(steps, dtype=torch.float64)
    for t in range(steps):
        betas[t] -= alpha_bars[t + 1] / alpha_bars[t]
    betas[betas > largest] = largest
    return betas


ex.breach("Nichol and Dhariwal choose the curve", "offset_not_normalised")
ex.breach("$$f(u) = ", "not_squared")
ex.breach("s = 0.008", "no_offset")
ex.breach("The betas follow", "linspace_to_one")
ex.breach("each step takes $", "from_the_start")
ex.breach("$\\beta_t = 1 - f", "difference")
ex.breach("The last one would be 1", "uncapped")
ex.breach("no beta may exceed `largest`", "clamped_curve")
ex.breach("Return float64, shape `(steps,)`", "float32")
