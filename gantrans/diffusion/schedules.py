"""Noise schedules: the amounts of signal and noise at each timestep, in float64.

x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) epsilon, t = 0, ..., T - 1 (Ho et al. 2020, eq. 4, counted
from 0 as in code). A schedule determines the signal-to-noise ratio alpha_bar / (1 - alpha_bar).

Two schedules are called "sigmoid": sigmoid betas (GeoDiff, Xu et al. 2022) and sigmoid alpha-bar (Jabri et
al. 2022); here they are `sigmoid` and `sigmoid_alpha_bar`.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gantrans.errors import ConfigError

SCHEDULES = ("linear", "quadratic", "cosine", "sigmoid", "sigmoid_alpha_bar")
BETA_RANGES = {"linear": (1e-4, 0.02), "quadratic": (1e-4, 0.02), "sigmoid": (1e-4, 0.02)}
"""First and last beta of schedules that are defined by their betas; they belong to `REFERENCE_STEPS`."""
SHIFTED = {"shifted_linear": ("linear", 0.3)}
"""Schedules of another one whose image counts less: that one, and the factor of the image's amplitude."""
REFERENCE_STEPS = 1000
LARGEST_BETA = 0.999
"""Cap on the betas that follow from an alpha-bar curve (Nichol and Dhariwal 2021, sec. 3.2)."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """The T betas of a schedule, float64, and the quantities derived from them; every tensor has shape (T,).

    Only the last beta may be 1 (zero terminal SNR, Lin et al. 2023): after a beta of 1, x_t is pure noise at
    all later steps.

    Raises:
        ConfigError: betas outside (0, 1], or 1 before the last step.
    """

    name: str
    betas: Tensor

    def __post_init__(self) -> None:
        betas = self.betas.double()
        object.__setattr__(self, "betas", betas)
        if betas.dim() != 1 or len(betas) == 0:
            raise ConfigError(
                f"The betas of schedule {self.name!r} have shape {tuple(betas.shape)}; give (T,)."
            )
        if not bool(((betas > 0) & (betas <= 1)).all()):
            raise ConfigError(
                f"The betas of schedule {self.name!r} reach from {betas.min():.3g} to {betas.max():.3g}, "
                "but a beta is a variance in (0, 1]; use smaller betas or more steps."
            )
        if bool((betas[:-1] == 1).any()):
            raise ConfigError(
                f"A beta of schedule {self.name!r} is 1 before the last step, so nothing of the image "
                "would be left for the steps after it; only the last beta may be 1."
            )

    @property
    def steps(self) -> int:
        """T."""
        return len(self.betas)

    @cached_property
    def alphas(self) -> Tensor:
        """1 - beta."""
        return 1.0 - self.betas

    @cached_property
    def alpha_bars(self) -> Tensor:
        """Product of the alphas up to and including t: the remaining share of the image's variance."""
        return torch.cumprod(self.alphas, 0)

    @cached_property
    def signal(self) -> Tensor:
        """sqrt(alpha_bar), the factor of the image."""
        return self.alpha_bars.sqrt()

    @cached_property
    def sigma(self) -> Tensor:
        """sqrt(1 - alpha_bar), the factor of the noise."""
        return (1.0 - self.alpha_bars).sqrt()

    @cached_property
    def snr(self) -> Tensor:
        """alpha_bar / (1 - alpha_bar)."""
        return self.alpha_bars / (1.0 - self.alpha_bars)

    @cached_property
    def log_snr(self) -> Tensor:
        """Natural logarithm of the SNR; -inf at a last beta of 1."""
        return torch.log(self.alpha_bars) - torch.log1p(-self.alpha_bars)


