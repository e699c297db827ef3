"""Lesson 09, claims G48 and G49: the article's whole machine, and the machine without one part at a time.

Networks, losses and their weights are those of the recipe `article`; a run here is shorter, so its rate is
higher and its batch smaller. Every arm trains both directions on the same pairs; a seed decides pairs,
batches and weights. Imaging conditions are fixed: what differs between two images of one layout is roughness,
fading and noise. Sources: Isola et al. 2017; Zhu et al. 2017; Wang et al. 2018; Zhang et al. 2019.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn

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
from gantrans.metrics import epe, iou, l1, spectrum_error
from gantrans.networks import PatchGANConfig, UNetConfig, UNetGenerator
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table, read_table
from gantrans.training import FitConfig
from gantrans.translation import (
    DENOISE_OTSU,
    BidirectionalConfig,
    BidirectionalTask,
    recipe,
    segment,
    translate,
)
from lessons.shared.trained import Trained, trained

PIXEL_NM = 20.0
IMAGING = DEFAULT.fixed()
WHOLE = "the whole machine"
REAL = "another real image"
Change = Callable[[BidirectionalConfig], BidirectionalConfig]


def without_attention(config: BidirectionalConfig) -> BidirectionalConfig:
    """Both generators without their two attention layers; all other weights start as before."""
    assert isinstance(config.generator_a, UNetConfig)
    assert isinstance(config.generator_b, UNetConfig)
    a, b = (replace(generator, attention=()) for generator in (config.generator_a, config.generator_b))
    return replace(config, generator_a=a, generator_b=b)


def without_spectral_norm(config: BidirectionalConfig) -> BidirectionalConfig:
    """Both discriminators with plain convolutions."""
    assert isinstance(config.discriminator, PatchGANConfig)
    return replace(config, discriminator=replace(config.discriminator, spectral_norm=False))


PARTS: Mapping[str, Change] = {
    "attention": without_attention,
    "feature matching": partial(replace, weight_fm=0.0),
    "cycle": partial(replace, weight_cycle=0.0),
    "spectral norm": without_spectral_norm,
    "smoothing": partial(replace, real_label=1.0),
    "least squares": partial(replace, adversarial="non_saturating"),
    "discriminators": partial(replace, discriminator=None),
}
"""The parts, and how each is taken out. Without discriminators there is no feature matching either."""


def without(part: str) -> str:
    """The arm that lacks a part."""
    return f"without {part}"


ARMS = (WHOLE, *map(without, PARTS))


@dataclass(frozen=True)
class MachineSetting:
    """Sizes of the experiment at one scale; those of the networks are the recipe's."""

    size: int
    pairs: int
    test_pairs: int
    batch_size: int
    steps: int
    lr: float


SETTINGS: Mapping[str, MachineSetting] = {
    "smoke": MachineSetting(32, 16, 8, 4, 4, 1e-3),
    "reduced": MachineSetting(64, 1024, 128, 4, 500, 1e-3),
    "full": MachineSetting(256, 2000, 64, 4, 4000, 2e-4),
}


def task_config(arm: str, scale: str) -> BidirectionalConfig:
    """Networks and losses of an arm: those of the recipe, but for the part that is out."""
    config = recipe("both", scale, name="article").task
    assert isinstance(config, BidirectionalConfig)
    rate = SETTINGS[scale].lr
    config = replace(config, lr_generator=rate, lr_discriminator=rate)
    return config if arm == WHOLE else PARTS[arm.removeprefix("without ")](config)


@dataclass(frozen=True)
class Images:
    """Held-out layouts, and two SEM images of each, (N, 1, S, S) in [0, 1]."""

    layout: Tensor
    sem: Tensor
    another: Tensor


@lru_cache(maxsize=1)
def training_pairs(scale: str, seed: int) -> PairedDataset:
    """The pairs that every arm of a seed is trained on."""
    setting = SETTINGS[scale]
    return make_pairs(
        "procedural", count=setting.pairs, size=setting.size, seed=seed, imaging=IMAGING, progress=False
    )


@lru_cache(maxsize=1)
def held_out(scale: str, seed: int) -> Images:
    """Layouts that no arm of a seed has seen, each imaged twice with fresh roughness, fading and noise."""
    setting = SETTINGS[scale]
    indices = range(setting.test_pairs)
    first, second = stream_seeds(seed, "whole machine/test", [0, 1])
    layouts = LayoutConfig(setting.size, PIXEL_NM)
    drawn = procedural_layouts(layouts, first, indices, margin_px=context_px(PIXEL_NM))
    return Images(drawn.clip, *(simulate(drawn, IMAGING, s, indices).sem for s in (first, second)))


