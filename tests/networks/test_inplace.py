"""No layer writes into a tensor that another part of the network reads: skips, features, shortcuts.

An activation in place saves memory and, where its input is also a skip connection, replaces what the decoder
gets. The version counter of a tensor counts writes, so it shows such a write even where the numbers agree.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.networks import (
    Denoiser,
    DenoiserConfig,
    PatchGAN,
    PatchGANConfig,
    ResidualUNet,
    ResidualUNetConfig,
    UNetConfig,
    UNetGenerator,
    VectorDenoiser,
    VectorDenoiserConfig,
)
from gantrans.networks.denoiser import SpatialAttention


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def unet(**options: object) -> tuple[nn.Module, tuple[Tensor, ...]]:
    config = UNetConfig(base_filters=4, n_down=3, channel_cap=12, **options)  # type: ignore[arg-type]
    return UNetGenerator(config), (randn(2, 1, 16, 16),)


def denoiser(**options: object) -> tuple[nn.Module, tuple[Tensor, ...]]:
    network = Denoiser(DenoiserConfig(base_filters=8, multipliers=(1, 2), **options))  # type: ignore[arg-type]
    return network, (randn(2, 1, 8, 8), torch.tensor([3, 700]))


CASES = {
    "unet": lambda: unet(),
    "unet, no norm": lambda: unet(norm="none"),
    "unet, attention": lambda: unet(attention=(0, 1)),
    "unet, head": lambda: unet(upsample="nearest", full_resolution_head=True),
    "residual unet": lambda: (
        ResidualUNet(ResidualUNetConfig(base_filters=4, multipliers=(1, 2, 2), blocks=2)),
        (randn(2, 1, 16, 16),),
    ),
    "denoiser, group norm": lambda: denoiser(),
    "denoiser, batch norm": lambda: denoiser(norm="batch"),
    "denoiser, no norm": lambda: denoiser(norm="none", blocks=2),
    "vector denoiser": lambda: (
        VectorDenoiser(VectorDenoiserConfig(3, hidden=16)),
        (randn(4, 3), torch.tensor([0, 1, 2, 3])),
    ),
    "patchgan": lambda: (
        PatchGAN(PatchGANConfig(base_filters=4, n_layers=2, in_channels=2)),
        (randn(2, 1, 32, 32), randn(2, 1, 32, 32, seed=1)),
    ),
}


def awake(network: nn.Module) -> nn.Module:
    """Zero-started layers get weights, so that a write before them reaches the output."""
    with torch.no_grad():
        for number, p in enumerate(network.parameters()):
            if not p.any():
                p.copy_(0.3 * randn(*p.shape, seed=number))
    return network


def watched(network: nn.Module) -> list[tuple[str, Tensor, int, Tensor]]:
    """(module, tensor, its version, its copy) of everything that goes into or comes out of a module."""
    seen: list[tuple[str, Tensor, int, Tensor]] = []

    def note(name: str, values: object) -> None:
        for value in values if isinstance(values, tuple) else (values,):
            if isinstance(value, Tensor):
                seen.append((name, value, value._version, value.clone()))

    for name, module in network.named_modules():
        module.register_forward_pre_hook(lambda _, given, name=name: note(f"input of {name}", given))
        module.register_forward_hook(lambda _, given, made, name=name: note(f"output of {name}", made))
    return seen


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_nothing_is_written_into_what_a_layer_took_or_gave(case: str, training: bool) -> None:
    network, inputs = CASES[case]()
    network = awake(network).train(training)
    seen = watched(network)
    with torch.no_grad():
        network(*inputs)
    assert len(seen) > 10
    changed = [name for name, tensor, version, _ in seen if tensor._version != version]
    assert changed == []
    assert all(torch.equal(tensor, copy) for _, tensor, _, copy in seen)


def test_the_watch_sees_an_activation_in_place_before_a_skip() -> None:
    """The same watch over a network with the fault: a ReLU in place between a map and its second reader."""

    class Faulty(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.activation = nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            skip = self.conv(x)
            return torch.cat([self.activation(skip), skip], dim=1)

    network = Faulty()
    seen = watched(network)
    with torch.no_grad():
        network(randn(1, 1, 4, 4))
    assert any(tensor._version != version for _, tensor, version, _ in seen)


def test_the_unet_is_its_layers_with_every_skip_copied() -> None:
    """Encoder maps copied the moment they are made, decoder by hand: the paper's figure, layer by layer."""
    network, (x,) = unet()
    network.eval()
    with torch.no_grad():
        maps, h = [], x
        for block in network.encoder:
            h = F.leaky_relu(block.norm(block.conv(h)), 0.2).clone()
            maps.append(h.clone())
        for block, skip in zip(network.decoder, reversed(maps[:-1]), strict=True):
            h = torch.cat([F.relu(block.norm(block.upsample(h))), skip], dim=1)
        torch.testing.assert_close(network(x), torch.tanh(network.final(h)))


