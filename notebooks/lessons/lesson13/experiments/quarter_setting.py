"""The quarter of lesson 13 as data: phases and their pairs, the champion of the first day, the monitor.

A scenario is three phases. In "kept" both changes leave the information in the images: the detector's gain
falls by 30 %, then every drawn edge moves outwards by two pixels. A translator that learnt all of the new
pairs would be as good as the old one was. In "lost" it would not: the beam widens and lines print wider, then
drawings shrink to lines of one or two pixels, of which every wrong pixel is a large share.
"""

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

KEPT, LOST = "kept", "lost"
SCENARIOS: Mapping[str, tuple[str, str, str]] = {
    KEPT: ("old", "dark", "widened"),
    LOST: ("old", "new", "redrawn"),
}
PARTS = ("before", "images", "relation")
"""What the phases of every scenario are: before any change, after one of the images, of the relation."""
GAIN = 0.7
"""Of the detector in "dark" and "widened", on the finished image: nothing that was there is lost."""
IMAGES_OF: Mapping[str, str] = {"widened": "dark", "redrawn": "new"}
"""The phases whose images are those of the phase before; only what is drawn has changed."""
SEEDS: Mapping[str, int] = {"smoke": 2, "reduced": 12, "full": 12}
MONITOR = DriftConfig(chart=ChartConfig(block=25))


@dataclass(frozen=True)
class QuarterSetting:
    """Sizes at one scale.

    days, changes: length, and the first days of the second and of the third phase. images, labels: per day.
    delay: days from an image to its label. steps, old: of the champion's training. reference: images that the
    input monitor is fitted to. size: of images in pixels. last: days at the end of a phase in which recovery
    is judged. slip: the day on which somebody promotes a bad version by hand.
    """

    days: int = 90
    changes: tuple[int, int] = (30, 60)
    images: int = 25
    labels: int = 12
    delay: int = 3
    steps: int = 300
    old: int = 512
    reference: int = 8000
    size: int = 32
    last: int = 10
    slip: int = 12


SETTINGS: Mapping[str, QuarterSetting] = {
    "smoke": QuarterSetting(12, (5, 8), 12, 12, 1, 6, 24, last=2, slip=3),
    "reduced": QuarterSetting(),
    "full": QuarterSetting(steps=4000, old=2000, size=64),
}


def part_of(day: int, setting: QuarterSetting) -> str:
    """The part of the quarter that a day lies in, one of `PARTS`."""
    return PARTS[sum(day >= change for change in setting.changes)]


def phase_of(day: int, setting: QuarterSetting, scenario: str = KEPT) -> str:
    """The conditions of a day, one of the scenario's phases."""
    return SCENARIOS[scenario][PARTS.index(part_of(day, setting))]


@lru_cache(maxsize=400)
def phase_pairs(phase: str, split: str, size: int, seed: int, count: int) -> PairedDataset:
    """Images and drawings under the conditions of a phase; every split has its own layouts and noise."""
    (stream,) = stream_seeds(seed, f"quarter/{split}", [0])
    drawn = procedural_layouts(
        LayoutConfig(size, PIXEL_NM), stream, range(count), margin_px=context_px(PIXEL_NM)
    )
    images = IMAGES_OF.get(phase, phase)
    sem = simulate(drawn, CONDITIONS["new" if images == "new" else "old"], stream, range(count)).sem
    if images == "dark":
        sem = GAIN * sem
    layout = drawn.clip
    if phase == "widened":
        layout = max_pool2d(layout, 5, 1, 2)
    elif phase == "redrawn":
        layout = -max_pool2d(-layout, 3, 1, 1)
    names = [f"{split.replace(' ', '-')}-{i:04d}" for i in range(count)]
    return PairedDataset(uint8_from_unit(sem), uint8_from_unit(layout), list(drawn.family), PIXEL_NM, names)


def day_pairs(day: int, scale: str, seed: int, scenario: str = KEPT) -> PairedDataset:
    """The images of a day, with drawings that only labels will tell."""
    setting = SETTINGS[scale]
    phase = phase_of(day, setting, scenario)
    return phase_pairs(phase, f"day {day:03d}", setting.size, seed, setting.images)


def day_of(name: str) -> int:
    """The day on which the image of this name was taken."""
    return int(name.split("-")[1])


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


def detector(day: int, scale: str, scenario: str = KEPT) -> DriftDetector:
    """The input monitor, fitted to images like those of a day; the same fit in every quarter."""
    setting = SETTINGS[scale]
    phase = phase_of(day, setting, scenario)
    return copy.deepcopy(_fitted(IMAGES_OF.get(phase, phase), setting.size, setting.reference))


@lru_cache(maxsize=3)
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
