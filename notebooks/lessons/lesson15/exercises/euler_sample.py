"""Lesson 15: from noise to samples along a field, by Euler's steps."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds.probing import Said
from gantrans.teaching.exercises.kinds.step import kind_of
from lessons.lesson15.exercises._fields import swirl
from lessons.lesson15.exercises._walks import walk_with

ex = Exercise(
    id="euler_sample",
    lesson="15",
    title="Euler's walk along a field",
    kind="sampling loop",
    difficulty=2,
    minutes=10,
    patience=300.0,
    spec=r"""
    Walk from the noise `x` `(B, ...)` at time 1 down to the samples at time 0, in `steps` steps of equal
    length `1 / steps`. Step number $i = 0, 1, \ldots$ begins at time $1 - i$ / `steps`. Ask the field at the
    place where you are, `velocity(x, t)`, with `t` as `(B,)` float, the time at which the step *begins*. The
    velocity says where $x$ goes as time rises, so go *against* it, straight, for the length of the step.
    Return a list of the start and of the place after every step, `steps + 1` tensors. Nothing is trained
    here, so they carry no graph. Everything stays on the device of `x`, and the `x` you were given stays as
    it is.
    """,
    hints=(
        "Which times are asked for with 4 steps? 1, 0.75, 0.5 and 0.25, but not 0.",
        "`t = torch.full((len(x),), 1 - i / steps, device=x.device)`; work inside `with torch.no_grad():`.",
        "`x = x - velocity(x, t) / steps` makes a new tensor; `x -= ...` would change the one in the list.",
    ),
    source="Euler 1768; Lipman et al. 2023, sec. 6 (solvers of few steps).",
    equivalent={
        "value.detach()": "inside `no_grad` nothing carries a graph",
        "6.12 value.double()": "a time may be of any floating type",
        "6.12 value.float()": "times are float32 already",
    },
)


@ex.reference
def euler_sample(velocity: Callable[..., Tensor], x: Tensor, steps: int) -> list[Tensor]:
    """velocity(x, t (B,)), noise x (B, ...), number of steps -> the start and what follows, steps + 1."""
    path = [x]
    with torch.no_grad():
        for i in range(steps):
            t = torch.full((len(x),), 1 - i / steps, device=x.device)
            x = x - velocity(x, t) / steps
            path.append(x)
    return path


@ex.probe
def _(answer: Callable[..., Any], velocity: Callable[..., Tensor], x: Tensor, steps: int) -> dict[str, Any]:
    """What comes back, and what the field was asked, in the order of the loop."""
    asked: list[tuple[Any, Any]] = []

    def noted(x: Tensor, t: Tensor) -> Tensor:
        asked.append((x.detach().clone(), t.detach().clone() if isinstance(t, Tensor) else t))
        return velocity(x, t)

    kept = x.clone()
    returned = answer(noted, kept, steps)
    if returned is ...:
        raise NotImplementedError
    places = returned if isinstance(returned, (list, tuple)) else []
    if any(isinstance(place, Tensor) and place.device != x.device for place in places):
        raise RuntimeError("The samples must be on the same device as `x`.")
    seen: dict[str, Any] = {"what is returned": Said(kind_of(returned))}
    seen["calls of `velocity`"] = len(asked)
    for i in range(steps):
        given = asked[i] if i < len(asked) else (Said("not called"),) * 2
        seen[f"`t` in step {i}"] = _time(given[1])
        seen[f"`x` in step {i}"] = _plain(given[0])
    seen["`x` after the call"] = kept.detach()
    kinds = {v.dtype for v in places if isinstance(v, Tensor)}
    seen["the type of the places"] = Said(
        "that of `x`" if kinds == {x.dtype} else ", ".join(sorted(map(str, kinds))) or "none"
    )
    return seen | {"the places": [_plain(v) for v in places]}


def _plain(place: Any) -> Any:
    """A place as it is compared: times are float32, so float64 places agree to float32 only."""
    return place.detach().float().clone() if isinstance(place, Tensor) else place


def _time(t: Any) -> Any:
    """A time as it is compared: of any floating type, to five places."""
    if not isinstance(t, Tensor):
        return Said(f"no tensor, but {type(t).__name__}")
    return (t.double() * 1e5).round() / 1e5 if t.is_floating_point() else t


@ex.edges
def _() -> list[Args]:
    points = torch.tensor([[1.0, -2.0], [0.5, 0.25]])
    images = torch.linspace(-2, 2, 12).view(2, 1, 2, 3)
    return [
        (swirl, points, 4),
        (swirl, points, 1),
        (swirl, points[:1], 2),
        (swirl, points, 3),
        (swirl, images, 5),
        (swirl, images.double(), 2),
        (swirl, 30 * points, 8),
        (swirl, torch.linspace(-1, 2, 6).view(2, 3).T, 3),  # not contiguous
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = case.choice(((case.batch, 2), (case.batch, 1, case.height, case.width)))
    return swirl, case.randn(*shape), case.integer(1, 9)


for name, misconception, answer in (
    (
        "wrong_end",
        "You let the time rise from 0; noise is at time 1, and sampling goes down to 0.",
        walk_with(time=lambda i, steps: i / steps),
    ),
    (
        "at_the_end_of_the_step",
        "You ask at the time where the step ends; Euler's step uses the velocity at its beginning.",
        walk_with(time=lambda i, steps: 1 - (i + 1) / steps),
    ),
    (
        "at_the_middle",
        "You ask at the middle of the step's time, at a place that belongs to its beginning.",
        walk_with(time=lambda i, steps: 1 - (i + 0.5) / steps),
    ),
    (
        "ends_counted",
        "You spread the times from 1 to 0 with both ends: the last step would begin where the walk ends.",
        walk_with(time=lambda i, steps: 1 - i / max(1, steps - 1)),
    ),
    (
        "number_of_the_step",
        "You give the number of the step as the time; the time runs from 0 to 1.",
        walk_with(time=lambda i, steps: float(i)),
    ),
    (
        "in_timesteps",
        "You give timesteps up to 1000; the time runs from 0 to 1.",
        walk_with(time=lambda i, steps: 1000 * (1 - i / steps)),
    ),
    ("always_1", "You ask at time 1 in every step.", walk_with(time=lambda i, steps: 1.0)),
    (
        "asked_about_the_start",
        "You ask about the start in every step; the field differs where you have come to.",
        walk_with(seen=lambda x, start: start),
    ),
    (
        "whole_steps",
        "You go the whole way in every step; the velocity is for the time from 0 to 1.",
        walk_with(length=lambda i, steps: 1.0),
    ),
    (
        "steps_for_one_more",
        "You divide by steps + 1: the walk ends before time 0.",
        walk_with(length=lambda i, steps: 1 / (steps + 1)),
    ),
    (
        "length_of_the_time",
        "You go as far as the time says: early steps are too short, late ones too long.",
        walk_with(length=lambda i, steps: (i + 1) / steps),
    ),
    (
        "backwards",
        "You add the velocity; it points to where time rises, to the noise, so it is subtracted.",
        walk_with(go=lambda x, v, h: x + h * v),
    ),
    (
        "falling",
        "You go through the steps from the last to the first.",
        walk_with(order=lambda steps: list(reversed(range(steps)))),
    ),
    ("one_step_short", "You take one step too few.", walk_with(fewer=1)),
    (
        "only_the_velocity",
        "You go to the velocity instead of adding it to where you are.",
        walk_with(go=lambda x, v, h: -h * v),
    ),
    (
        "clipped",
        "You clip each place; noise does leave [-1, 1].",
        walk_with(go=lambda x, v, h: (x - h * v).clamp(-1, 1)),
    ),
    (
        "fresh_noise",
        "You add noise in each step; this walk is an ordinary differential equation, without noise.",
        walk_with(go=lambda x, v, h: x - h * v + 0.1 * h * torch.sin(50 * x)),
    ),
    (
        "t_number",
        "You give the time as a number; the network takes one per sample.",
        walk_with(t=lambda x, now: now),
    ),
    (
        "one_t",
        "You make `t` of a single entry; the network takes one per sample.",
        walk_with(t=lambda x, now: torch.full((1,), now, device=x.device)),
    ),
    (
        "t_like_x",
        "You make `t` as large as `x`; the network takes one time per sample, `(B,)`.",
        walk_with(t=torch.full_like),
    ),
    (
        "whole_times",
        "You make `t` of whole numbers, so all later times become 0.",
        walk_with(t=lambda x, now: torch.full((len(x),), int(now), device=x.device)),
    ),
    (
        "graph",
        "You let autograd record everything: the graph of all calls stays in memory.",
        lambda velocity, x, steps: walk_with(
            mode=torch.enable_grad, begin=lambda x: x.clone().requires_grad_()
        )(velocity, x, steps),
    ),
    (
        "only_the_last",
        "You return the last place only; the whole way is wanted.",
        walk_with(report=lambda path, asked: path[-1]),
    ),
    (
        "no_start",
        "You leave the start out of the list.",
        walk_with(report=lambda path, asked: path[1:]),
    ),
    (
        "no_end",
        "You store the place before each step only: the samples are missing.",
        walk_with(report=lambda path, asked: path[:-1]),
    ),
    (
        "from_the_end",
        "You return the list from the end; the start comes first.",
        walk_with(report=lambda path, asked: path[::-1]),
    ),
    (
        "velocities",
        "You return the velocities; the places are wanted.",
        walk_with(report=lambda path, asked: [path[0], *asked]),
    ),
    (
        "stacked",
        "You stack everything into one tensor; a list is wanted.",
        walk_with(report=lambda path, asked: torch.stack(path)),
    ),
    (
        "in_place",
        "You write each result into the `x` you were given, so that all entries are the same.",
        walk_with(go=lambda x, v, h: x.sub_(h * v)),
    ),
    (
        "one_tensor",
        "All entries of your list are one tensor, which every step writes over.",
        walk_with(begin=torch.clone, go=lambda x, v, h: x.sub_(h * v)),
    ),
    (
        "asked_twice",
        "You ask the field twice in a step, as Heun's method does; one evaluation is enough here.",
        lambda velocity, x, steps: walk_with()(lambda x, t: (velocity(x, t), velocity(x, t))[1], x, steps),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.wrong("no_return", "You forget to return the list.")
def _(velocity: Any, x: Tensor, steps: int) -> None:
    euler_sample(velocity, x, steps)


@ex.right
@torch.no_grad()
def _(velocity: Any, x: Tensor, steps: int) -> list[Tensor]:
    """All times made first."""
    places = [x]
    for now, later in pairwise(torch.linspace(1, 0, steps + 1).tolist()):
        t = x.new_full((x.size(0),), now)
        places.append(places[-1] + (later - now) * velocity(places[-1], t))
    return places


@ex.right
def _(velocity: Any, x: Tensor, steps: int) -> tuple[Tensor, ...]:
    """By recursion, a step a call."""

    def onward(x: Tensor, i: int) -> tuple[Tensor, ...]:
        if i == steps:
            return (x,)
        t = torch.full_like(x.flatten(1)[:, 0], 1 - i / steps)
        return x, *onward(torch.sub(x, velocity(x=x, t=t), alpha=1 / steps), i + 1)

    with torch.no_grad():
        return onward(x, 0)


@ex.right
def _(velocity: Any, x: Tensor, steps: int) -> list[Tensor]:
    """Detached at the end of a step, the time counted up."""
    path, h = [x.detach().clone()], 1 / steps
    for i in range(steps):
        now = torch.ones(x.shape[0], device=x.device) - i * h
        path += [(path[-1] - h * velocity(path[-1], now)).detach()]
    return path


@ex.right
def _(velocity: Any, x: Tensor, steps: int) -> list[Tensor]:
    with torch.inference_mode():
        way = torch.empty(steps + 1, *x.shape, dtype=x.dtype, device=x.device)
        way[0] = x
        for i in range(steps):
            t = torch.tensor([1 - i / steps] * len(x), device=x.device, dtype=torch.float64)
            way[i + 1] = way[i] - velocity(way[i], t) / steps
    return list(way)


ex.breach("Walk from the noise `x`", "wrong_end")
ex.breach("in `steps` steps of equal length", "whole_steps")
ex.breach("in `steps` steps of equal length", "one_step_short")
ex.breach("Step number $i", "at_the_end_of_the_step")
ex.breach("Ask the field at the place where you are", "asked_about_the_start")
ex.breach("with `t` as `(B,)` float", "one_t")
ex.breach("the time at which the step *begins*", "at_the_middle")
ex.breach("so go *against* it", "backwards")
ex.breach("straight, for the length of the step", "asked_twice")
ex.breach("Return a list of the start", "only_the_last")
ex.breach("of the place after every step", "no_end")
ex.breach("they carry no graph", "graph")
ex.breach("Everything stays on the device", walk_with(t=lambda x, now: torch.full((len(x),), now)))
ex.breach("Everything stays on the device", walk_with(report=lambda path, asked: [x.cpu() for x in path]))
ex.breach("the `x` you were given stays", "in_place")
