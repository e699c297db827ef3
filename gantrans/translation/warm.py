"""Begin a training with the weights of another run instead of random ones: `train --from RUN`.

Only weights are taken, those by which the other run translates. Step, schedule, optimiser state and random
numbers are new: the pairs are others, and the whole schedule is trained. Fine-tuning in the loop continues
the optimiser as well, at a low rate, see `gantrans.operations.promotion.warm_start`.

What was taken is stored with the run under `BEGUN_FROM` of the checkpoint's `extra`, so that a resumed run
needs the other run no more, and a registry shows where a version came from.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from gantrans.config import from_dict, to_dict
from gantrans.errors import CheckpointError, ConfigError
from gantrans.training import Task, load_checkpoint
from gantrans.training.checkpoint import differences, load_weights, weights_of
from gantrans.training.run import stored_extra

BEGUN_FROM = "begun_from"
_CRITICS = ("discriminator", "d_a", "d_b")
"""Networks that a run may lack; every other network of the new training is needed."""
_CONFIGURED = {"a": "generator_a", "b": "generator_b", "d_a": "discriminator", "d_b": "discriminator"}
"""Network of a task -> field of the task's configuration, where the names differ."""
_MEANING = ("network", "schedule", "steps", "prediction", "loss")
"""Settings of a diffusion model on which the meaning of its weights depends."""
_MOST_NAMED = 3
C = TypeVar("C")
T = TypeVar("T", bound=Task)


@dataclass(frozen=True)
class BegunFrom:
    """The origin of the first weights of a run.

    run: the other run as it was stated. step: of its checkpoint. networks: those that were taken, the
    others began at random. sha256: of their weights.
    """

    run: str
    step: int
    networks: tuple[str, ...]
    sha256: str

    def __str__(self) -> str:
        return f"Begun with the weights of {self.run} at its step {self.step} ({', '.join(self.networks)})."


class WarmStart:
    """The weights that a training begins with.

    Args:
        origin: None for random weights.
        weights: network -> state dict; empty where a checkpoint of the run itself has newer ones.
    """

    def __init__(self, origin: BegunFrom | None, weights: Mapping[str, Mapping[str, Tensor]]) -> None:
        self.origin, self._weights = origin, weights

    def made(self, make: Callable[[C], T], config: C) -> T:
        """A new task, `make(config)`, with these weights."""
        task = make(config)
        for name, weights in self._weights.items():
            load_weights(task.networks[name], weights, f"the run to begin from ({name})")
        return task

    @property
    def kept(self) -> dict[str, Any]:
        """What the run stores of it, for `extra` of `fit`."""
        return {} if self.origin is None else {BEGUN_FROM: to_dict(self.origin)}


def warm_start_of(task: Task, start: Path | None, out: Path | None, *, resume: bool) -> WarmStart:
    """The weights that a training of `task` begins with.

    Args:
        start: another run, or one of its checkpoints; None for random weights, or when resuming for what the
            run in `out` began with.
        out: folder of the training. With `resume` it states what the run began with; `start` is read again
            only if the run was killed before its first checkpoint.

    Raises:
        CheckpointError: `start` is missing or no run, its networks differ, or the run in `out` began
            otherwise.
    """
    if not resume or out is None:
        return WarmStart(None, {}) if start is None else _read(task, start)
    if not any((out / name).exists() for name in ("last.pt", "config.json")):
        return WarmStart(None, {})  # `fit` raises: there is no run to resume
    origin = origin_of(out)
    if start is not None and (origin is None or Path(origin.run).resolve() != start.resolve()):
        began = "with random weights" if origin is None else f"from {origin.run}"
        raise CheckpointError(f"The run in {out} began {began}, not from {start}; resume it without --from.")
    if origin is None or (out / "last.pt").exists():
        return WarmStart(origin, {})
    again = _read(task, Path(origin.run))
    if again.origin != origin:
        raise CheckpointError(
            f"{origin.run} is no longer what the run in {out} began with, which has no checkpoint yet; "
            "train afresh in another --out."
        )
    return again


def origin_of(out: Path) -> BegunFrom | None:
    """What the run in a folder began with; None for random weights, or if there is no run.

    Raises:
        CheckpointError: the run cannot be read.
    """
    stored = stored_extra(out).get(BEGUN_FROM)
    try:
        return None if stored is None else from_dict(BegunFrom, stored)
    except ConfigError as error:
        raise CheckpointError(f"{out} does not state what its run began with; train afresh.") from error


def _read(task: Task, start: Path) -> WarmStart:
    """The weights of a run for the networks of a new task; see `warm_start_of`."""
    contents = load_checkpoint(start)
    theirs, ours = contents["settings"].get("task", {}), to_dict(task.config)
    taken: dict[str, Mapping[str, Tensor]] = {}
    for name in task.networks:
        if name in _CRITICS and name not in contents["networks"]:
            continue
        if name not in contents["networks"]:
            there = ", ".join(contents["networks"])
            raise CheckpointError(
                f"{start} cannot begin this training: it has no network {name!r} (it has {there}); give a "
                "run of the same recipe."
            )
        _check_equal(start, name, _described(theirs, name), _described(ours, name))
        taken[name] = weights_of(contents, name)
    return WarmStart(BegunFrom(str(start), contents["step"], tuple(taken), _digest(taken)), taken)


def _described(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The configuration of a network within a task's stored configuration."""
    diffusion = settings.get("diffusion")
    if isinstance(diffusion, Mapping):
        return {key: diffusion.get(key) for key in _MEANING}
    found = settings.get(_CONFIGURED.get(name, name))
    return found if isinstance(found, Mapping) else {}


def _check_equal(start: Path, name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise a `CheckpointError` that names the settings in which two networks differ."""
    found = differences(theirs, ours)
    if found:
        more = [f"and {len(found) - _MOST_NAMED} more"] * (len(found) > _MOST_NAMED)
        raise CheckpointError(
            f"{start} cannot begin this training: the settings of its {name} differ "
            f"({'; '.join(found[:_MOST_NAMED] + more)}); give a run of the same recipe and scale, or leave "
            "out --from."
        )


def _digest(networks: Mapping[str, Mapping[str, Tensor]]) -> str:
    """SHA-256 of names and values of all weights."""
    digest = hashlib.sha256()
    for network, weights in networks.items():
        for key, value in weights.items():
            digest.update(f"{network}.{key}{tuple(value.shape)}{value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
