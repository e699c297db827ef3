"""Lesson 06: one-sided label smoothing."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="smoothed_d_loss",
    lesson="06",
    title="Smooth one side only",
    difficulty=2,
    minutes=10,
    spec=r"""
    One-sided label smoothing asks D for $y$ = `real_label` (say 0.9) instead of 1 on real pairs. Fakes stay
    at 0, and the generator still aims at 1. With the cross-entropy on raw logits $r$ (real) and $f$ (fake):

    $$L_D = \tfrac12 \operatorname{mean}\left[-y \log \sigma(r) - (1 - y) \log(1 - \sigma(r))\right] +
    \tfrac12 \operatorname{mean}\left[-\log(1 - \sigma(f))\right].$$

    The second part of the real term is what bounds D's confidence: a logit above $\log(y / (1 - y))$ is too
    sure of itself and is pulled back. Value and gradient (by both maps) must be right at logits of -100 and
    100.
    """,
    hints=(
        "It is an ordinary cross-entropy with a target between 0 and 1 for the real logits.",
        "`F.binary_cross_entropy_with_logits(r, torch.full_like(r, real_label))` is the real term.",
        "By hand: -y log s(r) - (1 - y) log(1 - s(r)) = `F.softplus(r) - y * r`. Fakes: `F.softplus(f)`.",
    ),
    source="Salimans et al. 2016, sec. 3.4 (one-sided label smoothing).",
    gradients=("real_logits", "fake_logits"),
)


@ex.reference
def smoothed_d_loss(real_logits: Tensor, fake_logits: Tensor, real_label: float) -> Tensor:
    """Raw logits (B, 1, h, w) of real and fake pairs, D's target for real ones in (0.5, 1] -> scalar."""
    real = F.softplus(real_logits) - real_label * real_logits
    fake = F.softplus(fake_logits)
    return 0.5 * (real.mean() + fake.mean())


@ex.edges
def _() -> list[Args]:
    values = [
        ([3.0, 1.0], [0.25, -2.0]),
        ([-100.0, 100.0], [100.0, -100.0]),
        ([2.1972246], [-5.0]),
        ([150.0, 120.0], [-150.0, 1.0]),
    ]
    pairs = [tuple(torch.tensor(v).view(1, 1, 1, -1) for v in pair) for pair in values]
    maps = torch.linspace(-2.3, 6.1, 24).view(2, 1, 3, 4)
    pairs.append((maps, maps.flip(0) / 2))
    return [(*p, label) for p in pairs for label in (0.9, 0.7, 1.0, 0.55)]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.batch, 1, case.height, case.width)
    label = case.choice((0.9, 0.9, 0.8, 0.75, 1.0))
    return 3 * case.randn(*shape) + 1, 3 * case.randn(*shape) - 1, label


