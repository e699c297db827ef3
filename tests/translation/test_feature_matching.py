"""Feature matching: both conventions by hand, real features constant, G's gradient as in the textbook."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from test_pix2pix import CONFIG, assert_same_gradients, batch, gradients, runtime

from gantrans.errors import ConfigError
from gantrans.networks import PatchGAN, PatchGANConfig
from gantrans.translation import Pix2PixTask, feature_matching


def test_conventions_by_hand():
    real = [torch.zeros(1, 2, 2, 2), torch.zeros(1, 1, 1, 1)]
    fake = [torch.full((1, 2, 2, 2), 3.0), torch.full((1, 1, 1, 1), -1.0)]
    assert float(feature_matching(real, fake)) == 2.0  # (3 + 1) / 2: layers count alike whatever their size
    assert float(feature_matching(real, fake, "sum")) == 8.0


def test_sum_is_pix2pixhd_for_every_depth():
    """lambda * sum over the n_layers + 1 feature layers of 4 / (n_layers + 1) * L1 mean."""
    for n_layers in (1, 2, 3):
        critic = PatchGAN(PatchGANConfig(base_filters=2, n_layers=n_layers))
        x, real, fake = torch.randn(3, 2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
        features = [critic(x, image).features for image in (real, fake)]
        assert len(features[0]) == n_layers + 1
        expected = sum(4 / (n_layers + 1) * F.l1_loss(b, a) for a, b in zip(*features, strict=True))
        torch.testing.assert_close(feature_matching(*features, "sum"), expected)


def test_real_features_are_constants():
    real, fake = torch.ones(1, 1, 2, 2, requires_grad=True), torch.zeros(1, 1, 2, 2, requires_grad=True)
    feature_matching([real], [fake]).backward()
    assert real.grad is None
    assert torch.equal(fake.grad, torch.full((1, 1, 2, 2), -0.25))


def test_wrong_use_is_named():
    with pytest.raises(ConfigError, match="choose one of mean, sum"):
        feature_matching([torch.zeros(1)], [torch.zeros(1)], "average")
    with pytest.raises(ConfigError, match="1 real and 2 fake"):
        feature_matching([torch.zeros(1)], [torch.zeros(1)] * 2)


@pytest.mark.parametrize("convention", ["mean", "sum"])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_step_gives_the_textbook_gradient_and_leaves_ds_alone(convention, norm):
    critic = dataclasses.replace(CONFIG.discriminator, norm=norm)
    config = dataclasses.replace(
        CONFIG, discriminator=critic, weight_fm=10.0, fm_convention=convention, weight_l1=2.0
    )
    task, without, book = (
        Pix2PixTask(config),
        Pix2PixTask(dataclasses.replace(config, weight_fm=0.0)),
        Pix2PixTask(config),
    )
    data = batch()
    log = task.step(data, runtime())
    without.step(data, runtime())
    fake = book.generator(data["input"])
    said = book.discriminator(data["input"], fake)
    wanted = [f.detach() for f in book.discriminator(data["input"], data["target"]).features]
    matching = torch.stack([F.l1_loss(f, r) for f, r in zip(said.features, wanted, strict=True)])
    matching = matching.mean() if convention == "mean" else 4 * matching.mean()
    loss = 2.0 * F.l1_loss(fake, data["target"]) + (said.logits - 1).square().mean() + 10.0 * matching
    book.discriminator.requires_grad_(False)
    loss.backward()
    grads = gradients(task)
    expected = {f"generator.{k}": p.grad for k, p in book.generator.named_parameters()}
    assert_same_gradients({k: grads[k] for k in expected}, expected)
    others = gradients(without)  # D plays the same game whether or not G listens to it
    assert all(torch.equal(grads[k], others[k]) for k in grads if k.startswith("discriminator"))
    assert float(log["loss_fm"]) == pytest.approx(matching.item(), rel=1e-5)
    assert log["gradient_fm"] > 0