def test_the_residual_unet_is_its_layers_with_every_skip_copied() -> None:
    network = ResidualUNet(ResidualUNetConfig(base_filters=4, multipliers=(1, 2, 2))).eval()
    x = randn(2, 1, 16, 16)

    def residual(block: nn.Module, h: Tensor) -> Tensor:
        return h + block.conv2(F.relu(block.norm2(block.conv1(F.relu(block.norm1(h.clone()))))))

    with torch.no_grad():
        h, skips = network.entry(F.pixel_unshuffle(x, 2)), []
        for k in range(2):
            h = residual(network.encoder[k][0], h)
            skips.append(h.clone())
            h = network.down[k](h)
        h = residual(network.encoder[2][0], h)
        for k in (1, 0):
            h = residual(network.decoder[k][0], network.up[k](h) + skips[k])
        expected = torch.tanh(F.pixel_shuffle(network.exit(F.relu(network.norm(h))), 2))
        torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize("norm", ["group", "none"])
def test_the_denoiser_is_its_layers_with_every_skip_copied(norm: str) -> None:
    network, (x, t) = denoiser(norm=norm, attention=False)
    awake(network).eval()

    def timed(block: nn.Module, h: Tensor, time: Tensor) -> Tensor:
        y = block.norm2(block.conv1(F.silu(block.norm1(h.clone()))))
        scale, shift = block.modulation(time)[:, :, None, None].chunk(2, dim=1)
        return block.shortcut(h) + block.conv2(F.silu(y * (1 + scale) + shift))

    with torch.no_grad():
        time = F.silu(network.conditioning(t, None))
        fine = timed(network.encoder[0][0], network.entry(x), time).clone()
        coarse = timed(network.encoder[1][0], network.down[0](fine), time).clone()
        h = timed(network.middle, coarse, time)
        h = network.up[0](timed(network.decoder[1][0], torch.cat([h, coarse], dim=1), time))
        h = timed(network.decoder[0][0], torch.cat([h, fine], dim=1), time)
        expected = network.exit(F.silu(network.norm(h)))
        torch.testing.assert_close(network(x, t), expected)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_mixes_places_head_by_head(heads: int) -> None:
    """Softmax over places, written out: each head sees its own channels, and no two images meet."""
    layer = awake(SpatialAttention(8, heads, "group")).double()
    x = randn(2, 8, 3, 5).double()
    with torch.no_grad():
        q, k, v = (part.flatten(2) for part in layer.qkv(layer.norm(x)).chunk(3, dim=1))  # (B, C, places)
        mixed = torch.zeros_like(v)
        width = 8 // heads
        for image in range(2):
            for head in range(heads):
                own = slice(head * width, (head + 1) * width)
                scores = q[image, own].T @ k[image, own] / width**0.5  # (places, places)
                mixed[image, own] = v[image, own] @ scores.softmax(1).T
        expected = x + layer.projection(mixed.reshape(x.shape))
        torch.testing.assert_close(layer(x), expected)


def test_a_denoiser_has_the_norm_that_its_settings_name() -> None:
    for norm, kind in (("group", nn.GroupNorm), ("batch", nn.BatchNorm2d), ("none", nn.Identity)):
        network, _ = denoiser(norm=norm)
        found = [network.norm, network.middle.norm1, network.encoder[1][0].norm2, network.attention.norm]
        assert [type(layer) for layer in found] == [kind] * 4
    group = denoiser(norm="group")[0].middle.norm1
    assert (group.num_groups, group.num_channels) == (2, 16)  # eight channels to a group
