"""Both directions trained at once: two generators, two discriminators, joined by the cycle loss.

Sources: Zhu et al. 2017 (CycleGAN): cycle and identity loss; Isola et al. 2017: L1 and conditional D, since
the images come in pairs. L = weight_gan * adversarial + weight_l1 * L1 + weight_cycle * cycle + weight_fm *
feature matching + weight_identity * identity, summed over the two directions.
"""

from dataclasses import dataclass, field
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from gantrans.errors import ConfigError
from gantrans.networks import PatchGAN, PatchGANConfig, UNetConfig
from gantrans.training import Batch, Runtime
from gantrans.translation.buffer import ImageBuffer
from gantrans.translation.gan_gradients import LossWeights, gan_gradients, l1_gradient_norm, spread
from gantrans.translation.generators import OnePassConfig, build_generator
from gantrans.translation.losses import AdversarialLoss
from gantrans.translation.pix2pix import adam, check_players

BOTH = "both"
"""How a recipe and `--direction` call a training of both directions."""
GENERATORS = {"sem2layout": "a", "layout2sem": "b"}
"""Direction -> the name of its generator in `BidirectionalTask.networks`; D and the scalars of the log end in
the same letter."""


@dataclass(frozen=True)
class BidirectionalConfig:
    """Networks, weights and learning rates of both directions; A is SEM -> layout, B is layout -> SEM.

    Attributes:
        discriminator: configuration of both discriminators, conditional; None trains without adversarial
            terms.
        weight_gan: of each direction; with 0.5 the two add up to the weight 1 of a single direction.
        weight_cycle: of mean |G_B(G_A(sem)) - sem| + mean |G_A(G_B(layout)) - layout|.
        weight_identity: of mean |G_A(layout) - layout| + mean |G_B(sem) - sem|.
        buffer: number of past pairs kept for the loss of each discriminator; see `ImageBuffer`.
    """

    generator_a: OnePassConfig = field(default_factory=UNetConfig)
    generator_b: OnePassConfig = field(default_factory=UNetConfig)
    discriminator: PatchGANConfig | None = field(default_factory=PatchGANConfig)
    adversarial: str = "lsgan"
    real_label: float = 1.0
    weight_l1: float = 100.0
    weight_gan: float = 0.5
    weight_cycle: float = 10.0
    weight_fm: float = 0.0
    weight_identity: float = 0.0
    fm_convention: str = "mean"
    buffer: int = 50
    lr_generator: float = 2e-4
    lr_discriminator: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self) -> None:
        a, b = self.generator_a, self.generator_b
        if (a.in_channels, a.out_channels) != (b.out_channels, b.in_channels):
            raise ConfigError(
                f"generator_a maps {a.in_channels} channels to {a.out_channels}, generator_b {b.in_channels} "
                f"to {b.out_channels}; the input of each must have the channels of the other's output."
            )
        check_players(self, a.in_channels + a.out_channels)


class BidirectionalTask:
    """Both translations as one task for `gantrans.training.fit`; equal seeds give equal weights.

    `networks` are "a", "b" (generators) and "d_a", "d_b". `generator` is A, so that the validation of a
    pix2pix task in the direction SEM -> layout can be used here as well.
    """

    name = "bidirectional"

    def __init__(self, config: BidirectionalConfig, seed: int = 0) -> None:
        self.config = config
        adversarial = AdversarialLoss(config.adversarial, config.real_label)
        self.loss_weights = LossWeights(
            adversarial, config.weight_gan, config.weight_fm, config.fm_convention
        )
        self.a, self.b = (
            build_generator(config.generator_a, 4 * seed),
            build_generator(config.generator_b, 4 * seed + 1),
        )
        self.generator = self.a
        self.networks: dict[str, nn.Module] = {"a": self.a, "b": self.b}
        self.optimizers: dict[str, Optimizer] = {
            name: adam(network, config.lr_generator, config.betas) for name, network in self.networks.items()
        }
        self.discriminators: dict[str, PatchGAN] = {}
        self.buffers = {
            name: ImageBuffer(config.buffer, 2 * seed + k) for k, name in enumerate(("d_a", "d_b"))
        }
        if config.discriminator is not None:
            for k, name in enumerate(self.buffers):
                critic = PatchGAN(config.discriminator, 4 * seed + 2 + k)
                self.discriminators[name] = self.networks[name] = critic
                self.optimizers[name] = adam(critic, config.lr_discriminator, config.betas)

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Add one batch's gradients of all networks to their parameters; return detached scalars for the log.

        `batch` is of the direction SEM -> layout: "input" is the SEM image, "target" the layout.

        Canonical form: `lessons.lesson07.exercises.cycle_step.cycle_step` for the generators
        (its cycle term: `lessons.lesson07.exercises.cycle_loss.cycle_loss`); this adds both
        discriminators' gradients from the same passes, feature matching, identity loss and image buffers.

        Returns:
            loss_l1_a, loss_l1_b, loss_cycle, loss_identity (where their weights are not 0), and for each
            direction the scalars of `Pix2PixTask.step`, with the ending _a or _b.
        """
        sem, layout = cast(Tensor, batch["input"]), cast(Tensor, batch["target"])
        made = {"a": self.a(sem, noise=runtime.generator), "b": self.b(layout, noise=runtime.generator)}
        scalars, total = {}, sem.new_zeros(())
        for name, source, target in (("a", sem, layout), ("b", layout, sem)):
            fake = made[name]
            loss = F.l1_loss(fake, target)
            scalars[f"loss_l1_{name}"] = loss.detach()
            total = total + self.config.weight_l1 * loss
            if self.discriminators:
                grad_fake, logged = self._gan_gradients(name, runtime, source, target, fake)
                total = total + (grad_fake * fake).sum()  # its gradient at the fake is grad_fake
                scalars |= {f"{key}_{name}": value for key, value in logged.items()}
        for term, weight, loss in self._further(sem, layout, made, runtime):
            scalars[term] = loss.detach()
            total = total + weight * loss
        runtime.backward(total)
        return scalars

    def _gan_gradients(
        self, name: str, runtime: Runtime, source: Tensor, target: Tensor, fake: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        critic, buffer = self.discriminators[f"d_{name}"], self.buffers[f"d_{name}"]
        grad_fake, logged = gan_gradients(critic, self.loss_weights, runtime, source, target, fake, buffer)
        if self.config.weight_l1 > 0:
            logged["gradient_ratio"] = logged["gradient_gan"] / l1_gradient_norm(
                self.config.weight_l1, fake.detach(), target
            )
        return grad_fake, {**logged, "spread": spread(fake.detach(), target)}

    def _further(
        self, sem: Tensor, layout: Tensor, made: dict[str, Tensor], runtime: Runtime
    ) -> list[tuple[str, float, Tensor]]:
        """Cycle and identity terms as (name, weight, loss); a term of weight 0 is not computed."""
        config, noise, terms = self.config, runtime.generator, []
        if config.weight_cycle > 0:
            back = F.l1_loss(self.b(made["a"], noise=noise), sem) + F.l1_loss(
                self.a(made["b"], noise=noise), layout
            )
            terms.append(("loss_cycle", config.weight_cycle, back))
        if config.weight_identity > 0:
            same = F.l1_loss(self.a(layout, noise=noise), layout) + F.l1_loss(self.b(sem, noise=noise), sem)
            terms.append(("loss_identity", config.weight_identity, same))
        return terms

    def state(self) -> dict[str, Any]:
        """The image buffers."""
        return {name: buffer.state() for name, buffer in self.buffers.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        for name, buffer in self.buffers.items():
            buffer.load_state(state[name], next(self.a.parameters()).device)
