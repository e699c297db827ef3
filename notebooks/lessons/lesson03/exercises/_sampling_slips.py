"""The sampling loop with one thing changed, and the slips that are made so."""

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
    noise_like: Callable[[Tensor, torch.Generator], Tensor] = lambda x, generator: torch.randn(
        x.shape, generator=generator, device=x.device, dtype=x.dtype
    ),
    generated: Callable[[torch.Generator], Any] = lambda generator: generator,
    before: Callable[[list[Step]], Any] = _of_the_step_before,
    start: Callable[[Tensor, torch.Generator], Tensor] = lambda x, generator: x,
    go: Callable[..., Tensor] = lambda step, *given: step(*given),
    report: Callable[[list[Tensor], list[Step]], Any] = lambda path, steps: path,
    mode: Callable[[], AbstractContextManager[Any]] = torch.no_grad,
) -> Callable[..., Any]:
    """A sampling loop with one thing changed.

    Args:
        bar_next: position, times and alpha-bars -> the alpha-bar to go to.
        noises: position, a function that draws, and whether it is the last step -> the noise.
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
            for i, now in enumerate(times):
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


def _drawn(x: Tensor, state: Tensor) -> Tensor:
    again = torch.Generator()
    again.set_state(state)
    return torch.randn(x.shape, generator=again, device=x.device, dtype=x.dtype)


def _one_for_all(x: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(x.shape[1:], generator=generator, device=x.device, dtype=x.dtype)
    return noise.expand(x.shape)


SLIPS: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    (
        "neighbour",
        "You go to the alpha-bar of timestep now - 1. The network is asked next at the next time *in the "
        "list*, so that is where the step has to end.",
        loop_with(bar_next=lambda i, times, bars: bars[times[i] - 1].item() if times[i] else 1.0),
    ),
    (
        "ends_at_time_0",
        "You end at the alpha-bar of timestep 0, which still has a little noise; the clean image has 1.0.",
        loop_with(bar_next=lambda i, times, bars: bars[times[i + 1] if i + 1 < len(times) else 0].item()),
    ),
    (
        "ends_where_it_was",
        "You give the last step its own alpha-bar as the next one: it goes nowhere, and its noise stays.",
        loop_with(bar_next=lambda i, times, bars: bars[times[min(i + 1, len(times) - 1)]].item()),
    ),
    (
        "ends_in_noise",
        "You let the last step go to an alpha-bar of 0, which is pure noise; the clean image has 1.0.",
        loop_with(bar_next=lambda i, times, bars: bars[times[i + 1]].item() if i + 1 < len(times) else 0.0),
    ),
    (
        "wraps_round",
        "You take `times[i - 1]` or `times[(i + 1) % n]`, which wraps round: the last step goes back to the "
        "noise of the first time.",
        loop_with(bar_next=lambda i, times, bars: bars[times[(i + 1) % len(times)]].item()),
    ),
    (
        "noise_once",
        "You draw the noise once, before the loop, and use it in every step: the noises of all steps then "
        "add up instead of averaging out.",
        loop_with(
            generated=lambda generator: generator.get_state(), noise_like=lambda x, state: _drawn(x, state)
        ),
    ),
    (
        "noise_twice",
        "You draw twice in a step; one draw is wanted, or the same generator gives other images.",
        loop_with(noises=lambda i, draw, last: (draw(), draw())[1]),
    ),
    (
        "no_noise_at_the_end",
        "You give the last step no noise. A step that ends at 1.0 ignores it by itself; the loop draws in "
        "every step.",
        loop_with(noises=lambda i, draw, last: torch.zeros_like(draw()) if last else draw()),
    ),
    (
        "last_not_drawn",
        "You do not draw in the last step: the generator is then left one draw behind.",
        loop_with(noises=lambda i, draw, last: None if last else draw()),
    ),
    (
        "before_is_now",
        "You give a step its own `x0` and `bar` as those of the step before: set `before` after the step.",
        loop_with(before=lambda steps: steps[-1][1:3]),
    ),
    (
        "before_at_the_start",
        "You give the first step a step before; there is none, which `None` says.",
        loop_with(before=lambda steps: steps[max(0, len(steps) - 2)][1:3]),
    ),
    (
        "before_too_old",
        "You give the step what was two steps ago: `before` is one round behind.",
        loop_with(before=lambda steps: steps[-3][1:3] if len(steps) > 2 else None),
    ),
    (
        "before_stays",
        "You set `before` once and never again: every later step is told of the first.",
        loop_with(before=lambda steps: steps[0][1:3] if len(steps) > 1 else None),
    ),
    (
        "before_without_bar",
        "You keep only the image of the step before; its alpha-bar belongs to it.",
        loop_with(before=lambda steps: steps[-2][1] if len(steps) > 1 else None),
    ),
    (
        "before_with_x",
        "You keep the noisy x of the step before; the predicted image `x0` is wanted.",
        loop_with(before=lambda steps: (steps[-2][0], steps[-2][2]) if len(steps) > 1 else None),
    ),
    (
        "before_with_next_bar",
        "You keep the alpha-bar that the step before went to; its image was predicted where it came from.",
        loop_with(before=lambda steps: (steps[-2][1], steps[-2][3]) if len(steps) > 1 else None),
    ),
    (
        "before_turned",
        "You have the pair the wrong way round; it is `(x0, bar)`.",
        loop_with(before=lambda steps: (steps[-2][2], steps[-2][1]) if len(steps) > 1 else None),
    ),
    (
        "never_before",
        "You never tell a step of the one before; DPM-Solver++ then is DDIM.",
        loop_with(before=lambda steps: None),
    ),
    (
        "graph",
        "You let autograd record everything: the graph of all calls of the network stays in memory.",
        loop_with(mode=torch.enable_grad),
    ),
    (
        "t_float",
        "You make t of floats; timesteps are int64.",
        loop_with(t=lambda x, now: torch.full((len(x),), float(now), device=x.device)),
    ),
    (
        "t_number",
        "You give the time as a number; the network takes one per image.",
        loop_with(t=lambda x, now: now),
    ),
    (
        "one_t",
        "You make t of a single entry; the network takes one per image.",
        loop_with(t=lambda x, now: torch.full((1,), now, device=x.device)),
    ),
    (
        "t_of_no_axis",
        "You make t a tensor without an axis; the network takes one time per image.",
        loop_with(t=lambda x, now: torch.tensor(now, device=x.device)),
    ),
    (
        "t_like_x",
        "You make t as large as x; the network takes one time per image, `(B,)`.",
        loop_with(t=lambda x, now: torch.full(x.shape, now, device=x.device)),
    ),
    (
        "t_counts_steps",
        "You give the network the number of the step; it was trained with timesteps.",
        loop_with(t=lambda x, now: now, shown=lambda i, times: i),
    ),
    (
        "asked_at_the_next_time",
        "You ask the network at the time the step goes to; `x` still has the noise of `now`.",
        loop_with(shown=lambda i, times: times[i + 1] if i + 1 < len(times) else 0),
    ),
    (
        "asked_about_the_start",
        "You ask the network about the start in every step; it has to see what the steps have made of it.",
        loop_with(seen_by_network=lambda x, start: start),
    ),
    (
        "rising",
        "You go through the times from the clean end; sampling begins with the noisiest.",
        loop_with(visited=lambda times, steps: times[::-1]),
    ),
    (
        "every_time",
        "You go through all timesteps; `times` says which ones are asked.",
        loop_with(visited=lambda times, steps: list(reversed(range(steps)))),
    ),
    (
        "one_step_short",
        "You leave the last step out: it goes from the last time to the clean image.",
        loop_with(visited=lambda times, steps: times[:-1]),
    ),
    ("only_the_last", "You return the last result only.", loop_with(report=lambda path, steps: path[-1])),
    ("no_start", "You leave the start out of the list.", loop_with(report=lambda path, steps: path[1:])),
    (
        "no_end",
        "You store `x` before each step only: the result is missing.",
        loop_with(report=lambda p, s: p[:-1]),
    ),
    (
        "predictions",
        "You return the predicted images; the x between the steps are wanted.",
        loop_with(report=lambda path, steps: [path[0], *(row[1] for row in steps)]),
    ),
    (
        "backwards",
        "You return the list from the end; the start comes first.",
        loop_with(report=lambda p, s: p[::-1]),
    ),
    (
        "stacked",
        "You stack everything into one tensor; a list is wanted.",
        loop_with(report=lambda p, s: torch.stack(p)),
    ),
    ("nothing", "You forget to return the list.", loop_with(report=lambda path, steps: None)),
    (
        "global_random",
        "You draw without `generator`: nobody could repeat your samples.",
        loop_with(generated=lambda generator: None),
    ),
    (
        "own_generator",
        "You draw with a generator of your own; the one you are given goes unused.",
        loop_with(generated=lambda generator: torch.Generator().manual_seed(0)),
    ),
    (
        "start_drawn",
        "You draw a start of your own; `x` is the start.",
        loop_with(start=lambda x, g: torch.randn(x.shape, generator=g, device=x.device, dtype=x.dtype)),
    ),
    (
        "float32_noise",
        "You draw float32 noise whatever `x` is: with a float64 `x` the draws are others.",
        loop_with(noise_like=lambda x, g: torch.randn(x.shape, generator=g, device=x.device)),
    ),
    (
        "one_noise_for_all",
        "You draw one noise for the whole batch; each image has its own.",
        loop_with(noise_like=lambda x, g: _one_for_all(x, g)),
    ),
    (
        "uniform_noise",
        "You draw uniform noise; it has to be normal.",
        loop_with(noise_like=lambda x, g: torch.rand(x.shape, generator=g, device=x.device, dtype=x.dtype)),
    ),
    (
        "bars_as_tensors",
        "You give alpha-bars as tensors; a step computes with plain floats.",
        loop_with(number=lambda bar: bar),
    ),
    (
        "bars_in_float32",
        "You take the alpha-bars through float32, and half of their digits are lost.",
        loop_with(number=lambda bar: bar.float().item()),
    ),
    (
        "roots",
        "You give the roots of the alpha-bars; the step takes them itself.",
        loop_with(number=lambda bar: bar.sqrt().item()),
    ),
    (
        "bars_exchanged",
        "You have `bar` and `bar_next` the wrong way round.",
        loop_with(go=lambda step, x, x0, noise, bar, later, before: step(x, x0, noise, later, bar, before)),
    ),
    (
        "images_exchanged",
        "You give `x0` and `x` to the step the wrong way round.",
        loop_with(go=lambda step, x, x0, noise, bar, later, before: step(x0, x, noise, bar, later, before)),
    ),
    (
        "clipped",
        "You clip what a step returns; only a predicted image stays in [-1, 1], and it is clipped already.",
        loop_with(go=lambda step, *given: step(*given).clamp(-1, 1)),
    ),
    (
        "in_place",
        "You write each result into the `x` you were given, so that all entries are the same.",
        loop_with(go=lambda step, *given: given[0].copy_(step(*given))),
    ),
)
"""Name, misconception and answer of each."""
