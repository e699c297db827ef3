"""The refusal of an answer: what was expected and came on the input that says most, and the likely slip."""

from collections.abc import Sequence
from functools import partial

from gantrans.teaching.exercises.differential import Observation, same_behaviour
from gantrans.teaching.exercises.guard import learner_line
from gantrans.teaching.exercises.patterns import pattern
from gantrans.teaching.exercises.picture import panels
from gantrans.teaching.exercises.results import Result, State
from gantrans.teaching.exercises.task import Task, Wrong, describe, fault, watch
from gantrans.teaching.exercises.telling import credit, most_telling

OVERLAP = 0.5  # of the inputs on which an answer and a known slip fail
MOST = 0.6  # of the failing inputs, for a slip that is not the only one


def refused(ex: Task, faults: Sequence[str | None], seen: Sequence[Observation], printed: str) -> Result:
    """The result for an answer that fails on the inputs whose entry in `faults` says why."""
    failing = [i for i, reason in enumerate(faults) if reason]
    shown = most_telling(failing, ex.cases, ex.expected, seen)
    error = seen[shown].error
    message = faults[shown] or ""
    if any(got.value is not None for got in seen):  # None is one of its answers
        message = message.replace(": is a `return` missing?", ".")
    if error is not None and ex.expected[shown].error is None:
        message += learner_line(error)
    message += f"\n{describe(ex, ex.cases[shown])}"
    message += f"\n{len(failing)} of {len(seen)} inputs fail{credit(ex.expected, seen, ex.tolerance)}"
    message += f"; try this one: {_to_step_through(ex, shown)}."
    cause, thought, note = _diagnosis(ex, faults, shown, seen)
    message += f"\n{note}" if note else ""
    if printed.strip():
        message += f"\nYour code printed (first line): {printed.strip().splitlines()[0][:200]}"
    picture = partial(panels, ex.expected[shown].value, seen[shown].value) if error is None else None
    return Result(State.INCORRECT, ex.id, message, cause, thought, picture)


def _to_step_through(ex: Task, number: int) -> str:
    """The failing call as code; `ex.example` gives what is expected, too."""
    direct = ex.called(ex.function) is ex.function
    call = f"{ex.name}(*e.args)" if direct else f"ex.called({ex.name})(*e.args)"
    return f"`e = ex.example({number}); {call}` against `e.expected`"


def _diagnosis(
    ex: Task, faults: Sequence[str | None], shown: int, seen: Sequence[Observation]
) -> tuple[str, str, str]:
    """Name of the slip, what it stands for, and a note; each may be empty.

    First the known slip that explains all failing inputs, then what all of them have in common, then the
    known slip that explains the shown input and most of the others.
    """
    failing = [i for i, reason in enumerate(faults) if reason]
    known = _Known(ex, seen)
    whole = [w for w in ex.wrongs if all(known.alike(w, i) for i in [shown, *failing])]
    whole = [w for w in whole if known.overlap(w, failing) >= OVERLAP]
    if whole:
        best = max(whole, key=lambda w: known.overlap(w, failing))
        return best.name, best.misconception, ""
    found = pattern(failing, ex.cases, ex.parameters, ex.expected, seen, faults, ex.tolerance)
    if found and found[0] != "where":
        return found[0], "", f"On all inputs that fail: {found[1]}" if found[1] else ""
    partly = [w for w in ex.wrongs if known.alike(w, shown) and known.overlap(w, failing) >= OVERLAP]
    counts = {w.name: sum(known.alike(w, i) for i in failing) for w in partly}
    partly = [w for w in partly if counts[w.name] >= max(3, MOST * len(failing))]
    if partly:
        best = max(partly, key=lambda w: counts[w.name])
        note = f"That explains {counts[best.name]} of the {len(failing)} inputs that fail; there is more."
        return best.name, best.misconception, note
    return (found[0], "", f"{found[1][:1].upper()}{found[1][1:]}") if found else ("", "", "")


class _Known:
    """What the known wrong answers do, each run at most once per input (and not again at the next check)."""

    def __init__(self, ex: Task, seen: Sequence[Observation]) -> None:
        self._ex, self._seen = ex, seen

    def alike(self, wrong: Wrong, number: int) -> bool:
        """Whether the slip does on this input what the answer does."""
        return same_behaviour(self._run(wrong, number), self._seen[number], self._ex.tolerance)

    def overlap(self, wrong: Wrong, failing: Sequence[int]) -> float:
        """Inputs on which both fail, as a part of those on which either does."""
        count = len(self._seen)
        its = {i for i in range(count) if fault(self._ex, i, self._run(wrong, i))}
        return len(its & set(failing)) / max(1, len(its | set(failing)))

    def _run(self, wrong: Wrong, number: int) -> Observation:
        runs, key = self._ex.known_runs, (wrong.answer, number)
        if key not in runs:
            args, expected = self._ex.cases[number], self._ex.expected[number]
            runs[key] = watch(self._ex, wrong.answer, args, expected)
        return runs[key]
