"""From noise to samples: DDPM, DDIM and DPM-Solver++(2M) as pure functions over a denoiser.

One step goes from timestep t to an earlier one (primes; at the end a' = 1, s' = 0), in one form:

    x' = image * D + rest * x_t + spread * z,   rest = sqrt(s'^2 - spread^2) / s,   image = a' - rest * a

with a = sqrt(alpha_bar), s = sqrt(1 - alpha_bar), z standard normal. DDIM (Song et al. 2021, eq. 12 and 16)
has D = the predicted x_0 and spread = eta (s' / s) sqrt(1 - alpha_bar / alpha_bar'); DDPM (Ho et al. 2020,
eq. 7, the smaller variance, `fixed_small`) is DDIM with eta = 1. DPM-Solver++(2M) (Lu et al. 2022, algorithm
2) has spread = 0 and D = x_0 extrapolated from that of the step before. Because the step is written in x_0,
clipping x_0 changes epsilon consistently.

Differences to diffusers: its default "leading" timesteps do not include T - 1 (10 of 1000 steps start at
900); its DDIM combines a clipped x_0 with the raw epsilon unless `use_clipped_model_output=True`.
"""

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor
from tqdm.auto import tqdm

from gantrans.config import check_choice, check_range
from gantrans.diffusion.parameterisation import check_prediction
from gantrans.diffusion.schedules import Schedule
from gantrans.errors import ConfigError, DataError

