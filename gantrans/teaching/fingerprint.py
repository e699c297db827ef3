"""What a stored result is keyed by: hashes of the code that made it.

Two hashes, because they change for different reasons. `code_version` covers the library below the operations
floor: a result says under which library it was made. `experiment_version` covers the lesson's own modules:
the module that asked, all that it imports from the lessons or from the upper floors of the library, and what
those import. An edited loss in an experiment therefore never meets the weights of the old one. Comments,
docstrings and layout change neither.
"""

import ast
import dataclasses
import hashlib
import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from gantrans import ROOT
from gantrans.teaching.places import NOTEBOOKS

FLOORS = ("data", "networks", "metrics", "training", "translation", "diffusion")
"""Folders whose code decides what a training gives (floors 1 and 2); the files of floor 0 count as well."""
_DEPTH = 6
"""How far captured values are followed: a partial of a method of an object that holds a function is 4."""


def digest(value: Any) -> str:
    """SHA-256 of a value of plain Python, in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def source_digest(source: str) -> str:
    """Hash of Python code that comments, docstrings and layout do not change."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@lru_cache(maxsize=1)
def code_version() -> str:
    """Hash of the library code below the operations floor, without comments and docstrings (12 digits)."""
    package = ROOT / "gantrans"
    files = [p for p in sorted(package.glob("*.py")) if p.name != "__main__.py"]
    files += [p for floor in FLOORS for p in sorted((package / floor).rglob("*.py"))]
    return digest({p.relative_to(package).as_posix(): source_digest(p.read_text("utf-8")) for p in files})[
        :12
    ]


def experiment_version(*askers: Any) -> str:
    """Hash of the lessons' code that functions, classes or modules rest on (12 digits); "" if there is none.

    A function stands for its module and for whatever it has captured: the cells of a closure, the arguments
    of a `functools.partial`, the object of a bound method, functions inside dataclasses and containers. A
    function of a notebook's cells (`__main__`) stands for its own source and for the functions and classes of
    the notebook that it names.

    Args:
        askers: callables, classes, modules, or names of modules.
    """
    modules: set[str] = set()
    cells: dict[str, str] = {}
    seen: set[int] = set()
    for asker in askers:
        if isinstance(asker, str):
            modules.add(asker)
        else:
            _reach(asker, modules, cells, seen, _DEPTH)
    files = closure(modules)
    content = {name: _file_digest(path, path.stat().st_mtime_ns) for name, path in files.items()}
    return digest([content, cells])[:12] if content or cells else ""


def closure(modules: Iterable[str]) -> dict[str, Path]:
    """The files of the named modules and of all that they import, directly or not, by dotted name.

    Lessons count, and the library's floors that `code_version` leaves out; the teaching machinery does not.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = None if name in found else _file_of(name)
        if path is not None:
            found[name] = path
            waiting += imported_modules(path, path.stat().st_mtime_ns)
    return dict(sorted(found.items()))


@lru_cache(maxsize=1024)
def imported_modules(path: Path, _changed: int = 0) -> tuple[str, ...]:
    """Dotted names that a file imports, anywhere in it; `from a import b` gives both a and a.b."""
    return tuple(sorted(imports_of(path.read_text("utf-8"))))


def imports_of(source: str) -> set[str]:
    """Dotted names that Python code imports; `from a import b` gives both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@lru_cache(maxsize=1024)
def _file_digest(path: Path, _changed: int) -> str:
    return source_digest(path.read_text("utf-8"))


def _file_of(module: str) -> Path | None:
    """The file of a module that counts; a package is its `__init__.py`."""
    parts = module.split(".")
    if parts[0] == "lessons":
        root = NOTEBOOKS
    elif parts[0] == "gantrans" and len(parts) > 2 and parts[1] not in (*FLOORS, "teaching"):
        root = ROOT
    else:
        return None
    path = root.joinpath(*parts)
    options = (path.with_suffix(".py"), path / "__init__.py")
    return next((option for option in options if option.is_file()), None)


def _reach(value: Any, modules: set[str], cells: dict[str, str], seen: set[int], depth: int) -> None:
    """Add the modules, and the notebook's own definitions, that a value rests on."""
    if depth < 0 or id(value) in seen or isinstance(value, (str, bytes, int, float, Path, type(None))):
        return
    seen.add(id(value))
    following: list[Any] = []
    if isinstance(value, ModuleType):
        modules.add(value.__name__)
    elif isinstance(value, partial):
        following = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, MethodType):
        following = [value.__func__, value.__self__]
    elif isinstance(value, (FunctionType, type)):
        _add_definition(value, modules, cells, seen, depth)
        if isinstance(value, FunctionType):
            captured = [_content(cell) for cell in value.__closure__ or ()]
            following = [*captured, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    elif isinstance(value, Mapping):
        following = list(value.values())
    elif isinstance(value, (list, tuple, set, frozenset)):
        following = list(value)
    else:
        following = [type(value)]
        if dataclasses.is_dataclass(value):
            following += [getattr(value, field.name) for field in dataclasses.fields(value)]
    for other in following:
        _reach(other, modules, cells, seen, depth - 1)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return None


def _add_definition(
    value: FunctionType | type, modules: set[str], cells: dict[str, str], seen: set[int], depth: int
) -> None:
    """A definition in a file counts with its whole module; one in a notebook's cell with its source."""
    if value.__module__ != "__main__":
        modules.add(value.__module__)
        return
    try:
        source = inspect.getsource(value)
        cells[value.__qualname__] = source_digest(inspect.cleandoc(source))
    except (OSError, TypeError, SyntaxError):  # no source, or a part of a line such as a lambda: the bytecode
        cells[value.__qualname__] = _bytecode(value.__code__) if isinstance(value, FunctionType) else ""
    notebook = vars(sys.modules["__main__"])
    for name in _names(value):
        other = notebook.get(name)
        if isinstance(other, (FunctionType, type, partial, ModuleType)):
            _reach(other, modules, cells, seen, depth - 1)


def _bytecode(code: CodeType) -> str:
    constants = [_bytecode(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return digest([code.co_code.hex(), constants, list(code.co_names)])


def _names(value: FunctionType | type) -> set[str]:
    """Global names that a function, or any method of a class, uses."""
    if isinstance(value, type):
        methods = [member for member in vars(value).values() if isinstance(member, FunctionType)]
        bases = {base.__name__ for base in value.__bases__}
        return bases.union(*(_names(method) for method in methods))
    names: set[str] = set()
    waiting: list[CodeType] = [value.__code__]
    while waiting:
        code = waiting.pop()
        names |= set(code.co_names)
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return names
