"""Lesson 10: the failures of translation, each provoked in a small network, and the judge that sees it.

SEM -> layout (L1 alone, one U-Net): skips switched off, pairs misaligned by three pixels, training on regular
arrays alone, skip maps that arrive shifted, and a process whose features print wider than any in training.
layout -> SEM: L1 alone, which blurs, and transposed convolutions of kernel 3 (and 4), which leave a
checkerboard. What names each failure is in `failure_judges`.
"""

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from gantrans.config import to_dict
from gantrans.data import PRESETS, BatchSource, Layouts, PairedDataset, context_px, make_pairs, simulate
from gantrans.data.imaging import DEFAULT
from gantrans.images import network_from_unit, uint8_from_unit, unit_from_network, unit_from_uint8
from gantrans.networks import UNetConfig, UNetGenerator
from gantrans.training import FitConfig
from gantrans.translation import DataSpec, Recipe
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from lessons.lesson04.experiments.skip_levels import draw, encoder_maps
from lessons.lesson07.experiments.arrays import Arrays, make_arrays
from lessons.shared.trained import trained as train_run

PIXEL_NM = 20.0
OFFSET_PX = 3
WIDER = dataclasses.replace(DEFAULT, cd_bias_nm=(32.0, 32.0))
"""A process that prints every feature 32 nm wider; in training the bias lies between -12 and 12 nm."""


@dataclasses.dataclass(frozen=True)
class GallerySetting:
    """Sizes at one scale."""

    size: int
    n_down: int
    base_filters: int
    pairs: int
    test_pairs: int
    steps: int


SETTINGS: Mapping[str, GallerySetting] = {
    "smoke": GallerySetting(64, 3, 4, 16, 6, 2),
    "reduced": GallerySetting(64, 5, 16, 1024, 96, 450),
    "full": GallerySetting(128, 5, 32, 4096, 128, 3000),
}


@dataclasses.dataclass(frozen=True)
class Arm:
    """How a network is trained: direction, data, and what is unusual about its generator."""

    direction: str
    data: str
    skips: bool = True
    upsample: str = "transposed"
    kernel_size: int = 4
    head: bool = False


HEALTHY, MIXED, PLAIN_SEM = "healthy", "arrays of both kinds", "resize-convolution"
BATCH = 8
ARMS: Mapping[str, Arm] = {
    HEALTHY: Arm("sem2layout", "aligned"),
    "skips off": Arm("sem2layout", "aligned", skips=False),
    "misaligned pairs": Arm("sem2layout", "misaligned"),
    MIXED: Arm("sem2layout", "mixed arrays"),
    "regular arrays alone": Arm("sem2layout", "regular arrays"),
    PLAIN_SEM: Arm("layout2sem", "aligned", upsample="nearest", head=True),
    "kernel 3": Arm("layout2sem", "aligned", kernel_size=3),
    "kernel 4": Arm("layout2sem", "aligned", kernel_size=4),
}


@lru_cache(maxsize=8)
def training_data(data: str, scale: str, seed: int) -> PairedDataset:
    """The pairs that an arm is trained on."""
    setting = SETTINGS[scale]
    if data.endswith("arrays"):
        share = 1.0 if data == "regular arrays" else 0.5
        return imaged(make_arrays(setting.pairs, share, seed, "train", size=setting.size), seed).pairs
    pairs = make_pairs("procedural", count=setting.pairs, size=setting.size, seed=seed, progress=False)
    return misaligned(pairs) if data == "misaligned" else pairs


def imaged(arrays: Arrays, seed: int) -> Arrays:
    """The same layouts under the preset "hard", which a short training can learn."""
    margin = context_px(PIXEL_NM)
    drawn = torch.nn.functional.pad(unit_from_uint8(arrays.pairs.layout), (margin,) * 4, mode="reflect")
    count = len(drawn)
    layouts = Layouts(drawn, arrays.pairs.family, [0.0] * count, [0.0] * count, PIXEL_NM, margin)
    sem = uint8_from_unit(simulate(layouts, PRESETS["hard"], seed, range(count)).sem)
    return dataclasses.replace(arrays, pairs=arrays.pairs.with_images(sem=sem))


def misaligned(pairs: PairedDataset, pixels: int = OFFSET_PX) -> PairedDataset:
    """Each layout moved by `pixels` along both axes against its SEM image (the border repeats)."""
    moved = torch.nn.functional.pad(pairs.layout.float(), (pixels, 0, pixels, 0), mode="replicate")
    side = pairs.layout.shape[-1]
    return pairs.with_images(layout=moved[..., :side, :side].to(torch.uint8))


@lru_cache(maxsize=4)
def held_out(kind: str, scale: str, seed: int) -> tuple[Tensor, Tensor]:
    """SEM images and layouts to judge on, in [0, 1]: "usual" or "wider process"; the layouts are the same."""
    setting = SETTINGS[scale]
    pairs = make_pairs(
        "procedural", split="test", count=setting.test_pairs, size=setting.size, seed=seed,
        imaging=WIDER if kind == "wider process" else DEFAULT, progress=False,
    )  # fmt: skip
    return unit_from_uint8(pairs.sem), unit_from_uint8(pairs.layout)