Model = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, ...), t (B,) int64) -> the prediction, (B, ...)."""

SAMPLERS = ("ddpm", "ddim", "dpm++")
S = TypeVar("S")


@dataclass(frozen=True)
class SamplerConfig:
    """Settings of a sampler.

    Attributes:
        sampler: one of `SAMPLERS`.
        count: number of steps, each one evaluation of the network (NFE).
        eta: noise of DDIM, 0 (deterministic) to 1 (DDPM); must be 0 for the other samplers.
        clip: clip the predicted image to [-1, 1].
        rho: spacing of the timesteps, see `sampling_steps`; 1 is even.
    """

    sampler: str = "ddpm"
    count: int = 50
    eta: float = 0.0
    clip: bool = True
    rho: float = 1.0

    def __post_init__(self) -> None:
        check_choice(self, "sampler", SAMPLERS)
        check_range(self, "count", 1)
        check_range(self, "eta", 0.0, 1.0)
        check_range(self, "rho", 1.0, 10.0)
        if self.eta and self.sampler != "ddim":
            raise ConfigError(f"SamplerConfig.eta belongs to ddim; set it to 0 for {self.sampler}.")


@dataclass(frozen=True)
class Step:
    """The coefficients of one step, float64; see the module's formula. signal and sigma are a and s at t.

    extrapolation: D = x_0 + extrapolation * (x_0 - x_0 of the step before); 0 but for DPM-Solver++.
    """

    t: int
    signal: float
    sigma: float
    image: float
    rest: float
    spread: float
    extrapolation: float


@dataclass(frozen=True)
class Trajectory:
    """All intermediate results of a sampler.

    Attributes:
        t: the timesteps visited, descending.
        x_t: (len(t) + 1, N, ...): the start noise, then the result of each step; the last is the samples.
        x0: (len(t), N, ...): the predicted image at each step.
    """

    t: tuple[int, ...]
    x_t: Tensor
    x0: Tensor


def sampling_steps(steps: int, count: int, rho: float = 1.0) -> tuple[int, ...]:
    """`count` timesteps of 0, ..., steps - 1, descending, the first always steps - 1.

    They follow steps * (1 - i / count)^rho - 1. rho = 1 is even, "trailing" spacing (Lin et al. 2023, table
    2): sampling starts at the last timestep of training. A larger rho spends more of few steps on the last,
    almost clean images, where an imperfect network corrects earlier errors (after Karras et al. 2022, eq. 5).

    Raises:
        ConfigError: more timesteps than the schedule has.
    """
    if not 1 <= count <= steps:
        raise ConfigError(f"{count} sampling steps were asked of a schedule with {steps}; give 1 to {steps}.")
    result: list[int] = []
    for i in reversed(range(count)):  # from the end, so that rounding never makes two timesteps equal
        even = steps - i * steps / count
        t = round(even if rho == 1.0 else steps * (even / steps) ** rho) - 1
        result.append(max(t, result[-1] + 1 if result else 0))
    return tuple(reversed(result))


def ddpm_step(t: int, alpha_bar: float, alpha_bar_next: float) -> Step:
    """Coefficients of one DDPM step from t to the timestep with `alpha_bar_next` (1 at the end).

    Ho et al. 2020, eq. 7 with the smaller variance (section 3.2), which is DDIM with eta = 1. Called through
    `sample` with `SamplerConfig("ddpm")`.

    Canonical form: `lessons.lesson03.ddpm.ddpm_sample`; this adds steps over any subset of the timesteps and
    writes the step in x_0, because clipping x_0 then changes epsilon consistently.
    """
    return ddim_step(t, alpha_bar, alpha_bar_next, eta=1.0)


def ddim_step(t: int, alpha_bar: float, alpha_bar_next: float, eta: float = 0.0) -> Step:
    """Coefficients of one DDIM step (Song et al. 2021, eq. 12; spread is their sigma, eq. 16).

    Canonical form: `lessons.lesson03.ddpm.ddim_sample`; this writes the step in x_0, because clipping x_0
    then changes epsilon consistently.
    """
    a, s, a_next, s_next = _signals(alpha_bar, alpha_bar_next)
    spread = eta * s_next / s * math.sqrt(1 - alpha_bar / alpha_bar_next)
    rest = math.sqrt(max(s_next**2 - spread**2, 0.0)) / s
    return Step(t, a, s, a_next - rest * a, rest, spread, 0.0)


def dpm_solver_step(t: int, alpha_bar: float, alpha_bar_next: float, h_before: float) -> Step:
    """Coefficients of one DPM-Solver++(2M) step (Lu et al. 2022, algorithm 2).

    Canonical form: `lessons.lesson03.exercises.dpm_step.dpm_step`; this writes both orders as one
    formula, because `take_step` can then apply every sampler.

    Args:
        h_before: h of the step before (`_log_step`); where h or h_before is infinite, the step is DDIM's.
    """
    step, h = ddim_step(t, alpha_bar, alpha_bar_next), _log_step(alpha_bar, alpha_bar_next)
    second = math.isfinite(h) and math.isfinite(h_before)
    return replace(step, extrapolation=h / (2 * h_before) if second else 0.0)


@lru_cache(maxsize=64)
def sampler_steps(schedule: Schedule, config: SamplerConfig) -> tuple[Step, ...]:
    """The coefficients of every step, computed once for each schedule (the object) and configuration."""
    times = sampling_steps(schedule.steps, config.count, config.rho)
    alpha_bars = [schedule.alpha_bars[t].item() for t in times]
    result, h_before = [], math.inf
    for t, now, later in zip(times, alpha_bars, (*alpha_bars[1:], 1.0), strict=True):
        if config.sampler == "ddpm":
            result.append(ddpm_step(t, now, later))
        elif config.sampler == "ddim":
            result.append(ddim_step(t, now, later, config.eta))
        else:
            result.append(dpm_solver_step(t, now, later, h_before))
        h_before = _log_step(now, later)
    return tuple(result)


def _signals(alpha_bar: float, alpha_bar_next: float) -> tuple[float, float, float, float]:
    """a, s, a', s' of the module's formula."""
    return (
        math.sqrt(alpha_bar),
        math.sqrt(1 - alpha_bar),
        math.sqrt(alpha_bar_next),
        math.sqrt(1 - alpha_bar_next),
    )


def _log_step(alpha_bar: float, alpha_bar_next: float) -> float:
    """h, the step in log(a / s): infinite from pure noise, where there is nothing to extrapolate, and to the
    image, where the solver falls back to first order.
    """
    a, s, a_next, s_next = _signals(alpha_bar, alpha_bar_next)
    return math.log(a_next * s / (a * s_next)) if a and s_next else math.inf


def take_step(step: Step, x0: Tensor, x_t: Tensor, before: Tensor | None, noise: Tensor | None) -> Tensor:
    """One step: `x0` predicted at `step.t`, `before` the x0 of the step before, `noise` standard normal where
    `step.spread` is not 0; all (B, ...)."""
    # In place on a new tensor: halves the memory traffic, which dominates the step of a small network.
    if step.extrapolation and before is not None:
        x = x0 * (step.image * (1.0 + step.extrapolation))
        x.add_(before, alpha=-step.image * step.extrapolation)
    else:
        x = x0 * step.image
    x.add_(x_t, alpha=step.rest)
    return x.add_(noise, alpha=step.spread) if noise is not None and step.spread else x


