"""Layout -> SEM at the size of lesson 07: realism, variety and what they cost, beside L1 alone.

64 px, 2,048 pairs, imaging conditions fixed, 1,000 steps of 4, one thread. A seed decides pairs, batches and
weights of every arm. "ours" has networks, loss and learning rates of the reduced recipe; "former recipe" is
what it was before: L1 = 10, least squares, spectral norm, equal rates. Judged as in lesson 07
(`lessons.lesson07.experiments.loss_weights.judge`): spectrum error in dB, EPE of the geometry read back in
nm, PSNR against L1 alone, and the spread between two draws as a share of that between two real images.
"""

import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from tqdm.auto import tqdm

from gantrans.data import BatchSource, make_pairs
from gantrans.images import unit_from_uint8
from gantrans.networks import PatchGANConfig
from gantrans.training import FitConfig, fit
from gantrans.translation import Pix2PixConfig, Pix2PixTask, recipe
from lessons.lesson07.experiments import loss_weights

STEPS, BATCH = 1000, 4
SEEDS = (3, 4, 5)
"""None of them chose the recipe."""
GOALS = {"spectrum [dB]": "<= .4", "spread": ">= .9", "PSNR [dB]": ">= -3"}
ALONE, REAL = "L1 alone", "another real image"


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per arm: means over seeds, with the lowest and highest spectrum error and spread."""
    scale, steps, seeds = ("smoke", 4, (3,)) if quick else ("reduced", STEPS, SEEDS)
    scores: dict[str, list[dict[str, float]]] = {}
    for seed in tqdm(seeds, desc="seeds"):
        for name, numbers in _seed(seed, scale, steps).items():
            scores.setdefault(name, []).append(numbers)
    return [_row(name, numbers) for name, numbers in scores.items()]


def arms(scale: str) -> dict[str, tuple[Pix2PixConfig, FitConfig]]:
    """Name -> task and training of each arm, in order of the table."""
    ours = recipe("layout2sem", scale)
    task = ours.task
    assert isinstance(task, Pix2PixConfig)
    critic = PatchGANConfig(base_filters=16, n_layers=2, spectral_norm=True)
    former = replace(
        task, discriminator=critic, adversarial="lsgan", weight_l1=10.0, lr_discriminator=task.lr_generator
    )
    plain = replace(ours.fit, ema_decay=None, ema_networks=None)
    return {
        ALONE: (replace(former, discriminator=None), plain),
        "former recipe": (former, plain),
        "ours": (task, ours.fit),
    }


def _seed(seed: int, scale: str, steps: int) -> dict[str, dict[str, float]]:
    setting = loss_weights.SETTINGS[scale]
    pairs = make_pairs(
        "procedural", count=setting.pairs, size=setting.size, seed=seed, imaging=loss_weights.IMAGING,
        progress=False,
    )  # fmt: skip
    batches = BatchSource(pairs, "layout2sem", BATCH, seed, augment=False)
    test, reader = loss_weights.test_set(scale, seed), loss_weights.train_reader(seed, scale)
    real, another = unit_from_uint8(test.sem), unit_from_uint8(test.another)
    rows = {REAL: loss_weights.judge(another, real, test, reader)}
    for name, (task, fitting) in arms(scale).items():
        began, model = time.process_time(), Pix2PixTask(task, seed)
        result = fit(model, batches, replace(fitting, steps=steps, seed=seed, monitor=None), progress=False)
        seconds = time.process_time() - began
        with result.ema.applied() if result.ema else nullcontext():
            made = loss_weights.Trained(model.generator, None)  # type: ignore[arg-type]
            first, second = (loss_weights.images(made, test, draw) for draw in (0, 1))
        rows[name] = {**loss_weights.judge(first, second, test, reader), "core-s": seconds}
    for row in rows.values():
        row["spread"] = row["diversity"] / rows[REAL]["diversity"]
        row["against L1 alone"] = row["PSNR"] - rows[ALONE]["PSNR"]
    return rows


def _row(name: str, seeds: Sequence[dict[str, float]]) -> dict[str, Any]:
    def values(key: str) -> list[float]:
        return [numbers.get(key, 0.0) for numbers in seeds]

    spectrum, spread = values("spectrum"), values("spread")
    return {
        "arm": name,
        "seeds": len(seeds),
        "core-s": round(statistics.mean(values("core-s")), 1),
        "spectrum [dB]": round(statistics.mean(spectrum), 3),
        "lowest, highest": f"{min(spectrum):.2f}, {max(spectrum):.2f}",
        "spread": round(statistics.mean(spread), 3),
        "least, most": f"{min(spread):.2f}, {max(spread):.2f}",
        "PSNR [dB]": round(statistics.mean(values("against L1 alone")), 2),
        "EPE [nm]": round(statistics.mean(values("EPE")), 2),
        "goal": ", ".join(f"{key} {goal}" for key, goal in GOALS.items()) if name == "ours" else "",
    }
