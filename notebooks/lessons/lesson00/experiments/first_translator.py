"""Lesson 00: thresholds against a first network on SEM -> layout, then real cells and reversed contrast.

The network of the evidence page is the course's recipe (L1 alone) with fewer steps; the denoise + Otsu
variant it is compared with is chosen on validation pairs. No claim hangs on it: it shows what the course is
about. The lesson's page trains its own network in a loop of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gantrans.config import to_dict
from gantrans.data import PRESETS, BatchSource, ImagingConfig, PairedDataset, make_pairs
from gantrans.images import unit_from_uint8
from gantrans.metrics import epe, iou
from gantrans.teaching.runs import train_or_load
from gantrans.training import History, fit
from gantrans.translation import (
    DENOISE_OTSU,
    Pix2PixTask,
    Predictor,
    Recipe,
    Validation,
    choose_baseline,
    denoise,
    recipe,
    segment,
)

PIXEL_NM = 20.0
CELLS = {"SKY130 li1": "li1", "SKY130 poly": "poly", "SKY130 licon": "licon"}
REVERSED = replace(PRESETS["default"], contrast=(-0.22, -0.05))
"""The default conditions, but tops darker than the spaces, as in many real stacks of materials."""
THRESHOLDS = torch.linspace(0.02, 0.98, 33)


@dataclass(frozen=True)
class FirstSetting:
    """Sizes of the lesson at one scale; `recipe` is the scale whose recipe is taken."""

    recipe: str
    steps: int
    validate_every: int
    test_pairs: int
    fields: int
    doses: tuple[float, ...]


SETTINGS: Mapping[str, FirstSetting] = {
    "smoke": FirstSetting("smoke", 20, 10, 24, 2, (1.0, 30.0)),
    "reduced": FirstSetting("reduced", 1000, 250, 128, 16, (0.5, 1.0, 3.0, 10.0, 30.0)),
    "full": FirstSetting("reduced", 8000, 1000, 512, 64, (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)),
}


class Images(NamedTuple):
    """Pairs ready to look at: sem and layout (N, 1, S, S) in [0, 1], and the family of each."""

    sem: Tensor
    layout: Tensor
    family: list[str]


@dataclass(frozen=True)
class Trained:
    """A trained translator, and (steps, IoU on validation pairs) of its training."""

    predictor: Predictor
    curve: tuple[Sequence[int], Sequence[float]]


def images(pairs: PairedDataset) -> Images:
    """A dataset in [0, 1]."""
    return Images(unit_from_uint8(pairs.sem), unit_from_uint8(pairs.layout), pairs.family)


@lru_cache(maxsize=16)
def held_out(
    scale: str, seed: int, source: str = "procedural", difficulty: str = "default", split: str = "test"
) -> Images:
    """Pairs that no training sees; `source` is "procedural" or one of `CELLS`."""
    return images(
        make_pairs(
            "sky130" if source in CELLS else "procedural", split=split, count=SETTINGS[scale].test_pairs,
            size=_size(scale), seed=seed, difficulty=difficulty, layer=CELLS.get(source, "li1"),
            progress=False,
        )
    )  # fmt: skip


def imaged(conditions: ImagingConfig, scale: str, seed: int) -> Images:
    """The procedural test clips under other imaging conditions."""
    count, size = SETTINGS[scale].test_pairs, _size(scale)
    return images(
        make_pairs(
            "procedural", split="test", count=count, size=size, seed=seed, imaging=conditions, progress=False
        )
    )


def with_contrast(level: float) -> ImagingConfig:
    """The default conditions with one contrast between bars and spaces; below 0 bars are darker."""
    return replace(PRESETS["default"], contrast=(level, level))


def other_setting(sem: Tensor, seed: int) -> Tensor:
    """SEM images (N, 1, S, S) in [0, 1], each with a gain (0.5 to 1.5) and an offset (-0.2 to 0.2) of
    its own, as after a change of the detector's setting; what leaves the range is cut off."""
    gain, offset = torch.rand(2, len(sem), 1, 1, 1, generator=torch.Generator().manual_seed(seed))
    return ((0.5 + gain) * (sem - 0.5) + 0.5 + 0.4 * offset - 0.2).clamp(0, 1)


