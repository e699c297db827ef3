"""Toy networks and fields for the exercises of lesson 15, whose answers see x and the time."""

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.kinds import ToyNetwork


class ToyField(ToyNetwork):
    """(x (B, ...), t (B,) in [0, 1]) -> a velocity like x; half as strong in eval mode."""

    def __init__(self, features: int, seed: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype))

        self.enter, self.time, self.leave = drawn(3, features), drawn(3), drawn(features, 3)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Equal times give equal velocities."""
        hidden = torch.tanh(x.flatten(1) @ self.enter.T + 3 * t[:, None] * self.time)
        velocity = (hidden @ self.leave.T).view_as(x)
        return velocity if self.training else velocity / 2


class ToyImages(ToyField):
    """(x (B, ...), level (B,) int64) -> an image like x; the noise level counts in whole steps."""

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Equal levels give equal images."""
        hidden = torch.tanh(x.flatten(1) @ self.enter.T + t[:, None] / 3 * self.time)
        image = torch.tanh(hidden @ self.leave.T).view_as(x)
        return image if self.training else image / 2


def frozen(net: ToyField) -> ToyField:
    """The network with its time weights frozen, as in a fine-tuning."""
    net.time.requires_grad_(False)
    return net


def swirl(x: Tensor, t: Tensor) -> Tensor:
    """A field that turns and pulls, for samplers: (x (B, ...), t (B,)) -> like x."""
    if t.shape != x.shape[:1]:
        raise ValueError(f"t has the shape {tuple(t.shape)}; one time per sample is needed")
    time = t.view(-1, *[1] * (x.dim() - 1)).to(x.dtype)
    return (1 - time) * x.flip(-1) - 0.5 * x + time * (1 + time)
