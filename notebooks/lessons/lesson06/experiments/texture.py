"""Lesson 06: the repairs in layout -> SEM, where D has something to add.

The arms and the terms of their training are in `texture_arms.py`. A factor's two levels are means over all
sixteen arms of the factorial, seed by seed (geometric ones where the rule compares a ratio). Three quantities
are judged apart, because they pull against each other: texture (the error of the spectrum), correctness (the
edges that are read back) and diversity (how far two draws of one layout differ).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrans.data import PairedDataset
from gantrans.images import network_from_uint8, unit_from_uint8
from gantrans.metrics import epe, psnr
from gantrans.networks import PatchGAN
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.training import History
from gantrans.translation.predictor import translate
from lessons.lesson05.experiments.patches import PIXEL_NM, spectrum_distance
from lessons.lesson06.experiments.factorial import ALL, BASELINE, arm_in, arm_name, level_means
from lessons.lesson06.experiments.stabilization import LOGGED, growth, second_half
from lessons.lesson06.experiments.texture_arms import (
    BESIDE,
    FACTORIAL,
    PACE,
    REAL,
    SETTINGS,
    WEIGHT_L1,
    WIDE_G,
    Trained,
    draws,
    pairs,
    task_config,
    test_set,
    train_arm,
    train_reader,
)

TEXTURE, FEW = "texture", "few pairs"
"""Settings: all pairs, and a handful on which D can learn by heart."""
PAIR = arm_name(("least squares", "spectral norm"))
FEW_ARMS = (BASELINE, "smoothing")
SEEDS = {"smoke": range(2), "reduced": range(12), "full": range(12)}


def late_swing(history: History) -> float:
    """Standard deviation of the validation PSNR over the last tenth of training, in dB."""
    steps, values = history.series("val_psnr")
    return float(np.std([v for step, v in zip(steps, values, strict=True) if step > 0.9 * steps[-1]]))


def judge(made: Tensor, second: Tensor, seed: int, scale: str) -> dict[str, float]:
    """Texture, correctness and diversity of images (N, 1, S, S) in [0, 1] of the test layouts.

    Args:
        second: another draw of the same layouts.

    Returns:
        spectrum: mean |difference| of the radial spectra, and fine: signed, upper half of the band (dB).
        EPE (nm): of the geometry that the reader sees in the image against the drawn one; unread: share of
        images in which it sees no edge. diversity: standard deviation of a pixel between draws, in [0, 1].
        PSNR (dB): against the real image of the same layout.
    """
    test = test_set(scale, seed)
    real, layout = unit_from_uint8(test.sem), unit_from_uint8(test.layout)
    spectrum, fine = spectrum_distance(made, real)
    edges = epe(translate(train_reader(seed, scale), made, batch_size=32), layout, PIXEL_NM)
    return {
        "spectrum": spectrum,
        "fine": fine,
        "EPE": float(edges.mean.nanmean()) if edges.mean.isfinite().any() else float("nan"),
        "unread": float(edges.undefined.double().mean()),
        "diversity": float((made - second).square().mean().div(2).sqrt()),
        "PSNR": float(psnr(made, real, data_range=1.0).mean()),
    }


@torch.inference_mode()
def realness(discriminator: PatchGAN, dataset: PairedDataset) -> Tensor:
    """Mean logit that D gives each real pair (layout, image), (N,)."""
    layout, sem = (network_from_uint8(part) for part in (dataset.layout, dataset.sem))
    return torch.cat(
        [
            discriminator(*pair).logits.flatten(1).mean(1)
            for pair in zip(layout.split(16), sem.split(16), strict=True)
        ]
    )


def told_apart(seen: Tensor, unseen: Tensor) -> float:
    """Share of (seen, unseen) pairs in which the seen one scores higher (ties half): 0.5 is no memory."""
    difference = seen[:, None] - unseen[None, :]
    return float((difference > 0).double().mean() + (difference == 0).double().mean() / 2)


def score(run: Trained, arm: str, seed: int, scale: str) -> dict[str, float]:
    """What the lesson shows of an arm of the factorial or beside it, by name."""
    layout = test_set(scale, seed).layout
    numbers = judge(draws(run.generator, layout, 0), draws(run.generator, layout, 1), seed, scale)
    numbers["late swing"] = late_swing(run.history)
    task = task_config(arm, scale)
    if task.discriminator is None:
        return numbers
    numbers |= {name: second_half(run.history, logged) for name, logged in LOGGED.items()}
    return numbers | growth(run, PatchGAN(task.discriminator, 2 * seed + 1))


def run_seed(arms: Sequence[str], seed: int, scale: str) -> Row:
    """Train arms with one seed and score them; `REAL` is not trained."""
    row: dict[str, dict[str, float]] = {}
    for arm in arms:
        if arm == REAL:
            test = test_set(scale, seed)
            numbers = judge(unit_from_uint8(test.another), unit_from_uint8(test.sem), seed, scale)
        else:
            numbers = score(train_arm(arm, seed, scale), arm, seed, scale)
        row[arm_in(TEXTURE, arm)] = numbers
    return row


def run_few(seed: int, scale: str) -> Row:
    """Train on a handful of pairs; whether D tells them from real pairs that it never saw."""
    row: dict[str, dict[str, float]] = {}
    for arm in FEW_ARMS:
        run = train_arm(arm, seed, scale, few=True)
        assert run.discriminator is not None
        seen, unseen = (realness(run.discriminator, pairs(split, scale, seed)) for split in ("few", "val"))
        numbers = {"told apart": told_apart(seen, unseen)}
        numbers |= {name: second_half(run.history, logged) for name, logged in LOGGED.items()}
        row[arm_in(FEW, arm)] = numbers
    return row


def run_beside(seed: int, scale: str) -> Row:
    """The arms beside the factorial, and those on few pairs."""
    return {**run_seed(BESIDE, seed, scale), **run_few(seed, scale)}


# ---- the sweep and its claims


def _levels(table: Table, factor: str, quantity: str, names: tuple[str, str]) -> dict[str, list[float]]:
    """The levels of a factor as the arms of a rule: per seed, geometric means over the eight arms of each."""
    levels = level_means(table.rows, TEXTURE, factor, quantity, geometric=True)
    return dict(zip(names, levels, strict=True))


def _arms(table: Table, quantity: str, setting: str = TEXTURE, **named: str) -> dict[str, list[float]]:
    """Single arms under the names that a rule gives them."""
    rows = [arm_in(setting, arm) for arm in named.values()]
    values = table.values(quantity, *rows)
    return {name: values[row] for name, row in zip(named, rows, strict=True)}


def _means(table: Table, *quantities: str) -> dict[str, float]:
    """For the text: means of every arm on some quantities."""
    return {
        f"{arm}: {quantity}": value
        for arm, row in table.means().items()
        for quantity, value in row.items()
        if quantity in quantities and np.isfinite(value)
    }


JUDGED = ("spectrum", "EPE", "diversity", "PSNR")


def least_squares(table: Table) -> dict[str, Any]:
    """G46: the factor's main effects, and it alone against spectral norm alone."""
    names = ("least squares", "BCE")
    alone = {"least squares only": "least squares", "spectral norm only": "spectral norm"}
    data = {
        "edges": _levels(table, "least squares", "EPE", names),
        "texture": _levels(table, "least squares", "spectrum", names),
        "against spectral norm": _arms(table, "EPE", **alone),
    }
    return {"data": data, "numbers": _means(table, *JUDGED)}


