"""What a check of a folder found, as text, as plain Python, and as the one sentence that stops a training."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from gantrans.data.check.findings import NOTE, REFUSED, SEVERITIES, WARNING, Finding, plural, share
from gantrans.data.check.look import Look, Side
from gantrans.errors import DataError

FORMAT = 1
BINS = 16
_WIDTH = 100
_LABELS = {REFUSED: "REFUSED", WARNING: "WARNING", NOTE: "note"}


@dataclass(frozen=True)
class Report:
    """The result of a check.

    look: all that was measured. findings: the worst first.
    """

    look: Look
    findings: tuple[Finding, ...]

    @property
    def stopping(self) -> list[Finding]:
        """The findings that stop a training."""
        return [found for found in self.findings if found.stops]

    @property
    def accepted(self) -> list[Finding]:
        """The warnings that were found and accepted."""
        return [found for found in self.findings if found.accepted]

    @property
    def verdict(self) -> str:
        """The worst severity that stops a training, "accepted" if all are accepted, else "good"."""
        worst = [s for s in SEVERITIES if any(found.severity == s for found in self.stopping)]
        return worst[0] if worst else "accepted" if self.accepted else "good"

    def line(self) -> str:
        """One line: "checked 212 pairs: nothing to report"."""
        counts = Counter(found.severity for found in self.findings)
        said = [plural(counts[s], s if s != REFUSED else "refusal") for s in SEVERITIES if counts[s]]
        there = ", ".join(said) or "nothing to report"
        more = f" (python -m gantrans data check {self.look.root} shows them)" if said else ""
        return f"checked {plural(len(self.look.pairs), 'pair')}: {there}{more}"

    def stop(self) -> None:
        """Raise a `DataError` of one sentence if a finding stops a training."""
        stopping = self.stopping
        if not stopping:
            return
        first = stopping[0]
        if first.severity == REFUSED and str(self.look.root) in first.seen:
            raise DataError(first.seen)  # the sentence of the reader has the file and what to do
        files = f" ({first.files[0]}{_and_more(first.count - 1)})" if first.files else ""
        settle = f"{first.seen.rstrip('.')}{files}; {_lowered(first.settle.rstrip('.'))}"
        if first.severity == WARNING:
            settle += f", or go on with --accept {first.name}"
        others = ", ".join(found.name for found in stopping[1:])
        rest = f"; also: {others}" if others else ""
        look = f"; `python -m gantrans data check {self.look.root}` has the details{rest}"
        raise DataError(f"{self.look.root}: {first.name}: {settle}{look}.")

    def text(self) -> str:
        """The report for a terminal: the folder, its two sides, the findings, the verdict."""
        look = self.look
        counts = Counter(look.splits)
        parts = ", ".join(f"{counts[name]} {name}" for name in ("train", "val", "test"))
        lines = [f"{look.root}: {plural(len(look.pairs), 'pair')} ({parts})", f"  taken as  {_taken(look)}"]
        lines += [f"  {side.role:<9} {described(side)}" for side in look.sides]
        for found in self.findings:
            lines += ["", *_block(found, look.root)]
        return "\n".join([*lines, "", self._last()])

    def _last(self) -> str:
        if self.verdict == "good":
            rest = "" if not self.findings else f" Of {plural(len(self.findings), 'note')} none stops it."
            return f"This folder can be trained on.{rest}"
        if self.verdict == "accepted":
            return f"Accepted: {', '.join(found.name for found in self.accepted)}. A training begins."
        names = [found.name for found in self.stopping if found.severity == WARNING]
        if self.verdict == REFUSED:
            return "A training is refused until this is settled."
        return f"A training stops here; go on with {' '.join(f'--accept {name}' for name in names)}."

    def to_dict(self) -> dict[str, Any]:
        """The report as plain Python, for JSON."""
        look = self.look
        return {
            "format": FORMAT,
            "folder": str(look.root),
            "verdict": self.verdict,
            "direction": look.direction.name if look.direction else None,
            "target_kind": look.kind,
            "splits": dict(Counter(look.splits)),
            "bits": look.bits,
            "sides": {side.role: _side(side) for side in look.sides},
            "findings": [found.to_dict() for found in self.findings],
            "pairs": _pairs(look),
        }


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _and_more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _taken(look: Look) -> str:
    kinds = {
        "binary": "black and white targets",
        "grey": "grey or colour targets",
        "classes": "targets of classes",
    }
    name = f"{look.direction.name}, " if look.direction else ""
    return f"{name}{kinds[look.kind]}" + (" (as found; state --direction)" if look.guessed else "")


def described(side: Side) -> str:
    """The images of a side in one line: files, depth, sizes, values."""
    there = [image for image in side.images if image.channels]
    if not there:
        return "no file can be read"
    forms = " and ".join(name for name, _ in Counter(image.form for image in there).most_common())
    kinds = Counter(f"{_depth(image.dtype)}, {_channels(image.channels)}" for image in there)
    sizes = Counter(image.size for image in there)
    (width, height), _ = sizes.most_common(1)[0]
    size = f"{width} x {height} px" + (
        f" and {plural(len(sizes) - 1, 'other size')}" if len(sizes) > 1 else ""
    )
    values = side.values if all(image.channels for image in side.images) else None
    low, high = min(image.low for image in there), max(image.high for image in there)
    used = f"values {', '.join(values)}" if values and len(values) <= 4 else f"values {low:g} to {high:g}"
    if any(image.dtype == "uint16" for image in there):
        used += f" ({max(1, int(high)).bit_length()} bits used)"
    levels = int(np.count_nonzero(side.total))
    if side.two_valued:
        used += f", white {share(float(side.total[128:].sum()), float(side.total.sum()))}"
    elif levels > 2:
        used += f", {levels} grey levels"
    return f"{forms}, {' and '.join(k for k, _ in kinds.most_common(3))}, {size}, {used}"


def _depth(dtype: str) -> str:
    names = {"bool": "1-bit", "uint8": "8-bit", "uint16": "16-bit"}
    return names.get(dtype, dtype)


def _channels(count: int) -> str:
    return {1: "grey", 2: "grey and alpha", 3: "RGB", 4: "RGBA"}.get(count, f"{count} channels")


def _block(found: Finding, root: Path) -> list[str]:
    label = "accepted" if found.accepted else _LABELS[found.severity]
    rows = [
        ("", found.seen),
        ("where", files(found, root)),
        ("effect", found.effect),
        ("settle", found.settle),
    ]
    lines = []
    for name, sentence in rows:
        if sentence:
            head = f"{label:<9} {found.name}: " if not name else f"  {name:<8}"
            body = wrap(head + sentence if not name else sentence, _WIDTH - (0 if not name else 10))
            lines += body[:1] if not name else [head + body[0]]
            lines += [" " * 10 + line for line in body[1:]]
    return lines


def files(found: Finding, root: Path, most: int = 3) -> str:
    """The first files of a finding, by their path in the folder `root`, and the number of the others."""
    inside = [path.relative_to(root) if path.is_relative_to(root) else path for path in found.files[:most]]
    named = ", ".join(str(path) for path in inside)
    return named + _and_more(found.count - min(most, len(found.files)))


def _side(side: Side) -> dict[str, Any]:
    there = [image for image in side.images if image.channels]
    bins = side.total.reshape(BINS, -1).sum(axis=1)
    return {
        "folder": side.folder,
        "files": len(side.images),
        "described": described(side),
        "formats": dict(Counter(image.form for image in there)),
        "dtypes": dict(Counter(image.dtype for image in there)),
        "channels": {str(n): c for n, c in Counter(image.channels for image in there).items()},
        "sizes": {f"{w}x{h}": c for (w, h), c in Counter(image.size for image in there).items()},
        "low": min((image.low for image in there), default=None),
        "high": max((image.high for image in there), default=None),
        "values": list(side.values) if there and side.values is not None else None,
        "two_valued": side.two_valued,
        "white_share": float(side.total[128:].sum() / max(1, side.total.sum())),
        "coloured": sum(image.colour.share > 0.02 for image in there),
        "histogram": [float(b / max(1, side.total.sum())) for b in bins],
    }


def _pairs(look: Look) -> list[dict[str, Any]]:
    """One row per pair: split, size, displacement, agreement, polarity, share of white."""
    place = {int(index): row for row, index in enumerate(look.usable)}
    moved, relation = look.displacement, look.relation
    rows: list[dict[str, Any]] = []
    for index, pair in enumerate(look.pairs):
        row = place.get(index)
        known = row is not None and relation is not None
        levels = pair.target.levels
        rows.append(
            {
                "name": pair.name,
                "split": pair.split,
                "size": list(pair.input.size),
                "offset_px": _offset(moved.own[row]) if moved is not None and row is not None else None,
                "agreement": round(float(relation.own[row]), 3) if known else None,  # type: ignore[union-attr]
                "polarity": round(float(relation.sign[row]), 3) if known else None,  # type: ignore[union-attr]
                "white_share": round(float(levels[128:].sum() / max(1, levels.sum())), 4),
            }
        )
    return rows


def _offset(own: Sequence[float] | np.ndarray) -> list[int] | None:
    return None if np.isnan(own[0]) else [int(own[0]), int(own[1])]


def paths_of(found: Sequence[Finding]) -> list[Path]:
    """All files that some findings name, without repetition."""
    return list(dict.fromkeys(path for one in found for path in one.files))
