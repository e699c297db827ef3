"""Lesson 10, claim G35: is a metric that one trains on still a judge?

SEM -> layout at 64 px, one small U-Net without a discriminator, trained on 1 - SSIM alone, on L1 alone, or on
both. A seed decides weights, pairs and batches of every arm, so arms with one seed differ in the loss alone.
SSIM is that of images in [0, 1]; a fourth arm computes it in [-1, 1], the range of the network, as quick code
does. There means can have opposite signs, so that an image of reversed tone scores well.

Source of the question: Goodhart 1984; of the mixed loss: Zhao, Gallo, Frosio, Kautz, "Loss functions for
image restoration with neural networks" (2017).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor

from gantrans.data import BatchSource, PairedDataset, make_pairs
from gantrans.images import network_from_unit, unit_from_network, unit_from_uint8
from gantrans.metrics import cd_error, compare_topology, corner_radius, epe, grey_share, iou, l1, ssim
from gantrans.networks import UNetConfig, UNetGenerator
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.training import Batch, FitConfig, Runtime
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from gantrans.translation.predictor import translate
from lessons.shared.trained import trained

PIXEL_NM = 20.0
BY_SSIM, BY_L1, BY_BOTH = "trained on SSIM", "trained on L1", "trained on both"
BY_SIGNED = "trained on SSIM in [-1, 1]"
WEIGHTS: Mapping[str, tuple[float, float]] = {
    BY_SSIM: (1.0, 0.0),
    BY_L1: (0.0, 1.0),
    BY_BOTH: (0.84, 0.16),
    BY_SIGNED: (1.0, 0.0),
}
"""Arm -> weight of 1 - SSIM and of L1, of images in [0, 1] but for BY_SIGNED; the mixture: Zhao et al."""


@dataclass(frozen=True)
class GamingSetting:
    """Sizes at one scale."""

    size: int
    n_down: int
    base_filters: int
    pairs: int
    test_pairs: int
    batch_size: int
    steps: int
    lr: float
    seeds: tuple[int, ...]


# At reduced the seeds start at 8: the first eight had every SSIM in [-1, 1], and showed that it matters.
SETTINGS: Mapping[str, GamingSetting] = {
    "smoke": GamingSetting(32, 3, 8, 64, 12, 4, 24, 4e-3, (0, 1)),
    "reduced": GamingSetting(64, 4, 16, 2048, 256, 8, 1500, 2e-3, tuple(range(8, 16))),
    "full": GamingSetting(128, 5, 32, 4096, 256, 16, 6000, 1e-3, tuple(range(8))),
}


@dataclass(frozen=True)
class MetricLossConfig:
    """A generator trained on metrics: weights of 1 - SSIM and of L1, rate, and SSIM's range."""

    generator: UNetConfig
    weight_ssim: float
    weight_l1: float
    lr: float
    signed: bool = False


class MetricLossTask(Pix2PixTask):
    """pix2pix without a discriminator whose loss is a mixture of 1 - SSIM and L1, scaled by 100 as there."""

    def __init__(self, config: MetricLossConfig, seed: int = 0) -> None:
        super().__init__(Pix2PixConfig(config.generator, None, lr_generator=config.lr), seed)
        self.loss = config

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Gradients of the mixture."""
        source, target = cast(Tensor, batch["input"]), cast(Tensor, batch["target"])
        fake = self.generator(source, noise=runtime.generator)
        if self.loss.signed:
            loss_ssim = 1 - ssim(fake, target, data_range=2.0).mean()
        else:
            loss_ssim = 1 - ssim(unit_from_network(fake), unit_from_network(target), data_range=1.0).mean()
        loss_l1 = F.l1_loss(fake, target) / 2
        runtime.backward(100.0 * (self.loss.weight_ssim * loss_ssim + self.loss.weight_l1 * loss_l1))
        return {"loss_ssim": loss_ssim.detach(), "loss_l1": loss_l1.detach()}


def generator_config(setting: GamingSetting) -> UNetConfig:
    """A plain U-Net."""
    return UNetConfig(base_filters=setting.base_filters, n_down=setting.n_down, dropout=0.0)


@lru_cache(maxsize=4)
def gaming_pairs(split: str, seed: int, scale: str) -> PairedDataset:
    """Pairs of a seed: "train" or "test"."""
    setting = SETTINGS[scale]
    count = setting.pairs if split == "train" else setting.test_pairs
    return make_pairs("procedural", split=split, count=count, size=setting.size, seed=seed, progress=False)


def train_arm(arm: str, seed: int, scale: str) -> UNetGenerator:
    """Train one arm with one seed, or load it if this machine has done so before."""
    setting, (weight_ssim, weight_l1) = SETTINGS[scale], WEIGHTS[arm]
    config = MetricLossConfig(generator_config(setting), weight_ssim, weight_l1, setting.lr, arm == BY_SIGNED)
    run = trained(
        lambda: MetricLossTask(config, seed),
        FitConfig(
            setting.steps, seed=seed, channels_last=True, lr_schedule="one_cycle", checkpoint_every=10**6
        ),
        lambda: BatchSource(gaming_pairs("train", seed, scale), "sem2layout", setting.batch_size, seed),
        name="gaming",
        key=[config, {"seed": seed}],
        data={"scale": scale, "pairs": setting.pairs, "size": setting.size, "batch": setting.batch_size},
        shown=lambda history: {
            "SSIM": 1 - history.records[-1]["loss_ssim"],
            "L1": history.records[-1]["loss_l1"],
        },
    )
    generator: UNetGenerator = run.generator
    return generator


def score(made: Tensor, layout: Tensor) -> dict[str, float]:
    """Every judge on layouts (N, 1, S, S) in [0, 1]: means over images for which it is defined, nm."""
    cd, topology = cd_error(made, layout, PIXEL_NM), compare_topology(made, layout)
    return {
        "SSIM": float(ssim(made, layout, data_range=1.0).mean()),
        "L1": float(l1(made, layout).mean()),
        "IoU": float(iou(made, layout).mean()),
        "EPE": float(epe(made, layout, PIXEL_NM).mean.nanmean()),
        "CD error": float(cd.signed.nanmean()),
        "|CD error|": float(cd.absolute.nanmean()),
        "corner radius": float(corner_radius(made, layout, PIXEL_NM).mean.nanmean()),
        "defects": float(topology.defects.double().mean()),
        "grey": float(grey_share(network_from_unit(made)).mean()),
    }


def run_seed(seed: int, scale: str) -> Row:
    """Train all arms with one seed and judge them on the held-out pairs."""
    test = gaming_pairs("test", seed, scale)
    sem, layout = unit_from_uint8(test.sem), unit_from_uint8(test.layout)
    return {arm: score(translate(train_arm(arm, seed, scale), sem), layout) for arm in WEIGHTS}


def judged(table: Table) -> dict[str, Any]:
    """What the rule of G35 takes, and the means of every judge as "arm: judge"."""
    data = {quantity: table.values(quantity, BY_SSIM, BY_L1) for quantity in ("SSIM", "EPE", "defects")}
    means = table.means()
    numbers = {f"{arm}: {q}": v for arm, row in means.items() for q, v in row.items() if isfinite(v)}
    return {"data": data, "numbers": numbers}


SWEEP = Sweep(
    name="gaming",
    run_seed=run_seed,
    seeds={scale: setting.seeds for scale, setting in SETTINGS.items()},
    config=lambda scale: [SETTINGS[scale], dict(WEIGHTS)],
    claims={"G35": judged},
)
