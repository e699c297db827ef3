"""What a GAN step logs, against closed forms; logged scalars carry no graph."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gantrans.diffusion import DiffusionConfig, DiffusionTask
from gantrans.diffusion.judge import JudgeConfig, JudgeTask
from gantrans.networks import DenoiserConfig, PatchGANConfig, UNetConfig
from gantrans.training import Runtime
from gantrans.translation import ADVERSARIAL_LOSSES, BidirectionalConfig, BidirectionalTask, Pix2PixConfig
from gantrans.translation.gan_gradients import l1_gradient_norm, spread
from gantrans.translation.losses import AdversarialLoss
from gantrans.translation.pix2pix import Pix2PixTask

GENERATOR = UNetConfig(base_filters=4, n_down=2, dropout=0.0)
CRITIC = PatchGANConfig(base_filters=4, n_layers=1)
PLAYERS = Pix2PixConfig(GENERATOR, CRITIC, weight_fm=1.0, buffer=4)
BOTH = BidirectionalConfig(
    GENERATOR, GENERATOR, CRITIC, weight_fm=1.0, weight_identity=1.0, weight_cycle=2.0, buffer=4
)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def runtime() -> Runtime:
    return Runtime(torch.device("cpu"), "fp32", 1, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 3.0])
def test_spread_is_the_ratio_of_standard_deviations_over_the_batch(factor: float) -> None:
    target = images(6, 1, 5, 7)
    assert float(spread(factor * target + 0.3, target)) == pytest.approx(factor, abs=1e-6)
    same_everywhere = torch.arange(4.0)[:, None, None, None].expand(4, 1, 2, 3)
    within = torch.arange(6.0).reshape(1, 1, 2, 3)  # differs from pixel to pixel alone: no spread
    assert float(spread(same_everywhere + within, same_everywhere)) == pytest.approx(1.0)
    assert float(spread(within.expand(4, -1, -1, -1), same_everywhere)) == 0.0
    assert float(spread(target[:1], target[:1])) == 1.0
    flat = torch.zeros(3, 1, 2, 2)  # targets that are all alike: large, but a number
    assert float(spread(images(3, 1, 2, 2), flat)) == pytest.approx(
        float(images(3, 1, 2, 2).std(0).mean()) / 1e-6, rel=1e-4
    )


def test_the_norm_of_l1s_gradient_is_that_of_autograd() -> None:
    fake, target = images(2, 1, 6, 6).requires_grad_(), images(2, 1, 6, 6, seed=1)
    target[0, 0, 0] = fake.detach()[0, 0, 0]  # exactly right: no gradient there
    (gradient,) = torch.autograd.grad(7.0 * (fake - target).abs().mean(), fake)
    assert float(l1_gradient_norm(7.0, fake.detach(), target)) == pytest.approx(float(gradient.norm()))
    assert float(l1_gradient_norm(7.0, target, target)) > 0  # a ratio to it stays finite


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_the_losses_by_hand(kind: str) -> None:
    smooth = 1.0 if kind == "hinge" else 0.9
    loss, real, fake = AdversarialLoss(kind, smooth), images(3, 1, 2, 2) * 3, images(3, 1, 2, 2, seed=1) * 3
    before = real.clone(), fake.clone()
    g = d = 0.0
    for r, f in zip(real.flatten().tolist(), fake.flatten().tolist(), strict=True):
        p, q = 1 / (1 + math.exp(-r)), 1 / (1 + math.exp(-f))
        if kind == "lsgan":
            g, d = g + (f - 1) ** 2, d + (r - smooth) ** 2 + f**2
        elif kind == "hinge":
            g, d = g - f, d + max(0, 1 - r) + max(0, 1 + f)
        else:
            d -= smooth * math.log(p) + (1 - smooth) * math.log(1 - p) + math.log(1 - q)
            g += -math.log(q) if kind == "non_saturating" else math.log(1 - q)
    assert float(loss.generator(fake)) == pytest.approx(g / 12, rel=1e-5)
    assert float(loss.discriminator(real, fake)) == pytest.approx(0.5 * d / 12, rel=1e-5)
    assert torch.equal(real, before[0])
    assert torch.equal(fake, before[1])


def steps():
    batch = {"input": images(4, 1, 16, 16), "target": images(4, 1, 16, 16, seed=1)}
    yield Pix2PixTask(PLAYERS), batch
    yield Pix2PixTask(replace(PLAYERS, discriminator=None)), batch
    yield BidirectionalTask(BOTH), batch
    yield BidirectionalTask(replace(BOTH, discriminator=None)), batch
    yield DiffusionTask(DiffusionConfig(DenoiserConfig(base_filters=8))), {"x0": images(2, 1, 8, 8)}
    yield JudgeTask(JudgeConfig(size=8)), {"image": images(4, 1, 8, 8), "label": torch.tensor([0, 1, 2, 3])}


@pytest.mark.parametrize(("task", "batch"), list(steps()), ids=lambda v: getattr(v, "name", "batch"))
def test_logged_scalars_are_finite_numbers_without_a_graph(task, batch) -> None:
    scalars = task.step(batch, runtime())
    for name, value in scalars.items():
        assert not value.requires_grad, name
        assert value.shape == (), name
        assert torch.isfinite(value), name
    assert not any(value.requires_grad for value in batch.values())


def test_both_directions_log_the_same_things_under_their_names() -> None:
    batch = {"input": images(4, 1, 16, 16), "target": images(4, 1, 16, 16, seed=1)}
    one = set(Pix2PixTask(PLAYERS).step(batch, runtime()))
    both = set(BidirectionalTask(BOTH).step(batch, runtime()))
    assert both == {f"{name}_{side}" for name in one for side in "ab"} | {"loss_cycle", "loss_identity"}
    assert {"loss_l1", "loss_gan_g", "loss_d", "loss_fm", "d_real", "d_fake", "d_accuracy", "spread"} < one
    assert {"gradient_gan", "gradient_fm", "gradient_ratio"} < one
