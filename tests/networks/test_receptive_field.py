"""The receptive field by formula equals the one the gradient shows, pixel by pixel."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gantrans.networks import (
    Box,
    ConvLayer,
    PatchGAN,
    PatchGANConfig,
    field_box,
    gradient_support,
    map_sizes,
    minimum_size,
    receptive_field,
    support_box,
)

LAYERS = st.lists(
    st.builds(ConvLayer, st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize(("n_layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_formula_for_patchgan(n_layers, field):
    formula = receptive_field(PatchGANConfig(n_layers=n_layers).layers)
    assert (formula.size, formula.jump) == (field, 2**n_layers)


@pytest.mark.parametrize(("n_layers", "size"), [(1, 24), (2, 48), (3, 96), (4, 160), (5, 352)])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_gradient_support_is_the_box_of_the_formula(n_layers, size, spectral_norm):
    config = PatchGANConfig(base_filters=1, n_layers=n_layers, spectral_norm=spectral_norm)
    network, last = PatchGAN(config), config.logit_size(size) - 1
    for row, column in ((0, 0), (last // 2, last // 2), (last, last // 2)):
        box = config.logit_field(row, column, size, size)
        support = gradient_support(network, size, row, column)
        assert support_box(support) == box
        assert support[box.top : box.bottom, box.left : box.right].all()
        assert int(support.sum()) == (box.bottom - box.top) * (box.right - box.left)


def test_a_central_logit_of_the_full_preset_sees_70_by_70_pixels():
    assert PatchGANConfig().logit_field(15, 15, 256, 256) == Box(97, 97, 167, 167)
    assert PatchGANConfig().logit_field(0, 29, 256, 256) == Box(0, 209, 47, 256)


def test_instance_norm_and_the_global_discriminator_see_everything():
    for config in (
        PatchGANConfig(base_filters=2, norm="instance"),
        PatchGANConfig(base_filters=2, n_layers="global"),
    ):
        assert gradient_support(PatchGAN(config), 96, 0, 0).all()
        assert config.logit_field(0, 0, 96, 80) == Box(0, 0, 96, 80)


def test_batch_norm_leaks_in_training_and_not_in_use():
    network = PatchGAN(PatchGANConfig(base_filters=2, norm="batch"))
    before = network.blocks[1][1].running_mean.clone()
    assert gradient_support(network.train(), 96, 0, 0).all()
    assert support_box(gradient_support(network.eval(), 96, 0, 0)) == Box(0, 0, 47, 47)
    assert torch.equal(network.blocks[1][1].running_mean, before)


def test_support_does_not_depend_on_the_weights():
    """Two paths that cancel exactly, and a layer of zeros, still count as seeing."""
    network = PatchGAN(PatchGANConfig(base_filters=2, n_layers=1))
    with torch.no_grad():
        network.blocks[0][0].weight[1] = network.blocks[0][0].weight[0]
        network.blocks[1][0].weight[:, 1] = -network.blocks[1][0].weight[:, 0]
        before = network.to_logits.weight.zero_().clone()
    assert support_box(gradient_support(network, 24, 5, 5)) == Box(5, 5, 21, 21)
    assert torch.equal(network.to_logits.weight, before)


@given(layers=LAYERS, extra=st.integers(0, 6), pick=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_formula_matches_any_chain_of_convolutions(layers, extra, pick):
    size = minimum_size(layers) + extra
    chain = nn.Sequential(
        *(
            nn.Conv2d(1, 1, layer.kernel, layer.stride, layer.padding, layer.dilation, bias=False)
            for layer in layers
        )
    ).double()
    for conv in chain:
        nn.init.ones_(conv.weight)
    x = torch.ones(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    out = chain(x)
    assert out.shape[-1] == map_sizes(layers, size)[-1] >= 1
    row, column = pick.randrange(out.shape[-1]), pick.randrange(out.shape[-1])
    out[0, 0, row, column].backward()
    support = x.grad[0, 0] != 0
    box = field_box(layers, row, column, size, size)
    rows, columns = support.any(1).nonzero().flatten(), support.any(0).nonzero().flatten()
    if len(rows) and len(
        columns
    ):  # a field can lie in the padding alone; strides can leave gaps inside the box
        assert box.top <= int(rows[0])
        assert int(rows[-1]) < box.bottom
        assert box.left <= int(columns[0])
        assert int(columns[-1]) < box.right
    if all(layer.dilation == 1 and layer.stride <= layer.kernel for layer in layers) and not any(
        layer.padding for layer in layers
    ):
        assert support_box(support) == box


@given(layers=LAYERS)
@settings(max_examples=100, deadline=None)
def test_minimum_size_is_the_first_that_leaves_an_output(layers):
    smallest = minimum_size(layers)
    assert map_sizes(layers, smallest)[-1] >= 1
    assert smallest == 1 or map_sizes(layers, smallest - 1)[-1] == 0
