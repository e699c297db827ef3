"""Lesson 11: KL divergence of two histograms, with its conventions spelled out."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="histogram_kl",
    lesson="11",
    title="A divergence with its conventions",
    difficulty=2,
    minutes=8,
    spec=r"""
    "KL divergence of the histogram" is not yet a number. Here it is: add `smoothing` to every share of both
    histograms, scale each back to a sum of 1, and return

    $$D(\text{image} \parallel \text{reference}) = \sum_i p_i \log \frac{p_i}{q_i}$$

    with $p$ the image's and $q$ the reference's smoothed shares and the natural logarithm.
    """,
    hints=(
        "Smoothing first, then scaling: after it both sum to 1 again, and no share is zero.",
        "The image's share weighs each term: bins that the image does not use hardly count.",
        "`p = (image + smoothing) / (image + smoothing).sum()`, the same for q, then "
        "`(p * (p / q).log()).sum()`.",
    ),
    source="Kullback, Leibler 1951; additive smoothing as in Laplace's rule of succession.",
    equivalent={"value.detach()": "no gradient is asked for"},
)


@ex.reference
def histogram_kl(image: Tensor, reference: Tensor, smoothing: float) -> Tensor:
    """Two histograms (bins,) of shares -> Kullback-Leibler divergence in nats, a scalar."""
    p = (image + smoothing) / (image + smoothing).sum()
    q = (reference + smoothing) / (reference + smoothing).sum()
    return (p * (p / q).log()).sum()


@ex.edges
def _() -> list[Args]:
    rows = [([0.5, 0.5, 0.0], [0.5, 0.0, 0.5]), ([1.0, 0.0], [0.0, 1.0]), ([0.25] * 4, [0.1, 0.2, 0.3, 0.4])]
    rows += [([0.25, 0.75], [0.25, 0.75]), ([0.0, 1.0, 0.0], [0.0, 0.5, 0.5]), ([1.0], [1.0])]
    full = torch.tensor([0.25, 0.75]), torch.tensor([0.5, 0.5])
    tensors = [tuple(torch.tensor(x, dtype=torch.float64) for x in pair) for pair in rows]
    smoothed: list[Args] = [(p, q, eps) for p, q in tensors for eps in (0.1, 1e-3)]
    return [*smoothed, (*full, 0.0), (*full, 3.0), (*tensors[0], 1)]


@ex.inputs
def _(case: Case) -> Args:
    bins = case.integer(2, 12)
    counts = [(case.rand(bins) * 8).floor() for _ in range(2)]
    for c in counts:
        c[case.integer(0, bins - 1)] += 1  # never empty
    return (*(c / c.sum() for c in counts), case.choice((0.5, 0.05, 1e-3)))


def _smooth(x: Tensor, eps: float) -> Tensor:
    return (x + eps) / (x + eps).sum()


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum()


ex.wrong(
    "reversed",
    "You have the direction the wrong way round: here the image's share weighs the terms.",
    lambda p, q, e: _kl(_smooth(q, e), _smooth(p, e)),
)
ex.wrong(
    "not_scaled",
    "You add the smoothing but do not scale back to a sum of 1; then it is no divergence of distributions.",
    lambda p, q, e: _kl(p + e, q + e),
)
ex.wrong(
    "reference_only",
    "You smooth the reference alone; an empty bin of the image then gives 0 times log 0: not a number.",
    lambda p, q, e: _kl(p, _smooth(q, e)),
)
ex.wrong(
    "image_only",
    "You smooth the image alone; where the reference is empty the divergence is infinite.",
    lambda p, q, e: _kl(_smooth(p, e), q),
)
ex.wrong("bits", "You use the logarithm of base 2: bits instead of nats.", lambda p, q, e: (
    _smooth(p, e) * (_smooth(p, e) / _smooth(q, e)).log2()).sum())  # fmt: skip
ex.wrong(
    "mean",
    "You average over the bins; with more bins the same two images would seem closer.",
    lambda p, q, e: _kl(_smooth(p, e), _smooth(q, e)) / len(p),
)
ex.wrong(
    "symmetric",
    "You add both directions (Jeffreys' divergence); one is asked for.",
    lambda p, q, e: _kl(_smooth(p, e), _smooth(q, e)) + _kl(_smooth(q, e), _smooth(p, e)),
)
ex.wrong(
    "cross_entropy",
    "You leave out the image's own entropy: the cross-entropy is not zero for equal histograms.",
    lambda p, q, e: -(_smooth(p, e) * _smooth(q, e).log()).sum(),
)
ex.wrong(
    "absolute_terms",
    "You take absolute values of the terms; negative ones belong to it, the sum is never negative anyway.",
    lambda p, q, e: (_smooth(p, e) * (_smooth(p, e) / _smooth(q, e)).log()).abs().sum(),
)
ex.wrong(
    "smoothing_at_the_log",
    "You weigh with the image's shares before smoothing: the smoothing stands inside the logarithm alone.",
    lambda p, q, e: (p * ((p + e) / (q + e)).log()).sum(),
)
ex.wrong(
    "python_number", "You return a Python number (`.item()`), not a tensor.",
    lambda p, q, e: _kl(_smooth(p, e), _smooth(q, e)).item(),
)  # fmt: skip

ex.wrong(
    "scaled_by_one",
    "You divide by 1 + smoothing; every bin has got the smoothing, so divide by the new sum.",
    lambda p, q, e: _kl((p + e) / (1 + e), (q + e) / (1 + e)),
)
ex.wrong(
    "clamped",
    "You raise empty bins to the smoothing (`clamp`); it is added to every share.",
    lambda p, q, e: _kl(p.clamp(min=e) / p.clamp(min=e).sum(), q.clamp(min=e) / q.clamp(min=e).sum()),
)
ex.wrong(
    "shared_out",
    "You share the smoothing out over the bins; the whole of it is added to each.",
    lambda p, q, e: _kl(_smooth(p, e / len(p)), _smooth(q, e / len(q))),
)
ex.wrong(
    "sign_turned",
    "You return the negative: a divergence is never below 0.",
    lambda p, q, e: -_kl(_smooth(p, e), _smooth(q, e)),
)
ex.wrong(
    "jensen_shannon",
    "You compare both with their middle (Jensen-Shannon); the image is compared with the reference.",
    lambda p, q, e: (
        (
            _kl(_smooth(p, e), (_smooth(p, e) + _smooth(q, e)) / 2)
            + _kl(_smooth(q, e), (_smooth(p, e) + _smooth(q, e)) / 2)
        )
        / 2
    ),
)
ex.wrong(
    "unweighted",
    "You add the logarithms without their weights, the image's shares.",
    lambda p, q, e: (_smooth(p, e) / _smooth(q, e)).log().sum(),
)
ex.wrong(
    "terms",
    "You return a number per bin; their sum was asked for.",
    lambda p, q, e: _smooth(p, e) * (_smooth(p, e) / _smooth(q, e)).log(),
)
ex.wrong(
    "no_smoothing",
    "You do not smooth: an empty bin gives an infinite number or none at all.",
    lambda p, q, e: _kl(p, q),
)
ex.wrong(
    "empty_bins_left_out",
    "You smooth and then leave out the bins that were empty.",
    lambda p, q, e: (_smooth(p, e) * (_smooth(p, e) / _smooth(q, e)).log())[(p > 0) & (q > 0)].sum(),
)


ex.right(lambda p, q, e: F.kl_div(_smooth(q, e).log(), _smooth(p, e), reduction="sum"))
ex.right(lambda p, q, e: (_smooth(p, e) * (_smooth(p, e).log() - _smooth(q, e).log())).sum())
ex.right(lambda p, q, e: _smooth(p, e) @ torch.log(_smooth(p, e) / _smooth(q, e)))


@ex.right
def _(image: Tensor, reference: Tensor, smoothing: float) -> Tensor:
    p, q = (torch.distributions.Categorical(probs=x + smoothing) for x in (image, reference))
    return torch.distributions.kl_divergence(p, q)


ex.background('"KL divergence of the histogram" is not yet a number.')
ex.breach("Here it is: add `smoothing` to every share of both histograms", "reference_only")
ex.breach("scale each back to a sum of 1", "not_scaled")
ex.breach(r"$$D(\text{image} \parallel \text{reference})", "absolute_terms")
ex.breach("with $p$ the image's and $q$ the reference's", "reversed")
ex.breach("and the natural logarithm", "bits")
