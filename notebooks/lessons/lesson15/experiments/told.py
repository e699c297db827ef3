"""Lesson 15, claim D13: clips in four evaluations of a network that learns only these and is told the rule.

Data, network, steps and judges are those of `few_steps`, so the training takes as long as there. The network
is asked at its four levels, at fewer and more along them, and with the 50 steps of DDPM. Its variety is held
to that of the diffusion models in the table of `few_steps`, in 50 steps. The seeds are fresh: the levels and
the weight of the rule were chosen on seeds 0 and 100.
"""

import time
from collections.abc import Mapping
from itertools import cycle
from typing import Any

from gantrans.diffusion import ClipGenerator, SamplerConfig, few_recipe
from gantrans.networks import Denoiser
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson15.experiments.few_steps import BEST, SETTINGS, families, score
from lessons.shared.denoising import train_denoiser

FEW = (1, 2, 4, 10)
SEEDS: Mapping[str, int | range] = {"smoke": 2, "reduced": range(20, 26), "full": 12}


def run_told(seed: int, scale: str) -> dict[str, dict[str, float]]:
    """{"told" and evaluations, and DDPM with 50: the panel}; drawn as `clips sample` does."""
    setting = SETTINGS[scale]
    recipe = few_recipe(setting.recipe)
    began = time.process_time()
    trained = train_denoiser(
        recipe.task,
        setting.fitting(seed, setting.steps),
        setting.batches(seed),
        seed=seed,
        name="told",
        data={"clips": recipe.count, "size": setting.size},
    )
    seconds = time.process_time() - began
    assert isinstance(trained.network, Denoiser)
    generator = ClipGenerator(recipe, trained.network)
    row = {
        f"told {count}": score(generator.draw(setting.samples, steps=count, seed=10_000 + seed), scale)
        for count in FEW
    }
    shape = (setting.samples, 1, setting.size, setting.size)
    walked = trained.draw(shape, SamplerConfig("ddpm", 50), seed, label=families(scale))
    row[BEST] = score(walked, scale)
    return {arm: {**found, "training seconds": seconds} for arm, found in row.items()}


def goals(table: Table) -> dict[str, Any]:
    """The data of D13: valid clips at four evaluations, their coverage against 50 steps, and copies.

    The trainings of the two tables have no seed in common, so the differences are of unpaired ones.
    """

    def values(quantity: str, arm: str) -> list[float]:
        return table.values(quantity, arm)[arm]

    usual = cycle(committed("few_steps").values("coverage", BEST)[BEST])
    data = {
        "valid": values("valid", "told 4"),
        "coverage": [four - next(usual) for four in values("coverage", "told 4")],
        "copies": values("copies", "told 4"),
    }
    numbers = {f"{arm}: {q}": value for arm, row in table.means().items() for q, value in row.items()}
    return {"data": data, "numbers": numbers}


SWEEP = Sweep(
    "told",
    run_told,
    SEEDS,
    lambda scale: [SETTINGS[scale], few_recipe(SETTINGS[scale].recipe)],
    {"D13": goals},
)
