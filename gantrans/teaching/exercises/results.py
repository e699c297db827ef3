"""What an exercise says: a `Result` after checking; a `Card` for task, hints and solution."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """How an answer stands."""

    NOT_ATTEMPTED = "not attempted"
    INCORRECT = "incorrect"
    CORRECT = "correct"
    CANNOT_CHECK = "cannot check"


# mark and colour (Okabe & Ito's colour-blind safe palette); the word is always written out as well
_STYLE = {
    State.NOT_ATTEMPTED: ("○", "#0072B2"),
    State.INCORRECT: ("✗", "#D55E00"),
    State.CORRECT: ("✓", "#009E73"),
    State.CANNOT_CHECK: ("?", "#CC79A7"),
}


@dataclass(frozen=True)
class Result:
    """The outcome of a check: `str(result)` is plain, a notebook shows it with a coloured bar.

    `cause` is the name of the known wrong answer that behaves the same, and `misconception` what it stands
    for; or `cause` alone names what all failing inputs have in common, and `message` says it. `picture` makes
    HTML for a value that is an image, when it is shown.
    """

    state: State
    exercise: str
    message: str
    cause: str = ""
    misconception: str = ""
    picture: Callable[[], str] | None = field(default=None, compare=False, repr=False)

    @property
    def passed(self) -> bool:
        """True when the answer is correct."""
        return self.state is State.CORRECT

    def __str__(self) -> str:
        mark = _STYLE[self.state][0]
        thought = f"\nThis is what happens when {_lower(self.misconception)}" if self.misconception else ""
        return f"{mark} {self.exercise}: {self.state}. {_upper(self.message)}{thought}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        mark, colour = _STYLE[self.state]
        first, *rest = _html(_upper(self.message)).splitlines() or [""]
        body = f"<strong>{mark} {html.escape(self.exercise)}: {self.state}.</strong> {first}"
        body += "".join(f"<br><small>{line}</small>" for line in rest)
        if self.misconception:
            body += f"<br><em>This is what happens when {_html(_lower(self.misconception))}</em>"
        shown = self.picture() if self.picture is not None else ""
        body += f"<br>{shown}" if shown else ""
        return f'<div role="status" style="border-left:4px solid {colour};padding:.3em .8em">{body}</div>'


@dataclass(frozen=True)
class Card:
    """A piece of Markdown that a notebook renders and a terminal prints."""

    markdown: str

    def __str__(self) -> str:
        return self.markdown

    def __repr__(self) -> str:
        return self.markdown

    def _repr_markdown_(self) -> str:
        return self.markdown


def _html(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    # keep names such as "IoU" or "BCE" as they are written
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
