"""The three predictions - noise (epsilon), image (x0) and v - and the conversions between them.

With x_t = a x_0 + s epsilon, a = sqrt(alpha_bar), s = sqrt(1 - alpha_bar): v = a epsilon - s x_0 (Salimans
and Ho 2022), so x_0 = a x_t - s v and epsilon = s x_t + a v. The three carry the same information, but
errors are not equal: an error e of x_0 is an error e a / s of epsilon and e / s of v. The score
of p(x_t) is -epsilon / s (Vincent 2011).
"""

import math

import torch
from torch import Tensor

from gantrans.diffusion.schedules import Schedule
from gantrans.errors import ConfigError, DataError

PREDICTIONS = ("epsilon", "x0", "v")
WEIGHTINGS = ("uniform", "snr", "truncated_snr", "min_snr", "bound", "middle")
MIDDLE = (0.4, 0.7)
"""Mean and standard deviation of log(u / (1 - u)), u = t / T, under the weighting "middle"."""


def check_prediction(schedule: Schedule, prediction: str) -> None:
    """Check that a prediction can be trained and sampled with a schedule.

    Raises:
        ConfigError: an unknown prediction, or epsilon where x_t at the last step is pure noise.
    """
    if prediction not in PREDICTIONS:
        raise ConfigError(
            f"There is no prediction {prediction!r}; the predictions are {', '.join(PREDICTIONS)}."
        )
    if prediction == "epsilon" and schedule.alpha_bars[-1] == 0:
        raise ConfigError(
            "With zero terminal SNR the last x_t is pure noise, from which a predicted epsilon gives no "
            "image; predict x0 or v, or use a schedule without zero_terminal_snr."
        )


