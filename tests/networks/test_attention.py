"""Self-attention: identity at the start, rows that sum to one, plain equal to fused, no N x N buffer."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from gantrans.errors import ConfigError
from gantrans.networks import SelfAttention, UNetConfig, UNetGenerator, attention_weights, fused_attention


def maps(channels=16, size=6, batch=2, seed=0):
    return torch.randn(batch, channels, size, size, generator=torch.Generator().manual_seed(seed))


def attention(channels=16, gamma=0.7, **settings):
    torch.manual_seed(1)
    return SelfAttention(channels, gamma_init=gamma, **settings)


def test_gamma_zero_is_exactly_the_identity_and_still_learns():
    module, x = attention(gamma=0.0), maps()
    out = module(x)
    assert torch.equal(out, x)
    (out * maps(seed=3)).sum().backward()
    assert module.gamma.grad.abs() > 0
    assert module.value.weight.grad.abs().max() == 0  # it waits for gamma


def test_rows_sum_to_one_and_a_constant_value_field_comes_back_constant():
    """The wrong softmax axis fails both."""
    module, x = attention(gamma=1.0), maps()
    rows = module.attention_map(x).sum(-1)
    torch.testing.assert_close(rows, torch.ones_like(rows))
    with torch.no_grad():
        module.value.weight.zero_()
        module.value.bias.copy_(torch.arange(16.0))
    torch.testing.assert_close(module(x) - x, torch.arange(16.0)[None, :, None, None].expand_as(x))


def test_every_place_hears_every_other_and_order_does_not_matter():
    """A permutation of the places permutes the result: attention knows no distance."""
    module, x = attention(), maps()
    order = torch.randperm(36, generator=torch.Generator().manual_seed(5))
    shuffled = x.flatten(2)[..., order].view_as(x)
    torch.testing.assert_close(module(shuffled), module(x).flatten(2)[..., order].view_as(x))
    x.requires_grad_()
    (module(x) - x)[0, :, 0, 0].sum().backward()
    assert (x.grad[0].abs().sum(0) > 0).all()


def test_agrees_with_the_definition_written_out_in_numpy():
    module, x = attention(), maps(batch=1)
    flat = x[0].flatten(1).numpy().astype(np.float64)

    def project(layer):
        return (
            layer.weight[:, :, 0, 0].detach().numpy().astype(np.float64) @ flat
            + layer.bias.detach().numpy()[:, None]
        )

    q, k, v = project(module.query), project(module.key), project(module.value)
    assert q.shape == k.shape == (2, 36)  # C / 8, no division by sqrt(d)
    scores = np.exp(q.T @ k)
    beta = scores / scores.sum(1, keepdims=True)
    expected = 0.7 * (v @ beta.T) + flat
    np.testing.assert_allclose(module(x)[0].flatten(1).detach().numpy(), expected, atol=2e-6)


@pytest.mark.parametrize("channels", [1, 8, 32])
def test_plain_and_fused_agree_in_value_and_gradient(channels):
    x = maps(channels, 8).double()  # in float32 some gradients are nothing but rounding
    fused, plain = attention(channels).double(), attention(channels, fused=False).double()
    plain.load_state_dict(fused.state_dict())
    results = []
    for module in (fused, plain):
        inputs = x.clone().requires_grad_()
        (module(inputs) * maps(channels, 8, seed=7).double()).sum().backward()
        results.append([module(x), inputs.grad, *(p.grad for p in module.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def largest_allocation(function) -> int:
    """Bytes of the largest single allocation while the function runs."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        function()
    return max(int(getattr(e, "self_cpu_memory_usage", 0) or 0) for e in seen.events())


def test_the_fused_kernel_never_stores_the_map():
    """Queries narrower than values make PyTorch store N^2 numbers silently; padded with zeros they do not."""
    tokens, narrow, wide = 4096, 4, 32
    g = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, tokens, narrow, generator=g) for _ in range(2))
    v = torch.randn(1, tokens, wide, generator=g)
    whole = tokens**2 * 4
    with torch.no_grad():
        assert largest_allocation(lambda: fused_attention(q, k, v)) < whole / 8
        assert largest_allocation(lambda: attention_weights(q, k) @ v) >= whole
        unpadded = lambda: torch.nn.functional.scaled_dot_product_attention(  # noqa: E731
            q[:, None], k[:, None], v[:, None], scale=1.0
        )
        assert largest_allocation(unpadded) >= whole


FULL = UNetConfig(attention=(0, 1))


def test_two_blocks_of_the_full_preset_have_164482_parameters():
    with torch.device("meta"):
        with_attention = sum(p.numel() for p in _count(FULL))
        without = sum(p.numel() for p in _count(dataclasses.replace(FULL, attention=())))
    assert with_attention - without == 2 * 82_241 == 164_482
    assert (with_attention - without) / without == pytest.approx(0.0295, abs=5e-4)


def _count(config):
    return UNetGenerator(config).parameters()


SMALL = UNetConfig(base_filters=4, n_down=3, dropout=0.0)


@pytest.mark.parametrize("places", [(0,), (1,), (0, 1), (2,)])
def test_in_the_unet_attention_changes_no_other_weight_and_at_first_nothing(places):
    plain, attentive = UNetGenerator(SMALL, 3), UNetGenerator(dataclasses.replace(SMALL, attention=places), 3)
    own = {k: v for k, v in attentive.state_dict().items() if not k.startswith("attention.")}
    assert own.keys() == plain.state_dict().keys()
    assert all(torch.equal(v, plain.state_dict()[k]) for k, v in own.items())
    x = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(plain(x), attentive(x))


def test_places_are_where_the_configuration_says():
    """At 32 px with three downs: bottleneck 4 x 4, decoder blocks 8 x 8 and 16 x 16, before the skip."""
    network, sizes = UNetGenerator(dataclasses.replace(SMALL, attention=(0, 1, 2)), 0), {}
    for place, module in network.attention.items():
        module.register_forward_hook(
            lambda _, args, __, place=place: sizes.update({place: args[0].shape[1:]})
        )
    network(torch.zeros(1, 1, 32, 32))
    assert sizes == {"0": (16, 4, 4), "1": (8, 8, 8), "2": (4, 16, 16)}


@pytest.mark.parametrize("places", [(3,), (0, 0), (-1,)])
def test_a_place_that_does_not_exist_is_refused(places):
    with pytest.raises(ConfigError, match=r"UNetConfig\.attention"):
        dataclasses.replace(SMALL, attention=places)
