"""Receptive fields: which pixels an output depends on, by formula and measured by the gradient.

Formula: Araujo et al. 2019, "Computing receptive fields of convolutional neural networks" (Distill).
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class ConvLayer(NamedTuple):
    """The geometry of one convolution, in pixels of its own input."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


class ReceptiveField(NamedTuple):
    """Output i depends on `size` input pixels from start + i * jump on, per axis (below 0: padding)."""

    size: int
    jump: int
    start: int


class Box(NamedTuple):
    """A rectangle of pixels, rows top..bottom-1 and columns left..right-1."""

    top: int
    left: int
    bottom: int
    right: int


def receptive_field(layers: Sequence[ConvLayer]) -> ReceptiveField:
    """The receptive field of one output: each layer adds (kernel - 1) * dilation steps of the current jump.

    Canonical form: `lessons.lesson05.exercises.receptive_field.receptive_field`; this adds dilation
    and the start of the field, because figures draw the field at its position in the image.
    """
    size, jump, start = 1, 1, 0
    for layer in layers:
        size += (layer.kernel - 1) * layer.dilation * jump
        start -= layer.padding * jump
        jump *= layer.stride
    return ReceptiveField(size, jump, start)


def map_sizes(layers: Sequence[ConvLayer], size: int) -> list[int]:
    """Height (or width) after each layer for an input of `size` pixels; 0 where nothing is left."""
    sizes = []
    for layer in layers:
        extent = (layer.kernel - 1) * layer.dilation + 1
        size = max(0, (size + 2 * layer.padding - extent) // layer.stride + 1) if size else 0
        sizes.append(size)
    return sizes


def minimum_size(layers: Sequence[ConvLayer], output: int = 1) -> int:
    """The smallest input size that leaves at least `output` values along each axis."""
    for layer in reversed(layers):
        extent = (layer.kernel - 1) * layer.dilation + 1
        output = max(1, (output - 1) * layer.stride + extent - 2 * layer.padding)
    return output


def field_box(layers: Sequence[ConvLayer], row: int, column: int, height: int, width: int) -> Box:
    """Receptive field of output (row, column) in a height x width image, clipped at the border."""
    field = receptive_field(layers)
    top, left = field.start + row * field.jump, field.start + column * field.jump
    return Box(max(0, top), max(0, left), min(height, top + field.size), min(width, left + field.size))


def gradient_support(discriminator: nn.Module, size: int, row: int, column: int) -> Tensor:
    """The pixels whose change moves logit (row, column): bool (size, size), measured by the gradient.

    Measured on a copy in float64 with positive weights. A LeakyReLU's slope is positive on both sides, so the
    gradient is then a sum of positive terms, no two paths can cancel, and the result is exact. Normalisation
    layers and train or eval mode are kept, so that dependence through a normalisation is measured as well.

    Args:
        discriminator: called as discriminator(condition, image).logits, as `PatchGAN` is; it is not changed.
    """
    probe = copy.deepcopy(discriminator).double().requires_grad_(False)
    for weight in probe.parameters():
        if weight.dim() == 4:  # of a convolution; rows then sum to about one, which avoids underflow
            weight.abs_().add_(1e-3).div_(weight[0].sum())
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 1, size, size, generator=generator, dtype=torch.float64).requires_grad_()
    probe(torch.zeros_like(image), image).logits[0, 0, row, column].backward()
    assert image.grad is not None
    return image.grad[0, 0] != 0


def support_box(support: Tensor) -> Box:
    """The smallest box around the True pixels of a (H, W) support."""
    rows, columns = support.any(dim=1).nonzero()[:, 0], support.any(dim=0).nonzero()[:, 0]
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
