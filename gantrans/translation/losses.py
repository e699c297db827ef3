"""Adversarial losses, all computed from logits.

Sources: Goodfellow et al. 2014, section 3 (minimax and non-saturating); Mao et al. 2017 (least squares); Lim
and Ye 2017 (hinge); Salimans et al. 2016, section 3.4 (one-sided label smoothing).
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from gantrans.config import check_choice, check_range
from gantrans.errors import ConfigError

ADVERSARIAL_LOSSES = ("lsgan", "non_saturating", "minimax", "hinge")


@dataclass(frozen=True)
class AdversarialLoss:
    """Losses of generator and discriminator from D's logits r of real and f of fake pairs, means over all.

    ==============  ==============  ============  =======================================================
    kind            generator       its gradient  discriminator, y = real_label
    ==============  ==============  ============  =======================================================
    lsgan           (f - 1)^2       2 (f - 1)     1/2 [(r - y)^2 + f^2]
    non_saturating  -log s(f)       -(1 - s(f))   1/2 [-y log s(r) - (1 - y) log(1 - s(r)) - log(1 - s(f))]
    minimax         log(1 - s(f))   -s(f)         as non_saturating
    hinge           -f              -1            1/2 [max(0, 1 - r) + max(0, 1 + f)]
    ==============  ==============  ============  =======================================================

    s is the sigmoid. Smoothing is one-sided: real_label moves only D's target for real pairs. The generator
    always has the target 1 (with a smoothed target its gradient would change sign above real_label), and D's
    target for fake pairs is always 0. Hinge has a margin instead of a target, so it takes no smoothing.
    """

    kind: str = "lsgan"
    real_label: float = 1.0

    def __post_init__(self) -> None:
        check_choice(self, "kind", ADVERSARIAL_LOSSES)
        check_range(self, "real_label", 0.5, 1.0)
        if self.kind == "hinge" and self.real_label != 1.0:
            raise ConfigError(
                f"AdversarialLoss.real_label is {self.real_label!r} but the hinge loss has a margin and no "
                f"target to smooth; set real_label=1.0 or choose another kind."
            )

    def generator(self, fake: Tensor) -> Tensor:
        """Scalar loss of the generator from D's logits of its images.

        Canonical form: `lessons.lesson06.exercises.generator_loss.generator_loss`.
        """
        if self.kind == "lsgan":
            return (fake - 1.0).square().mean()
        if self.kind == "non_saturating":
            return F.softplus(-fake).mean()
        return -F.softplus(fake).mean() if self.kind == "minimax" else -fake.mean()

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Scalar loss of the discriminator, halved to slow it down relative to the generator.

        Canonical form: `lessons.lesson06.exercises.discriminator_loss.discriminator_loss`.
        """
        if self.kind == "lsgan":
            loss = (real - self.real_label).square().mean() + fake.square().mean()
        elif self.kind == "hinge":
            loss = F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()
        else:  # cross-entropy with logits: -y log s(r) - (1 - y) log(1 - s(r)) = softplus(r) - y r
            loss = F.softplus(real).mean() - self.real_label * real.mean() + F.softplus(fake).mean()
        return 0.5 * loss

    def score(self, logits: Tensor) -> Tensor:
        """D's score per logit: a probability for the cross-entropies, the raw output otherwise."""
        return logits.sigmoid() if self.kind in ("non_saturating", "minimax") else logits

    @property
    def boundary(self) -> float:
        """The raw logit halfway between D's two targets; above it, D classifies a pair as real."""
        return 0.5 * self.real_label if self.kind == "lsgan" else 0.0
