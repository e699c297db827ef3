"""Lesson 09, claim G19: the checkerboard of four upsamplers, at the start and after training.

Source: Odena et al. 2016, "Deconvolution and checkerboard artifacts".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrans.data import BatchSource
from gantrans.images import unit_from_network, unit_from_uint8
from gantrans.metrics import l1
from gantrans.networks import PatchGANConfig, UNetConfig, UNetGenerator
from gantrans.teaching.sweeps.registry import experiment
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row
from gantrans.training import FitConfig, fit
from gantrans.translation import Pix2PixConfig, Pix2PixTask, translate
from lessons.lesson09.experiments import matching

UPSAMPLERS: Mapping[str, tuple[str, int]] = {
    "kernel 4": ("transposed", 4),
    "kernel 3": ("transposed", 3),
    "resize": ("nearest", 4),
    "bilinear": ("bilinear", 4),
}
"""Arms: `UNetConfig.upsample` and `kernel_size`. "resize" is nearest-neighbour, then Conv 3x3."""
INIT_SEEDS = 20
CLAIM_SEEDS = range(20, 52)


@dataclass(frozen=True)
class CheckerSetting:
    """Sizes at one scale; what is not here is as in lesson 09's other experiment."""

    steps: int
    seeds: int
    lr: float = 1e-3


SETTINGS: Mapping[str, CheckerSetting] = {
    "smoke": CheckerSetting(10, 2),
    "reduced": CheckerSetting(500, 6),
    "full": CheckerSetting(3000, 6),
}


def spectrum(images: Tensor) -> np.ndarray:
    """Mean power of images (N, 1, S, S), mean removed: (S, S), frequency 0 first, in arbitrary units."""
    flat = images.detach().double().cpu()[:, 0]
    return (torch.fft.fft2(flat - flat.mean((1, 2), keepdim=True)).abs() ** 2).mean(0).numpy()


def period_two_share(images: Tensor) -> float:
    """Share of the energy (but the mean's) whose period is two pixels across, down or both.

    Three frequencies of the spectrum: the pattern of an upsampler of stride 2 repeats every two pixels.
    """
    power, half = spectrum(images), images.shape[-1] // 2
    return float((power[half, 0] + power[0, half] + power[half, half]) / power.sum())


def period_two_excess(images: Tensor, reach: int = 3) -> float:
    """Energy at period two over that of its neighbours: about 1 for a spectrum without a peak there.

    The two frequencies on the axes are compared with others on the same axis, where the edges of a layout put
    their energy, the one in the corner with all that lie within `reach` of it.
    """
    power, size = spectrum(images), images.shape[-1]
    near = (size // 2 + np.array([k for k in range(-reach, reach + 1) if k])) % size
    half = size // 2
    corner = power[half - reach : half + reach + 1, half - reach : half + reach + 1]
    around = (corner.sum() - power[half, half]) / (corner.size - 1)
    ratios = (
        power[half, 0] / power[near, 0].mean(),
        power[0, half] / power[0, near].mean(),
        power[half, half] / around,
    )
    return float(np.mean(ratios))


def generator_config(arm: str, base_filters: int, n_down: int) -> UNetConfig:
    """A bare U-Net: the last upsampling makes the image, so its pattern shows."""
    mode, kernel = UPSAMPLERS[arm]
    return UNetConfig(
        base_filters=base_filters, n_down=n_down, dropout_blocks=0, upsample=mode, kernel_size=kernel
    )


def at_init(arm: str, seed: int, size: int = 64) -> Tensor:
    """An untrained generator's answers to noise, (8, 1, S, S) in [0, 1]."""
    generator = UNetGenerator(generator_config(arm, 16, 4), seed)
    noise = torch.randn(8, 1, size, size, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return unit_from_network(generator(noise.clamp(-1, 1)))


def train(arm: str, direction: str, seed: int, scale: str) -> UNetGenerator:
    """SEM -> layout with L1 alone; layout -> SEM with L1 weight 10 and a discriminator."""
    s, setting = matching.SETTINGS[scale], SETTINGS[scale]
    critic = PatchGANConfig(base_filters=s.d_filters, n_layers=2, spectral_norm=True)
    config = Pix2PixConfig(
        generator_config(arm, s.base_filters, s.n_down), critic if direction == "layout2sem" else None,
        weight_l1=10.0 if direction == "layout2sem" else 100.0, lr_generator=setting.lr,
        lr_discriminator=setting.lr,
    )  # fmt: skip
    task = Pix2PixTask(config, seed)
    batches = BatchSource(matching.pairs("train", s, seed, direction), direction, s.batch_size, seed)
    fitting = FitConfig(setting.steps, seed=seed, channels_last=True, lr_schedule="linear_decay")
    fit(task, batches, fitting, progress=False)
    assert isinstance(task.generator, UNetGenerator)
    return task.generator


def run_direction(direction: str, seed: int, scale: str) -> Row:
    """The four upsamplers after training in one direction, and the targets themselves."""
    data = matching.pairs("test", matching.SETTINGS[scale], seed, direction)
    inputs, targets = (unit_from_uint8(x) for x in data.roles(direction))
    row = {f"{direction}, target": {"excess": period_two_excess(targets), "L1": 0.0}}
    for arm in UPSAMPLERS:
        output = translate(train(arm, direction, seed, scale), inputs)
        row[f"{direction}, {arm}"] = {
            "excess": period_two_excess(output),
            "L1": float(l1(output, targets).mean()),
        }
    return row


SWEEP = Sweep(
    "checkerboard",
    {
        "layout2sem": lambda seed, scale: run_direction("layout2sem", seed, scale),
        "sem2layout": lambda seed, scale: run_direction("sem2layout", seed, scale),
    },
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: [SETTINGS[scale], matching.SETTINGS[scale]],
    {},
)


def init_shares(seeds: Sequence[int] = range(INIT_SEEDS)) -> dict[str, list[float]]:
    """{arm: share at period two before training, one value per seed}."""
    return {arm: [period_two_share(at_init(arm, seed)) for seed in seeds] for arm in UPSAMPLERS}


def init_excess() -> dict[str, list[float]]:
    """{arm: energy at period two over its neighbours before training, one value per seed}."""
    return {arm: [period_two_excess(at_init(arm, seed)) for seed in range(INIT_SEEDS)] for arm in UPSAMPLERS}


@experiment("G19")
def gone_at_init(scale: str) -> dict[str, Any]:
    """The start needs no training, so every scale has all seeds; none of them is in the lesson's figures."""
    shares = init_shares(CLAIM_SEEDS)
    return {
        "data": {arm: shares[arm] for arm in ("kernel 4", "resize")},
        "seeds": tuple(CLAIM_SEEDS),
        "numbers": {f"{arm}: share": float(np.mean(values)) for arm, values in shares.items()},
    }
