"""The vision transformer: what it is made of, that every token reaches every other, and what positions do."""

import pytest
import torch
import torch.nn.functional as F

from gantrans.errors import ConfigError, DataError
from gantrans.networks import VisionTransformer, VisionTransformerConfig
from gantrans.networks.transformer import TransformerLayer, grid_positions

TINY = VisionTransformerConfig(2, 3, patch=4, width=16, depth=2, heads=2)


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_size_and_range(patch: int) -> None:
    config = VisionTransformerConfig(2, 3, patch=patch, width=8, depth=1, heads=2)
    output = VisionTransformer(config)(torch.randn(2, 2, 8, 16))
    assert output.shape == (2, 3, 8, 16)
    assert output.abs().max() <= 1.0


def test_same_seed_same_weights_and_global_state_untouched() -> None:
    before = torch.get_rng_state()
    one, same, other = (VisionTransformer(TINY, seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.entry.weight, other.entry.weight)


def test_a_layer_is_the_textbook_s() -> None:
    """Softmax of q k^T / sqrt(d) for each head, written out; then the perceptron."""
    torch.manual_seed(0)
    layer, x = TransformerLayer(8, 2).double(), torch.randn(3, 5, 8, dtype=torch.float64)
    q, k, v = layer.qkv(layer.norm1(x)).chunk(3, dim=-1)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        weights = (q[..., head] @ k[..., head].transpose(1, 2) / 4**0.5).softmax(-1)
        heads.append(weights @ v[..., head])
    y = x + layer.projection(torch.cat(heads, dim=-1))
    first, last = layer.perceptron[0], layer.perceptron[2]
    torch.testing.assert_close(layer(x), y + last(F.gelu(first(layer.norm2(y)))))


def test_patches_are_pixels_in_their_places() -> None:
    """Without layers, norm and positions a network whose two maps are inverse gives back its input."""
    config = VisionTransformerConfig(1, 1, patch=2, width=4, depth=1, heads=1, positions="none")
    network = VisionTransformer(config)
    network.layers, network.norm = torch.nn.ModuleList(), torch.nn.Identity()
    with torch.no_grad():
        network.exit.weight.copy_(torch.linalg.inv(network.entry.weight))
        network.entry.bias.zero_()
        network.exit.bias.zero_()
        x = torch.rand(1, 1, 6, 8) * 2 - 1
        torch.testing.assert_close(network(x), torch.tanh(x), atol=1e-4, rtol=0)


def test_every_token_reaches_every_other_in_one_layer() -> None:
    config = VisionTransformerConfig(patch=4, width=16, depth=1, heads=2)
    network = VisionTransformer(config).double()
    x = torch.rand(1, 1, 32, 32, dtype=torch.float64, requires_grad=True)
    network(x)[0, 0, :4, :4].sum().backward()
    assert (F.max_pool2d(x.grad.abs(), 4) > 0).all()


def test_without_positions_the_tokens_are_a_set() -> None:
    """Moving patches moves their outputs and changes nothing else; with positions it does."""
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    moved = x.roll((4, 4), dims=(2, 3))
    for positions, equal in (("none", True), ("sinusoidal", False)):
        network = VisionTransformer(
            VisionTransformerConfig(patch=4, width=8, depth=2, heads=2, positions=positions)
        ).double()
        back = network(moved).roll((-4, -4), dims=(2, 3))
        assert torch.allclose(back, network(x), atol=1e-9) == equal


def test_positions_name_row_and_column() -> None:
    table = grid_positions(5, 7, 16).reshape(5, 7, 16)
    assert len({tuple(row.tolist()) for row in table.reshape(35, 16)}) == 35
    assert torch.equal(table[2, 3, :8], table[2, 6, :8])  # the row, whatever the column
    assert torch.equal(table[2, 3, 8:], table[4, 3, 8:])
    assert table.abs().max() <= 1.0


def test_every_part_reaches_the_output() -> None:
    network = VisionTransformer(TINY).double()
    network(torch.randn(2, 2, 16, 16, dtype=torch.float64)).square().sum().backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


def test_it_refuses_what_it_cannot_take() -> None:
    network = VisionTransformer(TINY)
    with pytest.raises(DataError, match="multiples of 4"):
        network(torch.zeros(1, 2, 18, 16))
    with pytest.raises(DataError, match="3 channels"):
        network(torch.zeros(1, 3, 16, 16))
    with pytest.raises(ConfigError, match="width"):
        VisionTransformerConfig(width=18)
    with pytest.raises(ConfigError, match="width"):
        VisionTransformerConfig(width=64, heads=3)
    with pytest.raises(ConfigError, match="positions"):
        VisionTransformerConfig(positions="learned")
