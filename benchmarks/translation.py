"""SEM -> layout at equal core-seconds: our recipe, the best classical variant, a tuned usual U-Net, pix2pix.

64 px, 20 nm per pixel, difficulty default, 2,048 training clips, one thread. Every network gets the same
process CPU seconds of training (`schedule_by="time"`, clock "cpu"), the same clips and the same test clips.

- classical: the best of all `BASELINES` on the validation split (edges and background subtraction included);
- usual U-Net, tuned: the pix2pix shape (`UNetGenerator`, transposed convolutions, skips), L1 only, eager
  float32, one-cycle schedule, at the one of three learning rates that does best on validation clips;
- original recipe: the same network with a 70 px PatchGAN, LSGAN + L1 = 100, constant rate 2e-4, eager
  float32.
"""

import statistics
from dataclasses import replace
from typing import Any

from tqdm.auto import tqdm

from gantrans.data import BatchSource, PairedDataset
from gantrans.images import unit_from_uint8
from gantrans.metrics import epe, iou
from gantrans.networks import PatchGANConfig, UNetConfig
from gantrans.training import FitConfig, fit
from gantrans.translation import (
    DataSpec,
    Pix2PixConfig,
    Pix2PixTask,
    choose_baseline,
    recipe,
    segment,
    translate,
)

PIXEL_NM = 20.0
USUAL = UNetConfig(base_filters=16, n_down=4, dropout=0.0, dropout_blocks=0)
GOALS = {20: 0.86, 60: 0.89}


RATES = (1e-3, 2e-3, 4e-3)


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per source, budget and arm: mean IoU and EPE over seeds, with the smallest and largest IoU."""
    budgets, seeds = ((2,), (0,)) if quick else ((20, 60), (0, 1, 2))
    rows = []
    for source in ("procedural", "sky130"):
        # Clips of data seed 1: those of seed 0 were looked at while the recipe was being chosen.
        spec = DataSpec(source=source, count=256 if quick else 2048, validation=128, seed=1)
        training, validation = (spec.pairs(split, "sem2layout") for split in ("train", "val"))
        test = spec.pairs("test", "sem2layout", 64 if quick else 256)
        rows.append(_classical(source, validation, test))
        tuning = {rate: _usual(rate, budgets[0]) for rate in RATES}
        scores = {rate: _score(arm, training, validation, 0)[0] for rate, arm in tuning.items()}
        rate = max(scores, key=lambda candidate: scores[candidate])
        for seconds in budgets:
            arms = {"ours": _ours(seconds), f"usual U-Net, tuned ({rate:g})": _usual(rate, seconds)}
            arms["original recipe"] = _original(seconds)
            for name, arm in tqdm(arms.items(), desc=f"{source}, {seconds} core-s"):
                rows.append(_row(source, seconds, name, [_score(arm, training, test, s) for s in seeds]))
    return rows


Arm = tuple[Pix2PixConfig, FitConfig]


def _ours(seconds: float) -> Arm:
    ours = recipe("sem2layout", "reduced")
    return ours.one_way, _budget(ours.fit, seconds)


def _usual(rate: float, seconds: float) -> Arm:
    eager = FitConfig(1, precision="fp32", lr_schedule="one_cycle")
    return Pix2PixConfig(USUAL, None, lr_generator=rate), _budget(eager, seconds)


def _original(seconds: float) -> Arm:
    critic = PatchGANConfig(base_filters=16, n_layers=3, norm="batch")
    return Pix2PixConfig(USUAL, critic, "lsgan"), _budget(FitConfig(1, precision="fp32"), seconds)


def _budget(fitting: FitConfig, seconds: float) -> FitConfig:
    return replace(
        fitting, steps=1_000_000, schedule_by="time", max_seconds=float(seconds), clock="cpu", monitor=None
    )


def _score(arm: Arm, training: PairedDataset, test: PairedDataset, seed: int) -> tuple[float, float, int]:
    task, fitting = arm
    model = Pix2PixTask(task, seed)
    result = fit(
        model, BatchSource(training, "sem2layout", 8, seed), replace(fitting, seed=seed), progress=False
    )
    output, layout = translate(model.generator, unit_from_uint8(test.sem)), unit_from_uint8(test.layout)
    return float(iou(output, layout).mean()), float(epe(output, layout, PIXEL_NM).mean.nanmean()), result.step


def _classical(source: str, validation: PairedDataset, test: PairedDataset) -> dict[str, Any]:
    name, _ = choose_baseline(unit_from_uint8(validation.sem), unit_from_uint8(validation.layout))
    output, layout = segment(unit_from_uint8(test.sem), name), unit_from_uint8(test.layout)
    score = float(iou(output, layout).mean()), float(epe(output, layout, PIXEL_NM).mean.nanmean()), 0
    return _row(source, 0, f"classical ({name})", [score])


def _row(source: str, seconds: float, arm: str, scores: list[tuple[float, float, int]]) -> dict[str, Any]:
    ious = [score[0] for score in scores]
    goal = GOALS.get(int(seconds), 0.0) if arm == "ours" and source == "procedural" else 0.0
    return {
        "source": source,
        "core-s": seconds,
        "arm": arm,
        "seeds": len(scores),
        "IoU": round(statistics.mean(ious), 4),
        "lowest": round(min(ious), 4),
        "highest": round(max(ious), 4),
        "EPE [nm]": round(statistics.mean(score[1] for score in scores), 2),
        "steps": round(statistics.mean(score[2] for score in scores)),
        "goal": goal or "",
    }
