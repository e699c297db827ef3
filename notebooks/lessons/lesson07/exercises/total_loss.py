"""Lesson 07: the weighted sum that the generators minimise."""

from collections.abc import Callable

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

Weights = tuple[float, float, float, float]

ex = Exercise(
    id="total_loss",
    lesson="07",
    title="One number out of four",
    difficulty=2,
    minutes=10,
    spec=r"""
    What the generators minimise together:

    $$L = \lambda_\text{GAN} L_\text{adv} + \lambda_{L1} L_\text{pixel} + \lambda_\text{cyc} L_\text{cycle} +
    \lambda_\text{FM} L_\text{FM}.$$

    Each term comes as a vector with one entry per direction: two (SEM → layout, layout → SEM), or one if
    only one direction is trained. The adversarial term is the *mean* over directions (so 0.5 each with two),
    the other terms are *sums*. A term of weight 0 is switched off: it must not contribute, not even where it
    is infinite or NaN. If every term is off, the loss is 0 (a scalar tensor). The gradient must reach every
    term that is on.
    """,
    hints=(
        "Pair weights with terms: `zip(weights, (adversarial.mean(), pixel.sum(), ...), strict=True)`.",
        "0 * NaN is NaN, and 0 * infinity as well: skip the term, do not multiply it.",
        "Start from `total = pixel.new_zeros(())` and `total = total + weight * term` if `weight != 0`.",
    ),
    source="Isola et al. 2017, eq. 4; Zhu et al. 2017, eq. 3; Wang et al. 2018, eq. 4.",
    gradients=("adversarial", "pixel", "cycle", "matching"),
    equivalent={
        "strict=True": "there are four of each",
        "`True` -> `False`": "there are four of each",
        "value.detach()": "a new zero has no graph to lose",
    },
)


@ex.reference
def total_loss(
    adversarial: Tensor,
    pixel: Tensor,
    cycle: Tensor,
    matching: Tensor,
    weights: tuple[float, float, float, float],
) -> Tensor:
    """Four terms (D,), one entry per direction; weights (GAN, L1, cycle, FM), each >= 0 -> scalar."""
    total = pixel.new_zeros(())
    terms = adversarial.mean(), pixel.sum(), cycle.sum(), matching.sum()
    for weight, term in zip(weights, terms, strict=True):
        if weight != 0:
            total = total + weight * term
    return total


