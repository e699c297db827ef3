"""No file of the library imports itself through others, whether at the top, in a function or for types."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def import_graph(root: Path, package: str) -> dict[str, set[str]]:
    """Module -> modules of `package` that it imports anywhere in its text."""
    paths = {}
    for path in (root / package).rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {}
    for module, path in paths.items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                names |= {name if name in paths else node.module for name in whole}
        graph[module] = {name for name in names if name in paths and name != module}
    return graph


def test_no_circle_of_files() -> None:
    graph = import_graph(ROOT, "gantrans")
    assert len(graph) > 100
    list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize(
    "line",
    [
        "from toy.a import x",
        "import toy.a",
        "def f():\n    from toy import a",
        "if TYPE_CHECKING:\n    from toy.a import x",
    ],
)
def test_a_planted_circle_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "toy").mkdir()
    for name, text in (("__init__", ""), ("a", "from toy import b\nx = 1"), ("b", line)):
        (tmp_path / "toy" / f"{name}.py").write_text(text, encoding="utf-8")
    with pytest.raises(CycleError, match=r"toy\.a"):
        list(TopologicalSorter(import_graph(tmp_path, "toy")).static_order())
