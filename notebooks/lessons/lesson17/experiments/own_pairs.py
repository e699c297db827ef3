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
from lessons.lesson17.facades import facades
from lessons.lesson17.pairs import ColourPairs

Part = tuple[Tensor, Tensor]
"""Inputs and targets, (N, 3, S, S) each, in [-1, 1]."""
Watch = Callable[[nn.Module], float]


@dataclass(frozen=True)
class Setting:
    """Sizes at one scale. `steps` of L1, `game` steps with a critic; the error is taken every `every` steps."""

    houses: int
    views: int
    size: int
    width: int
    steps: int
    game: int
    every: int
    batch: int
    lr: float
    weight_l1: float
    seeds: int


SETTINGS = {
    "smoke": Setting(8, 2, 64, 8, 8, 4, 2, 4, 2e-3, 30.0, 2),
    "reduced": Setting(20, 2, 64, 16, 400, 240, 10, 4, 2e-3, 30.0, 12),
    "full": Setting(20, 2, 64, 32, 2000, 1200, 20, 4, 1e-3, 30.0, 12),
}


class Up(nn.Module):
    """(B, C, H, W) and a skip -> (B, C' + S, 2 H, 2 W): pixels repeated, a convolution; the skip behind it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """See the class."""
        return torch.cat([F.relu(self.layers(x)), skip], dim=1)


def down(inputs: int, outputs: int, norm: bool) -> nn.Module:
    """(B, C, H, W) -> (B, C', H / 2, W / 2)."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)]
    if norm:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, nn.LeakyReLU(0.2))


def translator(width: int, seed: int) -> nn.Module:
    """A U-Net of three levels, colour in and colour out; H and W are multiples of 8."""
    torch.manual_seed(seed)
    net: nn.Module = UNetTranslator(down, Up, (width, 2 * width, 4 * width))
    net.down[0] = down(3, width, False)  # type: ignore[index, operator]
    net.last = nn.ConvTranspose2d(2 * width, 3, 4, stride=2, padding=1)
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


def by_house(setting: Setting, seed: int) -> tuple[list[int], list[int], list[int]]:
    """Rows of the pairs to train on, to validate with and to test on: whole houses, a fifth each held out."""
    order = torch.randperm(setting.houses, generator=torch.Generator().manual_seed(seed)).tolist()
    fifth = max(1, setting.houses // 5)
    houses = order[2 * fifth :], order[fifth : 2 * fifth], order[:fifth]
    rows = ([setting.views * h + v for h in some for v in range(setting.views)] for some in houses)
    train, val, test = (sorted(some) for some in rows)
    return train, val, test


def by_file(setting: Setting, seed: int) -> tuple[list[int], list[int], list[int]]:
    """The same numbers of rows, each drawn for itself."""
    count = setting.houses * setting.views
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    fifth = setting.views * max(1, setting.houses // 5)
    return sorted(order[2 * fifth :]), sorted(order[fifth : 2 * fifth]), sorted(order[:fifth])


def learn(
    net: nn.Module, pairs: Part, setting: Setting, seed: int, steps: int, watch: Watch | None = None
) -> list[float]:
    """Train with L1 and Adam -> what `watch` gave every `every` steps; `net` is trained in place."""
    draws = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(net.parameters(), setting.lr)
    seen: list[float] = []
    for step in range(1, steps + 1):
        chosen = torch.randint(len(pairs[0]), (setting.batch,), generator=draws)
        loss = F.l1_loss(net(pairs[0][chosen]), pairs[1][chosen])
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
) -> tuple[list[float], list[tuple[float, float]]]:
    """Train against a critic, least squares and L1 -> as `learn`, and the losses (D's, G's) of all steps."""
    draws = torch.Generator().manual_seed(seed)
    of_g, of_d = (torch.optim.Adam(net.parameters(), setting.lr / 2, (0.5, 0.999)) for net in (G, D))
    seen: list[float] = []
    losses: list[tuple[float, float]] = []
    for step in range(1, steps + 1):
        chosen = torch.randint(len(pairs[0]), (setting.batch,), generator=draws)
        x, y = pairs[0][chosen], pairs[1][chosen]
        fake = G(x)
        of_real = discriminator_step(D, of_d, x, y, fake, lsgan_d_loss)
        of_fake = generator_step(D, of_g, x, y, fake, lambda z: generator_loss(z, "lsgan"), setting.weight_l1)
        losses.append((of_real, of_fake))
        if watch is not None and step % setting.every == 0:
            seen.append(watch(G))
    return seen, losses


def the_pairs(setting: Setting, seed: int) -> ColourPairs:
    """The facades of a seed."""
    return facades(setting.houses, setting.views, setting.size, seed)