def _size(scale: str) -> int:
    return recipe("sem2layout", SETTINGS[scale].recipe).data.size


@lru_cache(maxsize=16)
def chosen_variant(scale: str, seed: int, source: str = "procedural", difficulty: str = "default") -> str:
    """The denoise + Otsu variant with the best mean IoU on validation pairs."""
    validation = held_out(scale, seed, source, difficulty, "val")
    return choose_baseline(validation.sem, validation.layout, DENOISE_OTSU)[0]


def threshold_scores(scale: str, seed: int) -> dict[str, dict[str, float]]:
    """{difficulty: mean test IoU of denoise + Otsu, and of the best threshold there is for each image}."""
    table = {}
    for difficulty in PRESETS:
        variant = chosen_variant(scale, seed, difficulty=difficulty)
        test = held_out(scale, seed, difficulty=difficulty)
        best = best_thresholds(denoise(test.sem, variant), test.layout)
        otsu = iou(segment(test.sem, variant), test.layout)
        table[difficulty] = {
            "Otsu's threshold": float(otsu.mean()),
            "best possible threshold": float(best.mean()),
        }
    return table


def best_thresholds(image: Tensor, layout: Tensor) -> Tensor:
    """The highest IoU that any global threshold reaches on each image, (N,): it has to look at the answer."""
    return torch.stack([iou((image > t).float(), layout) for t in THRESHOLDS]).amax(dim=0)


def first_recipe(scale: str, seed: int, steps: int | None = None) -> Recipe:
    """The course's SEM -> layout recipe with the steps of this lesson, or other ones.

    Rate and momentum are those with which the tables of lessons 00 and 11 were measured: at `reduced` half
    of the recipe's rate.
    """
    setting = SETTINGS[scale]
    chosen = recipe("sem2layout", setting.recipe, seed=seed)
    task = chosen.one_way
    task = replace(task, lr_generator=min(4e-3, task.lr_generator), betas=(0.5, 0.999))
    chosen = replace(chosen, task=task)
    every = {"validate_every": setting.validate_every, "checkpoint_every": 10**6}
    return replace(chosen, fit=replace(chosen.fit, steps=steps or setting.steps, **every))  # type: ignore[arg-type]


def train_first(scale: str, seed: int, *, steps: int | None = None) -> Trained:
    """Train the first translator, or load it if this machine has done so before."""
    chosen = first_recipe(scale, seed, steps)

    def train(folder: Path) -> dict[str, float]:
        batches = BatchSource(_spec_pairs("train", chosen), chosen.direction, chosen.batch_size, seed)
        validate = Validation(_spec_pairs("val", chosen), chosen.direction)
        task, extra = Pix2PixTask(chosen.one_way, seed), {"recipe": to_dict(chosen)}
        result = fit(task, batches, chosen.fit, out=folder / "run", validate=validate, extra=extra)
        return {"steps": result.step, "IoU on validation pairs": result.history.series("val_iou")[1][-1]}

    def load(folder: Path) -> Trained:
        history = History.load(folder / "run" / "history.jsonl")
        return Trained(Predictor.load(folder / "run"), history.series("val_iou"))

    return train_or_load(chosen, train, load, name="first-translator")


def _spec_pairs(split: str, chosen: Recipe) -> PairedDataset:
    """As `chosen.data.pairs`, but quiet: a progress bar would end up in the committed notebook."""
    count = chosen.data.count if split == "train" else chosen.data.validation
    return make_pairs(
        "procedural", split=split, count=count, size=chosen.data.size, seed=chosen.seed, progress=False
    )


def compare(
    scale: str, seed: int, predictor: Predictor, sources: Sequence[str]
) -> dict[str, dict[str, float]]:
    """{source: mean test IoU and EPE in nm of the network and of denoise + Otsu chosen for that source}."""
    table = {}
    for source in sources:
        test = held_out(scale, seed, source)
        made = {
            "Otsu": segment(test.sem, chosen_variant(scale, seed, source)),
            "network": predictor.translate(test.sem),
        }
        row = {f"IoU, {name}": float(iou(output, test.layout).mean()) for name, output in made.items()}
        for name, output in made.items():
            row[f"EPE, {name}"] = float(epe(output, test.layout, PIXEL_NM).mean.nanmean())
        table[source] = row
    return table
