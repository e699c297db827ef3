"""PatchGAN: map sizes, receptive fields, spectral norm, and sizes that are refused."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from gantrans.config import from_dict, to_dict
from gantrans.errors import ConfigError, DataError
from gantrans.networks import PatchGAN, PatchGANConfig


def pair(batch, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, batch, 1, size, size, generator=generator).unbind(0)


def convolutions(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def test_full_preset_maps_and_channels():
    with torch.inference_mode():
        out = PatchGAN(PatchGANConfig())(*pair(1, 256))
    shapes = [tuple(f.shape[1:]) for f in out.features]
    assert shapes == [(48, 128, 128), (96, 64, 64), (192, 32, 32), (256, 31, 31)]
    assert out.logits.shape == (1, 1, 30, 30)
    assert PatchGANConfig().logit_size(256) == 30


@pytest.mark.parametrize(
    ("n_layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142), (5, 286), ("global", None)]
)
def test_receptive_field_per_preset(n_layers, field):
    assert PatchGANConfig(n_layers=n_layers).receptive_field == field


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4, 5, "global"])
def test_smallest_size_gives_a_logit_and_one_less_is_refused(n_layers):
    config = PatchGANConfig(base_filters=2, n_layers=n_layers)
    network, smallest = PatchGAN(config), config.minimum_size
    assert network(*pair(1, smallest)).logits.shape[2:] == (1, 1)
    assert config.logit_size(smallest) == 1
    assert config.logit_size(smallest - 1) == 0
    with pytest.raises(DataError, match=f"leaves no logit below {smallest}x{smallest}"):
        network(*pair(1, smallest - 1))


def test_global_gives_one_logit_at_any_size_from_the_same_weights():
    config = PatchGANConfig(base_filters=2, n_layers="global", spectral_norm=True)
    network = PatchGAN(config)
    assert {network(*pair(2, size)).logits.shape for size in (32, 64, 72)} == {(2, 1, 1, 1)}
    assert len(network(*pair(1, 64)).features) == 4


def test_spectral_norm_covers_every_convolution_and_bounds_the_reshaped_matrix():
    network = PatchGAN(PatchGANConfig(base_filters=8, spectral_norm=True))
    assert all(parametrize.is_parametrized(conv, "weight") for conv in convolutions(network))
    for _ in range(30):  # one power iteration per training forward
        network(*pair(1, 32))
    network.eval()
    weights = [conv.weight.detach().flatten(1) for conv in convolutions(network)]
    sigmas = [float(torch.linalg.matrix_norm(weight, 2)) for weight in weights]
    assert sigmas == pytest.approx([1.0] * 5, abs=0.02)


def test_norm_is_on_the_middle_layers_only_and_never_with_spectral_norm():
    network = PatchGAN(PatchGANConfig(base_filters=4, norm="batch"))
    kinds = [isinstance(block[1], nn.BatchNorm2d) for block in network.blocks]
    assert kinds == [False, True, True, True]
    assert [conv.bias is not None for conv in convolutions(network)] == [True, False, False, False, True]
    with pytest.raises(ConfigError, match=r"spectral_norm and norm='batch' together"):
        PatchGANConfig(norm="batch", spectral_norm=True)


def test_condition_matters_and_features_are_what_logits_come_from():
    network, (condition, image) = PatchGAN(PatchGANConfig(base_filters=4, n_layers=2)), pair(2, 32)
    out = network(condition, image)
    assert not torch.equal(out.logits, network(condition.flip(0), image).logits)
    assert torch.equal(network.to_logits(out.features[-1]), out.logits)


def test_seed_decides_the_weights_with_spectral_norm_too():
    config = PatchGANConfig(base_filters=4, spectral_norm=True)
    torch.manual_seed(1)
    first = PatchGAN(config, seed=3).state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = PatchGAN(config, seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("field", "value"), [("n_layers", 6), ("n_layers", "image"), ("norm", "group"), ("base_filters", 0)]
)
def test_config_names_the_wrong_field(field, value):
    with pytest.raises(ConfigError, match=field):
        PatchGANConfig(**{field: value})


@pytest.mark.parametrize("n_layers", [2, "global"])
def test_config_survives_storage(n_layers):
    config = PatchGANConfig(n_layers=n_layers, spectral_norm=True)
    assert from_dict(PatchGANConfig, to_dict(config)) == config
