"""A new lesson: its page, its folder, its evidence page, as a small complete lesson to replace part by part.

The files stand in `skeleton.md`, one section each: a heading with the path, then the text in a code block.
Pages are written there in jupytext's percent format.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from gantrans.errors import ConfigError, GantransError
from gantrans.files import replace_file
from gantrans.teaching.places import NOTEBOOKS

TEMPLATE = Path(__file__).with_suffix(".md")
_FILE = re.compile(r"^## (\S+)\n\n```\w+\n(.*?)^```$(?=\n(?:\n## |\Z))", re.M | re.S)


def write_skeleton(name: str, notebooks: Path = NOTEBOOKS) -> list[Path]:
    """Write lesson `name` ("17_flow_matching") below `notebooks`; the files written.

    Raises:
        ConfigError: the name is no lesson's, or there is a lesson with this number already.
        GantransError: jupytext is not installed.
    """
    found = re.fullmatch(r"(\d\d)_([a-z][a-z0-9_]*)", name)
    if found is None:
        raise ConfigError(
            f"{name!r} is no name of a lesson: two digits, then words of small letters, as in 17_flow_matching."
        )
    number = found[1]
    there = [*notebooks.glob(f"{number}_*.ipynb"), *notebooks.glob(f"lessons/lesson{number}")]
    if there:
        raise ConfigError(f"There is a lesson {number} already ({there[0].name}): choose another number.")
    texts = dict(skeleton_files(number, found[2]))
    made = {notebooks / path: _content(path, text) for path, text in texts.items()}
    for path, content in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content, sync=False)
    return list(made)


def skeleton_files(number: str, name: str) -> Iterator[tuple[str, str]]:
    """(path below notebooks/, text) of every file of the skeleton."""
    title = name.replace("_", " ").capitalize()
    text = TEMPLATE.read_text("utf-8")
    for key, value in {"number": number, "name": name, "title": title}.items():
        text = text.replace(f"{{{{{key}}}}}", value)
    yield from ((found[1], found[2]) for found in _FILE.finditer(text))


def _content(path: str, text: str) -> str:
    """A page becomes a notebook; every other file is its text."""
    if not path.endswith(".ipynb"):
        return text
    try:
        import jupytext
    except ModuleNotFoundError:
        raise GantransError(
            "jupytext is not installed, which makes a page: `pip install -r requirements-dev.txt` brings it."
        ) from None
    import nbformat

    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    )
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"  # so that the same name gives the same file
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"
