"""Renames and locks stand in one module, so that what survives a kill is decided once."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from gantrans import ROOT

ONE_PLACE = ROOT / "gantrans" / "files.py"
EXPORTED = ROOT / "notebooks" / "lessons" / "exports" / "_checkpoint.py"  # runs where the course is not
MODULES = {"fcntl", "msvcrt", "filelock"}
FUNCTIONS = {("os", "replace"), ("os", "rename"), ("os", "renames"), ("shutil", "move")}


def violations(source: str) -> Iterator[str]:
    """Uses of what renames or locks.

    A method called `rename` or `replace` with one argument is that of a path: text takes two, a Disk two, and
    dataclasses and dates take keywords.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = {alias.name.split(".")[0] for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module, alias.name) for alias in node.names} & FUNCTIONS
            found = {f"{module}.{name}" for module, name in names} | ({node.module} & MODULES)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found = {f"{m}.{f}" for m, f in FUNCTIONS if (m, f) == (node.value.id, node.attr)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            alone = len(node.args) == 1 and not node.keywords
            found = {f".{node.func.attr}()"} if alone and node.func.attr in ("rename", "replace") else set()
        else:
            continue
        for what in sorted(found):
            yield f"line {node.lineno}: {what}"


def sources() -> list[Path]:
    folders = (ROOT / "gantrans", ROOT / "notebooks" / "lessons")
    return [path for folder in folders for path in sorted(folder.rglob("*.py"))]


def test_files_are_renamed_and_locked_in_one_place() -> None:
    assert list(violations(ONE_PLACE.read_text("utf-8")))
    found = {
        path: list(violations(path.read_text("utf-8")))
        for path in sources()
        if path not in (ONE_PLACE, EXPORTED)
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "import os\nos.replace(draft, path)",
        "import os\nmove = os.rename",
        "from os import rename",
        "import shutil\nshutil.move(draft, path)",
        "draft.rename(path)",
        "draft.replace(path)",
        "def f(handle):\n    import fcntl\n    fcntl.flock(handle, fcntl.LOCK_EX)",
        "import msvcrt",
        "from filelock import FileLock",
    ],
)
def test_a_second_place_is_found(planted: str) -> None:
    assert list(violations(planted))


@pytest.mark.parametrize(
    "innocent",
    [
        "'a b'.replace(' ', '')",
        "dataclasses.replace(config, seed=1)",
        "moment.replace(tzinfo=UTC)",
        "disk.rename(draft, name)",
    ],
)
def test_what_renames_no_file_is_let_pass(innocent: str) -> None:
    assert not list(violations(innocent))
