"""Exercises whose reference is a method's canonical form: the library computes the same."""

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
from torch.nn.utils.parametrizations import spectral_norm

from gantrans.diffusion import (
    DiffusionConfig,
    DiffusionTask,
    SamplerConfig,
    guided,
    make_schedule,
    q_sample,
    sampler_steps,
    take_step,
)
from gantrans.diffusion.schedules import LARGEST_BETA
from gantrans.metrics import compare_topology, iou, psnr, ssim
from gantrans.metrics.topology import label_features
from gantrans.networks import (
    PatchGAN,
    PatchGANConfig,
    SelfAttention,
    VectorDenoiser,
    VectorDenoiserConfig,
    receptive_field,
    sinusoidal_embedding,
)
from gantrans.networks.attention import fused_attention
from gantrans.teaching.exercises import exercise
from gantrans.training import EMA, Runtime
from gantrans.training.lr import linear_decay
from gantrans.translation import (
    AdversarialLoss,
    BidirectionalConfig,
    BidirectionalTask,
    ImageBuffer,
    Pix2PixTask,
    feature_matching,
)
from lessons.lesson05.pix2pix import lsgan_d, lsgan_g, reference_step


def answer(name):
    return exercise(name)._reference


def test_forward_process_embedding_and_guidance_are_those_of_the_exercises():
    schedule = DiffusionConfig().noise_schedule
    x_0, noise, t = images(4, 1, 8, 8), images(4, 1, 8, 8, seed=1), torch.tensor([0, 10, 500, 999])
    torch.testing.assert_close(
        answer("q_sample")(x_0, t, noise, schedule.alpha_bars), q_sample(schedule, x_0, t, noise)
    )
    torch.testing.assert_close(answer("sinusoidal_embedding")(t, 16, 10_000.0), sinusoidal_embedding(t, 16))

    def model(x, t, labelled):
        return (2.0 if labelled else 0.5) * x

    expected = guided(model, 3.0)(x_0, t)
    torch.testing.assert_close(answer("guided_prediction")(0.5 * x_0, 2.0 * x_0, 3.0), expected)


def test_the_block_with_time_is_that_of_the_exercise():
    """The denoiser for vectors with one block, taken apart: its layers in the exercise's class."""
    network = perturbed(VectorDenoiser(VectorDenoiserConfig(features=6, hidden=16, blocks=1)))
    block = answer("time_block")(16, 16)
    parts = zip(("norms", "modulations", "inner", "outer"), block.children(), strict=True)
    for name, layer in parts:
        layer.load_state_dict(getattr(network, name)[0].state_dict())
    x, t = images(3, 6), torch.tensor([0, 30, 999])
    h = block(network.entry(x), network.conditioning(t, None))
    expected = network.exit(torch.nn.functional.silu(h))
    torch.testing.assert_close(network(x, t), expected)


def test_ema_is_that_of_the_exercise():
    network, average = torch.nn.Linear(2, 2), None
    ema = EMA({"net": network}, decay=0.3)
    average = [p.detach().clone() for p in network.parameters()]
    for n in range(6):
        with torch.no_grad():
            for p in network.parameters():
                p.add_(images(*p.shape, seed=n))
        ema.update()
        average = answer("ema_update")(average, [p.detach() for p in network.parameters()], 0.3, n)
    got = list(ema.state_dict()["net"].values())
    torch.testing.assert_close(got, average)


@pytest.mark.parametrize("kind", ["minimax", "non_saturating", "lsgan", "hinge"])
def test_adversarial_losses_are_those_of_the_exercises(kind):
    loss, real, fake = AdversarialLoss(kind), 3 * images(2, 1, 4, 4), 3 * images(2, 1, 4, 4, seed=1)
    torch.testing.assert_close(answer("generator_loss")(fake, kind), loss.generator(fake))
    torch.testing.assert_close(answer("discriminator_loss")(real, fake, kind), loss.discriminator(real, fake))
    if kind != "hinge":
        smoothed = AdversarialLoss(kind, 0.9).discriminator(real, fake)
        torch.testing.assert_close(answer("discriminator_loss")(real, fake, kind, 0.9), smoothed)


