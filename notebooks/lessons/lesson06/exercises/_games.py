"""The four games as tables of formulas: answers to `discriminator_loss` are put together from them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

KINDS = ("minimax", "non_saturating", "lsgan", "hinge")
Maps = Sequence[Tensor]
Formula = Callable[[Tensor, Tensor, float], Maps]
Answer = Callable[[Tensor, Tensor, str, float], Any]
Wrong = tuple[str, str, Answer]


def bce(logits: Tensor, label: float) -> Tensor:
    """The cross-entropy to one label, per logit."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label), reduction="none")


def cross_entropy(r: Tensor, f: Tensor, y: float) -> Maps:
    """Real ones to the label y, fake ones to 0."""
    return -y * F.logsigmoid(r) - (1 - y) * F.logsigmoid(-r), -F.logsigmoid(-f)


FORMULAS: dict[str, Formula] = {
    "minimax": cross_entropy,
    "non_saturating": cross_entropy,
    "lsgan": lambda r, f, y: ((y - r) ** 2, f**2),
    "hinge": lambda r, f, y: ((1 - r).clamp(min=0), (1 + f).clamp(min=0)),
}


def half(real: Tensor, fake: Tensor) -> Tensor:
    """Half the sum of both means."""
    return (real.mean() + fake.mean()) / 2


def game(changes: dict[str, Formula], reduce: Callable[[Tensor, Tensor], Any] = half) -> Answer:
    """An answer with some formulas, or the reduction, replaced."""
    table = FORMULAS | changes

    def answer(real: Tensor, fake: Tensor, kind: str, label: float) -> Any:
        if kind not in table or (kind == "hinge" and label != 1):
            raise ValueError(kind)
        return reduce(*table[kind](real, fake, label))

    return answer


def both(formula: Formula) -> dict[str, Formula]:
    """The same formula for both games of the cross-entropy."""
    return {"minimax": formula, "non_saturating": formula}


def smoothed(entropy: Formula, squares: Formula) -> Answer:
    """An answer that treats the label in another way."""
    return game({**both(entropy), "lsgan": squares})


def _added(eps: float) -> Formula:
    def formula(r: Tensor, f: Tensor, y: float) -> Maps:
        real = -y * (r.sigmoid() + eps).log() - (1 - y) * (1 - r.sigmoid() + eps).log()
        return real, -(1 - f.sigmoid() + eps).log()

    return formula


def _least(eps: float) -> Formula:
    def formula(r: Tensor, f: Tensor, y: float) -> Maps:
        p, q = r.sigmoid().clamp(eps, 1 - eps), f.sigmoid().clamp(eps, 1 - eps)
        return -y * p.log() - (1 - y) * (1 - p).log(), -(1 - q).log()

    return formula


def _logarithm(r: Tensor, f: Tensor, y: float) -> Maps:
    p, q = r.sigmoid(), f.sigmoid()
    return -y * p.log() - ((1 - y) * (1 - p).log() if y < 1 else 0), -(1 - q).log()


