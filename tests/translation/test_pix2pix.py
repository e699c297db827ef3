"""The pix2pix step computes exactly the gradients of the textbook recipe, with one pass of each network."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from gantrans.config import from_dict, to_dict
from gantrans.errors import ConfigError
from gantrans.networks import PatchGANConfig, UNetConfig
from gantrans.training import FitConfig, Runtime, fit
from gantrans.translation import ADVERSARIAL_LOSSES, AdversarialLoss, Pix2PixConfig, Pix2PixTask
from lessons.lesson05.pix2pix import simultaneous_gradients

GENERATOR = UNetConfig(base_filters=4, n_down=3, dropout=0.0)
CONFIG = Pix2PixConfig(GENERATOR, PatchGANConfig(base_filters=4, n_layers=2))


def runtime(accumulate=1, precision="fp32", seed=0):
    return Runtime(torch.device("cpu"), precision, accumulate, torch.Generator().manual_seed(seed))


def batch(count=2, size=32, seed=0):
    source, target = (
        torch.rand(2, count, 1, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    )
    return {"input": source, "target": target.sign(), "family": ["line_space"] * count}


def gradients(task):
    return {
        f"{name}.{key}": p.grad.clone()
        for name, net in task.networks.items()
        for key, p in net.named_parameters()
    }


def textbook_gradients(config, data, noise_seed=None):
    """Separate forwards, D frozen during G's step, D fed the detached fake; both at the same weights."""
    task = Pix2PixTask(config, seed=0)
    discriminator, loss = task.discriminator.train(), AdversarialLoss(config.adversarial, config.real_label)
    if config.discriminator.spectral_norm:
        discriminator.eval()  # no power iteration: D is the same function in every pass
    simultaneous_gradients(
        task.generator,
        discriminator,
        data["input"],
        data["target"],
        loss_d=loss.discriminator,
        loss_g=loss.generator,
        weight_l1=config.weight_l1,
        weight_gan=config.weight_gan,
        noise=None if noise_seed is None else torch.Generator().manual_seed(noise_seed),
    )
    return gradients(task)


def assert_same_gradients(got, expected):
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        # relative to the tensor's largest value: some weights have nothing but rounding as their gradient
        torch.testing.assert_close(
            got[name], value, rtol=1e-5, atol=1e-6 * max(1.0, float(value.abs().max())), msg=name
        )


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
@pytest.mark.parametrize(
    "discriminator", [{}, {"spectral_norm": True}, {"norm": "batch"}, {"norm": "instance"}]
)
def test_gradients_equal_the_textbook_recipe(kind, discriminator):
    config = Pix2PixConfig(
        GENERATOR,
        dataclasses.replace(CONFIG.discriminator, **discriminator),
        adversarial=kind,
        real_label=1.0 if kind == "hinge" else 0.9,
        weight_l1=3.0,
        weight_gan=2.0,
    )
    task, data = Pix2PixTask(config, seed=0), batch()
    if config.discriminator.spectral_norm:
        task.discriminator.eval()
    task.step(data, runtime())
    assert_same_gradients(gradients(task), textbook_gradients(config, data))


def test_gradients_equal_the_textbook_recipe_with_injected_noise():
    config = dataclasses.replace(CONFIG, generator=dataclasses.replace(GENERATOR, noise_injection=True))
    task, data = Pix2PixTask(config, seed=0), batch()
    task.step(data, runtime(seed=4))
    assert_same_gradients(gradients(task), textbook_gradients(config, data, noise_seed=4))


@pytest.mark.parametrize(("buffer", "passes"), [(0, 1), (5, 2)])
def test_one_generator_pass_one_discriminator_pass_one_power_iteration(buffer, passes):
    """Real and fake go through D together; fakes from the buffer need one pass more."""
    critic = PatchGANConfig(base_filters=4, n_layers=2, spectral_norm=True)
    config = dataclasses.replace(CONFIG, discriminator=critic, weight_fm=10.0, buffer=buffer)
    task, calls = Pix2PixTask(config), {"generator": 0, "discriminator": 0, "spectral": 0}

    def count(name):
        return lambda *_: calls.__setitem__(name, calls[name] + 1)

    task.generator.register_forward_hook(count("generator"))
    task.discriminator.register_forward_hook(count("discriminator"))
    task.discriminator.to_logits.parametrizations.weight.register_forward_hook(count("spectral"))
    task.step(batch(), runtime())
    assert calls == {"generator": 1, "discriminator": passes, "spectral": 1}


def test_accumulated_half_batches_equal_one_batch():
    """Without batch statistics, gradients are means: two halves at scale 1/2 are the whole."""
    config = dataclasses.replace(CONFIG, generator=dataclasses.replace(GENERATOR, norm="none"))
    whole, halves, data = Pix2PixTask(config), Pix2PixTask(config), batch(4)
    whole.step(data, runtime())
    for part in (slice(0, 2), slice(2, 4)):
        halves.step({key: value[part] for key, value in data.items()}, runtime(accumulate=2))
    assert_same_gradients(gradients(halves), gradients(whole))


