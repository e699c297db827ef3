"""Explorers in a real JupyterLab: open the notebook, run all, move a control, and the figure changes.

Every lesson that calls `explore` is driven, and so is a small fixture that proves the machinery. Each
explorer's last state is kept as a screenshot in pytest's temporary folder. The lessons run here with another
seed than in nbval's run, and from an empty cache, so that this run also shows that they keep their budget.
"""

import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from gantrans.teaching.course import cpu_limit
from gantrans.teaching.notebooks.run import find_lessons

pytestmark = pytest.mark.browser

GOOD = Path(__file__).parents[1] / "fixtures" / "90_good_lesson.ipynb"
DRIVEN = [GOOD, *(path for path in find_lessons() if "explore(" in path.read_text(encoding="utf-8"))]
EXPLORER = ".jp-CodeCell:has(.jupyter-widgets img)"
CONTROLS = ".jupyter-widgets .noUi-handle, .jupyter-widgets select, .jupyter-widgets input[type=checkbox]"
NOTEBOOK = "window.jupyterapp.shell.currentWidget"
READY = f"async () => {{ const w = {NOTEBOOK}; await w.context.ready; await w.sessionContext.ready }}"
COMMAND = "command => window.jupyterapp.commands.execute(command)"
IDLE = f"""() => {NOTEBOOK}.sessionContext.session.kernel.status === 'idle' &&
    [...{NOTEBOOK}.content.model.cells].every(cell => cell.type !== 'code' ||
        !cell.sharedModel.source.trim() || cell.executionCount != null)"""
ERRORS = f"""() => [...{NOTEBOOK}.content.model.cells].filter(cell => cell.type === 'code')
    .flatMap(cell => cell.outputs.toJSON()).filter(output => output.output_type === 'error')
    .map(output => output.ename + ': ' + output.evalue)"""
LAST = f"() => [...{NOTEBOOK}.content.model.cells].at(-1).outputs.toJSON()[0].text"
PICTURES = "images => images.map(image => image.src).join(' ')"


@pytest.mark.parametrize("lesson", DRIVEN, ids=lambda path: path.stem)
def test_every_explorer_redraws(lesson, lab, browser, tmp_path):
    url, served = lab
    nbformat.write(with_another_seed(lesson, tmp_path / "cache"), served / lesson.name)
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(90_000)
    try:
        run_all(page, f"{url}/lab/tree/{lesson.name}?reset")
        seconds, limit = float(page.evaluate(LAST)), cpu_limit(lesson)
        assert seconds <= limit, f"{lesson.name} used {seconds:.1f} CPU seconds; {limit:.0f} are allowed"
        explorers = page.locator(EXPLORER)
        explorers.first.wait_for()
        for number in range(explorers.count()):
            drive(page, explorers.nth(number))
            page.screenshot(path=tmp_path / f"{lesson.stem}-{number}.png")
        assert page.evaluate(ERRORS) == []
    finally:  # end the kernel as well, or the next notebook shares the machine with it
        page.evaluate(f"() => {NOTEBOOK}.sessionContext.shutdown()")
        context.close()


def with_another_seed(lesson: Path, cache: Path) -> nbformat.NotebookNode:
    """The lesson with seed 1 at smoke, in whose last cell the CPU seconds of its kernel stand."""
    notebook = parameterize_notebook(load_notebook_node(str(lesson)), {"scale": "smoke", "seed": 1})
    first = f"import os\n\nos.environ['GANTRANS_CACHE'] = {str(cache)!r}  # all is trained, nothing loaded"
    last = "used = os.times()\nprint(used.user + used.system + used.children_user + used.children_system)"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(first))
    notebook.cells.append(nbformat.v4.new_code_cell(last))
    return notebook


def run_all(page: Any, url: str) -> None:
    """Open a notebook and run it from the top, until the last cell has ended without an error."""
    page.goto(url)
    page.wait_for_function("() => window.jupyterapp && window.jupyterapp.restored")
    page.evaluate("() => window.jupyterapp.restored.then(() => 1)")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.evaluate(READY)
    page.evaluate(COMMAND, "notebook:clear-all-cell-outputs")  # committed outputs are not this run's
    succeeded = page.evaluate(COMMAND, "notebook:run-all-cells")  # ends with the last cell or the first error
    assert page.evaluate(ERRORS) == []
    assert succeeded
    page.wait_for_function(IDLE, timeout=300_000)


def drive(page: Any, explorer: Any) -> None:
    """Move every control and back: the first one changes the figure, each finds the first figure again."""
    explorer.scroll_into_view_if_needed()
    before = settled(page, explorer)
    controls = explorer.locator(CONTROLS)
    for number in range(controls.count()):
        back = move(controls.nth(number))
        after = settled(page, explorer, unlike=before, seconds=60 if number == 0 else 4)
        assert number or after != before
        back()
        assert settled(page, explorer, like=before) == before
        assert page.evaluate(ERRORS) == []


def move(control: Any) -> Any:
    """Move a slider by a step, choose another option, or click a box; returns the way back."""
    kind = control.evaluate("element => element.tagName + (element.type || '')")
    if kind.startswith("SELECT"):
        chosen = control.evaluate("select => select.selectedIndex")
        control.select_option(index=1 if chosen == 0 else 0)
        return lambda: control.select_option(index=chosen)
    if kind == "INPUTcheckbox":
        control.click()
        return control.click
    last = control.get_attribute("aria-valuenow") == control.get_attribute("aria-valuemax")
    control.press("ArrowLeft" if last else "ArrowRight")
    return lambda: control.press("ArrowRight" if last else "ArrowLeft")


def settled(page: Any, explorer: Any, *, unlike: str = "", like: str = "", seconds: float = 60) -> str:
    """The pictures in the widget, once the kernel is idle and they have stayed the same for 0.6 s.

    A redraw may lag behind the control, so wait for a change (`unlike`) or a known state (`like`).
    """
    end = time.monotonic() + seconds
    last, since = "", time.monotonic()
    while time.monotonic() < end:
        now = explorer.locator(".jupyter-widgets img").evaluate_all(PICTURES)
        if now != last:
            last, since = now, time.monotonic()
        awaited = now and now != unlike and now == (like or now)
        if awaited and time.monotonic() - since > 0.6 and page.evaluate(IDLE):
            return str(now)
        page.wait_for_timeout(100)
    return last


def test_an_explorer_that_does_not_redraw_is_noticed(lab, browser, tmp_path):
    url, served = lab
    notebook = nbformat.read(GOOD, 4)
    notebook.cells[5].source = notebook.cells[5].source.replace("* waves *", "* 2 *").replace("{waves} ", "")
    nbformat.write(notebook, served / "stuck.ipynb")
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(90_000)
    try:
        run_all(page, f"{url}/lab/tree/stuck.ipynb?reset")
        explorer = page.locator(EXPLORER).first
        before = settled(page, explorer)
        move(explorer)
        assert settled(page, explorer, unlike=before, seconds=3) == before
    finally:
        page.evaluate(f"() => {NOTEBOOK}.sessionContext.shutdown()")
        context.close()
