"""Time blocks with one thing changed: most wrong answers of `time_block` are made of them."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Base(nn.Module):
    """The layers of the block; what `forward` does is in `steps`, one method each."""

    def __init__(self, features: int, time_features: int) -> None:
        super().__init__()
        self.norm: nn.Module = nn.LayerNorm(features)
        self.modulation: nn.Module = nn.Linear(time_features, 2 * features)
        self.inner: nn.Module = nn.Linear(features, features)
        self.outer: nn.Module = nn.Linear(features, features)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, F), (B, D) -> (B, F)."""
        return x + self.added(self.modulated(x, *self.parts(time)))

    def parts(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        scale, shift = self.modulation(F.silu(time)).chunk(2, dim=1)
        return scale, shift

    def modulated(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """The normalised x, scaled and shifted."""
        normed: Tensor = self.norm(x)
        return normed * (1 + scale) + shift

    def added(self, h: Tensor) -> Tensor:
        """What the two inner layers make of it."""
        made: Tensor = self.outer(F.silu(self.inner(h)))
        return made


def with_parts(parts: Callable[[Any, Tensor], Any]) -> type[nn.Module]:
    """A block that makes scale and shift in another way."""
    return type("TimeBlock", (Base,), {"parts": parts})


def with_modulated(modulated: Callable[[Any, Tensor, Tensor, Tensor], Tensor]) -> type[nn.Module]:
    """A block that applies them in another way."""
    return type("TimeBlock", (Base,), {"modulated": modulated})


def with_added(added: Callable[[Any, Tensor], Tensor]) -> type[nn.Module]:
    """A block with other inner layers."""
    return type("TimeBlock", (Base,), {"added": added})


def with_forward(forward: Callable[[Any, Tensor, Tensor], Tensor]) -> type[nn.Module]:
    """A block that is put together in another way."""
    return type("TimeBlock", (Base,), {"forward": forward})


def with_layer(name: str, make: Callable[[int, int], nn.Module]) -> type[nn.Module]:
    """A block with one layer made otherwise."""

    def initialised(self: Any, features: int, time_features: int) -> None:
        Base.__init__(self, features, time_features)
        setattr(self, name, make(features, time_features))

    return type("TimeBlock", (Base,), {"__init__": initialised})


class Renamed(Base):
    """`inner` and `outer` under other names."""

    def __init__(self, features: int, time_features: int) -> None:
        super().__init__(features, time_features)
        self.first, self.second = self.inner, self.outer
        del self.inner, self.outer

    def added(self, h: Tensor) -> Tensor:
        made: Tensor = self.second(F.silu(self.first(h)))
        return made


class Shared(Base):
    """One layer used twice."""

    def __init__(self, features: int, time_features: int) -> None:
        super().__init__(features, time_features)
        self.outer = self.inner


class Hidden(Base):
    """Layers in a plain list, which PyTorch does not look into."""

    def __init__(self, features: int, time_features: int) -> None:
        super().__init__(features, time_features)
        self.layers = [self.inner, self.outer]
        del self.inner, self.outer

    def added(self, h: Tensor) -> Tensor:
        made: Tensor = self.layers[1](F.silu(self.layers[0](h)))
        return made


class Surplus(Base):
    """A layer that nothing uses."""

    def __init__(self, features: int, time_features: int) -> None:
        super().__init__(features, time_features)
        self.embed = nn.Linear(time_features, time_features)


class Dropping(Base):
    """With dropout."""

    def added(self, h: Tensor) -> Tensor:
        return F.dropout(super().added(h), 0.5, self.training)


class AlwaysDropping(Base):
    """With dropout in eval mode as well."""

    def added(self, h: Tensor) -> Tensor:
        return F.dropout(super().added(h), 0.5)


class Switching(Base):
    """Switches itself to eval mode."""

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return super().eval().added(self.modulated(x, *self.parts(time))) + x


class InPlace(Base):
    """Adds to the x it was given."""

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        with torch.no_grad():
            new = super().forward(x, time)
        result = super().forward(x, time)
        x.data.copy_(new)
        return result


class Lowered(Base):
    """Computes in float32, whatever it is given."""

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return super().float().forward(x.float(), time.float())
