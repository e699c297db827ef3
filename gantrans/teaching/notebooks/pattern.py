"""The pattern of a lesson: the rules that its page keeps, each with a name.

Each rule yields (name, sentence) for what is broken. A page that is better outside a rule lists the rule's
name with its reason in `lesson.toml`, in the table `[exceptions]`; a needless exception is a problem itself.
The pattern and its reasons are in notebooks/README.md.
"""

import ast
import itertools
import re
from collections.abc import Iterator, Sequence

from nbformat import NotebookNode

from gantrans.teaching.course import FILE, Lesson
from gantrans.teaching.notebooks.cells import (
    call_name,
    called,
    cell_name,
    code_cells,
    is_exercise,
    plain,
    text_of,
    tree_of,
)
from gantrans.teaching.notebooks.checked import checked, goes_on, not_run_later, not_used_later
from gantrans.teaching.notebooks.measures import EXERCISES, LIMITS, predicted, quantities, revealed
from gantrans.teaching.notebooks.screens import minutes_problems, parameters_problems

TRAIN = ("01", "03", "04", "05", "06", "07", "12", "14", "15", "16")
"""Lessons with a training step on the page: one cell with `.backward(` and an optimiser's `.step()`."""
NETWORKS = ("01", "03", "04", "05", "08")
"""Lessons with a network on the page: `class ...(nn.Module)`."""
WHOLE = {"loop", "step", "module", "class"}
BUG = "bug"
"""Words in the kind of an exercise: a page has one that is more than a formula, and one bug to find."""
DOUBT = "What to set, and when to doubt it"
MIND = "What would change our mind"
LAST = (DOUBT, "Recap", "References", "What comes next")
"""Headings that end a page, in this order; the closing questions stand between recap and references."""
PLAN_LINES = 4

Problem = tuple[str, str]
Place = tuple[int, int]


def pattern_problems(notebook: NotebookNode, lesson: Lesson) -> list[str]:
    """Every sentence for a broken rule that `lesson.toml` does not except, and for a needless exception."""
    cells = notebook.cells
    rules = (
        first_screen(notebook, lesson),
        order(cells, lesson),
        limits(notebook, lesson),
        predictions(cells),
        exercise_cells(cells),
        kinds(cells),
        run_later(cells),
        used_later(cells, lesson),
        algorithm(cells, lesson),
        evidence_link(cells, lesson),
        measured(lesson),
    )
    found = [problem for rule in rules for problem in rule]
    broken = {name for name, _ in found}
    needless = [
        f"{FILE} lists the exception `{name}`, which is not needed: remove it."
        for name in lesson.exceptions
        if name not in broken
    ]
    return [sentence for name, sentence in found if name not in lesson.exceptions] + needless


def first_screen(notebook: NotebookNode, lesson: Lesson) -> Iterator[Problem]:
    """Before the recall questions: title, question, what is built, plan, prerequisites, minutes."""
    name, cells = "first screen", notebook.cells
    yield from ((name, sentence) for sentence in parameters_problems(cells))
    end = next((i for i, cell in code_cells(cells) if "recall" in called(cell.source)), 3)
    text = text_of(cells[:end])
    if not re.match(rf"# {lesson.number} · {re.escape(lesson.title)}(: |\n|$)", text):
        yield name, f"the page does not begin as {FILE} has it: `# {lesson.number} · {lesson.title}`."
    for key, wanted in {
        "question": lesson.question,
        "builds": lesson.builds,
        "prerequisites": f"**Prerequisites:** {lesson.prerequisites}.",
    }.items():
        if plain(wanted) not in plain(text):
            yield name, f"the first screen does not have {FILE}'s {key}: {wanted}"
    lists = re.split(r"\n(?![-*\d ])", text.partition("plan")[2])
    items = re.findall(r"^(?:[-*]|\d\.) \S", next((part for part in lists if "\n" in part), ""), re.M)
    if len(items) != PLAN_LINES:
        yield (
            name,
            f"the plan has {len(items)} lines: write `**The plan:**` and a list of {PLAN_LINES} lines.",
        )
    if notebook.metadata.get("gantrans", {}).get("minutes"):
        yield name, "metadata.gantrans.minutes is for other notebooks: lesson.toml has them, remove it."
    if not re.search(rf"(?<![\d.]){re.escape(f'{lesson.person_minutes:g}')} for you\b", text):
        yield name, f"the first screen does not say your minutes: write `{lesson.person_minutes:g} for you`."
    yield from ((name, sentence) for sentence in minutes_problems(text, lesson.minutes))


