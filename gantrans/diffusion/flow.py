"""Flow matching with straight paths: learn the velocity that carries noise to images, follow it in few steps.

    x_t = (1 - t) x_0 + t noise,   u = d x_t / d t = noise - x_0,   t in [0, 1]; t = 1 is noise

(Lipman et al. 2023 with the paths of Liu et al. 2023, in the direction of time of Esser et al. 2024). The
velocity of one pair of image and noise is constant. Where paths of different pairs cross, the network can
only give their average, E[u | x_t = x], whose trajectories are curved; the distribution at every t is
nevertheless that of the straight paths.

With the same network this is diffusion with another schedule and another prediction: x_t divided by
n = sqrt((1 - t)^2 + t^2) is the x_t of a schedule with signal (1 - t) / n and sigma t / n (`flow_schedule`),
and u and v = (signal noise - sigma x_0) determine each other (`velocity_from_v`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from gantrans.config import check_choice, check_range
from gantrans.diffusion.guidance import given_with_dropout
from gantrans.diffusion.parameterisation import MIDDLE
from gantrans.diffusion.schedules import Schedule
from gantrans.diffusion.task import LOSSES, build_denoiser
from gantrans.errors import ConfigError, DataError
from gantrans.networks import DenoiserConfig, VectorDenoiserConfig
from gantrans.training import Batch, Runtime

FLOW_PREDICTIONS = ("velocity", "x0")
TIMES = ("uniform", "middle")
Field = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, ...), t (B,) float in [0, 1]) -> the velocity, (B, ...)."""
_LEAST = 1e-4  # smallest t by which an image's error is divided


