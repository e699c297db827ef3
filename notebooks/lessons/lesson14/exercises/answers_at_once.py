"""Lesson 14: all answers in one batch, with a slip that hands them to the wrong inputs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt
from gantrans.teaching.exercises.kinds.probing import Said
from lessons.lesson03.exercises.sample import sample

ex = BugHunt(
    id="answers_at_once",
    lesson="14",
    title="All answers in one batch",
    difficulty=3,
    minutes=12,
    patience=600.0,
    draws=8,
    spec=r"""
    Asking one answer after another is slow, so a colleague puts all of them into one batch. `condition` is
    `(B, ...)`, and the result is `(count, B, ...)` as in `draw_answers`: `result[k, b]` is answer `k` to
    input `b`. Each of the `count * B` images starts from noise of its own, the network is asked once per time
    for the whole batch, and `condition` stays as it is. The code runs, and every single image looks fine. It
    has one slip. Find it and mend it.
    """,
    hints=(
        "Take B = 2 inputs, call them A and B, and count = 3. Write down the inputs of the batch of six in "
        "their order, and then what stands in `result[0]`.",
        "`repeat_interleave` gives A A A B B B. `repeat` gives A B A B A B.",
        "`view(count, B)` reads the batch in rows of B. So either repeat the whole list `count` times, or "
        "view as `(B, count, ...)` and swap the first two axes.",
    ),
    slip="`repeat_interleave` puts all copies of an input side by side, and `view(count, B)` reads the batch "
    "as if the whole list of inputs came again and again. So answers were handed to other inputs.",
    slip_code="condition.repeat_interleave(count, 0)",
    source="The PyTorch notes on `Tensor.repeat` and `repeat_interleave`.",
    equivalent={
        "value.detach()": "`sample` gives tensors without a graph",
        "value.float()": "the checker looks at which input an answer belongs to, not at its digits",
        "value.double()": "the checker looks at which input an answer belongs to, not at its digits",
        "generator=generator, dtype=many.dtype)`": "the text asks for no device",
    },
)


@ex.reference
def answers_at_once(
    network: Callable[..., Tensor],
    condition: Tensor,
    count: int,
    times: list[int],
    alpha_bars: Tensor,
    step: Callable[..., Tensor],
    generator: torch.Generator,
) -> Tensor:
    """network(x, t, condition) -> image; condition (B, ...), falling times -> answers (count, B, ...)."""
    many = condition.repeat(count, *[1] * (condition.dim() - 1))
    start = torch.randn(many.shape, generator=generator, dtype=many.dtype, device=many.device)
    way = sample(lambda x, t: network(x, t, many), start, times, alpha_bars, step, generator)
    return way[-1].view(count, *condition.shape)


@ex.bug
def _(
    network: Callable[..., Tensor],
    condition: Tensor,
    count: int,
    times: list[int],
    alpha_bars: Tensor,
    step: Callable[..., Tensor],
    generator: torch.Generator,
) -> Tensor:
    """network(x, t, condition) -> image; condition (B, ...), falling times -> answers (count, B, ...)."""
    many = condition.repeat_interleave(count, 0)
    start = torch.randn(many.shape, generator=generator, dtype=many.dtype, device=many.device)
    way = sample(lambda x, t: network(x, t, many), start, times, alpha_bars, step, generator)
    return way[-1].view(count, *condition.shape)


def trace_of(x: Tensor) -> Tensor:
    """In [-1, 1], like x, and the same for all inputs: those are whole tens, which is its period."""
    return torch.sin(2 * torch.pi / 10 * x)


class Marked:
    """Answers each input with the input plus a trace of the noise; `asked` keeps the sizes of batches."""

    def __init__(self, trace: float) -> None:
        self.trace = trace
        self.asked: list[int] = []

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        self.asked.append(len(x))
        return condition + self.trace * trace_of(x)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Marked) and self.trace == other.trace

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "network, which answers with the condition and a trace of x"


def to_the_image(x: Tensor, x0: Tensor, noise: Tensor, bar: float, bar_next: float, before: Any) -> Tensor:
    """A step that keeps a tenth of x, and is off by a lot unless it is the last one."""
    return x0 + 0.1 * bar * trace_of(x - x0) + 20 * (1 - bar_next)


@ex.symptom
def _(answer: Answer) -> str:
    inputs = torch.tensor([[10.0], [20.0], [30.0]])
    made = answer(
        Marked(0.1), inputs, 2, [9, 4], torch.linspace(0.9, 0.1, 10).double(), to_the_image,
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    rows = "; ".join(", ".join(f"{value:.0f}" for value in row.flatten().tolist()) for row in made)
    return (
        f"a toy network answers each input with nearly the input itself. Of the inputs 10, 20 and 30 it was "
        f"asked for two answers each, and the two rows of the result are {rows}."
    )


@ex.probe
def _(
    answer: Callable[..., Any],
    network: Marked,
    condition: Tensor,
    count: int,
    times: list[int],
    alpha_bars: Tensor,
    step: Callable[..., Tensor],
    generator: torch.Generator,
) -> dict[str, Any]:
    """To which input each answer belongs, whether answers differ, and how the network was asked."""
    network.asked.clear()
    state = generator.get_state()
    made = answer(network, condition, count, times, alpha_bars, step, generator)
    if made is ...:
        raise NotImplementedError
    if not isinstance(made, Tensor):
        return {"the result": Said(f"a {type(made).__name__}, not one tensor")}
    seen: dict[str, Any] = {"the shape": tuple(made.shape), "images per question": list(network.asked)}
    if made.shape != (count, *condition.shape):
        return seen
    flat, own = made.flatten(2).double(), condition.flatten(1).double()
    apart = (flat[:, :, None] - own).abs().mean(-1)
    seen["the input that each answer belongs to"] = apart.argmin(-1)
    seen["answers near their input"] = bool((apart.amin(-1) < 1.5).all())
    seen["images of their own"] = _different(flat.sub(own).flatten(0, 1))
    seen["the generator was used"] = not torch.equal(state, generator.get_state())
    return seen


def _different(traces: Tensor) -> int:
    """How many of the rows (N, pixels) differ by more than the rounding of float32."""
    apart = (traces[:, None] - traces).abs().amax(-1) > 3e-5
    return sum(bool(apart[i, :i].all()) for i in range(len(traces)))


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _inputs(*shape: int) -> Tensor:
    """Inputs that are far apart."""
    ladder = 10 * (1 + torch.arange(shape[0])).view(-1, *[1] * (len(shape) - 1))
    return ladder + torch.zeros(shape)


@ex.edges
def _() -> list[Args]:
    bars = torch.linspace(0.95, 0.1, 10).double()
    return [
        (Marked(0.5), _inputs(2, 1), 3, [9, 4], bars, to_the_image, _seeded(1)),
        (Marked(0.5), _inputs(3, 2), 2, [9], bars, to_the_image, _seeded(2)),
        (Marked(0.5), _inputs(3, 2), 3, [9, 6, 1], bars, to_the_image, _seeded(3)),
        (Marked(0.5), _inputs(1, 2), 4, [9, 5], bars, to_the_image, _seeded(4)),
        (Marked(0.5), _inputs(4, 2), 1, [9, 5], bars, to_the_image, _seeded(5)),
        (Marked(0.5), _inputs(2, 1, 3, 4), 3, [9, 5], bars, to_the_image, _seeded(6)),
        (Marked(0.5), _inputs(3, 1, 2, 3).mT, 2, [9, 5], bars, to_the_image, _seeded(7)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    bars = torch.linspace(0.95, 0.1, 10).double()
    shape = case.choice(((case.integer(2, 4), 3), (case.integer(2, 3), 1, 2, 3)))
    count = case.integer(2, 4)
    condition = _inputs(*shape)[torch.randperm(shape[0], generator=case.generator)].to(case.dtype)
    return Marked(0.5), condition, count, [9, 6, 2], bars, to_the_image, _seeded(100 + case.seed)


def _with(
    *,
    many: Callable[[Tensor, int], Tensor] = lambda c, n: c.repeat(n, *[1] * (c.dim() - 1)),
    start: Callable[[Tensor, Tensor, int, torch.Generator], Tensor] = lambda m, c, n, g: torch.randn(
        m.shape, generator=g, dtype=m.dtype
    ),
    shaped: Callable[[Tensor, Tensor, int], Any] = lambda end, c, n: end.view(n, *c.shape),
) -> Answer:
    """The mended function with one thing changed."""

    def answer(network: Any, c: Tensor, n: int, times: Any, bars: Tensor, step: Any, g: Any) -> Any:
        batch = many(c, n)
        way = sample(lambda x, t: network(x, t, batch), start(batch, c, n, g), times, bars, step, g)
        return shaped(way[-1], c, n)

    return answer


for name, misconception, answer in (
    (
        "still_mixed_up",
        "The copies of one input stand side by side in your batch, and the result is read as if they did "
        "not: "
        "answers go to other inputs.",
        _with(many=lambda c, n: c.repeat_interleave(n, 0)),
    ),
    (
        "turned_twice",
        "You changed both the order of the copies and the reading of the result; one of the two is enough.",
        _with(shaped=lambda end, c, n: end.view(len(c), n, *c.shape[1:]).transpose(0, 1)),
    ),
    (
        "input_first",
        "Your result is `(B, count, ...)`; the answers' axis comes first.",
        _with(
            many=lambda c, n: c.repeat_interleave(n, 0),
            shaped=lambda end, c, n: end.view(len(c), n, *c.shape[1:]),
        ),
    ),
    (
        "one_noise_for_all_answers",
        "All answers to one input start from the same noise, so they are the same answer.",
        _with(
            start=lambda m, c, n, g: torch.randn(c.shape, generator=g, dtype=c.dtype).repeat(
                n, *[1] * (c.dim() - 1)
            )
        ),
    ),
    (
        "one_noise_for_all_inputs",
        "Answer `k` starts from one noise for all inputs; each image should have its own.",
        _with(
            start=lambda m, c, n, g: torch.randn((n, *c.shape[1:]), generator=g, dtype=c.dtype)
            .repeat_interleave(len(c), 0)
        ),
    ),
    (
        "reversed_inputs",
        "Your answers come in another order than the inputs.",
        _with(shaped=lambda end, c, n: end.view(n, *c.shape).flip(1)),
    ),
    ("flat", "You return the batch as it is; it is to be `(count, B, ...)`.",
     _with(shaped=lambda end, c, n: end)),
    ("averaged", "You average the answers; all of them are wanted.",
     _with(shaped=lambda end, c, n: end.view(n, *c.shape).mean(0))),
    ("a_list", "You return a list; one tensor was asked for.",
     _with(shaped=lambda end, c, n: list(end.view(n, *c.shape)))),
):  # fmt: skip
    ex.wrong(name, misconception, answer)


@ex.wrong("one_after_another", "You ask for one answer at a time again; all of them are to be one batch.")
def _(network: Any, c: Tensor, n: int, times: Any, bars: Tensor, step: Any, g: Any) -> Tensor:
    starts = torch.randn((n, *c.shape), generator=g, dtype=c.dtype)
    ways = [sample(lambda x, t: network(x, t, c), s, times, bars, step, g) for s in starts]
    return torch.stack([way[-1] for way in ways])


@ex.wrong("in_place", "You change the `condition` that you were given.")
def _(network: Any, c: Tensor, n: int, times: Any, bars: Tensor, step: Any, g: Any) -> Tensor:
    made: Tensor = answers_at_once(network, c, n, times, bars, step, g)
    c.zero_()
    return made


ex.right(_with())
ex.right(_with(many=lambda c, n: torch.cat([c] * n)))
ex.right(
    _with(
        many=lambda c, n: c.repeat_interleave(n, 0),
        shaped=lambda end, c, n: end.view(len(c), n, *c.shape[1:]).transpose(0, 1),
    )
)


@ex.right
def _(
    network: Any, condition: Tensor, count: int, times: Any, alpha_bars: Tensor, step: Any, generator: Any
) -> Tensor:
    """With an axis that is expanded and flattened."""
    many = condition[None].expand(count, *condition.shape).flatten(0, 1)
    start = torch.randn(*many.shape, generator=generator, dtype=many.dtype)
    end = sample(lambda x, t: network(x, t, many), start, times, alpha_bars, step, generator)[-1]
    return end.unflatten(0, (count, len(condition)))


@ex.right
def _(
    network: Any, condition: Tensor, count: int, times: Any, alpha_bars: Tensor, step: Any, generator: Any
) -> Tensor:
    """By index."""
    which = torch.arange(count * len(condition)) % len(condition)
    many = condition[which]
    start = torch.randn(many.shape, generator=generator, dtype=many.dtype)
    end = sample(lambda x, t: network(x, t, many), start, times, alpha_bars, step, generator)[-1]
    return torch.stack([end[k * len(condition) : (k + 1) * len(condition)] for k in range(count)])


ex.background("Asking one answer after another", "The code runs", "It has one slip", "Find it and mend it")
ex.breach("the result is `(count, B, ...)`", "flat")
ex.breach("`result[k, b]` is answer `k` to input `b`", "still_mixed_up")
ex.breach("Each of the `count * B` images", "one_noise_for_all_answers")
ex.breach("the network is asked once per time", "one_after_another")
ex.breach("`condition` stays as it is", "in_place")
