"""Lesson 14: several answers to each input, one after another."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds.probing import Said
from lessons.lesson03.exercises._sampling import toy_step
from lessons.lesson03.exercises.sample import sample
from lessons.lesson14.exercises._answers import ToyAnswer, answers_with, seeded

ex = Exercise(
    id="draw_answers",
    lesson="14",
    title="Many answers to one input",
    kind="loop",
    difficulty=2,
    minutes=10,
    patience=600.0,
    draws=8,
    spec=r"""
    Ask the same inputs several times. `condition` holds B inputs, `(B, ...)`, and an answer looks like its
    input. `count` times, one after another:

    1. Draw a start of its own from `generator`, standard normal, in shape, type and device of `condition`.
    2. Let `sample` of lesson 03 turn it into an answer, with `times`, `alpha_bars`, `step` and `generator`.
       It asks a function of `x` and `t`, and the network needs the condition as well:
       `network(x, t, condition)`. So hand `sample` a function that passes the condition on. The answer is the
       last of the tensors that `sample` gives.

    Return all answers in one tensor, `(count, B, ...)`: answer first, then input. Leave `condition` as it is.
    """,
    hints=(
        "`sample(f, start, times, alpha_bars, step, generator)` calls `f(x, t)`. Which function `f` calls "
        "`network` with three things?",
        "`lambda x, t: network(x, t, condition)` remembers the condition.",
        "In a loop of `count`: `start = torch.randn(condition.shape, generator=generator, "
        "dtype=condition.dtype, device=condition.device)`, then `made.append(sample(...)[-1])`; at the end "
        "`torch.stack(made)`.",
    ),
    source="Saharia et al. 2022 (Palette), sec. 4: several outputs for one input; the loop is lesson 03's.",
    equivalent={"value.detach()": "`sample` gives tensors without a graph"},
)


@ex.reference
def draw_answers(
    network: Callable[..., Tensor],
    condition: Tensor,
    count: int,
    times: list[int],
    alpha_bars: Tensor,
    step: Callable[..., Tensor],
    generator: torch.Generator,
) -> Tensor:
    """network(x, t, condition) -> image; condition (B, ...), falling times -> answers (count, B, ...)."""
    made = []
    for _ in range(count):
        start = torch.randn(
            condition.shape, generator=generator, dtype=condition.dtype, device=condition.device
        )
        way = sample(lambda x, t: network(x, t, condition), start, times, alpha_bars, step, generator)
        made.append(way[-1])
    return torch.stack(made)


@ex.probe
def _(
    answer: Callable[..., Any],
    network: ToyAnswer,
    condition: Tensor,
    count: int,
    times: list[int],
    alpha_bars: Tensor,
    step: Callable[..., Tensor],
    generator: torch.Generator,
) -> dict[str, Any]:
    """What comes back, and how often and with what the network was asked."""
    network.asked.clear()
    made = answer(network, condition, count, times, alpha_bars, step, generator)
    if made is ...:
        raise NotImplementedError
    if isinstance(made, Tensor) and made.device != condition.device:
        raise RuntimeError("The answers must be on the same device as `condition`.")
    said = made.detach() if isinstance(made, Tensor) else Said(f"a {type(made).__name__}, not one tensor")
    shape = tuple(made.shape) if isinstance(made, Tensor) else None
    return {"the shape": shape, "the questions": list(network.asked), "the answers": said}


@ex.edges
def _() -> list[Args]:
    bars = torch.cumprod(torch.linspace(0.98, 0.7, 10, dtype=torch.float64), 0)
    points = torch.tensor([[1.0, -2.0], [0.5, 0.25], [-1.0, 3.0]])
    images = torch.linspace(-2, 2, 12).view(2, 1, 2, 3)
    return [
        (ToyAnswer(0.8), points, 2, [9, 6, 2], bars, toy_step, seeded(1)),
        (ToyAnswer(0.8), points, 3, [9, 6, 2], bars, toy_step, seeded(2)),
        (ToyAnswer(0.8), points, 1, [9, 4], bars, toy_step, seeded(3)),
        (ToyAnswer(0.8), points[:1], 4, [8, 5, 3, 0], bars, toy_step, seeded(4)),
        (ToyAnswer(0.5), images, 3, [9, 1], bars, toy_step, seeded(5)),
        (ToyAnswer(0.5), images.double(), 2, [7, 3, 1], bars, toy_step, seeded(6)),
        (ToyAnswer(0.5), images.mT.contiguous(), 2, [9], bars, toy_step, seeded(7)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    steps = case.integer(12, 40)
    bars = torch.cumprod(1 - 0.2 * torch.rand(steps, generator=case.generator, dtype=torch.float64), 0)
    chosen = torch.randperm(steps - 1, generator=case.generator)[: case.integer(1, 3)].tolist()
    shape = case.choice(((case.integer(2, 3), 3), (case.integer(1, 2), 1, 2, 3)))
    times = [steps - 1, *sorted(chosen, reverse=True)]
    condition = case.randn(*shape)
    return ToyAnswer(0.7), condition, case.integer(1, 4), times, bars, toy_step, seeded(100 + case.seed)


for name, misconception, answer in (
    (
        "one_start_for_all",
        "You draw one start before the loop: every answer should have noise of its own.",
        answers_with(start=lambda c, k, kept, g: kept),
    ),
    (
        "start_is_the_condition",
        "You start at the condition; the start is pure noise, and the condition goes to the network.",
        answers_with(start=lambda c, k, kept, g: c),
    ),
    (
        "uniform",
        "You draw uniform noise; it should be standard normal (`torch.randn`).",
        answers_with(start=lambda c, k, kept, g: torch.rand(c.shape, generator=g, dtype=c.dtype)),
    ),
    (
        "own_generator",
        "You draw the starts without `generator`: equal seeds would give different answers.",
        answers_with(start=lambda c, k, kept, g: torch.randn_like(c)),
    ),
    (
        "condition_forgotten",
        "You ask the network with zeros in the place of the condition.",
        answers_with(told=lambda c, x: torch.zeros_like(c)),
    ),
    (
        "noise_as_condition",
        "You hand the network `x` twice; the second is the condition.",
        answers_with(told=lambda c, x: x),
    ),
    (
        "whole_way",
        "You keep the whole way from noise to image; the answer is its last tensor.",
        answers_with(taken=lambda way: torch.stack(way)),
    ),
    (
        "the_start",
        "You take the first tensor of the way, which is the noise; the answer is the last one.",
        answers_with(taken=lambda way: way[0]),
    ),
    (
        "before_the_last",
        "You stop one step early: the answer is the last tensor of the way.",
        answers_with(taken=lambda way: way[-2]),
    ),
    (
        "averaged",
        "You average the answers: the mean of several right answers need not be one.",
        answers_with(joined=lambda made: torch.stack(made).mean(0)),
    ),
    (
        "concatenated",
        "You join the answers along the inputs' axis; give them an axis of their own, in front.",
        answers_with(joined=lambda made: torch.cat(made)),
    ),
    (
        "input_first",
        "You put the input's axis first; it is answer first, then input.",
        answers_with(joined=lambda made: torch.stack(made, 1)),
    ),
    (
        "a_list",
        "You return a list; one tensor was asked for.",
        answers_with(joined=lambda made: made),
    ),
    (
        "one_too_few",
        "You draw one answer too few.",
        answers_with(rounds=lambda count: range(1, count)),
    ),
    (
        "one_too_many",
        "You draw one answer more than `count`.",
        answers_with(rounds=lambda count: range(count + 1)),
    ),
    (
        "same_noise_again",
        "You begin every answer from the same state of the generator, so they are all the same.",
        answers_with(drawing=lambda g: torch.Generator().set_state(g.get_state())),
    ),
    (
        "returned_nothing",
        "You compute the answers and return nothing: a `return` is missing.",
        answers_with(joined=lambda made: None),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.wrong("in_place", "You change the `condition` that you were given.")
def _(network: Any, c: Tensor, count: int, times: Any, bars: Tensor, step: Any, g: torch.Generator) -> Tensor:
    made = draw_answers(network, c, count, times, bars, step, g)
    c.add_(1)
    return made


ex.right(answers_with())


@ex.right
def _(
    network: Any, condition: Tensor, count: int, times: list[int], bars: Tensor, step: Any, generator: Any
) -> Tensor:
    """A function with a name, and a tensor that is filled."""

    def asked(x: Tensor, t: Tensor) -> Any:
        return network(x, t, condition)

    made = condition.new_empty(count, *condition.shape)
    for k in range(count):
        start = torch.empty_like(condition).normal_(generator=generator)
        made[k] = sample(asked, start, times, bars, step, generator)[-1]
    return made


@ex.right
def _(
    network: Any, condition: Tensor, count: int, times: list[int], bars: Tensor, step: Any, generator: Any
) -> Tensor:
    """By recursion over the number of answers."""
    like = {"generator": generator, "dtype": condition.dtype, "device": condition.device}
    answers: list[Tensor] = []
    while len(answers) < count:
        *_, last = sample(
            lambda x, t: network(x, t, condition), torch.randn(*condition.shape, **like), times, bars, step,
            generator,
        )  # fmt: skip
        answers.append(last[None])
    return torch.cat(answers, dim=0)


@ex.right
def _(
    network: Any, condition: Tensor, count: int, times: list[int], bars: Tensor, step: Any, generator: Any
) -> Tensor:
    """In one expression."""

    def one(_: int) -> Tensor:
        start = torch.randn(
            condition.size(), generator=generator, dtype=condition.dtype, device=condition.device
        )
        way = sample(lambda x, t: network(x, t, condition), start, times, bars, step, generator)
        return way[len(times)]

    return torch.stack([one(k) for k in range(count)], dim=0)


ex.background("Ask the same inputs several times")
ex.breach("`count` times, one after another", "one_too_few")
ex.breach("Draw a start of its own", "one_start_for_all")
ex.breach("from `generator`", "own_generator")
ex.breach("standard normal", "uniform")
ex.breach("Let `sample` of lesson 03", "before_the_last")
ex.breach("It asks a function", "noise_as_condition")
ex.breach("`network(x, t, condition)`", "noise_as_condition")
ex.breach("So hand `sample`", "condition_forgotten")
ex.breach("The answer is the last", "whole_way")
ex.breach("Return all answers in one tensor", "a_list")
ex.breach("answer first, then input", "input_first")
ex.breach("`condition` holds B inputs", "concatenated")
ex.breach("Leave `condition` as it is", "in_place")
