"""The mutants of a source file: one small slip each, named so that the name outlives a move of the file."""

import ast
from collections import Counter
from dataclasses import dataclass

from benchmarks._mutants_slips import Walk


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        id: "folder/file:function:operator:ordinal"; lines and deeper folders are no part of it.
        file: relative to the root of the repository.
        span: of the changed text, as (line, column, end line, end column), columns in bytes, lines from 1.
        before, after: the text.
        scope: the function (with its class) that holds the change; "" in the body of a module or class.
    """

    id: str
    operator: str
    file: str
    scope: str
    span: tuple[int, int, int, int]
    before: str
    after: str

    @property
    def change(self) -> str:
        """What a person reads, on one line."""
        return f"{' '.join(self.before.split())} -> {' '.join(self.after.split())}"

    def applied(self, source: str) -> str:
        """The source with the change."""
        lines = source.encode().splitlines(keepends=True)
        line, column, end_line, end_column = self.span
        head = b"".join(lines[: line - 1]) + lines[line - 1][:column]
        tail = lines[end_line - 1][end_column:] + b"".join(lines[end_line:])
        return (head + self.after.encode() + tail).decode()


def mutants_of(source: str, file: str, name: str) -> list[Mutant]:
    """All mutants of a file, in source order; `name` is "folder/file", the first part of their ids."""
    tree, lines = ast.parse(source), source.encode().splitlines(keepends=True)
    functions, counted, seen, found = _functions(tree), Counter[tuple[str, str]](), set(), []
    for operator, scope, node, after in Walk(tree, functions):
        span = (node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)
        if (span, after) not in seen:
            seen.add((span, after))
            counted[scope, operator] += 1
            unique = f"{name}:{scope or '(module)'}:{operator}:{counted[scope, operator]}"
            before = _text(lines, span)
            inside = scope if scope in functions else ""
            found.append(Mutant(unique, operator, file, inside, span, before, after))
    return found


def _text(lines: list[bytes], span: tuple[int, int, int, int]) -> str:
    line, column, end_line, end_column = span
    if line == end_line:
        return lines[line - 1][column:end_column].decode()
    inner = lines[line : end_line - 1]
    return b"".join((lines[line - 1][column:], *inner, lines[end_line - 1][:end_column])).decode()


def differs(mutant: Mutant, source: str) -> bool:
    """Whether the change can be compiled and is one to the compiler."""
    try:
        return ast.dump(ast.parse(mutant.applied(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


def _functions(tree: ast.Module) -> set[str]:
    """Qualified names of the functions and methods that are not inside another function."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            methods = (ast.FunctionDef, ast.AsyncFunctionDef)
            names |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, methods)}
    return names
