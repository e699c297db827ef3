"""The page's block, blocks to try a U-Net with, and U-Nets with one thing changed: most wrong answers of
`unet_denoiser` are made of them; at the end three right ones."""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lessons.lesson02.exercises.sinusoidal_embedding import sinusoidal_embedding
from lessons.lesson02.exercises.time_modulation import time_modulation

Block = Callable[[int, int, int], nn.Module]
"""Numbers of channels in and out, length of the time's vector -> a block, called as `block(h, time)`."""


class ConvBlock(nn.Module):
    """h (B, inputs, H, W) and time (B, time) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(inputs // 8, inputs)
        self.norm2 = nn.GroupNorm(outputs // 8, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(time, 2 * outputs)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        nn.init.zeros_(self.conv2.weight)  # so that the block starts as its shortcut
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """h (B, inputs, H, W), time (B, time) -> (B, outputs, H, W)."""
        inner = self.norm2(self.conv1(F.silu(self.norm1(h))))
        inner = time_modulation(inner, time, self.modulation.weight, self.modulation.bias)
        shortcut: Tensor = self.shortcut(h)
        return shortcut + self.conv2(F.silu(inner))


class Mixing(nn.Module):
    """A cheap block: channels are mixed at each place, and the time is added."""

    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__()
        self.mix, self.clock = nn.Conv2d(inputs, outputs, 1), nn.Linear(time, outputs)

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """h (B, inputs, H, W), time (B, time) -> (B, outputs, H, W)."""
        clock = F.layer_norm(self.clock(time), (self.clock.out_features,))
        return F.silu(F.group_norm(self.mix(h), 1) + clock[:, :, None, None])


class Dropping(Mixing):
    """A block that drops numbers out in train mode."""

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """As `Mixing`, with dropout."""
        return F.dropout(super().forward(h, time), 0.3, self.training)


class Base(nn.Module):
    """The layers of the U-Net; what `forward` does is in steps, one method each."""

    def __init__(self, block: Block, width: int, labels: int) -> None:
        super().__init__()
        self.width, length = width, 4 * width
        self.time = nn.Sequential(nn.Linear(width, length), nn.SiLU(), nn.Linear(length, length))
        self.label: nn.Module = nn.Embedding(labels + 1, length)
        self.enter: nn.Module = nn.Conv2d(1, width, 3, padding=1)
        widths = [width, 2 * width, 2 * width]
        self.down = nn.ModuleList(block(w, w, length) for w in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(w, 2 * width, 2, stride=2) for w in widths[:2])
        self.middle: nn.Module = block(2 * width, 2 * width, length)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(2 * width, w, 2, stride=2) for w in widths[:2])
        self.up = nn.ModuleList(block(2 * w, w, length) for w in widths)
        self.norm: nn.Module = nn.GroupNorm(width // 8, width)
        self.leave: nn.Module = nn.Conv2d(width, 1, 3, padding=1)
        nn.init.zeros_(self.leave.weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """x (B, 1, H, W), t (B,), label (B,) -> (B, 1, H, W)."""
        time = self.vector(t, label)
        h, skips = self.descend(self.enter(x), time)
        return self.last(self.ascend(self.bottom(h, time), skips, time))

    def embedded(self, t: Tensor) -> Tensor:
        """The timesteps as sines and cosines."""
        return sinusoidal_embedding(t, self.width, 10_000.0)

    def vector(self, t: Tensor, label: Tensor) -> Tensor:
        """What every block is told."""
        made: Tensor = self.time(self.embedded(t)) + self.label(label)
        return made

    def descend(self, h: Tensor, time: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The maps at the bottom, and what each level kept."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            h = self.lower(level, h)
            before = h
            h = block(h, time)
            skips.append(self.kept(before, h))
        return h, skips

    def lower(self, level: int, h: Tensor) -> Tensor:
        """From the level above to this one."""
        return self.shrink[level - 1](h) if level else h

    def kept(self, before: Tensor, h: Tensor) -> Tensor:
        """Of the maps before and after the block those that are kept."""
        return h

    def bottom(self, h: Tensor, time: Tensor) -> Tensor:
        """The middle."""
        made: Tensor = self.middle(h, time)
        return made

    def ascend(self, h: Tensor, skips: list[Tensor], time: Tensor) -> Tensor:
        """From the bottom to the top."""
        for level in reversed(range(len(self.up))):
            h = self.up[level](self.joined(h, skips.pop()), time)
            if level:
                h = self.grow[level - 1](h)
        return h

    def joined(self, h: Tensor, skip: Tensor) -> Tensor:
        """What a block of the way up is given."""
        return torch.cat([h, skip], dim=1)

    def last(self, h: Tensor) -> Tensor:
        """The predicted image."""
        made: Tensor = self.leave(F.silu(self.norm(h)))
        return made


def with_method(**methods: Callable[..., Any]) -> type[nn.Module]:
    """A U-Net with some steps done in another way."""
    return type("UNet", (Base,), methods)


def with_layers(change: Callable[[Any, Block, int, int], object]) -> type[nn.Module]:
    """A U-Net whose layers are changed after they were made."""

    def initialised(self: Any, block: Block, width: int, labels: int) -> None:
        Base.__init__(self, block, width, labels)
        change(self, block, width, labels)

    return type("UNet", (Base,), {"__init__": initialised})


def without_labels(self: Base, t: Tensor, label: Tensor) -> Tensor:
    """The row of no label for all."""
    rows = cast(nn.Embedding, self.label).num_embeddings
    return Base.vector(self, t, torch.full_like(label, rows - 1))


def growing_first(self: Base, h: Tensor, skips: list[Tensor], time: Tensor) -> Tensor:
    """Larger maps before each block."""
    for level in reversed(range(len(self.up))):
        h = self.grow[level - 1](h) if level else h
        h = self.up[level](self.joined(h, skips.pop()), time)
    return h


def not_growing(self: Base, h: Tensor, skips: list[Tensor], time: Tensor) -> Tensor:
    """The blocks alone."""
    for level in reversed(range(len(self.up))):
        h = self.up[level](self.joined(h, skips.pop()), time)
    return h


def from_the_top(self: Base, h: Tensor, skips: list[Tensor], time: Tensor) -> Tensor:
    """Blocks in the order of the list."""
    for level, block in enumerate(self.up):
        h = block(self.joined(h, skips.pop()), time)
        if level < 2:
            h = self.grow[level](h)
    return h


class InPlace(Base):
    """Adds to the x it was given."""

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """As `Base`, and what must not be."""
        image = super().forward(x, t, label)
        x.data.add_(1)
        return image


class OneAfterAnother(nn.Module):
    """Without loops, the maps of each level under a name of their own."""

    def __init__(self, block: type[nn.Module], width: int, labels: int) -> None:
        super().__init__()
        self.width, length, wide = width, 4 * width, 2 * width
        self.time = nn.Sequential(nn.Linear(width, length), nn.SiLU(), nn.Linear(length, length))
        self.label = nn.Embedding(labels + 1, length)
        self.enter = nn.Conv2d(1, width, 3, padding=1)
        self.down = nn.ModuleList([block(width, width, length), *(block(wide, wide, length) for _ in "12")])
        self.shrink = nn.ModuleList([nn.Conv2d(w, wide, 2, stride=2) for w in (width, wide)])
        self.middle = block(wide, wide, length)
        self.grow = nn.ModuleList([nn.ConvTranspose2d(wide, w, 2, stride=2) for w in (width, wide)])
        self.up = nn.ModuleList([block(2 * w, w, length) for w in (width, wide, wide)])
        self.norm, self.leave = nn.GroupNorm(width // 8, width), nn.Conv2d(width, 1, 3, padding=1)
        nn.init.constant_(self.leave.weight, 0.0)
        if self.leave.bias is not None:
            nn.init.constant_(self.leave.bias, 0.0)

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """x (B, 1, H, W), t (B,), label (B,) -> like x."""
        time = self.label(label) + self.time(sinusoidal_embedding(t, self.width, 10_000.0))
        top = self.down[0](self.enter(x), time)
        mid = self.down[1](self.shrink[0](top), time)
        low = self.down[2](self.shrink[1](mid), time)
        h = self.up[2](torch.cat((self.middle(low, time), low), 1), time)
        h = self.up[1](torch.cat((self.grow[1](h), mid), 1), time)
        h = self.up[0](torch.cat((self.grow[0](h), top), 1), time)
        image: Tensor = self.leave(nn.functional.silu(self.norm(h)))
        return image


class Inwards(Base):
    """By recursion: a level asks the level below."""

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """x (B, 1, H, W), t (B,), label (B,) -> like x."""
        return self.last(self.inside(0, self.enter(x), self.vector(t, label)))

    def inside(self, level: int, h: Tensor, time: Tensor) -> Tensor:
        """What this level and all below it make of `h`."""
        kept = self.down[level](h, time)
        if level == len(self.down) - 1:
            h = self.middle(kept, time)
        else:
            h = self.grow[level](self.inside(level + 1, self.shrink[level](kept), time))
        made: Tensor = self.up[level](torch.cat([h, kept], dim=1), time)
        return made


class Zipped(Base):
    """Lists read from both ends, layers of the end by hand."""

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """x (B, 1, H, W), t (B,), label (B,) -> like x."""
        time = self.label(label).add(self.time(self.embedded(t)))
        kept = [self.down[0](self.enter(x), time)]
        for smaller, block in zip(self.shrink, list(self.down)[1:], strict=True):
            kept.append(block(smaller(kept[-1]), time))
        h = self.middle(kept[-1], time)
        growing = [nn.Identity(), *self.grow]
        for block, skip, larger in zip(
            *(list(reversed(list(some))) for some in (self.up, kept, growing)), strict=True
        ):
            h = larger(block(torch.cat([h, skip], dim=-3), time))
        h = self.norm(h)
        image: Tensor = self.leave(h * h.sigmoid())
        return image
