"""What the rules read from a notebook's cells: lines, words, calls, names, headings."""

import ast
import re
from collections.abc import Iterator, Sequence

from nbformat import NotebookNode

TASKS = {"predict", "recall", "check", "explore", "wrap_up"}
"""Calls that ask the learner for something; so do the tags `exercise` (a stub) and `change` (a knob)."""
_HIDDEN = re.compile(
    r"<!--.*?-->|<details\b.*?</details>|```.*?```|\$\$.*?\$\$|\$[^$\n]+\$|\]\([^)]*\)|<[^<>\n]+>", re.S
)
"""What a reader does not read as words: comments, what is folded away, code blocks, formulas, addresses."""
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.M)
_FENCED = re.compile(r"^```.*?^```", re.M | re.S)


def cell_name(number: int, cell: NotebookNode) -> str:
    """How messages name a cell: its place, counted from 1, and how it begins."""
    begin = next((line.strip() for line in cell.source.splitlines() if line.strip()), "empty")
    return f"cell {number} ({begin[:40]})"


def code_cells(cells: Sequence[NotebookNode]) -> Iterator[tuple[int, NotebookNode]]:
    """The code cells with their places, counted from 0."""
    return ((place, cell) for place, cell in enumerate(cells) if cell.cell_type == "code")


def text_of(cells: Sequence[NotebookNode]) -> str:
    """The text cells' Markdown, a blank line between two."""
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def code_lines(source: str) -> int:
    """Lines that are not blank."""
    return sum(bool(line.strip()) for line in source.splitlines())


def visible(text: str) -> str:
    """Markdown without comments, folded parts, formulas, code blocks and the addresses of links."""
    return _HIDDEN.sub(" ", text)


def words(text: str) -> int:
    """Words that a reader sees."""
    return len(re.findall(r"\w[\w'-]*", visible(text)))


def is_task(cell: NotebookNode) -> bool:
    """Does this cell ask the learner for something?"""
    if cell.cell_type != "code":
        return False
    return bool({"exercise", "change"} & set(cell.metadata.get("tags", [])) or TASKS & called(cell.source))


def is_exercise(cell: NotebookNode) -> bool:
    """Does this cell hold an answer to an exercise, or its check?"""
    return "exercise" in cell.metadata.get("tags", []) or "check" in called(cell.source)


def called(source: str) -> set[str]:
    """The last names of all that is called: `a.b(c)` gives b."""
    return {call_name(node) for node in ast.walk(tree_of(source)) if isinstance(node, ast.Call)}


def call_name(call: ast.Call) -> str:
    """`f` of f(x) and of a.f(x); empty for a call of another expression."""
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def root_name(node: ast.expr) -> str:
    """`a` of a, a.b and a.b(c).d; empty for another expression."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def assigned(source: str) -> set[str]:
    """Names that the code assigns to, at any depth."""
    return {
        n.id for n in ast.walk(tree_of(source)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }


def tree_of(source: str) -> ast.Module:
    """The syntax tree of a cell without its magics; empty if it is no Python."""
    try:
        return ast.parse(re.sub(r"^[%!].*$", "", source, flags=re.M))
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str, str]]:
    """(statement, module, bound name) for everything that is imported anywhere in a cell."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, one.name, one.asname or one.name.split(".")[0]) for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node, node.module or "", one.asname or one.name) for one in node.names)


def ours(module: str) -> bool:
    """Is this a module of the library or of a lesson?"""
    return module.split(".")[0] in ("gantrans", "lessons")


def headings(text: str) -> list[str]:
    """The headings of a Markdown text as they are written; code blocks have none."""
    return _HEADING.findall(_FENCED.sub("", text))


def anchor(heading: str) -> str:
    """What a link to this heading has after `#`: its text with - for blanks (JupyterLab, nbconvert)."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[*`]", lambda found: found[1] or "", heading)
    return plain.strip().replace(" ", "-")


def plain(text: str) -> str:
    """Without emphasis, differences of case and line breaks."""
    return " ".join(text.replace("*", "").casefold().split())
