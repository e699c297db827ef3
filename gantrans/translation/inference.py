"""Run a generator over batches, and score its outputs by the metrics that a direction names."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from gantrans.images import network_from_unit, unit_from_network
from gantrans.metrics import iou, l1, psnr, ssim
from gantrans.translation.answers import answer_seeds
from gantrans.translation.conditional import DiffusionGenerator
from gantrans.translation.generators import Generator

NOISE_SEED = 0
SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1,
    "ssim": partial(ssim, data_range=1.0),
    "psnr": partial(psnr, data_range=1.0),
    "iou": iou,
}
"""Metric name -> function of (output, target), both (B, 1, H, W) in [0, 1], that gives (B,)."""


def translate(
    generator: Generator,
    images: Tensor,
    *,
    batch_size: int = 32,
    seed: int = NOISE_SEED,
    steps: int | None = None,
) -> Tensor:
    """Apply a generator, which must be in evaluation mode, to images; the result is on the CPU.

    Args:
        images: (B, 1, H, W) in [0, 1].
        seed: of the noise, for a generator that has any.
        steps: of a diffusion model, see `DiffusionGenerator.draw`.

    Returns:
        (B, 1, H, W) in [0, 1]: one draw, or the mean of `answers_of(generator)` draws.
    """
    seeds = answer_seeds(seed, answers_of(generator))
    drawn = [draw(generator, images, batch_size=batch_size, seed=own, steps=steps) for own in seeds]
    return drawn[0] if len(drawn) == 1 else torch.stack(drawn).mean(0)


@torch.inference_mode()
def draw(
    generator: Generator,
    images: Tensor,
    *,
    batch_size: int = 32,
    seed: int = NOISE_SEED,
    steps: int | None = None,
) -> Tensor:
    """One draw of each translation; arguments and result as of `translate`."""
    device = next(generator.parameters()).device
    noise = torch.Generator(device).manual_seed(seed)

    def apply(part: Tensor) -> Tensor:
        x = network_from_unit(part.to(device))
        if isinstance(generator, DiffusionGenerator):
            return generator.draw(x, noise, steps=steps)
        made: Tensor = generator(x, noise=noise)
        return made

    return unit_from_network(torch.cat([apply(part) for part in images.split(batch_size)])).cpu()


def answers_of(generator: Generator) -> int:
    """The number of draws of which a translation is the mean."""
    return generator.config.answers if isinstance(generator, DiffusionGenerator) else 1


def mean_scores(outputs: Tensor, targets: Tensor, names: Sequence[str]) -> dict[str, float]:
    """The mean over all images, (N, 1, H, W) in [0, 1], of each named metric of `SCORES`."""
    return {name: float(SCORES[name](outputs, targets).mean()) for name in names}
