"""The recommendation, computed from the scores by rules that are stated in the report; nothing is typed.

1. Fewer than `FEWEST` independent test files: undecided.
2. A method below the limit of images per second, or without several answers where they are needed, is out.
3. The one with the best mean leads. It must be better than the baseline, which needs no training.
4. A rival is equal if the interval of the paired difference lies within the margin, worse if it lies above
   zero, else open. All intervals hold together at 95 % (Bonferroni).
5. No open rival: the leader, or the fastest of those equal to it. An open rival of another method: undecided.
   Numbers of steps of one method are no rivals: the fastest that is not worse is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gantrans.operations.comparison.intervals import ALPHA, FEWEST, Array, Interval, interval
from gantrans.operations.comparison.numerals import number

DECIDED, EQUAL, UNDECIDED = "decided", "equal", "undecided"


@dataclass(frozen=True)
class Measure:
    """What decides: name and unit for sentences, whether more is better, and a difference too small to
    matter."""

    label: str
    margin: float
    higher: bool = True

    def sign(self) -> float:
        """1 if more is better, else -1."""
        return 1.0 if self.higher else -1.0


@dataclass(frozen=True)
class Candidate:
    """A trained method at one number of steps, or the baseline.

    quality: (trainings, images) of the deciding measure. varied: whether it draws several answers.
    """

    name: str
    method: str
    quality: Array
    images_per_s: float
    varied: bool = False
    baseline: bool = False


@dataclass(frozen=True)
class Rival:
    """The leader against another: how much better the leader is, and "worse", "equal" or "open"."""

    name: str
    difference: Interval
    standing: str


@dataclass(frozen=True)
class Recommendation:
    """verdict: "decided", "equal" (several, one of them named) or "undecided" (`name` is then None)."""

    verdict: str
    name: str | None
    leader: str | None
    reasons: tuple[str, ...]
    rivals: tuple[Rival, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Plain Python for JSON."""
        rivals = [
            {"name": r.name, "standing": r.standing, "difference": r.difference.to_dict()}
            for r in self.rivals
        ]
        return {
            "verdict": self.verdict, "name": self.name, "leader": self.leader, "reasons": list(self.reasons),
            "rivals": rivals,
        }  # fmt: skip


def recommend(
    candidates: Sequence[Candidate],
    clusters: Sequence[str],
    measure: Measure,
    *,
    limit: float | None = None,
    need_draws: bool = False,
) -> Recommendation:
    """Apply the rules in the module's text.

    Args:
        clusters: the file that each test image was cut from.
        limit: images per second that are needed.
        need_draws: several different answers per input are needed.
    """
    files = len(set(clusters))
    if files < FEWEST:
        return Recommendation(UNDECIDED, None, None, (_too_few(files),))
    fitting, reasons = _fitting(candidates, limit, need_draws)
    if not fitting:
        return Recommendation(UNDECIDED, None, None, (*reasons, "So no method is left to recommend."))
    leader = max(fitting, key=lambda c: (_mean(c, measure), c.images_per_s, c.name))
    reasons.append(f"{leader.name} has the best mean {measure.label}: {number(_value(leader))}.")
    against = [c for c in candidates if c is not leader and (c.baseline or c in fitting)]
    rivals = tuple(_against(leader, other, clusters, measure, len(against)) for other in against)
    reasons += [_sentence(leader.name, rival, measure, files) for rival in rivals]
    by_name = {c.name: c for c in candidates}
    for rival in rivals:
        if by_name[rival.name].baseline and rival.standing != "worse":
            reasons.append(
                f"{leader.name} is not shown to be better than {rival.name}, which needs no training: more "
                "pairs or more minutes are needed before any method is worth using."
            )
            return Recommendation(UNDECIDED, None, leader.name, tuple(reasons), rivals)
    return _decide(leader, rivals, by_name, reasons, measure, files)


