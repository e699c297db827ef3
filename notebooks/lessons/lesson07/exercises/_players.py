"""Toy networks for the exercises of lesson 07: so small that a message can print them.

They compare by weights, gradients and `requires_grad`, so a checker sees what an answer did to them.
"""

from typing import Any

import torch
from torch import Tensor, nn

DTYPE = torch.float64


class Player(nn.Module):
    """Some numbers as one parameter, `weights`; subclasses say what is computed with them."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights, dtype=DTYPE))

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(_equal(a, b) for a, b in zip(self._seen(), other._seen(), strict=True))  # type: ignore[attr-defined]

    __hash__ = nn.Module.__hash__

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Player":
        """A copy with the gradient, which a parameter's own copy leaves behind."""
        twin = type(self)()
        weights, grad, trainable = self._seen()
        twin.weights = nn.Parameter(weights.clone(), trainable)
        twin.weights.grad = None if grad is None else grad.clone()
        return twin

    def __repr__(self) -> str:
        weights, grad, trainable = self._seen()
        frozen = "" if trainable else ", frozen"
        return f"{type(self).__name__}(weights={_short(weights)}, grad={_short(grad)}{frozen})"

    def _seen(self) -> tuple[Tensor, Tensor | None, bool]:
        return self.weights.detach(), self.weights.grad, self.weights.requires_grad


class ToyG(Player):
    """A generator, pixel by pixel: tanh(a x + b x^2 + c)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, H, W)."""
        a, b, c = self.weights.to(x)
        return torch.tanh(a * x + b * x.square() + c)


class ToyD(Player):
    """A conditional discriminator, one logit per pixel: a condition + b image + c condition image."""

    def forward(self, condition: Tensor, image: Tensor) -> Tensor:
        """(B, 1, H, W) twice -> raw logits (B, 1, H, W)."""
        a, b, c = self.weights.to(image)
        return a * condition + b * image + c * condition * image


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.allclose(a, b, rtol=1e-4, atol=1e-6)
    return type(a) is type(b) and a == b


def _short(value: Tensor | None) -> Any:
    return None if value is None else [round(v, 4) for v in value.tolist()]
