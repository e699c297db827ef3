"""Paired image translation: one generator, one conditional discriminator, L1 and an adversarial loss.

Source: Isola et al. 2017 (pix2pix). Both players' gradients are taken at the same weights (simultaneous
gradient descent), which lets them share one generator pass and one discriminator pass over the fake.
"""

from dataclasses import dataclass, field
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Adam, Optimizer

from gantrans.config import check_range
from gantrans.errors import ConfigError
from gantrans.networks import (
    PatchGAN,
    PatchGANConfig,
    ResidualUNet,
    ResidualUNetConfig,
    UNetConfig,
    UNetGenerator,
)
from gantrans.training import Batch, Runtime
from gantrans.translation.losses import AdversarialLoss


@dataclass(frozen=True)
class Pix2PixConfig:
    """Networks, loss weights and learning rates; `discriminator=None` trains the generator with L1 alone."""

    generator: UNetConfig | ResidualUNetConfig = field(default_factory=UNetConfig)
    discriminator: PatchGANConfig | None = field(default_factory=PatchGANConfig)
    adversarial: str = "lsgan"
    real_label: float = 1.0
    weight_l1: float = 100.0
    weight_gan: float = 1.0
    lr_generator: float = 2e-4
    lr_discriminator: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self) -> None:
        AdversarialLoss(self.adversarial, self.real_label)
        for name in ("weight_l1", "weight_gan"):
            check_range(self, name, 0.0)
        for name in ("lr_generator", "lr_discriminator"):
            check_range(self, name, 0.0, open_low=True)
        if len(self.betas) != 2 or not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ConfigError(f"Pix2PixConfig.betas is {self.betas!r}; it must be two numbers in [0, 1).")
        channels = self.generator.in_channels + self.generator.out_channels
        if self.discriminator is not None and self.discriminator.in_channels != channels:
            raise ConfigError(
                f"PatchGANConfig.in_channels is {self.discriminator.in_channels!r}; condition and image have "
                f"{channels} channels together."
            )


class Pix2PixTask:
    """pix2pix as a task for `gantrans.training.fit`, in either direction; equal seeds give equal weights."""

    name = "pix2pix"

    def __init__(self, config: Pix2PixConfig, seed: int = 0) -> None:
        self.config = config
        self.adversarial = AdversarialLoss(config.adversarial, config.real_label)
        self.generator = build_generator(config.generator, 2 * seed)
        self.discriminator: PatchGAN | None = None
        self.networks: dict[str, nn.Module] = {"generator": self.generator}
        self.optimizers: dict[str, Optimizer] = {
            "generator": _adam(self.generator, config.lr_generator, config.betas)
        }
        if config.discriminator is not None:
            self.discriminator = PatchGAN(config.discriminator, 2 * seed + 1)
            self.networks["discriminator"] = self.discriminator
            self.optimizers["discriminator"] = _adam(
                self.discriminator, config.lr_discriminator, config.betas
            )

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Add one batch's gradients of both players to their parameters; return detached scalars for the log.

        Returns:
            loss_l1, loss_gan_g, loss_d: unweighted. d_real, d_fake: mean score (see `AdversarialLoss.score`).
            d_accuracy: share of logits on the right side. gradient_gan: norm of the weighted adversarial
            gradient at the fake; gradient_ratio: the same over the norm of the weighted L1 gradient (if
            weight_l1 > 0). Without a discriminator: loss_l1 alone.
        """
        source, target = cast(Tensor, batch["input"]), cast(Tensor, batch["target"])
        fake = self.generator(source, noise=runtime.generator)  # (B, 1, H, W), float32
        loss_l1 = F.l1_loss(fake, target)
        if self.discriminator is None:
            runtime.backward(self.config.weight_l1 * loss_l1)
            return {"loss_l1": loss_l1.detach()}

        # D's graph starts at a leaf, so that neither player's backward pass enters the other network.
        seen = fake.detach().requires_grad_()
        with parametrize.cached():  # spectral norm: one power iteration, one weight for both passes
            real_logits = self.discriminator(source, target).logits
            fake_logits = self.discriminator(source, seen).logits
        loss_gan = self.adversarial.generator(fake_logits)
        loss_d = self.adversarial.discriminator(real_logits, fake_logits)

        # G's pull first, through a D that it does not touch; then D's own gradients from the same pass.
        (pull,) = torch.autograd.grad(self.config.weight_gan * loss_gan, seen, retain_graph=True)
        runtime.backward(loss_d, inputs=list(self.discriminator.parameters()))
        # The gradient of the second term at the fake is `pull`: G's whole gradient in one backward pass.
        runtime.backward(self.config.weight_l1 * loss_l1 + (pull * fake).sum())
        return {
            "loss_l1": loss_l1.detach(),
            "loss_gan_g": loss_gan.detach(),
            "loss_d": loss_d.detach(),
            **self._verdicts(real_logits.detach(), fake_logits.detach()),
            **self._gradient_norms(pull, seen.detach(), target),
        }

    def _verdicts(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        boundary = self.adversarial.boundary
        right = (real > boundary).float().mean() + (fake < boundary).float().mean()
        score = self.adversarial.score
        return {"d_real": score(real).mean(), "d_fake": score(fake).mean(), "d_accuracy": 0.5 * right}

    def _gradient_norms(self, pull: Tensor, fake: Tensor, target: Tensor) -> dict[str, Tensor]:
        """L1's gradient is weight / N times the sign of the error, so its norm needs no backward pass."""
        norms = {"gradient_gan": pull.norm()}
        if self.config.weight_l1 > 0:
            l1_norm = self.config.weight_l1 * (fake != target).sum().clamp(min=1).sqrt() / fake.numel()
            norms["gradient_ratio"] = norms["gradient_gan"] / l1_norm
        return norms

    def state(self) -> dict[str, Any]:
        """Nothing beyond networks and optimisers."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore; see `state`."""


def build_generator(config: UNetConfig | ResidualUNetConfig, seed: int = 0) -> UNetGenerator | ResidualUNet:
    """The network that a configuration describes."""
    return UNetGenerator(config, seed) if isinstance(config, UNetConfig) else ResidualUNet(config, seed)


def _adam(network: nn.Module, lr: float, betas: tuple[float, float]) -> Adam:
    return Adam(network.parameters(), lr=lr, betas=betas, fused=True)
