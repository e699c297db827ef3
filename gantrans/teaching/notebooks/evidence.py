"""The rules of an evidence page, `evidence/NN_name.ipynb`: what was measured for a lesson, how sure it is.

One section per claim of the lesson, headed by the claim's id alone so that links stay short (`#D02`), with
its row from the ledger (`evidence_row`). Then the sceptic's questions, what would change our mind, and how to
run it again. The page loads tables and trains nothing.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from nbformat import NotebookNode

from gantrans.teaching.claims import COMMITTED, evidence_row, read, registered
from gantrans.teaching.claims.evidence import incomplete
from gantrans.teaching.claims.ledger import Record
from gantrans.teaching.claims.registry import Claim
from gantrans.teaching.course import Lesson
from gantrans.teaching.notebooks.cells import call_name, cell_name, code_cells, headings, text_of, tree_of

SECTIONS = {
    "the sceptic's questions (`## A sceptic asks`)": r"^## .*\b[Ss]ceptic",
    "what would change our mind (`## What would change our mind`)": r"^## What would change our mind",
    "how to run it again (`## How to run it again` with a command)": (
        r"^## How to run it again.*?python -m gantrans ablate"
    ),
}
MEASURED = "measured"
"""The rule of a lesson's page (`pattern.measured`) whose exception allows rows without a measurement."""
TRAINING = re.compile(r"^(?:train\w*|fit|fit_\w+|run_arm|backward|optimi[sz]e\w*|ablate|rerun)$")
"""Names whose call trains or measures."""


def evidence_problems(notebook: NotebookNode, lesson: Lesson) -> list[str]:
    """Every broken rule of an evidence page, one sentence each."""
    cells, ledger = notebook.cells, read(COMMITTED)
    mine = [claim for claim in registered().values() if claim.folder == lesson.folder.resolve()]
    if MEASURED in lesson.exceptions:  # the lesson says so itself, and the rows do
        mine = [claim for claim in mine if claim.id in ledger or claim.unit_test or not _shown(cells, claim)]
    rules = (title(cells, lesson), sections(cells), claims(cells, mine, ledger), trains_nothing(cells))
    return [problem for rule in rules for problem in rule]


def title(cells: Sequence[NotebookNode], lesson: Lesson) -> Iterator[str]:
    """The heading names the lesson, and a link leads back to it."""
    text = text_of(cells[:1])
    if not re.match(rf"# {lesson.number} · {re.escape(lesson.title)}: the evidence\n", text + "\n"):
        yield f"the page does not begin with `# {lesson.number} · {lesson.title}: the evidence`."
    if f"](../{lesson.notebook.name}" not in text_of(cells):
        yield f"the page does not link back to ../{lesson.notebook.name}."


def sections(cells: Sequence[NotebookNode]) -> Iterator[str]:
    """What stands after the claims."""
    text = text_of(cells)
    for part, pattern in SECTIONS.items():
        if not re.search(pattern, text, re.M | re.S):
            yield f"the page lacks {part}."


def claims(
    cells: Sequence[NotebookNode], wanted: Sequence[Claim], ledger: Mapping[str, Record]
) -> Iterator[str]:
    """Every claim of the lesson has a heading and, below it, its complete row of today's ledger."""
    rows = dict(_rows(cells))
    for claim in wanted:
        lack = incomplete(claim, ledger)
        if claim.id not in rows:
            yield f'claim {claim.id} has no row: write `## {claim.id}` and `evidence_row("{claim.id}")`.'
        elif lack:
            yield f"claim {claim.id} is not complete: {lack}."
    for claim_id, (place, heading) in rows.items():
        name = cell_name(place + 1, cells[place])
        if heading != claim_id:
            yield f"{name} stands below `## {heading}`: head the section `## {claim_id}`."
        shown = [_text(output) for output in cells[place].get("outputs", [])]
        if claim_id not in registered():
            yield f"{name} shows claim {claim_id!r}, which no claims.toml has."
        elif str(evidence_row(claim_id, ledger)) not in shown:
            yield f"{name} does not show today's ledger: run `python -m gantrans course notebooks run` on it."


def _shown(cells: Sequence[NotebookNode], claim: Claim) -> bool:
    return claim.id in dict(_rows(cells))


def trains_nothing(cells: Sequence[NotebookNode]) -> Iterator[str]:
    """No call that trains or measures: the page loads what was committed."""
    for place, cell in code_cells(cells):
        calls = {call_name(node) for node in ast.walk(tree_of(cell.source)) if isinstance(node, ast.Call)}
        for name in sorted(name for name in calls if TRAINING.match(name)):
            where = cell_name(place + 1, cell)
            yield f"{where} calls `{name}`: an evidence page loads tables and trains nothing."


def _rows(cells: Sequence[NotebookNode]) -> Iterator[tuple[str, tuple[int, str]]]:
    """(claim's id, (place of the cell that shows its row, heading above)) in order."""
    heading = ""
    for place, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            heading = next(reversed(headings(cell.source)), heading)
            continue
        for node in ast.walk(tree_of(cell.source)):
            if isinstance(node, ast.Call) and call_name(node) == "evidence_row" and node.args:
                yield str(getattr(node.args[0], "value", "")), (place, heading)


def _text(output: NotebookNode) -> str:
    text = output.get("data", {}).get("text/markdown", "")
    return text if isinstance(text, str) else "".join(text)
