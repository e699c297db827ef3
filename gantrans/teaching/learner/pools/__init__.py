"""The pool of recall questions. Answers that can be computed are computed, by `tests/test_recall.py`.

The first three questions of a lesson close it; the others come back at the start of later lessons.
"""

from gantrans.teaching.learner.pools import diffusion, operation, refinements, translation
from gantrans.teaching.learner.question import Recall

QUESTIONS: tuple[Recall, ...] = (
    *diffusion.QUESTIONS,
    *translation.QUESTIONS,
    *refinements.QUESTIONS,
    *operation.QUESTIONS,
)

__all__ = ["QUESTIONS", "Recall"]
