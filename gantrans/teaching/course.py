"""What a lesson is: its `lesson.toml`, read and checked. Whatever lists lessons or needs their minutes reads
it here.

title = "Noise schedules"          # the page's heading is "01 · Noise schedules", a subtitle may follow
question = "How much noise, when?"
prerequisites = "lesson 00"
builds = "five schedules, noising in one step, log-SNR"
minutes = { person = 70, smoke = 0.4, reduced = 2, full = 5 }

[exceptions]                       # rules of the pattern that the page is better without (README.md)
"long cells" = "the U-Net is one class of 38 lines, as everywhere else"

A lesson that is not rewritten yet has `form = "first"`, no exceptions, and
goals = ["...", "...", "..."]      # three, as they stand behind "you will be able to"
"""

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from gantrans.errors import ConfigError, DataError
from gantrans.scales import SCALES
from gantrans.teaching.places import LESSONS, lesson_folders

MOST_MINUTES = {"smoke": 0.5, "reduced": 5.0, "full": 15.0}
"""What one lesson may declare. Longer experiments are sweeps (`python -m gantrans ablate`)."""
OVERRUN = 2.0
"""A smoke run fails when its CPU time exceeds the declared minutes by more than this factor."""
FILE = "lesson.toml"
FIRST, PATTERN = "first", "pattern"
"""The forms of a page: as the first edition had it, and the pattern of notebooks/README.md."""
EVIDENCE = "evidence"
"""The folder of the evidence pages, beside the lessons."""
EVIDENCE_SECONDS = 20.0
"""CPU seconds that an evidence page may take: it loads tables and trains nothing."""


@dataclass(frozen=True)
class Lesson:
    """One lesson: `number` is "06", `minutes` the machine needs at each scale, `person_minutes` a reader.

    `exceptions` has a reason for every rule of the pattern that its page does not keep.
    """

    number: str
    title: str
    question: str
    prerequisites: str
    builds: str
    person_minutes: float
    minutes: Mapping[str, float]
    folder: Path
    goals: tuple[str, ...] = ()
    form: str = PATTERN
    exceptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def notebook(self) -> Path:
        """The page of the lesson, `NN_name.ipynb` beside the folder `lessons`.

        Raises:
            DataError: there is none, or more than one.
        """
        pages = sorted(self.folder.parents[1].glob(f"{self.number}_*.ipynb"))
        if len(pages) != 1:
            there = ", ".join(page.name for page in pages) or "none"
            raise DataError(
                f"{self.folder.name} needs one notebook {self.number}_*.ipynb in "
                f"{self.folder.parents[1].name}/; there is {there}."
            )
        return pages[0]

    @property
    def evidence(self) -> Path:
        """Where the evidence page of the lesson stands, if it has one: named as its page."""
        return self.notebook.parent / EVIDENCE / self.notebook.name


def lessons(folder: Path = LESSONS) -> list[Lesson]:
    """Every lesson below `folder`, in order.

    Raises:
        DataError: a `lesson.toml` is missing or wrong; the message names the file, the key and the value.
    """
    return [read_lesson(path) for path in lesson_folders(folder)]


def lesson(number: str, folder: Path = LESSONS) -> Lesson:
    """The lesson "06".

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    known = lesson_folders(folder)
    chosen = folder / f"lesson{number}"
    if chosen not in known:
        there = ", ".join(path.name[-2:] for path in known)
        raise ConfigError(f"There is no lesson {number!r}; there are {there or 'none'}.")
    return read_lesson(chosen)


def lesson_of(notebook: Path) -> Lesson | None:
    """The lesson whose page, or evidence page, a notebook is; None for one without a folder
    `lessons/lessonNN` beside it."""
    beside = notebook.parent.parent if is_evidence(notebook) else notebook.parent
    folder = beside / "lessons" / f"lesson{notebook.name[:2]}"
    return read_lesson(folder) if re.match(r"\d\d_", notebook.name) and folder.is_dir() else None


def is_evidence(notebook: Path) -> bool:
    """Is this the evidence page of a lesson, `evidence/NN_name.ipynb`?"""
    return notebook.absolute().parent.name == EVIDENCE


def lesson_minutes(notebook: Path) -> dict[str, float]:
    """The minutes declared for each scale: in `lesson.toml`, or in the metadata (`gantrans.minutes`) of a
    notebook outside the course.

    Raises:
        DataError: if none are declared, or not one positive number for every scale.
    """
    page_of = lesson_of(notebook)
    if page_of is not None:
        return dict(page_of.minutes)
    metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    minutes = metadata.get("gantrans", {}).get("minutes", {})
    if set(minutes) != set(SCALES) or not all(map(_positive, minutes.values())):
        raise DataError(
            f"{notebook.name} declares minutes {minutes}; its metadata needs gantrans.minutes with a "
            f"positive number for each of {', '.join(SCALES)}."
        )
    return {scale: float(minutes[scale]) for scale in SCALES}


def cpu_limit(notebook: Path, scale: str = "smoke") -> float:
    """The CPU seconds that a run may take: twice the declared minutes; `EVIDENCE_SECONDS` for an evidence
    page. CPU time, since wall time depends on the machine's other work as well."""
    if is_evidence(notebook):
        return EVIDENCE_SECONDS
    return OVERRUN * 60 * lesson_minutes(notebook)[scale]


