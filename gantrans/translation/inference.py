"""Run a generator over batches, and score its outputs by the metrics that a direction names."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from gantrans.images import network_from_unit, unit_from_network
from gantrans.metrics import iou, l1, psnr, ssim
from gantrans.networks import ResidualUNet, UNetGenerator

Generator = UNetGenerator | ResidualUNet
NOISE_SEED = 0
SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1,
    "ssim": partial(ssim, data_range=1.0),
    "psnr": partial(psnr, data_range=1.0),
    "iou": iou,
}
"""Metric name -> function of (output, target), both (B, 1, H, W) in [0, 1], that gives (B,)."""


@torch.inference_mode()
def translate(
    generator: Generator, images: Tensor, *, batch_size: int = 32, seed: int = NOISE_SEED
) -> Tensor:
    """Apply a generator, which must be in evaluation mode, to images; the result is on the CPU.

    Args:
        images: (B, 1, H, W) in [0, 1].
        seed: of the noise that a generator with noise injection adds.

    Returns:
        (B, 1, H, W) in [0, 1].
    """
    device = next(generator.parameters()).device
    noise = torch.Generator(device).manual_seed(seed)
    parts = [generator(network_from_unit(part.to(device)), noise=noise) for part in images.split(batch_size)]
    return unit_from_network(torch.cat(parts)).cpu()


def mean_scores(outputs: Tensor, targets: Tensor, names: Sequence[str]) -> dict[str, float]:
    """The mean over all images, (N, 1, H, W) in [0, 1], of each named metric of `SCORES`."""
    return {name: float(SCORES[name](outputs, targets).mean()) for name in names}