@lru_cache(maxsize=2)
def irregular(scale: str, seed: int) -> Arrays:
    """Arrays with one thing changed, to judge on."""
    setting = SETTINGS[scale]
    return imaged(make_arrays(setting.test_pairs, 0.0, seed, "test", size=setting.size), seed + 1)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network and the folder of its run."""

    network: UNetGenerator
    folder: Path


def train_arm(name: str, seed: int, scale: str) -> Trained:
    """Train one arm, or load it if this machine has done so before.

    Misaligned pairs are never flipped or turned: their offset would change with them. A run on the
    simulator's own pairs keeps its recipe, so that the review page can open it; the other data have none.
    """
    setting, arm = SETTINGS[scale], ARMS[name]
    unet = UNetConfig(
        base_filters=setting.base_filters, n_down=setting.n_down, dropout=0.0, skips=arm.skips,
        upsample=arm.upsample, kernel_size=arm.kernel_size, full_resolution_head=arm.head,
    )  # fmt: skip
    task = Pix2PixConfig(unet, None, lr_generator=2e-3)
    fitting = FitConfig(
        setting.steps, seed=seed, channels_last=True, lr_schedule="one_cycle", checkpoint_every=10**6
    )
    spec = DataSpec("procedural", setting.size, PIXEL_NM, setting.pairs, setting.test_pairs, seed=seed)
    extra = {}
    if arm.data == "aligned":
        extra["recipe"] = to_dict(Recipe(arm.direction, spec, task, fitting, BATCH, seed))

    run = train_run(
        lambda: Pix2PixTask(task, seed),
        fitting,
        lambda: BatchSource(
            training_data(arm.data, scale, seed), arm.direction, BATCH, seed, augment=arm.data != "misaligned"
        ),
        name="gallery",
        key=[task, {"seed": seed}],
        data={"data": arm.data, "pairs": setting.pairs, "size": setting.size, "extra": extra},
        extra=extra,
    )
    return Trained(run.generator, run.folder)


@lru_cache(maxsize=2)
def trained(seed: int, scale: str) -> Mapping[str, Trained]:
    """Every arm by name."""
    return {name: train_arm(name, seed, scale) for name in ARMS}


@torch.inference_mode()
def output(network: UNetGenerator, source: Tensor) -> Tensor:
    """Images in [0, 1] -> images in [0, 1]."""
    return unit_from_network(torch.cat([network(network_from_unit(x)) for x in source.split(32)]))


@torch.inference_mode()
def with_shifted_skips(network: UNetGenerator, sem: Tensor) -> Tensor:
    """The output when all skip maps arrive one place too far right: a cropping slip that raises no error."""
    *skips, bottleneck = encoder_maps(network, sem)
    return draw(network, [*(skip.roll(1, -1) for skip in skips), bottleneck])


@dataclasses.dataclass(frozen=True)
class Shown:
    """One failure: inputs, targets, a sound output and the failing one, (N, 1, S, S) in [0, 1] each.

    `names` say what the two outputs are; `others` are further outputs by name.
    """

    source: Tensor
    target: Tensor
    sound: Tensor
    failing: Tensor
    names: tuple[str, str] = ("sound", "failing")
    others: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)


LAYOUT_FAILURES = (
    "hallucination",
    "inconsistent structure",
    "misaligned pairs",
    "shifted skips",
    "silent failure",
)
SEM_FAILURES = ("blur", "checkerboard")
"""The six failures of translation, and skips that arrive shifted as a seventh."""


def gallery(seed: int, scale: str) -> dict[str, Shown]:
    """Train what is needed and collect every failure, by the names above."""
    net = {name: arm.network for name, arm in trained(seed, scale).items()}
    sem, layout = held_out("usual", scale, seed)
    wide_sem, _ = held_out("wider process", scale, seed)
    odd = irregular(scale, seed).pairs
    odd_sem, odd_layout = unit_from_uint8(odd.sem), unit_from_uint8(odd.layout)
    sound = output(net[HEALTHY], sem)
    odd_sound, hallucinated = (output(net[name], odd_sem) for name in (MIXED, "regular arrays alone"))
    made = {name: output(net[name], layout) for name in (PLAIN_SEM, "kernel 3", "kernel 4")}
    return {
        "hallucination": Shown(odd_sem, odd_layout, odd_sound, hallucinated),
        "inconsistent structure": Shown(sem, layout, sound, output(net["skips off"], sem)),
        "misaligned pairs": Shown(sem, layout, sound, output(net["misaligned pairs"], sem)),
        "shifted skips": Shown(sem, layout, sound, with_shifted_skips(net[HEALTHY], sem)),
        "silent failure": Shown(wide_sem, layout, sound, output(net[HEALTHY], wide_sem)),
        "blur": Shown(layout, sem, sem, made[PLAIN_SEM], ("real", "L1 alone")),
        "checkerboard": Shown(
            layout,
            sem,
            made[PLAIN_SEM],
            made["kernel 3"],
            (PLAIN_SEM, "kernel 3"),
            {"kernel 4": made["kernel 4"]},
        ),
    }
