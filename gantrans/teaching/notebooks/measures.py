"""What is measured on a lesson's page, and the limits; the table in notebooks/README.md shows them."""

import ast
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import nbformat
from nbformat import NotebookNode

from gantrans.teaching.course import is_evidence
from gantrans.teaching.notebooks.cells import (
    call_name,
    called,
    code_cells,
    code_lines,
    headings,
    imports,
    is_task,
    ours,
    root_name,
    text_of,
    tree_of,
    visible,
    words,
)
from gantrans.teaching.notebooks.checked import checked

EXERCISES = 4
"""A page has at least so many checked exercises."""


@dataclass(frozen=True)
class Limit:
    """The most that a page may have of one quantity; `advice` says what to do about more.

    `name` is the key of an exception in `lesson.toml`; `start` is the limit of lesson 00, where it differs.
    """

    name: str
    what: str
    most: float
    advice: str
    start: float | None = None

    def at(self, number: str) -> float:
        """The limit of the lesson with this number."""
        return self.start if number == "00" and self.start is not None else self.most


LIMITS = (
    Limit("cells", "cells", 70, "leave out what the question does not need", start=60),
    Limit("words", "words of prose", 2300, "shorten, or move to the evidence page", start=1700),
    Limit("first action", "words before the first action", 250, "let the learner do something earlier"),
    Limit("between actions", "words between two actions (median)", 250, "ask for something more often"),
    Limit("largest gap", "words without an action (largest gap)", 600, "ask for something in between"),
    Limit("predictions", "predictions", 6, "keep those on which people are usually wrong"),
    Limit("display cells", "share of code cells that only call a display function", 0.333,
          "show the algorithm in cells of the page"),
    Limit("decimals", "decimal numbers in prose", 15, "move measured numbers to the evidence page"),
    Limit("verdict words", "verdict words", 0, "say it in plain words; verdicts stand on the evidence page"),
    Limit("code lines", "lines of a code cell (median)", 8, "split cells"),
    Limit("long cells", "lines of a code cell (90th percentile)", 25, "move helpers to the lesson's folder"),
    Limit("longest cell", "lines of the longest code cell", 45, "split it, or move helpers to the folder"),
    Limit("import lines", "lines of imports from gantrans and lessons", 8, "import less"),
    Limit("import cells", "cells with imports from gantrans and lessons", 1, "put them into one cell"),
)  # fmt: skip
_DECIMAL = re.compile(r"(?<![\w.])[-+\u2212]?\d*\.\d+(?![\w.]*\.\d)")
_MINUTES = re.compile(r"\b(?:smoke|reduced|full) [\d.]+\d")
_CODE = re.compile(r"`[^`\n]+`")
_AFTER_HOLDS = r"for|here|only|alone|against|without|when|if|too|as well|everywhere|nowhere"
VERDICT_WORDS = re.compile(
    rf"""\brefuted\b | \bnot\ decided\b | \bwith\ conditions\b
    | \bholds\b (?= [*_`]* \s* (?: $ | [.,;:!?)(|] | (?:{_AFTER_HOLDS})\b ) )
    | [*_`](?:holds|excluded|open)[*_`]
    | \b(?:claim|rule|verdict|[A-Z]\d\d)\b [^.\n]{{0,30}} \b(?:excluded|open)\b
    """,
    re.X | re.M,
)
"""Verdicts in prose. "Level 0 holds 64 numbers" is none: the verb has an object."""
_SENTENCE = re.compile(r"(?<=[.!?])[*_\"”)]*\s+(?=[^a-z\s])")


def quantities(notebook: NotebookNode) -> dict[str, float]:
    """Every quantity of `LIMITS` on a page, by name, and those of `REPORTED`."""
    cells = notebook.cells
    first, between, largest = gaps(cells)
    lines = sorted(n for n in (code_lines(cell.source) for _, cell in code_cells(cells)) if n) or [0]
    text = text_of(cells)
    average, short = sentences(text)
    ours_at = import_places(cells)
    return {
        "cells": len(cells),
        "words": sum(words(cell.source) for cell in cells if cell.cell_type == "markdown"),
        "first action": first,
        "between actions": between,
        "largest gap": largest,
        "predictions": sum(len(predicted(cell.source)) for _, cell in code_cells(cells)),
        "display cells": display_share(cells),
        "decimals": len(_DECIMAL.findall(_MINUTES.sub("", _CODE.sub(" ", visible(text))))),
        "verdict words": len(verdicts(text)),
        "code lines": median(lines),
        "long cells": lines[math.ceil(0.9 * len(lines)) - 1],
        "longest cell": lines[-1],
        "import lines": sum(n for _, n in ours_at),
        "import cells": len(ours_at),
        "exercises": len(checked(cells)),
        "headings": len(headings(text)),
        "words of a sentence": average,
        "short sentences": short,
    }


