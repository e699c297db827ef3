"""What samplers of `own_sampler` are given: predictors that count their calls, and the trained network behind
the score."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from gantrans.diffusion import DiffusionConfig, denoiser_model, random_batches
from gantrans.networks import DenoiserConfig
from gantrans.teaching.exercises.kinds import RuleBroken
from lessons.shared.denoising import Trained, clips, fitting, train_denoiser

SIZE = 16
CALLS = 10
KNOWN = 1024
BATCH = 32
TASK = DiffusionConfig(
    DenoiserConfig(base_filters=16, multipliers=(1, 2, 2), attention=False), prediction="x0"
)
ALPHA_BARS = TASK.noise_schedule.alpha_bars

Predict = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Counted:
    """(x_t (B, 1, S, S), t (B,)) -> the image of `predict`, in [-1, 1]; it refuses the eleventh call."""

    predict: Predict = field(repr=False)
    shape: tuple[int, ...]
    calls: int = field(default=0, init=False)

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The predicted image.

        Raises:
            RuleBroken: too many calls, another batch, or timesteps that there are not.
        """
        self.calls += 1
        if self.calls > CALLS:
            raise RuleBroken("eleven_calls")
        if not isinstance(x_t, Tensor) or x_t.shape != self.shape:
            raise RuleBroken("other_batch")
        times = torch.as_tensor(t).expand(len(x_t))
        if times.is_floating_point() or int(times.min()) < 0 or int(times.max()) >= len(ALPHA_BARS):
            raise RuleBroken("no_timestep")
        with torch.no_grad():
            return self.predict(x_t.detach().float(), times).clamp(-1, 1)


@dataclass(frozen=True)
class Nearest:
    """A perfect predictor of data that are a few pictures: the one that is nearest to x_t."""

    pictures: Tensor

    def __call__(self, x_t: Tensor, _: Tensor) -> Tensor:
        """(B, 1, S, S) and any timesteps -> (B, 1, S, S)."""
        likeness = x_t.flatten(1) @ self.pictures.flatten(1).T
        return self.pictures[likeness.argmax(1)]


def pictures(count: int, seed: int) -> Tensor:
    """Random pictures that no clip looks like, (count, 1, 16, 16), -1 or 1."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, SIZE, SIZE, generator=draw).sign()


@lru_cache(maxsize=1)
def trained() -> Trained:
    """The U-Net that the score is taken with: trained once on a machine, in some 12 seconds."""
    known = clips(SIZE, "train", KNOWN).network()
    return train_denoiser(
        TASK,
        fitting(450, 0),
        random_batches(known, BATCH, 0),
        seed=0,
        name="own_sampler",
        data={"clips": KNOWN, "size": SIZE, "batch": BATCH},
    )


def network() -> Predict:
    """The trained network as a predictor of the image."""
    made = trained()
    return denoiser_model(made.network, made.config)
