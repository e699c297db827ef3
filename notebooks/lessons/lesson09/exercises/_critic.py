"""A toy discriminator for the exercises of lesson 09: so small that a message can print it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Features = list[Tensor]


class ToyCritic(nn.Module):
    """A conditional discriminator of three layers; two are equal if their three numbers and gradients are."""

    def __init__(self, a: float, b: float, c: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([a, b, c], dtype=torch.float64))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToyCritic) and self._seen() == other._seen()

    __hash__ = nn.Module.__hash__

    def __repr__(self) -> str:
        return f"ToyCritic({', '.join(f'{value:.3f}' for value in self.weights.tolist())})"

    def forward(self, condition: Tensor, image: Tensor) -> tuple[Tensor, Features]:
        """(B, 1, H, W) twice -> raw logits, features layer by layer."""
        a, b, c = self.weights.to(image)
        first = torch.tanh(a * condition + b * image + c * condition * image)
        first = torch.cat([first, first.square()], dim=1)
        second = F.avg_pool2d(first, 2, ceil_mode=True).roll(1, 1) * first.mean(dim=(2, 3), keepdim=True)
        third = torch.tanh(second.sum(dim=1, keepdim=True) + c)
        return b * third, [first, second, third]

    def _seen(self) -> tuple[list[float], list[float] | None, bool]:
        grad = self.weights.grad
        return self.weights.tolist(), None if grad is None else grad.tolist(), self.weights.requires_grad
