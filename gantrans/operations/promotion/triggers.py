"""When to train again, and when to ask for labels first.

A drift alarm says that the input has changed. It does not say what the right output is, and without labels
there is nothing to train on: so drift raises the priority of labelling, and labels start training. No input
monitor sees a changed relation between SEM image and layout at all; only labels do.

However many reasons there are, a run starts at most once in 24 hours: the last start is a file, read and
written under a lock, so that restarts and racing processes keep the rule as well.
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
    """When there is reason to train.

    enough_pairs: accepted pairs that no training has used.
    fewest_pairs: pairs without which even lost quality starts nothing.
    quality_loss: fall of the mean quality of labelled predictions below the reference.
    cool_down_hours: between the starts of two runs.
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
    """What the monitors say.

    new_pairs: accepted, not yet used. quality: mean of recent labelled predictions, None without labels.
    reference: the same at the time of promotion. drift: an alarm of the input monitor stands.
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
    """What the signals ask for; the cool-down is asked separately, at the moment of the start."""
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
    """The answer to "may I start now?"; `wait_hours` is 0 for yes."""

    granted: bool
    wait_hours: float


class CoolDown:
    """At most one start per cool-down, among all processes that name the same file, whatever happens to them.

    Args:
        path: the file with the last start; its folder is made.
        hours: length of the cool-down.
        clock: seconds since 1970. Not a monotonic clock: that one starts anew with the machine.
        disk: how it writes; tests give one that fails.
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
        """Take the right to start a run now, or learn how long to wait.

        The right is on the disk before it is granted: a process that is killed right after has used it up. A
        clock behind the last start is no reason to start early.

        Raises:
            DiskError: the file cannot be read or written; nothing is granted.
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
