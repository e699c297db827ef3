"""A time budget as a number of steps that is fixed before the first step.

A learning-rate schedule is a function of the step and of the number of steps. Stopped by the clock it would
end at a large rate, and driven by the clock it could not be repeated. So a few steps of a throwaway copy of
the task are timed, the number of steps that fit into the budget follows, and the run keeps this number.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

from gantrans.errors import CheckpointError
from gantrans.training.device import Batch, pick_device
from gantrans.training.loop import Validate, fit
from gantrans.training.processes import Processes
from gantrans.training.run import stored_extra
from gantrans.training.task import FitConfig, Task

TRIAL_STEPS = 20
"""Steps that are timed, after one that is not."""
TRIAL_SHARE = 0.05
"""The most of the budget that they take (but two are always made)."""
RESERVE = 0.03
"""Share of the budget that is not planned: a run that ends early loses less than one that is cut off."""
_NEVER = 10**9


@dataclass(frozen=True)
class Costs:
    """Seconds that a training step, a validation and a checkpoint take, by the clock of the run."""

    step: float
    validation: float = 0.0
    checkpoint: float = 0.0

    def steps_within(self, seconds: float, config: FitConfig) -> int:
        """How many steps fit into a time together with their validations and checkpoints; at least 1."""
        every = self.validation / config.validate_every + self.checkpoint / config.checkpoint_every
        left = (1.0 - RESERVE) * seconds - self.validation - self.checkpoint  # those at the end
        return max(1, int(left / max(self.step + every, 1e-9)))


def measure_costs(
    task: Task,
    data: Callable[[int], Batch],
    config: FitConfig,
    seconds: float,
    *,
    validate: Validate | None = None,
    device: str | None = None,
) -> Costs:
    """Time a few steps, one validation and one checkpoint, with learning rates of 0.

    Args:
        task: a copy made for this purpose. Its weights stay as they are, but optimisers, buffers and batch
            statistics change, so it must not be trained afterwards.
        seconds: the budget; about `TRIAL_SHARE` of it is spent.

    Raises:
        TrainingError: see `fit`.
    """
    for optimizer in task.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = 0.0
    quiet = replace(
        config, steps=1, schedule_by="step", max_seconds=None, log_every=1, validate_every=_NEVER,
        checkpoint_every=_NEVER,
    )  # fmt: skip
    fit(task, data, replace(quiet, monitor=None), progress=False, device=device)
    timed = replace(quiet, steps=TRIAL_STEPS, max_seconds=max(TRIAL_SHARE * seconds, 1e-9))
    with tempfile.TemporaryDirectory(prefix="gantrans-") as folder:
        out = Path(folder) / "trial"
        result = fit(task, data, timed, out=out, validate=validate, progress=False, device=device)
    times = [record["seconds"] for record in result.history.records]  # of each step, then of the validation
    steps = sorted(b - a for a, b in pairwise([0.0, *times[: result.step]]))
    usual = steps[: -(-3 * len(steps) // 4)]  # the slowest quarter contains the waits for other programs
    ended, validated = times[result.step - 1], times[-1]
    return Costs(mean(usual), validated - ended, max(0.0, result.seconds - validated))


class TimeBudget:
    """A time to train in, for a new run or for one call that resumes a run. It begins when this is made.

    Args:
        config: of the training; its clock counts.
        max_seconds: None for no budget.

    Raises:
        ConfigError: `max_seconds` is not above 0.
    """

    def __init__(self, config: FitConfig, max_seconds: float | None) -> None:
        self.config = replace(config, max_seconds=max_seconds)
        self._clock = time.perf_counter if config.clock == "wall" else time.process_time
        self._started = self._clock()

    @property
    def left(self) -> float | None:
        """Seconds left, above 0; None without a budget."""
        limit = self.config.max_seconds
        return None if limit is None else max(limit - (self._clock() - self._started), 1e-9)

    def plan(
        self,
        make_task: Callable[[], Task],
        data: Callable[[int], Batch],
        *,
        out: Path | None,
        resume: bool,
        validate: Validate | None = None,
        device: str | None = None,
    ) -> tuple[FitConfig, dict[str, Any]]:
        """Settings whose number of steps suits the budget, and what the run has to store of it.

        A new run gets the number of steps that fit into the budget, fewer or more than `config.steps`. A
        resumed run keeps the number stored in it, whatever its budget: the learning rate is a function of
        step and number of steps alone, so the resumed run equals the unbroken one.

        Args:
            make_task: makes a copy of the task that is only timed.
            data, out, resume, validate, device: as for `fit`.

        Returns:
            The settings, with `max_seconds` None, and {"budget": {"max_seconds", "steps"}} for `extra` of
            `fit` (empty for a run that was started without a budget).

        Raises:
            CheckpointError, TrainingError: see `fit`.
        """
        config = replace(self.config, max_seconds=None)
        if resume and out is not None:
            kept = _stored(Path(out))
        elif self.left is None:
            kept = {}
        else:
            costs = measure_costs(make_task(), data, config, self.left, validate=validate, device=device)
            steps = costs.steps_within(self.left, config)
            # All processes of a run follow the clock of the first.
            steps = int(Processes(pick_device(device)).agree(float(steps)))
            kept = {"max_seconds": self.config.max_seconds, "steps": steps}
        return (replace(config, steps=kept["steps"]), {"budget": kept}) if kept else (config, {})

    def limit(self, config: FitConfig) -> FitConfig:
        """The settings for `fit`: they end the call when the time is up, and do not change the schedule."""
        return replace(config, max_seconds=self.left)


def _stored(out: Path) -> dict[str, Any]:
    """The budget stored in a run, {} if there is none (or no run: `fit` raises then)."""
    budget: Any = stored_extra(out).get("budget", {})
    whole = isinstance(budget, dict) and (not budget or isinstance(budget.get("steps"), int))
    if not whole:
        raise CheckpointError(f"The budget stored in {out} is not one ({budget!r:.60}); train afresh.")
    return dict(budget)
