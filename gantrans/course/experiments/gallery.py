"""Lesson 10: the failures of translation, each provoked in a small network, and the judge that sees it.

SEM -> layout (L1 alone, one U-Net): skips switched off, pairs misaligned by three pixels, training on regular
arrays alone, skip maps that arrive shifted, and a process whose features print wider than any in training.
layout -> SEM: L1 alone, which blurs, and transposed convolutions of kernel 3, which leave a checkerboard.
"""

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from gantrans.course.experiments.arrays import Arrays, crop, make_arrays
from gantrans.course.experiments.patches import spectrum_distance
from gantrans.course.experiments.perturbations import BETTER_HIGH, judge, known_mean, known_spread
from gantrans.course.experiments.skip_levels import draw, encoder_maps
from gantrans.course.runs import train_or_load
from gantrans.data import PRESETS, BatchSource, Layouts, PairedDataset, context_px, make_pairs, simulate
from gantrans.data.imaging import DEFAULT
from gantrans.images import network_from_unit, uint8_from_unit, unit_from_network, unit_from_uint8
from gantrans.metrics import grey_share, l1, ssim
from gantrans.networks import UNetConfig, UNetGenerator
from gantrans.training import FitConfig, fit, load_networks
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask

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
ARMS: Mapping[str, Arm] = {
    HEALTHY: Arm("sem2layout", "aligned"),
    "skips off": Arm("sem2layout", "aligned", skips=False),
    "misaligned pairs": Arm("sem2layout", "misaligned"),
    MIXED: Arm("sem2layout", "mixed arrays"),
    "regular arrays alone": Arm("sem2layout", "regular arrays"),
    PLAIN_SEM: Arm("layout2sem", "aligned", upsample="nearest", head=True),
    "kernel 3": Arm("layout2sem", "aligned", kernel_size=3),
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
    return dataclasses.replace(arrays, pairs=dataclasses.replace(arrays.pairs, sem=sem))


def misaligned(pairs: PairedDataset, pixels: int = OFFSET_PX) -> PairedDataset:
    """Each layout moved by `pixels` along both axes against its SEM image (the border repeats)."""
    moved = torch.nn.functional.pad(pairs.layout.float(), (pixels, 0, pixels, 0), mode="replicate")
    side = pairs.layout.shape[-1]
    return dataclasses.replace(pairs, layout=moved[..., :side, :side].to(torch.uint8))


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


def train_arm(name: str, seed: int, scale: str) -> UNetGenerator:
    """Train one arm, or load it if this machine has done so before.

    Misaligned pairs are never flipped or turned: their offset would change with them.
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

    def train(folder: Path) -> dict[str, float]:
        batches = BatchSource(
            training_data(arm.data, scale, seed), arm.direction, 8, seed, augment=arm.data != "misaligned"
        )
        result = fit(Pix2PixTask(task, seed), batches, fitting, out=folder)
        return {"steps": result.step, "L1": result.history.records[-1]["loss_l1"] / 2}

    def load(folder: Path) -> UNetGenerator:
        network = UNetGenerator(unet)
        load_networks(folder, {"generator": network})
        return network.eval()

    about = {"data": arm.data, "pairs": setting.pairs, "size": setting.size}
    return train_or_load([task, fitting, {"seed": seed}], train, load, name="gallery", data=about)


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
    """One failure: inputs, targets, a sound output and the failing one, (N, 1, S, S) in [0, 1] each."""

    source: Tensor
    target: Tensor
    sound: Tensor
    failing: Tensor


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
    net = {name: train_arm(name, seed, scale) for name in ARMS}
    sem, layout = held_out("usual", scale, seed)
    wide_sem, _ = held_out("wider process", scale, seed)
    odd = irregular(scale, seed).pairs
    odd_sem, odd_layout = unit_from_uint8(odd.sem), unit_from_uint8(odd.layout)
    sound = output(net[HEALTHY], sem)
    arrays = [output(net[name], odd_sem) for name in (MIXED, "regular arrays alone")]
    made = [output(net[name], layout) for name in (PLAIN_SEM, "kernel 3")]
    return {
        "hallucination": Shown(odd_sem, odd_layout, *arrays),
        "inconsistent structure": Shown(sem, layout, sound, output(net["skips off"], sem)),
        "misaligned pairs": Shown(sem, layout, sound, output(net["misaligned pairs"], sem)),
        "shifted skips": Shown(sem, layout, sound, with_shifted_skips(net[HEALTHY], sem)),
        "silent failure": Shown(wide_sem, layout, sound, output(net[HEALTHY], wide_sem)),
        "blur": Shown(layout, sem, sem, made[0]),
        "checkerboard": Shown(layout, sem, made[0], made[1]),
    }


def layout_moves(shown: Shown) -> dict[str, float]:
    """How far each judge of layouts moves from sound to failing outputs, in standard deviations over images.

    Worse is positive; NaN where a judge is not defined. Defects are counted per image, not divided.
    """
    sound, failing = judge(shown.sound, shown.target), judge(shown.failing, shown.target)
    moves = {}
    for name, values in failing.items():
        sign = -1.0 if name in BETTER_HIGH else 1.0
        gap = sign * (known_mean(values) - known_mean(sound[name]))
        moves[name] = gap if name == "defects" else gap / known_spread(sound[name])
    return moves


def without_labels(made: Tensor) -> dict[str, float]:
    """Without a target: shares of pixels of layouts (N, 1, S, S) that are drawn and undecided, in %."""
    return {
        "drawn": 100 * float((made > 0.5).float().mean()),
        "undecided": 100 * float(grey_share(network_from_unit(made)).mean()),
    }


def drawn_in_gap(made: Tensor, arrays: Arrays) -> float:
    """Share of the place of a missing line or a wider gap in which something is drawn; the truth is 0."""
    shares = [
        float((crop(image, place) > 0.5).float().mean())
        for image, place, kind in zip(made, arrays.places, arrays.pairs.family, strict=True)
        if place is not None and kind != "doubled contact"
    ]
    return sum(shares) / len(shares)


def stride_line(images: Tensor) -> float:
    """Power at a period of two pixels over that at nearby periods, dB: 0 without a checkerboard."""
    values = images[:, 0].double()
    power = torch.fft.fft2(values - values.mean((-2, -1), keepdim=True)).abs().square().mean(0)
    half = power.shape[-1] // 2
    near = [half + k for k in (-4, -3, -2, 2, 3, 4)]
    line = power[half].mean() + power[:, half].mean()
    return float(10 * torch.log10(line / (power[near].mean() + power[:, near].mean())))


def sem_scores(images: Tensor, real: Tensor) -> dict[str, float]:
    """Judges of SEM images against the real ones, (N, 1, S, S) in [0, 1]."""
    distance, fine = spectrum_distance(images, real)
    return {
        "L1": float(l1(images, real).mean()),
        "SSIM": float(ssim(images, real, data_range=1.0).mean()),
        "spectrum distance": distance,
        "fine half": fine,
        "line at 2 px": stride_line(images),
    }
