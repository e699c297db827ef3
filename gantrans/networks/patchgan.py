"""The PatchGAN discriminator: a map of logits, each for one patch of a (condition, image) pair.

Sources: Isola et al. 2017 (PatchGAN, conditional); Miyato et al. 2018 (spectral norm).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gantrans.config import check_choice, check_range
from gantrans.errors import ConfigError, DataError
from gantrans.networks.blocks import LEAK, NORMS, full_precision, kaiming_, make_norm, weights_from
from gantrans.networks.receptive_field import (
    Box,
    ConvLayer,
    field_box,
    map_sizes,
    minimum_size,
    receptive_field,
)

POOL = 4
"""The global discriminator averages its trunk's map to POOL x POOL cells."""


@dataclass(frozen=True)
class PatchGANConfig:
    """Shape of a `PatchGAN`; with the defaults the receptive field of a logit is 70 x 70 pixels.

    Attributes:
        in_channels: of condition and image together.
        n_layers: number of stride-2 convolutions; two of stride 1 follow. 1..5 have receptive fields of 16,
            34, 70, 142, 286 pixels. "global" gives one logit for the whole image, at any size: the three
            stride-2 convolutions of the 70 px trunk, their map averaged to 4 x 4 cells, a 4x4 convolution
            over all cells, and a 1x1 convolution.
        norm: on the middle convolutions, not the first and the last. With "instance" every logit depends on
            the whole image.
        spectral_norm: on every convolution; not allowed together with a norm, which would undo its bound.
    """

    in_channels: int = 2
    base_filters: int = 48
    n_layers: int | str = 3
    channel_cap: int = 256
    norm: str = "none"
    spectral_norm: bool = False

    def __post_init__(self) -> None:
        for field in ("in_channels", "base_filters", "channel_cap"):
            check_range(self, field, 1)
        check_choice(self, "n_layers", (1, 2, 3, 4, 5, "global"))
        check_choice(self, "norm", NORMS)
        if self.spectral_norm and self.norm != "none":
            raise ConfigError(
                f"PatchGANConfig has spectral_norm and norm={self.norm!r} together, and the norm would undo "
                f"the bound; set norm='none' or spectral_norm=False."
            )

    @property
    def layers(self) -> tuple[ConvLayer, ...]:
        """Geometry of the convolutions, first to last (for "global": those ahead of the averaging)."""
        downs = 3 if self.n_layers == "global" else int(self.n_layers)
        ends = 0 if self.n_layers == "global" else 2
        return (ConvLayer(4, 2, 1),) * downs + (ConvLayer(4, 1, 1),) * ends

    @property
    def minimum_size(self) -> int:
        """The smallest height or width of an image this discriminator accepts, in pixels."""
        return minimum_size(self.layers, POOL if self.n_layers == "global" else 1)

    @property
    def receptive_field(self) -> int | None:
        """Side of a logit's receptive field in pixels; None where it is the whole image at any size."""
        unlimited = self.n_layers == "global" or self.norm == "instance"
        return None if unlimited else receptive_field(self.layers).size

    def logit_size(self, size: int) -> int:
        """Height or width of the map of logits for an image of `size` pixels, 0 if that is too small."""
        if self.n_layers == "global":
            return int(size >= self.minimum_size)
        return map_sizes(self.layers, size)[-1]

    def logit_field(self, row: int, column: int, height: int, width: int) -> Box:
        """Receptive field of logit (row, column) in a height x width image, clipped at the border."""
        if self.receptive_field is None:
            return Box(0, 0, height, width)
        return field_box(self.layers, row, column, height, width)


class Discrimination(NamedTuple):
    """Output of a discriminator: the map of logits, and the feature maps of its hidden layers."""

    logits: Tensor  # (B, 1, h, w), float32, no sigmoid
    features: list[Tensor]  # after each activation, (B, C_k, h_k, w_k)


class PatchGAN(nn.Module):
    """Classify (condition, image) pairs as real or generated: one logit per patch, and the hidden features.

    Canonical form: `lessons.lesson05.exercises.build_patchgan.PatchGAN`, made of the list of convolutions
    `lessons.lesson05.exercises.patchgan_layers.patchgan_layers`, and with spectral norm the weights of
    `lessons.lesson06.exercises.spectral_normalise.spectral_normalise`; this adds norms and the global
    variant, because the lessons compare them.
    """

    def __init__(self, config: PatchGANConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        with weights_from(seed):
            self._build(config)

    def _build(self, config: PatchGANConfig) -> None:
        self.blocks = nn.ModuleList()
        width = config.in_channels
        hidden = config.layers if config.n_layers == "global" else config.layers[:-1]
        for k, layer in enumerate(hidden):
            out = min(config.base_filters * 2**k, config.channel_cap)
            self.blocks.append(self._block(width, out, layer, config.norm if k else "none"))
            width = out
        if config.n_layers == "global":
            self.blocks.append(nn.AdaptiveAvgPool2d(POOL))
            self.blocks.append(self._block(width, width, ConvLayer(POOL), "none"))
            last = ConvLayer(1)
        else:
            last = config.layers[-1]
        self.to_logits = self._conv(width, 1, last, bias=True, slope=None)

    def _block(self, in_channels: int, out_channels: int, layer: ConvLayer, norm: str) -> nn.Sequential:
        conv = self._conv(in_channels, out_channels, layer, bias=norm == "none", slope=LEAK)
        return nn.Sequential(conv, make_norm(norm, out_channels), nn.LeakyReLU(LEAK))

    def _conv(
        self, inputs: int, outputs: int, layer: ConvLayer, *, bias: bool, slope: float | None
    ) -> nn.Module:
        conv = nn.Conv2d(inputs, outputs, layer.kernel, layer.stride, layer.padding, bias=bias)
        kaiming_(conv, slope)
        return spectral_norm(conv) if self.config.spectral_norm else conv

    def forward(self, condition: Tensor, image: Tensor) -> Discrimination:
        """(B, C, H, W) twice, in [-1, 1] -> logits (B, 1, h, w) and the features after each activation.

        Raises:
            DataError: for images so small that no logit would be left.
        """
        height, width = image.shape[2:]
        smallest = self.config.minimum_size
        if min(height, width) < smallest:
            raise DataError(
                f"The image is {height}x{width} pixels but a PatchGAN with n_layers={self.config.n_layers!r} "
                f"leaves no logit below {smallest}x{smallest}; enlarge the image or lower n_layers."
            )
        x, features = torch.cat((condition, image), dim=1), []
        for block in self.blocks:
            x = block(x)
            if isinstance(block, nn.Sequential):
                features.append(x)
        return Discrimination(full_precision(self.to_logits(x)), features)
