"""Lesson 03: the sampling loop and its times say what the library's sampler says."""

from fractions import Fraction
from itertools import pairwise

import pytest
import torch

from gantrans.diffusion import make_schedule
from gantrans.diffusion.samplers import SamplerConfig, sampling_steps
from gantrans.diffusion.samplers import sample as library
from gantrans.teaching.exercises import exercise

sample, sampling_times = exercise("sample").function, exercise("sampling_times").function
ddpm_step, ddim_step, dpm_step = (exercise(f"{name}_step").function for name in ("ddpm", "ddim", "dpm"))

STEPS = {
    "ddpm": (
        SamplerConfig("ddpm", 1),
        lambda x, x0, noise, bar, bar_next, before: ddpm_step(x, x0, noise, bar, bar_next),
    ),
    "ddim": (
        SamplerConfig("ddim", 1),
        lambda x, x0, noise, bar, bar_next, before: ddim_step(x, x0, noise, bar, bar_next, 0.0),
    ),
    "ddim, some noise": (
        SamplerConfig("ddim", 1, eta=0.6),
        lambda x, x0, noise, bar, bar_next, before: ddim_step(x, x0, noise, bar, bar_next, 0.6),
    ),
    "dpm++": (
        SamplerConfig("dpm++", 1),
        lambda x, x0, noise, bar, bar_next, before: dpm_step(x, x0, before, bar, bar_next),
    ),
}


def raw(x, t):
    """An image that depends on place and time and often leaves [-1, 1]."""
    return 1.5 * torch.sin(x + 0.01 * t.view(-1, 1, 1, 1)) + 0.2 * x


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("count", [1, 2, 7, 40])
@pytest.mark.parametrize("name", STEPS)
def test_the_loop_walks_the_way_of_the_library(name, count, schedule):
    config, step = STEPS[name]
    config = SamplerConfig(config.sampler, count, config.eta)
    schedule = make_schedule(schedule, 1000)
    start = torch.randn(3, 1, 4, 5, generator=torch.Generator().manual_seed(5))
    way = library(
        raw,
        start.shape,
        schedule,
        config,
        prediction="x0",
        generator=torch.Generator().manual_seed(6),
        noise=start,
        trajectory=True,
    )
    path = sample(
        lambda x, t: raw(x, t).clamp(-1, 1),
        start,
        sampling_times(1000, count),
        schedule.alpha_bars,
        step,
        torch.Generator().manual_seed(6),
    )
    assert len(path) == count + 1
    torch.testing.assert_close(torch.stack(path), way.x_t, rtol=0, atol=1e-5)


def test_the_times_are_the_librarys():
    for steps in (1, 2, 3, 10, 99, 256, 1000):
        for count in {1, 2, 3, 5, 7, 10, 24, 50, 64, 99, 100, 255, steps - 1, steps}:
            if not 1 <= count <= steps:
                continue
            times = sampling_times(steps, count)
            assert times == list(sampling_steps(steps, count))
            assert all(a > b for a, b in pairwise(times))


def test_no_input_of_the_times_has_one_halfway_between_two():
    for steps, count in exercise("sampling_times").cases:
        exact = [Fraction(i * steps, count) % 1 for i in range(count)]
        assert Fraction(1, 2) not in exact, (steps, count)
