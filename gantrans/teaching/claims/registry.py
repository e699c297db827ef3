"""The claims the course tests, each with the rule that will judge it, written before its experiment runs.

The sentences and rules are in the `claims.toml` of the lessons, one table per id (README.md here lists the
keys); `claims.lock.json` beside it says when each rule was written and keeps its hash, and the same for its
sentence alone (what is judged, on which quantity, in which region). A rule that was changed without being
written down again can give no verdict; one that is younger than the data it judges is marked so wherever its
verdict is shown.
"""

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from gantrans.errors import GantransError
from gantrans.teaching.places import LESSONS

RULES, LOCK = "claims.toml", "claims.lock.json"
"""In the folder of a lesson: its claims with their rules, and when each rule was written down."""
KINDS = ("paired", "repeats", "proportion", "exact")
COMPARISONS = ("difference", "ratio")
FEWEST = {"paired": 6, "repeats": 6, "proportion": 100, "exact": 1}
"""Fewest observations that can decide, by kind. Six pairs, not five: swapping the two labels of a pair at
random reproduces five equal signs in 2 of 32 cases (6.2 %), six in 2 of 64 (3.1 %)."""
SENTENCE = ("name", "effect", "kind", "region", "unit", "arms", "compare", "level", "fewest")
"""What of a part its sentence is made of. All other fields belong to the rule as well, and to its hash."""

OLDER = "older than its data"
COMPLETED = "sentence and region older than its data; setting, estimator, seeds and configuration added later"
YOUNGER = "younger than its data"
AGES = (OLDER, COMPLETED, YOUNGER)


class ClaimError(GantransError, ValueError):
    """A claim, its rule or its record is unknown, incomplete or does not agree with its data."""


@dataclass(frozen=True)
class Part:
    """One setting in which a claim is judged.

    `region` is the set of values of the effect, in `unit`, for which the judged sentence is true, as
    (lowest, highest); its finite end nearest to "no effect" is the smallest size that matters. The kinds:

    - `paired`: two arms on the same seeds; the effect is the first of `arms` minus (or over) the second,
      with a paired t interval over seeds;
    - `repeats`: one value per repeat, with a t interval;
    - `proportion`: k of n trials, with the exact interval of Clopper and Pearson (1934);
    - `exact`: a deterministic number; no interval.

    `setting` is where it is measured, and `estimator` how the effect is computed where that is not the mean
    over seeds of one quantity of two arms. `noop` names the arm in which the claim's component does nothing;
    `noop_value` is the effect there (of a comparison: 0, or 1 for a ratio). `pilot` is the standard deviation
    of one observation (of log ratios for a ratio) in a pilot, for `claims.power`.
    """

    name: str
    effect: str
    kind: str
    region: tuple[float, float]
    unit: str = ""
    arms: tuple[str, ...] = ()
    compare: str = "difference"
    level: float = 0.99
    fewest: int = 1
    setting: str = ""
    estimator: str = ""
    noop: str = ""
    noop_value: float | None = None
    pilot: float | None = None

    def __post_init__(self) -> None:
        low, high = self.region
        problem = None
        if self.kind not in KINDS or self.compare not in COMPARISONS:
            problem = f"kind is one of {', '.join(KINDS)} and compare one of {', '.join(COMPARISONS)}"
        elif not low <= high or (math.isinf(low) and math.isinf(high)):
            problem = "region needs a finite end and lowest <= highest"
        elif (self.kind == "paired") != (len(self.arms) == 2):
            problem = "paired, and only paired, needs two arms"
        elif self.kind == "paired" and low <= (self.no_effect or 0.0) <= high:
            problem = (
                "the region of a comparison may not contain 'no effect', or chance alone would decide it"
            )
        elif self.noop_value is not None and self.kind == "paired":
            problem = "a comparison without its component has no effect; leave noop_value out"
        if problem:
            raise ClaimError(f"The rule for {self.name!r} cannot be used: {problem}.")

    @property
    def no_effect(self) -> float | None:
        """The value of the effect when there is none, where that is known: always for a comparison."""
        if self.kind != "paired":
            return self.noop_value
        return 1.0 if self.compare == "ratio" else 0.0