def course_table(course: Sequence[Lesson]) -> str:
    """The table of README.md; links start at the repository's root."""
    lines = [
        "| lesson | the question | you build | your minutes | smoke | reduced | full |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in course:
        link = f"[{one.number} {one.title}](notebooks/{one.notebook.name})"
        minutes = [one.person_minutes, *(one.minutes[scale] for scale in SCALES)]
        lines.append(f"| {' | '.join([link, one.question, one.builds, *(f'{m:g}' for m in minutes)])} |")
    return "\n".join(lines)


def read_lesson(folder: Path) -> Lesson:
    """The lesson of a folder `lessonNN`.

    Raises:
        DataError: its `lesson.toml` is missing or wrong.
    """
    path, number = folder / FILE, folder.name.removeprefix("lesson")
    if not path.is_file():
        raise DataError(f"{folder.name} has no {FILE}; copy one from another lesson and change it.")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{folder.name}/{FILE} is not TOML: {error}.") from None
    for key in sorted(set(raw) - set(_KEYS)):
        _refuse(folder, key, raw[key], f"the keys are {', '.join(_KEYS)}")
    for key, (good, expected) in _KEYS.items():
        if not good(raw.get(key, _DEFAULTS.get(key))):
            _refuse(folder, key, raw.get(key), f"it must be {expected}")
    if (raw.get("form") == FIRST) != ("goals" in raw) or (raw.get("form") == FIRST and "exceptions" in raw):
        raise DataError(
            f"{folder.name}/{FILE}: a lesson of the first form has goals and no exceptions, one of the "
            "pattern has no goals: its page has a plan."
        )
    later = [n for n in re.findall(r"\b\d\d\b", raw["prerequisites"]) if n >= number]
    if later:
        _refuse(folder, "prerequisites", raw["prerequisites"], f"lesson {later[0]} does not come before")
    minutes = {key: float(value) for key, value in raw.pop("minutes").items()}
    raw["goals"] = tuple(raw.get("goals", ()))
    return Lesson(number, person_minutes=minutes.pop("person"), minutes=minutes, folder=folder, **raw)


def _refuse(folder: Path, key: str, value: Any, why: str) -> NoReturn:
    raise DataError(f"{folder.name}/{FILE}: {key} is {value!r}; {why}.")


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _line(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\n" not in value and "|" not in value


def _is_minutes(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"person", *SCALES}:
        return False
    return all(_positive(v) and v <= MOST_MINUTES.get(key, v) for key, v in value.items())


def _limits() -> str:
    return ", ".join(f"{scale} (at most {most:g})" for scale, most in MOST_MINUTES.items())


_DEFAULTS: dict[str, Any] = {"goals": [], "form": PATTERN, "exceptions": {}}
_KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "title": (_line, "one line of text"),
    "question": (lambda value: _line(value) and value.endswith("?"), "one line that ends in a question mark"),
    "goals": (
        lambda value: isinstance(value, list) and len(value) in (0, 3) and all(map(_line, value)),
        "three lines of text",
    ),
    "form": (lambda value: value in (FIRST, PATTERN), f"{FIRST!r} or left out"),
    "exceptions": (
        lambda value: isinstance(value, dict) and all(map(_line, value.values())),
        "a table of rules, each with its reason in one line",
    ),
    "prerequisites": (_line, "one line of text"),
    "builds": (_line, "one line of text"),
    "minutes": (_is_minutes, f"a table of positive numbers: person, {_limits()}"),
}