def smoothing(table: Table) -> dict[str, Any]:
    """G47: the adversarial gradient with labels of 0.9 and of 1, over all other factors."""
    data = _levels(table, "smoothing", "gradient", ("smoothing 0.9", "no smoothing"))
    return {"data": data, "numbers": _means(table, "gradient", "gradient ratio", "D(real)", "D accuracy")}


def decay(table: Table) -> dict[str, Any]:
    """G60: how much the validation PSNR still swings at the end, over all other factors."""
    data = _levels(table, "decay", "late swing", ("linear decay", "constant"))
    return {"data": data, "numbers": _means(table, "late swing")}


def growth_and_memory(table: Table) -> dict[str, Any]:
    """G61: growth of D's stored weights, and whether D tells its few pairs from others.

    The weights that act are divided by their largest singular value, so that with spectral norm their growth
    is 1 by construction; the stored ones are free.
    """
    memory = {"smoothing 0.9": "smoothing", "no smoothing": BASELINE}
    data = {
        "weight growth": _levels(table, "spectral norm", "raw growth", ("spectral norm", "none")),
        "memory of D": _arms(table, "told apart", FEW, **memory),
    }
    return {"data": data, "numbers": _means(table, "growth", "raw growth", "largest growth", "told apart")}


def all_and_none(table: Table) -> dict[str, Any]:
    """G44: all four against the baseline, on each of the three quantities."""
    named = {"all four": ALL, "baseline": BASELINE}
    data = {
        "edges": _arms(table, "EPE", **named),
        "texture": _arms(table, "spectrum", **named),
        "diversity": _arms(table, "diversity", **named),
    }
    return {"data": data, "numbers": _means(table, *JUDGED, "D accuracy", "gradient ratio")}


def stability_or_capacity(table: Table) -> dict[str, Any]:
    """G45: the pair of least squares and spectral norm against a baseline whose G is twice as wide."""
    named = {"pair of repairs": PAIR, "G twice as wide": WIDE_G}
    data = {"edges": _arms(table, "EPE", **named), "texture": _arms(table, "spectrum", **named)}
    return {"data": data, "numbers": _means(table, *JUDGED)}


DECIDES = {
    "G44": all_and_none,
    "G45": stability_or_capacity,
    "G46": least_squares,
    "G47": smoothing,
    "G60": decay,
    "G61": growth_and_memory,
}
"""What the table decides."""

SWEEP = Sweep(
    "texture",
    {"factorial": partial(run_seed, (*FACTORIAL, REAL)), "beside": run_beside},
    SEEDS,
    lambda scale: [
        SETTINGS[scale],
        WEIGHT_L1,
        PACE,
        [task_config(arm, scale) for arm in (*FACTORIAL, *BESIDE)],
    ],
    DECIDES,
)
