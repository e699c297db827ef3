"""The functions that a lesson's learner writes: what checks them, what runs them later, and where.

A checked function must be run by a later cell of its page: called, passed to a call, or used by a function or
class of the page that is. And it must be used by the page of a later lesson (`mine.NAME`), or be a part of a
file that the course exports (a line `# part: NAME` in `lessons/exports/*.py`).
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import nbformat
from nbformat import NotebookNode

from gantrans.teaching.course import Lesson
from gantrans.teaching.notebooks.cells import call_name, code_cells, is_exercise, tree_of

LOOKS = {"print", "display", "help", "repr", "type", "getsource", "Markdown"}
"""Calls that look at a function and do not run it."""
_PART = re.compile(r"^\s*# part: (\w+)", re.M)


@dataclass(frozen=True)
class Checked:
    """A line `NAME = ex.check(NAME)` in the cell at `place` (from 0); `exercise` is the exercise's id."""

    name: str
    exercise: str
    place: int


def checked(cells: Sequence[NotebookNode]) -> list[Checked]:
    """Everything that the page checks, in order; of one exercise the last check counts."""
    found: dict[str, Checked] = {}
    known: dict[str, str] = {}  # variable -> id of the exercise that it holds
    for place, cell in code_cells(cells):
        for node in tree_of(cell.source).body:
            value = getattr(node, "value", None)
            target = _target(node)
            if not isinstance(value, ast.Call):
                continue
            if call_name(value) == "exercise" and target:
                known[target] = _text(value)
            elif call_name(value) == "check" and isinstance(value.func, ast.Attribute):
                holder = value.func.value
                number = known.get(holder.id, "") if isinstance(holder, ast.Name) else ""
                if isinstance(holder, ast.Call) and call_name(holder) == "exercise":
                    number = _text(holder)
                name = _argument(value)
                found[number or name] = Checked(name, number, place)
    return list(found.values())


def goes_on(cell: NotebookNode, name: str) -> bool:
    """Is the cell of a check the stub itself, ending in `name = ex.check(name)`?"""
    body = tree_of(cell.source).body
    defined = any(
        isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Assign) and _defines(n, name) for n in body[:-1]
    )
    last = body[-1] if body else None
    return (
        defined
        and _target(last) == name
        and isinstance(last, ast.Assign)
        and isinstance(last.value, ast.Call)
        and call_name(last.value) == "check"
        and _argument(last.value) == name
    )


def not_run_later(cells: Sequence[NotebookNode]) -> list[str]:
    """Names of checked functions that no later cell outside exercises runs."""
    uses = {place: names_used(tree_of(c.source)) for place, c in code_cells(cells) if not is_exercise(c)}
    inside: dict[str, set[str]] = {}
    for used in uses.values():
        for owner, names in used.inside.items():
            inside.setdefault(owner, set()).update(names)
    idle = []
    for one in checked(cells):
        run: set[str] = set()
        for place in (p for p in uses if p > one.place):
            if one.name in uses[place].bound:  # from here on the name means something else
                break
            run |= uses[place].run
        if one.name not in _closed(run, inside):
            idle.append(one.name)
    return idle


def not_used_later(cells: Sequence[NotebookNode], lesson: Lesson) -> list[str]:
    """Names of checked functions that neither a later lesson's page uses nor a file of the course exports."""
    known = used_by_later_pages(lesson) | exported_parts(lesson)
    return [one.name for one in checked(cells) if one.name not in known]


def used_by_later_pages(lesson: Lesson) -> set[str]:
    """Every NAME of `mine.NAME` (or imported from `mine`) on the pages of later lessons."""
    found: set[str] = set()
    for page in sorted(lesson.folder.parents[1].glob("[0-9][0-9]_*.ipynb")):
        if page.name[:2] > lesson.number:
            for _, cell in code_cells(nbformat.read(page, 4).cells):
                found |= set(_of_mine(tree_of(cell.source)))
    return found


def exported_parts(lesson: Lesson) -> set[str]:
    """Every NAME of a line `# part: NAME` in the templates of the files that the course exports."""
    templates = sorted((lesson.folder.parent / "exports").glob("*.py"))
    return {name for template in templates for name in _PART.findall(template.read_text("utf-8"))}


@dataclass
class Names:
    """What a cell does with names: runs them at once, uses them inside what it defines, binds them."""

    run: set[str] = field(default_factory=set)
    inside: dict[str, set[str]] = field(default_factory=dict)
    bound: set[str] = field(default_factory=set)


def names_used(tree: ast.Module) -> Names:
    """The names of a cell; those of a function's own parameters and variables are not counted."""
    found = Names()
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.bound.add(statement.name)
            owned = found.inside.setdefault(statement.name, set())
            owned |= set(_loads(statement, frozenset(), bare=True))
            found.run |= {
                name for d in statement.decorator_list for name in _loads(d, frozenset(), bare=True)
            }
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
            found.bound |= {n for n in names if any(isinstance(t, ast.Name | ast.Tuple) for t in targets)}
            now, later = _now_and_later(statement.value)
            found.run |= now
            for name in names:  # another name for it, a table of functions, a lambda
                found.inside.setdefault(name, set()).update(later)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            found.bound |= {one.asname or one.name.split(".")[0] for one in statement.names}
        else:
            found.run |= set(_loads(statement, frozenset(), bare=not isinstance(statement, ast.Expr)))
    return found


def _now_and_later(value: ast.expr) -> tuple[set[str], set[str]]:
    """Names that an assigned value runs, and those that it only holds."""
    now = set(_loads(value, frozenset(), bare=False))
    return now, set(_loads(value, frozenset(), bare=True)) - now


def _loads(node: ast.AST, own: frozenset[str], *, bare: bool) -> Iterator[str]:
    """Free names below `node` that are called or passed to a call; with `bare`, all that are read."""
    if isinstance(node, ast.Name):
        if bare and isinstance(node.ctx, ast.Load) and node.id not in own:
            yield node.id
        return
    if isinstance(node, ast.Call):
        if call_name(node) in LOOKS:
            return
        bare = True
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        if not bare:  # held, not run
            return
        own = own | _own_names(node)
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
        own = own | _stored(node)
    for child in ast.iter_child_nodes(node):
        yield from _loads(child, own, bare=bare)


def _own_names(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> frozenset[str]:
    """Parameters and local variables of a function."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    own = frozenset(one.arg for one in named)
    if isinstance(function, ast.Lambda):
        return own
    declared = {n for node in ast.walk(function) if isinstance(node, ast.Global) for n in node.names}
    return (own | _stored(function)) - declared


def _stored(node: ast.AST) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def _closed(run: set[str], inside: dict[str, set[str]]) -> set[str]:
    """`run` and everything that is used inside it."""
    reached, waiting = set(run), list(run)
    while waiting:
        fresh = inside.get(waiting.pop(), set()) - reached
        reached |= fresh
        waiting += fresh
    return reached


def _of_mine(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "mine":
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[-1] == "mine":
            yield from (one.name for one in node.names)


def _target(node: ast.stmt | None) -> str:
    """The one name that a statement assigns to; empty otherwise."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return ""


def _defines(node: ast.stmt, name: str) -> bool:
    return getattr(node, "name", _target(node)) == name


def _argument(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    return first.id if isinstance(first, ast.Name) else ""


def _text(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    return str(first.value) if isinstance(first, ast.Constant) else ""
