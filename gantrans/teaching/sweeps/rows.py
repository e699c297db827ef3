"""What runs measured: saved by a notebook, collected into a tidy table.

A run with several arms (trained in pairs from its seed) saves them by name; a run that is one arm itself
saves a row, and its setting names the arm.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantrans.errors import DataError
from gantrans.files import replace_file
from gantrans.teaching.sweeps.grid import Level, Run

RESULTS = "results.json"


@dataclass(frozen=True)
class Observation:
    """One number: of which setting, seed and arm, which quantity."""

    setting: Mapping[str, Level]
    seed: int
    arm: str
    quantity: str
    value: float
    group: str
    """Arms of equal group and seed are compared: the setting of arms that a run saved by name, else ""."""


def save_row(row: Mapping[str, float], out: str | Path | None, *, device: str = "") -> None:
    """Save {quantity: value} of a run that is one arm.

    Args:
        row: finite numbers, or NaN where a quantity has no value.
        out: the notebook's parameter `out`; None, as in a notebook that is run by hand, saves nothing.
        device: what it ran on.

    Raises:
        DataError: a value is not a number, or the row is empty.
    """
    _save({"row": _numbers("the row", row)}, out, device)


def save_arms(arms: Mapping[str, Mapping[str, float]], out: str | Path | None, *, device: str = "") -> None:
    """Save {arm: {quantity: value}} of a run that holds several arms; see `save_row`."""
    if not arms:
        raise DataError("save_arms was given no arm; give {arm: {quantity: value}}.")
    _save({"arms": {arm: _numbers(f"arm {arm!r}", row) for arm, row in arms.items()}}, out, device)


def _numbers(where: str, row: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(row, Mapping) or not row:
        raise DataError(f"{where} has no quantities but {row!r}; give {{quantity: value}}.")
    try:
        return {str(name): float(value) for name, value in row.items()}
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} has a quantity that is not a number ({error}): {dict(row)!r}.") from error


def _save(content: dict[str, Any], out: str | Path | None, device: str) -> None:
    if out is not None:
        replace_file(Path(out) / RESULTS, json.dumps({**content, "device": device}, indent=1) + "\n")


def read_arms(folder: Path, run: Run) -> tuple[dict[str, dict[str, float]], bool, str]:
    """Of a finished run: {arm: {quantity: value}}, whether the arms were named by the run, the device.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        content = json.loads((folder / RESULTS).read_text("utf-8"))
        if "arms" in content:
            return content["arms"], True, content["device"]
        return {run.label: content["row"]}, False, content["device"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{folder / RESULTS} cannot be read ({error}); remove the folder, and run again."
        ) from error


def tidy(runs: Iterable[Run], folder: Path, *, grouped: bool = True) -> list[Observation]:
    """The numbers of the runs that are finished in `folder`, in the order of the grid.

    Args:
        grouped: arms are compared within one setting; False: every arm has a name of its own (a sweep).
    """
    found = []
    for run in runs:
        if (folder / run.key).is_dir():
            arms, named, _ = read_arms(folder / run.key, run)
            group = run.label if named and grouped else ""
            found += [
                Observation(run.setting, run.seed, arm, quantity, value, group)
                for arm, row in arms.items()
                for quantity, value in row.items()
            ]
    return found


def table_csv(observations: Iterable[Observation]) -> str:
    """Columns: the factors, seed, arm, quantity, value (with all its digits; empty for NaN)."""
    buffer, writer = io.StringIO(), None
    for o in observations:
        if writer is None:
            writer = csv.writer(buffer, lineterminator="\n")
            writer.writerow([*o.setting, "seed", "arm", "quantity", "value"])
        value = "" if math.isnan(o.value) else repr(o.value)
        writer.writerow([*o.setting.values(), o.seed, o.arm, o.quantity, value])
    return buffer.getvalue()
