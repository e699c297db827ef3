"""What had to change: lesson 01's program against another one, as a unified diff.

Compared is what runs: type annotations and docstrings are taken out first, so that a diff counts statements.
"""

import ast
import difflib
from collections.abc import Sequence
from typing import Any

import nbformat

from gantrans.teaching.exercises.registry import exercises
from gantrans.teaching.places import NOTEBOOKS

MOST = 30
"""Lines of a diff that this lesson allows itself; a test holds it."""


def program(lesson: str, *names: str) -> list[str]:
    """Lines of functions and classes of a lesson's page, in the order named.

    What is an exercise there counts as the course has it. A class is called `Denoiser` in every program,
    since a name is no change.

    Raises:
        KeyError: the page defines nothing of this name.
    """
    defined = _definitions(lesson)
    return [line for name in names for line in plain(defined[name])]


def _definitions(lesson: str) -> dict[str, str]:
    (page,) = NOTEBOOKS.glob(f"{lesson}_*.ipynb")
    defined: dict[str, str] = {}
    for cell in nbformat.read(page, 4).cells:
        if cell.cell_type == "code":
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    defined[node.name] = ast.unparse(node)
    defined |= {ex.name: ex.reference_source for ex in exercises(lesson)}
    return defined


def plain(text: str) -> list[str]:
    """The statements of a program, one a line: without annotations, docstrings, comments and blank lines."""
    tree = _Plain().visit(ast.parse(text))
    return [line for line in ast.unparse(ast.fix_missing_locations(tree)).splitlines() if line.strip()]


def diff(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """The unified diff without its heads and without lines that are the same: "-" is gone, "+" is new."""
    lines = difflib.unified_diff(before, after, n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


class _Plain(ast.NodeTransformer):
    """Takes out what does not run, and names that only carry a type: `y: Tensor = f(x)`, `return y`."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function without annotations and docstring."""
        self.generic_visit(node)
        node.returns = None
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            argument.annotation = None
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        *rest, last = node.body
        if rest and isinstance(last, ast.Return) and isinstance(rest[-1], ast.Assign):
            given, back = rest[-1].targets[0], last.value
            if isinstance(given, ast.Name) and isinstance(back, ast.Name) and given.id == back.id:
                node.body = [*rest[:-1], ast.Return(rest[-1].value)]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """A class of one name, without its docstring."""
        node.name = "Denoiser"
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """`y: Tensor = f(x)` as `y = f(x)`; a bare annotation goes."""
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value is not None else None


def from_page(lesson: str, *names: str, **given: object) -> list[Any]:
    """The functions and classes of a lesson's page, made together with what is `given` (torch=torch, ...)."""
    namespace: dict[str, Any] = dict(given)
    for text in map(_definitions(lesson).__getitem__, names):
        exec(text, namespace)
    return [namespace[name] for name in names]
