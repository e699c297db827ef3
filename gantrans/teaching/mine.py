"""The learner's own parts: `mine.q_sample` is the accepted version of the exercise, or the course's.

    from gantrans.teaching import mine
    x_t = mine.q_sample(x0, t, noise, alpha_bars)
    mine.report()      # whose is whose

What was not accepted by `ex.check` never runs here.
"""

import difflib
from functools import cache
from typing import Any

from gantrans.errors import ConfigError
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.registry import exercise, exercises
from gantrans.teaching.exercises.results import Card
from gantrans.teaching.learner import store

__all__ = ["report"]
_TOLD: set[str] = set()


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    ex = exercise_of(name)
    try:
        found = store.load(ex)
    except store.Damaged as error:
        if str(error) not in _TOLD:
            _TOLD.add(str(error))
            print(error)
        found = None
    return ex.function if found is None else found


def __dir__() -> list[str]:
    return sorted([*(ex.name for ex in exercises()), *__all__])


def report(part: str | None = None) -> Card:
    """Whose version of each part runs: all parts, those of a lesson ("03"), or a single one ("q_sample").

    Raises:
        ConfigError: there is no such lesson or part; the message offers the nearest names.
    """
    chosen = exercises(part)
    if part is not None and not chosen:
        chosen = [exercise_of(part)]
    rows = [f"| {ex.lesson} | `{ex.name}` | {whose(ex)} |" for ex in chosen]
    return Card("\n".join(["| lesson | part | whose version runs |", "|---|---|---|", *rows]))


def whose(ex: Exercise) -> str:
    """In a few words, whose version of a part `mine` gives: "yours, accepted on 2026-11-30"."""
    try:
        found = store.read(ex.id)
        if found is None:
            return "the course's"
        store.load(ex)
    except store.Damaged as error:
        return f"the course's: {str(error).partition(';')[0][0].lower()}{str(error).partition(';')[0][1:]}"
    return f"yours, accepted on {found.date}"


def runs_mine(ex: Exercise) -> bool:
    """Whether `mine` gives the learner's version of an exercise."""
    try:
        return store.load(ex) is not None
    except store.Damaged:
        return False


@cache
def exercise_of(name: str) -> Exercise:
    """The exercise of a part, by its id or by the name of its function or class.

    Raises:
        ConfigError: there is none; the message offers the nearest names.
    """
    try:
        return exercise(name)
    except ConfigError:
        known = exercises()
    for ex in known:
        if ex.name == name:
            return ex
    near = difflib.get_close_matches(name, [ex.name for ex in known], n=3, cutoff=0.3)
    offer = f"did you mean {' or '.join(map(repr, near))}?" if near else "mine.report() lists them."
    raise ConfigError(f"There is no part {name!r}; {offer}")
