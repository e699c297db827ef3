"""The minutes of a lesson, declared at each scale in its notebook's metadata (`gantrans.minutes`)."""

import json
from pathlib import Path

from gantrans.errors import DataError
from gantrans.scales import SCALES

MOST_MINUTES = {"smoke": 0.5, "reduced": 5.0, "full": 15.0}
"""What one lesson may declare. Longer experiments are sweeps and live in notebooks/ablations/."""
OVERRUN = 2.0
"""A smoke run fails when its CPU time exceeds the declared minutes by more than this factor."""


def lesson_minutes(notebook: Path) -> dict[str, float]:
    """The minutes that a lesson declares at each scale.

    Raises:
        DataError: if the notebook declares none, or not one positive number for every scale.
    """
    metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    minutes = metadata.get("gantrans", {}).get("minutes", {})
    if set(minutes) != set(SCALES) or not all(isinstance(m, int | float) and m > 0 for m in minutes.values()):
        raise DataError(
            f"{notebook.name} declares minutes {minutes}; its metadata needs gantrans.minutes with a "
            f"positive number for each of {', '.join(SCALES)}."
        )
    return {scale: float(minutes[scale]) for scale in SCALES}


def cpu_limit(notebook: Path, scale: str = "smoke") -> float:
    """The CPU seconds that a run may take: twice the declared minutes. CPU time, since wall time tells of the
    machine's other work as well."""
    return OVERRUN * 60 * lesson_minutes(notebook)[scale]
