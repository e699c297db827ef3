"""Lessons 12 and 13: a translator in production, and a process that changes under it.

Old conditions are the course's default imaging. New ones: a wider beam, fainter edges on a brighter
background, and lines that print wider than drawn, by about a pixel at each edge. So the same drawing looks
otherwise, and the relation between image and drawing has changed as well.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from gantrans.config import to_dict
from gantrans.data import BatchSource, LayoutConfig, PairedDataset, context_px, procedural_layouts, simulate
from gantrans.data.imaging import DEFAULT, ImagingConfig
from gantrans.data.streams import stream_seeds
from gantrans.images import uint8_from_unit
from gantrans.operations.promotion.finetune import FineTuneConfig, fine_tune
from gantrans.teaching.runs import train_or_load
from gantrans.training import History, fit
from gantrans.training.history import Record
from gantrans.translation import Pix2PixTask, Recipe, Validation
from gantrans.translation.recipes import production_recipe

DIRECTION = "sem2layout"
PIXEL_NM = 20.0
CONDITIONS: Mapping[str, ImagingConfig] = {
    "old": DEFAULT,
    "new": replace(
        DEFAULT,
        cd_bias_nm=(24.0, 48.0),
        beam_sigma_nm=(26.0, 34.0),
        background=(0.35, 0.45),
        edge_signal=(0.20, 0.35),
    ),
}


@dataclass(frozen=True)
class ProcessSetting:
    """Sizes at one scale. `layouts` times `images` is one hold-out; `fresh` are the new training pairs."""

    steps: int
    old: int
    fresh: int
    pool: int
    layouts: int
    images: int


SETTINGS: Mapping[str, ProcessSetting] = {
    "smoke": ProcessSetting(6, 24, 8, 16, 12, 2),
    "reduced": ProcessSetting(800, 512, 50, 300, 48, 3),
    "full": ProcessSetting(20_000, 2000, 50, 600, 100, 4),
}


def champion_recipe(scale: str, seed: int = 0) -> Recipe:
    """The production recipe, trained for as many steps as this lesson affords."""
    chosen, setting = production_recipe(scale, seed=seed), SETTINGS[scale]
    fitting = replace(chosen.fit, steps=setting.steps, monitor=None, validate_every=setting.steps)
    return replace(chosen, data=replace(chosen.data, count=setting.old), fit=fitting)


@lru_cache(maxsize=32)
def pairs(
    which: str, split: str, scale: str, seed: int, count: int, images: int = 1
) -> tuple[PairedDataset, tuple[str, ...]]:
    """Pairs of "old" or "new" conditions, and the layout that each shows.

    Args:
        count: layouts; each is imaged `images` times, with other conditions, roughness and noise each time.
    """
    recipe = champion_recipe(scale)
    size, pixel_nm = recipe.data.size, recipe.data.pixel_nm or PIXEL_NM
    (stream,) = stream_seeds(seed, f"process/{which}/{split}", [0])
    drawn = procedural_layouts(
        LayoutConfig(size, pixel_nm), stream, range(count), margin_px=context_px(pixel_nm)
    )
    sem = [
        simulate(drawn, CONDITIONS[which], stream, range(k * count, (k + 1) * count)).sem
        for k in range(images)
    ]
    names = [f"{which}-{split}-{i:04d}" for i in range(count)] * images
    found = PairedDataset(
        uint8_from_unit(torch.cat(sem)),
        uint8_from_unit(drawn.clip).repeat(images, 1, 1, 1),
        list(drawn.family) * images,
        pixel_nm,
        [f"{name}-{k // count}" for k, name in enumerate(names)],
    )
    return found, tuple(names)


def training_pairs(which: str, scale: str, seed: int) -> PairedDataset:
    """What training may see: the champion's pairs ("old"), or the few new ones ("new")."""
    setting = SETTINGS[scale]
    return pairs(which, "train", scale, seed, setting.old if which == "old" else setting.fresh)[0]


def validation_pairs(which: str, scale: str, seed: int) -> PairedDataset:
    """What fine-tuning watches; not the hold-out that the gate decides on."""
    return pairs(which, "val", scale, seed, SETTINGS[scale].layouts)[0]


def hold_out(which: str, scale: str, seed: int) -> tuple[PairedDataset, tuple[str, ...]]:
    """What the gate decides on: several images per layout, and the layout of each."""
    setting = SETTINGS[scale]
    return pairs(which, "test", scale, seed, setting.layouts, setting.images)


def champion(scale: str, seed: int = 0) -> Path:
    """The run of the translator in production, trained on old pairs (or loaded); D is part of it."""
    chosen = champion_recipe(scale, seed)

    def train(folder: Path) -> dict[str, float]:
        batches = BatchSource(training_pairs("old", scale, seed), DIRECTION, chosen.batch_size, seed)
        scorer = Validation(validation_pairs("old", scale, seed), DIRECTION)
        result = fit(
            Pix2PixTask(chosen.one_way, seed), batches, chosen.fit, out=folder, validate=scorer,
            extra={"recipe": to_dict(chosen)},
        )  # fmt: skip
        return {"steps": result.step, "IoU": result.history.records[-1]["val_iou"]}

    data = {"conditions": to_dict(CONDITIONS["old"]), "setting": to_dict(SETTINGS[scale])}
    return train_or_load(chosen, train, lambda folder: folder, name="production", data=data)


@dataclass(frozen=True)
class Challenger:
    """A fine-tuned champion: its run, the records of its history, scores before and after, alarms."""

    folder: Path
    records: list[Record]
    before: Mapping[str, float]
    after: Mapping[str, float]
    reference: Mapping[str, float]
    alarms: tuple[str, ...]


def challenger(base: Path, scale: str, seed: int, config: FineTuneConfig) -> Challenger:
    """Fine-tune the run of the champion `base` on the new pairs, or load what came of it."""
    held = {which: validation_pairs(which, scale, seed) for which in ("old", "new")}
    new, old = (training_pairs(which, scale, seed) for which in ("new", "old"))

    def train(folder: Path) -> dict[str, float]:
        tuned = fine_tune(base, new, old, config, out=folder / "run", validation=held, parent=base.name)
        story = {
            **{name: dict(getattr(tuned, name)) for name in ("before", "after", "reference")},
            "alarms": [str(alarm) for alarm in tuned.alarms],
        }
        (folder / "story.json").write_text(json.dumps(story))
        return {"IoU old": tuned.after["iou_old"], "IoU new": tuned.after["iou_new"]}

    def load(folder: Path) -> Challenger:
        story = json.loads((folder / "story.json").read_text())
        records = History.load(folder / "run" / "history.jsonl").records
        before, after, reference = (story[name] for name in ("before", "after", "reference"))
        return Challenger(folder / "run", records, before, after, reference, tuple(story["alarms"]))

    data = {
        "champion": base.name,
        "conditions": to_dict(CONDITIONS["new"]),
        "setting": to_dict(SETTINGS[scale]),
        "seed": seed,
    }
    return train_or_load(config, train, load, name="challenger", data=data)
