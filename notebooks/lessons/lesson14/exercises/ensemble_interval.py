"""Lesson 14: an interval from several answers, and how often the truth lies in it."""

from math import floor
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Answer, Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="ensemble_interval",
    lesson="14",
    title="An interval from several answers",
    difficulty=3,
    minutes=15,
    spec=r"""
    `answers` `(K, N)` holds a number read from each of K answers to each of N inputs, for example the drawn
    area; `truth` `(N,)` the true number. If the truth is drawn like the answers, its place among the sorted
    $K + 1$ numbers is any with equal chance. So leave out the same number of places at both ends:

    $$r = \left\lfloor \tfrac{1 - \text{level}}{2}\,(K + 1) + 10^{-9} \right\rfloor$$

    (the tiny number keeps rounding from turning 1 into 0). For each input, `low` is the r-th smallest of its
    answers and `high` the r-th largest. With K = 19 and level 0.9, r is 1: the smallest and the largest.

    Return `(low, high, coverage)`: two tensors `(N,)`, and as a float the share of inputs whose truth lies in
    its interval, the ends included. Where r is 0 there are too few answers for this level: raise a
    `ValueError`.
    """,
    hints=(
        "Sort along the answers, `answers.sort(0).values`, separately for each input.",
        "The r-th smallest stands at index r - 1, the r-th largest at index K - r.",
        "`inside = (low <= truth) & (truth <= high)`, and the coverage is `float(inside.double().mean())`.",
    ),
    source="David, Nagaraja 2003, Order Statistics, sec. 7.3 (prediction intervals from order statistics).",
    equivalent={
        "value.detach()": "nothing asks for a gradient",
        "1e-09": "any tiny number does",
        "9.4 value.": "a truth value is no floating-point number",
        "`1` -> `0.5`": "the rank is a whole number",
        "-> `inside.double().mean()`": "a tensor of one number counts as a number",
    },
)


@ex.reference
def ensemble_interval(answers: Tensor, truth: Tensor, level: float) -> tuple[Tensor, Tensor, float]:
    """answers (K, N), truth (N,), level in (0, 1) -> low (N,), high (N,), share of truths inside."""
    count = len(answers)
    r = floor((1 - level) / 2 * (count + 1) + 1e-9)
    if r < 1:
        raise ValueError(f"{count} answers are too few for an interval of level {level}.")
    ordered = answers.sort(0).values
    low, high = ordered[r - 1], ordered[count - r]
    inside = (low <= truth) & (truth <= high)
    return low, high, float(inside.double().mean())


def _ladder(count: int, inputs: int, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, inputs, generator=draw, dtype=torch.float64).cumsum(1)


@ex.edges
def _() -> list[Args]:
    five = torch.tensor([[3.0, 1.0], [1.0, 2.0], [2.0, 9.0], [5.0, 3.0], [4.0, 4.0]])
    many = _ladder(19, 6, 1)
    ends = torch.stack([many.amin(0), many.amax(0)], 1).flatten()[[0, 3, 4, 7, 8, 11]]
    return [
        (five, torch.tensor([1.0, 9.5]), 0.6),
        (five, torch.tensor([5.0, 4.0]), 0.5),
        (five, torch.tensor([0.0, 2.0]), 0.9),  # too few
        (many, ends, 0.9),  # truths at the ends
        (many, ends + 1e-3, 0.9),
        (many, many[4], 0.5),
        (many[:18], ends, 0.9),  # one too few
        (_ladder(31, 4, 2), torch.zeros(4).double(), 0.875),  # r is 2, without rounding
        (_ladder(39, 4, 2), torch.zeros(4).double(), 0.95),
        (_ladder(30, 5, 3), torch.ones(5).double(), 0.8),
        (_ladder(9, 1, 4), torch.zeros(1).double(), 0.8),
        (_ladder(8, 1, 4), torch.zeros(1).double(), 0.8),
        (torch.full((19, 2), 0.5), torch.tensor([0.5, 0.6]), 0.9),
        (-_ladder(19, 3, 5).T.contiguous().T, torch.tensor([-50.0, 0.0, 50.0]).double(), 0.9),
    ]


