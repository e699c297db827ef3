"""One conditional discriminator against one generator: both players' gradients at the same weights.

The generator's image enters D's graph as a leaf, so neither player's backward pass goes into the other's
network, D's pass over the fake serves both, and D's pass over the real pair serves feature matching as well.
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
class Stakes:
    """What the generator is paid for: weights of the adversarial loss and of feature matching."""

    adversarial: AdversarialLoss
    weight_gan: float = 1.0
    weight_fm: float = 0.0
    fm_convention: str = "mean"


def duel(
    discriminator: PatchGAN,
    stakes: Stakes,
    runtime: Runtime,
    condition: Tensor,
    target: Tensor,
    fake: Tensor,
    buffer: ImageBuffer | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Add D's gradients to its parameters; return the pull on the fake, and scalars for the log.

    Canonical form: `lessons.lesson05.pix2pix.simultaneous_gradients`; this gives G's gradient at the fake
    instead of at its weights, because one backward pass through G then serves all of G's losses.

    Args:
        condition, target, fake: (B, C, H, W) in [-1, 1]; only `fake` may carry a graph, which is not touched.
        buffer: D learns from what it gives back for (condition, fake); G always hears about its own fake.

    Returns:
        pull: the gradient at the fake of weight_gan * adversarial + weight_fm * feature matching.
        scalars: loss_gan_g, loss_d (and loss_fm): unweighted. d_real, d_fake: mean score of what D learnt
        from. d_accuracy: share of its logits on the right side. gradient_gan: norm of the weighted
        adversarial gradient at the fake (and gradient_fm, of the weighted feature matching).
    """
    seen, adversarial = fake.detach().requires_grad_(), stakes.adversarial
    with parametrize.cached():  # spectral norm: one power iteration, one weight for all passes
        real, shown = judge_both(discriminator, condition, target, seen)
        loss_gan, old = adversarial.generator(shown.logits), shown
        if buffer is not None and buffer.capacity:
            old = discriminator(*buffer.exchange(condition, seen.detach()))
        loss_d = adversarial.discriminator(real.logits, old.logits)

    # G's pull first, through a D that it does not touch; then D's own gradients from the same passes.
    (pull,) = torch.autograd.grad(stakes.weight_gan * loss_gan, seen, retain_graph=True)
    scalars = {"loss_gan_g": loss_gan.detach(), "loss_d": loss_d.detach()}
    norms = {"gradient_gan": pull.norm()}
    if stakes.weight_fm > 0:
        loss_fm = feature_matching(real.features, shown.features, stakes.fm_convention)
        (pull_fm,) = torch.autograd.grad(stakes.weight_fm * loss_fm, seen, retain_graph=True)
        scalars["loss_fm"], norms["gradient_fm"] = loss_fm.detach(), pull_fm.norm()
        pull = pull + pull_fm
    runtime.backward(loss_d, inputs=list(discriminator.parameters()))
    return pull, {**scalars, **_verdicts(adversarial, real.logits.detach(), old.logits.detach()), **norms}


def judge_both(
    discriminator: PatchGAN, condition: Tensor, target: Tensor, fake: Tensor
) -> tuple[Discrimination, Discrimination]:
    """D's words on (condition, target) and on (condition, fake).

    One pass over both where that changes nothing; batch normalisation would mix real and fake statistics.
    """
    if discriminator.config.norm == "batch":
        return discriminator(condition, target), discriminator(condition, fake)
    both = discriminator(torch.cat((condition, condition)), torch.cat((target, fake)))
    size, layers = len(condition), [layer.chunk(2) for layer in both.features]
    return (
        Discrimination(both.logits[:size], [real for real, _ in layers]),
        Discrimination(both.logits[size:], [fake for _, fake in layers]),
    )


def _verdicts(adversarial: AdversarialLoss, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    boundary = adversarial.boundary
    right = (real > boundary).float().mean() + (fake < boundary).float().mean()
    score = adversarial.score
    return {"d_real": score(real).mean(), "d_fake": score(fake).mean(), "d_accuracy": 0.5 * right}


def l1_gradient_norm(weight: float, fake: Tensor, target: Tensor) -> Tensor:
    """Norm of the gradient of weight * mean |fake - target| at the fake, which needs no backward pass.

    It is weight / N times the sign of the error: weight / sqrt(N) as long as no pixel is exactly right.
    """
    return weight * (fake != target).sum().clamp(min=1).sqrt() / fake.numel()


def spread(fake: Tensor, target: Tensor) -> Tensor:
    """How much fakes differ from each other, in units of how much the targets do; 0: all alike (collapse).

    Standard deviation over the batch, averaged over pixels; of a batch of one, undefined, it is 1.
    """
    if len(fake) < 2:
        return torch.ones((), device=fake.device)
    return fake.std(0).mean() / target.std(0).mean().clamp(min=1e-6)
