"""Lesson 06, claims G06, G07, G09, G34: the 2^4 factorial of what is said to hold a GAN up.

Which arms there are, and under what terms they are trained, is in `stabilization_arms.py`. The rules speak of
"the setting in which D can win": that is the hostile one, L1 weight 1 and a D five times faster. A factor's
two levels are means over all arms of the factorial, seed by seed (geometric ones where the rule compares a
ratio), so that a verdict does not hang on what the other factors happened to be.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from gantrans.data import PairedDataset
from gantrans.images import network_from_uint8, unit_from_uint8
from gantrans.metrics import epe, iou, l1
from gantrans.networks import PatchGAN
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from gantrans.training import History
from gantrans.translation.losses import AdversarialLoss
from gantrans.translation.predictor import translate
from lessons.lesson06.experiments.factorial import (
    FACTORS,
    Effect,
    Rows,
    arm_in,
    level_means,
    main_effect,
)
from lessons.lesson06.experiments.spectral import layer_norms
from lessons.lesson06.experiments.stabilization_arms import (
    ARMS,
    FEW,
    FULL,
    HOSTILE,
    MEMORY_ARMS,
    MEMORY_FACTORS,
    SEEDS,
    TERMS,
    USUAL,
    Trained,
    direction,
    pairs,
    task_config,
    train_arm,
)

PIXEL_NM = 20.0
LOGGED = {
    "D accuracy": "d_accuracy",
    "D(real)": "d_real",
    "D(fake)": "d_fake",
    "gradient": "gradient_gan",
    "gradient ratio": "gradient_ratio",
    "spread": "spread",
}
"""Means over the second half of training: our name and that of the log."""


def second_half(history: History, name: str) -> float:
    """Mean of a logged quantity over the second half of training; NaN where it was not logged."""
    steps, values = history.series(name)
    late = [value for step, value in zip(steps, values, strict=True) if step > steps[-1] / 2]
    return float(np.mean(late)) if late else float("nan")


def late_swing(history: History) -> float:
    """Standard deviation of the validation IoU over the last tenth of training."""
    steps, values = history.series("val_iou")
    return float(np.std([v for step, v in zip(steps, values, strict=True) if step > 0.9 * steps[-1]]))


@torch.inference_mode()
def d_accuracy(trained: Trained, dataset: PairedDataset, setting: str, loss: AdversarialLoss) -> float:
    """Share of D's logits on the right side: half for real pairs, half for G's answers to their inputs."""
    assert trained.discriminator is not None
    inputs, targets = (network_from_uint8(part) for part in dataset.roles(direction(setting)))
    generator, noise = trained.generator, torch.Generator().manual_seed(0)
    right = []
    for condition, real in zip(inputs.split(16), targets.split(16), strict=True):
        fake = generator(condition, noise=noise)
        logits = [trained.discriminator(condition, image).logits for image in (real, fake)]
        right.append((logits[0] > loss.boundary).flatten(1).float().mean(1))
        right.append((logits[1] < loss.boundary).flatten(1).float().mean(1))
    return float(torch.cat(right).mean())


def growth(trained: Trained, initial: PatchGAN) -> dict[str, float]:
    """Largest singular value of D's layers, end over start: geometric mean over layers and the largest.

    "raw": of the stored weights, which spectral norm divides by their largest singular value before use.
    """
    assert trained.discriminator is not None
    numbers: dict[str, float] = {}
    for name, raw in (("growth", False), ("raw growth", True)):
        end, start = (layer_norms(d, raw=raw) for d in (trained.discriminator, initial))
        ratio = np.array(end) / np.array(start)
        numbers |= {name: float(np.exp(np.log(ratio).mean())), f"largest {name}": float(ratio.max())}
    return numbers


def score(trained: Trained, setting: str, arm: str, seed: int, scale: str) -> dict[str, float]:
    """What the lesson shows of an arm, by name."""
    task, test = task_config(setting, arm, scale), pairs("test", setting, scale, seed)
    numbers: dict[str, float] = {}
    if TERMS[setting].few:
        made = translate(trained.generator, unit_from_uint8(test.layout))
        numbers["L1"] = float(l1(made, unit_from_uint8(test.sem)).mean())
    else:
        made, layout = translate(trained.generator, unit_from_uint8(test.sem)), unit_from_uint8(test.layout)
        edges = epe(made, layout, PIXEL_NM).mean
        numbers["IoU"] = float(iou(made, layout).mean())
        numbers["EPE"] = float(edges.nanmean()) if edges.isfinite().any() else float("nan")
        numbers["no edge"] = float(edges.isnan().float().mean())
        numbers["late swing"] = late_swing(trained.history)
        numbers["filled"] = float(made.mean())
    if task.discriminator is None:
        return numbers
    for name, logged in LOGGED.items():
        numbers[name] = second_half(trained.history, logged)
    loss = AdversarialLoss(task.adversarial, task.real_label)
    train = pairs("train", setting, scale, seed)
    numbers["D accuracy, training"] = d_accuracy(
        trained, train.subset(range(min(len(train), len(test)))), setting, loss
    )
    numbers["D accuracy, held-out"] = d_accuracy(trained, test, setting, loss)
    return numbers | growth(trained, PatchGAN(task.discriminator, 2 * seed + 1))


def run_seed(setting: str, arms: Sequence[str], seed: int, scale: str) -> dict[str, dict[str, float]]:
    """Train the arms of a setting with one seed and score them: {"setting: arm": {quantity: value}}."""
    return {
        arm_in(setting, arm): score(train_arm(setting, arm, seed, scale), setting, arm, seed, scale)
        for arm in arms
    }


# ---- the sweep and its claims


def effects(rows: Rows, setting: str, quantity: str) -> dict[str, Effect]:
    """The main effect of every factor of a setting on a quantity, 99 % intervals."""
    factors = MEMORY_FACTORS if TERMS[setting].few else FACTORS
    return {factor: main_effect(rows, setting, factor, quantity, factors=factors) for factor in factors}


def _levels(
    table: Table, setting: str, factor: str, quantity: str, names: tuple[str, str], *, geometric: bool = False
) -> dict[str, list[float]]:
    """A factor's two levels as the arms of a rule: per seed, means over the arms of the factorial."""
    factors = MEMORY_FACTORS if TERMS[setting].few else FACTORS
    levels = level_means(table.rows, setting, factor, quantity, factors, geometric=geometric)
    return dict(zip(names, levels, strict=True))


