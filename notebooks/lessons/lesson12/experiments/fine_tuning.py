"""Lesson 12, claims G25, G27 and G37: rates and optimiser state, replay, and which pairs teach most.

One champion per seed (`process_change.py`), and from it every arm of that seed: the same weights, the same
new pairs, the same hold-outs. Arms of a setting take equally many steps, so more replay means fewer looks at
new pairs. Scores are IoU on old and on new hold-outs, and how far D's loss rose and G's adversarial one fell.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gantrans.config import from_dict, to_dict
from gantrans.data import PairedDataset
from gantrans.images import unit_from_uint8
from gantrans.metrics import iou
from gantrans.operations.promotion.finetune import SeparateValidation, losses_at
from gantrans.operations.promotion.replay import ReplayBatches
from gantrans.operations.promotion.warm_start import warm_start
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from gantrans.training import FitConfig, fit, load_checkpoint
from gantrans.translation import Pix2PixTask, Predictor, Recipe
from lessons.shared import process_change
from lessons.shared.process_change import DIRECTION, SETTINGS

RATES: Mapping[str, float] = {"full rate": 1.0, "rate / 10": 0.1, "rate / 100": 0.01}
EPOCHS = (20, 100)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SEEDS: Mapping[str, int] = {"smoke": 2, "reduced": 6, "full": 6}
BATCH = 8
BEFORE = "champion"
Row = dict[str, dict[str, float]]


def run_steps(
    champion: Path,
    new: PairedDataset,
    old: PairedDataset,
    held: Mapping[str, PairedDataset],
    marks: Sequence[int],
    *,
    share: float,
    rate: float = 0.1,
    keep_optimizer: bool = True,
    seed: int = 0,
) -> dict[int, dict[str, float]]:
    """Go on from a champion and score at the steps `marks`, the last of which ends it.

    The rate is constant, so the state at a mark is that of a shorter run. This is what `fine_tune` does
    without its limits: it exists to cross them.
    """
    contents = load_checkpoint(champion)
    recipe = from_dict(Recipe, contents["settings"]["extra"]["recipe"])
    every = max(1, marks[0] // 20)
    fitting = FitConfig(
        marks[-1], seed=seed, precision=recipe.fit.precision, channels_last=recipe.fit.channels_last,
        log_every=every, validate_every=marks[0],
    )  # fmt: skip
    task = Pix2PixTask(recipe.one_way, recipe.seed)
    warm_start(task, contents, rate=rate, keep_optimizer=keep_optimizer, channels_last=fitting.channels_last)
    batches = ReplayBatches(new, old, DIRECTION, BATCH, share, seed)
    normal = losses_at(contents, recipe, batches, fitting, None)
    result = fit(task, batches, fitting, validate=SeparateValidation(held, DIRECTION), progress=False)
    losses = [record for record in result.history.records if "loss_d" in record]
    scores = {int(r["step"]): r for r in result.history.records if "val_iou_old" in r}
    return {
        mark: {
            "old": scores[mark]["val_iou_old"],
            "new": scores[mark]["val_iou_new"],
            "D rose": max(r["loss_d"] for r in losses if r["step"] <= mark) / normal["loss_d"],
            "G fell": min(r["loss_gan_g"] for r in losses if r["step"] <= mark) / normal["loss_gan_g"],
        }
        for mark in marks
    }


def start(scale: str, seed: int) -> tuple[Path, PairedDataset, PairedDataset, dict[str, PairedDataset]]:
    """Champion, new and old training pairs, and both hold-outs of a seed."""
    new, old = (process_change.training_pairs(which, scale, seed) for which in ("new", "old"))
    held = {which: process_change.hold_out(which, scale, seed)[0] for which in ("old", "new")}
    return process_change.champion(scale, seed), new, old, held


def epochs_to_steps(scale: str, epochs: int) -> int:
    """Steps in which every new pair comes `epochs` times when nothing is replayed."""
    return epochs * -(-SETTINGS[scale].fresh // BATCH)


def marks(scale: str) -> tuple[int, int]:
    """The steps at which 20 and 100 epochs are over; a smoke run has one and two."""
    epochs = (1, 2) if scale == "smoke" else EPOCHS
    return epochs_to_steps(scale, epochs[0]), epochs_to_steps(scale, epochs[1])


def run_rates(seed: int, scale: str, rates: Sequence[str] = tuple(RATES)) -> Row:
    """Rates and lengths on new pairs alone, with Adam's state kept."""
    run, new, old, held = start(scale, seed)
    row: Row = {}
    for name in rates:
        found = run_steps(run, new, old, held, marks(scale), share=0.0, rate=RATES[name], seed=seed)
        for epochs, scores in zip(EPOCHS, found.values(), strict=True):
            row[f"{name}, {epochs} epochs"] = scores
    return row