REPORTED = {
    "exercises": f"checked exercises (at least {EXERCISES})",
    "headings": "headings",
    "words of a sentence": "words of a sentence (mean; 13 to 18 read well)",
    "short sentences": "share of sentences of six words or fewer (at most 0.125 reads well)",
}
"""What the report shows beside the limits."""


def report_rows(paths: Sequence[Path]) -> list[dict[str, object]]:
    """A row per quantity: its limit, and its value on every page of a lesson."""
    found = {p.stem: quantities(nbformat.read(p, 4)) for p in paths if not is_evidence(p)}
    most = {limit.name: f"{limit.most:g}" for limit in LIMITS}
    what = {limit.name: limit.what for limit in LIMITS} | REPORTED
    rows: list[dict[str, object]] = []
    for name in what:
        row = {"quantity": what[name], "limit": most.get(name, "")}
        rows.append({**row, **{stem[:10]: f"{round(values[name], 2):g}" for stem, values in found.items()}})
    return rows


def gaps(cells: Sequence[NotebookNode]) -> tuple[int, float, int]:
    """Words before the first action, the median between two actions, and the most without one.

    Actions with no words between them count as one. What comes after the last action is not counted.
    """
    found, running = [], 0
    for cell in cells:
        if cell.cell_type == "markdown":
            running += words(cell.source)
        elif is_task(cell):
            found.append(running)
            running = 0
    if not found:
        return running, running, running
    between = [gap for gap in found[1:] if gap]
    return found[0], median(between or [0]), max(found)


def predicted(source: str) -> list[str]:
    """The names under which a cell calls `predict`."""
    return _named(source, "predict")


def revealed(source: str) -> list[str]:
    """The names under which a cell calls `reveal`."""
    return _named(source, "reveal")


def display_share(cells: Sequence[NotebookNode]) -> float:
    """The share of code cells that are one call of something imported from a lesson or from teaching.

    `show(figure(...))` counts as the call of `figure`: a figure that the page itself defines is no display
    function of the lesson. Cells that ask the learner for something are not counted as such.
    """
    code = [cell for _, cell in code_cells(cells)]
    names = {
        bound
        for cell in code
        for _, module, bound in imports(tree_of(cell.source))
        if module.split(".")[0] == "lessons" or module.startswith("gantrans.teaching")
    }
    return sum(_only_displays(cell, names) for cell in code) / max(len(code), 1)


def _only_displays(cell: NotebookNode, names: set[str]) -> bool:
    body = tree_of(cell.source).body
    if len(body) != 1 or not isinstance(body[0], ast.Expr) or is_task(cell):
        return False
    value = body[0].value
    if isinstance(value, ast.Call) and call_name(value) in ("show", "display") and value.args:
        value = value.args[0] if isinstance(value.args[0], ast.Call) else value
    return isinstance(value, ast.Call) and root_name(value) in names


def import_places(cells: Sequence[NotebookNode]) -> list[tuple[int, int]]:
    """(place, lines) of every cell that imports from the library or a lesson."""
    found = []
    for place, cell in code_cells(cells):
        statements = {node for node, module, _ in imports(tree_of(cell.source)) if ours(module)}
        lines = sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in statements)
        if lines:
            found.append((place, lines))
    return found


def verdicts(text: str) -> list[str]:
    """Words of a text that pronounce a verdict, or quote one from the ledger."""
    quoted = re.findall(r"<!--\s*claim\s+[A-Z]\d\d\s+(?:[^>]*/)?(?:verdict|side)\s*-->", text)
    prose = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    prose = _CODE.sub(lambda code: code[0] if code[0][1:-1] in ("holds", "excluded", "open") else " ", prose)
    return [*quoted, *(found[0].strip() for found in VERDICT_WORDS.finditer(prose))]


def sentences(text: str) -> tuple[float, float]:
    """Mean words of a sentence, and the share of sentences with six words or fewer; 0, 0 without any.

    Headings, tables, code and labels such as `**Minutes:**` are left out; a list item counts as sentences, a
    formula in a line as one word.
    """
    prose = visible(re.sub(r"(?<!\$)\$[^$\n]+\$(?!\$)", "formula", text))
    lines = [line for line in prose.splitlines() if not line.lstrip().startswith(("#", "|"))]
    blocks = re.split(r"\n\s*\n|(?:^|\n)\s*(?:[-*+]|\d+\.)\s+", "\n".join(lines))
    whole = [re.sub(r"^\*\*[^*]+:\*\*(?: \S+){0,12}$", "", block.strip()) for block in blocks]
    counts = [len(re.findall(r"\w[\w'-]*", one)) for block in whole for one in _SENTENCE.split(block)]
    counts = [count for count in counts if count]
    if not counts:
        return 0.0, 0.0
    return sum(counts) / len(counts), sum(count <= 6 for count in counts) / len(counts)


def _named(source: str, name: str) -> list[str]:
    if name not in called(source):
        return []
    calls = (n for n in ast.walk(tree_of(source)) if isinstance(n, ast.Call) and call_name(n) == name)
    return [str(getattr(call.args[0], "value", "")) if call.args else "" for call in calls]
