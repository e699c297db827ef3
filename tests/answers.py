"""For the tests of each lesson's recall questions."""

from gantrans.teaching.learner.question import Recall, questions


def questions_of(*lessons: str) -> dict[str, Recall]:
    """The questions of some lessons ("basics": the warm-ups) by their ids."""
    return {question.id: question for question in questions() if question.lesson in lessons}
