"""A vision transformer from image to image: patches become tokens, and every layer attends to all of them.

Sources: Dosovitskiy et al. 2021 (patches, pre-norm blocks) and Vaswani et al. 2017 (attention, sines as
positions). There is no convolution but the two linear maps between pixels and tokens: what is near, and that
a pattern may stand anywhere, has to be learned. The positions are sines, so that a network takes any size.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.config import ADDED, check_choice, check_range
from gantrans.errors import ConfigError, DataError
from gantrans.networks.blocks import OUTPUTS, as_output, weights_from
from gantrans.networks.embeddings import sinusoidal_embedding

POSITIONS = ("sinusoidal", "none")
PERIOD = 100.0
"""Of the slowest sine, in 2 pi tokens: images have tens of tokens a side, not the thousands of timesteps."""


@dataclass(frozen=True)
class VisionTransformerConfig:
    """Shape of a `VisionTransformer`.

    patch: side of the square of pixels that becomes one token; height and width must be multiples of it.
    width: numbers per token, a multiple of 4 (sines and cosines of row and column) and of `heads`.
    depth: layers, each with attention of `heads` heads and a two-layer perceptron of 4 * width.
    positions: one of `POSITIONS`; "none": the tokens are an unordered set.
    output: one of `gantrans.networks.blocks.OUTPUTS`.
    """

    in_channels: int = 1
    out_channels: int = 1
    patch: int = 4
    width: int = 64
    depth: int = 4
    heads: int = 4
    positions: str = "sinusoidal"
    output: str = field(default="image", metadata=ADDED)

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "patch", "width", "depth", "heads"):
            check_range(self, name, 1)
        check_choice(self, "output", OUTPUTS)
        check_choice(self, "positions", POSITIONS)
        if self.width % 4 or self.width % self.heads:
            raise ConfigError(
                f"VisionTransformerConfig.width is {self.width!r}; it must be a multiple of 4 and of heads = "
                f"{self.heads}."
            )


class TransformerLayer(nn.Module):
    """x + attention(norm(x)), then x + perceptron(norm(x)): tokens (B, N, C) -> (B, N, C)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        split = self.qkv(self.norm1(x)).reshape(batch, count, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # each (B, heads, N, C / heads)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, count, width)
        x = x + self.projection(attended)
        return x + self.perceptron(self.norm2(x))


class VisionTransformer(nn.Module):
    """Translate an image, pixel for pixel: (B, in, H, W) in [-1, 1] -> (B, out, H, W) in [-1, 1], float32.

    Canonical form: `lessons.lesson14.exercises.to_patches.to_patches`; this cuts and
    joins by `pixel_unshuffle` and `pixel_shuffle`, which take several channels.

    The same `seed` always gives the same weights. Attention costs (H W / patch^2)^2 products per layer.
    """

    def __init__(self, config: VisionTransformerConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        pixels = config.patch**2
        with weights_from(seed):
            self.entry = nn.Linear(config.in_channels * pixels, config.width)
            self.layers = nn.ModuleList(
                TransformerLayer(config.width, config.heads) for _ in range(config.depth)
            )
            self.norm = nn.LayerNorm(config.width)
            self.exit = nn.Linear(config.width, config.out_channels * pixels)

    def forward(self, x: Tensor, *, noise: torch.Generator | None = None) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W). `noise` is ignored; all generators accept it.

        Raises:
            DataError: for a size or number of channels that does not fit the configuration.
        """
        self._check(x)
        folded = F.pixel_unshuffle(x, self.config.patch)  # (B, in * patch^2, rows, columns)
        rows, columns = folded.shape[2:]
        tokens = self.entry(folded.flatten(2).transpose(1, 2))
        if self.config.positions == "sinusoidal":
            tokens = tokens + grid_positions(rows, columns, self.config.width, x.device).to(tokens.dtype)
        for layer in self.layers:
            tokens = layer(tokens)
        out = self.exit(self.norm(tokens)).transpose(1, 2).unflatten(2, (rows, columns))
        return as_output(F.pixel_shuffle(out, self.config.patch), self.config.output)

    def _check(self, x: Tensor) -> None:
        (_, channels, height, width), patch = x.shape, self.config.patch
        if channels != self.config.in_channels:
            raise DataError(
                f"The image has {channels} channels but this transformer was built for "
                f"{self.config.in_channels}; convert the image or set VisionTransformerConfig.in_channels."
            )
        if height % patch or width % patch or not height or not width:
            raise DataError(
                f"The image is {height}x{width} pixels but this transformer needs multiples of {patch}; "
                "crop or pad the image."
            )


def grid_positions(rows: int, columns: int, width: int, device: torch.device | None = None) -> Tensor:
    """Positions of the tokens, (rows * columns, width) float32, `width` a multiple of 4.

    `sinusoidal_embedding` of the row in the first half, of the column in the second.
    """
    row = sinusoidal_embedding(torch.arange(rows, device=device), width // 2, max_period=PERIOD)
    column = sinusoidal_embedding(torch.arange(columns, device=device), width // 2, max_period=PERIOD)
    wide = torch.cat([row[:, None].expand(-1, columns, -1), column[None].expand(rows, -1, -1)], dim=2)
    return wide.flatten(0, 1)