def _arms(table: Table, setting: str, quantity: str, **named: str) -> dict[str, list[float]]:
    """Single arms under the names that a rule gives them."""
    return {
        name: table.values(quantity, arm_in(setting, arm))[arm_in(setting, arm)]
        for name, arm in named.items()
    }


def _numbers(table: Table, *quantities: str) -> dict[str, float]:
    """For the text: means of every arm, and the main effects with their intervals, of some quantities."""
    numbers = {
        f"{arm}: {quantity}": value
        for arm, row in table.means().items()
        for quantity, value in row.items()
        if quantity in quantities and np.isfinite(value)
    }
    for setting in FULL if len(table.seeds) > 1 else ():
        for quantity in quantities:
            for factor, effect in effects(table.rows, setting, quantity).items():
                name = f"{setting}, effect of {factor} on {quantity}"
                numbers |= {name: effect.measured, f"{name}, low": effect.low, f"{name}, high": effect.high}
    return numbers


def least_squares(table: Table) -> dict[str, Any]:
    """G06, where D can win: the factor's main effect, and it alone against spectral norm alone."""
    alone = {"least squares only": "least squares", "spectral norm only": "spectral norm"}
    data = {
        "main effect": _levels(table, HOSTILE, "least squares", "IoU", ("least squares", "BCE")),
        "against spectral norm": _arms(table, HOSTILE, "IoU", **alone),
    }
    return {"data": data, "numbers": _numbers(table, "IoU")}


SETTINGS_BY_PART = {"L1 weight 100": USUAL, "L1 weight 1, D five times faster": HOSTILE}
"""Parts of the rule of G07: the setting that decides each."""


def smoothing(table: Table) -> dict[str, Any]:
    """G07, in both settings: the adversarial gradient with labels of 0.9 and of 1, over all other factors."""
    names = ("smoothing 0.9", "no smoothing")
    data = {
        part: _levels(table, setting, "smoothing", "gradient", names, geometric=True)
        for part, setting in SETTINGS_BY_PART.items()
    }
    return {"data": data, "numbers": _numbers(table, "gradient", "gradient ratio", "D(real)", "D accuracy")}


def decay(table: Table) -> dict[str, Any]:
    """G09, in the usual setting: how much the IoU still swings at the end, over all other factors."""
    data = _levels(table, USUAL, "decay", "late swing", ("linear decay", "constant"), geometric=True)
    return {"data": data, "numbers": _numbers(table, "late swing")}


def growth_and_gap(table: Table) -> dict[str, Any]:
    """G34: growth of a fast D's stored weights, and D's gap between its twelve pairs and others.

    The weights that act are divided by their largest singular value, so that with spectral norm their growth
    is 1 by construction; the stored ones are free.
    """
    gaps = {
        seed: {
            arm: {"gap": numbers["D accuracy, training"] - numbers["D accuracy, held-out"]}
            for arm, numbers in row.items()
            if "D accuracy, training" in numbers
        }
        for seed, row in table.rows.items()
    }
    with_gaps = Table(table.about, gaps)
    data = {
        "weight growth": _levels(
            table, HOSTILE, "spectral norm", "raw growth", ("spectral norm", "none"), geometric=True
        ),
        "gap of D": _levels(with_gaps, FEW, "smoothing", "gap", ("smoothing 0.9", "no smoothing")),
    }
    numbers = {f"{arm}: gap": row["gap"] for arm, row in with_gaps.means().items()}
    return {"data": data, "numbers": numbers | _numbers(table, "growth", "raw growth", "largest growth")}


SWEEP = Sweep(
    "stabilization",
    {setting: partial(run_seed, setting, MEMORY_ARMS if TERMS[setting].few else ARMS) for setting in TERMS},
    SEEDS,
    lambda scale: (
        [task_config(setting, arm, scale) for setting in FULL for arm in ARMS]
        + [task_config(FEW, arm, scale) for arm in MEMORY_ARMS]
    ),
    {"G06": least_squares, "G07": smoothing, "G09": decay, "G34": growth_and_gap},
)