def order(cells: Sequence[NotebookNode], lesson: Lesson) -> Iterator[Problem]:
    """Recall first; then, at the end, doubt, recap, closing questions, references, what comes next."""
    places: dict[str, Place | None] = {f'recall("{lesson.number}")': _call_place(cells, "recall")}
    for title in LAST:
        if title == "References":
            places[f'wrap_up("{lesson.number}")'] = _call_place(cells, "wrap_up")
        places[f"`## {title}`"] = _heading_place(cells, title)
    yield from (("order", f"the page lacks {what}.") for what, place in places.items() if place is None)
    present = [(what, place) for what, place in places.items() if place is not None]
    for (before, one), (after, other) in itertools.pairwise(present):
        if one > other:
            yield "order", f"{after} stands before {before}; the order is {', '.join(places)}."
    asked, first = _call_place(cells, "recall"), _heading_place(cells, "", after=1)
    if asked and first and asked[0] > first[0] + 1:
        name = cell_name(first[0] + 1, cells[first[0]])
        yield "order", f"recall comes too late: ask its questions at the first section, {name}."
    if _heading_place(cells, MIND):
        yield "order", f"`## {MIND}` belongs to the evidence page: move it there."


def limits(notebook: NotebookNode, lesson: Lesson) -> Iterator[Problem]:
    """The quantities of the table, and the number of exercises."""
    found = quantities(notebook)
    for limit in LIMITS:
        most, value = limit.at(lesson.number), found[limit.name]
        if value > most:
            yield limit.name, f"{limit.what}: {value:.3g}, at most {most:.3g} are allowed; {limit.advice}."
    if found["exercises"] < EXERCISES:
        yield "exercises", f"checked exercises: {found['exercises']:g}, at least {EXERCISES} are needed."


def predictions(cells: Sequence[NotebookNode]) -> Iterator[Problem]:
    """A prediction is asked in one cell and revealed by the cell whose figure or number answers it."""
    asked: dict[str, int] = {}
    for place, cell in code_cells(cells):
        for name in revealed(cell.source):
            if name not in asked:
                yield "reveal", f"{cell_name(place + 1, cell)} reveals {name!r}, which no cell before asks."
            asked.pop(name, None)
        asked.update(dict.fromkeys(predicted(cell.source), place))
        if revealed(cell.source) and not _does_more(cell):
            yield (
                "reveal",
                (
                    f"{cell_name(place + 1, cell)} only reveals: put `reveal` into the cell whose figure or "
                    "training answers it."
                ),
            )
    for name, place in asked.items():
        yield "reveal", f"{cell_name(place + 1, cells[place])} asks {name!r}, which no later cell reveals."


def _does_more(cell: NotebookNode) -> bool:
    """Is there a call that stands for itself beside `reveal`: a figure, a table, a step of a loop?"""
    calls = [n.value for n in ast.walk(tree_of(cell.source)) if isinstance(n, ast.Expr)]
    return any(isinstance(c, ast.Call) and call_name(c) not in ("reveal", "predict") for c in calls)


def exercise_cells(cells: Sequence[NotebookNode]) -> Iterator[Problem]:
    """The stub and its check are one cell, tagged `exercise`, that goes on with what `check` gives."""
    for one in checked(cells):
        cell = cells[one.place]
        if "exercise" not in cell.metadata.get("tags", []) or not goes_on(cell, one.name):
            yield (
                "exercise cell",
                (
                    f"{cell_name(one.place + 1, cell)} checks `{one.name}`: tag the cell with the stub "
                    f"`exercise` and end it in `{one.name} = ex.check({one.name})`."
                ),
            )


