"""The checker: a learner's function against the reference on every input, and the words for what differs."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from gantrans.teaching.exercises.differential import (
    Observation,
    compare,
    difference,
    observe,
    same_behaviour,
    show,
)
from gantrans.teaching.exercises.guard import TimeUp, is_stub, learner_line, quiet, time_limit
from gantrans.teaching.exercises.inputs import Args, duplicate, kept_generators
from gantrans.teaching.exercises.results import Result, State

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
    def called(self, answer: Answer) -> Answer: ...


def judge(ex: Task, answer: Any) -> Result:
    """The state of `answer` and, unless it is right, what was expected, what came, and on which input."""
    if answer is None or answer is ... or is_stub(answer):
        return Result(State.NOT_ATTEMPTED, ex.id, _unwritten(ex))
    refusal = _refusal(ex, answer)
    if refusal:
        return Result(State.CANNOT_CHECK, ex.id, refusal)
    expected = ex.expected  # before the clock starts
    seen: list[Observation] = []
    try:
        with kept_generators(), time_limit(SECONDS), quiet() as printed:
            for args, wanted in zip(ex.cases, expected, strict=True):
                seen.append(watch(ex, answer, args, wanted))
                if _is_unwritten(seen[-1]):
                    return Result(State.NOT_ATTEMPTED, ex.id, _unwritten(ex, len(seen) > 1))
            strays = _leaves_device(ex, answer)
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
    expected = ex.expected
    with kept_generators(), quiet():
        for i, args in enumerate(ex.cases):
            if _fault(ex, i, watch(ex, answer, args, expected[i])):
                return False
        return _leaves_device(ex, answer) is None


def watch(ex: Task, function: Answer, args: Args, expected: Observation | None = None) -> Observation:
    """What `function` does with one input of the exercise."""
    return observe(ex.called(function), args, ex.differentiable, expected)


def _fault(ex: Task, index: int, got: Observation) -> str | None:
    return compare(ex.expected[index], got, ex.parameters, ex.differentiable)


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


def _leaves_device(ex: Task, answer: Answer) -> str | None:
    """One run on the meta device shows whether results stay where inputs are, without a GPU.

    Code that needs values (`.item()`, NumPy) cannot run there; nothing is held against it.
    """
    args = tuple(_on_meta(a) for a in ex.cases[-1])
    if not any(isinstance(a, Tensor) for a in args):
        return None
    stays = "the values are right, but everything must stay on the device of the inputs, and {}."
    expected, got = observe(ex.called(ex.function), args), observe(ex.called(answer), args)
    if got.error is not None:
        mixed = "expected device" in str(got.error) or "same device" in str(got.error)
        return stays.format("your code mixes them with a tensor that it made on the CPU") if mixed else None
    left = expected.error is None and difference(expected.value, got.value)
    return stays.format("your result comes back on the CPU") if left and "device" in left else None


def _on_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to("meta")
    if isinstance(value, (list, tuple)):
        return type(value)(_on_meta(v) for v in value)
    return duplicate(value)


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
    return same_behaviour(watch(ex, wrong.answer, ex.cases[index], ex.expected[index]), seen)


def _describe(ex: Task, args: Args) -> str:
    return "Input: " + ", ".join(f"{n} = {show(a)}" for n, a in zip(ex.parameters, args, strict=True)) + "."
