"""The source of a learner's answer with everything that it needs, as the text of a module.

A function of a notebook leans on imports, on functions and numbers of other cells, on variables of the
function around it. The text made here holds all of them, so that it can be imported in a fresh process. What
no text can hold (a tensor, a trained network, an open file) is refused by name.
"""

import ast
import builtins
import symtable
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from gantrans.errors import DataError
from gantrans.teaching.learner.literals import NoLiteral, describe, expression, import_line
from gantrans.teaching.learner.texts import NoText, namespace_of, text_of

MINE = "gantrans.teaching.mine"
MARK = "__gantrans_part__"
"""Attribute of a part in use (`parts.py`): its `id`, and the learner's own `answer`."""
_DEFINES = ("def ", "class ", "@", "async ")
_EAGER = ("torch", "numpy")
"""Packages that import all their common submodules themselves."""


class NotKept(DataError):
    """An answer that cannot be kept for later lessons; the message is the sentence that says why."""


def source_of(answer: Any, name: str) -> str:
    """The text of a module that defines `name` as this function or class.

    Raises:
        NotKept: it needs something that no text can hold; the message names it and says what to do.
    """
    writer = _Writer(name)
    try:
        text, own = text_of(answer)
    except NoText as error:
        raise NotKept(
            f"Your `{name}` {error}; write it with `def` or `class` in a cell of its own."
        ) from None
    own = own or name
    writer.names[own] = answer
    writer.write(answer, own, text)
    if own != name:
        writer.pieces.append(f"{name} = {own}")
    return writer.text()


@dataclass
class _Writer:
    """Collects imports and definitions; what is needed by a definition comes before it."""

    part: str
    imports: set[str] = field(default_factory=set)
    pieces: list[str] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)
    late: bool = False  # whether annotations must not be evaluated

    def text(self) -> str:
        lines = import_lines(self.imports)
        if self.late:
            lines.insert(0, "from __future__ import annotations\n")
        text, before = "\n".join(lines), "import"
        for piece in self.pieces:
            kind = "definition" if piece.startswith(_DEFINES) else "value"
            gap = 2 if "definition" in (kind, before) else 0 if kind == before else 1
            text, before = text + "\n" * (gap + 1) + piece, kind
        return text.strip() + "\n"

    def write(self, thing: Any, name: str, text: str) -> None:
        """Add a definition, after everything it leans on."""
        if not text.startswith(_DEFINES):
            text = f"{name} = ({text})" if "\n" in text else f"{name} = {text}"
        text = _without_exercise(text, namespace_of(thing))
        self._lean(thing, text)
        self.pieces.append(text)

    def _lean(self, thing: Any, text: str) -> None:
        namespace = namespace_of(thing)
        try:
            needed, annotations = free_names(text)
        except SyntaxError as error:
            raise NotKept(
                f"Your `{self.part}` cannot stand alone ({error.msg}); define it at the left edge of a cell."
            ) from None
        for free in sorted(needed | annotations):
            if free in namespace and free != "__class__":
                try:
                    self.bind(free, namespace[free], text)
                except NotKept:
                    if free in needed:
                        raise
                    self.late = True
            elif not _is_builtin(getattr(builtins, free, None)):  # IPython's display
                self.bind(free, getattr(builtins, free), text)
            elif free in annotations - needed and not hasattr(builtins, free):
                self.late = True

    def bind(self, name: str, value: Any, user: str) -> None:
        """Make `name` mean `value` in the text; `user` is the definition that needs it."""
        if name in self.names:
            if self.names[name] is not value and not _equal(self.names[name], value):
                raise NotKept(
                    f"Your `{self.part}` needs two different things that are both called `{name}`; "
                    f"give one of them another name."
                )
            return
        if hasattr(builtins, name) and getattr(builtins, name) is value and _is_builtin(value):
            return
        self.names[name] = value
        part = part_name(value)
        line = f"from {MINE} import {part}" if part else import_line(value, name)
        if line:
            self.imports.add(f"{line} as {name}" if part and part != name else line)
            if isinstance(value, types.ModuleType):
                self.imports |= set(_submodules(name, value, user))
        elif isinstance(value, (type, types.FunctionType)) or hasattr(value, "__wrapped__"):
            self._define(name, value)
        else:
            self._assign(name, value)

    def _define(self, name: str, value: Any) -> None:
        try:
            text, own = text_of(value)
        except NoText as error:
            raise self._refusal(name, f"which {error}") from None
        own = own or name
        if own != name:
            self.bind(own, value, "")
            self.pieces.append(f"{name} = {own}")
        else:
            self.write(value, own, text)

    def _assign(self, name: str, value: Any) -> None:
        imports: set[str] = set()
        try:
            text = expression(value, imports, lambda inner: self._name(inner, imports))
        except NoLiteral:
            raise self._refusal(name, describe(value)) from None
        self.imports |= imports
        self.pieces.append(f"{name} = {text}")

    def _name(self, value: Any, imports: set[str]) -> str | None:
        """How a function inside a list or dict is written: by its name, or as a lambda."""
        if isinstance(value, types.MethodDescriptorType):
            imports.add("import torch")
            name = f"torch.Tensor.{value.__name__}"
            return name if getattr(torch.Tensor, value.__name__, None) is value else None
        name = getattr(value, "__name__", "")
        if part_name(value) or import_line(value, name):
            self.bind(name, value, "")
            return str(name)
        try:
            text, own = text_of(value)
        except NoText:
            return None
        if own:
            self.bind(own, value, "")
            return own
        self._lean(value, text)
        return f"({text})"

    def _refusal(self, name: str, what: str) -> NotKept:
        return NotKept(
            f"Your `{self.part}` uses `{name}`, {what}, from elsewhere in the notebook, which cannot be kept "
            f"for later lessons; make it inside `{self.part}` or pass it as an argument."
        )


