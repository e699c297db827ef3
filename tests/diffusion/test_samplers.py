"""Samplers against diffusers on one model, against closed forms, and against each other."""

import itertools
import math

import pytest
import torch

from gantrans.diffusion import (
    SAMPLERS,
    SamplerConfig,
    guided,
    make_schedule,
    sample,
    sampler_steps,
    sampling_steps,
    take_step,
)
from gantrans.errors import ConfigError, DataError

SHAPE = (3, 1, 8, 8)


def stub(x, t):
    """Some epsilon that depends on x and t and is no constant."""
    return torch.tanh(1.5 * x) * (0.3 + 0.5 * torch.cos(t.float() / 300))[:, None, None, None]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("count", [5, 10, 20, 50, 1000])
@pytest.mark.parametrize("name", ["linear", "cosine"])
@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "ddim eta", "dpm++"])
def test_samplers_are_those_of_diffusers(sampler, name, count):
    """The same noise and timesteps; clipped, as sampling with epsilon must be."""
    import diffusers

    beta_schedule = {"linear": "linear", "cosine": "squaredcos_cap_v2"}[name]
    shared = {"num_train_timesteps": 1000, "beta_schedule": beta_schedule, "timestep_spacing": "trailing"}
    shared |= {"beta_start": 1e-4, "beta_end": 0.02}
    eta = 0.7 if sampler == "ddim eta" else 0.0
    extra = {}
    if sampler == "ddpm":
        theirs = diffusers.DDPMScheduler(**shared, variance_type="fixed_small", clip_sample=True)
    elif sampler == "dpm++":
        theirs = diffusers.DPMSolverMultistepScheduler(
            **shared, thresholding=False, final_sigmas_type="zero", lower_order_final=False
        )
    else:
        theirs = diffusers.DDIMScheduler(**shared, clip_sample=True, set_alpha_to_one=True)
        extra = {"eta": eta, "use_clipped_model_output": True}
    theirs.set_timesteps(count)
    clip = sampler != "dpm++"
    config = SamplerConfig(sampler.split()[0], count, eta=eta, clip=clip)
    schedule = make_schedule(name)
    steps = sampler_steps(schedule, config)
    assert [step.t for step in steps] == theirs.timesteps.tolist()
    start = torch.randn(SHAPE, generator=generator()).double()
    ours_stream, their_stream = generator(1), generator(1)
    x, y, before = start, start, None
    for step in steps:
        epsilon = stub(x, torch.full((3,), step.t))
        a, s = schedule.signal[step.t], schedule.sigma[step.t]
        x0 = (x - s * epsilon) / a
        x0 = x0.clamp(-1, 1) if clip else x0
        noise = torch.randn(SHAPE, generator=ours_stream, dtype=torch.float64) if step.spread else None
        x, before = take_step(step, x0, x, before, noise), x0
        epsilon = stub(y, torch.full((3,), step.t))
        if sampler != "dpm++":
            extra["generator"] = their_stream
        y = theirs.step(epsilon, step.t, y, **extra).prev_sample
    relative = (x - y).abs().max() / y.abs().max()
    assert relative < 2e-3 if name == "cosine" else relative < 1e-4  # their tables are float32


def gaussian_model(schedule, mean, std):
    """The best x0 for data N(mean, std^2): the exact posterior mean."""

    def model(x, t):
        a, s = (c[t].to(x).reshape(-1, 1) for c in (schedule.signal, schedule.sigma))
        return mean + a * std**2 / (a**2 * std**2 + s**2) * (x - a * mean)

    return model


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_gaussian_is_sampled_with_its_mean_and_spread(sampler):
    schedule = make_schedule("linear")
    config = SamplerConfig(sampler, 100 if sampler == "dpm++" else 1000, clip=False)
    model = gaussian_model(schedule, 0.4, 0.3)
    x = sample(model, (20_000, 1), schedule, config, prediction="x0", generator=generator())
    assert x.mean().item() == pytest.approx(0.4, abs=0.01)
    assert x.std().item() == pytest.approx(0.3, rel=0.03)


def test_orders_of_convergence_of_ddim_and_dpm_solver():
    """A Gaussian's probability flow is known: x_0 = mean + std (x_T - a mean) / sqrt(a^2 std^2 + s^2)."""
    schedule = make_schedule("linear")
    model, noise = gaussian_model(schedule, 0.4, 0.3), torch.linspace(-2, 2, 9).double()[:, None]
    a, s = schedule.signal[-1].item(), schedule.sigma[-1].item()
    exact = 0.4 + 0.3 * (noise - a * 0.4) / math.hypot(a * 0.3, s)
    errors = {}
    for sampler in ("ddim", "dpm++"):
        for count in (50, 200):
            config = SamplerConfig(sampler, count, clip=False)
            x = sample(
                model, noise.shape, schedule, config, prediction="x0", generator=generator(), noise=noise
            )
            errors[sampler, count] = (x - exact).abs().max().item()
    assert errors["dpm++", 50] < errors["ddim", 50] / 3
    assert errors["ddim", 200] < errors["ddim", 50] / 2