@ex.inputs
def _(case: Case) -> Args:
    count, inputs = case.integer(5, 45), case.integer(2, 9)
    level = case.choice((0.5, 0.6, 0.8, 0.9))
    if level != 0.5 and (count + 1) % 5 == 0:  # r would rest on the tiny number, which the edges try
        count += 1
    return case.randn(count, inputs), case.randn(inputs), level


def _with(
    *,
    rank: Any = lambda level, count: floor((1 - level) / 2 * (count + 1) + 1e-9),
    order: Any = lambda answers: answers.sort(0).values,
    pick: Any = lambda ordered, r: (ordered[r - 1], ordered[len(ordered) - r]),
    within: Any = lambda low, high, truth: (low <= truth) & (truth <= high),
    share: Any = lambda inside: float(inside.double().mean()),
    result: Any = lambda low, high, share: (low, high, share),
) -> Answer:
    def answer(answers: Tensor, truth: Tensor, level: float) -> Any:
        r = rank(level, len(answers))
        if r < 1:
            raise ValueError("too few answers")
        low, high = pick(order(answers), r)
        return result(low, high, share(within(low, high, truth)))

    return answer


for name, misconception, answer in (
    (
        "k_instead_of_k_plus_1",
        "You count K places; together with the truth there are K + 1.",
        _with(rank=lambda level, count: floor((1 - level) / 2 * count + 1e-9)),
    ),
    (
        "whole_tail_on_each_side",
        "You leave out 1 - level at each end; it is half of it.",
        _with(rank=lambda level, count: floor((1 - level) * (count + 1) + 1e-9)),
    ),
    (
        "rounded",
        "You round to the nearest rank; cut down instead, or the interval is narrower than its level says.",
        _with(rank=lambda level, count: round((1 - level) / 2 * (count + 1))),
    ),
    (
        "rounding_error",
        "You leave out the tiny number: for K = 19 and level 0.9 the product is just below 1, and r is 0.",
        _with(rank=lambda level, count: floor((1 - level) / 2 * (count + 1))),
    ),
    (
        "smallest_and_largest",
        "You always take the smallest and the largest; with many answers that is wider than asked for.",
        _with(rank=lambda level, count: min(1, floor((1 - level) / 2 * (count + 1) + 1e-9))),
    ),
    (
        "counted_from_zero",
        "You take index r for the r-th smallest; Python counts from 0.",
        _with(pick=lambda ordered, r: (ordered[r], ordered[len(ordered) - 1 - r])),
    ),
    (
        "high_one_off",
        "Your `high` is one place off: the r-th largest stands at index K - r.",
        _with(pick=lambda ordered, r: (ordered[r - 1], ordered[len(ordered) - r - 1])),
    ),
    (
        "not_sorted",
        "You do not sort the answers.",
        _with(order=lambda answers: answers),
    ),
    (
        "sorted_along_inputs",
        "You sort along the inputs; each input has its own answers, which stand in a column.",
        _with(order=lambda answers: answers.sort(1).values),
    ),
    (
        "ends_left_out",
        "You count a truth at an end as outside; the ends belong to the interval.",
        _with(within=lambda low, high, truth: (low < truth) & (truth < high)),
    ),
    (
        "one_end_only",
        "You look at the lower end only.",
        _with(within=lambda low, high, truth: low <= truth),
    ),
    (
        "share_outside",
        "You return the share of truths outside.",
        _with(share=lambda inside: 1 - float(inside.double().mean())),
    ),
    (
        "percent",
        "You return percent; a share lies between 0 and 1.",
        _with(share=lambda inside: 100 * float(inside.double().mean())),
    ),
    (
        "how_many",
        "You return how many truths lie inside; a share was asked for.",
        _with(share=lambda inside: float(inside.sum())),
    ),
    (
        "each_input",
        "You return for each input whether its truth lies inside; the share of them was asked for.",
        _with(share=lambda inside: inside),
    ),
    (
        "high_first",
        "You return `high` before `low`.",
        _with(result=lambda low, high, share: (high, low, share)),
    ),
    (
        "coverage_forgotten",
        "You forget the coverage.",
        _with(result=lambda low, high, share: (low, high)),
    ),
    ("returned_nothing", "You compute the result and return nothing: a `return` is missing.",
     _with(result=lambda low, high, share: None)),
):  # fmt: skip
    ex.wrong(name, misconception, answer)


