"""Lesson 06, claim G05: what each adversarial loss tells the generator, and what a frozen one hears.

The gradient of a generator's loss with respect to one logit says how hard D's verdict pulls. On the logit it
is a formula; behind a sigmoid, or a small number that was added to keep the logarithm finite, it is another
one. Sources: Goodfellow et al. 2014, section 3; Mao et al. 2017, section 3.1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.data import BatchSource, make_pairs
from gantrans.networks import PatchGAN, PatchGANConfig, UNetConfig, UNetGenerator
from gantrans.teaching.sweeps.registry import experiment
from gantrans.training import pick_device
from gantrans.translation.losses import AdversarialLoss
from gantrans.translation.pix2pix import adam

KINDS: Mapping[str, str] = {
    "saturating": "minimax",
    "non-saturating": "non_saturating",
    "least squares": "lsgan",
    "hinge": "hinge",
}
"""What the lesson calls the losses, and what the library does."""
Loss = Callable[[Tensor], Tensor]


def through_sigmoid(kind: str, logits: Tensor) -> Tensor:
    """The generator's loss per logit with a sigmoid first, as careless code has it: D gives probabilities."""
    probability = logits.sigmoid()
    if kind == "lsgan":
        return (probability - 1).square()
    if kind == "non_saturating":
        return F.binary_cross_entropy(probability, torch.ones_like(probability), reduction="none")
    return -F.binary_cross_entropy(probability, torch.zeros_like(probability), reduction="none")


def per_logit(kind: str, logits: Tensor) -> Tensor:
    """The generator's loss of each logit for itself."""
    loss = AdversarialLoss(kind)
    return torch.stack([loss.generator(logit) for logit in logits])


def with_epsilon(logits: Tensor) -> Tensor:
    """-log(D + 1e-8): a cure for log(0) that has its price."""
    return -torch.log(logits.sigmoid() + 1e-8)


def gradient(loss: Loss, logits: Tensor) -> Tensor:
    """d loss / d logit at each of the logits (N,), in the precision of the logits."""
    seen = logits.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(seen).sum(), seen)
    return slope


def curves(kind: str, logits: Tensor, *, sigmoid: bool) -> tuple[Tensor, Tensor]:
    """A generator's loss and its gradient against the logit, (N,) each.

    Args:
        kind: of `AdversarialLoss`; the hinge loss has no form behind a sigmoid.
        sigmoid: put a sigmoid first.
    """

    def loss(x: Tensor) -> Tensor:
        return through_sigmoid(kind, x) if sigmoid and kind != "hinge" else per_logit(kind, x)

    return loss(logits), gradient(loss, logits)


def vanishing_point(loss: Loss, *, low: float = -100.0) -> float:
    """The logit at which the absolute gradient, going down from 0, first falls below a half; float32.

    minus infinity if it never does down to `low`.
    """
    logits = torch.arange(0.0, low, -0.1)
    quiet = (gradient(loss, logits).abs() < 0.5).nonzero()
    return float(logits[quiet[0, 0]]) if len(quiet) else -torch.inf


@experiment("G05")
def at_minus_ten(scale: str) -> dict[str, Any]:
    """Exact at every scale: |gradient| of -log D at logit -10, float32, and of the other losses there."""
    logit = torch.tensor([-10.0])
    found = {name: float(curves(kind, logit, sigmoid=False)[1].abs()) for name, kind in KINDS.items()}
    behind = {
        f"{name} behind a sigmoid": float(curves(kind, logit, sigmoid=True)[1].abs())
        for name, kind in KINDS.items()
        if kind != "hinge"
    }
    points = {
        "vanishing point, sigmoid and BCELoss": vanishing_point(
            lambda x: through_sigmoid("non_saturating", x)
        ),
        "vanishing point, epsilon": vanishing_point(with_epsilon),
    }
    return {"data": found["non-saturating"], "numbers": {**found, **behind, **points}}


# ---- a frozen generator


@dataclass(frozen=True)
class FrozenSetting:
    """Sizes of the demonstration at one scale."""

    size: int
    n_down: int
    filters: int
    d_filters: int
    batch_size: int
    steps: int


SETTINGS: Mapping[str, FrozenSetting] = {
    "smoke": FrozenSetting(32, 2, 4, 4, 2, 12),
    "reduced": FrozenSetting(64, 4, 8, 16, 4, 120),
    "full": FrozenSetting(64, 4, 8, 16, 4, 480),
}
FROZEN: Mapping[str, tuple[str, float, bool]] = {
    "cross-entropy": ("non_saturating", 1.0, False),
    "cross-entropy, spectral norm, 0.9": ("non_saturating", 0.9, True),
    "least squares": ("lsgan", 1.0, False),
    "least squares, spectral norm, 0.9": ("lsgan", 0.9, True),
}
"""Discriminators of the demonstration: loss, label of real pairs, spectral norm."""


@dataclass(frozen=True)
class Frozen:
    """What a D that learns alone says over its steps.

    Attributes:
        accuracy: of D, one value per step.
        gradients: by the generator's loss, the norm of its gradient at the fake; one value per step.
    """

    accuracy: list[float]
    gradients: dict[str, list[float]]


def frozen_generator(name: str, seed: int, scale: str) -> Frozen:
    """Train one D of `FROZEN` against a generator that never answers, and ask what it would have heard.

    Cross-entropy serves two generators' losses with one and the same D: saturating and non-saturating.
    """
    setting, (kind, label, spectral_norm) = SETTINGS[scale], FROZEN[name]
    device = pick_device()
    pairs = make_pairs(
        "procedural", count=32 * setting.batch_size, size=setting.size, seed=seed, progress=False
    )
    batches = BatchSource(pairs, "sem2layout", setting.batch_size, seed)
    unet = UNetConfig(base_filters=setting.filters, n_down=setting.n_down, dropout=0.0)
    generator = UNetGenerator(unet, 2 * seed).to(device)
    config = PatchGANConfig(base_filters=setting.d_filters, n_layers=2, spectral_norm=spectral_norm)
    critic = PatchGAN(config, 2 * seed + 1).to(device)
    optimizer, loss = adam(critic, 5e-4, (0.5, 0.999)), AdversarialLoss(kind, label)
    heard = ("minimax", "non_saturating") if kind == "non_saturating" else (kind,)
    accuracy: list[float] = []
    gradients: dict[str, list[float]] = {asked: [] for asked in heard}
    for step in range(setting.steps):
        batch = batches(step)
        condition, real = (batch[role].to(device) for role in ("input", "target"))  # type: ignore[union-attr]
        with torch.no_grad():
            image = generator(condition)
        fake = image.requires_grad_()
        logits = critic(condition, real).logits, critic(condition, fake).logits
        for asked in heard:
            (pull,) = torch.autograd.grad(
                AdversarialLoss(asked).generator(logits[1]), fake, retain_graph=True
            )
            gradients[asked].append(float(pull.norm()))
        right = (logits[0] > loss.boundary).float().mean() + (logits[1] < loss.boundary).float().mean()
        accuracy.append(float(right / 2))
        optimizer.zero_grad()
        loss.discriminator(*logits).backward(inputs=list(critic.parameters()))
        optimizer.step()
    return Frozen(accuracy, gradients)
