"""The U-Net against the tables of the course, its errors, its skips, its noise and its upsamplers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gantrans.config import from_dict, to_dict
from gantrans.errors import ConfigError, DataError
from gantrans.networks import UNetConfig, UNetGenerator, shape_table
from gantrans.networks.blocks import NearestConv, make_upsampler

SMALL = UNetConfig(base_filters=4, n_down=3, channel_cap=12)
FULL_TABLE = [  # block, input, output, after the skip
    ("encoder 0", (1, 256, 256), (48, 128, 128), None),
    ("encoder 1", (48, 128, 128), (96, 64, 64), None),
    ("encoder 2", (96, 64, 64), (192, 32, 32), None),
    ("encoder 3", (192, 32, 32), (256, 16, 16), None),
    ("encoder 4", (256, 16, 16), (256, 8, 8), None),
    ("decoder 0", (256, 8, 8), (256, 16, 16), (512, 16, 16)),
    ("decoder 1", (512, 16, 16), (192, 32, 32), (384, 32, 32)),
    ("decoder 2", (384, 32, 32), (96, 64, 64), (192, 64, 64)),
    ("decoder 3", (192, 64, 64), (48, 128, 128), (96, 128, 128)),
    ("final", (96, 128, 128), (1, 256, 256), None),
]


def image(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def traced_shapes(network, size):
    """(input, output) shapes of every block as the network really runs."""
    seen = []
    last = [network.final] if network.head is None else [network.final, network.head]
    hooks = [
        block.register_forward_hook(
            lambda _, args, out: seen.append((tuple(args[0].shape[1:]), tuple(out.shape[1:])))
        )
        for block in [*network.encoder, *network.decoder, *last]
    ]
    with torch.inference_mode():
        network.eval()(image(1, network.config.in_channels, size, size))
    for hook in hooks:
        hook.remove()
    return seen


def test_full_preset_has_the_shapes_of_the_tables():
    config = UNetConfig()
    table = shape_table(config, 256)
    assert [tuple(row) for row in table] == FULL_TABLE
    assert traced_shapes(UNetGenerator(config), 256) == [(row.input, row.output) for row in table]


@pytest.mark.parametrize(
    "config",
    [
        UNetConfig(base_filters=4, n_down=4, skips=(True, False, True)),
        UNetConfig(base_filters=4, n_down=3, skips=False, in_channels=2),
        UNetConfig(base_filters=4, n_down=2, upsample="nearest", full_resolution_head=True, head_filters=5),
    ],
)
def test_shape_table_holds_for_other_configs(config):
    table = shape_table(config, 32)
    assert traced_shapes(UNetGenerator(config), 32) == [(row.input, row.output) for row in table]


def test_full_preset_layers_and_their_order():
    network = UNetGenerator(UNetConfig())
    names = [
        [name for name, _ in block.named_children()] for block in (network.encoder[1], network.decoder[0])
    ]
    assert names == [["conv", "norm", "activation"], ["upsample", "norm", "dropout", "activation"]]
    assert [isinstance(block.norm, nn.BatchNorm2d) for block in network.encoder] == [
        False,
        True,
        True,
        True,
        True,
    ]
    assert [isinstance(block.dropout, nn.Dropout) for block in network.decoder] == [True, True, False, False]
    assert not any(getattr(module, "inplace", False) for module in network.modules())
    assert sum(p.numel() for p in network.parameters()) == 5_567_505


def test_dropout_sits_between_norm_and_activation():
    network = UNetGenerator(SMALL).train()
    order, block = [], network.decoder[0]
    for name in ("activation", "dropout", "norm", "upsample"):
        block.get_submodule(name).register_forward_hook(lambda *_, name=name: order.append(name))
    network(image(2, 1, 16, 16))
    assert order == ["upsample", "norm", "dropout", "activation"]


def test_skip_gain_zero_equals_zeroed_encoder_map_and_changes_no_weight():
    network = UNetGenerator(UNetConfig(base_filters=4, n_down=4)).eval()
    x = image(2, 1, 32, 32)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.inference_mode():
        plain = network(x)
        maps = network.encode(x)
        for level in range(3):
            gains = [1.0] * 3
            gains[level] = 0.0
            silenced = [torch.zeros_like(m) if k == level else m for k, m in enumerate(maps)]
            # The deeper blocks do not read this level's map, so only the skip is missing.
            assert torch.equal(network(x, skip_gains=gains), network.decode(silenced)[-1])
            assert not torch.equal(network(x, skip_gains=gains), plain)
        assert torch.equal(network(x, skip_gains=(1, 1, 1)), plain)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with pytest.raises(ConfigError, match="one per level, 3 in all"):
        network(x, skip_gains=[0.0])


def test_without_skips_only_the_bottleneck_reaches_the_image():
    network = UNetGenerator(UNetConfig(base_filters=4, n_down=3, skips=False)).eval()
    maps = network.encode(image(1, 1, 16, 16))
    blind = [torch.full_like(m, 9.0) for m in maps[:-1]] + maps[-1:]
    assert torch.equal(network.decode(maps)[-1], network.decode(blind)[-1])


def test_seed_decides_the_weights_and_the_global_state_is_untouched():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = UNetGenerator(SMALL, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    second, other = UNetGenerator(SMALL, seed=5).state_dict(), UNetGenerator(SMALL, seed=6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["encoder.0.conv.weight"], other["encoder.0.conv.weight"])


@pytest.mark.parametrize(("upsample", "kernel_size"), [("transposed", 4), ("transposed", 3), ("nearest", 4)])
def test_kaiming_keeps_the_variance_of_a_rectified_signal(upsample, kernel_size):
    """He et al.: with unit-variance maps into a ReLU, the second moment stays put through the block."""
    config = UNetConfig(
        base_filters=32, n_down=2, norm="none", upsample=upsample, kernel_size=kernel_size, skips=False
    )
    network = UNetGenerator(config).requires_grad_(False)
    x = torch.randn(2, 64, 24, 24, generator=torch.Generator().manual_seed(0))
    assert float(network.encoder[1].conv(x[:, :32])[..., 1:-1, 1:-1].var()) == pytest.approx(
        2 / 1.04, rel=0.1
    )
    assert float(network.decoder[0].upsample(x)[..., 2:-2, 2:-2].var()) == pytest.approx(2.0, rel=0.1)
    assert float(network.final(x[:, :32])[..., 2:-2, 2:-2].var()) == pytest.approx(
        1.0, rel=0.25
    )  # no rectifier


def test_nearest_conv_is_resize_then_convolve():
    block = NearestConv(3, 5, bias=True).double()
    x = image(2, 3, 6, 7).double()
    reference = F.conv2d(F.interpolate(x, scale_factor=2.0), block.conv.weight, block.conv.bias, padding=1)
    torch.testing.assert_close(block(x), reference)


def test_checkerboard_at_init_is_structural_for_kernel_3_and_absent_after_resizing():
    """A constant map through a random layer: a resize upsampler's phases agree, a transposed one's do not."""

    def unevenness(mode, kernel_size):
        torch.manual_seed(0)
        layer = make_upsampler(mode, 8, 4, kernel_size, bias=False).double().requires_grad_(False)
        out = layer(torch.ones(1, 8, 8, 8, dtype=torch.float64))[..., 2:-2, 2:-2]
        return float(out.std(dim=(2, 3)).mean() / out.abs().mean())

    assert unevenness("nearest", 4) < 1e-12
    assert unevenness("bilinear", 4) < 1e-12
    assert min(unevenness("transposed", 4), unevenness("transposed", 3)) > 0.3
    with torch.no_grad():  # equal weights: kernel 4 is then even, kernel 3 is not (Odena et al. 2016)
        for kernel_size, even in ((4, True), (3, False)):
            layer = make_upsampler("transposed", 1, 1, kernel_size, bias=False)
            nn.init.ones_(layer.weight)
            out = layer(torch.ones(1, 1, 6, 6))[..., 2:-2, 2:-2]
            assert (float(out.std()) == 0.0) is even


@pytest.mark.parametrize("head", [False, True])
def test_noise_is_drawn_from_the_passed_generator_alone(head):
    config = UNetConfig(
        base_filters=4, n_down=3, upsample="nearest", noise_injection=True, full_resolution_head=head
    )
    network, x = UNetGenerator(config).eval(), image(2, 1, 16, 16)
    with torch.inference_mode():
        draws = [network(x, noise=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
        assert torch.equal(draws[0], draws[1])
        assert float((draws[0] - draws[2]).std()) > 0.01
        assert torch.equal(network(x), network(x))
    scales = [p for name, p in network.named_parameters() if name.endswith("noise.scale")]
    assert len(scales) == 2 + head
    assert all((p == 0.5).all() for p in scales)
    network(x, noise=torch.Generator().manual_seed(1)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in scales)


def test_output_is_float32_in_range_under_bfloat16():
    with torch.autocast("cpu", torch.bfloat16):
        out = UNetGenerator(SMALL)(image(2, 1, 16, 16))
    assert out.dtype == torch.float32
    assert out.abs().max() <= 1


def test_sizes_that_cannot_work_are_refused_in_a_sentence():
    network = UNetGenerator(UNetConfig(base_filters=4, n_down=4))
    with pytest.raises(DataError, match=r"30x32 pixels .* multiples of 16"):
        network(image(1, 1, 30, 32))
    with pytest.raises(DataError, match="3 channels but this U-Net was built for 1"):
        network(image(1, 3, 32, 32))
    with pytest.raises(DataError, match="one pixel at the bottleneck"):
        network(image(1, 1, 16, 16))
    assert network(image(2, 1, 16, 16)).shape == (2, 1, 16, 16)
    assert network.eval()(image(1, 1, 16, 16)).shape == (1, 1, 16, 16)
    with pytest.raises(DataError, match="instance"):
        UNetGenerator(UNetConfig(base_filters=4, n_down=3, norm="instance"))(image(2, 1, 8, 8))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_down", 1), ("upsample", "bicubic"), ("kernel_size", 5), ("skips", (True,)), ("dropout", 1.0),
        ("norm", "layer"), ("noise_init", -1.0), ("base_filters", 0),
    ],
)  # fmt: skip
def test_config_names_the_wrong_field(field, value):
    with pytest.raises(ConfigError, match=field):
        UNetConfig(**{field: value})


def test_config_survives_storage():
    config = UNetConfig(n_down=3, skips=(True, False), noise_injection=True)
    assert from_dict(UNetConfig, to_dict(config)) == config
