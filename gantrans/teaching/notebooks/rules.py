"""The rules of writing that every page keeps, read from the committed notebook; no kernel is needed.

Figures are judged on every page. For the rest a lesson keeps the pattern (`pattern`), or the first form
(`first_form`) until it is rewritten; an evidence page has its own (`evidence`).
"""

import re
from collections.abc import Iterator

from nbformat import NotebookNode

from gantrans.teaching.course import FIRST, Lesson
from gantrans.teaching.notebooks.cells import cell_name
from gantrans.teaching.notebooks.evidence import evidence_problems
from gantrans.teaching.notebooks.first_form import first_form_problems
from gantrans.teaching.notebooks.pattern import pattern_problems
from gantrans.teaching.plots.display import figures_without_alt

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def rule_problems(
    notebook: NotebookNode, lesson: Lesson | None = None, *, evidence: bool = False
) -> list[str]:
    """Every broken rule, one sentence each; a notebook outside the course keeps the first form.

    With `evidence`, of the lesson's evidence page.
    """
    if evidence and lesson is not None:
        form = evidence_problems(notebook, lesson)
    elif lesson is None or lesson.form == FIRST:
        form = first_form_problems(notebook, lesson)
    else:
        form = pattern_problems(notebook, lesson)
    return [*form, *figures(notebook)]


def figures(notebook: NotebookNode) -> Iterator[str]:
    """One figure per cell, each with alt text; a widget has a static figure with it or after it."""
    waiting = ""
    for number, cell in enumerate(notebook.cells, 1):
        name = cell_name(number, cell)
        shown = [output.get("data", {}) for output in cell.get("outputs", [])]
        images = sum(any(mime.startswith("image/") for mime in data) for data in shown)
        if images > 1:
            yield f"{name} shows {images} figures: one per cell."
        yield from (f"{name}: {bad}." for bad in figures_without_alt({"cells": [cell], "metadata": {}}))
        if cell.cell_type == "markdown" and re.search(r"!\[\s*\]\(|<img(?![^>]*\balt=.\w)", cell.source):
            yield f"{name} contains an image without alt text."
        if any(WIDGET_VIEW in data and "text/markdown" not in data for data in shown):  # forms carry text
            waiting = name
        if images:
            waiting = ""
    if waiting:
        yield f"{waiting} shows a widget and no static figure follows, so a rendered page shows nothing."
    in_widgets = figures_without_alt({"cells": [], "metadata": notebook.metadata})
    yield from (f"in a widget, {bad}." for bad in in_widgets)