def free_names(text: str) -> tuple[set[str], set[str]]:
    """The names that a definition takes from outside when it is made or run, and those of its annotations."""
    with_all = _globals(text)
    tree = _WithoutAnnotations().visit(ast.parse(text))
    needed = _globals(ast.unparse(ast.fix_missing_locations(tree)))
    return needed, with_all - needed


def part_name(value: Any) -> str:
    """The name of the exercise whose accepted answer or reference this is; "" for anything else."""
    part = vars(value).get(MARK) if isinstance(value, (type, types.FunctionType)) else None  # not inherited
    if part is not None:
        return str(part.name)
    module = sys.modules.get(getattr(value, "__module__", None) or "") if callable(value) else None
    exercise = getattr(module, "ex", None)
    if exercise is None or getattr(exercise, "_reference", None) is not value:
        return ""
    return str(exercise.name)


def _without_exercise(text: str, namespace: dict[str, Any]) -> str:
    """An answer of an exercise's file without the decorators that add it to the exercise."""
    node = ast.parse(text).body[0]
    lines = text.splitlines()
    for decorator in getattr(node, "decorator_list", []):
        root = next(n for n in ast.walk(decorator) if isinstance(n, ast.Name))
        if hasattr(namespace.get(root.id), "judge"):
            begin, end = decorator.lineno, decorator.end_lineno
            lines[begin - 1 : end] = [""] * (end - begin + 1)
    return "\n".join(lines).strip("\n")


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(0)
        return self.generic_visit(node)


def _globals(text: str) -> set[str]:
    found: set[str] = set()
    top = symtable.symtable(text, "<part>", "exec")
    defined = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}

    def walk(table: symtable.SymbolTable) -> None:
        for symbol in table.get_symbols():
            outer = table is top or symbol.is_global()
            if outer and (symbol.is_referenced() or symbol.is_declared_global()):
                found.add(symbol.get_name())
        for child in table.get_children():
            walk(child)

    walk(top)
    return found - defined


def _submodules(name: str, module: types.ModuleType, text: str) -> list[str]:
    """Imports of the submodules that a definition reaches through a package: `scipy.ndimage` of `scipy`."""
    if module.__name__.partition(".")[0] in _EAGER or not text:
        return []
    found = []
    for node in ast.walk(ast.parse(text)):
        dotted = ast.unparse(node).split(".") if isinstance(node, ast.Attribute) else []
        if not dotted or dotted[0] != name:
            continue
        place, inner = module.__name__, module
        for attribute in dotted[1:]:
            place = f"{place}.{attribute}"
            below = getattr(inner, attribute, None)
            if not isinstance(below, types.ModuleType) or sys.modules.get(place) is not below:
                break
            inner = below
            found.append(f"import {place}")
    return found


def _is_builtin(value: Any) -> bool:
    return getattr(value, "__module__", "builtins") in ("builtins", None) or not callable(value)


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, (int, float, str, bytes, tuple)) and repr(a) == repr(b)


def import_lines(statements: Iterable[str]) -> list[str]:
    """Import statements in the usual order, the names of one module in one line; blank lines between groups.

    The standard library comes first, then packages, then the course; `import a` before `from a import b`.
    """
    names: dict[str, set[str]] = {}
    for line in statements:
        head, _, imported = line.partition(" import ")
        names.setdefault(head if imported else line, set()).update(filter(None, imported.split(", ")))
    found = [f"{head} import {', '.join(sorted(few))}" if few else head for head, few in names.items()]
    lines: list[str] = []
    floor = None
    for line in sorted(found, key=_import_order):
        lines += [""] if floor not in (None, _import_order(line)[0]) else []
        lines.append(line)
        floor = _import_order(line)[0]
    return lines


def _import_order(line: str) -> tuple[int, int, str]:
    """The standard library first, then packages, then the course; `import a` before `from a import b`."""
    root = line.split()[1].partition(".")[0]
    floor = 0 if root in sys.stdlib_module_names else 2 if root == "gantrans" else 1
    return floor, int(line.startswith("from")), line
