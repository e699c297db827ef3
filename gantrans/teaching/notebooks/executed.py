"""Execute the course's notebooks so that a file is a function of its code alone, and check that it is fresh.

The committed notebook, outputs included, is the source of truth. `execute` runs it, takes out what differs
from run to run (times, random widget ids, versions) and stamps it with a hash of its code; two executions of
the same code give the same bytes. It tags the cells whose outputs do not depend on the scale, so that CI,
which runs at smoke, can compare them with the committed ones (nbval). `check` starts no kernel: it compares
stamp and code, looks at the outputs, and applies the rules of writing in `rules`.
"""

import ast
import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from gantrans import ROOT
from gantrans.files import replace_file
from gantrans.scales import resolve_scale
from gantrans.teaching.course import is_evidence, lesson_of
from gantrans.teaching.notebooks.cells import cell_name
from gantrans.teaching.notebooks.links import link_problems
from gantrans.teaching.notebooks.rules import rule_problems
from gantrans.teaching.notebooks.text import COMPARED
from gantrans.teaching.plots.display import committed_form, lighter_form

WIDGETS = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
LARGEST_FILE = 1_000_000
MACHINE_TRACES = {
    "an absolute path": re.compile(r"(?<![\w.:/])/(?:home|Users|root|tmp|var|mnt)/\w|\b[A-Z]:\\+Users\\"),
    "a memory address": re.compile(r"\b0x[0-9a-f]{8,16}\b"),
}
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


def execute(path: Path, scale: str | None = None, *, timeout: float = 1800) -> None:
    """Run a notebook in place, with an empty cache of runs; normalise, stamp, tag, replace the file.

    It is run a second time, at smoke, to find the cells that give the same at both scales (`tag_comparable`).

    Args:
        path: the notebook; its kernel works in the notebook's folder.
        scale: None takes `resolve_scale`'s choice; lessons are committed at "reduced" or "full".
        timeout: seconds for one cell.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; the file is left as it was.
    """
    scale = resolve_scale(scale)
    notebook = normalise(run_copy(path, scale, timeout=timeout))
    notebook.metadata.setdefault("gantrans", {}).update(code=code_hash(notebook), scale=scale)
    tag_comparable(notebook, normalise(run_copy(path, "smoke", timeout=timeout)))
    write(notebook, path)