def test_the_discriminator_as_a_class_is_the_librarys():
    """With the weights copied in order: logits, maps, and the gradient of the image."""
    ours = perturbed(PatchGAN(PatchGANConfig(base_filters=4, n_layers=2)))
    mine = answer("build_patchgan")(answer("patchgan_layers")(4, 2, 256))
    for own, known in zip(mine.parameters(), ours.parameters(), strict=True):
        own.data = known.detach().clone()
    condition, image = images(2, 1, 32, 32), images(2, 1, 32, 32, seed=1).requires_grad_()
    for got, expected in zip(mine(condition, image), ours(condition, image), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    slopes = [torch.autograd.grad(D(condition, image)[0].square().sum(), image)[0] for D in (mine, ours)]
    torch.testing.assert_close(*slopes)


def test_both_turns_together_are_the_papers_step():
    """Two steps: losses and weights. SGD, because Adam's first step is a sign, which rounding can turn."""
    ours, mine = (Pix2PixTask(PIX2PIX, seed=2) for _ in range(2))
    x, y = pairs().values()
    rates = (0.1, 0.05)
    known, own = (
        [
            torch.optim.SGD(net.parameters(), lr)
            for net, lr in zip((t.generator, t.discriminator), rates, strict=True)
        ]
        for t in (ours, mine)
    )
    for _ in range(2):
        losses = reference_step(ours.generator, ours.discriminator, *known, x, y, 7.0)
        fake = mine.generator(x)
        loss_d = answer("discriminator_step")(mine.discriminator, own[1], x, y, fake, lsgan_d)
        loss_g = answer("generator_step")(mine.discriminator, own[0], x, y, fake, lsgan_g, 7.0)
        assert loss_d == pytest.approx(losses["loss_d"], rel=1e-5)
        assert loss_g == pytest.approx(losses["loss_gan_g"] + 7 * losses["loss_l1"], rel=1e-5)
    for name in ("generator", "discriminator"):
        got, expected = (parameters(getattr(task, name)) for task in (mine, ours))
        assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_spectral_norm_is_that_of_the_exercise():
    """PatchGAN uses PyTorch's; in training mode each call is one power iteration."""
    torch.manual_seed(0)
    layer = spectral_norm(torch.nn.Conv2d(2, 3, 4))
    parametrization = layer.parametrizations.weight[0]
    weight, u = layer.parametrizations.weight.original, parametrization._u.clone()
    expected = layer.weight
    got, _, new_u = answer("spectral_normalise")(weight, u, 1)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(new_u, parametrization._u)


def test_image_buffer_is_that_of_the_exercise():
    buffer, stream, stored = ImageBuffer(3, seed=5), generator(5), []
    for n in range(6):
        condition, fake = images(2, 1, 2, 2, seed=n), images(2, 1, 2, 2, seed=100 + n)
        expected = buffer.exchange(condition, fake)
        *got, stored = answer("exchange_fakes")(stored, condition, fake, 3, stream)
        assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("convention", ["mean", "sum"])
def test_feature_matching_is_that_of_the_exercise(convention):
    critic = PatchGAN(PatchGANConfig(base_filters=4, n_layers=2))
    condition, fake, real = (images(2, 1, 32, 32, seed=n) for n in range(3))
    expected = feature_matching(
        critic(condition, real).features, critic(condition, fake).features, convention
    )
    torch.testing.assert_close(
        answer("matched_features")(condition, fake, real, critic, convention), expected
    )


@pytest.mark.parametrize("fused", [True, False])
def test_self_attention_is_that_of_the_exercise(fused):
    layer, x = perturbed(SelfAttention(16, gamma_init=0.7, fused=fused)), images(2, 16, 4, 6)
    weights = [
        part
        for conv in (layer.query, layer.key, layer.value)
        for part in (conv.weight[:, :, 0, 0], conv.bias)
    ]
    torch.testing.assert_close(
        answer("self_attention")(x, *weights, layer.gamma), layer(x), rtol=1e-5, atol=1e-5
    )
    q, k, v = layer._tokens(x)
    kernel = torch.nn.functional.scaled_dot_product_attention
    torch.testing.assert_close(answer("fused_attention")(q, k, v, kernel), fused_attention(q, k, v))


class Logits(torch.nn.Module):
    """A discriminator that gives logits alone, as the exercise expects."""

    def __init__(self, discriminator):
        super().__init__()
        self.discriminator = discriminator

    def forward(self, condition, image):
        return self.discriminator(condition, image).logits


def test_generators_step_of_both_directions_is_that_of_the_exercise():
    config = BidirectionalConfig(
        PIX2PIX.generator,
        PIX2PIX.generator,
        PIX2PIX.discriminator,
        weight_gan=0.5,
        weight_l1=7.0,
        weight_cycle=3.0,
    )
    library, canonical = (BidirectionalTask(config, seed=1) for _ in range(2))
    sem, layout = pairs().values()
    log = library.step({"input": sem, "target": layout}, runtime())
    critics = [Logits(canonical.discriminators[name]) for name in ("d_a", "d_b")]
    loss = answer("cycle_step")(sem, layout, canonical.a, canonical.b, *critics, (1.0, 7.0, 3.0))
    for name in ("a", "b"):
        got, expected = (gradients(task.networks[name]) for task in (canonical, library))
        assert_close(got, expected, rtol=1e-4, atol=1e-5)
    parts = [0.5 * log["loss_gan_g_a"], 0.5 * log["loss_gan_g_b"], 3.0 * log["loss_cycle"]]
    parts += [7.0 * log["loss_l1_a"], 7.0 * log["loss_l1_b"]]
    torch.testing.assert_close(loss, torch.stack(parts).sum())
    cycle = answer("cycle_loss")(sem, layout, canonical.a, canonical.b)
    torch.testing.assert_close(cycle, log["loss_cycle"])


def test_schedules_are_those_of_the_exercises():
    torch.testing.assert_close(answer("linear_betas")(1000, 1e-4, 0.02), make_schedule("linear").betas)
    torch.testing.assert_close(answer("linear_betas")(100, 1e-4, 0.02), make_schedule("linear", 100).betas)
    cosine = make_schedule("cosine", 50)
    torch.testing.assert_close(answer("cosine_betas")(50, LARGEST_BETA), cosine.betas)
    torch.testing.assert_close(answer("log_snr")(cosine.betas), cosine.log_snr)
    short = answer("thin_out")(cosine.betas, 5)
    torch.testing.assert_close(torch.cumprod(1 - short, 0), cosine.alpha_bars[4::5])


def test_the_training_loop_of_the_exercise_is_that_of_the_library():
    """The same draws, losses and weights; without weight decay AdamW is Adam."""
    network = VectorDenoiserConfig(features=6, hidden=8, steps=20)
    config = DiffusionConfig(network=network, steps=20, lr=0.01)
    ours, canonical = (DiffusionTask(config, seed=1) for _ in range(2))
    x_0, stream = images(5, 6), generator(3)
    bars = config.noise_schedule.alpha_bars
    losses = answer("train")(canonical.denoiser, x_0, bars, 4, 3, 0.01, generator(3))
    expected = []
    for _ in range(4):
        batch = x_0[torch.randint(5, (3,), generator=stream)]
        expected.append(ours.step({"x0": batch}, Runtime(torch.device("cpu"), "fp32", 1, stream))["loss"])
        ours.optimizers["denoiser"].step()
        ours.optimizers["denoiser"].zero_grad()
    assert losses == pytest.approx([float(loss) for loss in expected])
    assert_close(parameters(canonical.denoiser), parameters(ours.denoiser), rtol=1e-4, atol=1e-5)


def test_dpm_solver_is_that_of_the_exercise():
    schedule = make_schedule("linear", 50)
    steps = sampler_steps(schedule, SamplerConfig("dpm++", 5))
    bars = [schedule.alpha_bars[step.t].item() for step in steps] + [1.0]
    x, before = images(2, 3), None
    for k, step in enumerate(steps):
        x_0 = images(2, 3, seed=k + 1)
        expected = take_step(step, x_0, x, None if before is None else before[0], None)
        got = answer("dpm_step")(x, x_0, before, bars[k], bars[k + 1])
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
        x, before = expected, (x_0, bars[k])


def test_metrics_are_those_of_the_exercises():
    pred, target = (images(2, 1, 24, 20, seed=n) / 2 + 0.5 for n in range(2))
    torch.testing.assert_close(answer("psnr")(pred, target, 1.0), psnr(pred, target, data_range=1.0))
    torch.testing.assert_close(answer("iou")(pred, target, 0.4), iou(pred, target, 0.4))
    window = answer("gaussian_window")(11, 1.5)
    wanted = ssim(pred.double(), target.double(), data_range=1.0)
    torch.testing.assert_close(answer("ssim_index")(pred.double(), target.double(), window, 1.0), wanted)
    # noise: features are joined, broken, missing and extra
    pred, target = (torch.rand(3, 1, 16, 16, generator=generator(n)) for n in (3, 4))
    topology = compare_topology(pred, target)
    counts = zip(topology.opens, topology.bridges, topology.missing, topology.extra, strict=True)
    labels = [torch.from_numpy(label_features(image, False)[0]).long() for image in (pred, target)]
    got = [answer("count_defects")(p, t) for p, t in zip(*labels, strict=True)]
    assert got == [tuple(int(n) for n in row) for row in counts]
    assert all(sum(kind) > 0 for kind in zip(*got, strict=True))


def test_geometry_and_rates_are_those_of_the_exercises():
    config = PatchGANConfig(base_filters=8, n_layers=3, channel_cap=24)
    layers = answer("patchgan_layers")(8, 3, 24)
    convs = [m for m in PatchGAN(config).modules() if isinstance(m, torch.nn.Conv2d)]
    assert layers == [
        (m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0], m.padding[0]) for m in convs
    ]
    field, side = answer("receptive_field")([row[2:] for row in layers], 100)
    assert field == receptive_field(config.layers).size
    assert side == config.logit_size(100)
    for step in (0, 49, 50, 51, 80, 99, 100):
        assert answer("decayed_rate")(3e-4, step, 100) == pytest.approx(3e-4 * linear_decay(step, 100))
