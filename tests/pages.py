"""For tests that compare a lesson's page with the library: functions and classes that a page defines."""

import ast
from pathlib import Path
from typing import Any

import nbformat

from gantrans.teaching.course import lesson


def defined_on_page(number: str, *names: str, **given: Any) -> list[Any]:
    """The functions or classes that code cells of lesson `number` define, made in a namespace with `given`.

    Imports of the page are executed first; the cells' other statements are not.
    """
    notebook = nbformat.read(Path(lesson(number).notebook), 4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    nodes = [node for source in code for node in ast.parse(source).body]
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    defined = {n.name: n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name in names}
    missing = set(names) - set(defined)
    assert not missing, f"the page of lesson {number} defines no {missing}"
    namespace: dict[str, Any] = dict(given)
    exec(compile(ast.Module([*imports, *defined.values()], []), f"<lesson {number}>", "exec"), namespace)
    return [namespace[name] for name in names]
