"""Toy denoisers for the exercises of lesson 01, whose answers see x and t."""

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.kinds import ToyNetwork


class ToyDenoiser(ToyNetwork):
    """(x_t (B, ...), t (B,)) -> a guess of the noise like x_t; half as strong in eval mode."""

    def __init__(self, features: int, seed: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype))

        self.enter, self.time, self.leave = drawn(3, features), drawn(3), drawn(features, 3)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Equal times give equal guesses; t counts in whole steps."""
        hidden = torch.tanh(x.flatten(1) @ self.enter.T + t[:, None] / 10 * self.time)
        guess = (hidden @ self.leave.T).view_as(x)
        return guess if self.training else guess / 2


def frozen(net: ToyDenoiser) -> ToyDenoiser:
    """The network with its time weights frozen, as in a fine-tuning."""
    net.time.requires_grad_(False)
    return net
