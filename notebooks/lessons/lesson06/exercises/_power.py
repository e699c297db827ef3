"""The power iteration that answers to `spectral_normalise` are put together from."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

Answer = tuple[Tensor, Tensor, Tensor]


def iterate(matrix: Tensor, u: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    v = matrix.T @ u
    for _ in range(steps):
        v = matrix.T @ u / (matrix.T @ u).norm()
        u = matrix @ v / (matrix @ v).norm()
    return u, v


def uv(weight: Tensor, u: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Matrix, and both vectors as constants."""
    matrix = weight.flatten(1)
    return matrix, *iterate(matrix.detach(), u, steps)


def by(sigma: Tensor, weight: Tensor, u: Tensor) -> Answer:
    return weight / sigma, sigma, u


def ending(end: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Any, ...]]) -> Callable[..., Any]:
    """An answer that iterates rightly and ends as `end(weight, matrix, u, v)`."""

    def answer(weight: Tensor, u: Tensor, steps: int) -> tuple[Any, ...]:
        return end(weight, *uv(weight, u, steps))

    return answer