_EPSILON = "You keep the logarithm from 0 by a small number: the gradient at extreme logits is gone."
SMOOTHING: tuple[Wrong, ...] = (
    (
        "two_sided",
        "You smooth fakes too, to 1 - y: the best D then has the fake density in its numerator and says “a "
        "bit real” wherever G happens to be, so G has less reason to leave.",
        smoothed(
            lambda r, f, y: (bce(r, y), bce(f, 1 - y)),
            lambda r, f, y: ((r - y).square(), (f - 1 + y).square()),
        ),
    ),
    (
        "wrong_side",
        "You smooth the fakes and leave the real ones at 1; it is the real target that moves.",
        smoothed(
            lambda r, f, y: (bce(r, 1.0), bce(f, 1 - y)),
            lambda r, f, y: ((r - 1).square(), (f - 1 + y).square()),
        ),
    ),
    (
        "not_smoothed",
        "You do not use `real_label` at all: D is rewarded for ever larger logits.",
        smoothed(lambda r, f, y: cross_entropy(r, f, 1.0), lambda r, f, y: ((r - 1).square(), f.square())),
    ),
    (
        "cross_entropy_not_smoothed",
        "You use `real_label` for the squares only; it is D's target in the cross-entropy, too.",
        smoothed(lambda r, f, y: cross_entropy(r, f, 1.0), FORMULAS["lsgan"]),
    ),
    (
        "squares_not_smoothed",
        "You use `real_label` in the cross-entropy only; it is D's target in least squares, too.",
        smoothed(cross_entropy, lambda r, f, y: ((r - 1).square(), f.square())),
    ),
    (
        "always_0_9",
        "You have 0.9 written into the function and do not use `real_label`.",
        smoothed(lambda r, f, y: cross_entropy(r, f, 0.9), lambda r, f, y: ((r - 0.9).square(), f.square())),
    ),
    (
        "scaled_only",
        "You multiply the real term by y and drop -(1 - y) log(1 - s): that only learns slower and bounds "
        "nothing.",
        game(both(lambda r, f, y: (y * bce(r, 1.0), bce(f, 0.0)))),
    ),
    (
        "mirrored_label",
        "You ask for 1 - y on real pairs, or weigh the two logarithms the wrong way round: y is D's target.",
        smoothed(
            lambda r, f, y: cross_entropy(r, f, 1 - y), lambda r, f, y: ((r - 1 + y).square(), f.square())
        ),
    ),
    (
        "shifted_logit",
        "You multiply the logit by y: the target is smoothed, not D's output.",
        game(both(lambda r, f, y: (bce(y * r, 1.0), bce(f, 0.0)))),
    ),
    (
        "second_part_forgotten",
        "You have the sign of the second part of the real term wrong: both parts are positive costs.",
        game(both(lambda r, f, y: (y * bce(r, 1.0) - (1 - y) * bce(r, 0.0), bce(f, 0.0)))),
    ),
    (
        "clamped_logit",
        "You cut real logits off at log(y / (1 - y)): above it the pull back, and with it the gradient, is "
        "lost.",
        game(both(lambda r, f, y: (bce(r.clamp(max=float(torch.tensor(y).logit())), y), bce(f, 0.0)))),
    ),
    (
        "fakes_as_real",
        "You give fakes the target of real pairs: D would call everything real.",
        smoothed(
            lambda r, f, y: (bce(r, y), bce(f, y)), lambda r, f, y: ((r - y).square(), (f - y).square())
        ),
    ),
    (
        "random_label",
        "You draw a label from [y, 1) for every patch; one fixed label makes the result repeatable.",
        game(
            both(
                lambda r, f, y: (
                    F.binary_cross_entropy_with_logits(r, y + (1 - y) * torch.rand_like(r), reduction="none"),
                    bce(f, 0.0),
                )
            )
        ),
    ),
    (
        "hinge_smoothed",
        "You take the label for the hinge's margin; the hinge has no target to smooth, and refuses one.",
        lambda r, f, kind, y: (
            half(F.relu(y - r), F.relu(1 + f)) if kind == "hinge" else game({})(r, f, kind, y)
        ),
    ),
    (
        "hinge_ignores_the_label",
        "You let a hinge with a label below 1 pass; it has no target to smooth, so that is a `ValueError`.",
        lambda r, f, kind, y: game({})(r, f, kind, 1.0 if kind == "hinge" else y),
    ),
    *((f"epsilon_{eps:g}", _EPSILON, game(both(_added(eps)))) for eps in (1e-12, 1e-10, 1e-8, 1e-7, 1e-6)),
    *(
        (f"clamped_probability_{eps:g}", _EPSILON, game(both(_least(eps))))
        for eps in (1e-7, 1e-6, 1e-5, 1e-4)
    ),
    (
        "sigmoid_then_log",
        "You compute the sigmoid first and its logarithm afterwards: at extreme logits the sigmoid is "
        "exactly 0 or 1, and the logarithm gives infinity or a gradient of 0.",
        game(both(_logarithm)),
    ),
    (
        "bce_on_sigmoid",
        "You use `binary_cross_entropy` on the sigmoid: it cuts the logarithm off at -100. Work on logits.",
        game(
            both(
                lambda r, f, y: (
                    F.binary_cross_entropy(r.sigmoid(), torch.full_like(r, y), reduction="none"),
                    F.binary_cross_entropy(f.sigmoid(), torch.zeros_like(f), reduction="none"),
                )
            )
        ),
    ),
    (
        "exponential",
        "You write log(1 + exp(x)) out: exp overflows above 88 in float32; `F.softplus` does not.",
        game(both(lambda r, f, y: ((1 + r.exp()).log() - y * r, (1 + f.exp()).log()))),
    ),
    (
        "sigmoid_twice",
        "You give probabilities to a loss that expects raw logits: the sigmoid is then applied twice.",
        game(both(lambda r, f, y: (bce(r.sigmoid(), y), bce(f.sigmoid(), 0.0)))),
    ),
)
"""Wrong answers about the label, and about the cross-entropy at extreme logits."""
