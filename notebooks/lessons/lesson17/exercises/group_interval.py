"""Lesson 17: a mean with an interval that counts groups and not pictures."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Answer, Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="group_interval",
    lesson="17",
    title="An interval for few groups",
    difficulty=2,
    minutes=10,
    spec=r"""
    `values` `(N,)` are the errors of test pictures, and `group` `(N,)` has a whole number for each: equal
    numbers belong together, and such errors are alike. So count groups, not pictures. Take the mean of
    every group, and call the G means $m_1, \dots, m_G$. With their mean $m$ and their standard deviation
    $s$, which divides by $G - 1$, the interval is

    $$m \pm t\, \frac{s}{\sqrt{G}}.$$

    `t` is a quantile of Student's distribution and is given. Every group counts once in $m$, however many
    pictures it has. Return `(m, low, high)` as three floats. With fewer than two groups raise a
    `ValueError`.
    """,
    hints=(
        "`group.unique()` has every number once, and `values[group == g].mean()` is the mean of one group.",
        "`means = torch.stack([values[group == g].mean() for g in group.unique()])`; `means.std()` divides "
        "by G - 1.",
        "`half = t * means.std() / len(means) ** 0.5`, and `float(means.mean() - half)` is the lower end.",
    ),
    tolerance=1e-5,
    source="Student 1908; Field and Welsh 2007, “Bootstrapping clustered data” (why groups count).",
    equivalent={
        "value.float()": "fewer digits of the same number, within the tolerance",
        "`float(means.mean()": "a tensor of one number counts as a number",
        "value.detach()": "an interval is a number to decide by; nobody takes its gradient",
        "value.double()": "more digits of the same number",
    },
)


@ex.reference
def group_interval(values: Tensor, group: Tensor, t: float) -> tuple[float, float, float]:
    """values (N,), group (N,) of whole numbers, quantile t -> mean of groups, low, high."""
    means = torch.stack([values[group == g].mean() for g in group.unique()])
    if len(means) < 2:
        raise ValueError("An interval needs two groups or more.")
    half = t * means.std() / len(means) ** 0.5
    return float(means.mean()), float(means.mean() - half), float(means.mean() + half)


@ex.edges
def _() -> list[Args]:
    values = torch.tensor([1.0, 3.0, 2.0, 8.0, 4.0, 6.0, 5.0], dtype=torch.float64)
    return [
        (values, torch.tensor([0, 0, 1, 1, 1, 2, 5]), 2.5),
        (values, torch.tensor([4, 7, 4, 7, 4, 7, 4]), 6.3),
        (values, torch.tensor([9, 9, 9, 9, 9, 9, 9]), 2.0),  # one group
        (values, torch.arange(7), 1.9),
        (values[:2], torch.tensor([3, 1]), 1.0),
        (-values, torch.tensor([0, 1, 2, 0, 1, 2, 2]), 2.9),
        (values.expand(3, 7).T[:, 1], torch.tensor([1, 1, 0, 0, 1, 0, 0]), 2.0),
        (torch.full((4,), 0.5), torch.tensor([0, 0, 1, 1]), 3.0),
    ]


@ex.inputs
def _(case: Case) -> Args:
    groups = case.integer(2, 7)
    extra = torch.randint(groups, (case.integer(3, 12),), generator=case.generator)
    group = torch.cat([torch.arange(groups), extra])
    group = 3 * group[torch.randperm(len(group), generator=case.generator)] + 1
    return case.randn(len(group)) + 0.2 * group, group, case.choice((1.5, 2.13, 2.92))


def _means(values: Tensor, group: Tensor) -> Tensor:
    return torch.stack([values[group == g].mean() for g in sorted(set(group.tolist()))])


def _with(
    *,
    means: Callable[[Tensor, Tensor], Tensor] = _means,
    middle: Callable[[Tensor, Tensor], Tensor] = lambda values, means: means.mean(),
    half: Callable[[Tensor, float, int], Tensor] = lambda means, t, n: t * means.std() / len(means) ** 0.5,
    result: Callable[[Tensor, Tensor], Any] = lambda m, h: (float(m), float(m - h), float(m + h)),
    few: bool = True,
) -> Answer:
    """The function with one thing changed."""

    def answer(values: Tensor, group: Tensor, t: float) -> Any:
        if few and len(group.unique()) < 2:
            raise ValueError("two groups are needed")
        found = means(values, group)
        return result(middle(values, found), half(found, t, len(values)))

    return answer


for name, misconception, answer in (
    (
        "pictures_counted",
        "You count pictures, not groups: pictures of one group are alike, so the interval is too narrow.",
        _with(means=lambda values, group: values),
    ),
    (
        "mean_of_pictures",
        "Your middle is the mean over pictures; every group counts once.",
        _with(middle=lambda values, means: values.mean()),
    ),
    (
        "number_of_pictures",
        "You divide by the root of the number of pictures; the number of groups is meant.",
        _with(half=lambda means, t, n: t * means.std() / n**0.5),
    ),
    (
        "no_root",
        "You divide by G; its root is meant.",
        _with(half=lambda means, t, n: t * means.std() / len(means)),
    ),
    (
        "spread_of_the_groups",
        "You do not divide by the root of G: that is the spread of single groups, not of their mean.",
        _with(half=lambda means, t, n: t * means.std()),
    ),
    (
        "divided_by_g",
        "Your standard deviation divides by G; with few groups G - 1 makes a difference.",
        _with(half=lambda means, t, n: t * means.std(correction=0) / len(means) ** 0.5),
    ),
    (
        "variance",
        "You take the variance; the standard deviation is its root.",
        _with(half=lambda means, t, n: t * means.var() / len(means) ** 0.5),
    ),
    (
        "normal_quantile",
        "You take 1.96 in place of `t`: that is for many groups.",
        _with(half=lambda means, t, n: 1.96 * means.std() / len(means) ** 0.5),
    ),
    (
        "half_of_it",
        "You halve the width once too often: t times the standard error goes to each side.",
        _with(half=lambda means, t, n: t * means.std() / len(means) ** 0.5 / 2),
    ),
    (
        "sums",
        "You take the sum of every group; its mean is meant.",
        _with(means=lambda v, g: torch.stack([v[g == one].sum() for one in g.unique()])),
    ),
    (
        "medians",
        "You take the median of every group; its mean is meant.",
        _with(means=lambda v, g: torch.stack([v[g == one].median() for one in g.unique()])),
    ),
    (
        "high_first",
        "You return the upper end before the lower one.",
        _with(result=lambda m, h: (float(m), float(m + h), float(m - h))),
    ),
    (
        "mean_forgotten",
        "You return the two ends only; the mean comes first.",
        _with(result=lambda m, h: (float(m - h), float(m + h))),
    ),
    (
        "half_width",
        "You return the mean and the half width; the two ends are wanted.",
        _with(result=lambda m, h: (float(m), float(h), float(h))),
    ),
    (
        "one_group_accepted",
        "You give an interval for a single group; a `ValueError` was asked for.",
        _with(few=False),
    ),
    (
        "returned_nothing",
        "You compute the result and return nothing: a `return` is missing.",
        _with(result=lambda m, h: None),
    ),
):
    ex.wrong(name, misconception, answer)
common_slips(ex, "assertion")

ex.right(_with())


@ex.right
def _(values: Tensor, group: Tensor, t: float) -> tuple[float, float, float]:
    """With sums and counts."""
    known, place = group.unique(return_inverse=True)
    if len(known) == 1:
        raise ValueError("one group only")
    sums = values.new_zeros(len(known)).index_add(0, place, values)
    counts = values.new_zeros(len(known)).index_add(0, place, torch.ones_like(values))
    means = sums / counts
    m, error = means.mean().item(), (means.var() / len(means)).sqrt().item()
    return m, m - t * error, m + t * error


@ex.right
def _(values: Tensor, group: Tensor, t: float) -> tuple[float, float, float]:
    """In plain Python."""
    from statistics import fmean, stdev

    members: dict[int, list[float]] = {}
    for value, g in zip(values.tolist(), group.tolist(), strict=True):
        members.setdefault(g, []).append(value)
    means = [fmean(some) for some in members.values()]
    if len(means) < 2:
        raise ValueError("too few groups")
    m, half = fmean(means), t * stdev(means) / len(means) ** 0.5
    return m, m - half, m + half


@ex.right
def _(values: Tensor, group: Tensor, t: float) -> Any:
    """With a table of which picture is in which group."""
    table = (group[None] == group.unique()[:, None]).to(values.dtype)
    means = table @ values / table.sum(1)
    groups = means.numel()
    if groups < 2:
        raise ValueError(f"{groups} group")
    half = t * ((means - means.mean()).square().sum() / (groups - 1) / groups).sqrt()
    return [float(means.mean() + sign * half) for sign in (0, -1, 1)]


ex.background("`t` is a quantile")
ex.breach("$$m \\pm t", "no_root")
ex.breach("`values` `(N,)` are the errors", "mean_of_pictures")
ex.breach("equal numbers belong together", "pictures_counted")
ex.breach("So count groups, not pictures", "pictures_counted")
ex.breach("Take the mean of every group", "medians")
ex.breach("With their mean $m$", "divided_by_g")
ex.breach("Every group counts once", "mean_of_pictures")
ex.breach("Return `(m, low, high)`", "high_first")
ex.breach("With fewer than two groups", "one_group_accepted")
