"""Lesson 03: averaged weights."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

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
    late = [(0.9999, 50_000), (0.9999, 89_989), (0.9999, 90_000), (0.999, 8989), (0.99, 900)]
    turned = torch.arange(6.0).view(2, 3).T, torch.tensor(-4.0)  # not contiguous; no axis at all
    mixed = [old.double() + 1e-8, old], [new.double(), 100 * new]  # every tensor keeps its own type
    return [
        *((*lists, *pair) for pair in [*pairs, *late]),
        ([*turned], [turned[0] / 7 - 1, torch.tensor(2.5)], 0.9, 2),
        (*mixed, 0.99, 5),
        (lists[0], [tensor.clone() for tensor in lists[0]], 0.0, 0),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shapes = [(case.height, case.width), (case.height,), (1,)][: case.integer(1, 3)]
    averages, weights = ([case.randn(*shape) for shape in shapes] for _ in range(2))
    return averages, weights, case.choice((0.5, 0.9, 0.99, 0.999)), case.integer(0, 60) * case.integer(0, 60)


@ex.probe
def _(
    answer: Callable[..., Any], averages: list[Tensor], weights: list[Tensor], decay: float, updates: int
) -> Any:
    """What is returned; a tensor that was given stands there as a remark instead of a new one."""
    given = {tensor.data_ptr(): f"average {i} itself" for i, tensor in enumerate(averages)}
    given |= {tensor.data_ptr(): f"weight {i} itself" for i, tensor in enumerate(weights)}
    result = answer(averages, weights, decay, updates)
    if not isinstance(result, (list, tuple)):
        return result
    return [given.get(new.data_ptr(), new) if isinstance(new, Tensor) else new for new in result]


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


ex.wrong(
    "numerator_without_one",
    "You wrote n / (10 + n): the numerator is 1 + n.",
    lambda old, new, decay, n: _mixed(old, new, min(decay, n / (10 + n))),
)
ex.wrong(
    "swapped_without_warm_up",
    "You use `decay` from the first update on, and for the wrong one of the two: it belongs to the average.",
    lambda old, new, decay, n: _mixed(old, new, 1 - decay),
)
ex.wrong(
    "one_behind",
    "You count one update too few: the first update has n = 0 and keeps a tenth of the old average.",
    lambda old, new, decay, n: _mixed(old, new, _d(decay, n - 1)),
)
ex.wrong(
    "no_brackets",
    "You wrote (1 + n) / 10 + n without brackets below the line: from the second update on `decay` wins.",
    lambda old, new, decay, n: _mixed(old, new, min(decay, (1 + n) / 10 + n)),
)
ex.wrong(
    "new_at_full_strength",
    "You add the weights without the factor 1 - d.",
    lambda old, new, decay, n: [_d(decay, n) * a + b for a, b in zip(old, new, strict=True)],
)
ex.wrong(
    "other_decay_for_the_new",
    "You multiply the weights by 1 - decay and the average by d: in the warm-up the two do not add up to 1.",
    lambda old, new, decay, n: [_d(decay, n) * a + (1 - decay) * b for a, b in zip(old, new, strict=True)],
)
ex.wrong(
    "warm_up_of_ten",
    "You end the warm-up after ten updates; it ends where its fraction reaches `decay`.",
    lambda old, new, decay, n: _mixed(old, new, decay if n >= 10 else _d(decay, n)),
)
ex.wrong(
    "averages",
    "You return the old averages and take nothing of the weights in.",
    lambda old, new, decay, n: [a.clone() for a in old],
)
ex.wrong(
    "d_in_float32",
    "You make a float32 tensor of d: on float64 weights half of the digits are lost.",
    lambda old, new, decay, n: _mixed(old, new, float(torch.tensor(_d(decay, n)))),
)
ex.wrong(
    "first_type_for_all",
    "You join all tensors to one, so the first one's type, or the widest, becomes the type of all.",
    lambda old, new, decay, n: [a.double() for a in _mixed(old, new, _d(decay, n))],
)
ex.wrong(
    "first_update_skipped",
    "You return the average as it was at the first update; d is 0.1 there, not 1.",
    lambda old, new, decay, n: [o.clone() for o in old] if n == 0 else _mixed(old, new, _d(decay, n)),
)
ex.wrong(
    "first_update_replaces",
    "You return the weights at the first update; d is 0.1 there, not 0.",
    lambda old, new, decay, n: [w.clone() for w in new] if n == 0 else _mixed(old, new, _d(decay, n)),
)
ex.wrong(
    "weights_handed_on",
    "You return a weight itself where d is 0: when it is trained further, the average changes with it.",
    lambda old, new, decay, n: list(new) if not decay else _mixed(old, new, _d(decay, n)),
)
common_slips(ex, "returned_nothing", "float32_result", "flattened")

ex.background("Samples are drawn")
ex.breach("After update number", "counted_from_one")
ex.breach("After update number", "one_behind")
for _name in ("swapped", "product", "maximum", "not_shrunk", "only_warm_up"):
    ex.breach("\\text{average} \\leftarrow", _name)
ex.breach("The second argument of the minimum", "no_warm_up")
ex.breach("Return a list of *new* tensors", "in_place")
ex.breach("Return a list of *new* tensors", "weights_handed_on")
ex.breach("one per weight", "only_the_first")
ex.breach("change none of those", "into_the_network")
