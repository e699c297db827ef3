"""Lesson 04: what each level of a trained U-Net says, asked by replacing one of the decoder's maps.

The decoder draws from n maps: the bottleneck and one skip per level. Replacing one alone shows
what this network takes from it, not what a network trained without it would have found.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gantrans.images import network_from_unit, unit_from_network
from gantrans.metrics import iou
from gantrans.networks import UNetConfig, UNetGenerator

REPLACEMENTS = ("zeros", "channel means", "another image's")
"""What the decoder can be given in place of an encoder map; only the last keeps all its statistics."""


def level_names(config: UNetConfig, size: int) -> list[str]:
    """Names of the encoder's maps by their size, finest first; the last is the bottleneck."""
    names = [f"{size >> (k + 1)} x {size >> (k + 1)}" for k in range(config.n_down)]
    return [*names[:-1], f"bottleneck {names[-1]}"]


@torch.inference_mode()
def encoder_maps(generator: UNetGenerator, sem: Tensor) -> list[Tensor]:
    """The encoder's maps of SEM images (N, 1, S, S) in [0, 1], finest first; the last is the bottleneck."""
    return generator.encode(network_from_unit(sem))


@torch.inference_mode()
def draw(generator: UNetGenerator, maps: Sequence[Tensor]) -> Tensor:
    """The layouts (N, 1, S, S) in [0, 1] that the decoder draws from these maps."""
    return unit_from_network(generator.decode(maps)[-1])


def predict_layout(generator: UNetGenerator, sem: Tensor) -> Tensor:
    """SEM images (N, 1, S, S) in [0, 1] -> layouts of the same shape and range."""
    return draw(generator, encoder_maps(generator, sem))


def replaced(maps: Sequence[Tensor], levels: Sequence[int], by: str = "zeros") -> list[Tensor]:
    """The maps with those of some levels replaced by "zeros", "channel means" or "another image's"."""
    stand_in = {
        "zeros": torch.zeros_like,
        "channel means": lambda m: m.mean((0, 2, 3), keepdim=True).expand_as(m),
        "another image's": lambda m: m.roll(1, 0),
    }[by]
    return [stand_in(m) if level in levels else m for level, m in enumerate(maps)]


def contributions(generator: UNetGenerator, sem: Tensor, layout: Tensor, by: str) -> Tensor:
    """IoU lost when one level's map is replaced: (levels, N), finest first, the bottleneck last."""
    maps = encoder_maps(generator, sem)
    whole = iou(draw(generator, maps), layout)
    return torch.stack(
        [whole - iou(draw(generator, replaced(maps, [k], by)), layout) for k in range(len(maps))]
    )


def chimera(generator: UNetGenerator, sem: Tensor, levels: int) -> Tensor:
    """Layouts drawn from image i, but with its `levels` finest maps taken from image i - 1."""
    return draw(generator, replaced(encoder_maps(generator, sem), range(levels), "another image's"))


def chimera_scores(generator: UNetGenerator, sem: Tensor, layout: Tensor) -> dict[str, list[float]]:
    """Mean IoU of layouts drawn from two SEM images at once, with either truth, by number of levels."""
    n = generator.config.n_down
    made = [chimera(generator, sem, k) for k in range(n + 1)]
    return {
        "layout of the first image": [float(iou(m, layout).mean()) for m in made],
        "layout of the second image": [float(iou(m, layout.roll(1, 0)).mean()) for m in made],
        "two unrelated layouts": [float(iou(layout, layout.roll(1, 0)).mean())] * (n + 1),
    }


def batch_norm_shift(generator: UNetGenerator, sem: Tensor) -> dict[str, dict[str, float]]:
    """How far BatchNorm's input leaves what it was trained on: {replaced map: {substitute: shift}}.

    The shift is the mean over channels of |mean now - running mean| in running standard deviations, at the
    first BatchNorm behind the replaced skip. The finest skip has none behind it and is left out.
    """
    maps, n = encoder_maps(generator, sem), generator.config.n_down
    table: dict[str, dict[str, float]] = {}
    for level in range(1, n - 1):
        norm: Any = generator.decoder[n - 1 - level].norm
        seen: list[Tensor] = []
        handle = norm.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        for by in (None, *REPLACEMENTS):
            draw(generator, maps if by is None else replaced(maps, [level], by))
        handle.remove()
        shifts = [
            ((x.mean((0, 2, 3)) - norm.running_mean) / norm.running_var.sqrt()).abs().mean() for x in seen
        ]
        name = level_names(generator.config, sem.shape[-1])[level]
        table[name] = dict(zip(("intact", *REPLACEMENTS), map(float, shifts), strict=True))
    return table
