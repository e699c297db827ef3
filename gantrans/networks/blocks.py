"""The blocks of U-Net and PatchGAN: convolution, norm, activation, upsampling, noise, initialisation.

Sources: Isola et al. 2017, "Image-to-image translation with conditional adversarial networks" (pix2pix);
Odena et al. 2016, "Deconvolution and checkerboard artifacts"; Karras et al. 2019 (StyleGAN) for the noise;
He et al. 2015 for the initialisation.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORMS = ("batch", "instance", "none")
UPSAMPLERS = ("transposed", "nearest", "bilinear")
OUTPUTS = ("image", "logits")
"""What a generator's last layer gives: an image, by a tanh, or the logit of each class, as they are."""
LEAK = 0.2
"""Negative slope of every LeakyReLU, as in pix2pix."""


class EncoderBlock(nn.Module):
    """Halve height and width: Conv 4x4, stride 2, padding 1 -> norm -> LeakyReLU(0.2).

    The activation is never in place: the block's output is also the skip connection.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=norm == "none")
        self.norm = make_norm(norm, out_channels)
        self.activation = nn.LeakyReLU(LEAK)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H/2, W/2)."""
        return self.activation(self.norm(self.conv(x)))


class DecoderBlock(nn.Module):
    """Double height and width: upsampling -> norm -> [dropout] -> [noise] -> ReLU.

    The concatenation with the encoder's map follows the block and is not part of it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: str,
        *,
        upsample: str = "transposed",
        kernel_size: int = 4,
        dropout: float = 0.0,
        noise_init: float | None = None,
    ) -> None:
        super().__init__()
        self.upsample = make_upsampler(upsample, in_channels, out_channels, kernel_size, bias=norm == "none")
        self.norm = make_norm(norm, out_channels)
        self.dropout = nn.Dropout(dropout) if dropout > 0 else nn.Identity()
        self.noise = NoiseInjection(out_channels, noise_init) if noise_init is not None else None
        self.activation = nn.ReLU()

    def forward(self, x: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """(B, C, H, W) -> (B, C', 2H, 2W); `noise`: the random generator for the noise image."""
        x = self.dropout(self.norm(self.upsample(x)))
        if self.noise is not None and noise is not None:
            x = self.noise(x, noise)
        return self.activation(x)


class NoiseInjection(nn.Module):
    """x + scale * z: one standard normal image z per sample, one learned scale per channel (StyleGAN).

    A deterministic network cannot produce random grain where its input is flat; the noise image makes it
    possible.
    """

    def __init__(self, channels: int, init: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, channels, 1, 1), init))

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """(B, C, H, W) -> the same shape, with a fresh (B, 1, H, W) noise image from `generator`."""
        shape = (x.shape[0], 1, x.shape[2], x.shape[3])
        z = torch.randn(shape, generator=generator, device=generator.device)
        return x + self.scale.to(x.dtype) * z.to(x)


class NearestConv(nn.Module):
    """Nearest-neighbour upsampling by 2, then Conv 3x3, computed as one transposed convolution.

    Repeating every pixel twice and filtering with w is a stride-2 transposed convolution whose 4x4 kernel is
    w smeared by a 2x2 box: the same map for 16 products per input pixel instead of 36. The weights of
    all four output phases have the same sum, so this upsampler starts without a checkerboard (Odena et al.
    2016).
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', 2H, 2W)."""
        padded = F.pad(self.conv.weight.transpose(0, 1).flip(2, 3), (1, 1, 1, 1))  # (C, C', 5, 5)
        kernel = 4.0 * F.avg_pool2d(padded, 2, stride=1)  # (C, C', 4, 4): w smeared by a 2x2 box
        return F.conv_transpose2d(x, kernel, self.conv.bias, stride=2, padding=1)


def make_upsampler(
    mode: str, in_channels: int, out_channels: int, kernel_size: int, *, bias: bool
) -> nn.Module:
    """A module (B, C, H, W) -> (B, C', 2H, 2W); `kernel_size` (3 or 4) is the transposed convolution's.

    "nearest" and "bilinear" resize first and then apply Conv 3x3.
    """
    if mode == "transposed":
        # Stride 2 does not divide kernel 3: output pixels sum 1, 2 or 4 products, a structural checkerboard.
        return nn.ConvTranspose2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=2,
            padding=1,
            output_padding=4 - kernel_size,
            bias=bias,
        )
    if mode == "nearest":
        return NearestConv(in_channels, out_channels, bias)
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias),
    )


def make_norm(kind: str, channels: int) -> nn.Module:
    """BatchNorm, InstanceNorm (both with learned scale and shift) or nothing."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels, affine=True) if kind == "instance" else nn.Identity()


@contextmanager
def weights_from(seed: int) -> Iterator[None]:
    """Random numbers drawn inside depend on `seed` alone; the global random state is restored afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def kaiming_(network: nn.Module, slope: float | None) -> None:
    """Kaiming normal weights, zero biases for every convolution: std = gain / sqrt(fan_in) (He et al. 2015).

    `slope` is the negative slope of the rectifier that follows, gain^2 = 2 / (1 + slope^2) (their eq. 15);
    None (no rectifier) has gain 1. The fan-in is the number of products in one output value. A transposed
    convolution sums only (k / stride)^2 elements of its k x k kernel per input channel; `torch.nn.init`
    ignores the stride.
    """
    gain = 1.0 if slope is None else math.sqrt(2.0 / (1.0 + slope**2))
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            fan_in = layer.in_channels * math.prod(layer.kernel_size)
            meeting = math.prod(layer.stride) if isinstance(layer, nn.ConvTranspose2d) else 1
            nn.init.normal_(layer.weight, 0.0, gain * math.sqrt(meeting / fan_in))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def as_output(x: Tensor, output: str) -> Tensor:
    """The last layer's values as one of `OUTPUTS`, float32.

    Tanh in float32: near +-1 bfloat16 has steps of 0.004, and L1's gradient would vanish on rounding.
    """
    return torch.tanh(full_precision(x)) if output == "image" else full_precision(x)


def full_precision(x: Tensor) -> Tensor:
    """Convert bfloat16 (from autocast) to float32; float32 and float64 are returned unchanged."""
    return x if x.dtype == torch.float64 else x.float()
