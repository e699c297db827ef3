"""Automatic mutants of a reference, a function or a class: small slips a learner could make. A good checker
kills all but the equivalent ones. Of an open task, which has no reference, rules and score are changed.

The operators follow the mutation-testing literature (Jia & Harman 2011, "An analysis and survey of the
development of mutation testing") with the slips of tensor code added: axes, detach, dtypes, keyword flags,
related methods.
"""

import ast
import copy
import random
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from inspect import getsource
from typing import Any

from gantrans.teaching.exercises.core import Exercise, globals_of
from gantrans.teaching.exercises.guard import TimeUp, time_limit

LIMIT_SECONDS = 15.0  # of wall clock: other work may share the cores
_warm: set[str] = set()
BINARY: dict[type, Sequence[type]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Div, ast.Mult),
    ast.Pow: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.MatMult: (ast.Mult,),
}
COMPARE: dict[type, Sequence[type]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
NAMES = [
    ("mean", "sum"),
    ("min", "max"),
    ("floor", "ceil"),
    ("amin", "amax"),
    ("argmin", "argmax"),
    ("minimum", "maximum"),
    ("float", "double"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("cat", "stack"),
    ("relu", "leaky_relu"),
    ("height", "width"),
    ("square", "abs"),
    ("append", "extend"),
    ("add", "mul"),
    ("flip", "roll"),
]
SWAPS = dict(NAMES) | {b: a for a, b in NAMES}


@dataclass(frozen=True)
class Mutant:
    """One changed reference. "3.8 `a + b` -> `a - b`" is the change in line 3, column 8 of the function."""

    id: str
    function: Callable[..., Any]
    original: Callable[..., Any]


def mutants_of(function: Callable[..., Any]) -> list[Mutant]:
    """All single-change mutants of a function or a class, in source order, none of them twice."""
    tree = _parse(function)
    seen = {ast.unparse(tree)}
    found: list[Mutant] = []
    names: dict[str, int] = {}
    for label, changed in _changes(tree):
        text = ast.unparse(changed)
        if text in seen:
            continue
        seen.add(text)
        names[label] = names.get(label, 0) + 1
        unique = label if names[label] == 1 else f"{label} #{names[label]}"
        found.append(Mutant(unique, _compile(changed, function), function))
    return found


def mutants_for(ex: Exercise) -> list[Mutant]:
    """The mutants that the checker of an exercise has to notice."""
    return [mutant for function in ex.mutable() for mutant in mutants_of(function)]


def survives(ex: Exercise, mutant: Mutant) -> bool:
    """Whether the checker takes the mutant for a right answer; running for too long counts as killed."""
    if ex.id not in _warm:  # imports and the reference's own answers belong to nobody's time
        ex.takes(mutant.original, mutant.original)
        _warm.add(ex.id)
    try:
        with time_limit(LIMIT_SECONDS):
            return ex.takes(mutant.original, mutant.function)
    except TimeUp:
        return False


def mutation_row(ex: Exercise) -> dict[str, Any]:
    """Mutants of one reference: how many, killed, equivalent (listed), the score over the rest, survivors.

    `stale` are keys of the list of equivalents that no surviving mutant bears out.
    """
    mutants = mutants_for(ex)
    alive = [m for m in mutants if survives(ex, m)]
    equivalent = [m for m in alive if explained(ex, m)]
    return {
        "mutants": len(mutants),
        "killed": len(mutants) - len(alive),
        "equivalent": len(equivalent),
        "score": (len(mutants) - len(alive)) / max(1, len(mutants) - len(equivalent)),
        "survivors": [m.id for m in alive if not explained(ex, m)],
        "stale": [key for key in ex.equivalent if not any(key in m.id for m in equivalent)],
    }


def stale_equivalents(ex: Exercise) -> list[str]:
    """Keys of the list of equivalents that no surviving mutant bears out; only those mutants are judged."""
    mutants = [m for m in mutants_for(ex) if explained(ex, m)]
    return [key for key in ex.equivalent if not any(key in m.id and survives(ex, m) for m in mutants)]


def explained(ex: Exercise, mutant: Mutant) -> bool:
    """Whether the exercise lists the mutant as equivalent: one of its keys is part of the mutant's id."""
    return any(key in mutant.id for key in ex.equivalent)


def sample(pool: Sequence[Exercise], count: int, seed: int = 0) -> list[tuple[Exercise, Mutant]]:
    """A fixed-seed sample over all exercises, listed equivalents left out."""
    everything = [(ex, m) for ex in pool for m in mutants_for(ex) if not explained(ex, m)]
    return random.Random(seed).sample(everything, min(count, len(everything)))


Definition = ast.FunctionDef | ast.ClassDef


def _parse(function: Callable[..., Any]) -> Definition:
    tree = ast.parse(textwrap.dedent(getsource(function))).body[0]
    assert isinstance(tree, (ast.FunctionDef, ast.ClassDef))
    first = tree.lineno  # the line of `def`: ids do not move with the file or with decorators
    tree.decorator_list = []
    for part in ast.walk(tree):
        if not isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            continue
        if ast.get_docstring(part) is not None:
            part.body = part.body[1:] or [ast.copy_location(ast.Pass(), part.body[0])]
        if isinstance(part, ast.FunctionDef):
            part.returns = None
            for argument in [*part.args.args, *part.args.kwonlyargs]:
                argument.annotation = None
    return ast.increment_lineno(tree, 1 - first)


def _compile(tree: Definition, original: Callable[..., Any]) -> Callable[..., Any]:
    module = ast.fix_missing_locations(ast.Module(body=[tree], type_ignores=[]))
    namespace = globals_of(original)
    exec(compile(module, f"<mutant of {tree.name}>", "exec"), namespace)
    made: Callable[..., Any] = namespace[tree.name]
    return made


def _changes(tree: Definition) -> Iterator[tuple[str, Definition]]:
    """Every (label, mutated copy); nodes are numbered by `ast.walk`, whose order is the same in a copy."""
    for number, node in enumerate(ast.walk(tree)):
        for variant in _variants(node):
            changed = copy.deepcopy(tree)
            target = next(n for i, n in enumerate(ast.walk(changed)) if i == number)
            _become(target, variant)
            yield _label(node, variant), changed
        for field in ("body", "orelse"):
            for i, statement in enumerate(getattr(node, field, []) if isinstance(node, ast.stmt) else []):
                if isinstance(statement, ast.FunctionDef):  # a method left out is no slip
                    continue
                changed = copy.deepcopy(tree)
                block = getattr(next(n for k, n in enumerate(ast.walk(changed)) if k == number), field)
                block[i] = ast.copy_location(ast.Pass(), block[i])
                line = ast.unparse(statement).splitlines()[0]
                yield f"{statement.lineno}.{statement.col_offset} drop `{line}`", changed


def _become(target: ast.AST, variant: ast.AST) -> None:
    """Turn a node into another in place (its parent need not be known)."""
    place = {name: getattr(target, name) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")}
    target.__class__ = variant.__class__  # type: ignore[assignment]
    target.__dict__.clear()
    target.__dict__.update(copy.deepcopy(variant).__dict__ | place)


def _label(node: ast.AST, variant: ast.AST) -> str:
    if isinstance(node, (ast.Return, ast.Assign)):
        return f"{node.lineno}.{node.col_offset} value.{variant.value.func.attr}()"  # type: ignore[attr-defined]
    return f"{node.lineno}.{node.col_offset} `{ast.unparse(node)}` -> `{ast.unparse(variant)}`"  # type: ignore[attr-defined]


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Constant):
        yield from (ast.Constant(value) for value in _constants(node.value))
    elif isinstance(node, ast.BinOp):
        yield from (ast.BinOp(node.left, op(), node.right) for op in BINARY.get(type(node.op), ()))
        if not isinstance(node.op, (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr)):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for op in COMPARE.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [op()], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        yield from node.values
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.If):
        yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.Attribute) and node.attr in SWAPS:
        yield ast.Attribute(node.value, SWAPS[node.attr], node.ctx)
    elif isinstance(node, ast.Name) and node.id in SWAPS and isinstance(node.ctx, ast.Load):
        yield ast.Name(SWAPS[node.id], node.ctx)
    elif isinstance(node, (ast.Return, ast.Assign)) and node.value is not None:
        for method in ("detach", "double", "float"):
            yield _with_value(node, ast.Call(ast.Attribute(node.value, method, ast.Load()), [], []))
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        yield ast.Tuple([*node.elts[1:], node.elts[0]], node.ctx)
    elif isinstance(node, ast.AugAssign):
        for op in BINARY.get(type(node.op), ()):
            yield ast.AugAssign(node.target, op(), node.value)


