"""Links from page to page: the file is there, and it has the heading that the link names.

A link must work in JupyterLab, where the learner's copies stand alone in runs/work/, on GitHub and in the
rendered page. So a page links to pages, evidence pages and the web only, and to a heading by its text: case
kept, blanks as `-` (`evidence/01_noise_schedules.ipynb#D02`).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import nbformat
from nbformat import NotebookNode

from gantrans.teaching.notebooks.cells import anchor, cell_name, headings, text_of

_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.S)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)")


def link_problems(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """One sentence for every link to a file or heading that is not there, or to what no copy has."""
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "markdown":
            continue
        for target, fragment in _LINK.findall(_CODE.sub("", cell.source)):
            there = (path.parent / unquote(target)) if target else path
            name = cell_name(number, cell)
            if there.suffix != ".ipynb":
                yield f"{name} links to {target}: link to a page, for the learner's copy has no other file."
            elif not there.is_file():
                yield f"{name} links to {target}, which is not there."
            elif fragment and unquote(fragment) not in anchors(notebook if there == path else there):
                yield f"{name} links to the heading #{fragment}, which {there.name} does not have."


def anchors(page: NotebookNode | Path) -> set[str]:
    """What links to the headings of a page have after `#`."""
    notebook = nbformat.read(page, 4) if isinstance(page, Path) else page
    return {anchor(heading) for heading in headings(text_of(notebook.cells))}
