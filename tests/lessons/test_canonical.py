"""The canonical forms on the lessons' pages compute what the library computes, and docstrings name them."""

import importlib
import re

import pytest
import torch
from canonical_cases import (
    PIX2PIX,
    assert_close,
    generator,
    gradients,
    images,
    pairs,
    parameters,
    perturbed,
    runtime,
)

import gantrans.diffusion
from gantrans import ROOT
from gantrans.diffusion import DiffusionConfig, DiffusionTask, SamplerConfig, sample
from gantrans.diffusion import sampling_steps as spaced
from gantrans.networks import (
    DenoiserConfig,
    UNetConfig,
    UNetGenerator,
    VectorDenoiser,
    VectorDenoiserConfig,
)
from gantrans.teaching.glossary import prose_of_code
from gantrans.translation import (
    Pix2PixTask,
)
from lessons.lesson03 import ddpm
from lessons.lesson04.unet import UNet
from lessons.lesson05 import pix2pix

STEPS = 20


# ---- lesson 03: DDPM and DDIM


@pytest.mark.parametrize("network", [DenoiserConfig(base_filters=8, steps=STEPS), None])
def test_ddpm_training_step_is_the_task_of_the_library(network):
    config = DiffusionConfig(network or VectorDenoiserConfig(2, hidden=16, steps=STEPS), steps=STEPS)
    x_0 = images(4, 1, 8, 8) if network else images(4, 2)
    ours, canonical = (DiffusionTask(config, seed=1) for _ in range(2))
    for task in (ours, canonical):
        perturbed(task.denoiser)
    before = parameters(ours.denoiser)
    stream, expected = runtime(3), ours.step({"x0": x_0}, runtime(3))["loss"]
    optimizer = torch.optim.SGD(canonical.denoiser.parameters(), lr=0.1)
    bars = config.noise_schedule.alpha_bars
    loss = ddpm.ddpm_training_step(canonical.denoiser, optimizer, x_0, bars, stream.generator)
    torch.testing.assert_close(loss, expected)
    assert_close(gradients(canonical.denoiser), gradients(ours.denoiser))
    moved = {name: before[name] - 0.1 * value for name, value in gradients(ours.denoiser).items()}
    assert_close(parameters(canonical.denoiser), moved)


@pytest.fixture(scope="module")
def denoiser():
    return perturbed(VectorDenoiser(VectorDenoiserConfig(3, hidden=16, steps=STEPS), seed=2))


def drawn(denoiser, config):
    schedule = DiffusionConfig(VectorDenoiserConfig(3, steps=STEPS), steps=STEPS).noise_schedule
    x = sample(denoiser, (5, 3), schedule, config, prediction="epsilon", generator=generator(4))
    return x, schedule.alpha_bars


def test_ddpm_sample_is_the_sampler_of_the_library(denoiser):
    expected, bars = drawn(denoiser, SamplerConfig("ddpm", STEPS, clip=False))
    got = ddpm.ddpm_sample(denoiser, (5, 3), bars, generator(4))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("count", [1, 6, STEPS])
def test_ddim_sample_is_the_sampler_of_the_library(denoiser, eta, count):
    expected, bars = drawn(denoiser, SamplerConfig("ddim", count, eta=eta, clip=False))
    got = ddpm.ddim_sample(denoiser, (5, 3), bars, spaced(STEPS, count), generator(4), eta)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


# ---- lesson 04: the U-Net


@pytest.mark.parametrize("channels", [(1, 1), (2, 3)])
def test_unet_is_the_generator_of_the_library(channels):
    config = UNetConfig(*channels, base_filters=4, channel_cap=24)
    library, canonical = UNetGenerator(config, seed=3), UNet(*channels, f=4, cap=24)
    stored = zip(canonical.state_dict(), library.state_dict().values(), strict=True)
    canonical.load_state_dict(dict(stored))  # by order; shapes must agree
    x, outputs = images(2, channels[0], 64, 96), []
    for network in (library, canonical):
        torch.manual_seed(7)  # of dropout
        outputs.append(network.train()(x))
        outputs[-1].square().sum().backward()
    assert torch.equal(*outputs)
    for a, b in zip(library.parameters(), canonical.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)
    assert torch.equal(library.eval()(x), canonical.eval()(x))
    assert not torch.equal(library(x), outputs[0])


