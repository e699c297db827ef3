"""Consistency distillation: a student gives in one evaluation what its teacher reaches in many steps.

DDIM with a trained denoiser leads from every noisy x_t along one path to one image. The student f(x_t, t) is
to give the end of that path, so f must agree at neighbouring points of it (Song et al. 2023, "Consistency
models", algorithm 2):

    x_s = one DDIM step of the teacher from x_t to the next smaller noise level s
    f(x_t, t) is trained towards f_ema(x_s, s), with averaged weights and without a gradient

The chain of these equations ends at the image itself, because f(x, t) = c_skip x + c_out D(x, t) with
c_skip = 1 and c_out = 0 at zero noise. To sample, f is alternated with fresh noise of a smaller level.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from gantrans.config import check_range
from gantrans.diffusion.guidance import given_with_dropout
from gantrans.diffusion.parameterisation import q_sample, to_x0
from gantrans.diffusion.samplers import Model, sampling_steps, shown
from gantrans.diffusion.schedules import Schedule
from gantrans.diffusion.task import DiffusionConfig, build_denoiser, denoiser_model
from gantrans.errors import ConfigError, DataError
from gantrans.networks import DenoiserConfig, VectorDenoiserConfig
from gantrans.training import Batch, Runtime
from gantrans.training.checkpoint import load_weights

CLEAN = -1
"""The timestep of zero noise, below the T timesteps of a schedule."""
SKIP_WIDTH = 0.1
"""Ratio of noise to signal at which half of f is its input."""
EARLY, LATE = 0.8, 0.3
"""Shares of T between which `few_times` lie after the first. Above, an image is almost undecided; below, an
evaluation changes little."""
_LEAST = 1e-6  # smallest probability in a cross-entropy


def skip_factors(schedule: Schedule, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """c_skip and c_out of the consistency function, shaped (B, 1, ...) for `like` (B, ...).

    With r = sigma / signal: c_skip = w^2 / (r^2 + w^2), w = `SKIP_WIDTH`, and c_out = 1 - c_skip, so that f
    stays between its two parts (after Luo et al. 2023, "Latent consistency models", sec. 4.1).

    Args:
        t: (B,) int64 timesteps, or `CLEAN`, where the factors are 1 and 0 exactly.
    """
    signal, sigma = levels(schedule, t, like)
    ratio = sigma / signal.clamp(min=1e-12)
    skip = SKIP_WIDTH**2 / (ratio.square() + SKIP_WIDTH**2)
    return skip, 1.0 - skip


def consistency_function(
    model: Model, schedule: Schedule, x_t: Tensor, t: Tensor, *, prediction: str = "x0"
) -> Tensor:
    """f(x_t, t) = c_skip x_t + c_out x_0(x_t, t), (B, ...): the image at the end of the path through x_t.

    Args:
        model: a denoiser that predicts `prediction`. t: (B,) int64; `CLEAN` gives x_t itself.
    """
    known = t.clamp(min=0)
    image = to_x0(schedule, prediction, model(x_t, known), x_t, known)
    skip, out = skip_factors(schedule, t, x_t)
    return skip * x_t + out * image


def path_step(schedule: Schedule, x_t: Tensor, t: Tensor, later: Tensor, x0: Tensor) -> Tensor:
    """One DDIM step of every sample from its own timestep to its own smaller one, (B, ...).

    Args:
        t: (B,) int64. later: (B,) int64 below t, or `CLEAN`. x0: the image predicted at x_t, (B, ...).
    """
    signal, sigma = levels(schedule, t, x_t)
    signal_later, sigma_later = levels(schedule, later, x_t)
    return signal_later * x0 + sigma_later / sigma * (x_t - signal * x0)


def levels(schedule: Schedule, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """`signal_and_sigma`, where t may also be `CLEAN`: there signal is 1 and sigma 0 exactly.

    Raises:
        DataError: a timestep outside the schedule.
    """
    if len(t) != len(like) or (t.device.type == "cpu" and len(t) and int(t.min()) < CLEAN):
        raise DataError(f"Give one timestep of 0 to {schedule.steps - 1}, or {CLEAN}, for each sample.")
    where, shape = t.to(schedule.betas.device) + 1, (-1,) + (1,) * (like.dim() - 1)
    one = schedule.signal.new_ones(1)
    signal = torch.cat([one, schedule.signal])[where]
    sigma = torch.cat([one - 1.0, schedule.sigma])[where]
    return signal.to(like).reshape(shape), sigma.to(like).reshape(shape)


@dataclass(frozen=True)
class ConsistencyConfig:
    """What a consistency model is distilled from, and how.

    Attributes:
        teacher: the teacher's configuration; the student has the same network and starts with its weights.
        levels: number of noise levels, timesteps spaced by `sampling_steps`. Few make the teacher's steps
            coarse, many make the chain of equations long.
        ema: decay of the averaged weights that give the targets.
        lr: of AdamW.
    """

    teacher: DiffusionConfig = field(default_factory=DiffusionConfig)
    levels: int = 12
    ema: float = 0.7
    lr: float = 1e-3

    def __post_init__(self) -> None:
        check_range(self, "levels", 2, self.teacher.steps)
        check_range(self, "ema", 0.0, 1.0 - 1e-9)
        check_range(self, "lr", 0.0, open_low=True)
        if self.teacher.network.classes and self.teacher.label_dropout == 0.0:
            raise ConfigError(
                "ConsistencyConfig.teacher was never trained without labels (label_dropout 0), but a student "
                "is distilled without and with them; take a teacher with a label_dropout above 0."
            )

    @property
    def network(self) -> DenoiserConfig | VectorDenoiserConfig:
        """The configuration of the student's network, which is the teacher's."""
        return self.teacher.network


class ConsistencyTask:
    """Consistency distillation as a task for `gantrans.training.fit`.

    Its networks are the student ("denoiser"), the averaged weights that give the targets ("target") and the
    teacher; a checkpoint has all three.

    Args:
        teacher: state dict of the teacher's denoiser.
        seed: without influence, because all weights are the teacher's at the start; tasks have one.

    Raises:
        CheckpointError: weights that do not fit the configured network.
    """

    name = "consistency"

    def __init__(self, config: ConsistencyConfig, teacher: Mapping[str, Tensor], seed: int = 0) -> None:
        self.config = config
        self.schedule = config.teacher.noise_schedule
        self.denoiser, self.target, self.teacher = (
            build_denoiser(config.teacher.network, seed) for _ in range(3)
        )
        self.networks: dict[str, nn.Module] = {
            "denoiser": self.denoiser,
            "target": self.target,
            "teacher": self.teacher,
        }
        for name, network in self.networks.items():
            load_weights(network, teacher, "the teacher")
            network.requires_grad_(name == "denoiser")
        self.optimizers: dict[str, Optimizer] = {
            "denoiser": AdamW(self.denoiser.parameters(), lr=config.lr, weight_decay=0.0, fused=True)
        }
        times = sampling_steps(config.teacher.steps, config.levels)
        self.times = torch.tensor([*times, CLEAN])

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Add one batch's gradient; a batch is that of `DiffusionTask`.

        Canonical form: Song et al. 2023, algorithm 2, with the network's own loss as the distance: the
        cross-entropy for a teacher that was trained with it, else the squared error.

        Returns:
            loss: distance of the student from the target. gap: mean |difference| of the two images.
        """
        x0 = cast(Tensor, batch["x0"])
        device, generator, config = x0.device, runtime.generator, self.config
        self._average()
        place = torch.rand(len(x0), generator=generator, device=device)
        even = (torch.arange(len(x0), device=device) + place) / len(x0)  # one from each of equal shares
        number = (even * config.levels).long().clamp(max=config.levels - 1)
        times = self.times.to(device)
        t, later = times[number], times[number + 1]
        x_t = q_sample(self.schedule, x0, t, torch.randn(x0.shape, generator=generator, device=device))
        teacher = config.teacher
        extra = given_with_dropout(batch, teacher.network.classes, teacher.label_dropout, generator)
        with torch.no_grad():
            x_later = path_step(self.schedule, x_t, t, later, self._image(self.teacher, x_t, t, extra))
            goal = self._image(self.target, x_later, later, extra, skip=True).clamp(-1.0, 1.0)
        image = self._image(self.denoiser, x_t, t, extra, skip=True)
        loss = self._distance(image, goal)
        runtime.backward(loss)
        return {"loss": loss.detach(), "gap": (image.detach() - goal).abs().mean()}

    def _image(
        self, network: nn.Module, x_t: Tensor, t: Tensor, extra: dict[str, Tensor], *, skip: bool = False
    ) -> Tensor:
        """The image that a network predicts; with `skip` its consistency function."""
        teacher = self.config.teacher
        model = denoiser_model(network, teacher, condition=extra.get("condition"), label=extra.get("label"))
        if skip:
            return consistency_function(model, self.schedule, x_t, t, prediction=teacher.prediction)
        return to_x0(self.schedule, teacher.prediction, model(x_t, t), x_t, t).clamp(-1.0, 1.0)

    def _distance(self, image: Tensor, goal: Tensor) -> Tensor:
        if self.config.teacher.loss != "cross_entropy":
            return F.mse_loss(image, goal)
        drawn, wanted = ((x + 1.0) / 2.0 for x in (image.float(), goal.float()))
        drawn = drawn.clamp(_LEAST, 1.0 - _LEAST)
        return -(wanted * drawn.log() + (1.0 - wanted) * (-drawn).log1p()).mean()

    @torch.no_grad()
    def _average(self) -> None:
        """target <- ema target + (1 - ema) student, before the step: the student's weights so far."""
        own: list[Tensor] = list(self.denoiser.parameters())
        averaged: list[Tensor] = list(self.target.parameters())
        torch._foreach_lerp_(averaged, own, 1.0 - self.config.ema)

    def model(self, *, condition: Tensor | None = None, label: Tensor | None = None) -> Model:
        """The student as a `Model` for `consistency_sample`."""
        return denoiser_model(self.denoiser, self.config.teacher, condition=condition, label=label)

    def state(self) -> dict[str, Any]:
        """Empty: target and teacher are networks."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore; see `state`."""