def _bce(logits: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


ex.wrong(
    "two_sided",
    "You smooth fakes too, to 1 - y: the best D then has the fake density in its numerator and says “a bit "
    "real” wherever G happens to be, so G has less reason to leave.",
    lambda r, f, y: (_bce(r, y) + _bce(f, 1 - y)) / 2,
)
ex.wrong(
    "wrong_side",
    "You smooth the fakes and leave the real ones at 1; it is the real target that moves.",
    lambda r, f, y: (_bce(r, 1.0) + _bce(f, 1 - y)) / 2,
)
ex.wrong(
    "not_smoothed",
    "You do not use `real_label` at all: D is rewarded for ever larger logits.",
    lambda r, f, y: (_bce(r, 1.0) + _bce(f, 0.0)) / 2,
)
ex.wrong(
    "scaled_only",
    "You multiply the real term by y and drop -(1 - y) log(1 - s): that only learns slower and bounds "
    "nothing.",
    lambda r, f, y: (y * _bce(r, 1.0) + _bce(f, 0.0)) / 2,
)
ex.wrong(
    "swapped",
    "You have real and fake the wrong way round.",
    lambda r, f, y: (_bce(f, y) + _bce(r, 0.0)) / 2,
)
ex.wrong(
    "mirrored_label",
    "You ask for 1 - y on real pairs, or weigh the two logarithms the wrong way round: y is D's target.",
    lambda r, f, y: (_bce(r, 1 - y) + _bce(f, 0.0)) / 2,
)
ex.wrong(
    "shifted_logit",
    "You multiply the logit by y: the target is smoothed, not D's output.",
    lambda r, f, y: (_bce(y * r, 1.0) + _bce(f, 0.0)) / 2,
)
ex.wrong(
    "least_squares",
    "You smooth the least-squares loss; the cross-entropy on logits is asked for here.",
    lambda r, f, y: ((r - y).square().mean() + f.square().mean()) / 2,
)
ex.wrong(
    "sigmoid_then_log",
    "You compute the sigmoid first and its logarithm afterwards: at a logit of 100 the float32 sigmoid "
    "is 1, and log(1 - 1) is minus infinity.",
    lambda r, f, y: (
        -(y * r.sigmoid().log() + (1 - y) * (1 - r.sigmoid()).log()).mean() / 2
        - (1 - f.sigmoid()).log().mean() / 2
    ),
)
ex.wrong(
    "clamped_logit",
    "You cut real logits off at log(y / (1 - y)): above it the pull back, and with it the gradient, is lost.",
    lambda r, f, y: (_bce(r.clamp(max=float(torch.logit(torch.tensor(y)))), y) + _bce(f, 0.0)) / 2,
)
ex.wrong(
    "not_halved",
    "You do not halve the sum: D then learns twice as fast as the course means it to.",
    lambda r, f, y: _bce(r, y) + _bce(f, 0.0),
)
ex.wrong(
    "detached_fake",
    "You detach the fake logits: D gets no gradient from fakes.",
    lambda r, f, y: (_bce(r, y) + _bce(f.detach(), 0.0)) / 2,
)
ex.wrong(
    "random_label",
    "You draw a label from [y, 1) for every patch; one fixed label makes the result repeatable and is "
    "what the formula says.",
    lambda r, f, y: (
        (F.binary_cross_entropy_with_logits(r, y + (1 - y) * torch.rand_like(r)) + _bce(f, 0.0)) / 2
    ),
)

ex.right(lambda r, f, y: (_bce(r, y) + _bce(f, 0.0)) / 2)
ex.right(
    lambda r, f, y: (
        (-y * F.logsigmoid(r) - (1 - y) * F.logsigmoid(-r)).mean() / 2 - F.logsigmoid(-f).mean() / 2
    )
)
ex.right(lambda r, f, y: 0.5 * (y * F.softplus(-r) + (1 - y) * F.softplus(r) + F.softplus(f)).mean())
ex.right(lambda r, f, y: 0.5 * torch.mean((1 - y) * r + F.softplus(-r) + F.softplus(-f) + f))


@ex.right
def _(real: Tensor, fake: Tensor, y: float) -> Tensor:
    loss = torch.nn.BCEWithLogitsLoss()
    unsmoothed = loss(real, torch.ones_like(real)) + loss(fake, torch.zeros_like(fake))
    return (unsmoothed + (1 - y) * real.mean()) / 2  # a target lower by 1 - y adds (1 - y) r


@ex.right
def _(real: Tensor, fake: Tensor, y: float) -> Tensor:
    def loss(x: Tensor, target: float) -> Tensor:  # the formula of the textbooks
        return (x.clamp(min=0) - x * target + torch.log1p(torch.exp(-x.abs()))).mean()

    return (loss(real, y) + loss(fake, 0.0)) / 2


ex.wrong(
    "real_only",
    "You look at real pairs only.",
    lambda r, f, y: _bce(r, y) / 2 + 0 * f.mean(),
)
ex.wrong(
    "fakes_as_real",
    "You smooth the fakes to y as well: D would call everything real.",
    lambda r, f, y: (_bce(r, y) + _bce(f, y)) / 2,
)
ex.wrong(
    "second_part_forgotten",
    "You have the sign of the second part of the real term wrong: both parts are positive costs.",
    lambda r, f, y: (y * _bce(r, 1.0) - (1 - y) * _bce(r, 0.0) + _bce(f, 0.0)) / 2,
)
ex.wrong(
    "real_only_halved",
    "You halve the real term only.",
    lambda r, f, y: _bce(r, y) / 2 + _bce(f, 0.0),
)
ex.wrong(
    "summed",
    "You sum over the patches: the loss then grows with the size of the map.",
    lambda r, f, y: (_bce(r, y) * r.numel() + _bce(f, 0.0) * f.numel()) / 2,
)
ex.wrong(
    "fakes_with_the_wrong_sign",
    "You use -log sigmoid(f) for fakes: that is the generator's aim.",
    lambda r, f, y: (_bce(r, y) + _bce(f, 1.0)) / 2,
)
ex.wrong(
    "exponential",
    "You write log(1 + exp(x)) out: exp overflows above 88 in float32.",
    lambda r, f, y: ((1 + r.exp()).log() - y * r).mean() / 2 + (1 + f.exp()).log().mean() / 2,
)
ex.wrong(
    "clamped_probability",
    "You keep the probability away from 0 and 1 by a small number: the gradient at extreme logits is gone.",
    lambda r, f, y: (
        (
            F.binary_cross_entropy(r.sigmoid().clamp(1e-7, 1 - 1e-7), torch.full_like(r, y))
            + F.binary_cross_entropy(f.sigmoid().clamp(1e-7, 1 - 1e-7), torch.zeros_like(f))
        )
        / 2
    ),
)
ex.wrong(
    "bce_on_sigmoid",
    "You use `binary_cross_entropy` on the sigmoid: it cuts the logarithm off at -100. Work on logits.",
    lambda r, f, y: (
        (
            F.binary_cross_entropy(r.sigmoid(), torch.full_like(r, y))
            + F.binary_cross_entropy(f.sigmoid(), torch.zeros_like(f))
        )
        / 2
    ),
)
ex.wrong(
    "always_0_9",
    "You have 0.9 written into the function and do not use `real_label`.",
    lambda r, f, y: (_bce(r, 0.9) + _bce(f, 0.0)) / 2,
)
ex.wrong(
    "sigmoid_twice",
    "You give probabilities to a loss that expects raw logits: the sigmoid is then applied twice.",
    lambda r, f, y: (_bce(r.sigmoid(), y) + _bce(f.sigmoid(), 0.0)) / 2,
)
common_slips(ex, "returned_nothing", "graph_cut", "float32_result")

ex.breach("One-sided label smoothing asks", "not_smoothed")
ex.breach("One-sided label smoothing asks", "always_0_9")
ex.breach("Fakes stay at 0", "two_sided")
ex.breach("With the cross-entropy on raw logits", "least_squares")
ex.breach("With the cross-entropy on raw logits", "swapped")
ex.breach("L_D = ", "not_halved")
ex.breach("L_D = ", "mirrored_label")
ex.breach("The second part of the real term", "scaled_only")
ex.breach("The second part of the real term", "clamped_logit")
ex.breach("Value and gradient", "sigmoid_then_log")
ex.breach("Value and gradient", "detached_fake")
