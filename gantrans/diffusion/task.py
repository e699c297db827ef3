"""Training a diffusion model: add noise at random timesteps, predict it (or x0, or v), take the loss.

Ho et al. 2020, algorithm 1, for every schedule, prediction and weighting of the course, with an image
condition or class labels where the network takes them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from gantrans.config import ADDED, check_choice, check_range
from gantrans.data.streams import stream_seeds
from gantrans.diffusion.guidance import guided
from gantrans.diffusion.parameterisation import (
    PREDICTIONS,
    WEIGHTINGS,
    check_prediction,
    loss_weight,
    middle_density,
    middle_timesteps,
    q_sample,
    target,
)
from gantrans.diffusion.samplers import Model
from gantrans.diffusion.schedules import Schedule, make_schedule
from gantrans.errors import ConfigError, DataError
from gantrans.metrics import rule_penalty
from gantrans.networks import Denoiser, DenoiserConfig, VectorDenoiser, VectorDenoiserConfig
from gantrans.training import Batch, Runtime

LOSSES = ("l2", "cross_entropy")
NEAR = 20
"""Timesteps on either side of those in `DiffusionConfig.near` that are learnt with them."""


@dataclass(frozen=True)
class DiffusionConfig:
    """Network, schedule, prediction, loss and optimiser of a diffusion model.

    Attributes:
        network: configuration of the denoiser; its `steps` must equal those of the schedule.
        schedule, steps, rescale, zero_terminal_snr: see `make_schedule`.
        prediction: "epsilon", "x0" or "v".
        weighting: of the error over t, see `loss_weight`; for "middle", t is drawn with that density.
        loss: "l2", or for x0 of binary images "cross_entropy": the network's output is then taken as logits,
            and the predicted image is tanh(output / 2), the mean of the two values -1 and 1.
        label_dropout: share of the samples trained without their label, so that the same network is also the
            unconditional model for guidance (Ho and Salimans 2022).
        lr, weight_decay: of AdamW.
        near: the falling timesteps at which the network will be asked; then only these, and `NEAR` around
            them, are learnt, all equally often. (): all of the schedule.
        rule_px: least width and space of binary layouts, in pixels.
        rule_weight: of `gantrans.metrics.rule_penalty` of the predicted image in the loss; 0: none.
    """

    network: DenoiserConfig | VectorDenoiserConfig = field(default_factory=DenoiserConfig)
    schedule: str = "cosine"
    steps: int = 1000
    rescale: bool = True
    zero_terminal_snr: bool = False
    prediction: str = "epsilon"
    weighting: str = "uniform"
    loss: str = "l2"
    label_dropout: float = 0.1
    lr: float = 2e-3
    weight_decay: float = 0.0
    near: tuple[int, ...] = field(default=(), metadata=ADDED)
    rule_px: int = field(default=0, metadata=ADDED)
    rule_weight: float = field(default=0.0, metadata=ADDED)

    def __post_init__(self) -> None:
        check_choice(self, "prediction", PREDICTIONS)
        check_choice(self, "weighting", WEIGHTINGS)
        check_choice(self, "loss", LOSSES)
        check_range(self, "label_dropout", 0.0, 1.0)
        check_range(self, "lr", 0.0, open_low=True)
        check_range(self, "weight_decay", 0.0)
        check_range(self, "rule_weight", 0.0)
        if self.network.steps != self.steps:
            raise ConfigError(
                f"DiffusionConfig.steps is {self.steps}, but the network has steps = {self.network.steps}; "
                "give both the same number."
            )
        if self.loss == "cross_entropy" and self.prediction != "x0":
            raise ConfigError(
                f"DiffusionConfig.loss 'cross_entropy' is a loss of x0, but the prediction is "
                f"{self.prediction!r}; predict x0 or take 'l2'."
            )
        if self.rule_weight and (self.loss != "cross_entropy" or self.rule_px < 2):
            raise ConfigError(
                f"DiffusionConfig.rule_weight is {self.rule_weight:g}, the loss {self.loss!r} and rule_px "
                f"{self.rule_px}; a rule needs binary images, 'cross_entropy', and at least 2 pixels."
            )
        asked = [self.steps, *self.near, -1]
        if any(early <= late for early, late in pairwise(asked)):
            raise ConfigError(
                f"DiffusionConfig.near is {self.near}; give falling timesteps of {self.steps - 1} to 0."
            )
        check_prediction(self.noise_schedule, self.prediction)

    @cached_property
    def noise_schedule(self) -> Schedule:
        """The schedule; computed once."""
        return make_schedule(
            self.schedule, self.steps, rescale=self.rescale, zero_terminal_snr=self.zero_terminal_snr
        )


class DiffusionTask:
    """A diffusion model as a task for `gantrans.training.fit`; equal seeds give equal weights."""

    name = "diffusion"

    def __init__(self, config: DiffusionConfig, seed: int = 0) -> None:
        self.config = config
        self.schedule = config.noise_schedule
        self.denoiser = build_denoiser(config.network, seed)
        self.networks: dict[str, nn.Module] = {"denoiser": self.denoiser}
        self.optimizers: dict[str, Optimizer] = {
            "denoiser": AdamW(
                self.denoiser.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
            )
        }

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Add one batch's gradient; a batch holds "x0" (B, ...) in [-1, 1] and, where the network takes them,
        "condition" and "label" (B,) int64.

        Canonical form: `lessons.lesson03.ddpm.ddpm_training_step`; this adds other predictions, weightings
        and losses, conditions and labels, and leaves the optimiser to `fit`, which accumulates and resumes.

        Returns:
            loss: the weighted loss that is minimised.
        """
        x0 = cast(Tensor, batch["x0"])
        device, generator = x0.device, runtime.generator
        t = self._timesteps(len(x0), generator, device)
        noise = torch.randn(x0.shape, generator=generator, device=device)
        extra = _extra(batch)
        if "label" in extra:
            drop = torch.rand(len(x0), generator=generator, device=device) < self.config.label_dropout
            extra["label"] = torch.where(drop, self.config.network.classes, extra["label"])
        output = self.denoiser(q_sample(self.schedule, x0, t, noise), t, **extra)
        errors = self._errors(output, x0, t, noise)
        loss = (self._weight(t).to(errors) * errors).mean()
        runtime.backward(loss)
        return {"loss": loss.detach()}

    def _timesteps(self, count: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """What is learnt in this step, (count,) int64: near the levels asked for, or of all levels."""
        config, steps = self.config, self.schedule.steps
        if config.near:
            levels = torch.tensor(config.near, device=device)
            levels = levels.repeat(-(-count // len(levels)))[:count]
            around = torch.randint(-NEAR, NEAR + 1, (count,), generator=generator, device=device)
            return (levels + around).clamp(0, steps - 1)
        if config.weighting == "middle":  # drawn as often as it counts: less noise than weighting
            return middle_timesteps(count, steps, generator)
        return torch.randint(steps, (count,), generator=generator, device=device)

    def _weight(self, t: Tensor) -> Tensor:
        """The weight of every sample, (B,); levels asked for count equally."""
        if self.config.near:
            return torch.ones(len(t), device=t.device)
        weight = loss_weight(self.schedule, self.config.prediction, self.config.weighting, t)
        middle = self.config.weighting == "middle"
        return weight / middle_density(t, self.schedule.steps) if middle else weight

    def _errors(self, output: Tensor, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The loss of every sample, (B,)."""
        if self.config.loss == "cross_entropy":
            each = F.binary_cross_entropy_with_logits(output, (x0 + 1.0) / 2.0, reduction="none")
        else:
            expected = target(self.schedule, self.config.prediction, x0, t, noise)
            each = (output - expected).square()
        errors = each.flatten(1).mean(1)
        if self.config.rule_weight:
            rule = self.config.rule_px
            errors = errors + self.config.rule_weight * rule_penalty(torch.sigmoid(output), rule, rule)
        return errors

    def model(self, *, guidance: float | None = None, **extra: Tensor) -> Model:
        """The denoiser as a `Model` for `sample`; see `denoiser_model`."""
        return denoiser_model(self.denoiser, self.config, guidance=guidance, **extra)

    def state(self) -> dict[str, Any]:
        """Empty: there is no state beyond network and optimiser."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore; see `state`."""


def denoiser_model(
    denoiser: nn.Module,
    config: DiffusionConfig,
    *,
    guidance: float | None = None,
    condition: Tensor | None = None,
    label: Tensor | None = None,
) -> Model:
    """A trained denoiser as a function (x_t, t) -> prediction of `config.prediction`, for `sample`.

    Args:
        condition, label: of all samples at once; `sample` must then be called without `chunk`.
        guidance: scale of classifier-free guidance for `label`, see `guided`; None: no guidance.

    Raises:
        ConfigError: guidance without a label.
    """
    if guidance is not None and label is None:
        raise ConfigError("guidance needs a label, and none was given; give label as well.")
    given = {name: value for name, value in (("condition", condition), ("label", label)) if value is not None}

    def predict(x_t: Tensor, t: Tensor, labelled: bool = True) -> Tensor:
        for name, value in given.items():
            if len(value) != len(x_t):
                raise DataError(f"There are {len(value)} entries of {name} for {len(x_t)} samples.")
        extra = given if labelled else {k: v for k, v in given.items() if k != "label"}
        output: Tensor = denoiser(x_t, t, **extra)
        return torch.tanh(output / 2.0) if config.loss == "cross_entropy" else output

    return predict if guidance is None else guided(predict, guidance)


def random_batches(x0: Tensor, batch: int, seed: int, label: Tensor | None = None) -> Callable[[int], Batch]:
    """Batch number n for `fit`, drawn with replacement: a pure function of (seed, n).

    Args:
        x0: (N, ...) in [-1, 1]. label: (N,) int64, or None.
    """

    def draw(number: int) -> Batch:
        generator = torch.Generator().manual_seed(stream_seeds(seed, "diffusion batches", [number])[0])
        chosen = torch.randint(len(x0), (batch,), generator=generator)
        drawn: Batch = {"x0": x0[chosen]}
        return drawn if label is None else {**drawn, "label": label[chosen]}

    return draw


def build_denoiser(config: DenoiserConfig | VectorDenoiserConfig, seed: int = 0) -> Denoiser | VectorDenoiser:
    """Build the network that a configuration describes."""
    return Denoiser(config, seed) if isinstance(config, DenoiserConfig) else VectorDenoiser(config, seed)


def _extra(batch: Batch) -> dict[str, Tensor]:
    return {name: cast(Tensor, batch[name]) for name in ("condition", "label") if name in batch}
