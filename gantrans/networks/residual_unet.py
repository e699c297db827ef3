"""A residual U-Net on space-to-depth input, a variant of `UNetGenerator` for a short training budget.

Folding every r x r square of pixels into channels (Shi et al. 2016, sub-pixel convolution) moves all
convolutions to a grid r^2 times smaller, and pre-activation residual blocks (He et al. 2016) train at
larger rates than a plain chain of strided convolutions. Skips are added, not concatenated.
`benchmarks/translation.py` compares the two.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.config import ADDED, check_choice, check_range
from gantrans.errors import ConfigError, DataError
from gantrans.networks.blocks import OUTPUTS, as_output, kaiming_, weights_from


@dataclass(frozen=True)
class ResidualUNetConfig:
    """Shape of a `ResidualUNet`.

    base_filters, multipliers: level k has base_filters * multipliers[k] channels at size / (unshuffle *
    2**k).
    unshuffle: side of the squares of pixels that are folded into channels; 1 for no folding.
    blocks: residual blocks per level, in the encoder and in the decoder.
    output: one of `gantrans.networks.blocks.OUTPUTS`.
    """

    in_channels: int = 1
    out_channels: int = 1
    base_filters: int = 16
    multipliers: tuple[int, ...] = (1, 2, 4)
    unshuffle: int = 2
    blocks: int = 1
    output: str = field(default="image", metadata=ADDED)

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "base_filters", "unshuffle", "blocks"):
            check_range(self, name, 1)
        check_choice(self, "output", OUTPUTS)
        if not self.multipliers or min(self.multipliers) < 1:
            raise ConfigError(
                f"ResidualUNetConfig.multipliers is {self.multipliers!r}; give one positive number per level."
            )

    @property
    def factor(self) -> int:
        """Height and width must be multiples of this."""
        return self.unshuffle * 2 ** (len(self.multipliers) - 1)


class ResidualBlock(nn.Module):
    """x + Conv3x3(ReLU(BN(Conv3x3(ReLU(BN(x)))))): (B, C, H, W) -> the same shape (He et al. 2016, fig.
    4e).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(y)))


class ResidualUNet(nn.Module):
    """Translate an image, pixel for pixel: (B, in, H, W) in [-1, 1] -> (B, out, H, W) in [-1, 1], float32.

    With `output` = "logits": the logit of each class, unbounded. The same `seed` always gives the same
    weights.
    """

    def __init__(self, config: ResidualUNetConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        widths = [config.base_filters * m for m in config.multipliers]
        fold = config.unshuffle**2

        def level(width: int) -> nn.Sequential:
            return nn.Sequential(*(ResidualBlock(width) for _ in range(config.blocks)))

        with weights_from(seed):
            self.entry = nn.Conv2d(config.in_channels * fold, widths[0], 3, padding=1)
            self.encoder = nn.ModuleList(level(width) for width in widths)
            self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
            self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
            self.decoder = nn.ModuleList(level(width) for width in widths[:-1])
            self.norm = nn.BatchNorm2d(widths[0])
            self.exit = nn.Conv2d(widths[0], config.out_channels * fold, 3, padding=1)
            for module in self.modules():
                if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                    kaiming_(
                        module,
                        0.0 if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) else None,
                    )

    def forward(self, x: Tensor, *, noise: torch.Generator | None = None) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W). `noise` is ignored; all generators accept it.

        Raises:
            DataError: for a size or number of channels that does not fit the configuration.
        """
        self._check(x)
        h, skips = self.entry(F.pixel_unshuffle(x, self.config.unshuffle)), []
        for level, down in zip(self.encoder, self.down, strict=False):
            skips.append(level(h))
            h = down(skips[-1])
        h = self.encoder[-1](h)
        for up, level in zip(reversed(self.up), reversed(self.decoder), strict=True):
            h = level(up(h) + skips.pop())
        h = F.pixel_shuffle(self.exit(F.relu(self.norm(h))), self.config.unshuffle)
        return as_output(h, self.config.output)

    def _check(self, x: Tensor) -> None:
        (_, channels, height, width), factor = x.shape, self.config.factor
        if channels != self.config.in_channels:
            raise DataError(
                f"The image has {channels} channels but this U-Net was built for {self.config.in_channels}; "
                f"convert the image or set ResidualUNetConfig.in_channels."
            )
        if height % factor or width % factor or not height or not width:
            raise DataError(
                f"The image is {height}x{width} pixels but this U-Net needs multiples of {factor}; "
                "crop or pad the image."
            )
