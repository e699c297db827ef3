"""What `ex.check` does beside judging: show the result, remember it, keep an accepted answer, and give the
function that the lesson goes on with."""

import html
import re
import time
from dataclasses import dataclass, replace
from typing import Any

from gantrans.teaching.exercises.results import Result, State
from gantrans.teaching.learner import parts, progress, store
from gantrans.teaching.learner.forms import shell
from gantrans.teaching.learner.sources import MINE, NotKept, source_of

LONGEST_PAUSE = 20 * 60
"""Seconds between two attempts that count as work; a longer pause was a pause."""
_STARTED = time.time()


@dataclass(frozen=True)
class Outcome:
    """What a check shows: the result, and whose version the lesson goes on with."""

    result: Result
    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join([str(self.result), *self.lines])

    def _repr_html_(self) -> str:
        lines = "<br>".join(
            re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(x, quote=False)) for x in self.lines
        )
        return f'{self.result._repr_html_()}<div style="padding:.1em 1em"><small>{lines}</small></div>'


def check(ex: store.Task, answer: Any, hints: int) -> tuple[Result, Any]:
    """Judge an answer and show how it went; gives the result, and the function or class to go on with.

    That is the learner's, guarded by the course's version, if it was accepted, else the course's.

    Args:
        hints: how many hints were shown; remembered with the result.
    """
    answer = parts.original(answer)
    result = _judged(ex, answer)
    try:
        _remember(ex.id, result.state, hints)
    except OSError as error:
        result = replace(result, message=f"{result.message} (Your progress was not saved: {error}.)")
    if result.passed:
        going, line = _accepted(ex, answer)
    else:
        going, line = ex.function, f"From here on the lesson runs the course's version of `{ex.name}`."
        if store.path_of(ex.id).exists():
            line += " The one of yours that was accepted before is still kept for later lessons."
    _display(Outcome(result, (line,)))
    return result, going


def _judged(ex: store.Task, answer: Any) -> Result:
    if answer is ex.function:
        text = f"this is the course's version of `{ex.name}`; run the cell with yours, then this one."
        return Result(State.NOT_ATTEMPTED, ex.id, text)
    try:
        return ex.judge(answer)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return Result(State.CANNOT_CHECK, ex.id, f"the checker itself failed ({what}); you may be right.")


def _accepted(ex: store.Task, answer: Any) -> tuple[Any, str]:
    """Keep an accepted answer. What runs from now on is the kept text, which later cells cannot change."""
    part = parts.Part(ex.id, ex.name, answer, ex.function, ex.patience)
    try:
        source = source_of(answer, ex.name)
        part.answer = _alone(ex, source)
        store.save(ex, source)
    except NotKept as error:
        return parts.in_use(part), f"From here on the lesson runs yours. {error}"
    except OSError as error:
        return parts.in_use(part), f"From here on the lesson runs yours, but it was not kept: {error}."
    except Exception as error:  # a text that nobody has thought of; the lesson must go on
        what = f"its text was not understood ({type(error).__name__}: {error})"
        return parts.in_use(part), f"From here on the lesson runs yours, but it was not kept: {what}."
    used = parts.in_use(part, MINE)
    store.remember(ex, used)
    return used, "From here on the lesson runs yours."


def _alone(ex: store.Task, source: str) -> Any:
    """The function or class that a text defines when it stands alone, judged again.

    Raises:
        NotKept: it does not import, or is not right any more without the notebook around it.
    """
    kept = store.Stored(ex.id, ex.name, ex.lesson, "", "", source)
    cannot = f"Your `{ex.name}` cannot be kept for later lessons: on its own it"
    try:
        alone = store.imported(kept, store.path_of(ex.id))
    except store.Damaged as error:
        raise NotKept(f"{cannot} does not import ({error.cause}).") from None
    if not _judged(ex, alone).passed:
        raise NotKept(f"{cannot} is not right; does it use what a cell changes later?")
    return alone


def _remember(exercise: str, state: State, hints: int) -> None:
    now = time.time()

    def change(before: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
        entry = {"seen": round(now), **before}
        if state not in (State.CORRECT, State.INCORRECT):
            return entry
        latest = max([_STARTED, *(other.get("last", 0) for other in others.values())])
        worked = min(max(now - latest, 0), LONGEST_PAUSE) if not before.get("solved") else 0
        entry |= {
            "state": str(state),
            "solved": bool(before.get("solved")) or state is State.CORRECT,
            "attempts": before.get("attempts", 0) + 1,
            "hints": max(before.get("hints", 0), hints),
            "minutes": round(before.get("minutes", 0.0) + worked / 60, 1),
            "last": round(now),
        }
        if state is State.CORRECT:
            entry.setdefault("solved_at", round(now))
        return entry

    progress.change("exercises", exercise, change)


def _display(outcome: Outcome) -> None:
    if shell() is None:
        print(outcome)
        return
    from IPython.display import display

    display(outcome)
