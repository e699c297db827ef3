"""Recall questions: `questions.toml` in the folder of each lesson, read and checked.

    [[question]]
    id = "01_closed"               # the lesson's number first
    text = "..."
    choices = ["...", "...", "..."]
    answer = "..."                 # the right choice, repeated
    why = "One sentence."

The first three close the lesson, the others come back at the start of later lessons. `[[warm_up]]` has the
same keys, with ids that begin with `basics_`: what opens a lesson that has no earlier one.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from gantrans.errors import DataError
from gantrans.teaching.places import LESSONS, lesson_folders

FILE = "questions.toml"
BASICS = "basics"
FEWEST = 6
"""Questions of one lesson: three close it, three and more come back."""
FEWEST_CHOICES = 3
_KEYS = ("id", "text", "choices", "answer", "why")


@dataclass(frozen=True)
class Recall:
    """A multiple-choice question; `answer` is the position of the right choice, `why` one sentence."""

    id: str
    lesson: str
    text: str
    choices: tuple[str, ...]
    answer: int
    why: str

    @property
    def right(self) -> str:
        """The right choice."""
        return self.choices[self.answer]


@cache
def questions(folder: Path = LESSONS) -> tuple[Recall, ...]:
    """The warm-ups, then the questions of every lesson below `folder`, in the order of their files.

    Raises:
        DataError: a file is missing or wrong; the message names file, question, key and value.
    """
    found = [question for lesson in lesson_folders(folder) for question in read_questions(lesson)]
    return (*(q for q in found if q.lesson == BASICS), *(q for q in found if q.lesson != BASICS))


def read_questions(folder: Path) -> list[Recall]:
    """The questions of one folder `lessonNN`, warm-ups included.

    Raises:
        DataError: the file is missing or wrong.
    """
    path = folder / FILE
    if not path.is_file():
        raise DataError(f"{folder.name} has no {FILE}; it needs at least {FEWEST} questions.")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{folder.name}/{FILE} is not TOML: {error}.") from None
    for key, value in raw.items():
        entries = isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
        if key not in ("question", "warm_up") or not entries:
            _refuse(path, "the file", key, value, "it has [[question]] and [[warm_up]] only")
    number = folder.name.removeprefix("lesson")
    pools = [
        [_read(path, lesson, entry) for entry in raw.get(key, [])]
        for key, lesson in (("warm_up", BASICS), ("question", number))
    ]
    if len(pools[1]) < FEWEST:
        raise DataError(f"{folder.name}/{FILE} has {len(pools[1])} questions; a lesson needs {FEWEST}.")
    for pool in filter(None, pools):
        _check_pool(path, pool)
    return [question for pool in pools for question in pool]


def _read(path: Path, lesson: str, raw: dict[str, Any]) -> Recall:
    name = f"question {raw.get('id', 'without an id')}"
    for key in sorted(set(raw) - set(_KEYS)):
        _refuse(path, name, key, raw[key], f"the keys are {', '.join(_KEYS)}")
    for key in ("id", "text", "answer", "why"):
        if not isinstance(raw.get(key), str) or not raw[key].strip():
            _refuse(path, name, key, raw.get(key), "it must be text")
    choices = raw.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        _refuse(path, name, "choices", choices, "it must be a list of texts")
    if len(set(choices)) != len(choices) or len(choices) < FEWEST_CHOICES:
        _refuse(path, name, "choices", choices, f"{FEWEST_CHOICES} or more are needed, all different")
    if raw["answer"] not in choices:
        _refuse(path, name, "answer", raw["answer"], f"it must be one of the choices {choices}")
    if not raw["id"].startswith(f"{lesson}_"):
        _refuse(path, name, "id", raw["id"], f"it must begin with {lesson}_")
    if not raw["why"].endswith("."):
        _refuse(path, name, "why", raw["why"], "it must be a sentence that ends in a full stop")
    place = choices.index(raw["answer"])
    return Recall(raw["id"], lesson, raw["text"], tuple(choices), place, raw["why"])


def _check_pool(path: Path, pool: Sequence[Recall]) -> None:
    ids = [question.id for question in pool]
    for one in ids:
        if ids.count(one) > 1:
            _refuse(path, f"question {one}", "id", one, "another question has it")
    if len({question.answer for question in pool}) == 1:
        place = pool[0].answer + 1
        raise DataError(f"{path.parent.name}/{FILE}: every right answer is choice {place}; vary the place.")


def _refuse(path: Path, where: str, key: str, value: Any, why: str) -> NoReturn:
    raise DataError(f"{path.parent.name}/{FILE}, {where}: {key} is {value!r}; {why}.")
