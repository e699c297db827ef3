"""Lesson 06: the arms of its second factorial, layout -> SEM at 32 px, where D has something to add.

A layout does not tell the texture of its image, so L1 alone blurs it. The terms are those under which D can
win: L1 weight 1 and a D five times faster. A seed decides G's weights, pairs and batches of every arm, so
arms with one seed differ in nothing but their factors: least squares against cross-entropy, spectral norm on
D, real labels of 0.9, linear decay. D has no other norm. Beside the factorial stand other losses, batch
normalisation in D, wider networks and L1 alone. One seed also draws the test images twice, and trains the
network that reads the geometry back from a made image.
Sources: Isola et al. 2017; Mao et al. 2017; Miyato et al. 2018; Salimans et al. 2016; Lim and Ye 2017.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from gantrans.data import (
    BatchSource,
    LayoutConfig,
    PairedDataset,
    context_px,
    make_pairs,
    procedural_layouts,
    simulate,
)
from gantrans.data.imaging import DEFAULT
from gantrans.data.streams import stream_seeds
from gantrans.images import network_from_uint8, uint8_from_unit, unit_from_network, unit_from_uint8
from gantrans.metrics import psnr
from gantrans.networks import PatchGANConfig, ResidualUNet, ResidualUNetConfig, UNetConfig, UNetGenerator
from gantrans.training import FitConfig
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from lessons.lesson05.experiments.patches import PIXEL_NM
from lessons.lesson06.experiments.factorial import arm_name, factorial
from lessons.lesson06.experiments.stabilization_arms import factors_of
from lessons.shared.trained import Trained, trained

FACTORIAL = tuple(map(arm_name, factorial()))
MINIMAX, HINGE, BATCH_NORM, L1_ONLY = "saturating loss", "hinge", "batch norm in D", "L1 only"
WIDE_D, WIDER_D, WIDE_G = "D twice as wide", "D four times as wide", "G twice as wide"
BESIDE = (MINIMAX, HINGE, BATCH_NORM, WIDE_D, WIDER_D, WIDE_G, L1_ONLY)
"""Arms beside the factorial: the baseline with one thing changed."""
REAL = "another real image"
"""Not an arm that is trained: the simulator, drawn a second time and judged like one."""
WEIGHT_L1, PACE = 1.0, 5.0
IMAGING = DEFAULT.fixed()
"""Imaging conditions are fixed: only roughness, fading and noise differ between two images of a layout."""


@dataclass(frozen=True)
class Size:
    """Sizes of the experiment at one scale; `watch` validations fall into the last tenth of training."""

    size: int
    n_down: int
    base_filters: int
    d_filters: int
    n_layers: int
    pairs: int
    few: int
    test_pairs: int
    batch_size: int
    steps: int
    reader_filters: int
    reader_steps: int
    lr: float
    watch: int


SETTINGS: Mapping[str, Size] = {
    "smoke": Size(32, 2, 4, 4, 1, 24, 8, 9, 2, 20, 4, 4, 5e-4, 2),
    "reduced": Size(32, 3, 16, 16, 2, 1024, 24, 96, 4, 300, 16, 250, 5e-4, 10),
    "full": Size(64, 4, 32, 48, 2, 4096, 24, 192, 8, 4000, 32, 1000, 3e-4, 20),
}


@dataclass(frozen=True)
class TestSet:
    """Held-out layouts with two independent images of each: uint8 (N, 1, S, S)."""

    layout: Tensor
    sem: Tensor
    another: Tensor

    __test__ = False  # its name would make pytest run it


def task_config(arm: str, scale: str) -> Pix2PixConfig:
    """Networks, losses and rates of an arm."""
    size, factors = SETTINGS[scale], factors_of(arm)
    width = {WIDE_D: 2, WIDER_D: 4}.get(arm, 1) * size.d_filters
    critic = PatchGANConfig(
        base_filters=width,
        n_layers=size.n_layers,
        norm="batch" if arm == BATCH_NORM else "none",
        spectral_norm="spectral norm" in factors,
    )
    generator = UNetConfig(
        base_filters=size.base_filters * (2 if arm == WIDE_G else 1),
        n_down=size.n_down,
        dropout=0.0,
        upsample="nearest",
        noise_injection=True,
        full_resolution_head=True,
    )
    other = {MINIMAX: "minimax", HINGE: "hinge"}.get(arm, "non_saturating")
    return Pix2PixConfig(
        generator,
        None if arm == L1_ONLY else critic,
        adversarial="lsgan" if "least squares" in factors else other,
        real_label=0.9 if "smoothing" in factors else 1.0,
        weight_l1=WEIGHT_L1,
        lr_generator=size.lr,
        lr_discriminator=PACE * size.lr,
    )


@lru_cache(maxsize=4)
def pairs(split: str, scale: str, seed: int) -> PairedDataset:
    """The pairs of a seed: "train", "few" (the first of them), or "val"."""
    size = SETTINGS[scale]
    if split == "few":
        return pairs("train", scale, seed).subset(range(size.few))
    count = size.pairs if split == "train" else size.test_pairs // 3
    return make_pairs(
        "procedural", split=split, count=count, size=size.size, seed=seed, imaging=IMAGING, progress=False
    )


@lru_cache(maxsize=2)
def test_set(scale: str, seed: int) -> TestSet:
    """Held-out layouts of a seed, each imaged twice with fresh roughness, fading and noise."""
    size = SETTINGS[scale]
    indices = range(size.test_pairs)
    first, second = stream_seeds(seed, "texture/test", [0, 1])
    layouts = LayoutConfig(size.size, PIXEL_NM)
    drawn = procedural_layouts(layouts, first, indices, margin_px=context_px(PIXEL_NM))
    sem, another = (uint8_from_unit(simulate(drawn, IMAGING, s, indices).sem) for s in (first, second))
    return TestSet(uint8_from_unit(drawn.clip), sem, another)


test_set.__test__ = False  # type: ignore[attr-defined]  # its name would make pytest run it


@torch.inference_mode()
def draws(generator: UNetGenerator, layout: Tensor, seed: int = 0) -> Tensor:
    """SEM images (N, 1, S, S) in [0, 1] of layouts uint8 (N, 1, S, S); `seed` names the injected noise."""
    noise = torch.Generator().manual_seed(seed)
    made = [generator(part, noise=noise) for part in network_from_uint8(layout).split(32)]
    return unit_from_network(torch.cat(made))


class Watch:
    """Validation that scores every tenth of the training and `watch` times in its last tenth.

    It is called every `every` steps and counts its calls; at all other calls it has nothing to say. The score
    is the PSNR of one draw per held-out layout, always with the same noise.
    """

    def __init__(self, dataset: PairedDataset, steps: int, watch: int) -> None:
        self.layout, self.real = dataset.layout, unit_from_uint8(dataset.sem)
        self.steps, self.every, self.calls = steps, max(1, steps // (10 * watch)), 0

    def __call__(self, task: Pix2PixTask) -> dict[str, float]:
        self.calls += 1
        step = self.calls * self.every
        if step <= 0.9 * self.steps and step % max(1, self.steps // 10):
            return {}
        assert isinstance(task.generator, UNetGenerator)
        made = draws(task.generator, self.layout)
        return {"psnr": float(psnr(made, self.real, data_range=1.0).mean())}


def train_arm(arm: str, seed: int, scale: str, *, few: bool = False, times: float = 1.0) -> Trained:
    """Train one arm with one seed, or load it if this machine has done so before.

    Args:
        few: on a handful of pairs, on which D can learn by heart.
        times: train for as many times the steps of the scale.
    """
    size, task = SETTINGS[scale], task_config(arm, scale)
    steps = round(times * size.steps)
    watch = Watch(pairs("val", scale, seed), steps, size.watch)
    fitting = FitConfig(
        steps,
        seed=seed,
        precision="fp32",
        channels_last=True,
        lr_schedule="linear_decay" if "decay" in factors_of(arm) else "constant",
        log_every=max(1, steps // 60),
        validate_every=watch.every,
        checkpoint_every=10**6,
    )
    return trained(
        lambda: Pix2PixTask(task, seed),
        fitting,
        lambda: BatchSource(
            pairs("few" if few else "train", scale, seed), "layout2sem", size.batch_size, seed, augment=False
        ),
        name="texture",
        key={"arm": arm, "task": task, "seed": seed, "size": size, "few": few},
        shown=lambda history: {"PSNR": history.series("val_psnr")[1][-1]},
        validate=watch,
    )


@lru_cache(maxsize=2)
def train_reader(seed: int, scale: str) -> ResidualUNet:
    """SEM -> layout on the same real pairs with L1: it reads the geometry back from a made image."""
    size = SETTINGS[scale]
    network = ResidualUNetConfig(base_filters=size.reader_filters, multipliers=(1, 2, 2))
    task = Pix2PixConfig(network, None, lr_generator=4e-3)
    run = trained(
        lambda: Pix2PixTask(task, seed),
        FitConfig(
            size.reader_steps,
            seed=seed,
            precision="fp32",
            channels_last=True,
            lr_schedule="one_cycle",
            checkpoint_every=10**6,
        ),
        lambda: BatchSource(pairs("train", scale, seed), "sem2layout", 8, seed, augment=False),
        name="texture-reader",
        key={"task": task, "seed": seed, "size": size},
    )
    assert isinstance(run.generator, ResidualUNet)
    return run.generator
