"""Lesson 11: the two-sample Kolmogorov-Smirnov distance."""

import numpy as np
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="ks_distance",
    lesson="11",
    title="How far apart are two samples?",
    difficulty=3,
    minutes=12,
    spec=r"""
    The empirical distribution function of a sample is $F(x)$ = share of its values that are *not above* $x$:
    a staircase from 0 to 1. The Kolmogorov-Smirnov distance of two samples is the largest
    $|F_a(x) - F_b(x)|$ over all $x$. Both staircases change at values of the samples only, so it is enough to
    look there. The samples may differ in length and share values.
    """,
    hints=(
        "Look at every value of both samples: `torch.cat([a, b])`.",
        "`(a[:, None] <= at).double().mean(0)` is F_a at the points `at`.",
        "The largest absolute difference of the two shares, over all points: `.abs().max()`.",
    ),
    source="Kolmogorov 1933, Smirnov 1939; `scipy.stats.ks_2samp(a, b).statistic`.",
    equivalent={
        "value.detach()": "counting has no gradient",
        "value.double()": "a float32 value keeps its place among the others as float64",
        "`share_b - share_a`": "the absolute value forgets the sign",
    },
)


@ex.reference
def ks_distance(a: Tensor, b: Tensor) -> Tensor:
    """Samples (n,) and (m,) -> their Kolmogorov-Smirnov distance, a float64 scalar in [0, 1]."""
    at = torch.cat([a, b])
    share_a = (a[:, None] <= at).double().mean(0)
    share_b = (b[:, None] <= at).double().mean(0)
    return (share_a - share_b).abs().max()


@ex.edges
def _() -> list[Args]:
    rows: list[tuple[list[float], list[float]]] = [
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        ([1, 2, 3], [4, 5]),
        ([4, 5], [1, 2, 3]),
        ([1, 1, 2], [1, 2, 2, 2]),
        ([0], [0, 1, 2, 3, 4]),
        ([5, 1, 3], [2, 2, 6, 0]),
        ([1, 4], [2, 3]),
        ([2, 3], [1, 4]),
        ([7], [7]),
        ([3], [-3]),
        ([-1, -1, -1, 0], [0]),
        ([0.1, 0.1, 1e6], [0.1, 1e-6, -1e6]),
        ([0, 0.001, 0.002, 5], [0.003, 0.004, 0.005, 5]),
    ]
    double: list[Args] = [tuple(torch.tensor(x, dtype=torch.float64) for x in pair) for pair in rows]
    return [*double, tuple(x.float() for x in double[3]), tuple(x.float() for x in double[-2])]


@ex.inputs
def _(case: Case) -> Args:
    shift = case.choice((0.0, 1.0, -2.0))
    samples = 2 * case.randn(case.integer(2, 9)), 3 * case.randn(case.integer(2, 9)) + shift
    return tuple(x.round() if case.seed % 3 == 0 else x for x in samples)


def _shares(a: Tensor, at: Tensor) -> Tensor:
    return (a[:, None] <= at).double().mean(0)


ex.wrong(
    "signed",
    "You take the largest difference with its sign: a sample that lies above the other then seems near.",
    lambda a, b: (_shares(a, torch.cat([a, b])) - _shares(b, torch.cat([a, b]))).max(),
)
ex.wrong(
    "mean_difference",
    "You average the differences of the staircases; the distance is the largest one.",
    lambda a, b: (_shares(a, torch.cat([a, b])) - _shares(b, torch.cat([a, b]))).abs().mean(),
)
ex.wrong(
    "only_first",
    "You look at the values of the first sample alone; the largest gap may open at one of the second.",
    lambda a, b: (_shares(a, a) - _shares(b, a)).abs().max(),
)
ex.wrong(
    "strictly_below",
    "You count a's values below x but b's values not above x: equal values fall on different sides.",
    lambda a, b: (
        (a[:, None] < torch.cat([a, b])).double().mean(0) - _shares(b, torch.cat([a, b]))
    ).abs().max(),
)  # fmt: skip
ex.wrong(
    "counts",
    "You compare counts; samples of different length are compared by shares.",
    lambda a, b: (
        (a[:, None] <= torch.cat([a, b])).double().sum(0) - (b[:, None] <= torch.cat([a, b])).double().sum(0)
    ).abs().max(),
)  # fmt: skip
ex.wrong(
    "means",
    "You compare the means of the samples: that sees a shift, but neither spread nor shape.",
    lambda a, b: (a.double().mean() - b.double().mean()).abs(),
)
ex.wrong(
    "quantiles",
    "You compare sorted values: a distance along x, in the feature's unit. This one is between shares.",
    lambda a, b: (
        torch.quantile(a.double(), torch.linspace(0, 1, 11).double())
        - torch.quantile(b.double(), torch.linspace(0, 1, 11).double())
    ).abs().max(),
)  # fmt: skip
ex.wrong(
    "pooled_length",
    "You divide both counts by the length of both samples together; each share is of its own sample.",
    lambda a, b: (
        (a[:, None] <= torch.cat([a, b])).double().sum(0) - (b[:, None] <= torch.cat([a, b])).double().sum(0)
    ).abs().max()
    / (len(a) + len(b)),
)  # fmt: skip
ex.wrong(
    "rest_not_squared",
    "You square the differences; the distance is their size.",
    lambda a, b: (_shares(a, torch.cat([a, b])) - _shares(b, torch.cat([a, b]))).square().max(),
)
ex.wrong(
    "similarity", "You return 1 minus the distance.",
    lambda a, b: 1 - (_shares(a, torch.cat([a, b])) - _shares(b, torch.cat([a, b]))).abs().max(),
)  # fmt: skip

