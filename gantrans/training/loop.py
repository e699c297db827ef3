"""The training loop of every task, independent of GANs and diffusion.

A task computes the gradients of all its losses at the current weights (simultaneous gradient descent); the
loop handles devices, precision, accumulation, processes, optimiser steps, learning rates, EMA, progress bar,
history, validation, checkpoints, exact resume and early failure. There are no epochs: batches are numbered.

All random numbers are functions of `FitConfig.seed` or of the step, so 2 + 2 steps equal 4 steps bit for bit.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from gantrans.errors import ConfigError, DataError, TrainingError
from gantrans.training.device import Batch, batches, pick_device, random_state, set_random_state, to_device
from gantrans.training.interrupt import noted_interrupts
from gantrans.training.lr import LR_SCHEDULES
from gantrans.training.processes import Processes
from gantrans.training.run import Run
from gantrans.training.task import Best, FitConfig, FitResult, Task

EVENTS = ("on_log", "on_validate", "on_checkpoint")
Validate = Callable[[Any], Mapping[str, float]]
Callbacks = Mapping[str, Callable[[Any], None]]


def fit(
    task: Task,
    data: Callable[[int], Batch],
    config: FitConfig,
    *,
    out: Path | None = None,
    resume: bool = False,
    until: int | None = None,
    validate: Validate | None = None,
    callbacks: Callbacks | None = None,
    extra: Mapping[str, Any] | None = None,
    progress: bool = True,
    device: str | None = None,
) -> FitResult:
    """Train a task; afterwards its networks are in eval mode and the global random state is restored.

    Args:
        task: see `Task`.
        data: a pure function from the micro-batch number to a batch on the CPU, so that resume is exact.
        config: see `FitConfig`.
        out: folder for last.pt, best.pt, config.json and history.jsonl; None: nothing is written.
        resume: continue from out/last.pt (returns at once if that run is finished). A run killed before its
            first checkpoint starts again. Without `resume`, a folder that is not empty is an error.
        until: stop after this step of the run; it can be resumed.
        validate: validate(task) -> scores; called in eval mode, without gradients, with averaged weights if
            there are any, every `validate_every` steps and when training ends.
        callbacks: "on_log" and "on_validate" get the record (a dict), "on_checkpoint" the path of last.pt.
        extra: plain values needed to use the run later (direction, nm per pixel, data seed); they are stored
            in the checkpoint and in config.json and compared on resume.
        progress: show a progress bar (TQDM_DISABLE=1 hides it as well).
        device: "cuda", "mps" or "cpu"; see `pick_device`.

    Raises:
        TrainingError: a named loss is not finite, or a weight is not finite when a checkpoint is due.
        CheckpointError: the folder is in use, the checkpoint does not fit or cannot be written.
        DataError: `data` raised it; with a folder, the steps before are saved.
        BusyError: another process trains in the folder.
        ConfigError: settings that contradict each other.
        KeyboardInterrupt: Ctrl-C, or with a folder SIGTERM: the step under way was then finished and saved
            before; a second one does not wait for that.
    """
    callbacks = callbacks or {}
    if unknown := sorted(set(callbacks) - set(EVENTS)):
        raise ConfigError(f"There is no event {unknown[0]!r}; the events are {', '.join(EVENTS)}.")
    run = Run(task, config, Processes(pick_device(device)), extra or {})
    with run.opened(out, resume=resume):
        stopped_by = _train(run, data, until, validate, callbacks, progress)
    return FitResult(run.history, run.step, run.seconds, stopped_by, run.best, run.ema)


def _train(
    run: Run,
    data: Callable[[int], Batch],
    until: int | None,
    validate: Validate | None,
    callbacks: Callbacks,
    progress: bool,
) -> str:
    """Take steps until the call of `fit` is over; returns the reason (see `_stopped_by`)."""
    config = run.config
    first, last = run.step, config.steps if until is None else min(config.steps, until)
    stopped_by = _stopped_by(run, until, at_start=True)
    stream = batches(data, range(first * config.accumulate, last * config.accumulate), run.device)
    hidden = not progress or run.processes.rank > 0 or os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
    with (
        noted_interrupts(active=run.out is not None and run.processes.world == 1) as interrupts,
        closing(stream),
        tqdm(total=config.steps, initial=first, disable=hidden, unit="step", desc=run.task.name) as bar,
    ):
        while not stopped_by:
            rate = _take_step(run, stream)
            bar.update()
            stopped_by = _stopped_by(run, until)
            ends = stopped_by in ("steps", "time")
            if run.step % config.log_every == 0 or ends:
                _log(run, rate, bar, callbacks)
            improved = False
            if validate is not None and (run.step % config.validate_every == 0 or ends):
                improved = _validate(run, validate, callbacks)
            if run.step % config.checkpoint_every == 0 or stopped_by or improved or interrupts:
                run.save("best.pt", "last.pt") if improved else run.save("last.pt")
                _call(run, callbacks, "on_checkpoint", run.out and run.out / "last.pt")
            if interrupts and not stopped_by:
                raise KeyboardInterrupt(f"Training was interrupted at step {run.step} and saved in {run.out}")
    return stopped_by


def _next_batches(run: Run, stream: Iterator[Batch]) -> list[Batch]:
    """The micro-batches of a step, all of them before the first is used: so the run can still be saved.

    Raises:
        DataError: one of them cannot be made, for example because a file was damaged meanwhile.
    """
    try:
        return [next(stream) for _ in range(run.config.accumulate)]
    except DataError as error:
        if run.out is None or run.step == 0:
            raise
        run.save("last.pt")
        raise DataError(
            f"{str(error).rstrip('.')}; training stopped at step {run.step} and is saved in {run.out}: put "
            "the file right, then continue with --resume."
        ) from error


def _take_step(run: Run, stream: Iterator[Batch]) -> float:
    """One step of every optimiser; returns the factor of the learning rates.

    Raises:
        TrainingError: a named scalar is not finite; no optimiser has made its step.
        DataError: see `_next_batches`.
    """
    config, task, runtime = run.config, run.task, run.runtime
    factor = LR_SCHEDULES[config.lr_schedule](_progress(run) * config.steps, config.steps, **config.lr_params)
    run.set_rates(factor)
    for optimizer in task.optimizers.values():
        optimizer.zero_grad()
    parts = []
    for whole in _next_batches(run, stream):
        batch = to_device(run.processes.part(whole), run.device, channels_last=config.channels_last)
        with runtime.autocast():
            scalars = task.step(batch, runtime)
        parts.append(torch.stack([value.detach().float() for value in scalars.values()]))
    scalars_mean = parts[0] if len(parts) == 1 else torch.stack(parts).mean(0)
    # tolist is the only synchronisation with the device in the loop.
    _note(run, list(scalars), run.processes.mean(scalars_mean).tolist())
    run.processes.average_gradients(run.parameters)
    for optimizer in task.optimizers.values():
        if config.clip_norm is not None:
            own = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(own, config.clip_norm)
        optimizer.step()
    if run.ema is not None:
        run.ema.update()
    run.step += 1
    return factor


def _note(run: Run, names: list[str], values: list[float]) -> None:
    """Add this step's scalars to the running means, or stop training if one is not finite."""
    for name, value in zip(names, values, strict=True):
        if not math.isfinite(value):
            saved = f"; {run.out / 'last.pt'} is intact" if run.out and (run.out / "last.pt").exists() else ""
            raise TrainingError(
                f"The loss term {name!r} is {value} at step {run.step + 1}; training stopped before this "
                f"step changed the weights{saved}: "
                "look at the data of this step, lower the learning rate, or use precision fp32."
            )
        entry = run.window.setdefault(name, [0.0, 0.0])
        entry[0] += value
        entry[1] += 1.0


