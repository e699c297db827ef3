"""Lesson 08, claim G55: a naive start of gamma in a GAN; `attention_training` has the one with L1 alone.

The setting is the hostile baseline of lesson 06, in which D can win: L1 weight 1, BCE, a discriminator that
learns five times as fast and nothing that stabilises. Only the first eighth of its training is run, because
the saying is about early training and the rate is constant. Source: Zhang et al. 2019 (SAGAN).
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from gantrans.data import BatchSource
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.training import FitConfig, fit
from gantrans.translation import Pix2PixConfig, Pix2PixTask
from lessons.lesson08.experiments.attention_training import (
    PLACES,
    POINTS,
    SETTINGS,
    adversarial_config,
    generator_config,
    place_of,
    training_pairs,
)

SEEDS: Mapping[str, int | tuple[int, ...]] = {"smoke": 2, "reduced": tuple(range(6, 46)), "full": 6}
"""At reduced other seeds than those of `attention_training` and of the pilot (100 to 103)."""


def task_config(scale: str, name: str, gamma: float) -> Pix2PixConfig:
    """The hostile baseline with one attention, at a key of `PLACES`, whose gamma starts there."""
    places = (place_of(PLACES[name], scale),)
    hostile = adversarial_config(scale, places, weight_fm=0.0, stabilised=False, hostile=True)
    return replace(hostile, generator=generator_config(scale, places, gamma))


def early(task: Pix2PixConfig, seed: int, scale: str) -> dict[str, float]:
    """Means over the fortieth of the training that follows its first tenth: L1, gradient ratio, accuracy."""
    s = SETTINGS[scale]
    every = max(1, s.steps // POINTS)
    steps = (POINTS // 10 + 1) * every
    fitting = FitConfig(steps, seed=seed, channels_last=True, lr_schedule="constant", log_every=every)
    batches = BatchSource(training_pairs(scale, seed), "sem2layout", s.batch_size, seed)
    records = fit(Pix2PixTask(task, seed), batches, fitting, progress=False).history.records
    last = records[-1]
    return {
        "early loss": last["loss_l1"],
        "gradient ratio": last["gradient_ratio"],
        "D accuracy": last["d_accuracy"],
    }


def start(seed: int, scale: str, name: str) -> Row:
    """Gamma from 0 and from 1 at one place."""
    return {
        f"{name}, gamma {gamma:.0f}": early(task_config(scale, name, gamma), seed, scale)
        for gamma in (0.0, 1.0)
    }


def gamma_from_one(table: Table) -> Mapping[str, Any]:
    """What the rule of G55 asks for."""
    data = {}
    for name in PLACES:
        arms = {f"gamma {g}": f"{name}, gamma {g}" for g in (1, 0)}
        values = table.values("early loss", *arms.values())
        data[name] = {gamma: values[arm] for gamma, arm in arms.items()}
    numbers = {f"{arm}: {q}": v for arm, row in table.means().items() for q, v in row.items()}
    return {"data": data, "numbers": numbers}


SWEEP = Sweep(
    "attention_start",
    {name: partial(start, name=name) for name in PLACES},
    SEEDS,
    lambda scale: [SETTINGS[scale], [task_config(scale, name, g) for name in PLACES for g in (0.0, 1.0)]],
    {"G55": gamma_from_one},
)
