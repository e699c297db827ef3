"""What the diffusion lessons share: digits and clips to learn, one way to train or load, held-out losses.

Runs are compared in pairs: arms with one seed share initial weights where their networks agree, batches,
timesteps, noise and start noise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from gantrans.data import ClipConfig, Clips, load_digits, make_clips
from gantrans.diffusion import (
    DiffusionConfig,
    DiffusionTask,
    Judge,
    SamplerConfig,
    build_denoiser,
    denoiser_model,
    q_sample,
    sample,
    target,
    train_judge,
)
from gantrans.metrics import frechet_distance
from gantrans.teaching.runs import train_or_load
from gantrans.training import Batch, FitConfig, fit, load_networks


@dataclass(frozen=True)
class Trained:
    """A trained denoiser in evaluation mode, and what it was trained as."""

    network: nn.Module
    config: DiffusionConfig

    @torch.inference_mode()
    def draw(
        self,
        shape: tuple[int, ...],
        sampler: SamplerConfig,
        seed: int = 0,
        *,
        label: Tensor | None = None,
        guidance: float | None = None,
    ) -> Tensor:
        """Samples (N, ...) in [-1, 1]; the seed names the start noise and the noise on the way."""
        drawn = sample(
            denoiser_model(self.network, self.config, label=label, guidance=guidance),
            shape,
            self.config.noise_schedule,
            sampler,
            prediction=self.config.prediction,
            generator=torch.Generator().manual_seed(10_000 + seed),
        )
        assert isinstance(drawn, Tensor)
        return drawn

    @torch.inference_mode()
    def losses(self, x0: Tensor, points: int = 40) -> tuple[Tensor, Tensor]:
        """Mean squared error of what is predicted, on held-out samples, at evenly spaced timesteps.

        The noise is the same for every network and timestep, so that curves are paired.

        Returns:
            t (points,) int64 and the error (points,) float64.
        """
        schedule = self.config.noise_schedule
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(77))
        chosen = torch.linspace(0, schedule.steps - 1, points).round().long()
        model = denoiser_model(self.network, self.config)
        errors = []
        for t in chosen:
            times = t.expand(len(x0))
            wanted = target(schedule, self.config.prediction, x0, times, noise)
            answer = model(q_sample(schedule, x0, times, noise), times)
            errors.append((answer - wanted).square().mean().double())
        return chosen, torch.stack(errors)

    def loss(self, x0: Tensor, points: int = 40) -> float:
        """The held-out denoising loss: `losses` averaged over t."""
        return float(self.losses(x0, points)[1].mean())


def train_denoiser(
    config: DiffusionConfig,
    fitting: FitConfig,
    batches: Callable[[int], Batch],
    *,
    seed: int,
    name: str,
    data: object,
) -> Trained:
    """Train, or load if this machine has done so before; `data` says in plain values what `batches` gives."""

    def train(folder: Path) -> dict[str, float]:
        result = fit(DiffusionTask(config, seed), batches, fitting, out=folder)
        return {"steps": result.step, "loss": result.history.records[-1]["loss"]}

    def load(folder: Path) -> Trained:
        network = build_denoiser(config.network)
        load_networks(folder, {"denoiser": network}, ema=True)
        return Trained(network.eval(), config)

    return train_or_load([config, fitting, {"seed": seed}], train, load, name=name, data=data)


def fitting(steps: int, seed: int, *, ema_decay: float = 0.99) -> FitConfig:
    """The optimisation of every short run: warm-up and cosine, clipped gradients, averaged weights."""
    return FitConfig(
        steps,
        seed=seed,
        precision="fp32",
        channels_last=True,
        clip_norm=1.0,
        lr_schedule="cosine",
        lr_params={"warmup": 0.05},
        ema_decay=ema_decay,
        checkpoint_every=10**6,
    )


# ---- digits


@lru_cache(maxsize=2)
def digits(split: str) -> Tensor:
    """The 8 x 8 digits of a split as vectors, (N, 64) in [-1, 1]."""
    return load_digits(split).image.flatten(1)


@lru_cache(maxsize=1)
def digits_judge() -> Judge:
    """The classifier whose features measure digits; the same in every process."""
    train = load_digits("train")
    return train_judge(train.image, train.label, steps=300)


def digits_distance(samples: Tensor) -> float:
    """Frechet distance of (N, 64) digits in [-1, 1] from the held-out ones, on the judge's features."""
    judge = digits_judge()
    made, real = (judge.features(x.view(-1, 1, 8, 8).clamp(-1, 1)) for x in (samples, digits("test")))
    return frechet_distance(made, real)


# ---- layout clips


@lru_cache(maxsize=8)
def clips(size: int, split: str, count: int, seed: int = 0) -> Clips:
    """Procedural layout clips of one design rule, no two alike."""
    return make_clips(ClipConfig(size=size), split, count, seed)


@lru_cache(maxsize=4)
def clips_judge(size: int) -> Judge:
    """The classifier that judges clips of a size; the same in every process."""
    known = clips(size, "train", 1024)
    return train_judge(known.network(), known.label, steps=300, turn=True)
