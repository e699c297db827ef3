"""Answers to the exercises by authors who saw only their texts, signatures and stubs.

The files beside this one hold them; `answers()` reads all. Of the first round (the lessons' files) about
half, the *seen* half, was there when the checkers were tuned; the other half was looked at once, at the end.
What it showed was mended, and then the second round was written, by another author, to measure again.
"""

import hashlib
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Answer = Callable[..., Any]
SECOND_ROUND = "second_round"


@dataclass(frozen=True)
class Stranger:
    """One answer: what is wrong with it, or how a right one differs from the usual."""

    exercise: str
    right: bool
    words: str
    breaks: str
    answer: Answer

    @property
    def seen(self) -> bool:
        """Whether it belongs to the half that the checkers were tuned with; decided by its words."""
        digest = hashlib.sha256(f"{self.exercise}:{self.words}".encode()).hexdigest()
        return self.answer.__module__ != SECOND_ROUND and int(digest, 16) % 2 == 0


ANSWERS: list[Stranger] = []


def wrong(exercise: str, slip: str, breaks: str = "") -> Callable[[Answer], Answer]:
    """Decorator: a wrong answer, its slip in one line, and the beginning of the sentence that it breaks."""
    return _kept(exercise, False, slip, breaks)


def right(exercise: str, words: str) -> Callable[[Answer], Answer]:
    """Decorator: a right answer and how it is written."""
    return _kept(exercise, True, words, "")


def _kept(exercise: str, is_right: bool, words: str, breaks: str) -> Callable[[Answer], Answer]:
    def keep(answer: Answer) -> Answer:
        ANSWERS.append(Stranger(exercise, is_right, words, breaks, answer))
        return answer

    return keep


@cache
def answers() -> tuple[Stranger, ...]:
    """All of them, in the order of the files."""
    folder = Path(__file__).parent
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    strangers = importlib.import_module("strangers")  # the module that the files import
    for name in [*sorted(path.stem for path in folder.glob("lesson*.py")), SECOND_ROUND]:
        importlib.import_module(name)
    return tuple(strangers.ANSWERS)
