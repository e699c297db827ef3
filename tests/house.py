"""The rules of where things stand, as functions of a repository's root; each gives a sentence per violation.

Every Python file below `gantrans` and `notebooks/lessons` is parsed once. All imports count: at the top of a
file, inside a function, under TYPE_CHECKING, and by name with `import_module("...")`.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FLOORS = {
    "data": 1, "networks": 1, "metrics": 1, "training": 1,
    "diffusion": 2,
    "translation": 3,
    "operations": 4,
    "command_line": 5,
}  # fmt: skip
"""Folders of the library. A file beside them is on floor 0, `__main__.py` on floor 6."""
MOST_LINES = 350
MOST_FUNCTION_LINES = 60
ONLY_ABLATION = "sweep.ipynb"


@dataclass(frozen=True)
class Source:
    """One Python file: its dotted name, what it imports, its lines and those of each function."""

    name: str
    path: str
    lines: int
    imports: frozenset[str]
    functions: dict[str, int] = field(hash=False)


@cache
def sources(root: Path) -> dict[str, Source]:
    """Every file of the library and of the lessons by its dotted name."""
    found = {}
    for base, package in ((root, "gantrans"), (root / "notebooks", "lessons")):
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    places = frozenset(
        ".".join(name.split(".")[:n]) for name in found for n in range(1, 1 + len(name.split(".")))
    )
    return {name: _source(root, name, path, places) for name, path in found.items()}


def _source(root: Path, name: str, path: Path, places: frozenset[str]) -> Source:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports = frozenset(imported(tree, package, places)) - {name}
    functions: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef)
        ):  # of two with one name the longer counts
            lines = (node.end_lineno or 0) - node.lineno + 1
            functions[node.name] = max(lines, functions.get(node.name, 0))
    return Source(name, path.relative_to(root).as_posix(), len(text.splitlines()), imports, functions)


def imported(tree: ast.AST, package: str = "", places: frozenset[str] | None = None) -> Iterator[str]:
    """The dotted names that a file imports; `from a import b` gives a.b if that is a file or folder, else a.

    Without `places` it always gives a.b.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                yield whole if places is None or whole in places else module
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            yield from (
                a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
            )


def _inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _teaches(name: str) -> bool:
    return _inside(name, "gantrans.teaching")


def library_knows_nothing_of_teaching(root: Path) -> list[str]:
    """`gantrans` outside `teaching` imports neither `teaching` nor `lessons`."""
    return [
        f"{source.path} imports {name}: the library must work without what teaches."
        for source in sources(root).values()
        if _inside(source.name, "gantrans") and not _teaches(source.name)
        for name in sorted(source.imports)
        if _teaches(name) or _inside(name, "lessons")
    ]


def teaching_knows_no_lesson(root: Path) -> list[str]:
    """`teaching` imports no lesson; it finds them (`places.found`)."""
    return [
        f"{source.path} imports {name}: the machinery of teaching finds lessons, it names none."
        for source in sources(root).values()
        if _teaches(source.name)
        for name in sorted(source.imports)
        if _inside(name, "lessons")
    ]


def lessons_import_earlier_ones(root: Path) -> list[str]:
    """A lesson's files and its page import lessons before it and `shared`; `shared` imports no lesson."""
    known = {
        s.path: (_lesson(s.name), s.imports) for s in sources(root).values() if _inside(s.name, "lessons")
    }
    for page in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        cells = json.loads(page.read_text("utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        trees = [ast.parse(re.sub(r"^[%!].*$", "", text, flags=re.M)) for text in code]
        names = frozenset(name for tree in trees for name in imported(tree))
        known[page.relative_to(root).as_posix()] = (f"lesson{page.name[:2]}", names)
    return [
        f"{path} imports {name}: only lessons before it and shared are allowed."
        for path, (lesson, names) in known.items()
        for name in sorted(names)
        if re.match(r"lessons\.lesson\d\d(\.|$)", name)
        and name.split(".")[1] != lesson
        and (lesson == "shared" or name.split(".")[1] > lesson)
    ]


def _lesson(name: str) -> str:
    return name.split(".")[1] if "." in name else "shared"


def floors_go_down(root: Path) -> list[str]:
    """A folder of the library imports from lower floors alone, a file beside them from floor 0."""
    problems = []
    for source in sources(root).values():
        if not _inside(source.name, "gantrans") or _teaches(source.name) or source.name == "gantrans":
            continue
        part = source.name.split(".")[1]
        floor = _floor(root, part)
        if floor is None:
            problems.append(f"gantrans/{part} is on no floor: put it into FLOORS of tests/house.py.")
            continue
        for name in sorted(source.imports):
            if not name.startswith("gantrans.") or _teaches(name) or name.split(".")[1] == part:
                continue
            below = _floor(root, name.split(".")[1])
            if below is not None and (below >= floor > 0 or below > floor == 0):
                problems.append(f"{source.path}, floor {floor}, imports {name}, floor {below}.")
    return problems


def _floor(root: Path, part: str) -> int | None:
    if part == "__main__":
        return 6
    return FLOORS.get(part) if (root / "gantrans" / part).is_dir() else 0


def circles(root: Path) -> list[tuple[str, ...]]:
    """Files that import each other, directly or round about: each group once, sorted (Tarjan 1972)."""
    graph = {name: sorted(source.imports & set(sources(root))) for name, source in sources(root).items()}
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    groups = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        path.append(name)
        for other in graph[name]:
            if other not in order:
                visit(other)
            if other in path:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            group = path[path.index(name) :]
            del path[path.index(name) :]
            if len(group) > 1:
                groups.append(tuple(sorted(group)))

    for name in graph:
        if name not in order:
            visit(name)
    return sorted(groups)


def one_command_measures(root: Path) -> list[str]:
    """A lesson has no command line of its own: `python -m gantrans ablate` measures. The scripts that
    learners export are no lessons."""
    return [
        f"{source.path} imports {name}: sweeps and experiments are measured by `ablate` alone."
        for source in sources(root).values()
        if _inside(source.name, "lessons") and not _inside(source.name, "lessons.exports")
        for name in sorted(source.imports)
        if name.split(".")[0] in ("argparse", "click", "typer")
    ]


def nothing_generated(root: Path) -> list[str]:
    """No notebook that a command writes from the file beside it; one notebook serves all ablations."""
    notebooks = sorted((root / "notebooks").rglob("*.ipynb"))
    ablations = root / "notebooks" / "ablations"
    return [
        f"{path.relative_to(root).as_posix()} is written by a command: remove it."
        for path in notebooks
        if path.with_suffix(".toml").exists() or (path.parent == ablations and path.name != ONLY_ABLATION)
    ]


def long_files(root: Path) -> dict[str, int]:
    """Files of more lines than one sitting."""
    return {s.path: s.lines for s in sources(root).values() if s.lines > MOST_LINES}


def long_functions(root: Path) -> dict[str, int]:
    """Functions that do not fit a screen, as `path:name`."""
    return {
        f"{source.path}:{name}": lines
        for source in sources(root).values()
        for name, lines in source.functions.items()
        if lines > MOST_FUNCTION_LINES
    }
