"""Lesson 09: one run of the article's whole machine, with its fakes over training in both directions.

`measure` trains the recipe `article`, as `python -m gantrans train --recipe article --direction both` does,
and writes `results/article_run/`: history.json (where it comes from, log, scores on test pairs) and
fakes.png, one mosaic of grey images.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from gantrans.config import to_dict
from gantrans.data import BatchSource, PairedDataset, read_image, write_image
from gantrans.images import unit_from_uint8
from gantrans.teaching.claims import provenance
from gantrans.training import fit
from gantrans.training.checkpoint import write_atomically
from gantrans.translation import (
    GENERATORS,
    BidirectionalTask,
    Predictor,
    Recipe,
    build_task,
    diagnose_both,
    evaluate_pairs,
    recipe,
    translate,
    validation_of,
)

FOLDER = Path(__file__).parents[1] / "results" / "article_run"
COMMAND = "from lessons.lesson09.experiments import article_run; article_run.measure({scale!r}, {seed})"
"""Python that makes the run again, in the folder `notebooks`."""
SHOWN = 2
"""Held-out pairs in the mosaic."""
PARTS = 24
"""Validations in a run, as many records of the log, and the unit of `SNAPSHOTS`."""
SNAPSHOTS = (1, 3, 6, 12)
"""When the fakes are kept, beside the first and the last step."""
LOGGED = (
    "loss_l1", "loss_gan_g", "loss_fm", "loss_d", "d_accuracy", "gradient_ratio", "gradient_gan", "spread",
)  # fmt: skip
"""What of the log is kept, in both directions; and the cycle's loss."""
SCORES = {
    "sem2layout": ("l1", "iou", "epe", "opens", "bridges"),
    "layout2sem": ("l1", "ssim", "psnr", "iou", "epe"),
}
"""What of the evaluation is kept; of layout -> SEM, IoU and EPE are those of the geometry read back."""


class Watch:
    """The recipe's validation, which also keeps what the generators make of some held-out pairs.

    `scores` has a row per call, `fakes` {step: {direction: (SHOWN, 1, S, S) in [0, 1]}}.
    """

    def __init__(self, chosen: Recipe, pairs: PairedDataset, every: int) -> None:
        self.validation, self.every, self.steps = validation_of(chosen, pairs), every, chosen.fit.steps
        self.inputs = {d: unit_from_uint8(pairs.roles(d)[0][:SHOWN]) for d in GENERATORS}
        self.fakes: dict[int, dict[str, Tensor]] = {}
        self.scores: list[dict[str, float]] = []

    def look(self, task: BidirectionalTask, step: int) -> None:
        """Keep the fakes of a step."""
        self.fakes[step] = {d: translate(getattr(task, GENERATORS[d]), x) for d, x in self.inputs.items()}

    def __call__(self, task: Any) -> Mapping[str, float]:
        call = len(self.scores) + 1
        step = min(self.every * call, self.steps)
        if call in SNAPSHOTS or step == self.steps:
            self.look(task, step)
        scores = self.validation(task)
        self.scores.append({"step": step, **scores})
        return scores


def measure(scale: str, seed: int, folder: Path = FOLDER) -> dict[str, Any]:
    """Train the machine and write `folder`; returns what history.json holds."""
    chosen = recipe("both", scale, name="article", seed=seed)
    every = max(1, chosen.fit.steps // PARTS)
    chosen = replace(chosen, fit=replace(chosen.fit, validate_every=every, log_every=every))
    data, started = chosen.data, datetime.now(UTC)
    watch = Watch(chosen, data.pairs("val", chosen.directions[0]), every)
    batches = BatchSource(data.pairs("train", chosen.directions[0]), "sem2layout", chosen.batch_size, seed)
    task = build_task(chosen)
    assert isinstance(task, BidirectionalTask)
    for network in task.networks.values():
        network.eval()
    watch.look(task, 0)
    with TemporaryDirectory() as run:
        result = fit(
            task, batches, chosen.fit, out=Path(run) / "run", validate=watch,
            extra={"recipe": to_dict(chosen)},
        )  # fmt: skip
        test = {d: _scores(Path(run) / "run", d, data.pairs("test", d, 128)) for d in GENERATORS}
    ways = [f"{name}_{end}" for name in LOGGED for end in GENERATORS.values()]
    kept = ("step", "seconds", *ways, "loss_cycle")
    log = [{k: _short(r[k]) for k in kept if k in r} for r in result.history.records if "loss_cycle" in r]
    record = {
        "about": {
            **provenance.now(), "date": started.isoformat(timespec="seconds"), "scale": scale, "seed": seed,
            "threads": torch.get_num_threads(), "seconds": round(result.seconds), "steps": result.step,
            "command": COMMAND.format(scale=scale, seed=seed),
            "recipe": to_dict(chosen),
        },
        "snapshots": sorted(watch.fakes),
        "log": log,
        "validation": [{k: _short(v) for k, v in row.items()} for row in watch.scores],
        "test": test,
        "gammas": {d: getattr(task, GENERATORS[d]).gammas for d in GENERATORS},
        "diagnoses": {d: found.name for d, found in diagnose_both(result.history).items()},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "history.json", json.dumps(record, indent=1).encode() + b"\n")
    write_image(folder / "fakes.png", _mosaic(watch, data.pairs("val", "sem2layout")))
    return record


def _scores(run: Path, direction: str, pairs: PairedDataset) -> dict[str, dict[str, float]]:
    """Means on test pairs, of the model and of what `evaluate` sets beside it."""
    found = evaluate_pairs(Predictor.load(run, direction=direction), pairs, "procedural", "test")
    return {
        row: {m: _short(found.mean(row, m)) for m in SCORES[direction] if m in found.metrics(row)}
        for row in found.rows
    }


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _mosaic(watch: Watch, pairs: PairedDataset) -> Tensor:
    """(1, rows, columns) in [0, 1]: a row per direction and pair; input, fakes by step, real."""
    rows = []
    for direction, given in watch.inputs.items():
        real = unit_from_uint8(pairs.roles(direction)[1][:SHOWN])
        for k in range(SHOWN):
            fakes = [watch.fakes[step][direction][k] for step in sorted(watch.fakes)]
            rows.append(torch.cat([given[k], *fakes, real[k]], dim=-1))
    return torch.cat(rows, dim=-2)


@dataclass(frozen=True)
class Stored:
    """The committed run: history.json, and by direction a row of images (1, S, S) per pair."""

    record: Mapping[str, Any]
    rows: Mapping[str, list[list[Tensor]]]


def stored(folder: Path = FOLDER) -> Stored | None:
    """The committed run; None before it is measured."""
    if not (folder / "history.json").exists():
        return None
    record = json.loads((folder / "history.json").read_text("utf-8"))
    size, mosaic = record["about"]["recipe"]["data"]["size"], read_image(folder / "fakes.png")
    lines = [list(line.split(size, -1)) for line in mosaic.split(size, -2)]
    return Stored(record, {d: lines[SHOWN * k : SHOWN * (k + 1)] for k, d in enumerate(GENERATORS)})
