"""Networks for sounds with one thing changed: most wrong answers of `denoiser_1d` are made of them; at the
end right ones."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Base(nn.Module):
    """The layers; what `forward` does is in steps, one method each."""

    def __init__(self, notes: int, width: int, clocks: int, blocks: int, hop: int) -> None:
        super().__init__()
        self.speeds: Tensor
        self.register_buffer("speeds", 10_000.0 ** (-torch.arange(clocks) / clocks))
        self.time = nn.Sequential(nn.Linear(2 * clocks, width), nn.SiLU(), nn.Linear(width, width))
        self.note = nn.Embedding(notes, width)
        self.first = nn.Conv1d(2, width, 2 * hop, stride=hop, padding=hop // 2)
        self.last = nn.ConvTranspose1d(width, 1, 2 * hop, stride=hop, padding=hop // 2)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(8, width), nn.SiLU(), nn.Conv1d(width, width, 3, padding=2**i, dilation=2**i)
            )
            for i in range(blocks)
        )

    def forward(self, x: Tensor, t: Tensor, note: Tensor, envelope: Tensor) -> Tensor:
        """x, envelope (B, 1, L), t and note (B,) -> (B, 1, L)."""
        return self.left(self.deep(self.entered(x, envelope), self.vector(t, note)[:, :, None]), envelope)

    def angles(self, t: Tensor) -> Tensor:
        """(B, clocks)."""
        return t[:, None] * self.speeds

    def embedded(self, t: Tensor) -> Tensor:
        """The timesteps as sines and cosines."""
        return torch.cat([self.angles(t).sin(), self.angles(t).cos()], dim=1)

    def vector(self, t: Tensor, note: Tensor) -> Tensor:
        """What every block is told."""
        made: Tensor = self.time(self.embedded(t)) + self.note(note)
        return made

    def entered(self, x: Tensor, envelope: Tensor) -> Tensor:
        """The first h."""
        made: Tensor = self.first(torch.cat([x, envelope], dim=1))
        return made

    def deep(self, h: Tensor, time: Tensor) -> Tensor:
        """All blocks."""
        for block in self.blocks:
            h = self.through(block, h, time)
        return h

    def through(self, block: Callable[[Tensor], Tensor], h: Tensor, time: Tensor) -> Tensor:
        """One block."""
        return h + block(h + time)

    def at_start(self, h: Tensor, time: Tensor) -> Tensor:
        """The vector at the first place alone."""
        return h + torch.cat([time, torch.zeros_like(h[:, :, 1:])], dim=2)

    def left(self, h: Tensor, envelope: Tensor) -> Tensor:
        """The predicted sounds."""
        made: Tensor = self.last(h) * envelope
        return made


def with_method(**methods: Callable[..., Any]) -> type[nn.Module]:
    """A network with some steps done in another way."""
    return type("Denoiser", (Base,), methods)


class InPlace(Base):
    """Changes the x it was given."""

    def forward(self, x: Tensor, t: Tensor, note: Tensor, envelope: Tensor) -> Tensor:
        """As `Base`, and what must not be."""
        made = super().forward(x, t, note, envelope)
        x.data.add_(1)
        return made


class Hand(Base):
    """The vector laid out over all places by hand, sums the other way round."""

    def forward(self, x: Tensor, t: Tensor, note: Tensor, envelope: Tensor) -> Tensor:
        """x, envelope (B, 1, L), t and note (B,) -> (B, 1, L)."""
        turns = torch.einsum("b,c->bc", t.to(self.speeds), self.speeds)
        told = self.note(note) + self.time(torch.hstack((torch.sin(turns), torch.cos(turns))))
        both = torch.empty(len(x), 2, x.shape[2], dtype=x.dtype)
        both[:, 0], both[:, 1] = x[:, 0], envelope[:, 0]
        h = self.first(both)
        told = told.unsqueeze(-1).expand_as(h)
        for block in self.blocks:
            h = block(told + h) + h
        made: Tensor = envelope * self.last(h)
        return made


class Stacked(Base):
    """The layers of a block one by one."""

    def forward(self, x: Tensor, t: Tensor, note: Tensor, envelope: Tensor) -> Tensor:
        """x, envelope (B, 1, L), t and note (B,) -> (B, 1, L)."""
        told = self.vector(t, note).view(len(t), -1, 1)
        h = self.first(torch.stack([x.squeeze(1), envelope.squeeze(1)], dim=1))
        for block in self.blocks:
            inner = h + told
            for layer in block.children():
                inner = layer(inner)
            h = torch.add(h, inner)
        made: Tensor = torch.mul(self.last(h), envelope)
        return made


class Recursive(Base):
    """The blocks by recursion."""

    def deep(self, h: Tensor, time: Tensor, number: int = 0) -> Tensor:
        """From block `number` on."""
        if number == len(self.blocks):
            return h
        return self.deep(h + self.blocks[number](h + time), time, number + 1)