def test_step_steps_nothing_and_log_is_detached_and_finite():
    task = Pix2PixTask(CONFIG)
    before = [p.clone() for net in task.networks.values() for p in net.parameters()]
    log = task.step(batch(), runtime())
    after = [p for net in task.networks.values() for p in net.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    names = [
        "loss_l1",
        "loss_gan_g",
        "loss_d",
        "d_real",
        "d_fake",
        "d_accuracy",
        "gradient_gan",
        "gradient_ratio",
        "spread",
    ]
    assert list(log) == names
    assert all(v.ndim == 0 and not v.requires_grad and torch.isfinite(v) for v in log.values())
    assert 0 <= log["d_accuracy"] <= 1


@pytest.mark.parametrize(("kind", "score"), [("lsgan", 2.0), ("minimax", 0.880797)])
def test_a_discriminator_that_believes_everything_is_half_right(kind, score):
    task = Pix2PixTask(dataclasses.replace(CONFIG, adversarial=kind))
    with torch.no_grad():
        task.discriminator.to_logits.weight.zero_()
        task.discriminator.to_logits.bias.fill_(2.0)
    log = task.step(batch(), runtime())
    assert float(log["d_accuracy"]) == 0.5
    assert float(log["d_real"]) == float(log["d_fake"]) == pytest.approx(score)


def test_gradient_ratio_is_measured_at_the_fake():
    config = dataclasses.replace(CONFIG, weight_l1=5.0, weight_gan=0.5)
    task, data = Pix2PixTask(config), batch()
    log = task.step(data, runtime())
    reference = Pix2PixTask(config)
    fake = reference.generator(data["input"])
    logits = reference.discriminator(data["input"], fake).logits
    adversarial = 0.5 * task.loss_weights.adversarial.generator(logits)
    pixel = 5.0 * F.l1_loss(fake, data["target"])
    norms = [torch.autograd.grad(loss, fake, retain_graph=True)[0].norm() for loss in (adversarial, pixel)]
    torch.testing.assert_close(log["gradient_gan"], norms[0])
    torch.testing.assert_close(log["gradient_ratio"], norms[0] / norms[1])
    without_l1 = Pix2PixTask(dataclasses.replace(config, weight_l1=0.0)).step(data, runtime())
    assert "gradient_ratio" not in without_l1
    assert all(torch.isfinite(value) for value in without_l1.values())


def test_l1_only_builds_no_discriminator_and_starts_from_the_same_generator():
    task = Pix2PixTask(dataclasses.replace(CONFIG, discriminator=None), seed=3)
    twin = Pix2PixTask(CONFIG, seed=3)
    assert list(task.networks) == list(task.optimizers) == ["generator"]
    assert list(task.step(batch(), runtime())) == ["loss_l1"]
    pairs = zip(task.generator.parameters(), twin.generator.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert all(p.grad is not None for p in task.generator.parameters())


def test_bfloat16_step_is_close_to_float32_and_losses_are_float32():
    exact, rough = Pix2PixTask(CONFIG), Pix2PixTask(CONFIG)
    log = exact.step(batch(), runtime())
    half = runtime(precision="bf16")
    with half.autocast():  # as `fit` calls it
        low = rough.step(batch(), half)
    assert {v.dtype for v in low.values()} == {torch.float32}
    assert {p.grad.dtype for p in rough.generator.parameters()} == {torch.float32}
    for name in ("loss_l1", "loss_gan_g", "loss_d"):
        assert float(low[name]) == pytest.approx(float(log[name]), rel=0.03)


def test_a_few_steps_reduce_l1_with_both_optimizers_working():
    task = Pix2PixTask(dataclasses.replace(CONFIG, lr_generator=5e-3), seed=0)
    data, losses = batch(), []
    for _ in range(25):
        losses.append(float(task.step(data, runtime())["loss_l1"]))
        for optimizer in task.optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    assert losses[-1] < 0.8 * losses[0]
    settings = [(o.param_groups[0]["lr"], o.param_groups[0]["betas"]) for o in task.optimizers.values()]
    assert settings == [(5e-3, (0.5, 0.999)), (2e-4, (0.5, 0.999))]


def test_the_training_loop_takes_the_task():
    spectral = PatchGANConfig(base_filters=4, n_layers=2, spectral_norm=True)
    task = Pix2PixTask(dataclasses.replace(CONFIG, discriminator=spectral))
    before = [p.clone() for net in task.networks.values() for p in net.parameters()]
    fit(task, lambda step: batch(seed=step), FitConfig(steps=2, channels_last=True), progress=False)
    after = [p for net in task.networks.values() for p in net.parameters()]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("discriminator", [None, PatchGANConfig(n_layers="global", spectral_norm=True)])
def test_config_survives_storage(discriminator):
    config = dataclasses.replace(CONFIG, discriminator=discriminator)
    assert from_dict(Pix2PixConfig, to_dict(config)) == config


def test_config_refuses_what_cannot_work():
    with pytest.raises(ConfigError, match="margin"):
        Pix2PixConfig(adversarial="hinge", real_label=0.9)
    with pytest.raises(ConfigError, match="lr_generator"):
        Pix2PixConfig(lr_generator=0.0)
    with pytest.raises(ConfigError, match="betas"):
        Pix2PixConfig(betas=(0.5, 1.0))
    with pytest.raises(ConfigError, match="4 channels together"):
        Pix2PixConfig(generator=UNetConfig(in_channels=3))
