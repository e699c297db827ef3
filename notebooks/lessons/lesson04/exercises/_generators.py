"""Blocks to try a U-Net with, and U-Nets with one thing changed: most wrong answers of `unet_translator` are
made of them; at the end right ones."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MakeDown = Callable[[int, int, bool], nn.Module]
"""Channels in and out, and whether to normalise -> an encoder block, called as `block(x)`."""
MakeUp = Callable[[int, int], nn.Module]
"""Channels in and out -> a decoder block, called as `block(x, skip)`."""


class Halving(nn.Module):
    """A cheap encoder block: (B, c_in, H, W) -> (B, c_out, H/2, W/2)."""

    def __init__(self, c_in: int, c_out: int, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 2, stride=2)
        self.norm: nn.Module = nn.GroupNorm(1, c_out) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) -> (B, c_out, H/2, W/2)."""
        return F.leaky_relu(self.norm(self.conv(x)), 0.2)


class Normalising(Halving):
    """An encoder block with batch normalisation, as on the page."""

    def __init__(self, c_in: int, c_out: int, norm: bool) -> None:
        super().__init__(c_in, c_out, norm)
        self.norm = nn.BatchNorm2d(c_out) if norm else nn.Identity()


class Doubling(nn.Module):
    """A cheap decoder block: (B, c_in, H, W) and a skip (B, s, 2H, 2W) -> (B, c_out + s, 2H, 2W)."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(c_in, c_out, 2, stride=2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, c_in, H, W) and (B, s, 2H, 2W) -> (B, c_out + s, 2H, 2W)."""
        return torch.cat([torch.tanh(self.conv(x)), skip], dim=1)


class Dropping(Doubling):
    """A decoder block that drops numbers out in train mode."""

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """As `Doubling`, with dropout."""
        return super().forward(F.dropout(x, 0.3, self.training), skip)


class Middle(nn.Module):
    """Something for the bottleneck: channels are mixed at each place, and the result is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x + torch.sin(self.mix(x))


class Base(nn.Module):
    """The layers of the U-Net; what `forward` does is in steps, one method each."""

    def __init__(
        self,
        down: MakeDown,
        up: MakeUp,
        widths: Sequence[int],
        middle: nn.Module | None = None,
        skips: bool = True,
    ) -> None:
        super().__init__()
        inputs = [1, *widths[:-1]]
        self.down = nn.ModuleList(
            down(i, o, level > 0) for level, (i, o) in enumerate(zip(inputs, widths, strict=True))
        )
        self.middle = nn.Identity() if middle is None else middle
        outputs = widths[-2::-1]
        inputs = [widths[-1], *(2 * w for w in outputs[:-1])]
        self.up = nn.ModuleList(up(i, o) for i, o in zip(inputs, outputs, strict=True))
        self.last = nn.ConvTranspose2d(2 * widths[0], 1, 4, stride=2, padding=1)
        self.skips = skips

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> the same shape."""
        maps = self.encode(x)
        return self.ending(self.decode(self.bottom(maps.pop()), maps))

    def encode(self, x: Tensor) -> list[Tensor]:
        """What every encoder block made."""
        maps: list[Tensor] = []
        for block in self.down:
            x = block(x)
            maps.append(x)
        return maps

    def bottom(self, x: Tensor) -> Tensor:
        """The middle."""
        made: Tensor = self.middle(x)
        return made

    def decode(self, x: Tensor, maps: list[Tensor]) -> Tensor:
        """From the bottleneck to half the size."""
        for block in self.up:
            x = block(x, self.given(maps.pop()))
        return x

    def given(self, skip: Tensor) -> Tensor:
        """What a decoder block is given beside `x`."""
        return skip if self.skips else torch.zeros_like(skip)

    def ending(self, x: Tensor) -> Tensor:
        """The image."""
        return torch.tanh(self.last(x))


def with_method(**methods: Callable[..., Any]) -> type[nn.Module]:
    """A U-Net with some steps done in another way."""
    return type("UNetTranslator", (Base,), methods)


class InPlace(Base):
    """Adds to the x it was given."""

    def forward(self, x: Tensor) -> Tensor:
        """As `Base`, and what must not be."""
        image = super().forward(x)
        x.data.add_(1)
        return image


def one_map_for_all(self: Base, x: Tensor, maps: list[Tensor]) -> Tensor:
    """The finest map, shrunk, for every block."""
    for block in self.up:
        wanted = maps.pop()
        shrunk = F.interpolate((maps or [wanted])[0], wanted.shape[-2:])
        x = block(x, shrunk.mean(1, keepdim=True).expand_as(wanted))
    return x


def encoded_again(self: Base, x: Tensor) -> list[Tensor]:
    """Every map by the whole way from the image to it."""
    return [nn.Sequential(*list(self.down)[: level + 1])(x) for level in range(len(self.down))]


def concatenated_again(self: Base, x: Tensor, maps: list[Tensor]) -> Tensor:
    """The map once more behind what a block made."""
    for block in self.up:
        skip = self.given(maps.pop())
        x = torch.cat([block(x, skip), skip], dim=1)
    return x


class KeepsBottleneck(Base):
    """The bottleneck's map is still on the list on the way up."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> the same shape."""
        maps = self.encode(x)
        return self.ending(self.decode(self.bottom(maps[-1]), maps))


class Looped(Base):
    """With a loop of its own on the way down."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> the same shape."""
        maps = []
        for block in self.down:
            x = block(x)
            maps.append(x)
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            if not self.skips:
                skip = torch.zeros_like(skip)
            x = block(x, skip)
        return torch.tanh(self.last(x))


class Zipped(Base):
    """The maps as a list that is read backwards, without taking anything off."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> the same shape."""
        maps = [x]
        for block in self.down:
            maps = [*maps, block(maps[-1])]
        x = self.middle(maps[-1])
        for block, skip in zip(self.up, maps[-2:0:-1], strict=True):
            x = block(x, skip * float(self.skips))
        return self.last(x).tanh()


class Inwards(Base):
    """By recursion: a level asks the level below."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> the same shape."""
        return torch.tanh(self.last(self.inside(0, x)))

    def inside(self, level: int, x: Tensor) -> Tensor:
        """What this level and all below it make of `x`."""
        kept = self.down[level](x)
        if level + 1 == len(self.down):
            return self.bottom(kept)
        below = self.inside(level + 1, kept)
        made: Tensor = self.up[-1 - level](below, kept if self.skips else kept.new_zeros(kept.shape))
        return made


class Stacked(Base):
    """A stack in a dictionary, by size of the map."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> the same shape."""
        kept: dict[int, Tensor] = {}
        for level, block in enumerate(self.down):
            x = kept[level] = block(x)
        x = self.middle(x)
        for level, block in zip(range(len(self.down) - 2, -1, -1), self.up, strict=True):
            skip = kept[level]
            x = block(x, skip if self.skips else torch.full_like(skip, 0.0))
        positive, negative = self.last(x).exp(), (-self.last(x)).exp()
        image: Tensor = (positive - negative) / (positive + negative)
        return image
