"""Learning-rate schedules: pure functions of (step, total) that give a factor for the base rate.

`step` counts the optimiser steps already taken: the first step uses factor(0), the last factor(total - 1),
and factor(total) is the end point of the schedule. `step` may be a fraction, for schedules by time. A
schedule has no state to save: a resumed run has the same rate at the same step.
"""

import inspect
import math
from collections.abc import Callable, Mapping

from gantrans.errors import ConfigError


def constant(step: float, total: int) -> float:
    """Always 1."""
    return 1.0


def linear_decay(step: float, total: int, *, start: float = 0.5) -> float:
    """1 until `start` (a fraction of `total`), then a straight line that is exactly 0 at `total`.

    The usual pix2pix code (Isola et al. 2017, `lr_policy=linear`) divides by n + 1 for n steps of decay, so
    the rate of its last step is 1 / (n + 1) and never reaches 0. Here the rate of the last of n steps is 1 /
    n and the line reaches 0 at the end of training, so that no step has a rate of 0.

    Canonical form: `lessons.lesson06.exercises.decayed_rate.decayed_rate`; this returns a factor
    instead of a rate and adds the parameter `start`.
    """
    first = start * total
    return 1.0 if step < first else max(0.0, (total - step) / max(total - first, 1e-12))


def cosine(step: float, total: int, *, warmup: float = 0.0, floor: float = 0.0) -> float:
    """Straight rise over the fraction `warmup`, cosine from 1 to `floor` (Loshchilov & Hutter 2017)."""
    first = warmup * total
    if step < first:
        return (step + 1.0) / (first + 1.0)
    return floor + (1.0 - floor) * _half_cosine((step - first) / max(total - first, 1e-12))


def one_cycle(
    step: float, total: int, *, warmup: float = 0.3, start: float = 0.04, floor: float = 0.0
) -> float:
    """Cosine from `start` up to 1 over the fraction `warmup`, cosine down to `floor` (Smith & Topin 2018)."""
    first = warmup * total
    if step < first:
        return 1.0 - (1.0 - start) * _half_cosine(step / first)
    return floor + (1.0 - floor) * _half_cosine((step - first) / max(total - first, 1e-12))


LR_SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "linear_decay": linear_decay,
    "cosine": cosine,
    "one_cycle": one_cycle,
}


def check_schedule(name: str, params: Mapping[str, float]) -> None:
    """Raise a `ConfigError` unless the schedule exists and has these parameters, fractions in [0, 1]."""
    if name not in LR_SCHEDULES:
        raise ConfigError(
            f"There is no learning-rate schedule {name!r}; choose one of {', '.join(LR_SCHEDULES)}."
        )
    accepted = [
        p.name for p in inspect.signature(LR_SCHEDULES[name]).parameters.values() if p.kind is p.KEYWORD_ONLY
    ]
    for key, value in params.items():
        if key not in accepted:
            takes = f"it takes {', '.join(accepted)}" if accepted else "it takes none"
            raise ConfigError(f"The learning-rate schedule {name!r} has no parameter {key!r}; {takes}.")
        if not 0.0 <= value <= 1.0:
            raise ConfigError(
                f"{key!r} of the learning-rate schedule {name!r} is {value!r}; it must be in [0, 1]."
            )


def _half_cosine(progress: float) -> float:
    """1 at progress 0, 0 at progress 1 (both exactly), flat at both ends."""
    return 0.5 * (1.0 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
