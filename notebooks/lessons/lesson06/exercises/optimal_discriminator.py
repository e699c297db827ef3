"""Lesson 06: what the best discriminator says, with and without smoothing."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="optimal_discriminator",
    importance="may",
    lesson="06",
    title="The best D for two densities",
    difficulty=2,
    minutes=8,
    spec=r"""
    Suppose D could give any answer at any place $x$. Its cross-entropy there is that of a coin: real data
    comes with density $p$ and target $a$ (`real_label`), fakes come with density $q$ and target $b$
    (`fake_label`):

    $$-p\,[a \log D + (1 - a) \log(1 - D)] - q\,[b \log D + (1 - b) \log(1 - D)].$$

    Return the $D(x)$ that minimises it, for maps of $p$ and $q$. Check yourself: without smoothing it is $p
    / (p + q)$. Where both densities are 0, D is never asked and nothing is best: return NaN there.
    """,
    hints=(
        "Collect the terms: -A log D - B log(1 - D). What are A and B? Which D minimises this?",
        "The minimum is at D = A / (A + B), with A = a p + b q and B = (1 - a) p + (1 - b) q.",
        "A + B = p + q. So `(real_label * p + fake_label * q) / (p + q)`; 0 / 0 is NaN by itself.",
    ),
    source="Goodfellow et al. 2014, prop. 1; Salimans et al. 2016, sec. 3.4 (with smoothed labels).",
    equivalent={"value.detach()": "densities are data: no gradient is asked for"},
)


@ex.reference
def optimal_discriminator(p: Tensor, q: Tensor, real_label: float, fake_label: float) -> Tensor:
    """Densities p (real) and q (fake), equal shapes, targets 0 <= fake < real <= 1 -> D in [0, 1] or NaN."""
    return (real_label * p + fake_label * q) / (p + q)


@ex.edges
def _() -> list[Args]:
    p, q = torch.tensor([1.0, 0.0, 0.5, 0.2, 3.0]), torch.tensor([0.0, 1.0, 0.5, 0.6, 1.0])
    labels = [(1.0, 0.0), (0.9, 0.0), (0.9, 0.1), (1.0, 0.1), (0.8, 0.3)]
    nowhere = torch.zeros(2)
    some = (
        torch.tensor([[0.0, 2.0, 0.0], [0.0, 1e-6, 40.0]]),
        torch.tensor([[0.0, 0.0, 3.0], [0.5, 3e-6, 0.0]]),
    )
    small = torch.tensor([1e-7, 3e-6]), torch.tensor([3e-7, 1e-6])
    tiny = torch.tensor([1e-13, 2e-20]), torch.tensor([3e-13, 6e-20])
    nan_among_others = [(*some, a, b) for a, b in labels[:3]]
    return [
        *((p, q, a, b) for a, b in labels),
        *((nowhere, nowhere, 0.9, 0.0), *nan_among_others, (*small, 0.9, 0.1), (*tiny, 0.8, 0.0)),
        (some[0].T, some[1].T, 0.7, 0.2),
        (torch.tensor(2.0), torch.tensor(0.5), 0.95, 0.5),
        (p, p, 0.9, 0.2),
    ]


@ex.inputs
def _(case: Case) -> Args:
    p, q = case.rand(case.height, case.width), case.rand(case.height, case.width)
    real = case.choice((1.0, 0.9, 0.75))
    return 2 * p, q, real, case.choice((0.0, 0.0, 0.1, 0.25))


ex.wrong(
    "not_smoothed",
    "You leave the labels out: this is the best D without smoothing.",
    lambda p, q, a, b: p / (p + q),
)
ex.wrong(
    "one_sided_always",
    "You forget the fake label: with b > 0 the fake density stands in the numerator, and that is what is "
    "wrong with two-sided smoothing.",
    lambda p, q, a, b: a * p / (p + q),
)
ex.wrong(
    "labels_as_weights",
    "You weigh the densities by their labels above and below; what D has seen is p + q, whatever the "
    "labels say.",
    lambda p, q, a, b: a * p / (a * p + b * q),
)
ex.wrong(
    "symmetric",
    "You take 1 - a for the fake label; the two labels are independent.",
    lambda p, q, a, b: (a * p + (1 - a) * q) / (p + q),
)
ex.wrong(
    "swapped",
    "You have real and fake the wrong way round: where only fakes are, D should say b.",
    lambda p, q, a, b: (a * q + b * p) / (p + q),
)
ex.wrong(
    "ratio",
    "You return the ratio of the densities; D is a probability.",
    lambda p, q, a, b: (a * p + b * q) / q,
)
ex.wrong(
    "logit",
    "You return the logit of the best D; the probability is asked.",
    lambda p, q, a, b: ((a * p + b * q) / (p + q)).logit(),
)
ex.wrong(
    "unsure_where_empty",
    "You say 0.5 where neither density has mass; D is never asked there, so nothing is known.",
    lambda p, q, a, b: torch.where(p + q > 0, (a * p + b * q) / (p + q), 0.5),
)
ex.wrong(
    "epsilon",
    "You add a small number below the line: the answer becomes 0 where D was never asked, which looks like "
    "“surely fake”.",
    lambda p, q, a, b: (a * p + b * q) / (p + q + 1e-8),
)
ex.wrong(
    "clamped",
    "You compute p / (p + q) and cut it to [b, a]: smoothing rescales the answer, it does not cut it.",
    lambda p, q, a, b: (p / (p + q)).clamp(b, a),
)
ex.wrong(
    "normalised",
    "You make both maps sum to 1 first; they are densities already, sampled at some places.",
    lambda p, q, a, b: (a * p / p.sum() + b * q / q.sum()) / (p / p.sum() + q / q.sum()),
)


ex.right(lambda p, q, a, b: a * (p / (p + q)) + b * (q / (p + q)))
ex.right(lambda p, q, a, b: b + (a - b) * p.div(p + q))
ex.right(lambda p, q, a, b: torch.lerp(torch.full_like(p, b), torch.full_like(p, a), p / (p + q)))


@ex.right
def _(p: Tensor, q: Tensor, real_label: float, fake_label: float) -> Tensor:
    for_real = real_label * p + fake_label * q
    for_fake = (1 - real_label) * p + (1 - fake_label) * q
    return for_real / (for_real + for_fake)


@ex.right
def _(p: Tensor, q: Tensor, real_label: float, fake_label: float) -> Tensor:
    out = torch.full_like(p, torch.nan)
    seen = p + q > 0
    share = p[seen] / (p[seen] + q[seen])
    out[seen] = share * real_label + (1 - share) * fake_label
    return out


ex.wrong(
    "zero_where_empty",
    "You give 0 where both densities are 0; nothing is known there: it is NaN.",
    lambda p, q, a, b: ((a * p + b * q) / (p + q)).nan_to_num(0.0),
)
ex.wrong(
    "one_minus",
    "You return the probability that a place is fake; D says how likely it is real.",
    lambda p, q, a, b: 1 - (a * p + b * q) / (p + q),
)
ex.wrong(
    "fake_label_added",
    "You add the fake label itself; it counts only as far as fakes come: b q / (p + q).",
    lambda p, q, a, b: a * p / (p + q) + b + 0 * q,
)
ex.wrong(
    "span_of_the_labels",
    "You multiply p / (p + q) by a - b and do not add b.",
    lambda p, q, a, b: (a - b) * p / (p + q),
)
ex.wrong(
    "fake_label_subtracted",
    "You subtract the part of the fake label; it is added.",
    lambda p, q, a, b: (a * p - b * q) / (p + q),
)
ex.wrong(
    "mean_of_the_labels",
    "You take the densities as equal: the mean of the labels.",
    lambda p, q, a, b: (a + b) / 2 * (p + q) / (p + q),
)
ex.wrong(
    "hard_decision",
    "You let D decide for the larger density; the best answer under a cross-entropy is a probability.",
    lambda p, q, a, b: torch.where(p + q > 0, torch.where(p > q, a, b), torch.nan).to(p.dtype),
)
ex.wrong(
    "nan_where_one_is_missing",
    "You give NaN where *one* density is 0; only where both are, nothing is best.",
    lambda p, q, a, b: torch.where((p > 0) & (q > 0), (a * p + b * q) / (p + q), torch.nan),
)
ex.wrong(
    "empty_by_a_limit",
    "You take small densities for 0; only where both are exactly 0 nothing is best.",
    lambda p, q, a, b: torch.where(p + q > 1e-6, (a * p + b * q) / (p + q), torch.nan),
)
for _limit in (1e-3, 1e-8):
    ex.wrong(
        f"empty_below_{_limit:g}",
        "You take small densities for 0; only where both are exactly 0 nothing is best.",
        lambda p, q, a, b, limit=_limit: torch.where(p + q > limit, (a * p + b * q) / (p + q), torch.nan),
    )
common_slips(ex, "returned_nothing", "float32_result", "axes_of_one_lost", "flattened")

ex.background("Suppose D could give any answer")
ex.breach("real data comes with density", "swapped")
ex.breach("$$-p\\,[a", "symmetric")
ex.breach("$$-p\\,[a", "labels_as_weights")
ex.breach("$$-p\\,[a", "one_sided_always")
ex.breach("Return the $D(x)$", "logit")
ex.breach("for maps of $p$ and $q$", "normalised")
ex.breach("Check yourself", "ratio")
ex.breach("Where both densities are 0", "unsure_where_empty")
ex.breach("return NaN there", "zero_where_empty")
ex.breach("Where both densities are 0", "nan_where_one_is_missing")
