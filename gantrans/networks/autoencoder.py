"""A small variational autoencoder of images: (B, C, H, W) <-> a code on a grid smaller by `factor`.

Kingma and Welling 2014. Space-to-depth moves the image to the grid of the code at once, and residual blocks
work there, as in `Denoiser`; an autoencoder for latent diffusion needs no bottleneck narrower than its code
(Rombach et al. 2022, with a small weight of the Kullback-Leibler term).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.config import check_range
from gantrans.errors import ConfigError, DataError
from gantrans.networks.blocks import full_precision, weights_from

LOG_VARIANCES = (-20.0, 10.0)
"""Bounds of the logarithm of a code's variance, so that its exponential stays finite."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """Shape of an `Autoencoder`.

    channels: of the image. latent: channels of the code. factor: side of the squares of pixels that become
    one position of the code. filters: channels of the blocks, a multiple of 8. blocks: residual blocks of the
    encoder, and of the decoder.
    """

    channels: int = 1
    latent: int = 4
    factor: int = 4
    filters: int = 32
    blocks: int = 2

    def __post_init__(self) -> None:
        for name in ("channels", "latent", "blocks"):
            check_range(self, name, 1)
        check_range(self, "factor", 2)
        if self.filters < 8 or self.filters % 8:
            raise ConfigError(
                f"AutoencoderConfig.filters is {self.filters!r}; it must be a multiple of 8, "
                "the size of a group."
            )


class Autoencoder(nn.Module):
    """Encoder to mean and log-variance of the code, decoder to logits; equal seeds give equal weights.

    `scale` normalises the code for a diffusion model: codes times `scale` have variance 1 over the training
    images (Rombach et al. 2022, app. G). It is 1 until it is set.
    """

    scale: Tensor

    def __init__(self, config: AutoencoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        width, folded = config.filters, config.channels * config.factor**2
        with weights_from(seed):
            self.encoder = nn.Sequential(
                nn.PixelUnshuffle(config.factor),
                nn.Conv2d(folded, width, 3, padding=1),
                *(_Block(width) for _ in range(config.blocks)),
                nn.GroupNorm(width // 8, width),
                nn.SiLU(),
                nn.Conv2d(width, 2 * config.latent, 1),
            )
            self.decoder = nn.Sequential(
                nn.Conv2d(config.latent, width, 3, padding=1),
                *(_Block(width) for _ in range(config.blocks)),
                nn.GroupNorm(width // 8, width),
                nn.SiLU(),
                nn.Conv2d(width, folded, 3, padding=1),
                nn.PixelShuffle(config.factor),
            )
        self.register_buffer("scale", torch.ones(()))

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> mean and log-variance of the code, each (B, latent, H / factor, W / factor).

        Raises:
            DataError: another number of channels, or a side that is no multiple of `factor`.
        """
        config = self.config
        if image.dim() != 4 or image.shape[1] != config.channels:
            raise DataError(
                f"The image has shape {tuple(image.shape)}; this autoencoder was built for "
                f"(B, {config.channels}, H, W)."
            )
        if image.shape[2] % config.factor or image.shape[3] % config.factor:
            raise DataError(
                f"The image is {image.shape[2]}x{image.shape[3]} pixels, but this autoencoder needs "
                f"multiples of {config.factor}; use another size or a smaller factor."
            )
        mean, log_variance = full_precision(self.encoder(image)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCES)

    def decode(self, code: Tensor) -> Tensor:
        """(B, latent, h, w) -> logits (B, C, h * factor, w * factor) of pixels that are drawn.

        tanh(logits / 2) is the image in [-1, 1].

        Raises:
            DataError: a code of another number of channels.
        """
        if code.dim() != 4 or code.shape[1] != self.config.latent:
            raise DataError(
                f"The code has shape {tuple(code.shape)}; this autoencoder was built for "
                f"(B, {self.config.latent}, h, w)."
            )
        return full_precision(self.decoder(code))

    def forward(self, image: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, mean and log-variance; the code is mean + exp(log-variance / 2) * noise.

        Args:
            noise: standard normal of the code's shape; None: the mean is decoded.
        """
        mean, log_variance = self.encode(image)
        code = mean if noise is None else mean + (log_variance / 2.0).exp() * noise
        return self.decode(code), mean, log_variance


def kl_to_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of N(mean, exp(log_variance)) from N(0, 1), element by element, in nats."""
    return (mean.square() + log_variance.exp() - 1.0 - log_variance) / 2.0


class _Block(nn.Module):
    """x + Conv(SiLU(norm(Conv(SiLU(norm(x)))))), the identity at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(width // 8, width), nn.GroupNorm(width // 8, width)
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))
