"""The U-Net generator: an encoder, a decoder, and skip connections that carry fine detail between them.

Sources: Ronneberger et al. 2015 (U-Net); Isola et al. 2017 (pix2pix), here with the channel rule
min(base_filters * 2**k, channel_cap) and the activation at the end of each block.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gantrans.config import ADDED, check_choice, check_range
from gantrans.errors import ConfigError, DataError
from gantrans.networks.attention import SelfAttention
from gantrans.networks.blocks import (
    LEAK,
    NORMS,
    OUTPUTS,
    UPSAMPLERS,
    DecoderBlock,
    EncoderBlock,
    as_output,
    kaiming_,
    make_upsampler,
    weights_from,
)


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a `UNetGenerator`; the defaults are the full preset (256 px, bottleneck 256 x 8 x 8).

    Attributes:
        skips: one switch for all, or one per level; level k concatenates encoder block k's output, size /
            2**(k+1), to the decoder: n_down - 1 levels, level 0 the finest. Without a skip the next decoder
            block has fewer input channels.
        kernel_size: of the transposed convolution; the resize modes always end in Conv 3x3.
        dropout_blocks: how many decoder blocks, counted from the bottleneck, have dropout.
        noise_injection: random noise at every decoder level, with learned scales that start at noise_init.
        full_resolution_head: upsample to head_filters maps at full size (with noise if it is on), then
            Conv 3x3; without it the last upsampling makes the image directly.
        attention: positions of `SelfAttention`: 0 is the bottleneck, k the output of decoder block k - 1
            before its concatenation, at size / 2**(n_down - k). (0, 1) are 8 x 8 and 16 x 16 at 256 px.
        gamma_init, fused_attention: see `SelfAttention`.
        output: one of `gantrans.networks.blocks.OUTPUTS`.
    """

    in_channels: int = 1
    out_channels: int = 1
    base_filters: int = 48
    n_down: int = 5
    channel_cap: int = 256
    upsample: str = "transposed"
    kernel_size: int = 4
    skips: bool | tuple[bool, ...] = True
    dropout: float = 0.5
    dropout_blocks: int = 2
    norm: str = "batch"
    noise_injection: bool = False
    noise_init: float = 0.5
    full_resolution_head: bool = False
    head_filters: int = 8
    attention: tuple[int, ...] = ()
    gamma_init: float = 0.0
    fused_attention: bool = True
    output: str = field(default="image", metadata=ADDED)

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "base_filters", "channel_cap", "head_filters"):
            check_range(self, name, 1)
        check_range(self, "n_down", 2, 10)
        check_choice(self, "output", OUTPUTS)
        check_choice(self, "upsample", UPSAMPLERS)
        check_choice(self, "kernel_size", (3, 4))
        check_choice(self, "norm", NORMS)
        check_range(self, "dropout", 0.0, 0.95)
        check_range(self, "dropout_blocks", 0)
        check_range(self, "noise_init", 0.0)
        if not isinstance(self.skips, bool) and len(self.skips) != self.n_down - 1:
            raise ConfigError(
                f"UNetConfig.skips has {len(self.skips)} values; give one switch or "
                f"n_down - 1 = {self.n_down - 1} of them, the finest level first."
            )

        if len(set(self.attention)) < len(self.attention) or not set(self.attention) <= set(
            range(self.n_down)
        ):
            raise ConfigError(
                f"UNetConfig.attention is {self.attention!r}; it must be different numbers from 0 "
                f"(bottleneck) to n_down - 1 = {self.n_down - 1} (last decoder block)."
            )

    @property
    def channels(self) -> tuple[int, ...]:
        """Output channels of encoder block 0, 1, ..., by the channel rule."""
        return tuple(min(self.base_filters * 2**k, self.channel_cap) for k in range(self.n_down))

    @property
    def skip_levels(self) -> tuple[bool, ...]:
        """One switch per level, the finest first."""
        return (self.skips,) * (self.n_down - 1) if isinstance(self.skips, bool) else tuple(self.skips)


_ATTENTION_SEED = 2**40


