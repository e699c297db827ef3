"""Recall: each lesson opens with three questions from earlier ones and ends with three about itself.

Practice testing and spacing are the two study techniques with the best evidence (Dunlosky et al. 2013). Which
questions come is fixed per lesson, so that a rendered page and a rerun show the same.
"""

from gantrans.errors import ConfigError
from gantrans.teaching.exercises.results import Card
from gantrans.teaching.learner import forms, progress
from gantrans.teaching.learner.predictions import calibration, predict, reveal
from gantrans.teaching.learner.question import BASICS, Recall, questions

__all__ = ["calibration", "predict", "recall", "recall_questions", "reveal", "wrap_up", "wrap_up_questions"]


def recall(lesson: str) -> None:
    """Show the three opening questions of a lesson ("04"), one form each."""
    for question in recall_questions(lesson):
        _ask(question)


def wrap_up(lesson: str) -> None:
    """Show three closing questions about the lesson itself."""
    for question in wrap_up_questions(lesson):
        _ask(question)


def recall_questions(lesson: str) -> list[Recall]:
    """Three questions from earlier lessons: two from the last one, one from further back (if there is one).

    Lesson 00 has no predecessor; it is opened by warm-ups about PyTorch. Later lessons move through a pool,
    so that the same lesson is asked about with other questions each time.
    """
    earlier = sorted({q.lesson for q in questions() if q.lesson != BASICS and q.lesson < lesson})
    if not earlier:
        return _turn(BASICS, 0, 3)
    if len(earlier) == 1:
        return _turn(earlier[0], 3, 3)
    further = earlier[:-1]
    picked = further[(len(further) - 1) // 2]  # half way back: the spacing grows with the course
    # the first three of a pool were its own wrap-up; go on behind them, further each time the pool comes back
    first = picked == earlier[0]  # of whose pool the next lesson asked three, not two
    return [*_turn(earlier[-1], 3, 2), *_turn(picked, 3 + len(earlier) + first, 1)]


def wrap_up_questions(lesson: str) -> list[Recall]:
    """The three closing questions.

    Raises:
        ConfigError: for a lesson without questions.
    """
    if not any(q.lesson == lesson for q in questions()):
        known = sorted({q.lesson for q in questions()} - {BASICS})
        raise ConfigError(
            f"Lesson {lesson!r} has no questions; lessons with questions are {', '.join(known)}."
        )
    return _turn(lesson, 0, 3)


def _turn(lesson: str, start: int, count: int) -> list[Recall]:
    pool = [q for q in questions() if q.lesson == lesson]
    return [pool[(start + i) % len(pool)] for i in range(count)]


def _ask(question: Recall) -> None:
    def controls() -> list[object]:
        import ipywidgets as w

        return [w.RadioButtons(options=question.choices, value=None, layout=w.Layout(width="auto"))]

    forms.ask(card(question).markdown, controls, lambda c: answer(question, c[0].value), button="Check")


def answer(question: Recall, choice: str | None) -> str:
    """Judge one answer, keep it, and say why."""
    if choice is None:
        return "Choose one first."
    right = choice == question.right
    seen = progress.get("recall", question.id)
    asked = seen.get("asked", 0) + 1
    progress.update("recall", question.id, right=right, asked=asked, hits=seen.get("hits", 0) + right)
    return f"✓ Yes. {question.why}" if right else f"✗ It is “{question.right}”. {question.why}"


def card(question: Recall) -> Card:
    """The question as text, with the answer folded away."""
    options = "\n".join(f"- {choice}" for choice in question.choices)
    folded = f"<details><summary>Answer</summary>{question.right}. {question.why}</details>"
    return Card(f"**Recall.** {question.text}\n\n{options}\n\n{folded}")
