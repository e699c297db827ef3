"""The rules of the first form, for lessons that are not rewritten yet (`form = "first"` in `lesson.toml`)."""

import math
import re
from collections.abc import Iterator
from statistics import median

from nbformat import NotebookNode

from gantrans.teaching.course import Lesson
from gantrans.teaching.notebooks.cells import cell_name, code_lines, is_task, plain, text_of, words
from gantrans.teaching.notebooks.screens import minutes_problems, parameters_place, parameters_problems

MEDIAN_LINES, P90_LINES, MOST_LINES, MOST_WORDS = 6, 20, 40, 120
PASSIVE_CELLS = 2
"""Cells in a row that give the learner nothing back: text, and code without an output."""
CELLS_WITHOUT_A_TASK = 10
"""Cells in a row in which the learner only runs code."""
FIRST_SCREEN = {
    "a title (`# ...`)": r"^# \S",
    "a question": r"\?",
    "three things the reader will be able to do (`able to`, then three bullets)": r"able to.*?(\n[-*] .*){3}",
    "the prerequisites": r"[Pp]rerequisite",
}
LAST_SCREEN = {
    "a recap of five bullets (`## Recap`)": r"^## Recap\b[^#]*?(^[-*] [^#]*?){5}",
    "wrap-up questions (`## Wrap-up`)": r"^## Wrap-up",
    "references with links (`## References`)": r"^## References\b.*?\]\(https?://",
    "what would change our mind (a heading with these words)": r"^## What would change our mind",
}


def first_form_problems(notebook: NotebookNode, lesson: Lesson | None = None) -> list[str]:
    """Every broken rule, one sentence each; without `lesson`, of a notebook outside the course."""
    cells = notebook.cells
    rules = (first_screen(notebook, lesson), last_screen(cells), lengths(cells), actions(cells))
    return [problem for rule in rules for problem in rule]


def first_screen(notebook: NotebookNode, lesson: Lesson | None = None) -> Iterator[str]:
    """Title, question, goals, prerequisites and minutes in the text, as in `lesson.toml`; then one cell
    tagged `parameters`."""
    cells = notebook.cells
    yield from parameters_problems(cells)
    text = text_of(cells[: parameters_place(cells) or 2])
    yield from _missing(text, FIRST_SCREEN, "first")
    declared = notebook.metadata.get("gantrans", {}).get("minutes", {})
    if lesson is not None:
        yield from _as_declared(text, lesson)
        if declared:
            yield "metadata.gantrans.minutes is for other notebooks: lesson.toml has them, remove it."
        declared = lesson.minutes
    yield from minutes_problems(text, declared)


def _as_declared(text: str, lesson: Lesson) -> Iterator[str]:
    if not re.match(rf"# {lesson.number} · {re.escape(lesson.title)}(: |\n|$)", text):
        yield f"the first screen does not begin as lesson.toml has it: `# {lesson.number} · {lesson.title}`."
    said = plain(text)
    if plain(f"**The question:** {lesson.question}"[:-1]) not in said:
        yield f"the first screen does not ask lesson.toml's question: {lesson.question}"
    goals = [plain(goal) for goal in re.findall(r"^[-*] (.*?)[.,;]?$", text, re.M)]
    if goals != [plain(goal) for goal in lesson.goals]:
        yield f"the bullets of the first screen are not lesson.toml's goals: {'; '.join(lesson.goals)}."
    if plain(f"**Prerequisites:** {lesson.prerequisites}.") not in said:
        yield f"the first screen does not have lesson.toml's prerequisites: {lesson.prerequisites}."


def last_screen(cells: list[NotebookNode]) -> Iterator[str]:
    """Recap, wrap-up questions, references, what would change our mind: among the last eight cells."""
    text = "\n\n".join(cell.source for cell in cells[-8:] if cell.cell_type == "markdown")
    yield from _missing(text, LAST_SCREEN, "last")


def _missing(text: str, parts: dict[str, str], screen: str) -> Iterator[str]:
    for part, pattern in parts.items():
        if not re.search(pattern, text, re.M | re.S):
            yield f"the {screen} screen lacks {part}."


def lengths(cells: list[NotebookNode]) -> Iterator[str]:
    """Code cells: median, 90th percentile and hard limit of lines. Text cells: words."""
    counts = sorted(n for n in (code_lines(c.source) for c in cells if c.cell_type == "code") if n)
    if counts and median(counts) > MEDIAN_LINES:
        yield f"half of the code cells have more than {MEDIAN_LINES} lines: move code to the library."
    if counts and counts[math.ceil(0.9 * len(counts)) - 1] > P90_LINES:
        yield f"more than a tenth of the code cells have over {P90_LINES} lines: move code to the library."
    for number, cell in enumerate(cells, 1):
        size, most, unit = code_lines(cell.source), MOST_LINES, "lines"
        if cell.cell_type == "markdown":
            size, most, unit = words(cell.source), MOST_WORDS, "words"
        if size > most:
            yield f"{cell_name(number, cell)} has {size} {unit}, at most {most} are allowed."


def actions(cells: list[NotebookNode]) -> Iterator[str]:
    """Never more than two cells in a row that give nothing back, never more than ten without a task."""
    passive = idle = 0
    for number, cell in enumerate(cells[:-1], 1):  # the last text may be as long as it is
        tasked = is_task(cell)
        idle = 0 if tasked else idle + 1
        answers = tasked or cell.get("outputs") or "parameters" in cell.metadata.get("tags", [])
        passive = 0 if answers else passive + 1
        if passive == PASSIVE_CELLS + 1 and number < len(cells) - 5:  # the last screen is read
            yield f"{cell_name(number, cell)} is the third in a row with nothing to do or see."
        if idle == CELLS_WITHOUT_A_TASK + 1:
            yield f"{cell_name(number, cell)} is the eleventh in a row without a task for the learner."
