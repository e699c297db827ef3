"""Notebooks as text for review: prose and code in jupytext's percent format, without outputs.

The text is made on demand; no text file is kept beside a notebook. `percent_text` converts one notebook (for
git's `textconv`), `changes` compares the notebooks of a git revision with the working tree.
Prose is broken after every sentence, so that a changed sentence is one changed line.
"""

import difflib
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from gantrans import ROOT
from gantrans.errors import ConfigError, DataError, GantransError

COMPARED = "nbval-check-output"
"""The tag that makes `pytest --nbval-lax` compare outputs; a run sets it, so it is no text for review."""
ALL = ("notebooks/*.ipynb",)  # git's `*` crosses folders
FORMAT = {
    "extension": ".py",
    "format_name": "percent",
    "notebook_metadata_filter": "-all",
    "cell_metadata_filter": "tags",
}
_SENTENCE_END = re.compile(r"(?:(?<=[\w)*`\"$][.!?])|(?<=[.!?]\*\*))\s+(?=[^a-z\s])")
_LIST_MARKER = re.compile(r"\s*(?:[-*+]|\d+\.)\s+|")


def percent_text(content: str, name: str) -> str:
    """The text of a notebook: declared minutes, then its cells with their tags; no outputs, hashes or ids.

    Args:
        content: the notebook's file.
        name: what an error calls it.

    Raises:
        DataError: `content` is no notebook.
        GantransError: jupytext is not installed.
    """
    try:
        import jupytext
        import nbformat
    except ModuleNotFoundError as missing:
        raise GantransError(
            f"{missing.name} is not installed, which makes the text of a notebook: "
            "`pip install -r requirements-dev.txt` brings it."
        ) from None
    try:
        raw = json.loads(content)
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or raw.get("nbformat") != 4 or not isinstance(raw.get("cells"), list):
        raise DataError(
            f"{name} is no notebook of format 4: open it in JupyterLab and save it, or restore it."
        )
    notebook = nbformat.reads(content, 4)
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.pop("tags", []) if tag != COMPARED]
        if tags:
            cell.metadata["tags"] = tags
        if cell.cell_type == "markdown":
            cell.source = "\n".join(_one_sentence_a_line(cell.source))
    minutes = notebook.metadata.get("gantrans", {}).get("minutes", {})
    head = f"# minutes: {', '.join(f'{scale} {minutes[scale]}' for scale in minutes)}\n\n" if minutes else ""
    return head + jupytext.writes(notebook, fmt=FORMAT)


def changes(base: str = "HEAD", notebooks: Sequence[Path] = (), folder: Path = ROOT) -> str:
    """A unified diff of the texts of notebooks from the git revision `base` to the working tree; "" if equal.

    A notebook that only one side has is compared with /dev/null.

    Args:
        base: a commit, branch or tag.
        notebooks: files inside `folder`; none: all below `folder`/notebooks that git does not ignore.
        folder: inside the working tree of a git repository.

    Raises:
        ConfigError: `base` is no revision, or a notebook exists neither there nor in the working tree.
        DataError: `folder` is in no git repository, or a notebook cannot be read.
        GantransError: git or jupytext is not installed.
    """
    if _git(folder, "rev-parse", "--is-inside-work-tree") is None:
        raise DataError(f"{folder} is in no git repository, so there is no revision to compare with.")
    if _git(folder, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}") is None:
        raise ConfigError(
            f"git has no revision {base!r} here: name a commit, a branch or a tag "
            "(in a shallow clone, first `git fetch --unshallow`)."
        )
    wanted = [_inside(folder, path) for path in notebooks]
    for path in wanted:
        if not (folder / path).is_file() and _at(folder, base, path) is None:
            raise ConfigError(f"There is no notebook {path}, neither here nor in {base}.")
    places = [f":(literal){path}" for path in wanted] or list(ALL)
    options = ("-z", "--name-only", "--no-renames", "--relative")
    edited = _git(folder, "diff", *options, base, "--", *places) or ""
    added = _git(folder, "ls-files", "-z", "--others", "--exclude-standard", "--", *places) or ""
    paths = sorted({*edited.split("\0"), *added.split("\0")} - {""})
    return "".join(line for path in paths for line in _diff(folder, base, path))


def _one_sentence_a_line(prose: str) -> Iterator[str]:
    """Markdown with a line break after every sentence; code, tables and headings stay as they are."""
    fenced = False
    for line in prose.splitlines():
        fence = line.lstrip().startswith("```")
        fenced = fenced != fence
        if fenced or fence or line.lstrip().startswith(("|", "#")):
            yield line
            continue
        marker = _LIST_MARKER.match(line)
        start = marker.end() if marker else 0
        first, *rest = _SENTENCE_END.split(line[start:])
        yield line[:start] + first
        yield from rest


def _diff(folder: Path, base: str, path: str) -> Iterator[str]:
    """The lines of one notebook's unified diff."""
    here = folder / path
    old, new = _at(folder, base, path), here.read_text("utf-8") if here.is_file() else None
    return difflib.unified_diff(
        [] if old is None else percent_text(old, f"{base}:{path}").splitlines(keepends=True),
        [] if new is None else percent_text(new, path).splitlines(keepends=True),
        "/dev/null" if old is None else f"a/{path}",
        "/dev/null" if new is None else f"b/{path}",
    )


def _inside(folder: Path, path: Path) -> str:
    """`path` (relative to the current folder) as git writes it, relative to `folder`."""
    try:
        return path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        raise ConfigError(f"{path} is outside {folder}, so it has no history there.") from None


def _at(folder: Path, revision: str, path: str) -> str | None:
    """A file's content in a revision; None if it is not there."""
    return _git(folder, "show", f"{revision}:./{path}")


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails."""
    try:
        run = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, encoding="utf-8", check=False
        )
    except FileNotFoundError:
        raise GantransError("git is not installed, and a diff needs it to read the older version.") from None
    return run.stdout if run.returncode == 0 else None
