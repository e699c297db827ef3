"""The quarter of lesson 13 as data: phases and their pairs, the champion of the first day, the monitor."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from gantrans.config import to_dict
from gantrans.data import BatchSource, LayoutConfig, PairedDataset, context_px, procedural_layouts, simulate
from gantrans.data.streams import stream_seeds
from gantrans.images import uint8_from_unit, unit_from_uint8
from gantrans.metrics import iou
from gantrans.networks import UNetConfig
from gantrans.operations.drift.charts import ChartConfig
from gantrans.operations.drift.detector import DriftConfig, DriftDetector
from gantrans.operations.drift.profile import measure
from gantrans.teaching.runs import train_or_load
from gantrans.training import fit
from gantrans.translation import Pix2PixTask, Predictor, Recipe
from gantrans.translation.recipes import production_recipe
from lessons.shared.process_change import CONDITIONS, DIRECTION, PIXEL_NM

PHASES = ("old", "new", "redrawn")
SEEDS: Mapping[str, int] = {"smoke": 2, "reduced": 6, "full": 6}
MONITOR = DriftConfig(chart=ChartConfig(block=25))


@dataclass(frozen=True)
class QuarterSetting:
    """Sizes at one scale.

    days, changes: length, and the first days of "new" and of "redrawn". images, labels: per day. delay: days
    from an image to its label. steps, old: of the champion's training. reference: images that the input
    monitor is fitted to. taught, judged: of the newest labelled pairs. size: of images in pixels.
    """

    days: int = 90
    changes: tuple[int, int] = (30, 60)
    images: int = 25
    labels: int = 12
    delay: int = 3
    steps: int = 300
    old: int = 512
    reference: int = 8000
    taught: int = 48
    judged: int = 48
    size: int = 32


SETTINGS: Mapping[str, QuarterSetting] = {
    "smoke": QuarterSetting(9, (3, 6), 12, 12, 1, 6, 24),
    "reduced": QuarterSetting(),
    "full": QuarterSetting(steps=4000, old=2000, size=64),
}


def phase_of(day: int, setting: QuarterSetting) -> str:
    """The conditions of a day, one of `PHASES`."""
    return PHASES[sum(day >= change for change in setting.changes)]


@lru_cache(maxsize=400)
def phase_pairs(phase: str, split: str, size: int, seed: int, count: int) -> PairedDataset:
    """Images and drawings under the conditions of a phase; every split has its own layouts and noise."""
    (stream,) = stream_seeds(seed, f"quarter/{split}", [0])
    drawn = procedural_layouts(
        LayoutConfig(size, PIXEL_NM), stream, range(count), margin_px=context_px(PIXEL_NM)
    )
    sem = simulate(drawn, CONDITIONS["old" if phase == "old" else "new"], stream, range(count)).sem
    layout = drawn.clip if phase != "redrawn" else -max_pool2d(-drawn.clip, 3, 1, 1)
    names = [f"{split.replace(' ', '-')}-{i:04d}" for i in range(count)]
    return PairedDataset(uint8_from_unit(sem), uint8_from_unit(layout), list(drawn.family), PIXEL_NM, names)


def day_pairs(day: int, scale: str, seed: int) -> PairedDataset:
    """The images of a day, with drawings that only labels will tell."""
    setting = SETTINGS[scale]
    return phase_pairs(phase_of(day, setting), f"day {day:03d}", setting.size, seed, setting.images)


def old_pairs(split: str, scale: str, seed: int) -> PairedDataset:
    """Pairs of the first phase: "train", what the champion knows, or "test", a hold-out of 96."""
    setting = SETTINGS[scale]
    return phase_pairs("old", split, setting.size, seed, setting.old if split == "train" else 96)


def champion_recipe(scale: str, seed: int) -> Recipe:
    """The production recipe for small images, so that a quarter takes a minute."""
    chosen, setting = production_recipe(scale, seed=seed), SETTINGS[scale]
    assert isinstance(chosen.one_way.generator, UNetConfig)
    base = 16 if scale == "reduced" else chosen.one_way.generator.base_filters
    generator = replace(chosen.one_way.generator, base_filters=base, n_down=3, attention=(0,))
    task = replace(chosen.one_way, generator=generator)
    if scale == "reduced":
        assert task.discriminator is not None
        task = replace(task, discriminator=replace(task.discriminator, base_filters=8), lr_generator=2e-3)
    every = setting.steps
    fitting = replace(chosen.fit, steps=every, monitor=None, validate_every=every, checkpoint_every=every)
    data = replace(chosen.data, size=setting.size, count=setting.old)
    return replace(chosen, task=task, data=data, fit=fitting)


def champion(scale: str, seed: int = 0) -> Path:
    """The run of the translator that is in production on day 0, trained on old pairs (or loaded)."""
    chosen = champion_recipe(scale, seed)

    def train(folder: Path) -> dict[str, float]:
        batches = BatchSource(old_pairs("train", scale, seed), DIRECTION, chosen.batch_size, seed)
        task, extra = Pix2PixTask(chosen.one_way, seed), {"recipe": to_dict(chosen)}
        fit(task, batches, chosen.fit, out=folder, extra=extra, progress=False)
        return {"IoU": float(ious(Predictor.load(folder), old_pairs("test", scale, seed)).mean())}

    data = {"conditions": to_dict(CONDITIONS["old"]), "setting": to_dict(SETTINGS[scale])}
    return train_or_load(chosen, train, lambda folder: folder, name="quarter", data=data)


def ious(predictor: Predictor, pairs: PairedDataset) -> Tensor:
    """IoU of each image, (N,)."""
    return iou(predictor.translate(unit_from_uint8(pairs.sem)), unit_from_uint8(pairs.layout))


def detector(day: int, scale: str) -> DriftDetector:
    """The input monitor, fitted to images like those of a day; the same fit in every quarter."""
    setting = SETTINGS[scale]
    phase = "old" if phase_of(day, setting) == "old" else "new"  # of "new" and "redrawn" images are alike
    return copy.deepcopy(_fitted(phase, setting.size, setting.reference))


@lru_cache(maxsize=2)
def _fitted(phase: str, size: int, count: int) -> DriftDetector:
    images = phase_pairs.__wrapped__(phase, "reference", size, 0, count).sem
    return DriftDetector.fit(measure(unit_from_uint8(images), PIXEL_NM), MONITOR)


def joined(parts: Sequence[PairedDataset]) -> PairedDataset:
    """Several sets of pairs, one after the other."""
    return PairedDataset(
        torch.cat([p.sem for p in parts]),
        torch.cat([p.layout for p in parts]),
        [f for p in parts for f in p.family],
        PIXEL_NM,
        [n for p in parts for n in p.names],
    )
