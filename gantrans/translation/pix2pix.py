"""Paired image translation: one generator, one conditional discriminator, L1 and an adversarial loss.

Source: Isola et al. 2017 (pix2pix). Both networks' gradients are taken at the same weights (simultaneous
gradient descent), so that one generator pass and one discriminator pass over the fake serve both losses.
"""

from dataclasses import dataclass, field, fields
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from gantrans.config import check_choice, check_range
from gantrans.errors import ConfigError
from gantrans.networks import PatchGAN, PatchGANConfig, UNetConfig
from gantrans.training import Batch, Runtime
from gantrans.translation.buffer import ImageBuffer
from gantrans.translation.feature_matching import FM_CONVENTIONS
from gantrans.translation.gan_gradients import LossWeights, gan_gradients, l1_gradient_norm, spread
from gantrans.translation.generators import OnePassConfig, build_generator
from gantrans.translation.losses import AdversarialLoss


@dataclass(frozen=True)
class Pix2PixConfig:
    """Networks, loss weights and learning rates; `discriminator=None` trains the generator with L1 alone.

    Attributes:
        weight_fm, fm_convention: of feature matching; see `feature_matching`.
        buffer: number of past fakes kept for D's loss; see `ImageBuffer`.
    """

    generator: OnePassConfig = field(default_factory=UNetConfig)
    discriminator: PatchGANConfig | None = field(default_factory=PatchGANConfig)
    adversarial: str = "lsgan"
    real_label: float = 1.0
    weight_l1: float = 100.0
    weight_gan: float = 1.0
    weight_fm: float = 0.0
    fm_convention: str = "mean"
    buffer: int = 0
    lr_generator: float = 2e-4
    lr_discriminator: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self) -> None:
        check_players(self, self.generator.in_channels + self.generator.out_channels)


def check_players(config: Any, channels: int) -> None:
    """Check the settings that all tasks with generators and discriminators share.

    Args:
        config: with the loss, its weights (`weight_*`), rates, betas, buffer and discriminator as fields.
        channels: number of channels of condition and image together.

    Raises:
        ConfigError: naming the field, its value and what is allowed.
    """
    AdversarialLoss(config.adversarial, config.real_label)
    names = [field.name for field in fields(config)]
    for name in (*(name for name in names if name.startswith("weight_")), "buffer"):
        check_range(config, name, 0.0)
    check_choice(config, "fm_convention", FM_CONVENTIONS)
    for name in ("lr_generator", "lr_discriminator"):
        check_range(config, name, 0.0, open_low=True)
    if len(config.betas) != 2 or not all(0.0 <= beta < 1.0 for beta in config.betas):
        raise ConfigError(
            f"{type(config).__name__}.betas is {config.betas!r}; it must be two numbers in [0, 1)."
        )
    if config.discriminator is not None and config.discriminator.in_channels != channels:
        raise ConfigError(
            f"PatchGANConfig.in_channels is {config.discriminator.in_channels!r}; condition and image have "
            f"{channels} channels together."
        )


class Pix2PixTask:
    """pix2pix as a task for `gantrans.training.fit`, in either direction; equal seeds give equal weights."""

    name = "pix2pix"

    def __init__(self, config: Pix2PixConfig, seed: int = 0) -> None:
        self.config = config
        adversarial = AdversarialLoss(config.adversarial, config.real_label)
        self.loss_weights = LossWeights(
            adversarial, config.weight_gan, config.weight_fm, config.fm_convention
        )
        self.buffer = ImageBuffer(config.buffer, seed)
        self.generator = build_generator(config.generator, 2 * seed)
        self.discriminator: PatchGAN | None = None
        self.networks: dict[str, nn.Module] = {"generator": self.generator}
        self.optimizers: dict[str, Optimizer] = {
            "generator": adam(self.generator, config.lr_generator, config.betas)
        }
        if config.discriminator is not None:
            self.discriminator = PatchGAN(config.discriminator, 2 * seed + 1)
            self.networks["discriminator"] = self.discriminator
            self.optimizers["discriminator"] = adam(self.discriminator, config.lr_discriminator, config.betas)

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Add one batch's gradients of both players to their parameters; return detached scalars for the log.

        Canonical form: `lessons.lesson05.pix2pix.reference_step`, where D moves before G's turn; this takes
        both gradients at the same weights, because one pass of each network then serves both, adds feature
        matching and the image buffer, and leaves the optimisers to `fit`.

        Returns:
            loss_l1; with a discriminator also the scalars of `gan_gradients`, gradient_ratio (the norm of the
            weighted adversarial gradient at the fake over that of the weighted L1 gradient, if weight_l1 > 0)
            and spread (see `spread`).
        """
        source, target = cast(Tensor, batch["input"]), cast(Tensor, batch["target"])
        fake = self.generator(source, noise=runtime.generator)  # (B, 1, H, W), float32
        loss_l1 = F.l1_loss(fake, target)
        if self.discriminator is None:
            runtime.backward(self.config.weight_l1 * loss_l1)
            return {"loss_l1": loss_l1.detach()}
        grad_fake, scalars = gan_gradients(
            self.discriminator, self.loss_weights, runtime, source, target, fake, self.buffer
        )
        # (grad_fake * fake).sum() has the gradient grad_fake at the fake, so that one backward pass through G
        # gives the gradient of all its losses.
        runtime.backward(self.config.weight_l1 * loss_l1 + (grad_fake * fake).sum())
        fake = fake.detach()
        if self.config.weight_l1 > 0:
            l1_norm = l1_gradient_norm(self.config.weight_l1, fake, target)
            scalars["gradient_ratio"] = scalars["gradient_gan"] / l1_norm
        return {"loss_l1": loss_l1.detach(), **scalars, "spread": spread(fake, target)}

    def state(self) -> dict[str, Any]:
        """The image buffer."""
        return {"buffer": self.buffer.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.buffer.load_state(state["buffer"], next(self.generator.parameters()).device)


def adam(network: nn.Module, lr: float, betas: tuple[float, float]) -> Adam:
    """Adam for the parameters of one network, with the fused kernel."""
    return Adam(network.parameters(), lr=lr, betas=betas, fused=True)
