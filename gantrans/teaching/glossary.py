"""The glossary page as data, and the test that text and code use its words.

`notebooks/glossary.md` is the one list of terms. What it names in the code must exist; words that the course
does not use, because the field has another or because they are spelt otherwise here, are listed below.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from gantrans import ROOT
from gantrans.errors import GantransError

PAGE = ROOT / "notebooks" / "glossary.md"

INSTEAD = {
    r"fusion models?": "diffusion",
    r"short-?cut connections?": "skip connection",
    r"patch scores?": "patch logits",
    r"time steps?": "timestep",
    r"edge position errors?": "edge placement error",
    r"lambda_l1": "weight_l1",
    r"lambda_gan": "weight_gan",
    r"(de|re|un)?normali[z]\w*": "normalise",
    r"(initiali|regulari|stabili|generali|visuali|optimi|minimi|maximi)z\w*": "the form with s",
    r"(discreti|parametri|rasteri|recogni|summari|organi|standardi)z\w*": "the form with s",
    r"colors?|colored|behaviors?|neighbors?|grayscale|gray|modeling|labeled|artifacts?": "British spelling",
}
"""Expressions for words we do not use in prose (code spans and quotations apart), and what we say."""

_SKIPPED = re.compile(
    r"```.*?```|`[^`]*`|\"[^\"\n]*\"|\u201c[^\u201d]*\u201d|<!--.*?-->|\$\$.*?\$\$|\$[^$]*\$"
    r"|\[[^\]]*\]\(https?://[^)]*\)|https?://\S+|\]\([^)]*\)",  # a linked title is a quotation
    re.S,
)


@dataclass(frozen=True)
class Term:
    """One row of the page; `symbol` and `code` may be empty, `lesson` is its two digits."""

    term: str
    symbol: str
    meaning: str
    code: str
    lesson: str


def terms(page: Path = PAGE) -> list[Term]:
    """The rows of the glossary in their order.

    Raises:
        GantransError: when a row has not five cells; the message gives its line.
    """
    rows = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if not line.startswith("| ") or line.startswith("| Term"):
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 5:
            raise GantransError(f"{page.name}, line {number} has {len(cells)} cells; a term has 5.")
        rows.append(Term(cells[0], cells[1], cells[2], cells[3].strip("`"), cells[4]))
    return rows


def resolve(name: str) -> Any:
    """The module, class, function, value or annotated field with a dotted name such as `gantrans.a.B.c`.

    Raises:
        AttributeError: when there is no such thing.
    """
    path = name.split(".")
    found: Any = importlib.import_module(path[0])
    for i, part in enumerate(path[1:], 2):
        if hasattr(found, part):
            found = getattr(found, part)
        elif isinstance(found, type):
            hints = get_type_hints(found)
            if part not in hints:
                raise AttributeError(f"{name}: {found.__name__} has no {part}")
            found = hints[part]
        else:
            try:
                found = importlib.import_module(".".join(path[:i]))
            except ModuleNotFoundError as error:
                raise AttributeError(f"{name}: there is no {part}") from error
    return found


def unwanted_words(text: str) -> list[str]:
    """Words in a text that the course does not use, with what it says; code and quotations are skipped."""
    prose = _SKIPPED.sub(" ", text)
    return [
        f"{match.group(0)!r}: say {word}"
        for pattern, word in INSTEAD.items()
        for match in re.finditer(rf"(?<![\w.])(?:{pattern})(?![\w(=])", prose, re.I)
    ]


def prose_of_code(path: Path) -> Iterator[tuple[int, str]]:
    """The docstrings of a Python file, each with its line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text
