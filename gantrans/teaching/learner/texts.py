"""The text of a function, lambda or class as it stands in a notebook's cell, in a file or in executed text.

`inspect.getsource` does not find classes of a notebook, and gives a lambda's whole line. Here the syntax tree
of the cell is searched: a code object says where its text begins.
"""

import ast
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from gantrans.errors import DataError

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


class NoText(DataError):
    """The text of a function or class cannot be found; the message is the end of a sentence."""


def text_of(thing: Any) -> tuple[str, str]:
    """The text of a function, lambda or class, decorators included, and the name it defines ("" for a
    lambda).

    Raises:
        NoText: the thing is none of these, or its text is not to be found.
    """
    node, lines = _class_node(thing) if isinstance(thing, type) else _function_node(thing)
    if isinstance(node, ast.Lambda):
        return ast.get_source_segment("".join(lines), node) or ast.unparse(node), ""
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    text = textwrap.dedent("".join(lines[first - 1 : node.end_lineno])).rstrip()
    try:
        same = ast.dump(ast.parse(text)) == ast.dump(ast.Module([node], []))
    except SyntaxError:  # another statement on its first or last line
        same = False
    return text if same else ast.unparse(node), node.name


def namespace_of(thing: Any) -> dict[str, Any]:
    """The names that a function or class can see where it is defined: of its module, then of its closure."""
    functions = list(_methods(thing)) if isinstance(thing, type) else [inspect.unwrap(thing)]
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    names = dict(vars(module)) if module is not None else {}
    for function in functions:
        names |= function.__globals__
    for function in functions:
        names |= inspect.getclosurevars(function).nonlocals
    return names


def _function_node(thing: Any) -> tuple[Definition, list[str]]:
    code = getattr(inspect.unwrap(thing), "__code__", None) if callable(thing) else None
    if not isinstance(code, CodeType):
        raise NoText("is not a function or a class of its own")
    lines = linecache.getlines(code.co_filename, inspect.unwrap(thing).__globals__)
    tree = _parsed(lines)
    if code.co_name == "<lambda>":
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.Lambda) and _holds(n.body, code)]
        found: Definition | None = min(nodes, key=_extent, default=None)
    else:
        found = next((n for n in ast.walk(tree) if _begins(n, code)), None)  # type: ignore[assignment]
    if found is None:
        raise NoText("has no text that can be found")
    return found, lines


def _class_node(thing: type) -> tuple[Definition, list[str]]:
    for method in _methods(thing):
        lines = linecache.getlines(method.__code__.co_filename, method.__globals__)
        for node in _classes(lines, thing):
            if any(_begins(inner, method.__code__) for inner in ast.walk(node)):
                return node, lines
    for lines in _places(thing):  # a class without methods of its own
        nodes = list(_classes(lines, thing))
        if nodes:
            return nodes[-1], lines
    raise NoText("has no text that can be found")


def _methods(thing: type) -> Iterator[FunctionType]:
    for value in vars(thing).values():
        inner = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        inner = value.fget if isinstance(value, property) else inspect.unwrap(inner)
        if isinstance(inner, FunctionType) and inner.__qualname__.startswith(f"{thing.__qualname__}."):
            yield inner


def _places(thing: type) -> Iterator[list[str]]:
    file = getattr(sys.modules.get(thing.__module__), "__file__", None)
    if file:
        yield linecache.getlines(file)
    for name in reversed(list(linecache.cache)):  # cells, the latest first
        if "ipykernel" in name or "ipython-input" in name:
            yield linecache.getlines(name)


def _classes(lines: list[str], thing: type) -> Iterator[ast.ClassDef]:
    wanted = [*ast.walk(_parsed(lines))]
    yield from (n for n in wanted if isinstance(n, ast.ClassDef) and n.name == thing.__name__)


def _parsed(lines: list[str]) -> ast.AST:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        tree: ast.AST = compile("".join(lines), "<text>", "exec", flags, dont_inherit=True)
    except SyntaxError:
        raise NoText("has no text that can be found") from None
    return tree


def _begins(node: ast.AST, code: CodeType) -> bool:
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or node.name != code.co_name:
        return False
    return min([node.lineno, *(d.lineno for d in node.decorator_list)]) == code.co_firstlineno


def _holds(body: ast.expr, code: CodeType) -> bool:
    """Whether all instructions of a lambda's code stem from this expression."""
    begin = body.lineno, body.col_offset
    end = body.end_lineno or 0, body.end_col_offset or 0
    places = [p for p in code.co_positions() if None not in p and p[2:] != (0, 0)]
    return bool(places) and all(
        begin <= (line or 0, column or 0) and (last or 0, stop or 0) <= end
        for line, last, column, stop in places
    )


def _extent(node: ast.Lambda) -> tuple[int, int]:
    lines = (node.end_lineno or 0) - node.lineno
    return lines, (node.end_col_offset or 0) - (0 if lines else node.col_offset)
