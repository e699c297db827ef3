"""Adversarial losses against closed forms: values, gradients, optima, smoothing."""

import math

import pytest
import torch
import torch.nn.functional as F

from gantrans.errors import ConfigError
from gantrans.translation import ADVERSARIAL_LOSSES, AdversarialLoss


def slope(loss, logit):
    """d loss / d logit in float64."""
    x = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    return float(torch.autograd.grad(loss(x), x)[0])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("non_saturating", -0.9999546), ("minimax", -4.539787e-5), ("lsgan", -22.0), ("hinge", -1.0)],
)
def test_generator_gradient_where_the_discriminator_is_sure_of_a_fake(kind, expected):
    """Only log(1 - D) saturates at logit -10; -log D, which most people use, does not."""
    assert slope(AdversarialLoss(kind).generator, -10.0) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("logit", [-80.0, -3.0, 0.0, 0.7, 80.0])
def test_generator_gradients_in_closed_form(logit):
    sigmoid = 1 / (1 + math.exp(-logit))
    expected = {
        "non_saturating": -1 / (1 + math.exp(logit)),
        "minimax": -sigmoid,
        "lsgan": 2 * (logit - 1),
        "hinge": -1.0,
    }
    for kind, value in expected.items():
        assert slope(AdversarialLoss(kind).generator, logit) == pytest.approx(value, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("real_label", [1.0, 0.9])
def test_discriminator_is_half_the_sum_of_the_textbook_losses(real_label):
    real, fake = torch.randn(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 4
    cross_entropy = 0.5 * (
        F.binary_cross_entropy_with_logits(real, torch.full_like(real, real_label))
        + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    )
    squares = 0.5 * (
        F.mse_loss(real, torch.full_like(real, real_label)) + F.mse_loss(fake, torch.zeros_like(fake))
    )
    for kind, expected in (("non_saturating", cross_entropy), ("minimax", cross_entropy), ("lsgan", squares)):
        torch.testing.assert_close(AdversarialLoss(kind, real_label).discriminator(real, fake), expected)
    margins = 0.5 * ((1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean())
    torch.testing.assert_close(AdversarialLoss("hinge").discriminator(real, fake), margins)


def test_smoothing_is_one_sided():
    """D(real) aims at 0.9, D(fake) still at 0, and the generator still at 1: no sign change above 0.9."""
    logit_09 = math.log(0.9 / 0.1)
    cross_entropy, squares = AdversarialLoss("non_saturating", 0.9), AdversarialLoss("lsgan", 0.9)
    fake = torch.zeros(1, dtype=torch.float64)
    assert slope(lambda r: cross_entropy.discriminator(r, fake), logit_09) == pytest.approx(0, abs=1e-12)
    assert slope(lambda r: squares.discriminator(r, fake), 0.9) == pytest.approx(0, abs=1e-12)
    assert slope(lambda f: squares.discriminator(fake, f), 0.0) == 0
    assert slope(squares.generator, 0.95) < 0
    assert slope(cross_entropy.generator, 5.0) < 0


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_stable_for_any_logit_and_rewarding_the_right_direction(kind):
    loss = AdversarialLoss(kind)
    extreme = torch.tensor([-1e4, 1e4])
    assert torch.isfinite(loss.generator(extreme))
    assert torch.isfinite(loss.discriminator(extreme, extreme))
    good, bad = torch.tensor([1.0]), torch.tensor([-1.0])
    assert loss.generator(good) < loss.generator(bad)
    assert loss.discriminator(good, bad) < loss.discriminator(bad, good)
    assert bad < loss.boundary < good


def test_score_and_boundary():
    logits = torch.tensor([0.0, 2.0])
    assert torch.equal(AdversarialLoss("lsgan").score(logits), logits)
    torch.testing.assert_close(AdversarialLoss("minimax").score(logits), torch.tensor([0.5, 0.880797]))
    assert AdversarialLoss("lsgan", 0.9).boundary == pytest.approx(0.45)


def test_wrong_kind_label_and_smoothed_hinge_are_refused():
    with pytest.raises(ConfigError, match="non_saturating"):
        AdversarialLoss("bce")
    with pytest.raises(ConfigError, match="real_label"):
        AdversarialLoss("lsgan", 1.1)
    with pytest.raises(ConfigError, match="margin and no target"):
        AdversarialLoss("hinge", 0.9)
