"""The multiple that a residual U-Net's sides must be: one halving per level after the first."""

import pytest
import torch

from gantrans.networks.residual_unet import ResidualUNet, ResidualUNetConfig


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("unshuffle", [1, 2, 3])
def test_the_factor_doubles_with_every_level(levels: int, unshuffle: int) -> None:
    factor = unshuffle
    for _ in range(levels - 1):
        factor += factor
    assert ResidualUNetConfig(multipliers=(1,) * levels, unshuffle=unshuffle).factor == factor


@pytest.mark.parametrize("levels", [1, 4])
def test_an_image_of_one_factor_passes(levels: int) -> None:
    config = ResidualUNetConfig(base_filters=2, multipliers=(1,) * levels, unshuffle=2)
    image = torch.zeros(2, 1, config.factor, config.factor)
    with torch.no_grad():
        assert ResidualUNet(config).eval()(image).shape == image.shape
