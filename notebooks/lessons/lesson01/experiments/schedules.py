"""Lesson 01, claims D01 and D02: schedules against `diffusers`, what is left at the end, quality on digits.

The race: one residual network predicts epsilon on 8x8 digits, once per arm and seed; arms with one seed share
initial weights, batches, noise and start noise, and differ in nothing but the schedule. The judge is the
Frechet distance on features of a small digits classifier (`denoising.py`).
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gantrans.diffusion import (
    SCHEDULES,
    DiffusionConfig,
    SamplerConfig,
    Schedule,
    make_schedule,
    random_batches,
    sampling_steps,
)
from gantrans.networks import VectorDenoiserConfig
from gantrans.teaching.claims import ClaimError
from gantrans.teaching.sweeps.registry import experiment
from gantrans.teaching.sweeps.sweep import Sweep
from lessons.shared.denoising import Trained, digits, digits_distance, fitting, train_denoiser

DIFFUSERS = {
    "linear": "linear",
    "quadratic": "scaled_linear",
    "cosine": "squaredcos_cap_v2",
    "sigmoid": "sigmoid",
}
"""Our names and those of `diffusers`; it has no schedule like our `sigmoid_alpha_bar`."""
PARTS = {"linear": "linear", "quadratic": "quadratic", "cosine": "cosine", "sigmoid": "sigmoid betas"}
SMALL_T = (1000, 500, 200, 100, 50)


@dataclass(frozen=True)
class Arm:
    """One schedule of the race."""

    schedule: str
    steps: int = 1000
    rescale: bool = True

    def make(self) -> Schedule:
        """The schedule itself."""
        return make_schedule(self.schedule, self.steps, rescale=self.rescale)


ARMS: Mapping[str, Arm] = {
    "cosine": Arm("cosine"),
    "sigmoid alpha-bar": Arm("sigmoid_alpha_bar"),
    "quadratic": Arm("quadratic"),
    "linear": Arm("linear"),
    "sigmoid betas": Arm("sigmoid"),
    "linear, T = 100": Arm("linear", 100),
    "linear, T = 100, not scaled": Arm("linear", 100, rescale=False),
}
SCALED, UNSCALED = "linear, T = 100", "linear, T = 100, not scaled"
LIVE = ("cosine", SCALED, UNSCALED)
"""The arms that the lesson trains again."""
FULL_T = tuple(name for name, arm in ARMS.items() if arm.steps == 1000)
SAMPLERS: Mapping[str, SamplerConfig] = {
    "DDIM": SamplerConfig("ddim", 20),
    "DDPM": SamplerConfig("ddpm", 20),
}
"""Twenty steps each, the first without fresh noise on the way, the second with; lesson 03 builds both."""


@dataclass(frozen=True)
class RaceSetting:
    """Sizes of the race at one scale."""

    hidden: int
    batch: int
    steps: int
    lr: float
    count: int
    """Samples that are judged; as many as there are test images, so that distances compare."""
    seeds: int


SETTINGS: Mapping[str, RaceSetting] = {
    "smoke": RaceSetting(32, 32, 8, 2e-3, 64, 2),
    "reduced": RaceSetting(256, 128, 500, 2e-3, 350, 6),
    "full": RaceSetting(512, 256, 8000, 1e-3, 350, 6),
}


# ---- claims D01 and D02


def reference_betas(name: str, steps: int) -> Tensor:
    """The betas of `diffusers` for one of our names, (steps,) float64.

    Raises:
        ClaimError: `diffusers` is not installed; it is needed only to repeat D01.
    """
    betas: Tensor = _reference(name, steps).betas
    return betas.double()


def _reference(name: str, steps: int) -> Any:
    try:
        from diffusers import DDPMScheduler
    except ImportError as error:
        raise ClaimError(
            "Claim D01 compares with diffusers, which is not installed; it is in requirements-dev.txt."
        ) from error
    return DDPMScheduler(
        num_train_timesteps=steps, beta_start=1e-4, beta_end=0.02, beta_schedule=DIFFUSERS[name]
    )


def have_reference() -> bool:
    """Whether `diffusers` is installed: a developer's dependency, which no lesson needs."""
    return importlib.util.find_spec("diffusers") is not None


def parity(name: str, steps: int = 1000) -> tuple[float, float]:
    """Largest absolute difference of betas and of alpha-bars from `diffusers`, both without scaling to T."""
    ours, theirs = make_schedule(name, steps, rescale=False), reference_betas(name, steps)
    alpha_bars = torch.cumprod(1 - theirs, 0)
    return (
        float((ours.betas - theirs).abs().max()),
        float((ours.alpha_bars - alpha_bars).abs().max()),
    )


def left_at_the_end(name: str, steps: int, *, rescale: bool) -> float:
    """sqrt(alpha-bar) at the last timestep: the factor of the image in what should be pure noise."""
    return float(make_schedule(name, steps, rescale=rescale).signal[-1])