def _constants(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield from {value + 1: 0, value - 1: 0, value * 2: 0, -value: 0, 0 * value: 0, value / 2: 0}
    elif value is None:
        yield 0


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    """Argument swaps, a dropped argument, a call (such as `.detach()`) taken away, an axis moved."""
    if len(node.args) > 1 and not any(isinstance(a, ast.Starred) for a in node.args):
        for i in range(len(node.args) - 1):
            args = [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
            yield ast.Call(node.func, args, node.keywords)
        yield ast.Call(node.func, node.args[:-1], node.keywords)
    for i, keyword in enumerate(node.keywords):
        yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])
        if keyword.arg in ("dim", "axis", "dims"):
            for axis in (0, 1, -1, -2):
                moved = ast.keyword(keyword.arg, ast.Constant(axis))
                yield ast.Call(node.func, node.args, [*node.keywords[:i], moved, *node.keywords[i + 1 :]])
    if isinstance(node.func, ast.Attribute) and not (
        isinstance(node.func.value, ast.Name) and node.func.value.id in _MODULES
    ):
        yield node.func.value
    elif len(node.args) == 1:
        yield node.args[0]


_MODULES = {"torch", "F", "math", "nn"}


def _with_value(node: ast.Return | ast.Assign, value: ast.expr) -> ast.stmt:
    return ast.Return(value) if isinstance(node, ast.Return) else ast.Assign(node.targets, value)
