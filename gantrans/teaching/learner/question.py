"""What a recall question is."""

from dataclasses import dataclass


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
