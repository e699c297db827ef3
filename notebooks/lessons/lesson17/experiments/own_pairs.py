"""Small networks on few colour pairs: how they are trained, watched and judged; the page has the same in its
own cells.

The translator is lesson 04's U-Net with three channels, the critic lesson 05's PatchGAN with six.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lessons.lesson04.exercises.unet_translator import UNetTranslator
from lessons.lesson05.exercises.build_patchgan import PatchGAN
from lessons.lesson05.exercises.discriminator_step import discriminator_step
from lessons.lesson05.exercises.generator_step import generator_step
from lessons.lesson05.exercises.lsgan_d_loss import lsgan_d_loss
from lessons.lesson05.exercises.patchgan_layers import patchgan_layers
from lessons.lesson06.exercises.generator_loss import generator_loss
from lessons.lesson06.exercises.translate_new import translate_new
from lessons.lesson17.exercises.random_crops import random_crops
from lessons.lesson17.pairs import ColourPairs

Part = tuple[Tensor, Tensor]
"""Inputs and targets, (N, 3, S, S) each, in [-1, 1]."""
Watch = Callable[[nn.Module], tuple[float, ...]]
CROP = 48
"""Side of the pieces in a batch, in pixels."""


@dataclass(frozen=True)
class Setting:
    """Sizes at one scale.

    houses, views: the set whose houses are split; few: numbers of pairs of the test for copies, after which
    `fresh` houses follow to test on. steps: of L1 with a stop; game: with a critic; short: of all other
    trainings. The error is taken every `every` steps.
    """

    houses: int
    views: int
    few: tuple[int, ...]
    fresh: int
    size: int
    width: int
    steps: int
    game: int
    short: int
    every: int
    batch: int
    lr: float
    weight_l1: float
    seeds: int


SETTINGS = {
    "smoke": Setting(8, 2, (4, 8), 4, 64, 8, 8, 4, 4, 2, 4, 2e-3, 30.0, 2),
    "reduced": Setting(20, 2, (10, 20, 40), 10, 64, 16, 1200, 300, 300, 20, 4, 1e-3, 30.0, 12),
    "full": Setting(20, 2, (10, 20, 40), 10, 64, 32, 3000, 1500, 1500, 10, 4, 1e-3, 30.0, 12),
}


class Up(nn.Module):
    """(B, C, H, W) and a skip -> (B, C' + S, 2 H, 2 W): pixels repeated, a convolution; then the skip."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """See the class."""
        return torch.cat([F.relu(self.layers(x)), skip], dim=1)


def down(inputs: int, outputs: int, norm: bool) -> nn.Module:
    """(B, C, H, W) -> (B, C', H / 2, W / 2)."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)]
    if norm:
        layers.append(nn.GroupNorm(8, outputs))
    return nn.Sequential(*layers, nn.LeakyReLU(0.2))


def translator(width: int, seed: int) -> nn.Module:
    """A U-Net of three levels, colour in and colour out; H and W are multiples of 8."""
    torch.manual_seed(seed)
    net: nn.Module = UNetTranslator(down, Up, (width, 2 * width, 4 * width))
    net.down[0] = down(3, width, False)  # type: ignore[index, operator, assignment]
    net.last = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2 * width, 3, 5, padding=2))
    return net


def critic(width: int, seed: int) -> nn.Module:
    """A PatchGAN of two halvings on six channels."""
    torch.manual_seed(seed)
    rows = patchgan_layers(width, 2, 8 * width)
    net: nn.Module = PatchGAN([(6, *rows[0][1:]), *rows[1:]])
    return net


def part(pairs: ColourPairs, rows: Sequence[int]) -> Part:
    """Some pairs, in [-1, 1]."""
    chosen = list(rows)
    return 2 * pairs.given[chosen] - 1, 2 * pairs.wanted[chosen] - 1


def error(net: nn.Module, pairs: Part) -> Tensor:
    """L1 of every picture in [0, 1], (N,)."""
    return (translate_new(net, pairs[0], 16) - pairs[1]).abs().mean((1, 2, 3)) / 2


def batch(pairs: Part, setting: Setting, draws: torch.Generator) -> Part:
    """Pieces of drawn pairs."""
    chosen = torch.randint(len(pairs[0]), (setting.batch,), generator=draws)
    x, y = random_crops(pairs[0][chosen], pairs[1][chosen], CROP, draws)
    return x, y


def learn(
    net: nn.Module, pairs: Part, setting: Setting, seed: int, steps: int, watch: Watch | None = None
) -> list[tuple[float, ...]]:
    """Train with L1 and Adam -> what `watch` gave every `every` steps; `net` is trained in place."""
    draws = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(net.parameters(), setting.lr)
    seen: list[tuple[float, ...]] = []
    for step in range(1, steps + 1):
        x, y = batch(pairs, setting, draws)
        loss = F.l1_loss(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if watch is not None and step % setting.every == 0:
            seen.append(watch(net))
    return seen


def play(
    G: nn.Module,
    D: nn.Module,
    pairs: Part,
    setting: Setting,
    seed: int,
    steps: int,
    watch: Watch | None = None,
) -> list[tuple[float, ...]]:
    """Train against a critic, with least squares and L1 -> as `learn`."""
    draws = torch.Generator().manual_seed(seed)
    of_g, of_d = (torch.optim.Adam(net.parameters(), setting.lr / 2, (0.5, 0.999)) for net in (G, D))
    seen: list[tuple[float, ...]] = []
    for step in range(1, steps + 1):
        x, y = batch(pairs, setting, draws)
        fake = G(x)
        discriminator_step(D, of_d, x, y, fake, lsgan_d_loss)
        generator_step(D, of_g, x, y, fake, lambda z: generator_loss(z, "lsgan"), setting.weight_l1)
        if watch is not None and step % setting.every == 0:
            seen.append(watch(G))
    return seen
