"""The networks of a conditional model: a U-Net that is given noisy answer and input, and a transformer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.mine import UNet, time_modulation, to_patches


class ConvBlock(nn.Module):
    """h (B, inputs, H, W), time (B, D) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(inputs // 8, inputs), nn.GroupNorm(outputs // 8, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(time, 2 * outputs)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)  # so that the block starts as its shortcut

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """Two convolutions beside a shortcut; between them the time scales and shifts the channels."""
        inner = self.norm2(self.conv1(F.silu(self.norm1(h))))
        inner = time_modulation(inner, time, self.modulation.weight, self.modulation.bias)
        added: Tensor = self.shortcut(h) + self.conv2(F.silu(inner))
        return added


class ConditionalUNet(nn.Module):
    """x_t (B, 1, H, W), t (B,), condition (B, 1, H, W) -> an image like x_t; H, W multiples of 8."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.net = UNet(ConvBlock, width, 0)
        self.net.enter = nn.Conv2d(2 * 4, width, 3, padding=1)  # squares of 2 x 2 pixels become channels
        self.net.leave = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Both images are folded and joined as channels; the label is the one that means none."""
        folded = F.pixel_unshuffle(torch.cat([x_t, condition], dim=1), 2)
        return F.pixel_shuffle(self.net(folded, t, torch.zeros_like(t)), 2)


class PatchTransformer(nn.Module):
    """x_t and t are not used; condition (B, 1, size, size) -> an image like it, by patches of 4 x 4."""

    def __init__(self, size: int, side: int = 4, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        self.size, self.side = size, side
        self.enter, self.leave = nn.Linear(side * side, width), nn.Linear(width, side * side)
        self.place = nn.Parameter(0.02 * torch.randn((size // side) ** 2, width))
        block = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, depth, enable_nested_tensor=False)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Every patch attends to all others in every block."""
        h = self.blocks(self.enter(to_patches(condition, self.side)) + self.place)
        pixels = self.leave(h).transpose(1, 2)
        return F.fold(pixels, (self.size, self.size), self.side, stride=self.side)
