"""Lesson 03: the weights themselves against their moving average, at a constant and at a falling rate.

Digits, epsilon, the network of the schedules' race (lesson 01). One training gives both sets of weights, so
that each pair differs in nothing but the averaging.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gantrans.diffusion import DiffusionTask, build_denoiser, random_batches
from gantrans.teaching.runs import train_or_load
from gantrans.training import FitConfig, fit, load_networks
from lessons.lesson01.experiments.schedules import SAMPLERS, SETTINGS, task_config
from lessons.shared.denoising import Trained, digits, digits_distance, fitting

RATES: Mapping[str, str] = {"falling rate": "cosine", "constant rate": "constant"}
"""Name -> the schedule of the learning rate."""
WEIGHTS: Mapping[str, bool] = {"weights": False, "average": True}
"""Name -> whether the moving average is loaded."""


def optimisation(rate: str, seed: int, scale: str) -> FitConfig:
    """How it is trained; the average is the usual one, decay .99 with its warm-up."""
    usual = fitting(SETTINGS[scale].steps, seed)
    if RATES[rate] == "cosine":
        return usual
    return replace(usual, lr_schedule=RATES[rate], lr_params={})


def train_both(rate: str, seed: int, scale: str) -> dict[str, Trained]:
    """Train at one of `RATES`, or load: {"weights": the last ones, "average": their moving average}."""
    setting = SETTINGS[scale]
    config, fit_config = task_config("cosine", setting), optimisation(rate, seed, scale)
    batches = random_batches(digits("train"), setting.batch, seed)

    def train(folder: Path) -> dict[str, float]:
        result = fit(DiffusionTask(config, seed), batches, fit_config, out=folder)
        return {"steps": result.step, "loss": result.history.records[-1]["loss"]}

    def load(folder: Path) -> dict[str, Trained]:
        both = {}
        for name, average in WEIGHTS.items():
            network = build_denoiser(config.network)
            load_networks(folder, {"denoiser": network}, ema=average)
            both[name] = Trained(network.eval(), config)
        return both

    about = {"source": "digits", "batch": setting.batch}
    return train_or_load([config, fit_config, {"seed": seed}], train, load, name="averaging", data=about)


def compare(trained: Mapping[str, Trained], scale: str, seed: int = 0) -> dict[str, dict[str, float]]:
    """Held-out loss and the distance of DDIM's samples from real digits, for each set of weights."""
    rows = {}
    for name, one in trained.items():
        made = one.draw((SETTINGS[scale].count, 64), SAMPLERS["DDIM"], seed)
        rows[name] = {"loss": one.loss(digits("test")), "distance": digits_distance(made)}
    return rows
