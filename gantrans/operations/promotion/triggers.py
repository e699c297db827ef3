"""When to train again, and when to collect labels first.

A drift alarm means that the inputs have changed. It does not give the right outputs, and without labels there
is nothing to train on: drift raises the priority of labelling, and labels start training. A changed relation
between input and target (concept drift) is invisible to every input monitor and shows in labels only.

Whatever the reasons, a run starts at most once per cool-down. The time of the last start is kept in a file
that is read and written under a lock, so that the rule holds across restarts and concurrent processes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gantrans.config import check_range
from gantrans.files import locked
from gantrans.operations.promotion.disk import Disk, as_json, read_json

HOUR = 3600.0


@dataclass(frozen=True)
class TriggerConfig:
    """Conditions that start a training.

    enough_pairs: number of accepted, unused pairs that starts a training by itself.
    fewest_pairs: smallest number of such pairs with which lost quality starts a training.
    quality_loss: fall of the mean quality of labelled predictions below the reference that counts as lost.
    cool_down_hours: shortest time between the starts of two runs.
    """

    enough_pairs: int = 50
    fewest_pairs: int = 20
    quality_loss: float = 0.03
    cool_down_hours: float = 24.0

    def __post_init__(self) -> None:
        check_range(self, "enough_pairs", 1)
        check_range(self, "fewest_pairs", 1, self.enough_pairs)
        check_range(self, "quality_loss", 0.0, open_low=True)
        check_range(self, "cool_down_hours", 0.0)


@dataclass(frozen=True)
class Signals:
    """Readings of the monitors.

    new_pairs: accepted pairs that no training has used.
    quality: mean quality of recent labelled predictions, None without labels.
    reference: the same at the time of promotion.
    drift: whether the input monitor has an alarm that was not acknowledged.
    """

    new_pairs: int
    quality: float | None = None
    reference: float | None = None
    drift: bool = False


@dataclass(frozen=True)
class Advice:
    """Whether to train, whether to label with priority, and why, in sentences."""

    train: bool
    label_first: bool
    reasons: tuple[str, ...]


def advise(signals: Signals, config: TriggerConfig | None = None) -> Advice:
    """Apply the conditions to the signals; the cool-down is claimed separately, when a run starts."""
    config = config or TriggerConfig()
    train, reasons = False, []
    if signals.new_pairs >= config.enough_pairs:
        train = True
        reasons.append(f"{signals.new_pairs} new pairs, enough to train")
    lost = 0.0
    if signals.quality is not None and signals.reference is not None:
        lost = signals.reference - signals.quality
    if lost > config.quality_loss:
        train = train or signals.new_pairs >= config.fewest_pairs
        reasons.append(f"quality fell by {lost:.3f}")
    if signals.drift:
        pairs = "no target" if signals.new_pairs == 0 else "too little"
        yet = "" if train else f", there is {pairs} to train on yet"
        reasons.append(f"the input has drifted: label what comes in now{yet}")
    short = lost > config.quality_loss and signals.new_pairs < config.fewest_pairs
    if short:
        reasons.append(f"{signals.new_pairs} labelled pairs, of at least {config.fewest_pairs}")
    return Advice(train, signals.drift or short, tuple(reasons))


@dataclass(frozen=True)
class Claim:
    """Whether a run may start now, and otherwise after how many hours."""

    granted: bool
    wait_hours: float


class CoolDown:
    """A rate limit: at most one start per cool-down among all processes that use the same file.

    Args:
        path: the file with the time of the last start; its folder is created.
        hours: length of the cool-down.
        clock: seconds since 1970; a monotonic clock would restart with the machine.
        disk: file operations; tests pass one that fails.
    """

    def __init__(
        self,
        path: Path,
        hours: float = 24.0,
        *,
        clock: Callable[[], float] = time.time,
        disk: Disk | None = None,
    ) -> None:
        self.path, self.hours, self.clock, self.disk = Path(path), hours, clock, disk or Disk()

    def claim(self) -> Claim:
        """Claim the start of a run; a claim that is not granted has the time to wait.

        The start is on the disk before it is granted, so a process that is killed afterwards has used it. If
        the clock is behind the last start, the wait becomes longer.

        Raises:
            DiskError: the file cannot be read or written; the claim is not granted.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_name(f".{self.path.name}.lock")):
            now = self.clock()
            wait = self._wait(now)
            if wait > 0:
                return Claim(False, wait)
            self.disk.put(self.path, as_json({"started": now}))
            return Claim(True, 0.0)

    def _wait(self, now: float) -> float:
        if not self.path.exists():
            return 0.0
        return max(0.0, self.hours - (now - read_json(self.path)["started"]) / HOUR)
