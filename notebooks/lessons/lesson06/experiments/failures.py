"""Lesson 06, claim G33: do the diagnoses name what was provoked?

SEM -> layout at 32 px, one pix2pix task per run, and four ways to set it up: one that works and three that
provoke a failure each. Dominance: a wide cross-entropy D without restraint against a G at a tenth of its
pace. Collapse: no L1 loss and a G far faster than its D, so that one image that fools D serves for every
input. Oscillation: both players with so much momentum (beta1 = 0.97) that each overshoots the other. The
provocations and the thresholds were chosen on seeds from 100 on; the runs that are judged have other seeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from gantrans.data import BatchSource, PairedDataset, make_pairs
from gantrans.networks import PatchGANConfig, UNetConfig
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.training import FitConfig, History
from gantrans.translation.diagnostics import (
    COLLAPSE,
    DIAGNOSES,
    DOMINANCE,
    HEALTHY,
    OSCILLATION,
    Thresholds,
    diagnose,
    judge,
)
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from lessons.shared.trained import trained

RECORDS = 40
CALLED = "diagnosed "
"""Begins the quantities that say which name a run got."""


@dataclass(frozen=True)
class Size:
    """Sizes at one scale."""

    size: int
    n_down: int
    filters: int
    pairs: int
    batch_size: int
    steps: int


SETTINGS: Mapping[str, Size] = {
    "smoke": Size(32, 2, 4, 24, 4, 80),
    "reduced": Size(32, 3, 8, 128, 8, 320),
    "full": Size(64, 4, 16, 512, 8, 1200),
}
SEEDS: Mapping[str, range] = {"smoke": range(2), "reduced": range(24), "full": range(64)}


def task_config(provoked: str, size: Size) -> Pix2PixConfig:
    """The task that provokes a failure, or none."""
    generator = UNetConfig(base_filters=size.filters, n_down=size.n_down, dropout=0.0)

    def task(loss: str, filters: int, *, spectral_norm: bool, **settings: Any) -> Pix2PixConfig:
        critic = PatchGANConfig(base_filters=filters, n_layers=2, spectral_norm=spectral_norm)
        return Pix2PixConfig(generator, critic, adversarial=loss, **settings)

    few, many = size.filters, 2 * size.filters
    if provoked == HEALTHY:
        return task(
            "lsgan", few, spectral_norm=True, real_label=0.9, lr_generator=1e-3, lr_discriminator=5e-4
        )
    if provoked == DOMINANCE:
        return task("non_saturating", many, spectral_norm=False, lr_generator=5e-5, lr_discriminator=5e-4)
    if provoked == COLLAPSE:
        return task(
            "non_saturating", few, spectral_norm=False, weight_l1=0.0, lr_generator=5e-3,
            lr_discriminator=2e-4,
        )  # fmt: skip
    return task(
        "non_saturating", few, spectral_norm=True, weight_l1=0.5, betas=(0.97, 0.999), lr_generator=5e-3,
        lr_discriminator=3e-3,
    )  # fmt: skip


PROVOKED = (HEALTHY, DOMINANCE, COLLAPSE, OSCILLATION)


@lru_cache(maxsize=4)
def pairs(scale: str, seed: int) -> PairedDataset:
    """The training pairs of a seed."""
    size = SETTINGS[scale]
    return make_pairs("procedural", count=size.pairs, size=size.size, seed=seed, progress=False)


def train(provoked: str, seed: int, scale: str) -> History:
    """The log of one run, trained or loaded."""
    size = SETTINGS[scale]
    task = task_config(provoked, size)
    every = size.steps // RECORDS
    return trained(
        lambda: Pix2PixTask(task, seed),
        FitConfig(
            size.steps,
            seed=seed,
            precision="fp32",
            channels_last=True,
            log_every=every,
            checkpoint_every=10**6,
        ),
        lambda: BatchSource(pairs(scale, seed), "sem2layout", size.batch_size, seed),
        name="failures",
        key={"task": task, "seed": seed, "size": size},
        shown=lambda history: {},
    ).history


def run_seed(provoked: str, seed: int, scale: str) -> Row:
    """One run and its diagnosis: {provoked: {"diagnosed as ...": 0 or 1, and the numbers behind it}}."""
    diagnosis = diagnose(train(provoked, seed, scale))
    named = {f"{CALLED}{name}": float(name == diagnosis.name) for name in DIAGNOSES}
    return {provoked: {**named, **diagnosis.numbers}}


def called(row: Mapping[str, float], thresholds: Thresholds | None = None) -> str:
    """The name in a row of the table; with thresholds, the one that the row's numbers get under them."""
    numbers = numbers_of(row)
    if thresholds is not None and "swing" in numbers:
        return judge(numbers, thresholds).name
    return max(DIAGNOSES, key=lambda name: row.get(f"{CALLED}{name}", 0.0))


def numbers_of(row: Mapping[str, float]) -> dict[str, float]:
    """What the diagnosis looked at in a row of the table."""
    return {name: value for name, value in row.items() if not name.startswith(CALLED)}


def confusion(table: Table, thresholds: Thresholds | None = None) -> dict[str, dict[str, int]]:
    """How many runs of each kind got each diagnosis: {provoked: {diagnosis: runs}}; see `called`."""
    names = {kind: [called(row[kind], thresholds) for row in table.rows.values()] for kind in PROVOKED}
    return {kind: {name: found.count(name) for name in DIAGNOSES} for kind, found in names.items()}


def missed(table: Table, provoked: str, thresholds: Thresholds | None = None) -> dict[str, dict[str, float]]:
    """What the diagnosis saw in the runs of a kind that got another name: {"seed 3": {number: value}}."""
    return {
        f"seed {seed}": numbers_of(row[provoked])
        for seed, row in table.rows.items()
        if called(row[provoked], thresholds) != provoked
    }


def recognised(table: Table) -> Mapping[str, Any]:
    """G33: of each kind, (runs diagnosed as provoked, runs)."""
    counts = confusion(table)
    data = {provoked: (row[provoked], len(table.seeds)) for provoked, row in counts.items()}
    wrong = {
        f"{provoked} called {name}": float(count)
        for provoked, row in counts.items()
        for name, count in row.items()
        if count and name != provoked
    }
    return {"data": data, "numbers": {**_means(table), **wrong}}


def _means(table: Table) -> dict[str, float]:
    """{"kind: number": mean over the runs that have it}; a run that was not finite has no accuracy."""
    seen: dict[str, list[float]] = {}
    for row in table.rows.values():
        for kind in PROVOKED:
            for name, value in numbers_of(row[kind]).items():
                seen.setdefault(f"{kind}: {name}", []).append(value)
    return {name: sum(values) / len(values) for name, values in seen.items()}


SWEEP = Sweep(
    "failures",
    {provoked: partial(run_seed, provoked) for provoked in PROVOKED},
    SEEDS,
    lambda scale: [task_config(provoked, SETTINGS[scale]) for provoked in PROVOKED],
    {},  # claim G33 is judged by `failures_fresh`
)
