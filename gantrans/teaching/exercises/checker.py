"""The checker: a learner's function against the reference on every input, and the words for what differs."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gantrans.teaching.exercises.differential import (
    Observation,
    compare,
    observe,
    same_behaviour,
    show,
    slope_difference,
)
from gantrans.teaching.exercises.extras import beyond_the_inputs
from gantrans.teaching.exercises.guard import TimeUp, is_stub, learner_line, quiet, time_limit
from gantrans.teaching.exercises.inputs import Args, kept_generators, nudged
from gantrans.teaching.exercises.results import Result, State
from gantrans.teaching.exercises.session import standard_settings

SECONDS = 30.0  # for one check
Answer = Callable[..., Any]


@dataclass(frozen=True)
class Wrong:
    """A plausible wrong answer and the misconception it stands for, as it is said to the learner."""

    name: str
    misconception: str
    answer: Answer


class Task(Protocol):
    """What the checker reads of an exercise (`core.Exercise`)."""

    id: str

    @property
    def name(self) -> str: ...
    @property
    def function(self) -> Answer: ...
    @property
    def parameters(self) -> tuple[str, ...]: ...
    @property
    def differentiable(self) -> tuple[int, ...]: ...
    @property
    def cases(self) -> Sequence[Args]: ...
    @property
    def expected(self) -> Sequence[Observation]: ...
    @property
    def wrongs(self) -> Sequence[Wrong]: ...
    @property
    def tolerance(self) -> float | None: ...
    def called(self, answer: Answer) -> Answer: ...


def judge(ex: Task, answer: Any) -> Result:
    """The state of `answer` and, unless it is right, what was expected, what came, and on which input."""
    if answer is None or answer is ... or is_stub(answer):
        return Result(State.NOT_ATTEMPTED, ex.id, _unwritten(ex))
    refusal = _refusal(ex, answer)
    if refusal:
        return Result(State.CANNOT_CHECK, ex.id, refusal)
    with standard_settings():
        expected = ex.expected  # before the clock starts
    seen: list[Observation] = []
    try:
        with kept_generators(), standard_settings(), time_limit(SECONDS), quiet() as printed:
            for args, wanted in zip(ex.cases, expected, strict=True):
                seen.append(watch(ex, answer, args, wanted))
                if _is_unwritten(seen[-1]):
                    return Result(State.NOT_ATTEMPTED, ex.id, _unwritten(ex, len(seen) > 1))
            strays = beyond_the_inputs(ex, answer, seen)
    except TimeUp:
        slow = f"your code ran for over {SECONDS:g} s; does a loop never end?\n"
        return Result(
            State.CANNOT_CHECK, ex.id, slow + _describe(ex, ex.cases[min(len(seen), len(expected) - 1)])
        )
    failing = [i for i, got in enumerate(seen) if _fault(ex, i, got)]
    if failing:
        return _incorrect(ex, failing, seen, printed.getvalue())
    if strays:
        return Result(State.INCORRECT, ex.id, strays)
    return Result(State.CORRECT, ex.id, f"it agrees with the reference on all {len(seen)} inputs.")


def accepts(ex: Task, answer: Answer) -> bool:
    """Whether `answer` passes; it stops at the first difference, so it is the quick form of `judge`."""
    with kept_generators(), standard_settings(), quiet():
        seen: list[Observation] = []
        for i, args in enumerate(ex.cases):
            seen.append(watch(ex, answer, args, ex.expected[i]))
            if _fault(ex, i, seen[-1]):
                return False
        return beyond_the_inputs(ex, answer, seen) is None


def watch(ex: Task, function: Answer, args: Args, expected: Observation | None = None) -> Observation:
    """What `function` does with one input of the exercise.

    Autograd's choice at a kink (ties of an L1 loss, a ReLU's zero) is not compared: where a gradient differs
    from the expected one, both are taken beside the input, twice, and count as the same if they agree there.
    """
    seen = observe(ex.called(function), args, ex.differentiable, expected, ex.tolerance)
    if expected is None:
        return seen
    seen = replace(seen, graph=_graph_that_counts(ex, expected, seen))
    if not _slopes_differ(ex, expected, seen) or not _has_slopes(expected, seen):
        return seen
    for seed in (1, 2):
        beside = nudged(args, ex.differentiable or range(len(args)), seed)
        wanted = observe(ex.called(ex.function), beside, ex.differentiable, None, ex.tolerance)
        got = observe(ex.called(function), beside, ex.differentiable, wanted, ex.tolerance)
        if wanted.error or got.error or got.gradients is None or _slopes_differ(ex, wanted, got):
            return seen
    return replace(seen, gradients=expected.gradients)


def _slopes_differ(ex: Task, expected: Observation, got: Observation) -> bool:
    if expected.gradients is None or got.gradients is None:
        return False
    return slope_difference(expected, got, ex.parameters, ex.tolerance) is not None


def _has_slopes(expected: Observation, got: Observation) -> bool:
    """Whether each gradient arrives and is finite: else it is no matter of choice."""
    pairs = zip(expected.gradients or (), got.gradients or (), strict=True)
    return all(
        g.isfinite().all() if g is not None else wanted is None or not wanted.any() for wanted, g in pairs
    )


def _graph_that_counts(ex: Task, expected: Observation, got: Observation) -> tuple[tuple[str, bool], ...]:
    """Which results carry a graph; a result that carries one for any input need never be detached."""
    if got.graph == expected.graph or len(got.graph) != len(expected.graph):
        return got.graph
    free = {where for seen in ex.expected for where, live in seen.graph if live}
    pairs = zip(expected.graph, got.graph, strict=True)
    return tuple(wanted if wanted[0] in free else found for wanted, found in pairs)


def _fault(ex: Task, index: int, got: Observation) -> str | None:
    return compare(ex.expected[index], got, ex.parameters, ex.tolerance)


def _refusal(ex: Task, answer: Any) -> str:
    """Why this cannot be checked at all, or nothing."""
    if not callable(answer):
        return f"`check` needs the function itself, as in `ex.check({ex.name})`; it was given {show(answer)}."
    try:
        inspect.signature(answer).bind(*ex.cases[0])
    except TypeError:
        return f"your function must take ({', '.join(ex.parameters)}), in this order."
    except ValueError:  # a built-in without a signature: the call will tell
        pass
    return ""


def _unwritten(ex: Task, in_part: bool = False) -> str:
    return (
        f"{'a part of ' if in_part else ''}`{ex.name}` is still to be written; the lesson goes on without it."
    )


def _is_unwritten(seen: Observation) -> bool:
    # PyTorch raises NotImplementedError too, always with a text such as "... not implemented for 'Byte'"
    stub = isinstance(seen.error, NotImplementedError) and "implemented for" not in str(seen.error)
    return stub or seen.value is ...


def _incorrect(ex: Task, failing: list[int], seen: list[Observation], printed: str) -> Result:
    first = failing[0]
    error = seen[first].error
    message = _fault(ex, first, seen[first]) or ""
    if error is not None and ex.expected[first].error is None:
        message += learner_line(error)
    message += f"\n{_describe(ex, ex.cases[first])}"
    message += (
        f"\n{len(failing)} of {len(seen)} inputs fail; try this one: `{ex.name}(*ex.example({first}))`."
    )
    if printed.strip():
        message += f"\nYour code printed (first line): {printed.strip().splitlines()[0][:200]}"
    with kept_generators():
        wrong = _diagnose(ex, failing, seen)
    return Result(State.INCORRECT, ex.id, message, *((wrong.name, wrong.misconception) if wrong else ()))


def _diagnose(ex: Task, failing: list[int], seen: list[Observation]) -> Wrong | None:
    """The known wrong answer that does the same wherever this one fails; of several the closest elsewhere."""
    alike = [w for w in ex.wrongs if all(_does_the_same(ex, w, i, seen[i]) for i in failing)]
    passing = [i for i in range(len(seen)) if i not in failing]
    return max(alike, key=lambda w: sum(_does_the_same(ex, w, i, seen[i]) for i in passing), default=None)


def _does_the_same(ex: Task, wrong: Wrong, index: int, seen: Observation) -> bool:
    known = watch(ex, wrong.answer, ex.cases[index], ex.expected[index])
    return same_behaviour(known, seen, ex.tolerance)


def _describe(ex: Task, args: Args) -> str:
    return "Input: " + ", ".join(f"{n} = {show(a)}" for n, a in zip(ex.parameters, args, strict=True)) + "."
