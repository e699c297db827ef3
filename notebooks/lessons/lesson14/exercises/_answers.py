"""A toy network that answers inputs, and loops over answers with one thing changed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lessons.lesson03.exercises.sample import sample


def seeded(seed: int) -> torch.Generator:
    """A generator that begins at `seed`."""
    return torch.Generator().manual_seed(seed)


class ToyAnswer:
    """network(x, t, condition): a mixture of all three; `asked` keeps the shapes of its questions."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.asked: list[tuple[Any, ...]] = []

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        self.asked.append((tuple(x.shape), tuple(condition.shape), int(t.flatten()[0])))
        late = (1 + t.to(x.dtype) / 10).view(-1, *[1] * (x.dim() - 1))
        return (self.share * torch.tanh(x) + condition.to(x.dtype)) / late

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToyAnswer) and self.share == other.share

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"network (share {self.share})"


def answers_with(
    *,
    rounds: Callable[[int], range] = range,
    drawing: Callable[[torch.Generator], torch.Generator] = lambda g: g,
    start: Callable[[Tensor, int, Tensor | None, torch.Generator], Any] = lambda c, k, kept, g: torch.randn(
        c.shape, generator=g, dtype=c.dtype, device=c.device
    ),
    told: Callable[[Tensor, Tensor], Tensor] = lambda c, x: c,
    taken: Callable[[list[Tensor]], Tensor] = lambda way: way[-1],
    joined: Callable[[list[Tensor]], Any] = torch.stack,
) -> Callable[..., Any]:
    """`draw_answers` with one thing changed."""

    def answer(
        network: Callable[..., Tensor],
        condition: Tensor,
        count: int,
        times: list[int],
        alpha_bars: Tensor,
        step: Callable[..., Tensor],
        generator: torch.Generator,
    ) -> Any:
        made: list[Tensor] = []
        kept = torch.randn(condition.shape, generator=torch.Generator().manual_seed(0), dtype=condition.dtype)
        for k in rounds(count):
            draw = drawing(generator)
            begin = start(condition, k, kept, draw)
            way = sample(lambda x, t: network(x, t, told(condition, x)), begin, times, alpha_bars, step, draw)
            made.append(taken(way))
        return joined(made)

    return answer
