"""A GAN in miniature for the tests of the loop: everything that exact resume must bring back is in it.

Batch normalisation, dropout (global generator), noise (the runtime's generator), two optimizers, spectral
norm, and a buffer of past fakes as further state.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gantrans.training import Batch, Runtime


@dataclass(frozen=True)
class ToyConfig:
    """`plain` leaves out what is random, sees the whole batch or counts forward passes."""

    width: int = 4
    plain: bool = False


class ToyTask:
    """See the module."""

    name = "toy"

    def __init__(self, config: ToyConfig | None = None) -> None:
        self.config = config = config or ToyConfig()
        mixing = [] if config.plain else [nn.BatchNorm2d(config.width), nn.Dropout(0.5)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            generator = nn.Sequential(
                nn.Conv2d(1, config.width, 3, padding=1), *mixing, nn.Conv2d(config.width, 1, 3, padding=1)
            )
            first = nn.Conv2d(1, config.width, 3)
            first = first if config.plain else spectral_norm(first)
            discriminator = nn.Sequential(first, nn.Flatten(), nn.Linear(config.width * 6 * 6, 1))
        self.networks = {"generator": generator, "discriminator": discriminator}
        self.optimizers = {
            "generator": torch.optim.Adam(generator.parameters(), lr=2e-2, betas=(0.5, 0.999)),
            "discriminator": torch.optim.SGD(discriminator.parameters(), lr=1e-2, momentum=0.9),
        }
        self.buffer: list[Tensor] = []

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Simultaneous gradients of a least-squares GAN with L1."""
        generator, discriminator = self.networks.values()
        source, target = batch["input"], batch["target"]
        noise = 0.0 if self.config.plain else 0.1 * torch.randn(source.shape, generator=runtime.generator)
        fake = generator(source + noise).float()
        self.buffer = [*self.buffer, fake.detach()][-2:]
        past = fake.detach() if self.config.plain else self.buffer[0]
        l1 = (fake - target).abs().mean()
        adversarial = (discriminator(fake).float() - 1.0).square().mean()
        judged = (discriminator(target).float() - 1.0).square().mean() + discriminator(
            past
        ).float().square().mean()
        runtime.backward(l1 + 0.1 * adversarial, inputs=list(generator.parameters()))
        runtime.backward(judged, inputs=list(discriminator.parameters()))
        return {"l1": l1.detach(), "adversarial": adversarial.detach(), "judged": judged.detach()}

    def state(self) -> dict[str, Any]:
        """Past fakes."""
        return {"buffer": self.buffer}

    def load_state(self, state: dict[str, Any]) -> None:
        """Past fakes."""
        self.buffer = state["buffer"]


def toy_data(index: int) -> Batch:
    """Batch `index`: 4 images of 8 x 8 px, a pure function of the index."""
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(index)) * 2 - 1
    return {"input": images, "target": -images.sign(), "family": ["a", "b", "a", "b"]}


def same(one: Any, other: Any) -> bool:
    """Equal bit for bit, nested."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def same_training(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Two checkpoints equal in all that training made (time apart)."""
    timeless = one.keys() - {"seconds", "environment"}
    return all(same(one[key], other[key]) for key in timeless)
