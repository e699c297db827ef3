"""Lesson 06, claim G08: what spectral norm sets to 1, and what it leaves.

It divides a layer's weight by an estimate of the largest singular value of the *reshaped* matrix
(out, in * k * k), found by power iteration. The layer is a convolution, whose operator norm is another
number: the largest factor by which it can stretch an image. Sources: Miyato et al. 2018, section 2.1 and
appendix A; Tsuzuku et al. 2018, section 4 (the operator norm of a convolution).
"""

from functools import lru_cache
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gantrans.networks import PatchGAN, PatchGANConfig
from gantrans.teaching.sweeps.registry import experiment

SIZE = 32
"""Side of the images on which a convolution's operator norm is measured, in pixels."""


def convolutions(discriminator: PatchGAN) -> list[nn.Conv2d]:
    """D's convolutions from the image to the logits."""
    return [module for module in discriminator.modules() if isinstance(module, nn.Conv2d)]


def matrix(weight: Tensor) -> Tensor:
    """The reshaped matrix of a convolution's weight: (out, in, k, k) -> (out, in * k * k)."""
    return weight.detach().flatten(1)


def stored_weight(conv: nn.Conv2d) -> Tensor:
    """The weight as it is stored: under spectral norm, before the division."""
    if parametrize.is_parametrized(conv, "weight"):
        stored = cast(parametrize.ParametrizationList, conv.parametrizations["weight"])  # type: ignore[index]
        return cast(Tensor, stored.original).detach()
    return conv.weight.detach()


@torch.no_grad()
def layer_norms(discriminator: PatchGAN, *, raw: bool = False) -> list[float]:
    """Largest singular value of each layer's reshaped matrix, by SVD, without another power iteration.

    Args:
        raw: of the stored weights instead of those that are used.
    """
    training = discriminator.training
    discriminator.eval()
    weights = [stored_weight(c) if raw else c.weight for c in convolutions(discriminator)]
    norms = [float(torch.linalg.matrix_norm(matrix(w).double(), 2)) for w in weights]
    discriminator.train(training)
    return norms


def power_iteration(weight: Tensor, iterations: int, seed: int = 0) -> Tensor:
    """Estimates of the largest singular value of a matrix (m, n) after 1, 2, ... iterations, (iterations,).

    Each multiplies a random direction by W and its transpose, which turns it towards the direction that W
    stretches most. The estimate never exceeds the true value.
    """
    generator = torch.Generator().manual_seed(seed)
    u = F.normalize(torch.randn(weight.shape[0], generator=generator, dtype=weight.dtype), dim=0)
    estimates = []
    for _ in range(iterations):
        v = F.normalize(weight.T @ u, dim=0)
        u = F.normalize(weight @ v, dim=0)
        estimates.append(u @ weight @ v)
    return torch.stack(estimates)


def operator_norm(
    weight: Tensor, stride: int = 1, padding: int = 1, size: int = SIZE, iterations: int = 100, seed: int = 0
) -> float:
    """The largest factor by which a convolution stretches an image of size x size, in the L2 norm.

    Power iteration on images: convolution, then its transpose, over and over; no matrix is ever made.

    Args:
        weight: (out, in, k, k).
        stride, padding: of the convolution.
    """
    weight = weight.double()
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, weight.shape[1], size, size, generator=generator, dtype=torch.float64)
    norm = torch.zeros(())
    for _ in range(iterations):
        x = x / x.norm()
        y = F.conv2d(x, weight, stride=stride, padding=padding)
        norm = y.norm()
        # The transpose misses the last rows where the stride does not divide: ask for the input's size.
        left = size + 2 * padding - weight.shape[2] - stride * (y.shape[-1] - 1)
        x = F.conv_transpose2d(y, weight, stride=stride, padding=padding, output_padding=left)
    return float(norm)


DISCRIMINATOR = PatchGANConfig(base_filters=16, n_layers=2, spectral_norm=True)
"""The discriminator of the lesson's factorial."""


@lru_cache(maxsize=4)
def after_power_iterations(seed: int = 0) -> list[dict[str, float]]:
    """Per layer of `DISCRIMINATOR`, as PyTorch's spectral norm leaves it: matrix and convolution."""
    discriminator = PatchGAN(DISCRIMINATOR, seed).eval()
    rows = []
    for conv, layer, before, after in zip(
        convolutions(discriminator),
        discriminator.config.layers,
        layer_norms(discriminator, raw=True),
        layer_norms(discriminator),
        strict=True,
    ):
        norm = operator_norm(conv.weight.detach(), layer.stride, layer.padding)
        rows.append({"before": before, "reshaped matrix": after, "convolution": norm})
    return rows


@experiment("G08")
def one_and_not_one(scale: str) -> dict[str, Any]:
    """Exact at every scale: of the layers of a fresh discriminator, seed 0, the one furthest from 1."""
    rows = after_power_iterations()
    norms = ("reshaped matrix", "convolution")
    data = {name: max((row[name] for row in rows), key=lambda v: abs(v - 1)) for name in norms}
    numbers = {f"layer {i + 1}: {name}": value for i, row in enumerate(rows) for name, value in row.items()}
    return {"data": data, "numbers": numbers, "config": DISCRIMINATOR}