def _progress(run: Run) -> float:
    """Progress of the schedule, in [0, 1]."""
    by_step = run.step / run.config.steps
    if run.config.schedule_by == "step":
        return by_step
    return min(1.0, max(by_step, run.processes.agree(run.seconds) / (run.config.max_seconds or math.inf)))


def _stopped_by(run: Run, until: int | None, *, at_start: bool = False) -> str:
    """The reason "steps", "time" or "until" if this call of `fit` is over, else the empty string.

    At the start of a call only a budget that earlier calls have used up ends it, so that every other call
    takes at least one step.
    """
    config = run.config
    if run.step >= config.steps:
        return "steps"
    if config.max_seconds is not None:
        of_run = config.schedule_by == "time"
        seconds = run.seconds if of_run else run.seconds_of_call
        counts = not at_start or (of_run and run.step > 0)
        if counts and run.processes.agree(seconds) >= config.max_seconds:
            return "time"
    return "until" if until is not None and run.step >= until else ""


def _log(run: Run, factor: float, bar: Any, callbacks: Callbacks) -> None:
    """Write the means since the last record to the history, the progress bar and the callbacks."""
    means = {name: total / count for name, (total, count) in run.window.items()}
    run.window = {}
    rates = {f"lr_{name}": rates[0] * factor for name, rates in run.rates.items()}
    record = {"step": run.step, "seconds": round(run.seconds, 3), **rates, **means}
    run.history.append(record)
    bar.set_postfix({name: f"{value:.3g}" for name, value in list(means.items())[:4]}, refresh=False)
    _call(run, callbacks, "on_log", record)


def _validate(run: Run, validate: Validate, callbacks: Callbacks) -> bool:
    """Validate in eval mode with averaged weights; returns whether the score is the best so far."""
    config, improved = run.config, False
    if run.processes.rank == 0:
        state, networks = random_state(run.device), run.task.networks.values()
        for network in networks:
            network.eval()
        with torch.no_grad(), run.ema.applied() if run.ema else nullcontext():
            scores = {name: float(score) for name, score in validate(run.task).items()}
        for network in networks:
            network.train()
        set_random_state(state, run.device)  # validation must not change training's random numbers
        record = {
            "step": run.step,
            "seconds": round(run.seconds, 3),
            **{f"val_{k}": v for k, v in scores.items()},
        }
        run.history.append(record)
        _call(run, callbacks, "on_validate", record)
        improved = _is_best(run, scores)
    improved = bool(run.processes.agree(float(improved))) if config.monitor else False
    return improved


def _is_best(run: Run, scores: Mapping[str, float]) -> bool:
    name = run.config.monitor
    if name is None:
        return False
    if name not in scores:
        raise ConfigError(f"FitConfig.monitor is {name!r}, but validation gives {', '.join(scores)}.")
    sign = 1.0 if run.config.monitor_mode == "max" else -1.0
    if math.isnan(scores[name]) or (run.best and sign * scores[name] <= sign * run.best.score):
        return False
    run.best = Best(name, run.step, scores[name])
    return True


def _call(run: Run, callbacks: Callbacks, event: str, value: Any) -> None:
    if event in callbacks and run.processes.rank == 0 and value is not None:
        callbacks[event](value)
