"""Lesson 00, what its evidence page shows beside contrast: thresholds, carry-over to real cells, alignment.

No claim hangs on these tables. The network is the course's recipe (L1 alone) with fewer steps, trained on
patterns drawn by rule; real cells are drawn layouts of SKY130, imaged by the same simulator.
"""

from typing import Any

from gantrans.config import to_dict
from gantrans.data import PRESETS, recovery_table
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from lessons.lesson00.experiments.first_translator import (
    CELLS,
    SETTINGS,
    compare,
    first_recipe,
    threshold_scores,
    train_first,
)

FIELDS = {"real cells": "sky130", "drawn by rule": "procedural"}
"""Where the raw fields of the alignment come from."""
SHARES = ("recovered", "flagged", "silent")


def run_thresholds(seed: int, scale: str) -> Row:
    """{"threshold, easy": mean IoU of Otsu's threshold and of the best one for each image}, and so on."""
    return {f"threshold, {name}": row for name, row in threshold_scores(scale, seed).items()}


def run_cells(seed: int, scale: str) -> Row:
    """{"clips, SKY130 li1": mean IoU and EPE of denoise + Otsu and of the network}, and so on."""
    trained = train_first(scale, seed)
    rows = compare(scale, seed, trained.predictor, ("procedural", *CELLS))
    return {f"clips, {name}": row for name, row in rows.items()}


def run_alignment(seed: int, scale: str) -> Row:
    """{"fields, real cells, dose 1": shares found, flagged, silently wrong}, and so on; conditions "hard"."""
    setting = SETTINGS[scale]
    return {
        f"fields, {name}, dose {row['dose']:g}": {share: row[share] for share in SHARES}
        for name, source in FIELDS.items()
        for row in recovery_table(setting.doses, source=source, count=setting.fields, seed=seed)
    }


def of_kind(table: Table, kind: str) -> dict[str, dict[str, float]]:
    """Means over seeds of the arms "kind, NAME", by NAME."""
    start = f"{kind}, "
    return {arm.removeprefix(start): row for arm, row in table.means().items() if arm.startswith(start)}


def recovery(table: Table) -> dict[str, list[dict[str, float]]]:
    """{source: a row per dose} of the means, as `recovery_figure` takes it."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in FIELDS}
    for arm, row in of_kind(table, "fields").items():
        name, _, dose = arm.rpartition(", dose ")
        rows[name].append({"dose": float(dose), **row})
    return rows


def _config(scale: str) -> list[Any]:
    return [to_dict(SETTINGS[scale]), to_dict(first_recipe(scale, 0)), to_dict(PRESETS["default"])]


def run_seed(seed: int, scale: str) -> Row:
    """Everything of one seed."""
    return {**run_thresholds(seed, scale), **run_cells(seed, scale), **run_alignment(seed, scale)}


SWEEP = Sweep("first_look", run_seed, {"smoke": 1, "reduced": 1, "full": 6}, _config, {})
