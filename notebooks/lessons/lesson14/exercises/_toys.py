"""Toy networks for the exercises of lesson 14, whose answers depend on x, the condition and t."""

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.kinds import ToyNetwork


class ToyConditional(ToyNetwork):
    """(x_t (B, ...), t (B,), condition (B, ...)) -> an image like x_t; half as strong in eval mode."""

    def __init__(self, features: int, told: int, seed: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype))

        self.enter, self.time, self.leave = drawn(3, features), drawn(3), drawn(features, 3)
        self.given = drawn(3, told)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Equal times give equal answers; t counts in whole steps."""
        told = condition.flatten(1) @ self.given.T
        hidden = torch.tanh(x.flatten(1) @ self.enter.T + told + t[:, None] / 10 * self.time)
        image = (hidden @ self.leave.T).view_as(x)
        return image if self.training else image / 2
