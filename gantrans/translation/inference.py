"""Run a generator over batches, and score its outputs by the metrics that a direction names."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from gantrans.images import network_from_unit, unit_from_network, unit_from_uint8
from gantrans.metrics import accuracy, cross_entropy, iou, l1, mean_iou, psnr, ssim
from gantrans.metrics.classes import ClassScores, class_scores, joined
from gantrans.translation.answers import answer_seeds
from gantrans.translation.conditional import DiffusionGenerator
from gantrans.translation.generators import Generator, gives_classes

NOISE_SEED = 0
SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1,
    "ssim": partial(ssim, data_range=1.0),
    "psnr": partial(psnr, data_range=1.0),
    "iou": iou,
    "mean_iou": mean_iou,
    "accuracy": accuracy,
    "cross_entropy": cross_entropy,
}
"""Metric name -> function of (output, target) that gives (B,): images (B, C, H, W) in [0, 1], or for the last
three probabilities (B, K, H, W) and the numbers of classes (B, 1, H, W)."""


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
        images: (B, C, H, W) in [0, 1].
        seed: of the noise, for a generator that has any.
        steps: of a diffusion model, see `DiffusionGenerator.draw`.

    Returns:
        (B, C, H, W) in [0, 1]: one draw, or the mean of `answers_of(generator)` draws. Of a network of
        classes: their probabilities, (B, K, H, W).
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
        output: Tensor = generator(x, noise=noise)
        return output

    made = torch.cat([apply(part) for part in images.split(batch_size)])
    return (made.softmax(1) if gives_classes(generator) else unit_from_network(made)).cpu()


def answers_of(generator: Generator) -> int:
    """The number of draws of which a translation is the mean."""
    return generator.config.answers if isinstance(generator, DiffusionGenerator) else 1


def class_scores_of(
    generator: Generator, inputs: Tensor, targets: Tensor, *, batch_size: int = 32
) -> ClassScores:
    """Scores of a network of classes, batch by batch, as the probabilities of many images need much memory.

    Args:
        inputs: uint8 (N, C, H, W). targets: uint8 (N, 1, H, W), the numbers of the classes.
    """
    parts = zip(inputs.split(batch_size), targets.split(batch_size), strict=True)
    return joined([class_scores(translate(generator, unit_from_uint8(x)), y) for x, y in parts])


def mean_scores(outputs: Tensor, targets: Tensor, names: Sequence[str]) -> dict[str, float]:
    """The mean over all images, (N, C, H, W) in [0, 1], of each named metric of `SCORES`."""
    return {name: float(SCORES[name](outputs, targets).mean()) for name in names}