class UNetGenerator(nn.Module):
    """Translate an image, pixel for pixel: (B, in, H, W) in [-1, 1] -> (B, out, H, W) in [-1, 1], float32.

    With `output` = "logits" the last layer has no bounds: (B, out, H, W), the logit of each class. Height and
    width must divide by 2**n_down. The same `seed` always gives the same weights.

    Canonical form: `lessons.lesson04.unet.UNet`; this adds the options of `UNetConfig`, because the lessons
    compare them, initialisation from a seed, and a check of the image's size.
    """

    def __init__(self, config: UNetConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        with weights_from(seed):
            self._build(config)
            kaiming_(self.encoder, LEAK)
            kaiming_(self.decoder, 0.0)
            kaiming_(self.final, None if self.head is None else 0.0)
            if self.head is not None:
                kaiming_(self.head, None)  # followed by Tanh, not by a rectifier
        with weights_from(seed + _ATTENTION_SEED):  # so that attention does not change the other weights
            self.attention = nn.ModuleDict({str(k): self._attention(k) for k in config.attention})

    def _build(self, config: UNetConfig) -> None:
        channels, noise_init = config.channels, config.noise_init if config.noise_injection else None
        self.encoder = nn.ModuleList()
        for k, out in enumerate(channels):
            previous, norm = (channels[k - 1], config.norm) if k else (config.in_channels, "none")
            self.encoder.append(EncoderBlock(previous, out, norm))

        self.decoder = nn.ModuleList()
        width = channels[-1]
        for k, level in enumerate(reversed(range(config.n_down - 1))):
            dropout = config.dropout if k < config.dropout_blocks else 0.0
            self.decoder.append(
                DecoderBlock(
                    width,
                    channels[level],
                    config.norm,
                    upsample=config.upsample,
                    kernel_size=config.kernel_size,
                    dropout=dropout,
                    noise_init=noise_init,
                )
            )
            width = channels[level] * (2 if config.skip_levels[level] else 1)

        self.head: nn.Conv2d | None = None
        if config.full_resolution_head:
            self.final: nn.Module = DecoderBlock(
                width,
                config.head_filters,
                config.norm,
                upsample=config.upsample,
                kernel_size=config.kernel_size,
                noise_init=noise_init,
            )
            self.head = nn.Conv2d(config.head_filters, config.out_channels, 3, padding=1)
        else:
            self.final = make_upsampler(
                config.upsample, width, config.out_channels, config.kernel_size, bias=True
            )

    @property
    def gammas(self) -> dict[int, float]:
        """Gamma of each attention layer, by its position."""
        layers = {int(k): layer for k, layer in self.attention.items()}
        return {k: layer.gamma.item() for k, layer in layers.items() if isinstance(layer, SelfAttention)}

    def _attention(self, position: int) -> SelfAttention:
        channels = self.config.channels[self.config.n_down - 1 - position]
        return SelfAttention(channels, gamma_init=self.config.gamma_init, fused=self.config.fused_attention)

    def forward(
        self, x: Tensor, *, noise: torch.Generator | None = None, skip_gains: Sequence[float] | None = None
    ) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W), both in [-1, 1].

        Args:
            noise: random generator for injected noise; None injects none, even into a network trained with
                it.
            skip_gains: factor on the skip of each level, finest first (default all 1); 0 switches a level
                off.

        Raises:
            DataError: for a size or number of channels that does not fit the configuration.
        """
        return self.decode(self.encode(x), noise=noise, skip_gains=skip_gains)[-1]

    def encode(self, x: Tensor) -> list[Tensor]:
        """Outputs of all encoder blocks, (B, C_k, H / 2**(k+1), W / 2**(k+1)); the last is the bottleneck,
        before its attention.
        """
        self._check(x)
        maps = []
        for block in self.encoder:
            x = block(x)
            maps.append(x)
        return maps

    def decode(
        self,
        maps: Sequence[Tensor],
        *,
        noise: torch.Generator | None = None,
        skip_gains: Sequence[float] | None = None,
    ) -> list[Tensor]:
        """Outputs of all decoder blocks, after attention and before concatenation, and the image."""
        gains = (1.0,) * len(self.decoder) if skip_gains is None else tuple(skip_gains)
        if len(gains) != len(self.decoder):
            raise ConfigError(
                f"skip_gains has {len(gains)} values; give one per level, {len(self.decoder)} in all."
            )
        outputs, x = [], self._attend(0, maps[-1])
        for k, block in enumerate(self.decoder):
            level = len(self.decoder) - 1 - k
            x = self._attend(k + 1, block(x, noise))
            outputs.append(x)
            if self.config.skip_levels[level]:
                skip = maps[level] if gains[level] == 1.0 else maps[level] * gains[level]
                x = torch.cat((x, skip), dim=1)
        x = self.final(x) if self.head is None else self.head(self.final(x, noise))
        return [*outputs, as_output(x, self.config.output)]

    def _attend(self, position: int, x: Tensor) -> Tensor:
        return self.attention[str(position)](x) if position in self.config.attention else x

    def _check(self, x: Tensor) -> None:
        factor, (batch, channels, height, width) = 2**self.config.n_down, x.shape
        if channels != self.config.in_channels:
            raise DataError(
                f"The image has {channels} channels but this U-Net was built for {self.config.in_channels}; "
                f"convert the image or set UNetConfig.in_channels."
            )
        if height % factor or width % factor or not height or not width:
            raise DataError(
                f"The image is {height}x{width} pixels but a U-Net with {self.config.n_down} downs needs "
                f"multiples of {factor}; crop or pad the image, or lower UNetConfig.n_down."
            )
        norm = self.config.norm
        single_pixel_fails = norm == "instance" or (norm == "batch" and batch == 1 and self.training)
        if single_pixel_fails and height == width == factor:
            raise DataError(
                f"A {height}x{width} image leaves one pixel at the bottleneck, not enough for {norm} norm; "
                f"lower UNetConfig.n_down, enlarge the image or (batch norm) raise the batch size."
            )


Shape = tuple[int, int, int]


class ShapeRow(NamedTuple):
    """One block of the shape table; shapes are (channels, height, width)."""

    block: str
    input: Shape
    output: Shape
    after_skip: Shape | None = None


def shape_table(config: UNetConfig, size: int) -> list[ShapeRow]:
    """Every block's shapes for a size x size image, from the channel rule alone (no network is built)."""
    rows, shape = [], (config.in_channels, size, size)
    for k, out in enumerate(config.channels):
        rows.append(ShapeRow(f"encoder {k}", shape, (out, shape[1] // 2, shape[2] // 2)))
        shape = rows[-1].output
    for k, level in enumerate(reversed(range(config.n_down - 1))):
        out = config.channels[level]
        output = (out, shape[1] * 2, shape[2] * 2)
        joined = (out * 2, *output[1:]) if config.skip_levels[level] else None
        rows.append(ShapeRow(f"decoder {k}", shape, output, joined))
        shape = joined or output
    out = config.head_filters if config.full_resolution_head else config.out_channels
    rows.append(ShapeRow("final", shape, (out, size, size)))
    if config.full_resolution_head:
        rows.append(ShapeRow("head", rows[-1].output, (config.out_channels, size, size)))
    return rows
