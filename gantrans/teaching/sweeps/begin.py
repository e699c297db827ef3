"""The folder of a sweep: it keeps its notebook, scale and code, and a killed start is taken up again."""

import ast
import json
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gantrans.errors import ConfigError
from gantrans.files import replace_file
from gantrans.teaching.claims.provenance import current_commit
from gantrans.teaching.fingerprint import code_version, experiment_version, imports_of
from gantrans.teaching.runs import config_hash
from gantrans.teaching.sweeps.grid import Grid
from gantrans.teaching.sweeps.grid_files import SWEEP_NOTEBOOK
from gantrans.teaching.sweeps.task import ABOUT, ATTEMPTS, NOTEBOOK


def check_folder(grid: Grid, about: Mapping[str, str], out: Path) -> None:
    """See that a folder is new, or of a sweep of the same notebook, scale and code.

    Raises:
        ConfigError: it is neither.
    """
    path = out / ABOUT
    if path.exists():
        earlier = _read_about(path)
        free = ("date", "commit")  # a commit that changes other files is no other sweep
        different = [name for name in about if name not in free and earlier.get(name) != about[name]]
        if different:
            words = ", ".join(
                f"{name} {earlier.get(name)!r} there, {about[name]!r} now" for name in different
            )
            raise ConfigError(f"{out} holds another sweep ({words}); move it or name another --out.")
    elif out.exists() and not _only_begun(grid, out):
        raise ConfigError(f"{out} is not empty and holds no sweep; name another --out.")


def _read_about(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{path} cannot be read, so it is not known what was swept; name another --out."
        ) from error


def _only_begun(grid: Grid, out: Path) -> bool:
    """Whether a folder holds nothing, or what a sweep that was killed at its very start had copied."""
    if not out.is_dir():
        return False
    there = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    copied = out / NOTEBOOK
    return not there or (there == {NOTEBOOK} and copied.read_bytes() == grid.notebook.read_bytes())


def prepare(grid: Grid, about: Mapping[str, str], out: Path) -> None:
    """Write what a new sweep is, and remove the attempts of killed processes; see `check_folder`."""
    check_folder(grid, about, out)  # again: another process may have begun another sweep meanwhile
    if not (out / ABOUT).exists():
        replace_file(out / NOTEBOOK, grid.notebook.read_bytes())
        replace_file(out / ABOUT, json.dumps(about, indent=1) + "\n")
    shutil.copyfile(grid.path, out / "grid.toml")
    shutil.rmtree(out / ATTEMPTS, ignore_errors=True)  # of processes that were killed


def about_sweep(grid: Grid, scale: str) -> dict[str, str]:
    """What must not change within a sweep, and when it began."""
    import nbformat

    from gantrans.teaching.notebooks.executed import code_hash

    try:
        notebook = nbformat.read(grid.notebook, 4)
    except FileNotFoundError:
        raise ConfigError(
            f"{grid.path.name}: notebook is {grid.notebook.name!r}, which is not there; put it beside the "
            "grid file."
        ) from None
    _check_parameters(grid, notebook)
    about = {"grid": grid.name, "scale": scale, "notebook": code_hash(notebook), "code": code_version()}
    about["experiment"] = experiment_version(*lesson_modules(grid))
    if grid.sweep is not None:
        about["config"] = config_hash(grid.sweep.config(scale))
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {**about, "commit": current_commit(), "date": date}


def lesson_modules(grid: Grid) -> tuple[str, ...]:
    """The modules that a run rests on: those that the notebook imports, and that of the sweep."""
    import nbformat

    cells = nbformat.read(grid.notebook, 4).cells
    code = "\n".join(re.sub(r"^[%!].*$", "", c.source, flags=re.M) for c in cells if c.cell_type == "code")
    return tuple(sorted(imports_of(code).union({grid.module} if grid.module else ())))


def _check_parameters(grid: Grid, notebook: Any) -> None:
    """The factors, seed, scale and out must be parameters: papermill would only warn."""
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ConfigError(f"{grid.notebook.name} has {len(cells)} cells tagged `parameters`; it needs one.")
    known = set()
    for line in ast.parse(cells[0].source).body:  # `name = value`, as papermill reads them
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        known |= {target.id for target in targets if isinstance(target, ast.Name)}
    named = ("sweep",) if grid.notebook == SWEEP_NOTEBOOK else ()
    if missing := [name for name in (*named, *grid.factors, "seed", "scale", "out") if name not in known]:
        raise ConfigError(
            f"{grid.notebook.name} has no parameter {', '.join(missing)}; its `parameters` cell must set it, "
            "one a line."
        )
