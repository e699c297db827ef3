"""How large a run is, in one place: smoke proves the mechanics, reduced teaches on a CPU, full on a GPU.

An explicit scale wins over the environment variable GANTRANS_SCALE, which wins over the machine. Each lesson
declares its minutes at each scale in its notebook's metadata (`gantrans.minutes`).
"""

import json
import os
from pathlib import Path

from gantrans.errors import ConfigError, DataError

SCALES = ("smoke", "reduced", "full")
MOST_MINUTES = {"smoke": 0.5, "reduced": 5.0, "full": 15.0}
"""What one lesson may declare. Longer experiments are sweeps and live in notebooks/ablations/."""
FULL_NEEDS_GB = 16
OVERRUN = 2.0
"""A smoke run fails when its CPU time exceeds the declared minutes by more than this factor."""


def resolve_scale(scale: str | None = None) -> str:
    """The scale to run at: `scale`, else GANTRANS_SCALE, else full on a CUDA device with 16 GB, else reduced.

    None, the empty string and "auto" mean "no choice" in both places.

    Raises:
        ConfigError: for any other word; the message says where it stood.
    """
    for choice, source in ((scale, "scale"), (os.environ.get("GANTRANS_SCALE"), "GANTRANS_SCALE")):
        if choice in SCALES:
            return str(choice)
        if choice not in (None, "", "auto"):
            raise ConfigError(f"{source} is {choice!r}; choose auto, {', '.join(SCALES)}.")
    return "full" if _has_large_gpu() else "reduced"


def _has_large_gpu() -> bool:
    import torch  # two seconds to import: only when the answer depends on it

    if not torch.cuda.is_available():
        return False
    return torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory >= FULL_NEEDS_GB * 1e9


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