def run_reset(seed: int, scale: str, rates: Sequence[str] = tuple(RATES)) -> Row:
    """The same rates for 20 epochs, with Adam's state started anew."""
    run, new, old, held = start(scale, seed)
    row: Row = {}
    for name in rates:
        (row[f"{name}, {EPOCHS[0]} epochs, Adam reset"],) = run_steps(
            run, new, old, held, marks(scale)[:1], share=0.0, rate=RATES[name], keep_optimizer=False,
            seed=seed,
        ).values()  # fmt: skip
    return row


def run_replay(seed: int, scale: str, shares: Sequence[float] = SHARES) -> Row:
    """The share of old pairs from 0 to 1, at a tenth of the rate; and the champion itself."""
    run, new, old, held = start(scale, seed)
    row: Row = {BEFORE: scores_of(run, held)}
    for share in shares:
        found = run_steps(run, new, old, held, marks(scale)[:1], share=share, seed=seed)
        (row[f"replay {share:g}"],) = found.values()
    return row


def scores_of(run: Path, held: Mapping[str, PairedDataset]) -> dict[str, float]:
    """IoU of a run on both hold-outs."""
    predictor = Predictor.load(run)
    return {which: float(per_image(predictor, data).mean()) for which, data in held.items()}


def per_image(predictor: Predictor, data: PairedDataset) -> torch.Tensor:
    """IoU of each image, (N,)."""
    source, target = (unit_from_uint8(images) for images in data.roles(DIRECTION))
    return iou(predictor.translate(source), target)


def run_corrections(seed: int, scale: str) -> Row:
    """Fifty pairs of a pool of new ones: those the champion got most wrong, or any, at half replay.

    What a reviewer corrects is what is wrong; the pool is what came in. Both arms have the same count.
    """
    run, _, old, held = start(scale, seed)
    setting = SETTINGS[scale]
    pool = process_change.pairs("new", "pool", scale, seed, setting.pool)[0]
    quality = per_image(Predictor.load(run), pool)
    worst = quality.argsort()[: setting.fresh].tolist()
    draw = torch.Generator().manual_seed(seed)
    chosen = {
        "corrected pairs": worst,
        "random pairs": torch.randperm(len(pool), generator=draw)[: setting.fresh].tolist(),
    }
    row: Row = {}
    for name, indices in chosen.items():
        taught = pool.subset(indices)
        (row[name],) = run_steps(run, taught, old, held, marks(scale)[:1], share=0.5, seed=seed).values()
        row[name]["quality of the pairs"] = float(quality[indices].mean())
    return row


# ---- claims

GENTLE = "rate / 10, 20 epochs"


def _old_and_new(table: Table, *arms: str) -> dict[str, Any]:
    """IoU on old images of two arms, and the first minus the second on new ones."""
    fresh = table.values("new", *arms)
    differences = [a - b for a, b in zip(fresh[arms[0]], fresh[arms[1]], strict=True)]
    return {"old images": table.values("old", *arms), "new images": differences}


def rates_claim(table: Table) -> dict[str, Any]:
    """G25: IoU on old images in pairs, and the differences on new ones; every arm's means as numbers."""
    return {"data": _old_and_new(table, GENTLE, "full rate, 100 epochs"), "numbers": numbers(table, "rate")}


def replay_claim(table: Table) -> dict[str, Any]:
    """G27: IoU on old images in pairs, and the differences on new ones."""
    data = _old_and_new(table, "replay 0.5", "replay 0")
    return {"data": data, "numbers": numbers(table, "replay") | numbers(table, BEFORE)}


def corrections_claim(table: Table) -> dict[str, Any]:
    """G37: IoU on new images."""
    return {
        "data": table.values("new", "corrected pairs", "random pairs"),
        "numbers": numbers(table, "pairs"),
    }


def numbers(table: Table, word: str) -> dict[str, float]:
    """Means over seeds of every arm whose name has a word, as "arm: quantity"."""
    means = table.means(*(arm for arm in table.arms if word in arm))
    return {f"{arm}: {name}": value for arm, found in means.items() for name, value in found.items()}


SWEEP = Sweep(
    "fine_tuning",
    {
        "rates": run_rates,
        "rates, Adam reset": run_reset,
        "replay": run_replay,
        "corrections": run_corrections,
    },
    SEEDS,
    lambda scale: [
        process_change.champion_recipe(scale),
        SETTINGS[scale],
        {name: to_dict(conditions) for name, conditions in process_change.CONDITIONS.items()},
        {"rates": dict(RATES), "epochs": EPOCHS, "shares": SHARES, "batch": BATCH},
    ],
    {"G25": rates_claim, "G27": replay_claim, "G37": corrections_claim},
)
