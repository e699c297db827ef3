"""The rules of writing that every lesson keeps: short cells, one figure a cell, something to do, one frame.

Each rule yields sentences that name the cell and say what to do. They read the notebook as it is committed,
so no kernel is needed. The rules and their reasons are in notebooks/README.md.
"""

import ast
import math
import re
from collections.abc import Iterator, Mapping
from statistics import median

from nbformat import NotebookNode

from gantrans.scales import SCALES
from gantrans.teaching.course import MOST_MINUTES, Lesson
from gantrans.teaching.plots.display import figures_without_alt

MEDIAN_LINES, P90_LINES, MOST_LINES, MOST_WORDS = 6, 20, 40, 120
PASSIVE_CELLS = 2
"""Cells in a row that give the learner nothing back: text, and code without an output."""
CELLS_WITHOUT_A_TASK = 10
"""Cells in a row in which the learner only runs code."""
TASKS = {"predict", "recall", "check", "explore", "wrap_up"}
"""Calls that ask the learner for something; so do the tags `exercise` (a stub) and `change` (a knob)."""
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
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


def rule_problems(notebook: NotebookNode, lesson: Lesson | None = None) -> list[str]:
    """Every broken rule, one sentence each; without `lesson`, of a notebook outside the course."""
    cells = notebook.cells
    rules = (
        first_screen(notebook, lesson),
        last_screen(cells),
        lengths(cells),
        figures(notebook),
        actions(cells),
    )
    return [problem for rule in rules for problem in rule]


def cell_name(number: int, cell: NotebookNode) -> str:
    """How messages name a cell: its place, counted from 1, and how it begins."""
    begin = next((line.strip() for line in cell.source.splitlines() if line.strip()), "empty")
    return f"cell {number} ({begin[:40]})"


