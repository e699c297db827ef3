"""Overhead of a sampling step: ours against the schedulers of diffusers, with a model that costs nothing.

Both sides get the same noise schedule, timesteps and clipping (epsilon re-derived from the clipped image). A
run of 50 steps is timed in process CPU time on one thread, in turns with the peer's; the ratio is the median
of the paired ratios. Beside a real network this overhead is small: it matters for toys and at batch 1.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantrans.diffusion import SamplerConfig, make_schedule, sample

COUNT = 50
GOALS = {"ddpm": (0.15, 0.5), "ddim": (0.15, 0.25), "dpm++": (0.15, 0.2)}
"""Largest ratio at batch 1 and at batch 64."""


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per sampler and batch: CPU microseconds per step, the ratio with quartiles, and the goal."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_row(name, batch, 5 if quick else 40) for name in GOALS for batch in (1, 64)]
    finally:
        torch.set_num_threads(threads)


def _row(name: str, batch: int, rounds: int) -> dict[str, Any]:
    shape = (batch, 1, 32, 32)
    ours, theirs = _ours(name, shape), _theirs(name, shape)
    times = [(_us_per_step(ours), _us_per_step(theirs)) for _ in range(rounds + 2)][2:]  # two warm up
    low, ratio, high = statistics.quantiles([a / b for a, b in times], n=4)
    goal = GOALS[name][batch > 1]
    return {
        "sampler": name,
        "batch": batch,
        "ours_us": statistics.median(a for a, _ in times),
        "diffusers_us": statistics.median(b for _, b in times),
        "ratio": ratio,
        "ratio_q1": low,
        "ratio_q3": high,
        "goal": goal,
        "met": ratio <= goal,
    }


def _us_per_step(sampling: Callable[[], object]) -> float:
    start = time.process_time()
    sampling()
    return 1e6 * (time.process_time() - start) / COUNT


def _ours(name: str, shape: tuple[int, ...]) -> Callable[[], object]:
    schedule, generator = make_schedule("linear"), torch.Generator().manual_seed(0)
    noise = torch.randn(shape, generator=generator)
    config = SamplerConfig(name, COUNT, clip=name != "dpm++")

    def free(x: Tensor, t: Tensor) -> Tensor:
        return noise

    return lambda: sample(
        free, shape, schedule, config, prediction="epsilon", generator=generator, noise=noise
    )


def _theirs(name: str, shape: tuple[int, ...]) -> Callable[[], object]:
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

    kind: Any = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "dpm++": DPMSolverMultistepScheduler}[name]
    options: dict[str, Any] = {} if name == "dpm++" else {"clip_sample": True}
    scheduler = kind(
        num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing", **options
    )
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(shape, generator=generator)
    options_of: dict[str, dict[str, Any]] = {
        "ddpm": {"generator": generator},
        "ddim": {"use_clipped_model_output": True},
        "dpm++": {},
    }
    extra = options_of[name]

    def sampling() -> Tensor:
        scheduler.set_timesteps(COUNT)
        x = noise
        for t in scheduler.timesteps:
            x = scheduler.step(noise, t, x, **extra).prev_sample
        return x

    return sampling
