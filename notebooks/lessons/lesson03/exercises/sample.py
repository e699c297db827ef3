"""Lesson 03: the sampling loop, the same for every sampler."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds.probing import Said
from gantrans.teaching.exercises.kinds.step import kind_of
from gantrans.teaching.exercises.words import end_of
from lessons.lesson03.exercises._sampling import Noted, ToyPredict, toy_step
from lessons.lesson03.exercises._sampling_loop import loop_with
from lessons.lesson03.exercises._sampling_slips import SLIPS

ex = Exercise(
    id="sample",
    lesson="03",
    title="The sampling loop",
    kind="sampling loop",
    difficulty=3,
    minutes=15,
    patience=300.0,
    draws=10,
    spec=r"""
    Write the loop that turns noise into images. It is the same for DDPM, DDIM and DPM-Solver++; only the
    function `step` differs. `x` is the start, pure noise `(B, ...)`. For each time `now` of the falling list
    `times`:

    1. Ask the network for the image: `x0 = predict(x, t)`, where `t` holds `now` once per image, `(B,)`
       int64.
    2. Draw fresh noise, once in every step, also in the last one, so that the checker compares with the same
       draws: `torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)`.
    3. Go on with `x = step(x, x0, noise, bar, bar_next, before)`.

    `bar` is the alpha-bar of `now`, and `bar_next` that of the next time in the list, both plain floats.
    After the last time comes the clean image, so `bar_next` is 1.0 there. `before` is the pair `(x0, bar)` of
    the step before, and `None` in the first step. Return a list of the start and of the result of every
    step, `len(times) + 1` tensors. Nothing is trained here, so they carry no graph. Everything stays on the
    device of `x`. Leave the `x` and the `times` you were given as they are.
    """,
    hints=(
        "Write down the steps for `times = [9, 6, 2]` by hand: which two alpha-bars does each step need?",
        "`bars = [*(float(alpha_bars[now]) for now in times), 1.0]` holds them all; step i goes from "
        "`bars[i]` to `bars[i + 1]`. Work inside `with torch.no_grad():`.",
        "`t = torch.full((len(x),), now, device=x.device)`; and `before = x0, bar` comes after the step, so "
        "that the next one finds it.",
    ),
    source="Ho, Jain, Abbeel 2020, algorithm 2; Song, Meng, Ermon 2021, sec. 4.2 (any list of times); Lu et "
    "al. 2022, algorithm 2 (what is kept of the step before).",
    equivalent={"value.detach()": "inside `no_grad` nothing carries a graph"},
)


@ex.reference
def sample(
    predict: Callable[..., Tensor],
    x: Tensor,
    times: list[int],
    alpha_bars: Tensor,
    step: Callable[..., Tensor],
    generator: torch.Generator,
) -> list[Tensor]:
    """Noise x (B, ...), falling times, alpha_bars (T,) float64 -> x and what follows, len(times) + 1."""
    path, before = [x], None
    bars = [*(float(alpha_bars[now]) for now in times), 1.0]  # after the last time comes the clean image
    with torch.no_grad():
        for i, now in enumerate(times):
            x0 = predict(x, torch.full((len(x),), now, device=x.device))
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            x = step(x, x0, noise, bars[i], bars[i + 1], before)
            before = x0, bars[i]
            path.append(x)
    return path


@ex.probe
def _(
    answer: Callable[..., Any],
    predict: Callable[..., Tensor],
    x: Tensor,
    times: list[int],
    alpha_bars: Tensor,
    step: Callable[..., Tensor],
    generator: torch.Generator,
) -> dict[str, Any]:
    """What comes back, and what `predict` and `step` were called with, in the order of the loop."""
    notes, steps = Noted(predict, step), len(times)
    returned = answer(notes.ask, x, times, alpha_bars, notes.go, generator)
    if returned is ...:
        raise NotImplementedError
    images = returned if isinstance(returned, (list, tuple)) else []
    if any(isinstance(image, Tensor) and image.device != x.device for image in images):
        raise RuntimeError("The images must be on the same device as `x`.")
    ending = end_of(returned) if returned is not None else ""
    kind = kind_of(returned) + (ending[:-1] if ending != "." else "")
    seen: dict[str, Any] = {"what is returned": Said(kind), **notes.told(steps)}
    return seen | {"the images": [v.detach().clone() if isinstance(v, Tensor) else v for v in images]}


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@ex.edges
def _() -> list[Args]:
    bars = torch.cumprod(torch.linspace(0.98, 0.7, 10, dtype=torch.float64), 0)
    silent = bars - bars[-1]  # nothing is left of the image at the last timestep
    points = torch.tensor([[1.0, -2.0], [0.5, 0.25]])
    images = torch.linspace(-2, 2, 12).view(2, 1, 2, 3)
    return [
        (ToyPredict(0.8), points, [9, 6, 2], bars, toy_step, _seeded(1)),
        (ToyPredict(0.8), points, [9, 6, 2], bars, toy_step, _seeded(2)),
        (ToyPredict(0.8), points, [8, 5, 3, 0], bars, toy_step, _seeded(3)),
        (ToyPredict(0.8), points[:1], [9, 4], bars, toy_step, _seeded(4)),  # one sample
        (ToyPredict(0.8), points, [9], bars, toy_step, _seeded(5)),  # one step
        (ToyPredict(0.8), points, list(range(9, -1, -1)), bars, toy_step, _seeded(6)),
        (ToyPredict(0.8), points, [9, 7, 4, 1], silent, toy_step, _seeded(7)),
        (ToyPredict(0.5), images, [9, 8, 3, 2], bars, toy_step, _seeded(8)),
        (ToyPredict(0.5), images.double(), [7, 3, 1], bars, toy_step, _seeded(9)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    steps = case.integer(12, 60)
    bars = torch.cumprod(1 - 0.2 * torch.rand(steps, generator=case.generator, dtype=torch.float64), 0)
    chosen = torch.randperm(steps - 1, generator=case.generator)[: case.integer(1, 5)].tolist()
    times = [steps - 1, *sorted(chosen, reverse=True)]
    # fewer than 16 numbers: there PyTorch draws the same noise in float32 and float64, to rounding
    shape = case.choice(((case.integer(2, 4), 3), (case.integer(1, 2), 1, 2, 3)))
    return ToyPredict(0.7), case.randn(*shape), times, bars, toy_step, _seeded(100 + case.seed)


for slip in SLIPS:
    ex.wrong(*slip)


@ex.right
def _(
    predict: Any, x: Tensor, times: list[int], alpha_bars: Tensor, step: Any, generator: torch.Generator
) -> list[Tensor]:
    """Two neighbours at a time, and the image detached where it is made."""
    path, before = [x.clone()], None
    for now, later in zip(times, [*times[1:], -1], strict=True):
        t = torch.tensor([now] * x.shape[0], device=x.device)
        x0 = predict(x, t).detach()
        bar = float(alpha_bars[now])
        bar_next = float(alpha_bars[later]) if later >= 0 else 1
        noise = torch.empty(x.shape, dtype=x.dtype, device=x.device).normal_(generator=generator)
        x = step(x, x0, noise, bar=bar, bar_next=bar_next, before=before)
        before = (x0, bar)
        path += [x]
    return path


@ex.right
@torch.no_grad()
def _(
    predict: Any, x: Tensor, times: list[int], alpha_bars: Tensor, step: Any, generator: torch.Generator
) -> list[Tensor]:
    """By position; all noise drawn first, all times made first."""
    n, path, images = len(times), [x], list[Tensor]()
    noises = [torch.randn(*x.shape, generator=generator, device=x.device, dtype=x.dtype) for _ in range(n)]
    asked = torch.as_tensor(times, device=x.device)[:, None].repeat(1, len(x))
    for i in range(n):
        images.append(predict(path[i], asked[i]))
        bar_next = 1.0 if i == n - 1 else alpha_bars[times[i + 1]].item()
        before = [images[i - 1], alpha_bars[times[i - 1]].item()] if i else None
        path.append(step(path[i], images[i], noises[i], alpha_bars[times[i]].item(), bar_next, before))
    return path


@ex.right
def _(
    predict: Any, x: Tensor, times: list[int], alpha_bars: Tensor, step: Any, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """By recursion, a step a call."""

    def onward(x: Tensor, i: int, before: Any) -> tuple[Tensor, ...]:
        if i == len(times):
            return (x,)
        noise = torch.randn(x.size(), generator=generator, device=x.device, dtype=x.dtype)
        bars = [alpha_bars[t].item() for t in times[i : i + 2]] + [1.0]
        x0 = predict(x, x.new_full((x.size(0),), times[i], dtype=torch.long))
        return x, *onward(step(x, x0, noise, bars[0], bars[1], before), i + 1, (x0, bars[0]))

    with torch.no_grad():
        return onward(x, 0, None)


@ex.right
def _(
    predict: Any, x: Tensor, times: list[int], alpha_bars: Tensor, step: Any, generator: torch.Generator
) -> list[Tensor]:
    """NumPy's alpha-bars, and everything detached at the end of a step."""
    left, table, path = list(times), alpha_bars.cpu().numpy(), [x]
    before: Any = None
    while left:
        now = left.pop(0)
        x0 = predict(path[-1], now * torch.ones(len(x), dtype=torch.int64, device=x.device))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        ends = table[now], table[left[0]] if left else 1.0
        path.append(step(path[-1], x0, noise, *ends, before).detach())
        before = x0.detach(), ends[0]
    return path