def few_times(count: int, steps: int = 1000) -> tuple[int, ...]:
    """Timesteps of `count` evaluations for `consistency_sample`.

    T - 1 first, then evenly spaced from `EARLY` T to the last, which is 2 / (count + 1) of T but at least
    `LATE` T: 999; 999, 667; 999, 800, 600, 400; and so on. More evaluations near pure noise would decide the
    layout again and again, and every time in favour of what is most frequent.

    Raises:
        ConfigError: fewer than 1, or more than the schedule has between them.
    """
    last = round(steps * max(LATE, 2.0 / (count + 1))) if count > 0 else 0
    first = max(last, round(steps * EARLY))
    most = first - last + 2
    if not 1 <= count <= most:
        raise ConfigError(
            f"{count} evaluations of a consistency model were asked for; give 1 to "
            f"{round(steps * (EARLY - LATE)) + 1}."
        )
    if count <= 2:
        return (steps - 1, last)[:count]
    return (steps - 1, *(round(first - (first - last) * i / (count - 2)) for i in range(count - 1)))


def consistency_sample(
    model: Model,
    shape: tuple[int, ...],
    schedule: Schedule,
    times: Sequence[int],
    *,
    generator: torch.Generator,
    prediction: str = "x0",
    renew: float = 1.0,
    sharpen: float = 1.0,
    noise: Tensor | None = None,
    chunk: int | None = None,
    progress: bool = False,
) -> Tensor:
    """Sample with one evaluation for each of `times` (Song et al. 2023, algorithm 1).

    The image is predicted, noise of the next level is added to it, the image is predicted again. The last
    prediction is the sample.

    Args:
        model: a student, or any denoiser. shape: (N, ...).
        times: descending timesteps, the first T - 1; `few_times` gives good ones.
        generator: of all noise, which is drawn for all N at once, so `chunk` does not change the samples.
        renew: how much of the noise is fresh: 1 all of it, 0 the share of DDPM, 1 - SNR(t) / SNR(t'). Fresh
            noise hides errors, and the image alone carries what was decided.
        sharpen: factor on the log-odds of every predicted pixel, for binary images: above 1 the image that
            receives new noise is more decided than the prediction. With many evaluations this narrows what
            is drawn: without labels, 3 gave 94 % valid clips at 20 evaluations, a third of which had a twin.
        noise: the start noise, (N, ...); None draws it.
        chunk: largest number of samples per call of the model; None: all.
        progress: show a progress bar (TQDM_DISABLE=1 hides it as well).

    Raises:
        ConfigError: timesteps that do not descend within the schedule; a share or factor out of range.
    """
    falling = all(a > b for a, b in pairwise(times))
    if not times or not falling or times[0] >= schedule.steps or times[-1] < 0:
        raise ConfigError(
            f"The timesteps of a consistency model are {list(times)}; give descending ones of "
            f"{schedule.steps - 1} to 0."
        )
    if not 0.0 <= renew <= 1.0 or not sharpen > 0.0:
        raise ConfigError(f"renew is {renew:g} and sharpen {sharpen:g}; give 0 to 1, and a factor above 0.")
    device = generator.device
    x = torch.randn(shape, generator=generator, device=device) if noise is None else noise.to(device)
    image, before = x, times[0]
    with torch.no_grad():
        for number, t in enumerate(shown(list(times), "consistency", progress)):
            if number:
                fresh = torch.randn(shape, generator=generator, device=device)
                x = _noised_anew(schedule, x, image, fresh, before, t, renew)
            filled = torch.full((len(x),), t, device=device)
            parts = zip(x.split(chunk or len(x)), filled.split(chunk or len(x)), strict=True)
            image = torch.cat(
                [consistency_function(model, schedule, *part, prediction=prediction) for part in parts]
            )
            image, before = _sharpened(image.clamp(-1.0, 1.0), sharpen), t
    return image


def _noised_anew(
    schedule: Schedule, x: Tensor, image: Tensor, fresh: Tensor, before: int, t: int, renew: float
) -> Tensor:
    """The image at the noise level of t, with the share `renew` of the noise fresh, the rest that of x."""
    signal, sigma = float(schedule.signal[before]), float(schedule.sigma[before])
    kept = (1.0 - renew) * float(schedule.snr[before] / schedule.snr[t])
    mixed = math.sqrt(kept) * (x - signal * image) / sigma + math.sqrt(1.0 - kept) * fresh
    return float(schedule.signal[t]) * image + float(schedule.sigma[t]) * mixed


def _sharpened(image: Tensor, factor: float) -> Tensor:
    """The log-odds of pixels in [-1, 1], 2 atanh, times a factor."""
    if factor == 1.0:
        return image
    return torch.tanh(factor * torch.atanh(image.clamp(-1.0 + 1e-6, 1.0 - 1e-6)))