def train_arm(arm: str, seed: int, scale: str) -> Trained:
    """Train one arm with one seed, or load it if this machine has done so before.

    Its networks are "a", SEM -> layout, and "b", layout -> SEM.
    """
    setting, config = SETTINGS[scale], task_config(arm, scale)
    return trained(
        lambda: BidirectionalTask(config, seed),
        FitConfig(
            setting.steps, seed=seed, channels_last=True, lr_schedule="linear_decay", checkpoint_every=10**6
        ),
        lambda: BatchSource(training_pairs(scale, seed), "sem2layout", setting.batch_size, seed),
        name="whole-machine",
        key={"arm": arm, "task": config, "seed": seed, "batch": setting.batch_size},
        data={"pairs": setting.pairs, "size": setting.size, "imaging": IMAGING},
        shown=lambda history: {"L1": history.records[-1]["loss_l1_a"] / 2},
    )


def drawn(maker: UNetGenerator, layout: Tensor, seed: int) -> Tensor:
    """Images with dropout left on, pix2pix's source of chance: (N, 1, S, S) in [0, 1].

    Batch normalisation is as in evaluation, so that an image does not depend on the others of its batch.
    """
    maker.eval()
    chance = [module for module in maker.modules() if isinstance(module, nn.Dropout)]
    for module in chance:
        module.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = translate(maker, layout)
    maker.eval()
    return made


def spread(first: Tensor, second: Tensor) -> float:
    """Standard deviation of a pixel between two draws, in [0, 1]."""
    return float((first - second).square().mean().div(2).sqrt())


def texture(made: Tensor, data: Images) -> dict[str, float]:
    """SEM images of the held-out layouts (N, 1, S, S) in [0, 1], against the real ones.

    Returns:
        L1; spectrum: mean |difference| of the radial spectra (dB). EPE read back (nm): of the geometry that
        denoise + Otsu sees in them against the drawn one.
    """
    edges = epe(segment(made, DENOISE_OTSU[1]), data.layout, PIXEL_NM)
    return {
        "L1": float(l1(made, data.sem).mean()),
        "spectrum": spectrum_error(made, data.sem),
        "EPE read back": float(edges.mean.nanmean()),
    }


def judge(run: Trained, data: Images) -> dict[str, float]:
    """Both directions on held-out images.

    Returns:
        IoU, EPE (nm): of the layouts. Of the SEM images what `texture` gives, with dropout off as `evaluate`
        has it, and spread: that of two draws with dropout on, over that of two real images.
    """
    reader, maker = run.networks["a"], run.networks["b"]
    read = translate(reader, data.sem)
    draws = [drawn(maker, data.layout, seed) for seed in (0, 1)]
    return {
        "IoU": float(iou(read, data.layout).mean()),
        "EPE": float(epe(read, data.layout, PIXEL_NM).mean.nanmean()),
        **texture(translate(maker, data.layout), data),
        "spread": spread(*draws) / spread(data.sem, data.another),
    }


def run_arm(seed: int, scale: str, arm: str) -> Row:
    """Train one arm with one seed and score it; with the whole machine also the second real images."""
    data = held_out(scale, seed)
    row = {arm: judge(train_arm(arm, seed, scale), data)}
    if arm == WHOLE:
        row[REAL] = {**texture(data.another, data), "spread": 1.0}
    return row


def effects(table: Table, quantity: str) -> Mapping[str, Any]:
    """The data of a claim, by part: the quantity with the part and without, and the means of every arm."""
    data = {part: table.values(quantity, WHOLE, without(part)) for part in PARTS}
    means = table.means()
    return {"data": data, "numbers": {f"{a}: {q}": v for a, row in means.items() for q, v in row.items()}}


SWEEP = Sweep(
    "article",
    {arm: partial(run_arm, arm=arm) for arm in ARMS},
    {"smoke": 2, "reduced": range(20, 26), "full": 6},
    lambda scale: [SETTINGS[scale], [task_config(arm, scale) for arm in ARMS]],
    {"G48": partial(effects, quantity="IoU"), "G49": partial(effects, quantity="spectrum")},
)


def measured() -> Table | None:
    """The committed table; None before it is measured."""
    return read_table(SWEEP.path) if SWEEP.path.exists() else None
