"""The U-Net generator of pix2pix, five levels written out: `gantrans.networks.UNetGenerator` without options.

Sources: Ronneberger et al. 2015 (U-Net); Isola et al. 2017, section 6.1.1 (pix2pix). First weights are
PyTorch's here; the library draws them after He et al. 2015.
"""

import torch
from torch import Tensor, nn


def down(in_channels: int, out_channels: int, *, norm: bool = True) -> nn.Sequential:
    """(B, C, H, W) -> (B, C', H/2, W/2)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=not norm),
        nn.BatchNorm2d(out_channels) if norm else nn.Identity(),
        nn.LeakyReLU(0.2),
    )


def up(in_channels: int, out_channels: int, *, dropout: float = 0.0) -> nn.Sequential:
    """(B, C, H, W) -> (B, C', 2H, 2W)."""
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.Dropout(dropout),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """(B, 1, H, W) in [-1, 1] -> (B, 1, H, W) in [-1, 1]; H and W are multiples of 32.

    An encoder alone would have to carry every edge's position through the bottleneck. The skip connections
    hand each encoder map to the decoder level of the same size, concatenated as further channels.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 1, f: int = 48, cap: int = 256) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (min(f * 2**k, cap) for k in range(5))  # 48, 96, 192, 256, 256
        self.down1 = down(in_channels, c1, norm=False)  # sizes for 256 px: 256 -> 128
        self.down2 = down(c1, c2)  # 128 -> 64
        self.down3 = down(c2, c3)  # 64 -> 32
        self.down4 = down(c3, c4)  # 32 -> 16
        self.down5 = down(c4, c5)  # 16 -> 8, the bottleneck

        self.up5 = up(c5, c4, dropout=0.5)  # 8 -> 16
        self.up4 = up(c4 + c4, c3, dropout=0.5)  # 16 -> 32
        self.up3 = up(c3 + c3, c2)  # 32 -> 64
        self.up2 = up(c2 + c2, c1)  # 64 -> 128
        self.up1 = nn.ConvTranspose2d(c1 + c1, out_channels, kernel_size=4, stride=2, padding=1)  # 128 -> 256

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        d1 = self.down1(x)  # (B, c1, H/2, W/2)
        d2 = self.down2(d1)  # (B, c2, H/4, W/4)
        d3 = self.down3(d2)  # (B, c3, H/8, W/8)
        d4 = self.down4(d3)  # (B, c4, H/16, W/16)
        d5 = self.down5(d4)  # (B, c5, H/32, W/32)

        u = torch.cat([self.up5(d5), d4], dim=1)  # (B, c4 + c4, H/16, W/16)
        u = torch.cat([self.up4(u), d3], dim=1)  # (B, c3 + c3, H/8, W/8)
        u = torch.cat([self.up3(u), d2], dim=1)  # (B, c2 + c2, H/4, W/4)
        u = torch.cat([self.up2(u), d1], dim=1)  # (B, c1 + c1, H/2, W/2)
        return torch.tanh(self.up1(u))  # (B, out_channels, H, W)
