"""Do the networks of a task fit the size of its pairs? Asked before a run writes anything."""

from dataclasses import fields
from typing import Any

from gantrans.errors import ConfigError
from gantrans.networks import (
    DenoiserConfig,
    PatchGANConfig,
    ResidualUNetConfig,
    UNetConfig,
    VisionTransformerConfig,
)
from gantrans.translation.conditional import ConditionalDiffusionConfig


def check_sizes(task: Any, size: int, batch_size: int) -> None:
    """Check every network of a task's configuration against square images of `size` pixels.

    Args:
        task: a `Pix2PixConfig`, `BidirectionalConfig` or `ConditionalDiffusionConfig`.
        batch_size: of training; batch normalisation needs more than one value per channel.

    Raises:
        ConfigError: a generator needs other sizes, or a discriminator larger ones.
    """
    parts = task.diffusion if isinstance(task, ConditionalDiffusionConfig) else task
    for network in (getattr(parts, field.name) for field in fields(parts)):
        if isinstance(network, UNetConfig):
            _check_multiple(size, 2**network.n_down, f"a U-Net with n_down = {network.n_down}")
            if size == 2**network.n_down and network.norm != "none" and batch_size == 1:
                raise ConfigError(
                    f"A pair of {size} px leaves one pixel at the bottleneck of a U-Net with n_down = "
                    f"{network.n_down}, not enough for {network.norm} norm; choose larger pairs, a smaller "
                    "n_down or a larger batch."
                )
        elif isinstance(network, ResidualUNetConfig):
            levels = len(network.multipliers)
            _check_multiple(size, network.factor, f"a residual U-Net of {levels} levels")
        elif isinstance(network, DenoiserConfig):
            levels = len(network.multipliers)
            _check_multiple(size, network.factor, f"a denoiser of {levels} levels")
        elif isinstance(network, VisionTransformerConfig):
            _check_multiple(size, network.patch, f"a transformer with patches of {network.patch} px")
        elif isinstance(network, PatchGANConfig) and size < network.minimum_size:
            raise ConfigError(
                f"Pairs of {size} px are too small for the discriminator: with n_layers = "
                f"{network.n_layers} it gives a logit from {network.minimum_size} px on; choose larger "
                "pairs or a smaller n_layers."
            )


def _check_multiple(size: int, factor: int, network: str) -> None:
    if size % factor:
        raise ConfigError(
            f"Pairs of {size} px do not fit {network}, which needs multiples of {factor} px; choose another "
            "size of pairs or another depth."
        )
