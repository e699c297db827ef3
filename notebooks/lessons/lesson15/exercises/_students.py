"""Students with one thing changed, for the wrong answers of `consistent`; toy networks with labels."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.kinds import ToyNetwork


class ToyLabelled(ToyNetwork):
    """(x (B, ...), t (B,), label (B,)) -> an image like x; half as strong in eval mode."""

    def __init__(self, features: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(features)
        self.enter = nn.Parameter(torch.randn(3, features, generator=draw))
        self.time = nn.Parameter(torch.randn(3, generator=draw))
        self.label = nn.Parameter(torch.randn(6, 3, generator=draw))
        self.leave = nn.Parameter(torch.randn(features, 3, generator=draw))

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """The time counts in timesteps, 0 to 999."""
        hidden = x.flatten(1) @ self.enter.T + t[:, None] / 300 * self.time + self.label[label]
        image = (torch.tanh(hidden) @ self.leave.T).view_as(x)
        return image if self.training else image / 2


class Base(nn.Module):
    """What is given on the page: the network, the clock of the levels, and how much of x is kept at each."""

    clock: Tensor
    keep: Tensor

    def __init__(self, net: nn.Module, clock: Tensor, levels: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("clock", clock)
        self.register_buffer("keep", (1 / (1 + 100 * (1 - levels) / levels)).float())

    def share(self, x: Tensor, n: Tensor) -> Tensor:
        """How much of x is kept, with the axes of x."""
        return self.keep[n].view(-1, *[1] * (x.dim() - 1))


Forward = Callable[[Any, Tensor, Tensor, Tensor], Any]


def with_forward(forward: Forward) -> type[nn.Module]:
    """A student that answers with `forward(self, x, n, label)`."""

    class Student(Base):
        def forward(self, x: Tensor, n: Tensor, label: Tensor) -> Any:
            """x (B, ...), n (B,), label (B,)."""
            return forward(self, x, n, label)

    return Student
