"""Lesson 05, claims G03 and G04: what one logit sees, and what a discriminator remembers.

Task of G04: layout -> SEM at 128 px with few pairs and fixed imaging conditions. A seed decides generator,
pairs and batches of every arm, so arms with one seed differ in nothing but the discriminator. Sources: Isola
et al. 2017 (PatchGAN); Hayes et al. 2019, "LOGAN" (a discriminator that knows its training data by heart).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrans.data import BatchSource, PairedDataset, make_pairs
from gantrans.data.imaging import DEFAULT
from gantrans.data.layouts import FAMILIES
from gantrans.images import network_from_uint8, unit_from_network, unit_from_uint8
from gantrans.metrics.image import l1
from gantrans.networks import (
    PatchGAN,
    PatchGANConfig,
    UNetConfig,
    UNetGenerator,
    gradient_support,
    support_box,
)
from gantrans.teaching.plots import radial_spectrum
from gantrans.teaching.sweeps.registry import experiment
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from gantrans.training import FitConfig
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from lessons.shared.trained import Trained, trained

LAYERS: Mapping[str, int | str] = {
    "field 16 px": 1,
    "field 34 px": 2,
    "field 70 px": 3,
    "global": "global",
}
"""The arms with a discriminator, and its `n_layers`."""
BASELINE = "L1 only"
ARMS = (BASELINE, *LAYERS)
RULE_ARMS = ("field 34 px", "global")
SETS = ("training", "held-out")
PIXEL_NM = 20.0
AUGMENTED = "global, augmented"
"""A control in the sweep: the global discriminator sees every pair flipped and turned in eight ways."""


@dataclass(frozen=True)
class PatchSetting:
    """Sizes of the experiment at one scale; training pairs, `each` of a family, are few on purpose."""

    size: int
    n_down: int
    base_filters: int
    d_filters: int
    each: int
    test_each: int
    batch_size: int
    steps: int
    lr: float
    seeds: int


SETTINGS: Mapping[str, PatchSetting] = {
    "smoke": PatchSetting(48, 2, 4, 4, 1, 1, 2, 6, 1e-3, 2),
    "reduced": PatchSetting(128, 4, 8, 16, 2, 5, 2, 600, 1e-3, 6),
    "full": PatchSetting(128, 5, 32, 48, 2, 20, 8, 5000, 2e-4, 6),
}


def discriminator_config(arm: str, filters: int) -> PatchGANConfig | None:
    """The discriminator of an arm; spectral norm and no other, so that its field is what the formula says."""
    if arm == BASELINE:
        return None
    return PatchGANConfig(base_filters=filters, n_layers=LAYERS.get(arm, "global"), spectral_norm=True)


def generator_config(setting: PatchSetting) -> UNetConfig:
    """Resize-convolution, noise at every level and a head at full resolution, so that texture can come."""
    return UNetConfig(
        base_filters=setting.base_filters,
        n_down=setting.n_down,
        upsample="nearest",
        dropout=0.0,
        noise_injection=True,
        full_resolution_head=True,
    )


def task_config(arm: str, setting: PatchSetting) -> Pix2PixConfig:
    """Least squares and L1 with weight 10, which leaves the adversarial term a say."""
    generator = generator_config(setting)
    critic = discriminator_config(arm, setting.d_filters)
    return Pix2PixConfig(
        generator, critic, weight_l1=10.0, lr_generator=setting.lr, lr_discriminator=setting.lr
    )


@lru_cache(maxsize=16)
def pairs(which: str, scale: str, seed: int) -> PairedDataset:
    """The "training" or "held-out" pairs of a seed, equally many of each family (where enough were drawn).

    Imaging conditions are fixed: only layout, roughness, fading and noise differ between images.
    """
    setting = SETTINGS[scale]
    split, each = ("train", setting.each) if which == "training" else ("test", setting.test_each)
    drawn = make_pairs(
        "procedural", split=split, count=40 * each, size=setting.size, seed=seed, imaging=DEFAULT.fixed()
    )
    places = {family: [i for i, f in enumerate(drawn.family) if f == family] for family in FAMILIES}
    return drawn.subset([i for found in places.values() for i in found[:each]])


def train_arm(arm: str, seed: int, scale: str) -> Trained:
    """Train one arm with one seed, or load it if this machine has done so before.

    Pairs are few, and but for the control they are not augmented, which would make eight of each.
    """
    setting = SETTINGS[scale]
    task = task_config(arm, setting)
    return trained(
        lambda: Pix2PixTask(task, seed),
        FitConfig(
            setting.steps, seed=seed, channels_last=True, lr_schedule="linear_decay", checkpoint_every=10**6
        ),
        lambda: BatchSource(
            pairs("training", scale, seed), "layout2sem", setting.batch_size, seed, augment=arm == AUGMENTED
        ),
        name="patches",
        key={"arm": arm, "task": task, "seed": seed, "batch": setting.batch_size},
        data={"pairs each": setting.each, "size": setting.size, "imaging": DEFAULT.fixed()},
    )


@torch.inference_mode()
def imitate(generator: UNetGenerator, layout: Tensor, seed: int = 0) -> Tensor:
    """SEM images (N, 1, S, S) in [-1, 1] for layouts uint8 (N, 1, S, S); `seed` names the injected noise."""
    noise = torch.Generator().manual_seed(seed)
    return torch.cat([generator(x, noise=noise) for x in network_from_uint8(layout).split(8)])


@torch.inference_mode()
def verdicts(discriminator: PatchGAN, layout: Tensor, sem: Tensor) -> Tensor:
    """D's logits (N, 1, h, w) for layouts and SEM images in [-1, 1]; its aims are 1 (real) and 0 (fake)."""
    return torch.cat(
        [discriminator(*pair).logits for pair in zip(layout.split(8), sem.split(8), strict=True)]
    )


