"""How far the learner is: solved and open exercises, whose version runs, hints, minutes, and what comes
next."""

import html
from typing import Any

from gantrans.teaching.course import Lesson, lessons
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.registry import exercises
from gantrans.teaching.exercises.results import Card
from gantrans.teaching.learner import forms, progress
from gantrans.teaching.mine import runs_mine

Row = dict[str, Any]
FIRST = "00"


def standing(lesson: str | None = None) -> list[Row]:
    """One row per exercise, of all lessons or of one ("03"), in the order of the report.

    Keys: lesson, exercise, importance ("must" or "may"), state ("solved", "tried" or "open"), yours (whether
    the learner's version runs), attempts, hints, minutes (estimated), declared (minutes the exercise should
    take).
    """
    known = progress.load()["exercises"]
    return [_row(ex, known.get(ex.id, {})) for ex in exercises(lesson)]


def progress_table(lesson: str | None = None) -> Card:
    """The course by lesson, or one lesson ("03") by exercise, and the next step; the same text on every
    machine where nothing is stored."""
    rows = standing(lesson)
    lines = _by_exercise(rows) if lesson else _by_lesson(rows, lessons())
    return Card("\n".join([*lines, "", next_step(rows, lesson)]))


def my_progress(lesson: str | None = None) -> None:
    """Show how far you are: `my_progress("01")` at a lesson's end, `my_progress()` for the whole course.

    With someone there, a bar stands above the table: one per lesson at the course's start, else the lesson's.
    """
    if forms.shell() is None:
        print(progress_table(lesson))
        return
    from IPython.display import HTML, display

    if forms.live():
        display(HTML(_bars(standing(None if lesson == FIRST else lesson))))
    display(progress_table(lesson))


def next_step(rows: list[Row], lesson: str | None = None) -> str:
    """One sentence: the first open exercise that must be done, else one that may be, else what is left to
    do."""
    left = [row for row in rows if row["state"] != "solved"]
    must = [row for row in left if row["importance"] == "must"]
    if must or left:
        row = (must or left)[0]
        of = "" if lesson else f" of lesson {row['lesson']}"
        again = "again " if row["state"] == "tried" else ""
        kind = "" if must else ", which may be left out"
        return f"**Next:** try `{row['exercise']}`{of} {again}(about {row['declared']} minutes){kind}."
    if lesson:
        return "**Next:** the lesson after this one; all exercises here are solved."
    return (
        "**Next:** `python -m gantrans course export` writes what you have built; all exercises are solved."
    )


def _row(ex: Exercise, entry: dict[str, Any]) -> Row:
    tried = "tried" if entry.get("attempts", 0) else "open"
    return {
        "lesson": ex.lesson,
        "exercise": ex.name,
        "importance": ex.importance,
        "state": "solved" if entry.get("solved") else tried,
        "yours": runs_mine(ex),
        "attempts": entry.get("attempts", 0),
        "hints": entry.get("hints", 0),
        "minutes": entry.get("minutes", 0.0),
        "declared": ex.minutes,
    }


def _by_exercise(rows: list[Row]) -> list[str]:
    lines = ["| exercise | | state | whose version runs | hints | minutes |", "|---|---|---|---|---|---|"]
    for row in rows:
        whose = "yours" if row["yours"] else "the course's"
        spent = f"{row['minutes']:.0f} of " if row["attempts"] else ""
        spent += f"about {row['declared']}"
        lines.append(
            f"| `{row['exercise']}` | {row['importance']} | {row['state']} | {whose} | "
            f"{row['hints']} | {spent} |"
        )
    return lines


def _by_lesson(rows: list[Row], course: list[Lesson]) -> list[str]:
    lines = ["| lesson | must | may | your versions | hints | minutes |", "|---|---|---|---|---|---|"]
    for one in course:
        own = [row for row in rows if row["lesson"] == one.number]
        must, may = ([row for row in own if row["importance"] == kind] for kind in ("must", "may"))
        spent, hints = sum(row["minutes"] for row in own), sum(row["hints"] for row in own)
        lines.append(
            f"| {one.number} {one.title} | {_share(must)} | {_share(may)} | {sum(r['yours'] for r in own)} | "
            f"{hints} | {spent:.0f} |"
        )
    return lines


def _share(rows: list[Row]) -> str:
    return f"{sum(row['state'] == 'solved' for row in rows)} of {len(rows)}" if rows else "none"


def _bars(rows: list[Row]) -> str:
    """A bar for each lesson: solved, and with your version running (darker), of all its exercises."""
    bars = []
    for lesson in sorted({row["lesson"] for row in rows}):
        own = [row for row in rows if row["lesson"] == lesson]
        solved = sum(row["state"] == "solved" for row in own)
        yours = sum(row["yours"] for row in own)
        words = f"lesson {lesson}: {solved} of {len(own)} exercises solved, {yours} of them run as yours"
        parts = ((yours, "#009E73"), (max(0, solved - yours), "#56B4E9"))
        fill = "".join(
            f'<span style="height:100%;width:{100 * count / len(own):.1f}%;background:{colour}"></span>'
            for count, colour in parts
        )
        said = html.escape(words)
        bars.append(
            '<div style="display:flex;gap:.6em;align-items:center">'
            f'<span style="width:5.5em">lesson {lesson}</span>'
            f'<span role="img" aria-label="{said}" title="{said}" '
            f'style="display:flex;width:14em;height:.8em;background:#ddd">{fill}</span>'
            f"<span>{solved} of {len(own)}</span></div>"
        )
    return "".join(bars)