def kinds(cells: Sequence[NotebookNode]) -> Iterator[Problem]:
    """At least one loop, step or module, and one bug to find."""
    found = [kind_of(one.exercise) for one in checked(cells) if one.exercise]
    if not any(WHOLE & set(re.findall(r"\w+", kind)) for kind in found):
        yield "whole", "no exercise is a loop, a step or a module: ask for one."
    if not any(BUG in kind for kind in found):
        yield "bug hunt", "no exercise is a bug to find: ask for one."


def kind_of(number: str) -> str:
    """The kind of the exercise with this id, as the learner reads it."""
    from gantrans.teaching.exercises.registry import exercise

    return str(getattr(exercise(number), "kind", "function"))


def run_later(cells: Sequence[NotebookNode]) -> Iterator[Problem]:
    """What was checked is run."""
    for name in not_run_later(cells):
        yield f"run later: {name}", f"no later cell runs `{name}`: go on with what the learner wrote."


def used_later(cells: Sequence[NotebookNode], lesson: Lesson) -> Iterator[Problem]:
    """What was checked is used by a later lesson or exported."""
    for name in not_used_later(cells, lesson):
        yield (
            f"used later: {name}",
            (f"no later lesson uses `mine.{name}`, and no template in lessons/exports has `# part: {name}`."),
        )


def algorithm(cells: Sequence[NotebookNode], lesson: Lesson) -> Iterator[Problem]:
    """The training step and the network stand on the page."""
    shown = [tree_of(cell.source) for _, cell in code_cells(cells) if not is_exercise(cell)]
    if lesson.number in TRAIN and not any({"backward", "step"} <= _methods(tree) for tree in shown):
        yield (
            "training step",
            ("no cell outside exercises has both `.backward(` and an optimiser's `.step()`: show the loop."),
        )
    if lesson.number in NETWORKS and not any(_is_network(n) for tree in shown for n in ast.walk(tree)):
        yield "network", "no cell outside exercises has a `class ...(nn.Module)`: show the network."


def _methods(tree: ast.Module) -> set[str]:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {function.attr for function in calls if isinstance(function, ast.Attribute)}


def _is_network(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(
        getattr(base, "attr", getattr(base, "id", "")) == "Module" for base in node.bases
    )


def evidence_link(cells: Sequence[NotebookNode], lesson: Lesson) -> Iterator[Problem]:
    """A lesson with claims has an evidence page and links to it."""
    from gantrans.teaching.claims.registry import RULES

    page = lesson.evidence
    if (lesson.folder / RULES).is_file() and not page.is_file():
        yield "evidence", f"the lesson has claims and no page {page.parent.name}/{page.name}: write it."
    elif page.is_file() and f"]({page.parent.name}/{page.name}" not in text_of(cells):
        yield "evidence", f"the page does not link to {page.parent.name}/{page.name}."


def measured(lesson: Lesson) -> Iterator[Problem]:
    """Every claim of the lesson has a record, so that its evidence page can give a verdict."""
    from gantrans.teaching.claims import COMMITTED, read, registered

    ledger = read(COMMITTED)
    mine = [claim for claim in registered().values() if claim.folder == lesson.folder.resolve()]
    lacking = [claim.id for claim in mine if claim.id not in ledger and not claim.unit_test]
    if lacking:
        yield "measured", f"the claims {', '.join(lacking)} were never measured: run what decides them."


def _call_place(cells: Sequence[NotebookNode], name: str) -> Place | None:
    return next(((place, 0) for place, cell in code_cells(cells) if name in called(cell.source)), None)


def _heading_place(cells: Sequence[NotebookNode], begin: str, after: int = 0) -> Place | None:
    """Cell, from `after` on, and line of the first heading of a section that begins so."""
    for place, cell in enumerate(cells[after:], after):
        lines = cell.source.splitlines() if cell.cell_type == "markdown" else []
        for number, line in enumerate(lines):
            if line.startswith(f"## {begin}"):
                return place, number
    return None
