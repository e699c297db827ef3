"""Lesson 17: whether a made picture is a copy of a training target."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Answer, Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="copy_score",
    lesson="17",
    title="Is it a copy?",
    difficulty=3,
    minutes=12,
    spec=r"""
    How special is the training target that lies nearest to a made picture? `made` is `(N, C, H, W)`,
    `train` are the training targets `(M, C, H, W)`, and `group` `(M,)` has a whole number for each
    target: equal numbers show the same thing. The distance of two pictures is the mean absolute
    difference over all of their numbers. For each made picture let $d_1$ be the distance to the nearest
    target, and $d_2$ the distance to the nearest target of any *other* group than that one's. Return

    $$1 - \frac{d_1}{d_2},$$

    one number per made picture, `(N,)`. An exact copy has 1. A blurred picture lies about equally far
    from all targets, so it has nearly 0. There are at least two groups, and $d_2$ is never 0.
    """,
    hints=(
        "All distances at once: `(made[:, None] - train[None]).abs().mean(dim=(2, 3, 4))` is `(N, M)`.",
        "`near, which = apart.min(dim=1)`; `group[which]` is the group of each nearest target.",
        "`other = apart.masked_fill(group[which][:, None] == group[None], float('inf')).min(dim=1).values`, "
        "then `1 - near / other`.",
    ),
    source="Carlini et al. 2023, “Extracting training data from diffusion models”, sec. 5 (the distance "
    "to the nearest training image relative to others); Lowe 2004 (the nearest over the second nearest).",
    equivalent={
        "min(dim=-1)`": "of two axes the last is 1 and -1",
        "`(2, 3, 4)` -> ": "the order of averaged axes does not matter",
        "`train[None] - made[:, None]`": "the absolute value forgets the sign",
        "value.detach()": "a score is a number to decide by; nobody takes its gradient",
        ".mean` -> ": "a sum is a mean times a constant: the ratio stays",
    },
)


@ex.reference
def copy_score(made: Tensor, train: Tensor, group: Tensor) -> Tensor:
    """made (N, C, H, W), training targets (M, C, H, W), their groups (M,) -> (N,), 1 for an exact copy."""
    apart = (made[:, None] - train[None]).abs().mean(dim=(2, 3, 4))
    near, which = apart.min(dim=1)
    same = group[which][:, None] == group[None]
    other = apart.masked_fill(same, float("inf")).min(dim=1).values
    return 1 - near / other


def _scene(groups: int, each: int, shape: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor]:
    """Targets in which those of a group are alike, and their groups, in mixed order."""
    draw = torch.Generator().manual_seed(seed)
    means = torch.rand(groups, *shape, generator=draw, dtype=torch.float64)
    apart = 0.1 * torch.randn(groups, each, *shape, generator=draw, dtype=torch.float64)
    order = torch.randperm(groups * each, generator=draw)
    numbers = torch.arange(groups).repeat_interleave(each) * 3 + 2
    return (means[:, None] + apart).flatten(0, 1)[order], numbers[order]


@ex.edges
def _() -> list[Args]:
    train, group = _scene(4, 2, (3, 4, 5), 1)
    alone, numbers = _scene(5, 1, (1, 3, 2), 2)
    levels = torch.tensor([0.0, 0.1, 1.0, 4.0]).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    between = torch.tensor([0.05, 0.5, 2.0, 9.0, 0.0]).view(5, 1, 1, 1).expand(5, 1, 2, 2)
    corner = torch.zeros(2, 1, 2, 2)
    corner[0, 0, 0, 0], corner[1] = 1.0, 0.3  # squares and absolute values differ in what is nearest
    return [
        (train[:3] + 0.02, train, group),
        (train, train, group),
        (train.mean(0, keepdim=True).expand(2, -1, -1, -1), train, group),
        (alone.flip(0) + 0.1, alone, numbers),
        (between, levels, torch.tensor([7, 7, 3, 3])),
        (between, levels, torch.tensor([0, 1, 0, 1])),
        (torch.zeros(1, 1, 2, 2), corner, torch.tensor([0, 1])),
        (train[:4].mT.contiguous().mT * 0.5, train, group),
        (torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(5)).double(), train, group.flip(0)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = case.integer(1, 3), case.height, case.width
    train, group = _scene(case.integer(2, 5), case.integer(1, 3), shape, case.seed)
    made = train[torch.randint(len(train), (case.batch,), generator=case.generator)]
    noise = case.choice((0.05, 0.3, 1.0)) * case.randn(*made.shape).double()
    return (made + noise).to(case.dtype), train.to(case.dtype), group


def _absolute(made: Tensor, train: Tensor) -> Tensor:
    return (made[:, None] - train[None]).abs().mean((2, 3, 4))


def _second(apart: Tensor, group: Tensor) -> Tensor:
    own = group[apart.argmin(1)][:, None] == group
    return apart.masked_fill(own, torch.inf).amin(1)


def _with(
    *,
    apart: Callable[[Tensor, Tensor], Tensor] = _absolute,
    second: Callable[[Tensor, Tensor], Tensor] = _second,
    result: Callable[[Tensor, Tensor], Any] = lambda near, other: 1 - near / other,
) -> Answer:
    """The function with one thing changed."""

    def answer(made: Tensor, train: Tensor, group: Tensor) -> Any:
        far = apart(made, train)
        return result(far.amin(1), second(far, group))

    return answer


for name, misconception, answer in (
    (
        "next_of_any_group",
        "You take the second nearest target of any group: if it shows the same thing as the nearest, a copy "
        "is not seen.",
        _with(second=lambda apart, group: apart.sort(1).values[:, 1]),
    ),
    (
        "mean_of_the_others",
        "You compare with the mean distance to the other groups; the nearest of them is wanted.",
        _with(
            second=lambda apart, group: apart.masked_fill(
                group[apart.argmin(1)][:, None] == group, torch.nan
            ).nanmean(1)
        ),
    ),
    (
        "farthest",
        "You compare with the farthest target; the nearest of another group is wanted.",
        _with(second=lambda apart, group: apart.amax(1)),
    ),
    (
        "mean_of_all",
        "You compare with the mean distance to all targets.",
        _with(second=lambda apart, group: apart.mean(1)),
    ),
    (
        "squared",
        "You square the differences; their absolute value is meant.",
        _with(apart=lambda made, train: (made[:, None] - train[None]).square().mean((2, 3, 4))),
    ),
    (
        "euclidean",
        "You take the root of the sum of squares; the distance is the mean absolute difference.",
        _with(apart=lambda made, train: torch.cdist(made.flatten(1), train.flatten(1))),
    ),
    (
        "signed",
        "You average the differences with their signs; too bright here and too dark there then cancel.",
        _with(apart=lambda made, train: (made[:, None] - train[None]).mean((2, 3, 4)).abs()),
    ),
    (
        "first_channel",
        "You compare the first channel only.",
        _with(apart=lambda made, train: _absolute(made[:, :1], train[:, :1])),
    ),
    (
        "ratio",
        "You return the ratio itself; 1 minus the ratio is wanted, so that a copy has 1.",
        _with(result=lambda near, other: near / other),
    ),
    (
        "upside_down",
        "You divide the wrong way round.",
        _with(result=lambda near, other: 1 - other / near),
    ),
    (
        "difference",
        "You subtract the distances; the ratio is wanted, which does not depend on the contrast.",
        _with(result=lambda near, other: other - near),
    ),
    (
        "over_the_sum",
        "You divide by the sum of both distances.",
        _with(result=lambda near, other: 1 - near / (near + other)),
    ),
    (
        "averaged",
        "You average over the pictures; each keeps its own score.",
        _with(result=lambda near, other: (1 - near / other).mean()),
    ),
    (
        "column",
        "You return `(N, 1)`; one number per picture is `(N,)`.",
        _with(result=lambda near, other: (1 - near / other)[:, None]),
    ),
):
    ex.wrong(name, misconception, answer)
common_slips(ex, "returned_nothing", "python_number")


@ex.wrong(
    "score_of_the_targets",
    "You look for the nearest made picture of every target; it is the other way round.",
)
def _(made: Tensor, train: Tensor, group: Tensor) -> Tensor:
    apart = _absolute(made, train)
    return 1 - apart.amin(0) / apart.amin(0).clamp_min(1e-9).flip(0)


ex.right(_with())


@ex.right
def _(made: Tensor, train: Tensor, group: Tensor) -> Tensor:
    """Picture by picture."""
    scores = []
    for one in made:
        apart = (train - one).abs().flatten(1).mean(1)
        nearest = int(apart.argmin())
        others = apart[group != group[nearest]]
        scores.append(1 - apart[nearest] / others.min())
    return torch.stack(scores)


@ex.right
def _(made: Tensor, train: Tensor, group: Tensor) -> Tensor:
    """With city-block distances, and the smallest of every group."""
    apart = torch.cdist(made.flatten(1), train.flatten(1), p=1)
    groups = torch.stack([apart[:, group == g].amin(1) for g in group.unique()], dim=1)
    two = groups.sort(dim=1).values
    return 1 - two[:, 0] / two[:, 1]


@ex.right
def _(made: Tensor, train: Tensor, group: Tensor) -> Tensor:
    """With topk over groups."""
    count = made[0].numel()
    apart = (made.unsqueeze(1) - train.unsqueeze(0)).abs().flatten(2).sum(-1) / count
    which = {int(g) for g in group}
    best = torch.stack([torch.where(group == g, apart, torch.inf).min(dim=-1)[0] for g in which])
    near, other = best.topk(2, dim=0, largest=False).values
    return (other - near) / other


ex.background(
    "How special is the training target", "An exact copy has 1", "A blurred picture", "There are at least"
)
ex.breach("`made` is `(N, C, H, W)`", "score_of_the_targets")
ex.breach("equal numbers show the same thing", "next_of_any_group")
ex.breach("The distance of two pictures", "squared")
ex.breach("For each made picture let", "mean_of_the_others")
ex.breach("Return", "returned_nothing")
ex.breach("$$1 - ", "ratio")
ex.breach("one number per made picture", "averaged")