def first_screen(notebook: NotebookNode, lesson: Lesson | None = None) -> Iterator[str]:
    """Title, question, goals, prerequisites and minutes in the text, as in `lesson.toml`; then one cell
    tagged `parameters`."""
    cells = notebook.cells
    places = [i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    if len(places) != 1 or places[0] > 3:
        yield "the first screen needs one cell tagged `parameters`, among the first four cells."
    else:
        missing = {"scale", "seed"} - _assigned(cells[places[0]].source)
        if missing:
            yield f"the parameters cell does not set {' and '.join(sorted(missing))}."
    text = "\n".join(cell.source for cell in cells[: (places or [2])[0]] if cell.cell_type == "markdown")
    yield from _missing(text, FIRST_SCREEN, "first")
    declared = notebook.metadata.get("gantrans", {}).get("minutes", {})
    if lesson is not None:
        yield from _as_declared(text, lesson)
        if declared:
            yield "metadata.gantrans.minutes is for other notebooks: lesson.toml has them, remove it."
        declared = lesson.minutes
    yield from _minutes(text, declared)


def _as_declared(text: str, lesson: Lesson) -> Iterator[str]:
    if not re.match(rf"# {lesson.number} · {re.escape(lesson.title)}(: |\n|$)", text):
        yield f"the first screen does not begin as lesson.toml has it: `# {lesson.number} · {lesson.title}`."
    plain = _plain(text)
    if _plain(f"**The question:** {lesson.question}"[:-1]) not in plain:
        yield f"the first screen does not ask lesson.toml's question: {lesson.question}"
    goals = [_plain(goal) for goal in re.findall(r"^[-*] (.*?)[.,;]?$", text, re.M)]
    if goals != [_plain(goal) for goal in lesson.goals]:
        yield f"the bullets of the first screen are not lesson.toml's goals: {'; '.join(lesson.goals)}."
    if _plain(f"**Prerequisites:** {lesson.prerequisites}.") not in plain:
        yield f"the first screen does not have lesson.toml's prerequisites: {lesson.prerequisites}."


def _plain(text: str) -> str:
    """Without emphasis, differences of case and line breaks."""
    return " ".join(text.replace("*", "").casefold().split())


def _minutes(text: str, minutes: Mapping[str, float]) -> Iterator[str]:
    for scale in SCALES:
        declared = minutes.get(scale)
        if not isinstance(declared, (int, float)) or not 0 < declared <= MOST_MINUTES[scale]:
            most = MOST_MINUTES[scale]
            yield f"metadata.gantrans.minutes has {declared!r} for {scale}; at most {most:g} is allowed."
        elif not re.search(rf"\b{scale}\b\D{{0,12}}{re.escape(f'{declared:g}')}(?![\d.]*\d)", text):
            yield f"the first screen does not say the declared minutes: write `{scale} {declared:g}`."


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


def code_lines(source: str) -> int:
    """Lines that are not blank."""
    return sum(bool(line.strip()) for line in source.splitlines())


def words(text: str) -> int:
    """Words that a reader sees: no comments, formulas, code blocks or addresses of links."""
    hidden = r"<!--.*?-->|\$\$.*?\$\$|```.*?```|\]\([^)]*\)"
    return len(re.findall(r"\w[\w'-]*", re.sub(hidden, " ", text, flags=re.S)))


def figures(notebook: NotebookNode) -> Iterator[str]:
    """One figure per cell, each with alt text; a widget has a static figure with it or after it."""
    waiting = ""
    for number, cell in enumerate(notebook.cells, 1):
        name = cell_name(number, cell)
        shown = [output.get("data", {}) for output in cell.get("outputs", [])]
        images = sum(any(mime.startswith("image/") for mime in data) for data in shown)
        if images > 1:
            yield f"{name} shows {images} figures: one per cell."
        yield from (f"{name}: {bad}." for bad in figures_without_alt({"cells": [cell], "metadata": {}}))
        if cell.cell_type == "markdown" and re.search(r"!\[\s*\]\(|<img(?![^>]*\balt=.\w)", cell.source):
            yield f"{name} contains an image without alt text."
        if any(WIDGET_VIEW in data and "text/markdown" not in data for data in shown):  # forms carry text
            waiting = name
        if images:
            waiting = ""
    if waiting:
        yield f"{waiting} shows a widget and no static figure follows, so a rendered page shows nothing."
    in_widgets = figures_without_alt({"cells": [], "metadata": notebook.metadata})
    yield from (f"in a widget, {bad}." for bad in in_widgets)


def actions(cells: list[NotebookNode]) -> Iterator[str]:
    """Never more than two cells in a row that give nothing back, never more than ten without a task."""
    passive = idle = 0
    for number, cell in enumerate(cells[:-1], 1):  # the last text may be as long as it is
        tasked = is_task(cell)
        idle = 0 if tasked else idle + 1
        answers = tasked or cell.get("outputs") or "parameters" in cell.metadata.get("tags", [])
        passive = 0 if answers else passive + 1
        if passive == PASSIVE_CELLS + 1 and number < len(cells) - 4:  # the last screen is read
            yield f"{cell_name(number, cell)} is the third in a row with nothing to do or see."
        if idle == CELLS_WITHOUT_A_TASK + 1:
            yield f"{cell_name(number, cell)} is the eleventh in a row without a task for the learner."


def is_task(cell: NotebookNode) -> bool:
    """Does this cell ask the learner for something?"""
    if cell.cell_type != "code":
        return False
    return bool({"exercise", "change"} & set(cell.metadata.get("tags", [])) or TASKS & _called(cell.source))


def _called(source: str) -> set[str]:
    calls = [node.func for node in ast.walk(_tree(source)) if isinstance(node, ast.Call)]
    return {getattr(function, "id", getattr(function, "attr", "")) for function in calls}


def _assigned(source: str) -> set[str]:
    return {n.id for n in ast.walk(_tree(source)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _tree(source: str) -> ast.AST:
    try:
        return ast.parse(re.sub(r"^[%!].*$", "", source, flags=re.M))
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])