def make_schedule(
    name: str, steps: int = REFERENCE_STEPS, *, rescale: bool = True, zero_terminal_snr: bool = False
) -> Schedule:
    """One of `SCHEDULES` or `SHIFTED` with T = `steps`.

    - linear: betas from 1e-4 to 0.02 (Ho et al. 2020);
    - quadratic: their square roots are evenly spaced (the `scaled_linear` of diffusers);
    - sigmoid: betas follow a sigmoid of an argument from -6 to 6 (GeoDiff);
    - cosine: alpha_bar(u) = cos^2(pi/2 (u + .008) / 1.008), betas at most .999 (Nichol and Dhariwal 2021);
    - sigmoid_alpha_bar: alpha_bar(u) falls as a sigmoid of an argument from -3 to 3 (Jabri et al. 2022),
      betas at most .999;
    - shifted_linear: the SNR of linear times 0.3^2 at every step (Hoogeboom et al. 2023, sec. 2.1), which is
      linear for an image of 0.3 times the amplitude (Chen 2023, strategy 2).

    Canonical form: `lessons.lesson01.exercises.linear_betas.linear_betas` and `cosine_betas` beside it;
    this adds the other schedules, the rescaling of all beta ranges to T and zero terminal SNR.

    Args:
        rescale: multiply betas that belong to T = 1000 by 1000 / T, so that the last step is noise for every
            T. diffusers does not: with T = 200 the amplitude of the image at the last step of its linear
            schedule is still 36 %.
        zero_terminal_snr: shift and stretch sqrt(alpha_bar) so that the last is exactly 0 (Lin et al. 2023,
            algorithm 1). At the last step epsilon then equals x_t and does not determine x0: predict x0 or v.

    Raises:
        ConfigError: an unknown name; no positive number of steps; so few that a rescaled beta reaches 1.
    """
    if name not in (*SCHEDULES, *SHIFTED):
        listed = ", ".join((*SCHEDULES, *SHIFTED))
        raise ConfigError(f"There is no schedule {name!r}; the schedules are {listed}.")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise ConfigError(f"A schedule needs at least 2 steps, and steps is {steps!r}.")
    if name in SHIFTED:
        base, amplitude = SHIFTED[name]
        betas = _shifted(make_schedule(base, steps, rescale=rescale).alpha_bars, amplitude)
    elif name in BETA_RANGES:
        betas = _betas(name, steps, REFERENCE_STEPS / steps if rescale else 1.0)
    else:
        betas = _betas_of_curve(name, steps)
    if zero_terminal_snr:
        betas = _end_in_noise(betas)
    return Schedule(name, betas)


def _betas(name: str, steps: int, factor: float) -> Tensor:
    first, last = (factor * beta for beta in BETA_RANGES[name])
    if last >= 1.0:
        least = math.floor(REFERENCE_STEPS * BETA_RANGES[name][1]) + 1
        raise ConfigError(
            f"With {steps} steps the {name} schedule's last beta, scaled from T = {REFERENCE_STEPS}, would "
            f"be {last:.3g}, and a beta must stay below 1; use at least {least} steps or the cosine schedule."
        )
    if name == "quadratic":
        return torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64) ** 2
    if name == "sigmoid":
        ramp = torch.sigmoid(torch.linspace(-6.0, 6.0, steps, dtype=torch.float64))
        return first + (last - first) * ramp
    return torch.linspace(first, last, steps, dtype=torch.float64)


def _betas_of_curve(name: str, steps: int) -> Tensor:
    """beta_t = 1 - alpha_bar((t + 1) / T) / alpha_bar(t / T)."""
    u = torch.arange(steps + 1, dtype=torch.float64) / steps
    if name == "cosine":
        alpha_bar = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    else:
        start, end = (torch.sigmoid(torch.tensor(x, dtype=torch.float64)) for x in (-3.0, 3.0))
        alpha_bar = (end - torch.sigmoid(-3.0 + 6.0 * u)) / (end - start)
    return (1.0 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=LARGEST_BETA)


def _shifted(alpha_bars: Tensor, amplitude: float) -> Tensor:
    """The betas whose SNR is amplitude^2 times that of `alpha_bars`."""
    signal = amplitude**2 * alpha_bars
    shifted = signal / (signal + 1.0 - alpha_bars)
    return 1.0 - shifted / torch.cat([shifted.new_ones(1), shifted[:-1]])


def _end_in_noise(betas: Tensor) -> Tensor:
    signal = torch.cumprod(1.0 - betas, 0).sqrt()
    signal = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    alpha_bars = signal**2
    alphas = torch.cat([alpha_bars[:1], alpha_bars[1:] / alpha_bars[:-1]])
    return 1.0 - alphas