def test_unet_has_the_layers_of_the_full_preset():
    library, canonical = UNetGenerator(UNetConfig()), UNet()
    shapes = [[tuple(v.shape) for v in net.state_dict().values()] for net in (library, canonical)]
    assert shapes[0] == shapes[1]


# ---- lesson 05: pix2pix


def reference(task, lr_d):
    """`reference_step` on a task's networks. SGD: Adam's first step is a sign, which rounding can turn."""
    optimizers = [
        torch.optim.SGD(n.parameters(), lr) for n, lr in ((task.generator, 0.1), (task.discriminator, lr_d))
    ]
    data = pairs()
    return pix2pix.reference_step(
        task.generator, task.discriminator, *optimizers, data["input"], data["target"], PIX2PIX.weight_l1
    )


def test_pix2pix_step_is_that_of_the_library_while_d_stands_still():
    """The library takes both gradients at the same weights; with D's rate 0, so does the reference."""
    library, canonical = (Pix2PixTask(PIX2PIX, seed=1) for _ in range(2))
    before = parameters(library.generator)
    log = library.step(pairs(), runtime())
    losses = reference(canonical, lr_d=0.0)
    assert losses == {name: pytest.approx(float(log[name]), rel=1e-5) for name in losses}
    g, d = library.generator, library.discriminator
    assert_close(gradients(canonical.generator), gradients(g), rtol=1e-4, atol=1e-5)
    assert_close(gradients(canonical.discriminator), gradients(d), rtol=1e-4, atol=1e-5)
    moved = {name: before[name] - 0.1 * value for name, value in gradients(g).items()}
    assert_close(parameters(canonical.generator), moved, rtol=1e-4, atol=1e-6)


def test_pix2pix_reference_alternates_and_that_is_the_only_difference():
    """The reference moves D before G's turn: at D's new weights, the library's gradient of G is its own."""
    library, canonical = (Pix2PixTask(PIX2PIX, seed=1) for _ in range(2))
    reference(canonical, lr_d=0.1)
    library.step(pairs(), runtime())
    simultaneous = gradients(library.generator)
    torch.optim.SGD(library.discriminator.parameters(), 0.1).step()
    assert_close(parameters(canonical.discriminator), parameters(library.discriminator), rtol=1e-5, atol=1e-7)
    library.generator.zero_grad()
    library.step(pairs(), runtime())
    assert_close(gradients(canonical.generator), gradients(library.generator), rtol=1e-4, atol=1e-5)
    largest = max((v - simultaneous[k]).abs().max() for k, v in gradients(library.generator).items())
    assert largest > 1e-3
    assert all(p.requires_grad for p in canonical.discriminator.parameters())


# ---- docstrings


def canonical_names():
    """(file, dotted name) of every name in a docstring's paragraph that begins with "Canonical form:"."""
    return [
        (path.relative_to(ROOT).as_posix(), name)
        for path in sorted((ROOT / "gantrans").rglob("*.py"))
        for _, text in prose_of_code(path)
        for paragraph in re.findall(r"Canonical form:.*?(?:\n\n|$)", text, re.S)
        for name in re.findall(r"`(\w+(?:\.\w+){2,})`", paragraph)
    ]


def found(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_every_canonical_form_that_a_docstring_names_exists():
    named = canonical_names()
    assert len(named) >= 25
    for path, name in named:
        assert callable(found(name)), f"{path} names {name}"
    with pytest.raises(AttributeError):
        found("lessons.lesson03.ddpm.ddmp_sample")
    with pytest.raises(ModuleNotFoundError):
        found("lessons.lesson03.dpdm.ddpm_sample")


def test_every_canonical_form_is_named_by_the_library():
    forms = ddpm.ddpm_training_step, ddpm.ddpm_sample, ddpm.ddim_sample, UNet, pix2pix.reference_step
    named = {name for _, name in canonical_names()}
    assert {f"{form.__module__}.{form.__name__}" for form in forms} <= named
    for name in ("ddpm_step", "ddim_step", "dpm_solver_step"):  # what a reader greps for
        assert callable(getattr(gantrans.diffusion, name))