def sample(
    model: Model,
    shape: tuple[int, ...],
    schedule: Schedule,
    config: SamplerConfig | None = None,
    *,
    prediction: str,
    generator: torch.Generator,
    noise: Tensor | None = None,
    chunk: int | None = None,
    progress: bool = False,
    trajectory: bool = False,
) -> Tensor | Trajectory:
    """Draw samples.

    Args:
        model: see `Model`; called without gradients, on the generator's device.
        shape: (N, ...) of the samples.
        config: None: `SamplerConfig()`, DDPM in 50 steps.
        prediction: what the model predicts.
        generator: of the start noise and of the noise of every step, both drawn for all N at once, so that
            `chunk` does not change the samples.
        noise: the start noise x_T, (N, ...); None draws it.
        chunk: largest number of samples per call of the model, which bounds the memory; None: all.
        progress: show a progress bar (TQDM_DISABLE=1 hides it as well).
        trajectory: return a `Trajectory` with all intermediate results instead of the samples.

    Raises:
        ConfigError: more sampling steps than timesteps, epsilon with zero terminal SNR, or an unknown name.
        DataError: start noise or a prediction of another shape.
    """
    config = config or SamplerConfig()
    check_prediction(schedule, prediction)
    if chunk is not None and chunk < 1:
        raise ConfigError(f"chunk is {chunk}; give a positive number of samples, or None for all at once.")
    steps = sampler_steps(schedule, config)
    device = generator.device
    x = torch.randn(shape, generator=generator, device=device) if noise is None else noise.to(device)
    if x.shape != torch.Size(shape):
        raise DataError(f"The start noise has shape {tuple(x.shape)}, but {tuple(shape)} was asked for.")
    way, images, before = [x], [], None
    with torch.no_grad():
        visited = torch.tensor([step.t for step in steps], device=device)
        times = visited[:, None].expand(-1, len(x)).unbind()  # once, not in every step
        for i, step in enumerate(shown(steps, config.sampler, progress)):
            x0 = _predicted_image(step, prediction, _evaluate(model, x, times[i], chunk), x)
            if config.clip:
                x0 = x0.clamp(-1.0, 1.0) if prediction == "x0" else x0.clamp_(-1.0, 1.0)
            z = torch.randn(shape, generator=generator, device=device) if step.spread else None
            x, before = take_step(step, x0, x, before, z), x0
            if trajectory:
                way.append(x)
                images.append(x0)
    if not trajectory:
        return x
    return Trajectory(tuple(step.t for step in steps), torch.stack(way), torch.stack(images))


def shown(steps: Sequence[S], name: str, progress: bool) -> Iterable[S]:
    """The steps, under a progress bar of this name if `progress` is set (TQDM_DISABLE=1 hides it)."""
    hidden = not progress or os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
    bar: Iterable[S] = tqdm(steps, disable=hidden, unit="step", desc=name)
    return bar


def _evaluate(model: Model, x: Tensor, t: Tensor, chunk: int | None) -> Tensor:
    """The model's output for all of x, computed in chunks of samples."""
    if chunk is None or chunk >= len(x):
        output = model(x, t)
    else:
        parts = zip(x.split(chunk), t.split(chunk), strict=True)
        output = torch.cat([model(*part) for part in parts])
    _check_output(output, x)
    return output


def _predicted_image(step: Step, prediction: str, output: Tensor, x_t: Tensor) -> Tensor:
    """`to_x0` for one t shared by all samples, so that its factors are plain numbers."""
    a, s = step.signal, step.sigma
    if prediction == "x0":
        return output
    if prediction == "epsilon":
        return (x_t / a).add_(output, alpha=-s / a)
    return (x_t * a).add_(output, alpha=-s)


def _check_output(output: Tensor, x_t: Tensor) -> None:
    if output.shape != x_t.shape:
        raise DataError(
            f"The model returned shape {tuple(output.shape)} for x_t of {tuple(x_t.shape)}; "
            "a prediction has the shape of x_t."
        )
