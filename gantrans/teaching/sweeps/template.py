"""The notebook of a course sweep: the words of its grid file around a run of one setting and seed."""

import json

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from gantrans.errors import ConfigError
from gantrans.teaching.places import found, module_of
from gantrans.teaching.sweeps.grid import Grid

_FIRST = """# {title}

**The question:** {question}

**What is varied:** {varies}

One run is all arms of one setting and one seed. By hand it runs here, at the next cell's
scale and seed; all runs of the sweep: `python -m gantrans ablate {name} --scale reduced --workers 2`."""
_PARAMETERS = """scale = "auto"
seed = {seed}
setting = {setting}
out = None  # where a sweep keeps the row; None: nowhere"""
_RUN = """from gantrans.teaching.sweeps import save_arms
from {module} import SWEEP
from gantrans.teaching.sweeps.tables import device_name
from gantrans.teaching.plots import metric_table
from gantrans.scales import resolve_scale

arms = SWEEP.part(setting, seed, resolve_scale(scale))"""
_SAVE = """save_arms(arms, out, device=device_name())
metric_table(arms, caption=f"{{setting}}, seed {{seed}}")"""
_LAST = """## How to read it

{reading}"""


def sweep_notebook(grid: Grid) -> NotebookNode:
    """The notebook of a grid that names a sweep, without outputs; a function of the grid file alone.

    Raises:
        ConfigError: the grid names no sweep, or leaves out one of the texts.
    """
    if grid.sweep is None:
        raise ConfigError(f"{grid.path.name}: sweep is missing; only the notebook of a sweep can be written.")
    for name in ("question", "varies", "reading"):
        if not getattr(grid, name):
            raise ConfigError(f"{grid.path.name}: {name} is missing; the notebook says it.")
    words = {
        "title": grid.title, "question": grid.question, "varies": grid.varies, "reading": grid.reading,
        "name": grid.name, "module": module_of(found(f"experiments/{grid.sweep_name}.py")[0]),
        "setting": json.dumps(grid.factors["setting"][0], ensure_ascii=False),
        "seed": min(grid.seeds("smoke")),
    }  # fmt: skip
    cells = [
        new_markdown_cell(_FIRST.format(**words)),
        new_code_cell(_PARAMETERS.format(**words), metadata={"tags": ["parameters"]}),
        new_code_cell(_RUN.format(**words)),
        new_code_cell(_SAVE.format(**words)),
        new_markdown_cell(_LAST.format(**words)),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"c{number:02}"
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def write_notebook(grid: Grid) -> None:
    """Write it to its place beside the grid file."""
    nbformat.write(sweep_notebook(grid), grid.notebook)
