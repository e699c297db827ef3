"""The checker: a learner's function against the reference on every input, and the words for what differs."""

import inspect
from typing import Any

from gantrans.teaching.exercises.differential import Observation, show
from gantrans.teaching.exercises.extras import beyond_the_inputs, on_a_gpu
from gantrans.teaching.exercises.guard import TimeUp, is_stub, quiet, time_limit
from gantrans.teaching.exercises.inputs import kept_generators
from gantrans.teaching.exercises.refusal import refused
from gantrans.teaching.exercises.results import Result, State
from gantrans.teaching.exercises.session import standard_settings
from gantrans.teaching.exercises.task import Answer, Task, Wrong, describe, fault, watch
from gantrans.teaching.exercises.watched import Ended, try_first

__all__ = ["SECONDS", "Answer", "Task", "Wrong", "accepts", "judge", "watch"]

SECONDS = 30.0  # for one check of code that came back from its first run in a child process


def judge(ex: Task, answer: Any) -> Result:
    """The state of `answer` and, unless it is right, what was expected, what came, and on which input."""
    if answer is None or answer is ... or is_stub(answer):
        return Result(State.NOT_ATTEMPTED, ex.id, unwritten(ex))
    seen: list[Observation] = []
    with kept_generators(), standard_settings():
        refusal = refusal_of(ex, answer)
        if refusal:
            return Result(State.CANNOT_CHECK, ex.id, refusal)
        expected = ex.expected  # before the clock starts
        try:
            try_first(ex.called(ex.function), ex.called(answer), ex.cases)
            with time_limit(SECONDS), quiet() as printed:
                for args, wanted in zip(ex.cases, expected, strict=True):
                    seen.append(watch(ex, answer, args, wanted))
                    if is_unwritten(seen[-1]):
                        return Result(State.NOT_ATTEMPTED, ex.id, unwritten(ex, len(seen) > 1))
                faults = [fault(ex, i, got) for i, got in enumerate(seen)]
                beyond = None if any(faults) else beyond_the_inputs(ex, answer, seen)
                gpu = "" if any(faults) or beyond else on_a_gpu(ex, answer)
        except Ended as end:
            return endless(ex, end.number, end.how)
        except TimeUp:
            slow = f"ran for over {SECONDS:g} s; does a loop never end?"
            return endless(ex, min(len(seen), len(expected) - 1), slow)
        if any(faults):
            return refused(ex, faults, seen, printed.getvalue())
    if beyond:
        cause, sentence = beyond
        return Result(State.INCORRECT, ex.id, sentence, cause)
    remarks = sorted({remark for got in seen for remark in got.remarks})
    noted = f" (Your code changes {' and '.join(remarks)}; that has been put back.)" if remarks else ""
    return Result(
        State.CORRECT, ex.id, f"it agrees with the reference on all {len(seen)} inputs.{noted}{gpu}"
    )


def accepts(ex: Task, answer: Answer) -> bool:
    """Whether `answer` passes; it stops at the first difference, so it is the quick form of `judge`."""
    with kept_generators(), standard_settings(), quiet():
        seen: list[Observation] = []
        for i, args in enumerate(ex.cases):
            seen.append(watch(ex, answer, args, ex.expected[i]))
            if fault(ex, i, seen[-1]):
                return False
        return beyond_the_inputs(ex, answer, seen) is None


def refusal_of(ex: Task, answer: Any) -> str:
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


def unwritten(ex: Task, in_part: bool = False) -> str:
    """What is said of a stub, or of an answer with a part that is one."""
    return f"{'a part of ' if in_part else ''}`{ex.name}` is still to be written."


def is_unwritten(seen: Observation) -> bool:
    """Whether a call came to a part that is still to be written."""
    # with a text it is the answer's own refusal of an input, or PyTorch's
    return (isinstance(seen.error, NotImplementedError) and not str(seen.error)) or seen.value is ...


def endless(ex: Task, number: int, how: str) -> Result:
    """The result for an answer that does not come back from input `number`."""
    return Result(State.CANNOT_CHECK, ex.id, f"your code {how}\n{describe(ex, ex.cases[number])}")