@ex.wrong(
    "quantiles",
    "You take quantiles of the answers: with few answers they lie too far inside, because the truth may fall "
    "beyond all of them.",
)
def _(answers: Tensor, truth: Tensor, level: float) -> Any:
    if floor((1 - level) / 2 * (len(answers) + 1) + 1e-9) < 1:
        raise ValueError("too few answers")
    low, high = (answers.quantile(q, 0) for q in ((1 - level) / 2, (1 + level) / 2))
    return low, high, float(((low <= truth) & (truth <= high)).double().mean())


@ex.wrong(
    "bell_curve",
    "You take mean plus and minus a multiple of the standard deviation: that supposes a bell curve.",
)
def _(answers: Tensor, truth: Tensor, level: float) -> Any:
    if floor((1 - level) / 2 * (len(answers) + 1) + 1e-9) < 1:
        raise ValueError("too few answers")
    half = 1.645 * answers.std(0)
    low, high = answers.mean(0) - half, answers.mean(0) + half
    return low, high, float(((low <= truth) & (truth <= high)).double().mean())


@ex.wrong(
    "too_few_accepted",
    "You give an interval where there are too few answers; a `ValueError` was asked for.",
)
def _(answers: Tensor, truth: Tensor, level: float) -> Any:
    return _with(rank=lambda level, count: max(1, floor((1 - level) / 2 * (count + 1) + 1e-9)))(
        answers, truth, level
    )


ex.right(_with())
ex.right(_with(share=lambda inside: inside.sum().item() / len(inside)))


@ex.right
def _(answers: Tensor, truth: Tensor, level: float) -> tuple[Tensor, Tensor, float]:
    rank = int((1 - level) * (len(answers) + 1) / 2 + 1e-9)
    if not rank:
        raise ValueError("more answers are needed")
    low = answers.kthvalue(rank, dim=0).values
    high = -(-answers).kthvalue(rank, dim=0).values
    return low, high, ((truth >= low) & (truth <= high)).double().mean().item()


@ex.right
def _(answers: Tensor, truth: Tensor, level: float) -> tuple[Tensor, Tensor, float]:
    lows, highs, hits = [], [], 0
    for column, true in zip(answers.unbind(1), truth, strict=True):
        r = int(1e-9 + 0.5 * (1 - level) * (len(column) + 1))
        if r == 0:
            raise ValueError("more answers are needed")
        row = sorted(column.unbind(), key=float)
        lows.append(row[r - 1])
        highs.append(row[-r])
        hits += bool(row[r - 1] <= true <= row[-r])
    return torch.stack(lows), torch.stack(highs), hits / len(truth)


ex.background("If the truth is drawn like", "(the tiny number")
ex.breach("`answers` `(K, N)` holds", "sorted_along_inputs")
ex.breach("So leave out the same number", "whole_tail_on_each_side")
ex.breach("$$r = ", "k_instead_of_k_plus_1")
ex.breach("$$r = ", "rounding_error")
ex.breach("`low` is the r-th smallest", "counted_from_zero")
ex.breach("`high` the r-th largest", "high_one_off")
ex.breach("With K = 19 and level 0.9", "quantiles")
ex.breach("Return `(low, high, coverage)`", "high_first")
ex.breach("as a float the share of inputs", "how_many")
ex.breach("the ends included", "ends_left_out")
ex.breach("raise a `ValueError`", "too_few_accepted")