def q_sample(schedule: Schedule, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """x_t at once: sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise (Ho et al. 2020, eq. 4).

    Canonical form: `lessons.lesson01.exercises.q_sample.q_sample`; this adds checks of shapes and
    timesteps, because wrong ones often broadcast without an error.

    Args:
        x0, noise: (B, ...).
        t: (B,) int64 timesteps 0, ..., T - 1.

    Raises:
        DataError: shapes that do not fit, or a timestep outside the schedule.
    """
    a, s = signal_and_sigma(schedule, t, x0)
    if x0.shape != noise.shape:
        raise DataError(f"x0 has shape {tuple(x0.shape)} and noise {tuple(noise.shape)}; give equal shapes.")
    return a * x0 + s * noise


def target(schedule: Schedule, prediction: str, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """The target of the prediction from `q_sample(schedule, x0, t, noise)`, shape (B, ...)."""
    check_prediction(schedule, prediction)
    if prediction == "epsilon":
        return noise
    if prediction == "x0":
        return x0
    a, s = signal_and_sigma(schedule, t, x0)
    return a * noise - s * x0


def to_x0(schedule: Schedule, prediction: str, output: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """x_0 that corresponds to a prediction, (B, ...).

    Raises:
        ConfigError: epsilon with zero terminal SNR.
    """
    check_prediction(schedule, prediction)
    a, s = signal_and_sigma(schedule, t, x_t)
    if prediction == "x0":
        return output
    if prediction == "epsilon":
        return (x_t - s * output) / a
    return a * x_t - s * output


def to_epsilon(schedule: Schedule, prediction: str, output: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """epsilon that corresponds to a prediction, (B, ...)."""
    check_prediction(schedule, prediction)
    a, s = signal_and_sigma(schedule, t, x_t)
    if prediction == "epsilon":
        return output
    if prediction == "x0":
        return (x_t - a * output) / s
    return s * x_t + a * output


def convert(schedule: Schedule, output: Tensor, x_t: Tensor, t: Tensor, *, source: str, to: str) -> Tensor:
    """Convert a prediction of kind `source` to kind `to`, exactly; (B, ...)."""
    check_prediction(schedule, source)
    check_prediction(schedule, to)
    if source == to:
        return output
    x0 = to_x0(schedule, source, output, x_t, t)
    if to == "x0":
        return x0
    epsilon = to_epsilon(schedule, source, output, x_t, t)
    if to == "epsilon":
        return epsilon
    a, s = signal_and_sigma(schedule, t, x_t)
    return a * epsilon - s * x0


def loss_weight(schedule: Schedule, prediction: str, weighting: str, t: Tensor) -> Tensor:
    """Factor on the mean squared error of `prediction` at t, (B,) float64; "uniform" is 1 (the usual loss).

    The others are defined by the weight w of the squared error of x_0, for every prediction:
    - snr: w = SNR, equal to the squared error of epsilon (Ho et al. 2020, "simple");
    - truncated_snr: w = max(SNR, 1) (Salimans and Ho 2022);
    - min_snr: w = min(SNR, 5) (Hang et al. 2023);
    - bound: w = (SNR(t - 1) - SNR(t)) / 2, the terms of the variational bound (Kingma et al. 2021, eq. 13);
      at t = 0 it is SNR(0) / 2, the reconstruction by a Gaussian of variance 1 / SNR(0);
    - middle: w = the density of t / T under a logit-normal distribution (Esser et al. 2024, sec. 3.1, for
      flow matching), `MIDDLE`, where a layout is decided: almost pure noise shows nothing to learn, and an
      almost clean image leaves nothing to decide.

    Raises:
        ConfigError: an unknown prediction or weighting.
    """
    check_prediction(schedule, prediction)
    if weighting not in WEIGHTINGS:
        raise ConfigError(f"There is no weighting {weighting!r}; the weightings are {', '.join(WEIGHTINGS)}.")
    _check_t(schedule, t)
    where = t.to(schedule.betas.device)
    snr = schedule.snr[where]
    if weighting == "uniform":
        return torch.ones_like(snr).to(t.device)
    if weighting == "bound":
        earlier = torch.where(where > 0, schedule.snr[(where - 1).clamp(min=0)], 2 * snr)
        weight = (earlier - snr) / 2
    elif weighting == "middle":
        weight = middle_density(where, schedule.steps)
    elif weighting == "snr":
        weight = snr
    else:
        weight = snr.clamp(min=1.0) if weighting == "truncated_snr" else snr.clamp(max=5.0)
    # The error of x0 is s / a times that of epsilon and s times that of v.
    per_output = {"x0": torch.ones_like(snr), "epsilon": 1.0 / snr, "v": 1.0 - schedule.alpha_bars[where]}
    return (weight * per_output[prediction]).to(t.device)


def middle_density(t: Tensor, steps: int) -> Tensor:
    """The density of "middle" at the timesteps (B,) int64, (B,) float64; 1 on average over all timesteps."""
    u = (t.double() + 0.5) / steps
    z = (torch.logit(u) - MIDDLE[0]) / MIDDLE[1]
    return torch.exp(-z.square() / 2) / (MIDDLE[1] * math.sqrt(2 * math.pi) * u * (1 - u))


def middle_timesteps(count: int, steps: int, generator: torch.Generator) -> Tensor:
    """Timesteps (count,) int64 with the density of "middle", one from each of `count` equal shares of it.

    Ascending, on the generator's device.
    """
    device = generator.device
    kind = torch.float32 if device.type == "mps" else torch.float64
    place = torch.rand(count, generator=generator, device=device, dtype=kind)
    share = (torch.arange(count, device=device) + place) / count
    u = torch.sigmoid(MIDDLE[0] + MIDDLE[1] * torch.special.ndtri(share))
    return (u * steps).long().clamp(0, steps - 1)


def signal_and_sigma(schedule: Schedule, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t) with the dtype of `like` (B, ...), shaped (B, 1, ...).

    Raises:
        DataError: t is not (B,) int64 within the schedule.
    """
    _check_t(schedule, t)
    if len(t) != len(like):
        raise DataError(f"There are {len(t)} timesteps for {len(like)} samples; give one for each.")
    where, shape = t.to(schedule.betas.device), (-1,) + (1,) * (like.dim() - 1)
    return schedule.signal[where].to(like).reshape(shape), schedule.sigma[where].to(like).reshape(shape)


def _check_t(schedule: Schedule, t: Tensor) -> None:
    if t.dim() != 1 or t.is_floating_point():
        raise DataError(
            f"Timesteps are whole numbers of shape (B,), not {t.dtype} of shape {tuple(t.shape)}."
        )
    if t.device.type == "cpu" and len(t) and not 0 <= int(t.min()) <= int(t.max()) < schedule.steps:
        raise DataError(
            f"The timesteps reach from {int(t.min())} to {int(t.max())}, but this schedule has "
            f"0, ..., {schedule.steps - 1}."
        )
