"""Latent diffusion: an autoencoder makes clips small, and the same diffusion task learns their codes.

Rombach et al. 2022: the autoencoder keeps what cannot be left out of an image on a smaller grid, the denoiser
learns how codes are distributed. A 64 px clip with factor 4 is a code of 16 x 16, so a step of the denoiser
costs a sixteenth of one on pixels with the same channels. What the autoencoder blurs, no denoiser repairs:
judge its reconstructions first.
"""

from dataclasses import dataclass, field
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from gantrans.config import check_range
from gantrans.diffusion.samplers import SamplerConfig, sample
from gantrans.diffusion.task import DiffusionConfig, denoiser_model
from gantrans.errors import ConfigError
from gantrans.networks import DenoiserConfig
from gantrans.networks.autoencoder import Autoencoder, AutoencoderConfig, kl_to_standard
from gantrans.training import Batch, Runtime

_BATCH = 256  # images per forward pass


@dataclass(frozen=True)
class AutoencoderTaskConfig:
    """Network, weight of the Kullback-Leibler term and learning rate of an autoencoder's training.

    Attributes:
        kl: weight of the divergence, in nats per value of the code, against the cross-entropy in nats per
            pixel. The variational bound has the number of code values per pixel; far less keeps the code
            smooth without making the image blurred.
    """

    network: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    kl: float = 1e-3
    lr: float = 2e-3

    def __post_init__(self) -> None:
        check_range(self, "kl", 0.0)
        check_range(self, "lr", 0.0, open_low=True)


class AutoencoderTask:
    """A variational autoencoder of binary images as a task for `fit`; equal seeds give equal weights."""

    name = "autoencoder"

    def __init__(self, config: AutoencoderTaskConfig, seed: int = 0) -> None:
        self.config = config
        self.autoencoder = Autoencoder(config.network, seed)
        self.networks: dict[str, nn.Module] = {"autoencoder": self.autoencoder}
        self.optimizers: dict[str, Optimizer] = {
            "autoencoder": AdamW(self.autoencoder.parameters(), lr=config.lr, weight_decay=0.0, fused=True)
        }

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Add one batch's gradient; a batch holds "x0" (B, C, H, W), pixels -1 or 1.

        Returns:
            loss: cross_entropy plus `kl` times divergence. cross_entropy: nats per pixel.
            divergence: nats per value of the code. wrong: share of pixels on the wrong side.
        """
        x0 = cast(Tensor, batch["x0"])
        size = self.config.network.factor
        shape = (len(x0), self.config.network.latent, x0.shape[2] // size, x0.shape[3] // size)
        noise = torch.randn(shape, generator=runtime.generator, device=x0.device)
        logits, mean, log_variance = self.autoencoder(x0, noise)
        drawn = F.binary_cross_entropy_with_logits(logits, (x0 + 1.0) / 2.0)
        divergence = kl_to_standard(mean, log_variance).mean()
        loss = drawn + self.config.kl * divergence
        runtime.backward(loss)
        wrong = ((logits.detach() > 0) != (x0 > 0)).float().mean()
        return {
            "loss": loss.detach(),
            "cross_entropy": drawn.detach(),
            "divergence": divergence.detach(),
            "wrong": wrong,
        }

    def state(self) -> dict[str, Any]:
        """Empty: there is no state beyond network and optimiser."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore; see `state`."""


@torch.no_grad()
def normalise_codes(autoencoder: Autoencoder, images: Tensor) -> float:
    """Set the autoencoder's `scale` so that the codes of `images` have variance 1; returns it.

    Args:
        images: the training images, (N, C, H, W) in [-1, 1].

    Raises:
        ConfigError: codes that are all equal, as those of a collapsed autoencoder.
    """
    autoencoder.scale.fill_(1.0)
    spread = float(encoded(autoencoder, images).std())
    if not spread > 1e-6:
        raise ConfigError("All codes are equal, so they cannot be normalised; train with a smaller kl.")
    autoencoder.scale.fill_(1.0 / spread)
    return 1.0 / spread


@torch.no_grad()
def encoded(autoencoder: Autoencoder, images: Tensor) -> Tensor:
    """The mean codes of images, times `scale`: (N, C, H, W) in [-1, 1] -> (N, latent, h, w), in eval mode."""
    autoencoder.eval()
    scale = autoencoder.scale
    return torch.cat([autoencoder.encode(part)[0] * scale for part in images.split(_BATCH)])


@torch.no_grad()
def decoded(autoencoder: Autoencoder, codes: Tensor) -> Tensor:
    """The images of codes as `encoded` gives them: (N, latent, h, w) -> (N, C, H, W) in [-1, 1]."""
    autoencoder.eval()
    parts = (codes / autoencoder.scale).split(_BATCH)
    return torch.cat([torch.tanh(autoencoder.decode(part) / 2.0) for part in parts])


def latent_config(
    code: AutoencoderConfig, *, classes: int = 0, base_filters: int = 32, steps: int = 1000
) -> DiffusionConfig:
    """The diffusion model of codes: `DiffusionTask` as on pixels, with v, because codes are not binary."""
    network = DenoiserConfig(
        channels=code.latent, classes=classes, base_filters=base_filters, multipliers=(1, 2), steps=steps
    )
    return DiffusionConfig(network, steps=steps, prediction="v")


def draw_latent(
    denoiser: nn.Module,
    config: DiffusionConfig,
    autoencoder: Autoencoder,
    count: int,
    size: int,
    sampler: SamplerConfig | None = None,
    *,
    label: Tensor | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Tensor:
    """`count` images (count, C, size, size) in [-1, 1]: codes are drawn, then decoded once.

    Args:
        denoiser, config: the diffusion model of codes. size: side of the images in pixels.
        sampler: None: DDPM in 50 steps. Its `clip` has no effect: codes are not bounded by [-1, 1].

    Raises:
        ConfigError: a size that is no multiple of the autoencoder's factor.
    """
    factor = autoencoder.config.factor
    if size < factor or size % factor:
        raise ConfigError(f"{size} px is no multiple of the autoencoder's factor {factor}; use another size.")
    settings = sampler or SamplerConfig()
    side, device = size // factor, autoencoder.scale.device
    codes = sample(
        denoiser_model(denoiser, config, label=label),
        (count, autoencoder.config.latent, side, side),
        config.noise_schedule,
        SamplerConfig(settings.sampler, settings.count, settings.eta, clip=False, rho=settings.rho),
        prediction=config.prediction,
        generator=torch.Generator(device).manual_seed(seed),
        chunk=64 if label is None else None,
        progress=progress,
    )
    assert isinstance(codes, Tensor)
    return decoded(autoencoder, codes)
