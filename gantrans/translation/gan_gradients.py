"""Gradients of one conditional discriminator and one generator, both taken at the same weights.

The generator's image enters D's graph as a leaf, so that the backward pass of either network stays inside
that network. D's pass over the fake pair is used for both losses, and its pass over the real pair for feature
matching as well.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from gantrans.networks import Discrimination, PatchGAN
from gantrans.training import Runtime
from gantrans.translation.buffer import ImageBuffer
from gantrans.translation.feature_matching import feature_matching
from gantrans.translation.losses import AdversarialLoss


@dataclass(frozen=True)
class LossWeights:
    """The adversarial loss, and the weights of the generator's adversarial and feature-matching terms."""

    adversarial: AdversarialLoss
    weight_gan: float = 1.0
    weight_fm: float = 0.0
    fm_convention: str = "mean"


def gan_gradients(
    discriminator: PatchGAN,
    weights: LossWeights,
    runtime: Runtime,
    condition: Tensor,
    target: Tensor,
    fake: Tensor,
    buffer: ImageBuffer | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Add D's gradients to its parameters; return the gradient at the fake, and scalars for the log.

    Canonical form: `lessons.lesson05.pix2pix.simultaneous_gradients`; this gives G's gradient at the fake
    instead of at its weights, because one backward pass through G then serves all of G's losses.

    Args:
        condition, target, fake: (B, C, H, W) in [-1, 1]; only `fake` may carry a graph, which is not touched.
        buffer: D's loss uses the pairs that the buffer returns for (condition, fake); G's loss always uses
            the current fake.

    Returns:
        grad_fake: (B, C, H, W), the gradient of weight_gan * adversarial + weight_fm * feature matching at
        the fake.
        scalars: loss_gan_g, loss_d (and loss_fm): unweighted. d_real, d_fake: mean score of the pairs in D's
        loss. d_accuracy: share of their logits on the right side. gradient_gan: norm of the weighted
        adversarial gradient at the fake (and gradient_fm, of the weighted feature matching).
    """
    leaf, adversarial = fake.detach().requires_grad_(), weights.adversarial
    with parametrize.cached():  # spectral norm: one power iteration, one weight for all passes
        real, generated = discriminate_both(discriminator, condition, target, leaf)
        loss_gan, fake_logits = adversarial.generator(generated.logits), generated.logits
        if buffer is not None and buffer.capacity:
            fake_logits = discriminator(*buffer.exchange(condition, leaf.detach())).logits
        loss_d = adversarial.discriminator(real.logits, fake_logits)

    # G's gradient first, through D without adding to D's parameters; then D's own from the same passes.
    (grad_fake,) = torch.autograd.grad(weights.weight_gan * loss_gan, leaf, retain_graph=True)
    scalars = {"loss_gan_g": loss_gan.detach(), "loss_d": loss_d.detach()}
    norms = {"gradient_gan": grad_fake.norm()}
    if weights.weight_fm > 0:
        loss_fm = feature_matching(real.features, generated.features, weights.fm_convention)
        (grad_fm,) = torch.autograd.grad(weights.weight_fm * loss_fm, leaf, retain_graph=True)
        scalars["loss_fm"], norms["gradient_fm"] = loss_fm.detach(), grad_fm.norm()
        grad_fake = grad_fake + grad_fm
    runtime.backward(loss_d, inputs=list(discriminator.parameters()))
    return grad_fake, {**scalars, **_scores(adversarial, real.logits.detach(), fake_logits.detach()), **norms}


def discriminate_both(
    discriminator: PatchGAN, condition: Tensor, target: Tensor, fake: Tensor
) -> tuple[Discrimination, Discrimination]:
    """Logits and features for the real pair (condition, target) and the fake pair (condition, fake).

    Both pairs go through D in one batch, except with batch normalisation, which would mix the statistics of
    real and fake pairs.
    """
    if discriminator.config.norm == "batch":
        return discriminator(condition, target), discriminator(condition, fake)
    both = discriminator(torch.cat((condition, condition)), torch.cat((target, fake)))
    size, layers = len(condition), [layer.chunk(2) for layer in both.features]
    return (
        Discrimination(both.logits[:size], [real for real, _ in layers]),
        Discrimination(both.logits[size:], [fake for _, fake in layers]),
    )


def _scores(adversarial: AdversarialLoss, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    boundary = adversarial.boundary
    right = (real > boundary).float().mean() + (fake < boundary).float().mean()
    score = adversarial.score
    return {"d_real": score(real).mean(), "d_fake": score(fake).mean(), "d_accuracy": 0.5 * right}


def l1_gradient_norm(weight: float, fake: Tensor, target: Tensor) -> Tensor:
    """Norm of the gradient of weight * mean |fake - target| at the fake, computed without a backward pass.

    The gradient is weight / N times the sign of the error, so its norm is weight / sqrt(N) as long as no
    pixel is exactly right.
    """
    return weight * (fake != target).sum().clamp(min=1).sqrt() / fake.numel()


def spread(fake: Tensor, target: Tensor) -> Tensor:
    """Standard deviation of the fakes over the batch, averaged over pixels, divided by that of the targets.

    0 means that all fakes are alike (collapse). For a batch of one, where it is undefined, it is 1.
    """
    if len(fake) < 2:
        return torch.ones((), device=fake.device)
    return fake.std(0).mean() / target.std(0).mean().clamp(min=1e-6)
