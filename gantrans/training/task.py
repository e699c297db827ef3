"""Interfaces of the training loop: task (`Task`), settings (`FitConfig`) and result (`FitResult`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from gantrans.config import check_choice, check_range
from gantrans.errors import ConfigError
from gantrans.training.device import PRECISIONS, Batch, Runtime
from gantrans.training.ema import EMA
from gantrans.training.history import History
from gantrans.training.lr import check_schedule


class Task(Protocol):
    """A task for `fit`: networks, one optimiser or more, and a step that computes gradients.

    Attributes:
        name: stored in checkpoints; loading a checkpoint of another task is an error.
        config: a frozen dataclass; stored in checkpoints and compared on resume.
        networks, `optimizers`: by name. An optimiser's learning rate at the start is the base rate that
            the schedule multiplies.
    """

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> Any: ...
    @property
    def networks(self) -> Mapping[str, nn.Module]: ...
    @property
    def optimizers(self) -> Mapping[str, Optimizer]: ...

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Compute every loss and call `runtime.backward` for each; the optimisers are stepped by `fit`.

        Called in train mode, inside `runtime.autocast()`, with the batch on `runtime.device`.

        Returns:
            Named scalars for the log, the most important first (the progress bar has room for four); each
            must be finite.
        """

    def state(self) -> dict[str, Any]:
        """Further state of training, such as an image buffer: tensors and plain Python."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""


@dataclass(frozen=True)
class FitConfig:
    """Settings of `fit`, independent of the task.

    Attributes:
        steps: optimiser steps of the whole run.
        accumulate: micro-batches per step; step s uses data(s * accumulate + j), j = 0, ..., accumulate - 1.
            Equal to one large batch up to rounding, except for layers that depend on the batch (batch
            normalisation) or on the number of forward passes (spectral norm).
        seed: seeds dropout and `Runtime.generator`.
        precision: "fp32", "bf16" (autocast) or "auto" (bf16 on hardware that supports it).
        channels_last: keep images and convolution weights in channels-last order.
        clip_norm: largest gradient norm of each optimiser, or None.
        lr_schedule, lr_params: a name of `LR_SCHEDULES` and its parameters.
        schedule_by: "step": the rate is a function of the step; `max_seconds` only stops early (with a
            checkpoint; a resume runs for another `max_seconds`). "time": progress is max(step / steps,
            seconds / max_seconds), so that the schedule ends with the time budget, and `max_seconds` is the
            budget of the whole run, resumes included. Such a run is not reproducible bit for bit.
        max_seconds: time budget, validation and checkpoints included, or None. A call takes at least one
            step.
        clock: "wall" or "cpu" (CPU seconds of this process, all threads).
        ema_decay: average the weights with this decay, or None; validation then uses the averages.
        ema_networks: the networks to average; None: all.
        monitor, monitor_mode: the validation score that chooses best.pt, and whether "max" or "min" is best.
        log_every, validate_every, checkpoint_every: in steps. Logged scalars are means since the last record.
    """

    steps: int
    accumulate: int = 1
    seed: int = 0
    precision: str = "auto"
    channels_last: bool = False
    clip_norm: float | None = None
    lr_schedule: str = "constant"
    lr_params: dict[str, float] = field(default_factory=dict)
    schedule_by: str = "step"
    max_seconds: float | None = None
    clock: str = "wall"
    ema_decay: float | None = None
    ema_networks: tuple[str, ...] | None = None
    monitor: str | None = None
    monitor_mode: str = "max"
    log_every: int = 50
    validate_every: int = 500
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        for name in ("steps", "accumulate", "log_every", "validate_every", "checkpoint_every"):
            check_range(self, name, 1)
        check_range(self, "seed", 0, 2**62)
        check_choice(self, "precision", PRECISIONS)
        check_choice(self, "schedule_by", ("step", "time"))
        check_choice(self, "clock", ("wall", "cpu"))
        check_choice(self, "monitor_mode", ("max", "min"))
        check_schedule(self.lr_schedule, self.lr_params)
        if self.clip_norm is not None:
            check_range(self, "clip_norm", 0.0, open_low=True)
        if self.max_seconds is not None:
            check_range(self, "max_seconds", 0.0, open_low=True)
        elif self.schedule_by == "time":
            raise ConfigError("FitConfig.schedule_by is 'time' but max_seconds is None; give a budget.")
        if self.ema_decay is not None:
            check_range(self, "ema_decay", 0.0, 1.0 - 1e-9)


@dataclass(frozen=True)
class Best:
    """The best validation score so far, its name and the step that reached it."""

    name: str
    step: int
    score: float


@dataclass(frozen=True)
class FitResult:
    """Result of a call of `fit`.

    Attributes:
        history: all records of the run, those before a resume included.
        step: steps taken by the whole run.
        seconds: training time of the whole run, by `FitConfig.clock`.
        stopped_by: "steps" (finished), "time" (budget used up) or "until".
        best: best validation score of `FitConfig.monitor`, or None.
        ema: the averaged weights (`with result.ema.applied(): ...`), or None.
    """

    history: History
    step: int
    seconds: float
    stopped_by: str
    best: Best | None
    ema: EMA | None

    def summary(self) -> str:
        """One sentence for the terminal."""
        end = {"steps": "finished", "time": "stopped by the time budget"}.get(self.stopped_by, "stopped")
        best = f"; best {self.best.name} {self.best.score:.4g} at step {self.best.step}" if self.best else ""
        return f"Training {end} at step {self.step} after {self.seconds:.0f} s{best}."