@dataclass(frozen=True)
class Claim:
    """What is said, what is true, and how the judged sentence is decided. See `claims.toml`.

    `instead` says why the judged sentence is another one than the sentence said; it is empty when that one is
    judged. `component` names what the claim credits with an effect. `seeds` and `config` hold, by scale, the
    seeds ("0-5") and the hash of the configuration that decide. A rule that can come out only one way names
    the `unit_test` that keeps it, and gives no verdict. `note` is printed in the claim's row.
    """

    id: str
    said: str
    true: str
    judged: str
    lessons: tuple[str, ...]
    scales: tuple[str, ...]
    parts: tuple[Part, ...]
    instead: str = ""
    component: str = ""
    seeds: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    unit_test: str = ""

    def __post_init__(self) -> None:
        if not self.scales or not set(self.scales) <= {"reduced", "full"}:
            raise ClaimError(
                f"Claim {self.id} has the scales {self.scales}; only reduced and full can decide."
            )

    @property
    def tests_said(self) -> bool:
        """Whether the judged sentence is the one that is said."""
        return not self.instead

    @property
    def hash(self) -> str:
        """Of all the verdict depends on: the sentence, its setting, estimator, seeds, configuration."""
        rule = asdict(self)
        return _hash(
            {k: rule[k] for k in ("id", "judged", "scales", "parts", "component", "seeds", "config")}
        )

    @property
    def sentence_hash(self) -> str:
        """Of the judged sentence, the scales, and each part's quantity, arms and region."""
        parts = [{k: asdict(part)[k] for k in SENTENCE} for part in self.parts]
        return _hash({"id": self.id, "judged": self.judged, "scales": self.scales, "parts": parts})

    def decides(self, scale: str, seeds: Sequence[int] | int = (), config: str = "") -> str:
        """Why data of this scale, these seeds and this configuration cannot decide; empty when they can."""
        if scale not in self.scales:
            return f"nothing is decided at scale {scale}"
        if self.seeds and scale not in self.seeds:
            return f"the rule names no seeds at scale {scale}"
        if self.seeds and (isinstance(seeds, int) or list(seeds) != numbers(self.seeds[scale])):
            return f"the rule asks for the seeds {self.seeds[scale]}"
        if self.config and config != self.config.get(scale):
            return f"the rule asks for the configuration {self.config.get(scale)}"
        return ""

    def part(self, name: str) -> Part:
        """The part of that name.

        Raises:
            ClaimError: for an unknown name; the message lists the parts.
        """
        for part in self.parts:
            if part.name == name:
                return part
        names = ", ".join(repr(p.name) for p in self.parts)
        raise ClaimError(f"Claim {self.id} has no part {name!r}; its parts are {names}.")

    @property
    def folder(self) -> Path:
        """Where the claim stands: the folder of its first lesson, or `shared` until that lesson exists."""
        folder = LESSONS / f"lesson{self.lessons[0]}"
        return folder if folder.is_dir() else LESSONS / "shared"

    def written(self, lock: Path | None = None) -> datetime:
        """When this rule was written down (UTC).

        Raises:
            ClaimError: when the rule has changed since, or was never written down.
        """
        return datetime.fromisoformat(self._entry(lock)["written"])

    def age(self, started: datetime, lock: Path | None = None) -> str:
        """Whether the rule is older than data begun then: one of `AGES`.

        Raises:
            ClaimError: when the rule has changed since it was written down, or never was.
        """
        entry = self._entry(lock)
        if datetime.fromisoformat(entry["written"]) <= started:
            return OLDER
        return COMPLETED if datetime.fromisoformat(entry["sentence_written"]) <= started else YOUNGER

    def _entry(self, lock: Path | None) -> dict[str, str]:
        lock = lock or self.folder / LOCK
        entry = json.loads(lock.read_text()).get(self.id) if lock.exists() else None
        if entry is None or entry["hash"] != self.hash:
            raise ClaimError(
                f"The rule of claim {self.id} is not the one written down in {lock.name}; "
                "run claims.stamp() first, then produce the data anew."
            )
        return dict(entry)


