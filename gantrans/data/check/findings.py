"""What a rule reports: what was seen, where, what it does to a training, and what settles it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

REFUSED, WARNING, NOTE = "refused", "warning", "note"
SEVERITIES = (REFUSED, WARNING, NOTE)
"""Harmful and certain: a training is refused. Harmful and likely: it stops until the finding is accepted.
A note stops nothing."""
MOST_FILES = 200
"""Files that a finding lists; `count` has their number."""


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        name: of the rule, which `--accept` takes.
        severity: one of `SEVERITIES`.
        seen: what was seen, in a sentence.
        effect: what it would do to a training.
        settle: what settles it, in a sentence.
        options: the command line options that settle it, such as ("--mask-values", "0,1"); () if none does.
        files: where it was seen, at most `MOST_FILES`. count: the number of all of them.
        accepted: a warning that the caller accepts.
    """

    name: str
    severity: str
    seen: str
    effect: str
    settle: str
    options: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    count: int = 0
    accepted: bool = False

    @property
    def stops(self) -> bool:
        """Whether a training does not begin."""
        return self.severity == REFUSED or (self.severity == WARNING and not self.accepted)

    def accept(self) -> "Finding":
        """The same finding, accepted."""
        return replace(self, accepted=True)

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain Python."""
        return {
            "name": self.name,
            "severity": self.severity,
            "accepted": self.accepted,
            "seen": self.seen,
            "effect": self.effect,
            "settle": self.settle,
            "options": list(self.options),
            "count": self.count,
            "files": [str(path) for path in self.files],
        }


def finding(
    name: str,
    severity: str,
    seen: str,
    effect: str,
    settle: str,
    *options: str,
    files: Sequence[Path] = (),
) -> Finding:
    """A `Finding` with its files counted and cut to the number that is listed."""
    return Finding(name, severity, seen, effect, settle, options, tuple(files[:MOST_FILES]), len(files))


def share(part: float, whole: float) -> str:
    """A share in words: "37 %", "all"; one below 1 % with a decimal."""
    percent = 100.0 * part / whole if whole else 0.0
    if part == whole:
        return "all"
    return f"{percent:.0f} %" if percent >= 1 else f"{percent:.1f} %"


def plural(count: int, noun: str) -> str:
    """A number and a noun: "1 pair", "12 pairs"."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun[:-1] + 'ies' if noun.endswith('py') else noun + 's'}"
