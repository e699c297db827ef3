"""What a comparison was asked for, and the file in which it stands beside the plan."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gantrans.config import ADDED, check_range, to_dict
from gantrans.data.encoding import Encoding
from gantrans.errors import CheckpointError
from gantrans.operations.comparison.methods import DEFAULT, check_methods
from gantrans.operations.comparison.plan import Plan

FILE = "compare.json"
FORMAT = 1


@dataclass(frozen=True)
class Settings:
    """What the trainings depend on; a comparison that goes on must have the same.

    minutes: for everything, calibration and scoring included. seeds: trainings per method, None: as many as
    the time allows. The rest: see `gantrans.translation.recipe`.
    """

    source: str
    minutes: float
    methods: tuple[str, ...] = DEFAULT
    direction: str | None = None
    scale: str = "reduced"
    size: int | None = None
    seed: int = 0
    seeds: int | None = None
    pixel_nm: float | None = None
    bits: int | None = None
    device: str | None = None
    encoding: Encoding | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        check_range(self, "minutes", 0.0, 60 * 24 * 30, open_low=True)
        check_methods(self.methods)


@dataclass(frozen=True)
class Wishes:
    """What the recommendation depends on; may change from call to call.

    images_per_second: at least so many are needed. draws: several answers per input are needed.
    """

    images_per_second: float | None = None
    draws: bool = False


def describe(settings: Settings, direction: str, reason: str, plan: Plan) -> bytes:
    """The contents of `FILE`."""
    about = {
        "format": FORMAT,
        "settings": to_dict(settings),
        "direction": direction,
        "reason": reason,
        "plan": plan.to_dict(),
    }
    return json.dumps(about, indent=1).encode() + b"\n"


def read(out: Path, settings: Settings) -> tuple[str, str, Plan]:
    """Direction, its reason and the plan of the comparison in a folder.

    Raises:
        CheckpointError: there is none, it is damaged, or it was asked for something else.
    """
    path = out / FILE
    if not path.exists():
        raise CheckpointError(f"There is no comparison to resume in {out}; leave out --resume to start one.")
    try:
        stored: Any = json.loads(path.read_text("utf-8"))
        if stored["format"] != FORMAT:
            raise ValueError(f"format {stored['format']!r}")
        plan = Plan.from_dict(stored["plan"])
        _check_equal(path, stored["settings"], settings)
        return str(stored["direction"]), str(stored["reason"]), plan
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} does not describe a comparison of this version; choose another --out."
        ) from error


def _check_equal(path: Path, stored: Mapping[str, Any], settings: Settings) -> None:
    now = json.loads(json.dumps(to_dict(settings)))
    added = {"encoding"} & (set(now) | set(stored))
    differing = sorted(name for name in set(now) | added if _of(stored, name) != now.get(name))
    if differing:
        listed = "; ".join(
            f"{name}: {_of(stored, name)!r} there, {now.get(name)!r} here" for name in differing
        )
        raise CheckpointError(
            f"{path} belongs to a comparison with other settings ({listed}); use the same settings or "
            "another --out."
        )


def _of(stored: Mapping[str, Any], name: str) -> Any:
    """A stored setting; one that is left out at its default may be missing."""
    return stored.get(name) if name == "encoding" else stored[name]
