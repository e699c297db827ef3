"""Answers by people who saw only the texts of the exercises; see the lessons' files beside this one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Answer = Callable[..., Any]


@dataclass(frozen=True)
class Stranger:
    """One answer: what is wrong with it, or how a right one differs from the usual."""

    exercise: str
    right: bool
    words: str
    breaks: str
    answer: Answer


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