@ex.edges
def _() -> list[Args]:
    a, b = torch.tensor([0.5, 1.5]), torch.tensor([0.25, 0.125])
    c, d = torch.tensor([1.0, 3.0]), torch.tensor([2.0, 0.5])
    broken = torch.tensor([float("nan"), 1.0]), torch.tensor([float("inf"), float("inf")])
    one = tuple(t[:1] for t in (a, b, c, d))
    off = 0.0, 0.0, 0.0, 0.0
    return [
        *((a, b, c, d, w) for w in ((1.0, 100.0, 10.0, 10.0), (1.0, 0.0, 0.0, 0.0), (0.0, 100.0, 0.0, 0.0))),
        *((a, b, c, d, w) for w in ((0.0, 0.0, 10.0, 0.0), (0.0, 0.0, 0.0, 10.0), off)),
        (*(t.double() for t in one), off),
        (*one, (1.0, 100.0, 10.0, 10.0)),
        (broken[0], b, c, broken[1], (0.0, 100.0, 10.0, 0.0)),
        (a, b, broken[1], d, (1.0, 100.0, 0.0, 10.0)),
        (a, broken[0], c, d, (1.0, 0.0, 10.0, 0.0)),
        (a, b, c, broken[0], (1.0, 100.0, 10.0, 10.0)),
        (a, b, broken[1], d, (1.0, 100.0, 10.0, 10.0)),
        (-a, 0 * b, c, d, (0.5, 0.1, 0.25, 2.5)),
        (*(-t[:1] for t in one), (1e-3, 1e-9, 0.0, 1e3)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    directions = 1 if case.seed % 4 == 0 else 2
    weights = tuple(case.choice((w, w, 0.0)) for w in (1.0, case.choice((50.0, 100.0)), 10.0, 5.0))
    return *(case.rand(directions) + 0.1 for _ in range(4)), weights


Answer = Callable[[Tensor, Tensor, Tensor, Tensor, Weights], Tensor]


def _total(terms: tuple[Tensor, ...], weights: tuple[float, ...]) -> Tensor:
    on = [w * t for w, t in zip(weights, terms, strict=True) if w]
    return torch.stack(on).sum() if on else torch.zeros_like(terms[0])


ex.wrong(
    "adversarial_sum",
    "You sum the adversarial term over directions: with two of them its weight would be twice that of one.",
    lambda a, p, c, m, w: _total((a.sum(), p.sum(), c.sum(), m.sum()), w),
)
ex.wrong(
    "all_means",
    "You average every term over directions; only the adversarial one is a mean.",
    lambda a, p, c, m, w: _total((a.mean(), p.mean(), c.mean(), m.mean()), w),
)
ex.wrong(
    "always_halved",
    "You halve the adversarial term even if there is one direction only.",
    lambda a, p, c, m, w: _total((a.sum() / 2, p.sum(), c.sum(), m.sum()), w),
)
ex.wrong(
    "zero_times_nan",
    "You multiply switched-off terms by 0: 0 * NaN is NaN, so a term that nobody uses spoils the loss.",
    lambda a, p, c, m, w: w[0] * a.mean() + w[1] * p.sum() + w[2] * c.sum() + w[3] * m.sum(),
)
ex.wrong(
    "nan_hidden",
    "You turn NaN into 0: a term that *is* used must be allowed to stop the training when it breaks.",
    lambda a, p, c, m, w: _total(
        tuple(t.nan_to_num(posinf=0.0) for t in (a.mean(), p.sum(), c.sum(), m.sum())), w
    ),
)
ex.wrong(
    "weights_normalised",
    "You divide by the sum of the weights: the terms' balance stays, but the step size of training changes.",
    lambda a, p, c, m, w: _total((a.mean(), p.sum(), c.sum(), m.sum()), w) / (sum(w) or 1.0),
)
ex.wrong(
    "first_direction",
    "You take the first direction only: the other generator would learn nothing.",
    lambda a, p, c, m, w: _total((a[0], p[0], c[0], m[0]), w),
)
ex.wrong(
    "weights_rotated",
    "You have the weights in another order: it is GAN, L1, cycle, feature matching.",
    lambda a, p, c, m, w: _total((a.mean(), p.sum(), c.sum(), m.sum()), (w[1], w[0], w[2], w[3])),
)
ex.wrong(
    "adversarial_subtracted",
    "You subtract the adversarial term: it is a loss of G already, and both are minimised.",
    lambda a, p, c, m, w: _total((-a.mean(), p.sum(), c.sum(), m.sum()), w),
)
ex.wrong(
    "detached",
    "You detach the terms (`.item()`, `float()`): the number is right, but nothing can be learnt from it.",
    lambda a, p, c, m, w: _total((a.mean(), p.sum(), c.sum(), m.sum()), w).detach(),
)
ex.wrong(
    "matching_forgotten",
    "You leave feature matching out.",
    lambda a, p, c, m, w: _total((a.mean(), p.sum(), c.sum()), w[:3]),
)
ex.wrong(
    "python_zero",
    "You return a Python 0 if every term is off; the training loop needs a tensor in any case.",
    lambda a, p, c, m, w: _total((a.mean(), p.sum(), c.sum(), m.sum()), w) if any(w) else 0,
)

ex.wrong(
    "means_and_sums_swapped",
    "You sum the adversarial term and average the others; it is the other way round.",
    lambda a, p, c, m, w: _total((a.sum(), p.mean(), c.mean(), m.mean()), w),
)
ex.wrong(
    "per_direction",
    "You return one number per direction; the generators minimise one number.",
    lambda a, p, c, m, w: sum(
        (k * t for k, t in zip(w, (a / len(a), p, c, m), strict=True) if k), torch.zeros_like(p)
    ),
)
ex.wrong(
    "small_weights_dropped",
    "You drop terms of a small weight, too; only a weight of exactly 0 switches a term off.",
    lambda a, p, c, m, w: _total(
        (a.mean(), p.sum(), c.sum(), m.sum()), tuple(x if x >= 1 else 0.0 for x in w)
    ),
)
ex.wrong(
    "unweighted",
    "You add the terms without their weights.",
    lambda a, p, c, m, w: _total((a.mean(), p.sum(), c.sum(), m.sum()), tuple(float(x > 0) for x in w)),
)
ex.wrong(
    "cycle_forgotten",
    "You leave the cycle loss out.",
    lambda a, p, c, m, w: _total((a.mean(), p.sum(), m.sum()), (w[0], w[1], w[3])),
)


ex.right(lambda a, p, c, m, w: _total((a.mean(), p.sum(), c.sum(), m.sum()), w))
ex.right(
    lambda a, p, c, m, w: sum(
        (k * t.sum() for k, t in zip(w, (a / len(a), p, c, m), strict=True) if k > 0), a.new_zeros(())
    )
)


@ex.right
def _(adversarial: Tensor, pixel: Tensor, cycle: Tensor, matching: Tensor, weights: Weights) -> Tensor:
    gan, l1, cyc, fm = weights
    total = torch.zeros((), dtype=pixel.dtype, device=pixel.device)
    if gan:
        total = total + gan * adversarial.mean()
    if l1:
        total = total + l1 * pixel.sum()
    if cyc:
        total = total + cyc * cycle.sum()
    if fm:
        total = total + fm * matching.sum()
    return total


@ex.right
def _(adversarial: Tensor, pixel: Tensor, cycle: Tensor, matching: Tensor, weights: Weights) -> Tensor:
    table = torch.stack([adversarial / adversarial.numel(), pixel, cycle, matching])
    factors = torch.tensor(weights, dtype=table.dtype, device=table.device)[:, None].expand_as(table)
    on = factors != 0
    return (factors[on] * table[on]).sum()


@ex.right
def _(adversarial: Tensor, pixel: Tensor, cycle: Tensor, matching: Tensor, weights: Weights) -> Tensor:
    total = torch.zeros_like(adversarial)  # per direction
    for weight, term in zip(weights, (adversarial / len(pixel), pixel, cycle, matching), strict=True):
        total = total + weight * (term if weight else torch.zeros_like(term))
    return total.sum()


ex.background("What the generators minimise together:")
ex.breach(r"$$L = \lambda_\text{GAN}", "matching_forgotten")
ex.breach("Each term comes as a vector with one entry per direction", "always_halved")
ex.breach("The adversarial term is the *mean* over directions", "all_means")
ex.breach("A term of weight 0 is switched off", "zero_times_nan")
ex.breach("If every term is off, the loss is 0", "python_zero")
ex.breach("The gradient must reach every term that is on.", "detached")