@lru_cache(maxsize=4)
def registered(lessons: Path = LESSONS) -> Mapping[str, Claim]:
    """All claims by id, in the order of their ids, from the folders of the lessons.

    Raises:
        ClaimError: an id stands twice, or in another folder than that of its first lesson.
    """
    found: dict[str, Claim] = {}
    for path in sorted(lessons.glob(f"*/{RULES}")):
        for claim_id, table in tomllib.loads(path.read_text("utf-8")).items():
            claim = _claim(claim_id, table)
            if claim_id in found:
                raise ClaimError(f"Claim {claim_id} stands twice, the second time in {_place(path)}.")
            if claim.folder.name != path.parent.name:
                raise ClaimError(f"Claim {claim_id} is in {_place(path)}; move it to {claim.folder.name}.")
            found[claim_id] = claim
    return dict(sorted(found.items()))


def _place(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def get(claim_id: str) -> Claim:
    """The claim with that id.

    Raises:
        ClaimError: for an id that is not registered.
    """
    claims = registered()
    if claim_id not in claims:
        raise ClaimError(
            f"Claim {claim_id!r} is not registered; add it with its rule to the {RULES} of its lesson."
        )
    return claims[claim_id]


def stamp(lock: Path | None = None, claims: Mapping[str, Claim] | None = None) -> list[str]:
    """Write down, with the time of now, every rule that is new or has changed; return their ids.

    Each lesson's rules are written to the lock in its folder, or all of `claims` to one file `lock`.
    """
    claims = registered() if claims is None else claims
    if lock is None:
        folders = dict.fromkeys(claim.folder for claim in claims.values())
        own = {f: {i: c for i, c in claims.items() if c.folder == f} for f in folders}
        return [i for folder, mine in own.items() for i in stamp(folder / LOCK, mine)]
    known = json.loads(lock.read_text()) if lock.exists() else {}
    changed = [i for i, c in claims.items() if known.get(i, {}).get("hash") != c.hash]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entries = {i: _stamped(c, known.get(i, {}), now) for i, c in claims.items()}
    lock.write_text(json.dumps(entries, indent=1) + "\n")
    return changed


def numbers(text: str) -> list[int]:
    """The seeds that "0-5" or "8-11, 20" names, in this order."""
    found: list[int] = []
    for piece in text.split(","):
        first, _, last = piece.strip().partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _stamped(claim: Claim, known: Mapping[str, str], now: str) -> dict[str, str]:
    same, same_sentence = known.get("hash") == claim.hash, known.get("sentence") == claim.sentence_hash
    return {
        "hash": claim.hash,
        "written": known["written"] if same else now,
        "sentence": claim.sentence_hash,
        "sentence_written": known["sentence_written"] if same_sentence else now,
    }


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _claim(claim_id: str, table: Mapping[str, Any]) -> Claim:
    table = dict(table)
    head = {k: table.pop(k) for k in ("said", "true", "judged")}
    lessons, scales = tuple(table.pop("lessons")), tuple(table.pop("scales", ("reduced", "full")))
    head |= {
        k: table.pop(k)
        for k in ("instead", "component", "seeds", "config", "note", "unit_test")
        if k in table
    }
    listed = table.pop("parts", ["all"])
    parts = tuple(_part(claim_id, {**table, **(p if isinstance(p, dict) else {"name": p})}) for p in listed)
    return Claim(id=claim_id, lessons=lessons, scales=scales, parts=parts, **head)


def _part(claim_id: str, values: dict[str, Any]) -> Part:
    try:
        values["region"] = tuple(map(float, values["region"]))
        values["arms"] = tuple(values.get("arms", ())) if values["kind"] == "paired" else ()
        values.setdefault("fewest", FEWEST.get(values["kind"], 1))
        return Part(**values)
    except (KeyError, TypeError) as error:
        raise ClaimError(f"Claim {claim_id} in {RULES} has a missing or unknown key: {error}.") from error