def _decide(
    leader: Candidate,
    rivals: tuple[Rival, ...],
    by_name: dict[str, Candidate],
    reasons: list[str],
    measure: Measure,
    files: int,
) -> Recommendation:
    """Rule 5, for a leader that is better than the baseline."""
    near = [r for r in rivals if r.standing != "worse"]
    still_open = [r for r in near if r.standing == "open" and by_name[r.name].method != leader.method]
    if still_open:
        reasons += [_needed(leader, rival, files) for rival in still_open]
        return Recommendation(UNDECIDED, None, leader.name, tuple(reasons), rivals)
    best = max([leader, *(by_name[r.name] for r in near)], key=lambda c: (c.images_per_s, c.name))
    others = any(by_name[r.name].method != leader.method for r in near)
    if near and best is not leader:
        reasons.append(
            f"{best.name} is taken, as it is the fastest of those not worse "
            f"({number(best.images_per_s)} images a second)."
        )
    return Recommendation(EQUAL if others else DECIDED, best.name, leader.name, tuple(reasons), rivals)


def _fitting(
    candidates: Sequence[Candidate], limit: float | None, need_draws: bool
) -> tuple[list[Candidate], list[str]]:
    """The methods that can be recommended at all, and a sentence for each of the others."""
    fitting, reasons = [], []
    for candidate in candidates:
        if candidate.baseline:
            continue
        if need_draws and not candidate.varied:
            reasons.append(f"{candidate.name} is out: it has one answer per input, and several are needed.")
        elif limit is not None and candidate.images_per_s < limit:
            reasons.append(
                f"{candidate.name} is out: {number(candidate.images_per_s)} images a second, "
                f"{number(limit)} are needed."
            )
        else:
            fitting.append(candidate)
    return fitting, reasons


def _against(
    leader: Candidate, other: Candidate, clusters: Sequence[str], measure: Measure, comparisons: int
) -> Rival:
    ours, theirs = leader.quality, other.quality
    if len(ours) != len(theirs) and min(len(ours), len(theirs)) > 1:  # a training failed
        ours, theirs = ours.mean(0, keepdims=True), theirs.mean(0, keepdims=True)
    found = interval(measure.sign() * (ours - theirs), clusters, ALPHA / comparisons)
    small = found.known and max(abs(found.low), abs(found.high)) < measure.margin
    standing = "worse" if found.side > 0 else "open"
    if small and not other.baseline:
        standing = "equal"
    return Rival(other.name, found, standing)


def _mean(candidate: Candidate, measure: Measure) -> float:
    return measure.sign() * _value(candidate)


def _value(candidate: Candidate) -> float:
    return float(np.nanmean(candidate.quality))


def _sentence(leader: str, rival: Rival, measure: Measure, files: int) -> str:
    d = rival.difference
    ending = {
        "worse": "above zero, so the difference is not chance",
        "equal": f"within {number(measure.margin)} of zero, so the two count as equal",
        "open": "zero is not excluded, and neither is a difference that matters",
    }[rival.standing]
    better = "better" if d.mean >= 0 else "worse"
    return (
        f"{leader} against {rival.name}: {better} by {number(abs(d.mean))} in {measure.label} (interval "
        f"{number(d.low)} to {number(d.high)}, {files} test files): {ending}."
    )


def _too_few(files: int) -> str:
    return (
        f"Too few pairs to decide: the test split has {files} file{'s' * (files != 1)}, and at least "
        f"{FEWEST} are needed. Add pairs, or assign more of them to test in a split.csv."
    )


def _needed(leader: Candidate, rival: Rival, files: int) -> str:
    """What would settle a difference of the size that was seen."""
    d = rival.difference
    half = (d.high - d.low) / 2
    seen = f"{leader.name} and {rival.name} cannot be distinguished"
    if len(leader.quality) > 1:
        return f"{seen}; more minutes, or further trainings (--seeds), would show more."
    if not (d.known and d.mean > 0 and half > 0):
        return f"{seen}; more test files or more minutes would show more."
    files_needed = int(np.ceil(files * (half / d.mean) ** 2))
    if files_needed > 100_000:
        return f"{seen}: the difference is next to nothing beside its spread."
    return (
        f"{seen}: a difference of this size would need about {files_needed:,} test files instead of {files}."
    )
