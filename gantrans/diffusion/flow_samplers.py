"""Samplers of a velocity field: from noise at t = 1 along straight steps to an image at t = 0.

`euler_sample` takes one evaluation of the network per step, `heun_sample` two. On a field without curvature
one step is exact; how many are needed measures how curved the trajectories are.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from gantrans.diffusion.flow import Field
from gantrans.diffusion.samplers import shown
from gantrans.errors import ConfigError, DataError


def flow_times(count: int, shift: float = 1.0) -> tuple[float, ...]:
    """count + 1 times from 1 to 0: t = shift e / (1 + (shift - 1) e) of evenly spaced e (Esser et al. 2024).

    `shift` 1 is even; above 1, more of the steps are near the noise; below 1, near the image.

    Raises:
        ConfigError: fewer than one step, or a shift that is not above 0.
    """
    if count < 1 or not shift > 0:
        raise ConfigError(f"{count} steps with shift {shift:g} were asked for; give 1 or more, and above 0.")
    even = [1.0 - i / count for i in range(count + 1)]
    return tuple(shift * e / (1.0 + (shift - 1.0) * e) for e in even)


def euler_sample(
    velocity: Field,
    noise: Tensor,
    times: Sequence[float],
    *,
    renew: float | Literal["ddpm"] = 0.0,
    generator: torch.Generator | None = None,
    chunk: int | None = None,
    progress: bool = False,
    trajectory: bool = False,
) -> Tensor:
    """Follow a velocity field from `times[0]` to `times[-1]` in straight steps; one evaluation each.

    Args:
        noise: (N, ...), x at `times[0]`; standard normal at t = 1.
        times: descending, in [0, 1].
        renew: share of the noise's variance that every step replaces by fresh noise. 0: the differential
            equation. 1: the image alone is kept. "ddpm": 1 - SNR(t) / SNR(t'), which makes each step that of
            DDPM with `flow_schedule`. Fresh noise hides errors that earlier steps have made.
        generator: of the fresh noise; needed unless `renew` is 0.
        chunk: largest number of samples per call of the field, which bounds the memory; None: all.
        progress: show a progress bar (TQDM_DISABLE=1 hides it as well).
        trajectory: return all points of the way, (len(times), N, ...), not only the last (N, ...).

    Raises:
        ConfigError: times that do not descend within [0, 1], a share outside [0, 1], or no generator.
    """
    _check_times(times)
    if renew != "ddpm" and not 0.0 <= renew <= 1.0:
        raise ConfigError(f"renew is {renew!r}; give a share in [0, 1] or 'ddpm'.")
    if renew and generator is None:
        raise ConfigError("Fresh noise needs a generator, and none was given; give generator or renew = 0.")
    x, way = noise, [noise]
    with torch.no_grad():
        for t, later in shown(_pairs(times), "flow", progress):
            u = _evaluated(velocity, x, t, chunk)
            fresh = 1.0 - _kept(t, later) if renew == "ddpm" else float(renew)
            if fresh:
                x0, kept = x - t * u, x + (1.0 - t) * u  # the image, and the noise
                z = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
                x = (1.0 - later) * x0 + later * (math.sqrt(1.0 - fresh) * kept + math.sqrt(fresh) * z)
            else:
                x = x + (later - t) * u
            way.append(x)
    return torch.stack(way) if trajectory else x


def heun_sample(
    velocity: Field,
    noise: Tensor,
    times: Sequence[float],
    *,
    progress: bool = False,
    trajectory: bool = False,
) -> Tensor:
    """Follow a velocity field by Heun's method: every step goes with the mean of the velocities at its ends.

    Two evaluations a step, and one for a step to t = 0, which is Euler's, as in Karras et al. 2022,
    algorithm 1: 2 len(times) - 3 in all. For the arguments see `euler_sample`.
    """
    _check_times(times)
    x, way = noise, [noise]
    with torch.no_grad():
        for t, later in shown(_pairs(times), "flow", progress):
            u = _evaluated(velocity, x, t)
            reached = x + (later - t) * u
            if later > 0:
                u = (u + _evaluated(velocity, reached, later)) / 2.0
                reached = x + (later - t) * u
            x = reached
            way.append(x)
    return torch.stack(way) if trajectory else x


def _kept(t: float, later: float) -> float:
    """SNR(t) / SNR(later): the share of the noise that a step of DDPM keeps; 0 from pure noise."""
    return ((1.0 - t) * later / (t * (1.0 - later))) ** 2 if later else 0.0


def _pairs(times: Sequence[float]) -> list[tuple[float, float]]:
    return list(pairwise(times))


def _evaluated(velocity: Field, x: Tensor, t: float, chunk: int | None = None) -> Tensor:
    """The field at every point of x, computed in chunks of samples."""
    parts = x.split(chunk or len(x))
    result = torch.cat([velocity(part, torch.full((len(part),), t, device=x.device)) for part in parts])
    if result.shape != x.shape:
        raise DataError(f"The field gave shape {tuple(result.shape)} for x of {tuple(x.shape)}.")
    return result


def _check_times(times: Sequence[float]) -> None:
    falling = all(t > later for t, later in _pairs(times)) if len(times) > 1 else False
    if not falling or times[0] > 1.0 or times[-1] < 0.0:
        raise ConfigError(
            f"The times of a flow are {len(times)} numbers from {times[0] if times else 'nothing'} on; "
            "give two or more that descend within [0, 1], such as flow_times(10)."
        )