def flow_path(x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """The point (1 - t) x_0 + t noise of every straight path, (B, ...).

    Args:
        x0, noise: (B, ...). t: (B,) float in [0, 1].

    Raises:
        DataError: shapes that do not fit, whole-numbered timesteps, or a time outside [0, 1].
    """
    if x0.shape != noise.shape:
        raise DataError(f"x0 has shape {tuple(x0.shape)} and noise {tuple(noise.shape)}; give equal shapes.")
    time = _shaped(t, x0)
    return (1.0 - time) * x0 + time * noise


def flow_target(x0: Tensor, noise: Tensor) -> Tensor:
    """The velocity noise - x_0 of every straight path, (B, ...); the same at every t."""
    return noise - x0


def conditional_velocity(x: Tensor, t: Tensor, x0: Tensor) -> Tensor:
    """The field of one image: the velocity (x - x_0) / t at points x (B, ...), for t (B,) above 0."""
    return (x - x0) / _shaped(t, x)


def marginal_velocity(
    x: Tensor, t: Tensor, centres: Tensor, *, std: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """The average of the conditional fields, E[noise - x_0 | x_t = x], of a mixture of Gaussians, exactly.

    Each component is averaged with its posterior probability at x. It is the field that minimises the flow
    matching loss (Lipman et al. 2023, eq. 8).

    Args:
        x: (B, F). t: (B,) in [0, 1]; above 0 where `std` is 0.
        centres: (K, F) of the components. std: of each in every coordinate; 0: points.
        weights: (K,) of the components, above 0; None: equal.

    Returns:
        (B, F).
    """
    time = _shaped(t, x)[:, :, None] if x.dim() == 2 else None
    if time is None or centres.dim() != 2 or centres.shape[1] != x.shape[1]:
        raise DataError(f"Give x (B, F) and centres (K, F), not {tuple(x.shape)} and {tuple(centres.shape)}.")
    share = torch.ones(len(centres)) if weights is None else weights
    apart = x[:, None, :] - (1.0 - time) * centres  # (B, K, F)
    variance = (1.0 - time) ** 2 * std**2 + time**2
    logits = share.to(x).log() - (apart.square() / (2.0 * variance)).sum(-1)
    # Of each component: the noise is t apart / variance, x_0 the centre plus (1 - t) std^2 apart / variance.
    velocity = apart * (time - (1.0 - time) * std**2) / variance - centres
    return (logits.softmax(1)[:, :, None] * velocity).sum(1)


def x0_from_velocity(velocity: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """The image x_t - t u at the end of the straight line along a velocity, (B, ...)."""
    return x_t - _shaped(t, x_t) * velocity


def velocity_from_x0(x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """The velocity (x_t - x_0) / t towards a predicted image, (B, ...); t is taken as at least 1e-4."""
    return (x_t - x0) / _shaped(t, x_t).clamp(min=_LEAST)


def velocity_from_v(v: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """The velocity that corresponds to a v-prediction at x_t / n with `flow_schedule`'s signal and sigma.

    From noise = sigma z + signal v and x_0 = signal z - sigma v with z = x_t / n.
    """
    time = _shaped(t, x_t)
    n = _norm(time)
    return v / n - (1.0 - 2.0 * time) * x_t / n**2


def v_from_velocity(velocity: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """The v that corresponds to a velocity; the inverse of `velocity_from_v`."""
    time = _shaped(t, x_t)
    n = _norm(time)
    return n * velocity + (1.0 - 2.0 * time) * x_t / n


def flow_schedule(steps: int) -> Schedule:
    """The schedule whose signal-to-noise ratio at timestep k is that of the straight path at t = (k + 1) / T.

    signal = (1 - t) / n and sigma = t / n with n = sqrt((1 - t)^2 + t^2); the last step is pure noise.

    Raises:
        ConfigError: fewer than one step.
    """
    if steps < 1:
        raise ConfigError(f"A schedule of {steps} steps was asked for; give at least 1.")
    t = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    alpha_bars = (1.0 - t) ** 2 / _norm(t) ** 2
    return Schedule("flow", 1.0 - alpha_bars / torch.cat([alpha_bars.new_ones(1), alpha_bars[:-1]]))


@dataclass(frozen=True)
class FlowConfig:
    """Network, prediction, loss and optimiser of a flow matching model.

    Attributes:
        network: configuration of the denoiser. It is given t times its `steps`, so that its embedding of the
            timestep serves here as well; "learned" embeddings have no rows between timesteps.
        prediction: "velocity", or "x0", from which the velocity follows.
        loss: "l2" or, for x0 of binary images, "cross_entropy"; see `DiffusionConfig`.
        time: distribution of t in training: "uniform", or "middle", logit-normal (Esser et al. 2024, sec.
            3.1), with `MIDDLE`'s mean and standard deviation.
        label_dropout: share of samples trained without their label. lr, weight_decay: of AdamW.
    """

    network: DenoiserConfig | VectorDenoiserConfig = field(default_factory=DenoiserConfig)
    prediction: str = "velocity"
    loss: str = "l2"
    time: str = "uniform"
    label_dropout: float = 0.1
    lr: float = 2e-3
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check_choice(self, "prediction", FLOW_PREDICTIONS)
        check_choice(self, "loss", LOSSES)
        check_choice(self, "time", TIMES)
        check_range(self, "label_dropout", 0.0, 1.0)
        check_range(self, "lr", 0.0, open_low=True)
        check_range(self, "weight_decay", 0.0)
        if self.loss == "cross_entropy" and self.prediction != "x0":
            raise ConfigError(
                "FlowConfig.loss 'cross_entropy' is a loss of x0, but the prediction is 'velocity'; "
                "predict x0 or take 'l2'."
            )
        if self.network.embedding == "learned":
            raise ConfigError(
                "FlowConfig.network has the embedding 'learned', which has no rows between whole timesteps; "
                "take 'sinusoidal' or 'fourier'."
            )


class FlowTask:
    """Flow matching as a task for `gantrans.training.fit`; equal seeds give equal weights."""

    name = "flow"

    def __init__(self, config: FlowConfig, seed: int = 0) -> None:
        self.config = config
        self.denoiser = build_denoiser(config.network, seed)
        self.networks: dict[str, nn.Module] = {"denoiser": self.denoiser}
        self.optimizers: dict[str, Optimizer] = {
            "denoiser": AdamW(
                self.denoiser.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
            )
        }

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Add one batch's gradient; a batch is that of `DiffusionTask`.

        Returns:
            loss: mean squared error of what is predicted, or the cross-entropy in nats.
        """
        x0 = cast(Tensor, batch["x0"])
        generator, device = runtime.generator, x0.device
        t = torch.rand(len(x0), generator=generator, device=device)
        if self.config.time == "middle":
            even = (torch.arange(len(x0), device=device) + t) / len(x0)  # one from each of equal shares
            even = even.clamp(1e-6, 1.0 - 1e-6)
            t = torch.sigmoid(MIDDLE[0] + MIDDLE[1] * torch.special.ndtri(even))
        noise = torch.randn(x0.shape, generator=generator, device=device)
        network = self.config.network
        extra = given_with_dropout(batch, network.classes, self.config.label_dropout, generator)
        output = _answer(self.denoiser, self.config, flow_path(x0, noise, t), t, extra)
        if self.config.loss == "cross_entropy":
            loss = F.binary_cross_entropy_with_logits(output, (x0 + 1.0) / 2.0)
        else:
            loss = F.mse_loss(output, x0 if self.config.prediction == "x0" else flow_target(x0, noise))
        runtime.backward(loss)
        return {"loss": loss.detach()}

    def field(self, **extra: Tensor) -> Field:
        """The network as a `Field` for the samplers; see `flow_field`."""
        return flow_field(self.denoiser, self.config, **extra)

    def state(self) -> dict[str, Any]:
        """Empty: there is no state beyond network and optimiser."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore; see `state`."""


def flow_field(denoiser: nn.Module, config: FlowConfig, **extra: Tensor) -> Field:
    """A trained network as a velocity field, for `euler_sample` and `heun_sample`.

    Args:
        extra: condition and label of all samples, if the network takes them.
    """

    def velocity(x_t: Tensor, t: Tensor) -> Tensor:
        output = _answer(denoiser, config, x_t, t, extra)
        if config.prediction == "velocity":
            return output
        x0 = torch.tanh(output / 2.0) if config.loss == "cross_entropy" else output.clamp(-1.0, 1.0)
        return velocity_from_x0(x0, x_t, t)

    return velocity


def _answer(
    denoiser: nn.Module, config: FlowConfig, x_t: Tensor, t: Tensor, extra: dict[str, Tensor]
) -> Tensor:
    if config.network.classes and "label" not in extra:
        extra = {**extra, "label": torch.full((len(t),), config.network.classes, device=t.device)}
    output: Tensor = denoiser(x_t, t * config.network.steps, **extra)
    return output


def _shaped(t: Tensor, like: Tensor) -> Tensor:
    """t (B,) with the dtype of `like` (B, ...), shaped (B, 1, ...)."""
    if t.dim() != 1 or len(t) != len(like) or not t.is_floating_point():
        raise DataError(
            f"Times of a flow are numbers in [0, 1] of shape ({len(like)},), not {t.dtype} of shape "
            f"{tuple(t.shape)}."
        )
    if t.device.type == "cpu" and len(t) and not 0.0 <= float(t.min()) <= float(t.max()) <= 1.0:
        raise DataError(f"The times reach from {float(t.min()):g} to {float(t.max()):g}; they lie in [0, 1].")
    return t.to(like).reshape((-1,) + (1,) * (like.dim() - 1))


def _norm(t: Tensor) -> Tensor:
    return ((1.0 - t) ** 2 + t**2).sqrt()
