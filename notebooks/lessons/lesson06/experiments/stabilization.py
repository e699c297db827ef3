"""Lesson 06: the 2^4 factorial of what is said to hold a GAN up, in SEM -> layout.

Which arms there are, and under what terms they are trained, is in `stabilization_arms.py`. The rules speak of
"the setting in which D can win": that is the hostile one, L1 weight 1 and a D five times faster. A factor's
two levels are means over all arms of the factorial, seed by seed (geometric ones where the rule compares a
ratio), so that a verdict does not hang on what the other factors happened to be.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from gantrans.data import PairedDataset
from gantrans.images import network_from_uint8, unit_from_uint8
from gantrans.metrics import epe, iou, l1
from gantrans.networks import PatchGAN
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.training import History
from gantrans.translation.losses import AdversarialLoss
from gantrans.translation.predictor import translate
from lessons.lesson06.experiments.factorial import (
    FACTORS,
    Effect,
    Rows,
    arm_in,
    main_effect,
)
from lessons.lesson06.experiments.spectral import layer_norms
from lessons.lesson06.experiments.stabilization_arms import (
    ARMS,
    FEW,
    FULL,
    MEMORY_ARMS,
    MEMORY_FACTORS,
    SEEDS,
    TERMS,
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


SWEEP = Sweep(
    "stabilization",
    {setting: partial(run_seed, setting, MEMORY_ARMS if TERMS[setting].few else ARMS) for setting in TERMS},
    SEEDS,
    lambda scale: (
        [task_config(setting, arm, scale) for setting in FULL for arm in ARMS]
        + [task_config(FEW, arm, scale) for arm in MEMORY_ARMS]
    ),
    {},
)