ex.wrong(
    "only_second",
    "You look at the values of the second sample alone; the largest gap may open at one of the first.",
    lambda a, b: (_shares(a, b) - _shares(b, b)).abs().max(),
)
ex.wrong(
    "grid",
    "You look at places on a regular grid: the largest gap may lie between two of them.",
    lambda a, b: (_shares(a, _grid(a, b)) - _shares(b, _grid(a, b))).abs().max(),
)
ex.wrong(
    "float32",
    "You return another precision than float64.",
    lambda a, b: (_shares(a, torch.cat([a, b])) - _shares(b, torch.cat([a, b]))).abs().max().float(),
)
ex.wrong(
    "python_number",
    "You return a Python number, not a tensor.",
    lambda a, b: float((_shares(a, torch.cat([a, b])) - _shares(b, torch.cat([a, b]))).abs().max()),
)
ex.wrong(
    "other_strictly_below",
    "You count b's values below x but a's values not above x: equal values fall on different sides.",
    lambda a, b: (
        (b[:, None] < torch.cat([a, b])).double().mean(0) - _shares(a, torch.cat([a, b]))
    ).abs().max(),
)  # fmt: skip
ex.wrong(
    "sum_of_gaps",
    "You add all gaps up; the distance is the largest one.",
    lambda a, b: (_shares(a, torch.cat([a, b])) - _shares(b, torch.cat([a, b]))).abs().sum(),
)
ex.wrong(
    "both_signs",
    "You add the largest gap upwards and the largest one downwards (Kuiper's distance); the larger was asked "
    "for.",
    lambda a, b: (
        (gap := _shares(a, torch.cat([a, b])) - _shares(b, torch.cat([a, b]))).max().clamp(min=0)
        - gap.min().clamp(max=0)
    ),
)
ex.wrong(
    "paired",
    "You pair the sorted values of the samples up, and count how many differ.",
    lambda a, b: (a.sort().values[: len(b)][: len(a)] != b.sort().values[: len(a)]).double().mean(),
)


def _grid(a: Tensor, b: Tensor) -> Tensor:
    low, high = torch.cat([a, b]).aminmax()
    return torch.linspace(float(low), float(high), 50, dtype=a.dtype)


ex.right(lambda a, b: (_shares(a, torch.cat([b, a])) - _shares(b, torch.cat([b, a]))).abs().amax())


@ex.right
def _(a: Tensor, b: Tensor) -> Tensor:
    at = torch.cat([a, b]).sort().values
    shares = [torch.searchsorted(x.sort().values, at, right=True).double() / len(x) for x in (a, b)]
    return (shares[0] - shares[1]).abs().max()


@ex.right
def _(a: Tensor, b: Tensor) -> Tensor:
    return torch.tensor(float(ks_2samp(a.numpy(), b.numpy()).statistic), dtype=torch.float64)


@ex.right
def _(a: Tensor, b: Tensor) -> Tensor:
    x, y = np.sort(a.numpy()), np.sort(b.numpy())
    gaps = [abs(np.mean(x <= v) - np.mean(y <= v)) for v in [*x, *y]]
    return torch.tensor(max(gaps), dtype=torch.float64)


@ex.right
def _(a: Tensor, b: Tensor) -> Tensor:  # above instead of not above: the same gap
    at = torch.cat([a, b])
    return ((b[:, None] > at).double().mean(0) - (a[:, None] > at).double().mean(0)).abs().max()


ex.breach("The empirical distribution function of a sample", "strictly_below")
ex.breach("The Kolmogorov-Smirnov distance of two samples is the largest", "mean_difference")
ex.breach("The Kolmogorov-Smirnov distance of two samples is the largest", "signed")
ex.breach("Both staircases change at values of the samples only", "only_first")
ex.breach("The samples may differ in length and share values.", "counts")