@ex.right
def _(
    predict: Any, x: Tensor, times: list[int], alpha_bars: Tensor, step: Any, generator: torch.Generator
) -> list[Tensor]:
    from itertools import pairwise

    before, path = None, []
    with torch.inference_mode():
        for now, (bar, bar_next) in zip(times, pairwise([*(alpha_bars[t].item() for t in times), 1.0])):  # noqa: B905
            path.append(x)
            x0 = predict(x_t=x, t=torch.full_like(x.flatten(1)[:, 0], now, dtype=torch.int64))
            noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            x = step(x=x, x0=x0, noise=noise, bar=bar, bar_next=bar_next, before=before)
            before = x0, bar
    return [*path, x]


ex.breach("It is the same for DDPM", "never_before")
ex.breach("`x` is the start", "start_drawn")
ex.breach("For each time `now` of the falling list", "every_time")
ex.breach("For each time `now` of the falling list", "rising")
ex.breach("Ask the network for the image", "asked_about_the_start")
ex.breach("`x0 = predict(x, t)`, where `t` holds `now`", "t_counts_steps")
ex.breach("once per image", "one_t")
ex.breach("`(B,)` int64", "t_float")
ex.breach("Draw fresh noise", "noise_once")
ex.breach("once in every step", "noise_twice")
ex.breach("also in the last one", "no_noise_at_the_end")
ex.breach("compares with the same draws", "uniform_noise")
ex.breach("generator=generator", "global_random")
ex.breach(
    "device=x.device", loop_with(noise_like=lambda x, g: torch.randn(x.shape, generator=g, dtype=x.dtype))
)
ex.breach("dtype=x.dtype", "float32_noise")
ex.breach("`x = step(x, x0, noise, bar, bar_next, before)`", "images_exchanged")
ex.breach("`bar` is the alpha-bar of `now`", "bars_exchanged")
ex.breach("the next time in the list", "neighbour")
ex.breach("both plain floats", "bars_as_tensors")
ex.breach("After the last time comes the clean image", "ends_at_time_0")
ex.breach("`before` is the pair", "before_without_bar")
ex.breach("of the step before", "before_too_old")
ex.breach("`None` in the first step", "before_at_the_start")
ex.breach("Return a list", "stacked")
ex.breach("of the start and of the result of every step", "no_start")
ex.breach("they carry no graph", "graph")
ex.breach("Everything stays on the device", loop_with(t=lambda x, now: torch.full((len(x),), now)))
ex.breach("Everything stays on the device", loop_with(report=lambda path, steps: [x.cpu() for x in path]))
ex.breach("Leave the `x` and the `times` you were given", "in_place")
ex.breach("Leave the `x` and the `times` you were given", "times_used_up")
ex.background("Write the loop that turns noise into images")
