"""Euler's walk with one thing changed: most wrong answers of `euler_sample` are made of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor


def _full(x: Tensor, now: float) -> Any:
    return torch.full((len(x),), now, device=x.device)


def walk_with(
    *,
    time: Callable[[int, int], float] = lambda i, steps: 1 - i / steps,
    t: Callable[[Tensor, float], Any] = _full,
    length: Callable[[int, int], float] = lambda i, steps: 1 / steps,
    order: Callable[[int], list[int]] = lambda steps: list(range(steps)),
    seen: Callable[[Tensor, Tensor], Tensor] = lambda x, start: x,
    go: Callable[[Tensor, Tensor, float], Tensor] = lambda x, v, h: x - h * v,
    begin: Callable[[Tensor], Tensor] = lambda x: x,
    fewer: int = 0,
    report: Callable[[list[Tensor], list[Tensor]], Any] = lambda path, asked: path,
    mode: Callable[[], AbstractContextManager[Any]] = torch.no_grad,
) -> Callable[..., Any]:
    """A walk along a field with one thing changed.

    Args:
        time, length: number of the step and of all steps -> the time that is asked for; the step's length.
        seen: x and the start -> where the field is asked.
        fewer: how many of the last steps are left out.
        report: all places and all velocities -> what is returned.
    """

    def walk(velocity: Callable[..., Tensor], x: Tensor, steps: int) -> Any:
        start = x
        x = begin(x)
        path, asked = [x], list[Tensor]()
        with mode():
            for i in order(steps)[: steps - fewer]:
                asked.append(velocity(seen(x, start), t(x, time(i, steps))))
                x = go(x, asked[-1], length(i, steps))
                path.append(x)
        return report(path, asked)

    return walk
