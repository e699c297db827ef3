"""Lesson 07, claim G11: layout -> SEM with one adversarial term and L1 of different weight.

A seed decides pairs, batches and weights of every arm, so arms with one seed differ in the loss alone.
Imaging conditions are fixed: only roughness, fading and noise differ between two images of one layout, and
these the layout does not tell. "another real image" is the simulator itself, drawn a second time and judged
like an arm.
Sources: Isola et al. 2017, section 3.2 (the loss); Blau and Michaeli 2018 (perception against distortion).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gantrans.data import BatchSource, LayoutConfig, context_px, make_pairs, procedural_layouts, simulate
from gantrans.data.imaging import DEFAULT
from gantrans.data.streams import stream_seeds
from gantrans.images import uint8_from_unit, unit_from_network, unit_from_uint8
from gantrans.metrics import epe, l1, psnr
from gantrans.networks import PatchGANConfig, ResidualUNet, ResidualUNetConfig, UNetConfig, UNetGenerator
from gantrans.teaching.runs import train_or_load
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.training import FitConfig, fit, load_networks
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from gantrans.translation.predictor import translate
from lessons.lesson05.experiments.patches import PIXEL_NM, imitate, spectrum_distance
from lessons.shared.trained import trained

BASELINE = "L1 only"
WEIGHTS: Mapping[str, float] = {
    "L1 weight 100": 100.0,
    "L1 weight 30": 30.0,
    "L1 weight 10": 10.0,
    "L1 weight 3": 3.0,
    "L1 weight 1": 1.0,
    "no L1": 0.0,
}
"""The arms with an adversarial term, whose weight is 1, and their weight of L1."""
MATCHING = "L1 weight 10, FM 10"
ARMS = (BASELINE, *WEIGHTS, MATCHING)
REAL = "another real image"
RULE_ARMS = ("L1 weight 10", "L1 weight 100")
LIVE = (BASELINE, "L1 weight 100", "L1 weight 10", "L1 weight 1")
"""The arms that the lesson trains again."""
IMAGING = DEFAULT.fixed()


@dataclass(frozen=True)
class WeightSetting:
    """Sizes of the experiment at one scale; `reader_steps` trains the network that reads geometry back."""

    size: int
    n_down: int
    base_filters: int
    d_filters: int
    pairs: int
    test_pairs: int
    batch_size: int
    steps: int
    reader_steps: int
    lr: float
    seeds: int


SETTINGS: Mapping[str, WeightSetting] = {
    "smoke": WeightSetting(32, 3, 4, 4, 32, 8, 4, 6, 4, 5e-4, 2),
    "reduced": WeightSetting(64, 4, 16, 16, 2048, 64, 4, 800, 300, 5e-4, 6),
    "full": WeightSetting(128, 5, 32, 32, 4096, 64, 8, 4000, 1000, 3e-4, 6),
}


@dataclass(frozen=True)
class Trained:
    """A generator in evaluation mode and the means of its gradient ratio over the second half of training."""

    generator: UNetGenerator
    gradient_ratio: float | None


@dataclass(frozen=True)
class TestSet:
    """Held-out layouts with two independent images of each: uint8 (N, 1, S, S)."""

    layout: Tensor
    sem: Tensor
    another: Tensor

    __test__ = False  # its name would make pytest run it


def task_config(arm: str, setting: WeightSetting) -> Pix2PixConfig:
    """The recommended layout -> SEM network: resize-convolution, noise at every level, 34 px patches."""
    generator = UNetConfig(
        base_filters=setting.base_filters, n_down=setting.n_down, dropout=0.0, dropout_blocks=0,
        upsample="nearest", noise_injection=True, full_resolution_head=True,
    )  # fmt: skip
    usual = Pix2PixConfig(
        generator, PatchGANConfig(base_filters=setting.d_filters, n_layers=2, spectral_norm=True),
        lr_generator=setting.lr, lr_discriminator=setting.lr,
    )  # fmt: skip
    if arm == BASELINE:
        return replace(usual, discriminator=None)
    if arm == MATCHING:
        return replace(usual, weight_l1=10.0, weight_fm=10.0)
    return replace(usual, weight_l1=WEIGHTS[arm])


@lru_cache(maxsize=2)
def _batches(scale: str, seed: int, direction: str, batch_size: int) -> BatchSource:
    """Never turned: charging runs along the scan, so a turned image is not what the microscope shows."""
    setting = SETTINGS[scale]
    pairs = make_pairs(
        "procedural", count=setting.pairs, size=setting.size, seed=seed, imaging=IMAGING, progress=False
    )
    return BatchSource(pairs, direction, batch_size, seed, augment=False)


@lru_cache(maxsize=4)
def test_set(scale: str, seed: int) -> TestSet:
    """The held-out layouts of a seed, each imaged twice with fresh roughness, fading and noise."""
    setting = SETTINGS[scale]
    indices = range(setting.test_pairs)
    margin = context_px(PIXEL_NM)
    first, second = stream_seeds(seed, "loss weights/test", [0, 1])
    drawn = procedural_layouts(LayoutConfig(setting.size, PIXEL_NM), first, indices, margin_px=margin)
    sem, another = (uint8_from_unit(simulate(drawn, IMAGING, s, indices).sem) for s in (first, second))
    return TestSet(uint8_from_unit(drawn.clip), sem, another)


test_set.__test__ = False  # type: ignore[attr-defined]  # its name would make pytest run it


def train_arm(arm: str, seed: int, scale: str) -> Trained:
    """Train one arm with one seed, or load it if this machine has done so before."""
    setting = SETTINGS[scale]
    task = task_config(arm, setting)
    run = trained(
        lambda: Pix2PixTask(task, seed),
        FitConfig(
            setting.steps, seed=seed, channels_last=True, lr_schedule="linear_decay", checkpoint_every=10**6
        ),
        lambda: _batches(scale, seed, "layout2sem", setting.batch_size),
        name="loss-weights",
        key={"task": task, "seed": seed, "batch": setting.batch_size},
        data={"pairs": setting.pairs, "size": setting.size, "imaging": IMAGING, "augment": False},
    )
    ratios = run.history.series("gradient_ratio")[1]
    late = ratios[len(ratios) // 2 :]
    return Trained(run.generator, float(np.mean(late)) if len(late) else None)


def train_reader(seed: int, scale: str) -> ResidualUNet:
    """SEM -> layout on the same real pairs with L1: it reads the geometry back from a made image."""
    setting = SETTINGS[scale]
    network = ResidualUNetConfig(base_filters=setting.base_filters, multipliers=(1, 2, 2))
    task = Pix2PixConfig(network, None, lr_generator=4e-3)
    fitting = FitConfig(
        setting.reader_steps, seed=seed, channels_last=True, lr_schedule="one_cycle", checkpoint_every=10**6
    )

    def train(folder: Path) -> dict[str, float]:
        batches = _batches(scale, seed, "sem2layout", 8)
        result = fit(Pix2PixTask(task, seed), batches, fitting, out=folder)
        return {"steps": result.step, "L1": result.history.records[-1]["loss_l1"] / 2}

    def load(folder: Path) -> ResidualUNet:
        reader = ResidualUNet(network)
        load_networks(folder, {"generator": reader})
        return reader

    config = {"task": task, "fit": fitting, "seed": seed, "batch": 8}
    data = {"pairs": setting.pairs, "size": setting.size, "imaging": IMAGING, "augment": False}
    return train_or_load(config, train, load, name="loss-weights-reader", data=data)


def judge(made: Tensor, second: Tensor, test: TestSet, reader: ResidualUNet) -> dict[str, float]:
    """Realism and correctness of images (N, 1, S, S) in [0, 1] of the test layouts; `second`: another draw.

    Returns:
        L1, PSNR (dB): against the real image of the same layout. spectrum: mean |difference| of the radial
        spectra, texture: signed, upper half of the band (dB). EPE (nm): of the geometry that the reader sees
        in the image against the drawn one; unread: share of images in which it sees no edge. diversity:
        standard deviation of a pixel between draws, in [0, 1].
    """
    real, layout = unit_from_uint8(test.sem), unit_from_uint8(test.layout)
    spectrum, texture = spectrum_distance(made, real)
    edges = epe(translate(reader, made), layout, PIXEL_NM)
    return {
        "L1": float(l1(made, real).mean()),
        "PSNR": float(psnr(made, real, data_range=1.0).mean()),
        "spectrum": spectrum,
        "texture": texture,
        "EPE": float(edges.mean.nanmean()),
        "unread": float(edges.undefined.double().mean()),
        "diversity": float((made - second).square().mean().div(2).sqrt()),
    }


def images(trained: Trained, test: TestSet, draw: int = 0) -> Tensor:
    """What a generator makes of the test layouts, (N, 1, S, S) in [0, 1]; `draw` names the injected noise."""
    return unit_from_network(imitate(trained.generator, test.layout, draw))


def score(arm: str, seed: int, scale: str) -> dict[str, float]:
    """Train an arm (but for the real images) and judge it; with both terms also its gradient ratio."""
    test, reader = test_set(scale, seed), train_reader(seed, scale)
    if arm == REAL:
        # The second image of each layout is judged; its partner for the diversity is the first.
        return judge(unit_from_uint8(test.another), unit_from_uint8(test.sem), test, reader)
    trained = train_arm(arm, seed, scale)
    numbers = judge(images(trained, test, 0), images(trained, test, 1), test, reader)
    ratio = trained.gradient_ratio
    return numbers if ratio is None else {**numbers, "gradient ratio": ratio}


def run_seed(seed: int, scale: str, arms: Sequence[str] = (*ARMS, REAL)) -> Row:
    """Train the arms with one seed and score them: {arm: {quantity: value}}."""
    return {arm: score(arm, seed, scale) for arm in arms}


def front(table: Table) -> dict[str, Any]:
    """The data of G11, and the means of every arm as "arm: quantity"."""
    data = {
        "spectrum distance": table.values("spectrum", *RULE_ARMS),
        "pixel error": table.values("L1", *RULE_ARMS),
        "EPE": table.values("EPE", *RULE_ARMS),
    }
    numbers = {f"{arm}: {q}": v for arm, row in table.means().items() for q, v in row.items()}
    return {"data": data, "numbers": numbers}


GROUPS: Mapping[str, Sequence[str]] = {
    "weak": (BASELINE, "L1 weight 100", REAL),
    "middle": ("L1 weight 30", "L1 weight 10"),
    "strong": ("L1 weight 3", "L1 weight 1"),
    "others": ("no L1", MATCHING),
}
"""Arms that one unit of the sweep's work trains together."""

SWEEP = Sweep(
    "loss_weights",
    {name: partial(run_seed, arms=arms) for name, arms in GROUPS.items()},
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: [SETTINGS[scale], [task_config(arm, SETTINGS[scale]) for arm in ARMS]],
    {"G11": front},
)