def test_ddim_with_eta_one_and_all_steps_is_ddpm_and_with_eta_zero_adds_no_noise():
    schedule = make_schedule("linear", 60)
    ddpm = sampler_steps(schedule, SamplerConfig("ddpm", 60))
    assert ddpm == sampler_steps(schedule, SamplerConfig("ddim", 60, eta=1.0))
    before = torch.cat([torch.ones(1).double(), schedule.alpha_bars[:-1]])
    small = schedule.betas * (1 - before) / (1 - schedule.alpha_bars)
    torch.testing.assert_close(
        torch.tensor([step.spread for step in reversed(ddpm)], dtype=torch.float64) ** 2, small
    )
    assert ddpm[-1].spread == 0
    assert ddpm[-1].rest == 0
    assert all(step.spread == 0 for step in sampler_steps(schedule, SamplerConfig("ddim", 60)))


def draw(config, **options):
    stream = options.pop("generator", generator(3))
    return sample(stub, SHAPE, make_schedule("cosine"), config, prediction="v", generator=stream, **options)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samples_depend_on_the_generator_alone_and_not_on_chunks(sampler):
    config = SamplerConfig(sampler, 10)
    x = draw(config)
    assert torch.equal(x, draw(config))
    assert not torch.equal(x, draw(config, generator=generator(4)))
    torch.testing.assert_close(draw(config, chunk=2), x, rtol=0, atol=1e-5)
    way = draw(config, trajectory=True)
    assert way.x_t.shape == (11, *SHAPE)
    assert way.x0.shape == (10, *SHAPE)
    assert way.t[0] == 999
    assert torch.equal(way.x_t[-1], x)
    assert way.x0.abs().max() <= 1
    start = way.x_t[0]
    same = torch.equal(*(draw(config, noise=start, generator=generator(s)) for s in (5, 6)))
    assert same == (sampler != "ddpm")  # from one x_T: DDIM and the solver repeat themselves, DDPM does not


def test_chunks_bound_what_the_model_sees():
    seen = []

    def model(x, t):
        seen.append(len(x))
        return 0 * x

    config = SamplerConfig("ddim", 2)
    sample(model, (7, 2), make_schedule("cosine"), config, prediction="v", generator=generator(), chunk=3)
    assert seen == [3, 3, 1] * 2


@pytest.mark.parametrize(("steps", "count"), [(1000, 1), (1000, 10), (1000, 7), (50, 50), (3, 2)])
def test_timesteps_begin_at_the_last_and_fall(steps, count):
    times = sampling_steps(steps, count)
    assert len(times) == count
    assert times[0] == steps - 1
    assert all(a > b >= 0 for a, b in itertools.pairwise(times))


def test_guidance_of_zero_ignores_the_label_and_of_one_is_the_conditional_model():
    def model(x, t, labelled):
        return x + (2.0 if labelled else 0.5)

    x, t = torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64)
    values = [guided(model, scale)(x, t)[0].item() for scale in (0.0, 1.0, 3.0)]
    assert values == [0.5, 2.0, 5.0]


def test_bad_input_is_refused_in_a_sentence():
    with pytest.raises(ConfigError, match="11 sampling steps were asked of a schedule with 10"):
        sampling_steps(10, 11)
    with pytest.raises(ConfigError, match=r"SamplerConfig\.sampler is 'euler'"):
        SamplerConfig("euler")
    with pytest.raises(ConfigError, match="eta belongs to ddim"):
        SamplerConfig("dpm++", eta=1.0)
    with pytest.raises(DataError, match="start noise has shape"):
        draw(SamplerConfig(count=2), noise=torch.zeros(1, 1, 8, 8))
    with pytest.raises(ConfigError, match="chunk is 0"):
        draw(SamplerConfig(count=2), chunk=0)
    schedule = make_schedule("cosine", 10)
    options = {"prediction": "x0", "generator": generator()}
    with pytest.raises(DataError, match="The model returned shape"):
        sample(lambda x, t: x[:, :1], (2, 3), schedule, SamplerConfig(count=2), **options)
    zero = make_schedule("linear", zero_terminal_snr=True)
    with pytest.raises(ConfigError, match="predict x0 or v"):
        sample(stub, SHAPE, zero, prediction="epsilon", generator=generator())
    x = sample(stub, SHAPE, zero, prediction="v", generator=generator())
    assert torch.isfinite(x).all()


@pytest.mark.parametrize("rho", [1.0, 2.0, 3.0, 7.0])
@pytest.mark.parametrize("steps", [20, 100, 1000])
def test_spacing_by_rho_begins_in_noise_never_repeats_and_moves_towards_the_image(steps, rho):
    for count in (1, 2, 5, 10, steps // 2, steps):
        times = sampling_steps(steps, count, rho)
        assert len(set(times)) == count
        assert list(times) == sorted(times, reverse=True)
        assert times[0] == steps - 1
        assert times[-1] >= 0
        assert all(t <= even for t, even in zip(times, sampling_steps(steps, count), strict=True))
    assert sampling_steps(1000, 10, 2.0) == (999, 809, 639, 489, 359, 249, 159, 89, 39, 9)