def conventions() -> dict[str, float]:
    """Where `diffusers` agrees only in part, or not: what the defaults of both do, by name."""
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

    ours = make_schedule("linear", zero_terminal_snr=True).betas
    theirs: Tensor = rescale_zero_terminal_snr(make_schedule("linear").betas)
    numbers = {"zero terminal SNR": float((ours - theirs).abs().max())}
    short = _reference("linear", 200)
    numbers["T = 200: left, diffusers"] = float(short.alphas_cumprod[-1].double().sqrt())
    numbers["T = 200: left, ours"] = left_at_the_end("linear", 200, rescale=True)
    sampler = _reference("linear", 1000)
    sampler.set_timesteps(10)
    numbers["first of 10 timesteps, diffusers"] = float(sampler.timesteps[0])
    numbers["first of 10 timesteps, ours"] = float(sampling_steps(1000, 10)[0])
    return numbers


@experiment("D01")
def names_and_parity(scale: str) -> dict[str, Any]:
    """Exact at every scale: the betas of each name against `diffusers`, and how far two sigmoids differ."""
    both = {name: parity(name) for name in DIFFUSERS}
    data = {PARTS[name]: beta for name, (beta, _) in both.items()}
    numbers = {f"{PARTS[name]}: alpha-bar": bar for name, (_, bar) in both.items()}
    for steps in (200, 50):
        numbers |= {f"{PARTS[name]}: T = {steps}": parity(name, steps)[0] for name in DIFFUSERS}
    one, other = (make_schedule(name).log_snr for name in ("sigmoid", "sigmoid_alpha_bar"))
    numbers["two sigmoids: log-SNR"] = float((one - other).abs()[:-1].max())
    numbers["two sigmoids: log-SNR, half way"] = float((one - other)[499].abs())
    return {"data": data, "numbers": numbers | conventions()}


@experiment("D02")
def left_with_few_steps(scale: str) -> dict[str, Any]:
    """Exact at every scale: the image's factor at the last timestep, for several T, scaled and not."""
    data = {f"T = {steps}": left_at_the_end("linear", steps, rescale=False) for steps in (100, 200)}
    numbers = {}
    for name in SCHEDULES:
        for steps in SMALL_T:
            numbers[f"{name}, T = {steps}"] = left_at_the_end(name, steps, rescale=False)
            numbers[f"{name}, T = {steps}, scaled"] = left_at_the_end(name, steps, rescale=True)
    return {"data": data, "numbers": numbers}


# ---- the race


def network_config(setting: RaceSetting, arm: Arm) -> VectorDenoiserConfig:
    """The residual network on 64 pixels."""
    return VectorDenoiserConfig(features=64, hidden=setting.hidden, blocks=2, steps=arm.steps)


def task_config(arm: str, setting: RaceSetting) -> DiffusionConfig:
    """Epsilon prediction with the plain loss: what a schedule decides is then all that differs."""
    chosen = ARMS[arm]
    return DiffusionConfig(
        network_config(setting, chosen),
        schedule=chosen.schedule,
        steps=chosen.steps,
        rescale=chosen.rescale,
        prediction="epsilon",
        lr=setting.lr,
    )


def train_arm(arm: str, seed: int, scale: str) -> Trained:
    """Train one arm with one seed, or load it if this machine has done so before."""
    setting = SETTINGS[scale]
    return train_denoiser(
        task_config(arm, setting),
        fitting(setting.steps, seed),
        random_batches(digits("train"), setting.batch, seed),
        seed=seed,
        name="schedules",
        data={"source": "digits", "batch": setting.batch},
    )


def loss_per_t(trained: Trained, points: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """t (points,), log-SNR at t, and the error of epsilon on held-out digits; see `Trained.losses`."""
    t, errors = trained.losses(digits("test"), points)
    return t, trained.config.noise_schedule.log_snr[t], errors


def draw(trained: Trained, sampler: str, count: int, seed: int = 0) -> Tensor:
    """`count` digits, (count, 64) in [-1, 1], with a sampler of `SAMPLERS`."""
    return trained.draw((count, 64), SAMPLERS[sampler], seed)


def score(trained: Trained, scale: str, seed: int) -> dict[str, float]:
    """Held-out loss, averaged over t, and the distance of the samples of both samplers."""
    made = {name: draw(trained, name, SETTINGS[scale].count, seed) for name in SAMPLERS}
    return {"loss": trained.loss(digits("test"))} | {n: digits_distance(x) for n, x in made.items()}


def run_seed(seed: int, scale: str, arms: Sequence[str] = tuple(ARMS)) -> dict[str, dict[str, float]]:
    """Train the arms with one seed and score them: {arm: {quantity: value}}."""
    return {arm: score(train_arm(arm, seed, scale), scale, seed) for arm in arms}


SWEEP = Sweep(
    "schedules",
    run_seed,
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: [task_config(arm, SETTINGS[scale]) for arm in ARMS],
    {},
)
