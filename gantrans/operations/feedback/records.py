"""Records of a feedback store: verdicts, predictions, and training pairs made from them."""

from dataclasses import dataclass
from typing import Literal, get_args

VerdictWord = Literal["accept", "minor", "reject"]
LabelKind = Literal["truth", "corrected"]
VERDICTS: tuple[str, ...] = get_args(VerdictWord)
KINDS: tuple[LabelKind, ...] = get_args(LabelKind)
ACCEPTED = "accepted"
ORIGINS: tuple[str, ...] = (*KINDS, ACCEPTED)
"""Where the target of a pair comes from: a label of some kind, or the output that a person accepted."""


@dataclass(frozen=True)
class Verdict:
    """What a person decided about one item; `reviewer` is "" if unknown."""

    item: str
    verdict: VerdictWord
    note: str
    model: str
    measured: dict[str, float | None]
    made_at: str
    reviewer: str = ""


@dataclass(frozen=True)
class Prediction:
    """One translation; `input` and `output` are the SHA-256 names of images in the store."""

    id: str
    direction: str
    model: str
    input: str
    output: str
    pixel_nm: float | None
    seconds: float
    made_at: str


@dataclass(frozen=True)
class Pair:
    """The input of a prediction with its target: a true or corrected label, or the accepted output."""

    prediction: str
    input: str
    target: str
    origin: str
    model: str
    pixel_nm: float | None
    made_at: str
