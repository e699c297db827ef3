"""Lesson 03: averaged weights."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="ema_update",
    lesson="03",
    title="Average the weights",
    difficulty=2,
    minutes=8,
    spec=r"""
    Samples are drawn with an exponential moving average of the weights, which is steadier than the weights
    themselves. After update number $n = 0, 1, \ldots$ (`updates` counts those already made):

    $$\text{average} \leftarrow d\,\text{average} + (1 - d)\,\text{weights}, \qquad d =
    \min\!\left(\texttt{decay}, \frac{1 + n}{10 + n}\right).$$

    The second argument of the minimum is a warm-up: early averages forget the random start quickly, however
    large `decay` is. Return a list of *new* tensors, one per weight, and change none of those you were given.
    """,
    hints=(
        "One d for all tensors; with n = 0 it is at most 0.1, after some hundred updates it is `decay`.",
        "`d` near 1 keeps the *old* average; 1 - d is how much of the new weights comes in.",
        "`[d * old + (1 - d) * new for old, new in zip(averages, weights, strict=True)]`",
    ),
    source="Polyak, Juditsky 1992; warm-up as in TensorFlow's ExponentialMovingAverage (`num_updates`); Ho, "
    "Jain, Abbeel 2020, appendix B (decay .9999).",
    fresh=True,
    equivalent={
        "strict=True": "the lists are equally long",
        "`True` -> `False`": "the lists are equally long",
        "-> `min((1 + updates)": "a minimum does not care about the order",
    },
)


@ex.reference
def ema_update(averages: list[Tensor], weights: list[Tensor], decay: float, updates: int) -> list[Tensor]:
    """Old averages, weights (equal shapes), largest d in [0, 1), updates made so far -> new averages."""
    d = min(decay, (1 + updates) / (10 + updates))
    return [d * old + (1 - d) * new for old, new in zip(averages, weights, strict=True)]


@ex.edges
def _() -> list[Args]:
    old, new = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.0])
    lists = [old, torch.ones(2, 2)], [new, torch.zeros(2, 2)]
    pairs = [(0.999, 0), (0.999, 1), (0.5, 8), (0.05, 0), (0.9, 10_000), (0.999, 10_000), (0.0, 3), (0.9, 80)]
    return [(*lists, *pair) for pair in pairs]


@ex.inputs
def _(case: Case) -> Args:
    shapes = [(case.height, case.width), (case.height,), (1,)][: case.integer(1, 3)]
    averages, weights = ([case.randn(*shape) for shape in shapes] for _ in range(2))
    return averages, weights, case.choice((0.5, 0.9, 0.99, 0.999)), case.integer(0, 60) * case.integer(0, 60)


def _mixed(averages: list[Tensor], weights: list[Tensor], d: float) -> list[Tensor]:
    return [d * old + (1 - d) * new for old, new in zip(averages, weights, strict=True)]


def _d(decay: float, n: float) -> float:
    return min(decay, (1 + n) / (10 + n))


ex.wrong(
    "swapped",
    "You have the factors the wrong way round: a d near 1 should keep the old average, and you keep hardly "
    "anything of it.",
    lambda old, new, decay, n: _mixed(old, new, 1 - _d(decay, n)),
)
ex.wrong(
    "no_warm_up",
    "You use `decay` from the first update: with .999 the random start weights last for thousands of steps.",
    lambda old, new, decay, n: _mixed(old, new, decay),
)
ex.wrong(
    "only_warm_up",
    "You ignore `decay`: the average then becomes slower for ever.",
    lambda old, new, decay, n: _mixed(old, new, (1 + n) / (10 + n)),
)
ex.wrong(
    "maximum",
    "You take the larger of the two: the warm-up should make d smaller at first.",
    lambda old, new, decay, n: _mixed(old, new, max(decay, (1 + n) / (10 + n))),
)
ex.wrong(
    "counted_from_one",
    "You count this update already: n is the number of updates made before, 0 at the first.",
    lambda old, new, decay, n: _mixed(old, new, _d(decay, n + 1)),
)
ex.wrong(
    "product",
    "You multiply decay and warm-up; it is the smaller of the two.",
    lambda old, new, decay, n: _mixed(old, new, decay * (1 + n) / (10 + n)),
)
ex.wrong(
    "running_mean",
    "You take the plain mean of all weights so far: it never forgets the bad ones of the start.",
    lambda old, new, decay, n: _mixed(old, new, n / (n + 1)),
)
ex.wrong(
    "bias_corrected",
    "You start from nothing and divide by 1 - d^(n+1), as Adam does; the average starts at the weights, so "
    "there is no bias to correct.",
    lambda old, new, decay, n: [m / (1 - decay ** (n + 1)) for m in _mixed(old, new, decay)],
)
ex.wrong(
    "not_shrunk",
    "You add the new part without taking as much of the old one away: the average grows without end.",
    lambda old, new, decay, n: [a + (1 - _d(decay, n)) * b for a, b in zip(old, new, strict=True)],
)
ex.wrong("weights", "You return the weights and average nothing.", lambda old, new, decay, n: list(new))
ex.wrong(
    "half_and_half",
    "You take the mean of old and new: that forgets everything within a few steps.",
    lambda old, new, decay, n: _mixed(old, new, 0.5),
)
ex.wrong(
    "only_the_first",
    "You average only the first tensor and keep the old averages of the others.",
    lambda old, new, decay, n: [*_mixed(old[:1], new[:1], _d(decay, n)), *old[1:]],
)


@ex.wrong("in_place", "You change the old averages in place; new tensors were asked for.")
def _(averages: list[Tensor], weights: list[Tensor], decay: float, updates: int) -> list[Tensor]:
    for old, new in zip(averages, weights, strict=True):
        old.lerp_(new, 1 - _d(decay, updates))
    return averages


@ex.wrong("into_the_network", "You write the average into the weights: training would go on from there.")
def _(averages: list[Tensor], weights: list[Tensor], decay: float, updates: int) -> list[Tensor]:
    for old, new in zip(averages, weights, strict=True):
        new.lerp_(old, _d(decay, updates))
    return weights


ex.right(lambda old, new, decay, n: _mixed(old, new, _d(decay, n)))
ex.right(
    lambda old, new, decay, n: [torch.lerp(a, b, 1 - _d(decay, n)) for a, b in zip(old, new, strict=True)]
)
ex.right(lambda old, new, decay, n: list(torch._foreach_lerp(old, new, 1 - _d(decay, n))))
ex.right(
    lambda old, new, decay, n: tuple(
        new[i] + (old[i] - new[i]) * (decay if decay * (10 + n) < 1 + n else (1 + n) / (10 + n))
        for i in range(len(old))
    )
)


@ex.right
def _(averages: list[Tensor], weights: list[Tensor], decay: float, updates: int) -> list[Tensor]:
    d = decay if decay < 1 - 9 / (10 + updates) else 1 - 9 / (10 + updates)
    updated = []
    for average, weight in zip(averages, weights, strict=True):
        copy = average.detach().clone()
        copy.mul_(d).add_(weight.detach(), alpha=1 - d)
        updated.append(copy)
    return updated
