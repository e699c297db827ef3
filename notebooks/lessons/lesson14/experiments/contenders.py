"""Lesson 14's sweep: what is trained. Four methods, two directions, equal steps or equal core-seconds.

Networks and rates are those of the library's recipes; only size, steps and pairs are the sweep's. The GAN is
the recipe of layout -> SEM, with L1 weight 100 where the target is a layout (Isola et al. 2017); L1 is the
U-Net of SEM -> layout in both directions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from gantrans.data import BatchSource, PairedDataset, make_pairs
from gantrans.directions import direction as registered
from gantrans.training import FitConfig
from gantrans.translation import ConditionalDiffusionConfig, ConditionalDiffusionTask, Pix2PixTask, recipe
from gantrans.translation.pix2pix import Pix2PixConfig
from lessons.shared.trained import Trained, trained

METHODS = ("L1", "GAN", "diffusion", "transformer")
DIRECTIONS = ("sem2layout", "layout2sem")
PAIRS = (50, 200, 2000)
STEPS, SECONDS = "equal steps", "equal seconds"
BUDGETS = (STEPS, SECONDS)
CHECKED = ("sem2layout", 2000, SECONDS)
"""The setting in which the intervals are judged."""
DIFFICULTY = "default"
"""Of the images. On hard ones the transformer of a pilot drew nothing at all after 250 steps."""

Config = Pix2PixConfig | ConditionalDiffusionConfig


@dataclass(frozen=True)
class ChoiceSetting:
    """Sizes at one scale.

    steps: of every method where steps are equal. seconds: the aim where core-seconds are equal.
    step_ms: core-milliseconds of a step by direction and method, measured once on the machine of the table
        with one thread; seconds over these give the steps. The seconds that were really taken stand in the
        table.
    test_pairs: held-out pairs. In the setting of the claim on intervals there are twice as many for these,
        because half of the pairs widens the intervals of the other half.
    answers: draws per input where they can differ.
    """

    size: int
    test_pairs: int
    batch_size: int
    steps: int
    seconds: float
    answers: int
    seeds: int
    step_ms: Mapping[str, Mapping[str, float]]


_MS = {
    "sem2layout": {"L1": 12.0, "GAN": 27.0, "diffusion": 35.0, "transformer": 15.0},
    "layout2sem": {"L1": 12.0, "GAN": 27.0, "diffusion": 30.0, "transformer": 15.0},
}
_TINY = {direction: dict.fromkeys(METHODS, 10.0) for direction in DIRECTIONS}
SETTINGS: Mapping[str, ChoiceSetting] = {
    "smoke": ChoiceSetting(32, 20, 2, 2, 0.02, 19, 2, _TINY),
    "reduced": ChoiceSetting(32, 96, 8, 400, 10.0, 19, 12, _MS),
    "full": ChoiceSetting(64, 128, 8, 4000, 240.0, 19, 12, _MS),
}


@dataclass(frozen=True)
class Contender:
    """One training: what, which way, of how many pairs, under which budget."""

    method: str
    direction: str
    pairs: int
    budget: str

    @property
    def arm(self) -> str:
        """Its name in the table."""
        return arm_name(self.method, self.direction, self.pairs, self.budget)


def arm_name(method: str, direction: str, pairs: int, budget: str) -> str:
    """The arm of a method in a setting; see `setting_name`."""
    return f"{setting_name(direction, pairs, budget)}: {method}"


def setting_name(direction: str, pairs: int, budget: str) -> str:
    """The setting in which the four methods are trained with one seed."""
    return f"{direction}, {pairs} pairs, {budget}"


def steps_of(contender: Contender, scale: str) -> int:
    """How many steps it is trained."""
    setting = SETTINGS[scale]
    if contender.budget == STEPS:
        return setting.steps
    each = setting.step_ms[contender.direction][contender.method]
    return max(1, round(1000 * setting.seconds / each))


def pairs_of(contender: Contender, scale: str) -> int:
    """How many held-out pairs it is judged on; see `ChoiceSetting`."""
    checked = (contender.direction, contender.pairs, contender.budget) == CHECKED
    return SETTINGS[scale].test_pairs * (2 if checked else 1)


def configured(contender: Contender, scale: str) -> tuple[Config, FitConfig]:
    """Task and training of a contender."""
    name = contender.method if contender.method in ("diffusion", "transformer") else "default"
    towards = contender.direction
    if contender.method == "GAN":
        towards = "layout2sem"  # the recipe with a discriminator
    elif contender.method == "L1":
        towards = "sem2layout"
    chosen = recipe(towards, scale, name=name)
    task: Config = chosen.task  # type: ignore[assignment]
    binary = registered(contender.direction).target_kind == "binary"
    if contender.method == "GAN" and binary:
        task = replace(task, weight_l1=100.0)  # type: ignore[arg-type]
    fitting = replace(
        chosen.fit, steps=steps_of(contender, scale), monitor=None, checkpoint_every=10**6, precision="fp32"
    )
    return task, fitting


@lru_cache(maxsize=2)
def pool(scale: str, seed: int) -> PairedDataset:
    """All training pairs of a seed; smaller sets are its beginnings."""
    size = SETTINGS[scale].size
    return make_pairs(
        "procedural", count=max(PAIRS), size=size, seed=seed, difficulty=DIFFICULTY, progress=False
    )


@lru_cache(maxsize=2)
def held_out(scale: str, seed: int) -> PairedDataset:
    """All test pairs of a seed; a contender is judged on the first ones, see `pairs_of`."""
    setting = SETTINGS[scale]
    return make_pairs(
        "procedural", split="test", count=2 * setting.test_pairs, size=setting.size, seed=seed,
        difficulty=DIFFICULTY, progress=False,
    )  # fmt: skip


def train(contender: Contender, seed: int, scale: str) -> Trained:
    """Train a contender with one seed, or load it if this machine has done so before."""
    task, fitting = configured(contender, scale)
    batch = SETTINGS[scale].batch_size

    def make() -> Any:
        if isinstance(task, ConditionalDiffusionConfig):
            return ConditionalDiffusionTask(task, seed)
        return Pix2PixTask(task, seed)

    def batches() -> BatchSource:
        known = pool(scale, seed).subset(range(contender.pairs))
        return BatchSource(known, contender.direction, batch, seed)

    return trained(
        make,
        replace(fitting, seed=seed),
        batches,
        name="choice",
        key={"contender": contender, "task": task, "seed": seed, "batch": batch},
        data={"pool": max(PAIRS), "size": SETTINGS[scale].size, "difficulty": DIFFICULTY},
        shown=lambda history: {"loss": history.records[-1].get("loss", float("nan"))},
    )
