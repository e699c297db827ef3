"""What the tests of canonical forms share: seeded images, tiny networks, and comparison by name."""

import torch

from gantrans.networks import PatchGANConfig, UNetConfig
from gantrans.training import Runtime
from gantrans.translation import Pix2PixConfig

PIX2PIX = Pix2PixConfig(
    UNetConfig(base_filters=4, n_down=3, dropout=0.0),
    PatchGANConfig(base_filters=4, n_layers=2),
    weight_l1=7.0,
)


def pairs():
    return {"input": images(2, 1, 32, 32, seed=1), "target": images(2, 1, 32, 32, seed=2).sign()}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def runtime(seed=0):
    return Runtime(torch.device("cpu"), "fp32", 1, generator(seed))


def images(*shape, seed=0):
    return torch.rand(shape, generator=generator(seed)) * 2 - 1


def parameters(network):
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def gradients(network):
    return {name: value.grad.clone() for name, value in network.named_parameters()}


def assert_close(got, expected, **tolerance):
    assert got.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(got[name], expected[name], msg=name, **(tolerance or {}))


def perturbed(network, seed=5):
    """The denoiser's last layers start at zero, and zero predictions would hide most mistakes."""
    stream = generator(seed)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.05 * torch.randn(value.shape, generator=stream))
    return network
