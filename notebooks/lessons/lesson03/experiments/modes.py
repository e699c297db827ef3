"""Lesson 03, claim D08: how many of 25 Gaussians does a diffusion model cover, and how many a GAN?

Networks of equal width; the GAN gets at least as much computing time. A mode is covered when at least a
fifth of its fair share of the samples lies within four standard deviations of its centre.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from gantrans.diffusion import DiffusionConfig, SamplerConfig
from gantrans.networks import VectorDenoiserConfig
from gantrans.networks.blocks import weights_from
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from gantrans.training import Batch, FitConfig, Runtime
from gantrans.translation.losses import AdversarialLoss
from lessons.lesson03.experiments.analytic import Mixture, grid
from lessons.shared.denoising import fitting, train_denoiser
from lessons.shared.trained import trained

SAMPLES = 2500
LATENT = 2
ARMS = ("diffusion", "GAN")


@dataclass(frozen=True)
class ModeSetting:
    """Sizes at one scale; the GAN's steps were chosen so that it computes at least as long."""

    hidden: int
    steps: int
    gan_steps: int
    seeds: int


SETTINGS: Mapping[str, ModeSetting] = {
    "smoke": ModeSetting(16, 10, 10, 2),
    "reduced": ModeSetting(96, 1500, 2500, 12),
    "full": ModeSetting(96, 6000, 10_000, 12),
}
BATCH = 256


@dataclass(frozen=True)
class PointGANConfig:
    """Generator and discriminator: MLPs with two hidden layers of `hidden` units, Adam as in pix2pix."""

    hidden: int
    loss: str = "non_saturating"
    lr: float = 1e-3


class PointGAN:
    """A plain GAN for points in the plane, as a task for `gantrans.training.fit`."""

    name = "point gan"

    def __init__(self, config: PointGANConfig, seed: int = 0) -> None:
        self.config = config
        self.adversarial = AdversarialLoss(config.loss)
        with weights_from(seed):
            self.networks: dict[str, nn.Module] = {
                "generator": _mlp(LATENT, config.hidden, 2),
                "discriminator": _mlp(2, config.hidden, 1),
            }
        self.optimizers: dict[str, Optimizer] = {
            name: Adam(network.parameters(), lr=config.lr, betas=(0.5, 0.999))
            for name, network in self.networks.items()
        }

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Add one batch's gradients of both players; a batch holds "x0" (B, 2)."""
        real = cast(Tensor, batch["x0"])
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        fake = generator(torch.randn(len(real), LATENT, generator=runtime.generator, device=real.device))
        loss_d = self.adversarial.discriminator(discriminator(real), discriminator(fake.detach()))
        runtime.backward(loss_d, inputs=list(discriminator.parameters()))
        loss_g = self.adversarial.generator(discriminator(fake))
        runtime.backward(loss_g, inputs=list(generator.parameters()))
        return {"loss_g": loss_g.detach(), "loss_d": loss_d.detach()}

    def state(self) -> dict[str, Any]:
        """Nothing beyond networks and optimisers."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore; see `state`."""


def _mlp(first: int, hidden: int, last: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(first, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2),
        nn.Linear(hidden, last),
    )  # fmt: skip


def points(seed: int) -> Callable[[int], Batch]:
    """Batch number n of the grid of Gaussians, (256, 2)."""

    def draw(number: int) -> Batch:
        generator = torch.Generator().manual_seed(1_000_003 * seed + number)
        return {"x0": grid().draw(BATCH, generator).float()}

    return draw


def diffusion_points(seed: int, scale: str) -> Tensor:
    """What a diffusion model makes after its training, (SAMPLES, 2)."""
    setting = SETTINGS[scale]
    network = VectorDenoiserConfig(2, hidden=setting.hidden, steps=100)
    config = DiffusionConfig(network, steps=100, prediction="epsilon", lr=3e-3)
    about = {"source": "grid of 25 Gaussians", "batch": BATCH}
    trained = train_denoiser(
        config, fitting(setting.steps, seed), points(seed), seed=seed, name="modes-diffusion", data=about
    )
    return trained.draw((SAMPLES, 2), SamplerConfig("ddpm", 50), seed)


def gan_points(seed: int, scale: str) -> Tensor:
    """What a GAN makes after its training, (SAMPLES, 2)."""
    setting = SETTINGS[scale]
    config = PointGANConfig(setting.hidden)
    training = FitConfig(setting.gan_steps, seed=seed, precision="fp32", checkpoint_every=10**6)

    network = trained(
        lambda: PointGAN(config, seed),
        training,
        lambda: points(seed),
        name="modes-gan",
        key=config,
        data={"batch": BATCH},
    ).generator
    with torch.inference_mode():
        latent = torch.randn(SAMPLES, LATENT, generator=torch.Generator().manual_seed(10_000 + seed))
        made: Tensor = network(latent)
        return made


def covered(samples: Tensor, mixture: Mixture) -> tuple[int, float]:
    """Modes covered, and the share of samples that lie at a mode."""
    distance = torch.cdist(samples.double(), mixture.centres)
    near = distance.min(1)
    at_home = near.values < 4 * mixture.spread
    counts = torch.bincount(near.indices[at_home], minlength=len(mixture.centres))
    return int((counts >= len(samples) / len(mixture.centres) / 5).sum()), float(at_home.float().mean())


def run_seed(seed: int, scale: str) -> dict[str, dict[str, float]]:
    """{arm: modes, share of samples at a mode, CPU seconds}."""
    row = {}
    for arm, make in zip(ARMS, (diffusion_points, gan_points), strict=True):
        started = time.process_time()
        samples = make(seed, scale)
        seconds = time.process_time() - started
        modes, share = covered(samples, grid())
        row[arm] = {"modes": float(modes), "at a mode": share, "CPU seconds": seconds}
    return row


def modes_covered(table: Table) -> dict[str, Any]:
    """The data of D08 and the numbers that go with it."""
    means = table.means()
    numbers = {f"{arm}: {q}": value for arm in ARMS for q, value in means[arm].items()}
    return {"data": table.values("modes", *ARMS), "numbers": numbers}


SWEEP = Sweep(
    "modes",
    run_seed,
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: SETTINGS[scale],
    {"D08": modes_covered},
)
