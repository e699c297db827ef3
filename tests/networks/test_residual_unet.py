"""The residual U-Net: shapes, where information flows, seeds, and what it refuses."""

import pytest
import torch

from gantrans.errors import ConfigError, DataError
from gantrans.networks import ResidualUNet, ResidualUNetConfig


@pytest.mark.parametrize("unshuffle", [1, 2, 4])
def test_size_and_range(unshuffle: int) -> None:
    config = ResidualUNetConfig(2, 3, base_filters=4, multipliers=(1, 2), unshuffle=unshuffle)
    output = ResidualUNet(config)(torch.randn(2, 2, 16, 32))
    assert output.shape == (2, 3, 16, 32)
    assert output.abs().max() <= 1.0


def test_same_seed_same_weights_and_global_state_untouched() -> None:
    before = torch.get_rng_state()
    one, same, other = (ResidualUNet(ResidualUNetConfig(), seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.entry.weight, other.entry.weight)


def test_every_level_reaches_the_output() -> None:
    network = ResidualUNet(ResidualUNetConfig(base_filters=4, multipliers=(1, 2, 2))).double()
    network(torch.randn(2, 1, 16, 16, dtype=torch.float64)).square().sum().backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


def test_a_translation_by_the_factor_moves_the_output_with_it() -> None:
    config = ResidualUNetConfig(base_filters=4, multipliers=(1, 2), unshuffle=2)
    network = ResidualUNet(config).double().eval()
    x = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    x[..., 24:36, 20:40] = 1.0
    moved = network(x.roll(config.factor, dims=-1))
    inner = slice(24, 40)  # away from the zero padding
    torch.testing.assert_close(
        moved[..., inner, inner], network(x).roll(config.factor, -1)[..., inner, inner]
    )


def test_it_refuses_what_it_cannot_take() -> None:
    network = ResidualUNet(ResidualUNetConfig(base_filters=4))
    with pytest.raises(DataError, match="multiples of 8"):
        network(torch.zeros(1, 1, 20, 16))
    with pytest.raises(DataError, match="2 channels"):
        network(torch.zeros(1, 2, 16, 16))
    with pytest.raises(ConfigError, match="multipliers"):
        ResidualUNetConfig(multipliers=())
