"""The sampling loop with one thing changed: most wrong answers are made of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

Step = tuple[Tensor, Tensor, float, float]
"""x, x0, bar and bar_next of one step."""


def _next_in_list(i: int, times: list[int], bars: Tensor) -> Any:
    return bars[times[i + 1]].item() if i + 1 < len(times) else 1.0


def _of_the_step_before(steps: list[Step]) -> Any:
    return (steps[-2][1], steps[-2][2]) if len(steps) > 1 else None


def _every_time(i: int, draw: Callable[[], Tensor], last: bool) -> Tensor:
    return draw()


def loop_with(
    *,
    visited: Callable[[list[int], int], list[int]] = lambda times, steps: times,
    shown: Callable[[int, list[int]], int] = lambda i, times: times[i],
    t: Callable[[Tensor, int], Any] = lambda x, now: torch.full((len(x),), now, device=x.device),
    seen_by_network: Callable[[Tensor, Tensor], Tensor] = lambda x, start: x,
    number: Callable[[Tensor], Any] = lambda bar: bar.item(),
    bar_next: Callable[[int, list[int], Tensor], Any] = _next_in_list,
    noises: Callable[[int, Callable[[], Tensor], bool], Any] = _every_time,
    noise_like: Callable[[Tensor, Any], Tensor] = lambda x, generator: torch.randn(
        x.shape, generator=generator, device=x.device, dtype=x.dtype
    ),
    generated: Callable[[torch.Generator], Any] = lambda generator: generator,
    before: Callable[[list[Step]], Any] = _of_the_step_before,
    start: Callable[[Tensor, torch.Generator], Tensor] = lambda x, generator: x,
    go: Callable[..., Tensor] = lambda step, *given: step(*given),
    report: Callable[[list[Tensor], list[Step]], Any] = lambda path, steps: path,
    mode: Callable[[], AbstractContextManager[Any]] = torch.no_grad,
    fewer: int = 0,
) -> Callable[..., Any]:
    """A sampling loop with one thing changed.

    Args:
        bar_next: position, times and alpha-bars -> the alpha-bar to go to.
        noises: position, a function that draws, and whether it is the last step -> the noise.
        fewer: how many of the last steps are left out.
        before: all steps so far, this one included -> what the step is told of the one before.
    """

    def loop(
        predict: Callable[..., Tensor],
        x: Tensor,
        times: list[int],
        alpha_bars: Tensor,
        step: Callable[..., Tensor],
        generator: torch.Generator,
    ) -> Any:
        times, own, first = visited(list(times), len(alpha_bars)), generated(generator), x
        x = start(x, generator)
        path, steps = [x], list[Step]()
        with mode():
            for i, now in enumerate(times[: len(times) - fewer]):
                x0 = predict(seen_by_network(x, first), t(x, shown(i, times)))
                like = x
                noise = noises(i, lambda: noise_like(like, own), i + 1 == len(times))  # noqa: B023
                following = torch.tensor(bar_next(i, times, alpha_bars), dtype=torch.float64)
                bar, later = number(alpha_bars[now]), number(following)
                steps.append((x, x0, bar, later))
                x = go(step, x, x0, noise, bar, later, before(steps))
                path.append(x)
        return report(path, steps)

    return loop