def run_copy(path: Path, scale: str, *, timeout: float = 1800) -> NotebookNode:
    """The notebook after a run at `scale` in a kernel of its own; the file is left as it is.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    from nbclient import NotebookClient

    from gantrans.teaching.notebooks.kernels import START_SECONDS, kernel_config

    notebook = nbformat.read(path, 4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        startup_timeout=START_SECONDS,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
        config=kernel_config(),
    )
    with tempfile.TemporaryDirectory(prefix="gantrans-") as scratch:
        client.execute(env=kernel_environment(scale, Path(scratch)))
    return notebook


def tag_comparable(notebook: NotebookNode, at_smoke: NotebookNode) -> None:
    """Tag, in place, the cells that print the same in a run at smoke: nbval compares these outputs in CI.

    What a training gives differs between scales, so a tagged output rests on code and committed tables alone.
    """
    for cell, other in zip(notebook.cells, at_smoke.cells, strict=True):
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != COMPARED]
        if cell.cell_type == "code" and _compared(cell) and _compared(cell) == _compared(other):
            tags.append(COMPARED)
        if tags:
            cell.metadata["tags"] = tags
        else:
            cell.metadata.pop("tags", None)


def _compared(cell: NotebookNode) -> list[Any]:
    """What nbval compares of a cell's outputs: texts, among them the words for figures, but no pixels.

    Nothing for a cell with widgets: nbval counts what an Output widget shows as outputs of the cell.
    """
    if any(WIDGET_VIEW in output.get("data", {}) for output in cell.get("outputs", [])):
        return []
    found = []
    for output in cell.get("outputs", []):
        data = {mime: text for mime, text in output.get("data", {}).items() if not mime.startswith("image/")}
        found += [data] if data else []
        found += [output["text"]] if "text" in output else []
    return found


def kernel_environment(scale: str, scratch: Path) -> dict[str, str]:
    """Of a reproducible run: one thread, no progress bars, the learner's own runs and progress untouched."""
    fixed = {
        "GANTRANS_SCALE": scale,
        "GANTRANS_CACHE": str(scratch / "cache"),
        "GANTRANS_CLAIMS": str(scratch / "claims"),
        "GANTRANS_HEADLESS": "1",
        "GANTRANS_PROGRESS": str(scratch / "progress.json"),
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "TQDM_DISABLE": "1",
    }
    return {**os.environ, **fixed}


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Without what differs from run to run (timing, papermill's notes, versions, random ids of widgets) and
    without the HTML twins of pictures, which get a palette."""
    notebook = lighter_form(committed_form(notebook))
    for cell in notebook.cells:
        for key in ("execution", "papermill", "collapsed", "scrolled"):
            cell.metadata.pop(key, None)
    notebook.metadata.pop("papermill", None)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    notebook.metadata["language_info"] = {
        "name": "python",
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "pygments_lexer": "ipython3",
    }
    numbered = {old: f"{n:032x}" for n, old in enumerate(_widget_models(notebook))}  # in order of creation
    text = _ID.sub(lambda match: numbered.get(match[0], match[0]), nbformat.writes(notebook))
    return nbformat.reads(text, 4)


def write(notebook: NotebookNode, path: Path) -> None:
    """Replace the file at once, so that a crash leaves the old or the new one."""
    replace_file(path, nbformat.writes(notebook).rstrip("\n") + "\n", sync=False)


def code_hash(notebook: NotebookNode) -> str:
    """Changes when code or tags change; not with comments, prose, blank lines or outputs."""
    code = hashlib.sha256()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            source = re.sub(r"^[%!].*$", lambda magic: repr(magic[0]), cell.source, flags=re.M)
            with contextlib.suppress(SyntaxError):  # a cell that shows one on purpose: its text counts
                source = ast.dump(ast.parse(source))
            tags = sorted(set(cell.metadata.get("tags", [])) - {COMPARED})
            code.update(json.dumps([source, tags]).encode())
    return code.hexdigest()[:16]


def check(path: Path) -> list[str]:
    """Everything wrong with a committed notebook, one sentence each, found without a kernel.

    A lesson (`NN_name.ipynb`) and its evidence page must also keep the rules of writing.
    """
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    problems = list(_stale(notebook, path)) + list(_bad_outputs(notebook))
    if path.stat().st_size > LARGEST_FILE:
        megabytes = path.stat().st_size / 1e6
        problems.append(f"the file has {megabytes:.1f} MB, at most 1 is allowed: show smaller figures.")
    if re.match(r"\d\d_", path.name):
        problems += rule_problems(notebook, lesson_of(path), evidence=is_evidence(path))
        problems += link_problems(notebook, path)
    return [f"{path.name}: {problem}" for problem in problems]


def _stale(notebook: NotebookNode, path: Path) -> Iterator[str]:
    stamp = notebook.metadata.get("gantrans", {})
    again = f"run `python -m gantrans course notebooks run {path.name} --scale reduced`."
    if stamp.get("code") != code_hash(notebook):
        yield f"the outputs are not those of the code: {again}"
    elif stamp.get("scale") not in ("reduced", "full"):
        yield f"the outputs are from scale {stamp.get('scale')!r}: {again}"
    expected = 0
    for number, cell in enumerate(notebook.cells, 1):
        skipped = not cell.source.strip() or "skip-execution" in cell.metadata.get("tags", [])
        if cell.cell_type == "code" and not skipped:
            expected += 1
            if cell.execution_count != expected:
                place = f"ran as number {cell.execution_count}, not {expected}"
                yield f"{cell_name(number, cell)} {place}: {again}"
                return


def _bad_outputs(notebook: NotebookNode) -> Iterator[str]:
    for number, cell in enumerate(notebook.cells, 1):
        name = cell_name(number, cell)
        outputs = cell.get("outputs", [])
        errors = [] if "raises-exception" in cell.metadata.get("tags", []) else _errors(outputs)
        yield from (f"{name} ended in {error}." for error in errors)
        if any(output.get("name") == "stderr" for output in outputs):
            yield f"{name} writes to stderr: mend the cause of the warning."
        text = cell.source + json.dumps([_without_images(output) for output in outputs])
        yield from (f"{name} contains {trace}." for trace in _traces(text))
    for model in _widget_models(notebook).values():  # errors in callbacks end up here and nowhere else
        errors = _errors(model["state"].get("outputs", []))
        yield from (f"a widget's function ended in {error}." for error in errors)


def _errors(outputs: list[Any]) -> list[str]:
    return [f"{o['ename']}: {o['evalue']}" for o in outputs if o.get("output_type") == "error"]


def _traces(text: str) -> Iterator[str]:
    yield from (trace for trace, pattern in MACHINE_TRACES.items() if pattern.search(text))
    if str(ROOT) in text or str(Path.home()) + os.sep in text:
        yield "a path of this machine"


def _without_images(output: Any) -> Any:
    data = output.get("data", {}).items()
    return {**output, "data": {mime: content for mime, content in data if not mime.startswith("image/")}}


def _widget_models(notebook: NotebookNode) -> dict[str, Any]:
    state: dict[str, Any] = notebook.metadata.get("widgets", {}).get(WIDGETS, {}).get("state", {})
    return state
