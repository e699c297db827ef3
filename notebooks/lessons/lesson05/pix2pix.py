"""One training step of pix2pix as the paper describes it (Isola et al. 2017, sections 3.1 to 3.3).

G(x) is the image y' that the generator makes of the condition x; `D(x, y).logits` is the discriminator's map
of patch logits for a pair. Losses are least squares on logits (Mao et al. 2017) unless others are given.
`gantrans.translation.Pix2PixTask` computes the same gradients from one pass of each network.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def lsgan_d(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """D's loss, halved as in the paper (section 3.3): real pairs towards 1, fake pairs towards 0."""
    real_loss = F.mse_loss(real_logits, torch.ones_like(real_logits))
    fake_loss = F.mse_loss(fake_logits, torch.zeros_like(fake_logits))
    return 0.5 * (real_loss + fake_loss)


def lsgan_g(fake_logits: Tensor) -> Tensor:
    """G's adversarial loss: fake pairs towards 1."""
    return F.mse_loss(fake_logits, torch.ones_like(fake_logits))


def reference_step(
    G: nn.Module,
    D: nn.Module,
    optimizer_G: torch.optim.Optimizer,
    optimizer_D: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    weight_l1: float = 100.0,
) -> dict[str, float]:
    """One step on a batch of pairs x, y (B, 1, H, W) in [-1, 1]: D's turn, then G's against the new D."""
    fake = G(x)

    # D's turn: a fake without its graph, so that no gradient reaches G
    loss_D = lsgan_d(D(x, y).logits, D(x, fake.detach()).logits)
    optimizer_D.zero_grad()
    loss_D.backward()
    optimizer_D.step()

    # G's turn: the gradient goes through D, but D does not collect any
    D.requires_grad_(False)
    loss_GAN = lsgan_g(D(x, fake).logits)
    loss_L1 = F.l1_loss(fake, y)
    optimizer_G.zero_grad()
    (loss_GAN + weight_l1 * loss_L1).backward()
    optimizer_G.step()
    D.requires_grad_(True)
    return {"loss_d": loss_D.item(), "loss_gan_g": loss_GAN.item(), "loss_l1": loss_L1.item()}


def simultaneous_gradients(
    G: nn.Module,
    D: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    loss_d: Callable[[Tensor, Tensor], Tensor] = lsgan_d,
    loss_g: Callable[[Tensor], Tensor] = lsgan_g,
    weight_l1: float = 100.0,
    weight_gan: float = 1.0,
    noise: torch.Generator | None = None,
) -> None:
    """The same two losses with both players at the weights they have: adds to every parameter's `.grad`.

    `reference_step` differs in one thing: D moves before G's turn. `noise` is passed on to G.
    """
    fake = G(x, noise=noise)
    D.requires_grad_(False)
    (weight_l1 * F.l1_loss(fake, y) + weight_gan * loss_g(D(x, fake).logits)).backward()
    D.requires_grad_(True)
    loss_d(D(x, y).logits, D(x, fake.detach()).logits).backward()
