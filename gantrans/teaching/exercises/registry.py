"""Finding exercises, and the table that shows how well each checker judges.

An exercise is one file, `lessonNN/exercises/<id>.py`, that defines `ex`; there is no list to keep up to date.
"""

import difflib
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from gantrans.errors import ConfigError
from gantrans.teaching.exercises.core import Exercise, globals_of
from gantrans.teaching.exercises.results import State
from gantrans.teaching.places import found, module_of


@cache
def exercise(name: str) -> Exercise:
    """The exercise with this id.

    Raises:
        ConfigError: for an unknown id; the message offers the nearest ones.
    """
    files = _files()
    if name not in files:
        near = difflib.get_close_matches(name, files, n=3, cutoff=0.3) or sorted(files)
        raise ConfigError(f"There is no exercise {name!r}; did you mean {' or '.join(map(repr, near))}?")
    ex: Exercise = import_module(module_of(files[name])).ex
    return ex


def exercises(lesson: str | None = None) -> list[Exercise]:
    """All exercises, or those of one lesson ("04"): by lesson, easy ones first."""
    wanted = [ex for ex in map(exercise, _files()) if lesson in (None, ex.lesson)]
    return sorted(wanted, key=lambda ex: (ex.lesson, ex.difficulty, ex.id))


def kill_table(*, mutants: bool = False) -> list[dict[str, Any]]:
    """One row per exercise: wrong answers refused and rightly diagnosed, right ones accepted, stub
    recognised.

    With `mutants` also how many automatic mutants of the reference the checker kills (slow: about a minute).
    """
    rows = []
    for ex in exercises():
        verdicts = {wrong.name: ex.judge(wrong.answer) for wrong in ex.wrongs}
        row: dict[str, Any] = {
            "lesson": ex.lesson,
            "exercise": ex.id,
            "wrong": len(ex.wrongs),
            "refused": sum(v.state is State.INCORRECT for v in verdicts.values()),
            "diagnosed": sum(v.cause == name for name, v in verdicts.items()),
            "right": len(ex.rights) + 1,
            "accepted": sum(ex.judge(right).passed for right in [ex.function, *ex.rights]),
            "stub": str(ex.judge(run_stub(ex)).state),
        }
        if mutants:
            from gantrans.teaching.exercises.mutation import mutation_row

            row |= mutation_row(ex)
        rows.append(row)
    return rows


def run_stub(ex: Exercise) -> Any:
    """The stub as the function or class that a learner has before writing anything."""
    namespace: dict[str, Any] = globals_of(ex.function)
    exec(compile(ex.stub, f"<stub of {ex.id}>", "exec"), namespace)
    return namespace[ex.name]


def _files() -> dict[str, Path]:
    return {path.stem: path for path in found("exercises/[!_]*.py")}