def spectrum_distance(images: Tensor, real: Tensor) -> tuple[float, float]:
    """Mean absolute and (upper half of the band) signed difference of the radial spectra, in dB.

    Args:
        images, real: (N, 1, S, S) in [0, 1]; they need not show the same layouts.
    """
    ratio = 10 * np.log10(radial_spectrum(images, PIXEL_NM)[1] / radial_spectrum(real, PIXEL_NM)[1])
    return float(np.abs(ratio).mean()), float(ratio[len(ratio) // 2 :].mean())


def score(trained: Trained, scale: str, seed: int) -> dict[str, float]:
    """What an arm does on its training pairs and on held-out ones, by name and set."""
    numbers = {}
    for which in SETS:
        data = pairs(which, scale, seed)
        layout, real = network_from_uint8(data.layout), network_from_uint8(data.sem)
        fake = imitate(trained.generator, data.layout)
        sem = unit_from_uint8(data.sem)
        numbers[f"L1, {which}"] = float(l1(unit_from_network(fake), sem).mean())
        numbers[f"spectrum, {which}"], numbers[f"texture, {which}"] = spectrum_distance(
            unit_from_network(fake), sem
        )
        if trained.discriminator is not None:
            numbers[f"D real, {which}"] = float(verdicts(trained.discriminator, layout, real).mean())
            numbers[f"D fake, {which}"] = float(verdicts(trained.discriminator, layout, fake).mean())
            other = layout.roll(len(layout) // 2, 0)  # of another family
            numbers[f"D wrong layout, {which}"] = float(verdicts(trained.discriminator, other, real).mean())
    return numbers


def run_seed(seed: int, scale: str, arms: Sequence[str] = ARMS) -> dict[str, dict[str, float]]:
    """Train the arms with one seed and score them: {arm: {quantity: value}}."""
    return {arm: score(train_arm(arm, seed, scale), scale, seed) for arm in arms}


def memory(numbers: Mapping[str, float]) -> float:
    """How much more real D finds real pairs that it was trained on than real pairs that it was not."""
    return numbers["D real, training"] - numbers["D real, held-out"]


def claim_data(rows: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, list[float]]]:
    """Results of several seeds in the form that the rule of G04 asks for."""
    return {
        "discriminator": {arm: [memory(row[arm]) for row in rows] for arm in RULE_ARMS},
        "generator": {arm: [row[arm]["spectrum, held-out"] for row in rows] for arm in RULE_ARMS},
    }


def summary(rows: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """Means over seeds of every quantity of every arm, as "arm: quantity"."""
    means = {
        f"{arm}: {name}": float(np.mean([row[arm][name] for row in rows]))
        for arm in rows[0]
        for name in rows[0][arm]
    }
    remembered = {
        f"{arm}: memory": float(np.mean([memory(row[arm]) for row in rows]))
        for arm in rows[0]
        if "D real, training" in rows[0][arm]
    }
    return means | remembered


def remembered(table: Table) -> dict[str, Any]:
    """The data of G04 and the numbers that go with it."""
    rows = [table.rows[seed] for seed in table.seeds]
    return {"data": claim_data(rows), "numbers": summary(rows)}


SWEEP = Sweep(
    "patches",
    lambda seed, scale: run_seed(seed, scale, (*ARMS, AUGMENTED)),
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: SETTINGS[scale],
    {"G04": remembered},
)
"""All arms and the control with augmentation, paired seeds."""


def support_side(norm: str, size: int = 256) -> int:
    """Height in pixels of what a middle logit of the default PatchGAN depends on, by its gradient."""
    config = PatchGANConfig(base_filters=2, norm=norm)  # the field does not depend on the number of filters
    middle = config.logit_size(size) // 2
    box = support_box(gradient_support(PatchGAN(config), size, middle, middle))
    return box.bottom - box.top


@experiment("G03")
def one_logit(scale: str) -> dict[str, Any]:
    """Exact at every scale: the support of the gradient on an image of 256 px, without and with a norm."""
    sides = {"no norm": support_side("none"), "instance norm": support_side("instance")}
    fields = {f"n_layers {n}": float(PatchGANConfig(n_layers=n).receptive_field or 0) for n in range(1, 6)}
    return {"data": sides, "numbers": fields}
