"""Notebooks as text: a changed sentence is one changed line, outputs are none; git reads the text as well."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from gantrans.__main__ import app
from gantrans.errors import ConfigError, DataError, GantransError
from gantrans.teaching.notebooks.text import COMPARED, changes, percent_text

PROSE = """\
# A lesson

First sentence, e.g. this. **Second one.** Is this the third? It is 4.5 nm.

1. One. Two.

| a. B |"""


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def save(
    path: Path,
    prose: str = PROSE,
    code: str = "x = 1",
    output: str = "1",
    minutes: float = 0.4,
    tags: tuple[str, ...] = ("exercise",),
) -> Path:
    cells = [
        nbformat.v4.new_markdown_cell(prose),
        nbformat.v4.new_code_cell(
            code, outputs=[nbformat.v4.new_output("stream", text=output)], metadata={"tags": list(tags)}
        ),
    ]
    metadata = {"gantrans": {"code": output, "minutes": {"smoke": minutes}}}
    path.parent.mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A repository with two committed notebooks; the user's own git settings are left out."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, str(tmp_path / "no-settings"))
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):  # set while git runs a hook
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "repository"
    folder.mkdir()
    for name in ("00_first", "01_second"):
        save(folder / "notebooks" / f"{name}.ipynb")
    (folder / ".gitignore").write_text(".ipynb_checkpoints/\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Two lessons")
    return folder


def changed_lines(difference: str) -> list[str]:
    return [line for line in difference.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def test_text_has_a_sentence_a_line_tags_and_code_and_no_output(tmp_path):
    path = save(tmp_path / "lesson.ipynb", output="secret")
    expected = """\
# minutes: smoke 0.4

# %% [markdown]
# # A lesson
#
# First sentence, e.g. this.
# **Second one.**
# Is this the third?
# It is 4.5 nm.
#
# 1. One.
# Two.
#
# | a. B |

# %% tags=["exercise"]
x = 1
"""
    assert percent_text(path.read_text("utf-8"), path.name) == expected


def test_fenced_code_in_prose_is_left_alone(tmp_path):
    path = save(tmp_path / "lesson.ipynb", prose="```\nOne. Two.\n```\nThree. Four.")
    lines = percent_text(path.read_text("utf-8"), path.name).splitlines()
    assert [line for line in lines if "." in line[1:]][1:] == ["# One. Two.", "# Three.", "# Four."]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({"prose": PROSE.replace("third", "3rd")}, ["-# Is this the third?", "+# Is this the 3rd?"]),
        ({"code": "x = 2"}, ["-x = 1", "+x = 2"]),
        ({"minutes": 0.5}, ["-# minutes: smoke 0.4", "+# minutes: smoke 0.5"]),
        ({"tags": ("change",)}, ['-# %% tags=["exercise"]', '+# %% tags=["change"]']),
        ({"output": "2"}, []),
        ({"tags": ("exercise", COMPARED)}, []),  # a run sets it
    ],
    ids=["sentence", "code", "minutes", "tag", "output", "tag of a run"],
)
def test_a_change_is_as_small_as_it_is(repository, edit, expected):
    save(repository / "notebooks" / "00_first.ipynb", **edit)
    difference = changes(folder=repository)
    assert changed_lines(difference) == expected
    assert difference.startswith(
        "--- a/notebooks/00_first.ipynb\n+++ b/notebooks/00_first.ipynb\n@@" if expected else ""
    )
    assert "01_second" not in difference


def test_base_is_any_revision_and_notebooks_can_be_named(repository):
    for name in ("00_first", "01_second"):
        save(repository / "notebooks" / f"{name}.ipynb", code="x = 2")
    git(repository, "commit", "-q", "-a", "-m", "Two")
    assert changes(folder=repository) == ""
    assert changed_lines(changes("HEAD~1", folder=repository)) == ["-x = 1", "+x = 2"] * 2
    second = repository / "notebooks" / "01_second.ipynb"
    assert "00_first" not in changes("HEAD~1", [second], repository)


@pytest.mark.parametrize("staged", [False, True])
def test_new_and_removed_notebooks_are_compared_with_nothing(repository, staged):
    save(repository / "notebooks" / "02_third.ipynb")
    (repository / "notebooks" / "01_second.ipynb").unlink()
    save(repository / "notebooks" / ".ipynb_checkpoints" / "mine.ipynb")
    if staged:
        git(repository, "add", "--all")
    difference = changes(folder=repository)
    assert "--- /dev/null\n+++ b/notebooks/02_third.ipynb\n" in difference
    assert "--- a/notebooks/01_second.ipynb\n+++ /dev/null\n" in difference
    assert "mine" not in difference


def test_git_diff_shows_the_text(repository):
    """The line of CONTRIBUTING.md with this Python, and the attribute of .gitattributes."""
    (repository / ".gitattributes").write_text("*.ipynb diff=lesson\n")
    git(
        repository,
        "config",
        "diff.lesson.textconv",
        f'"{Path(sys.executable).as_posix()}" -m gantrans course notebooks text',
    )
    save(repository / "notebooks" / "00_first.ipynb", code="x = 2", output="2")
    assert changed_lines(git(repository, "diff")) == ["-x = 1", "+x = 2"]


def test_mistakes_end_in_one_sentence(repository, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="no revision 'yesterday'"):
        changes("yesterday", folder=repository)
    with pytest.raises(ConfigError, match=r"no notebook notebooks/09\.ipynb, neither here nor in HEAD"):
        changes("HEAD", [repository / "notebooks" / "09.ipynb"], repository)
    with pytest.raises(ConfigError, match="outside"):
        changes("HEAD", [tmp_path / "other.ipynb"], repository)
    with pytest.raises(DataError, match="in no git repository"):
        changes(folder=tmp_path)
    for damaged in ("{", "[]", '{"nbformat": 3, "worksheets": []}'):
        with pytest.raises(DataError, match="broken is no notebook of format 4"):
            percent_text(damaged, "broken")
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(GantransError, match=r"jupytext is not installed.*requirements-dev\.txt"):
        percent_text("{}", "lesson")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GantransError, match="git is not installed"):
        changes(folder=repository)


def test_commands_print_text_and_diff(repository, monkeypatch):
    monkeypatch.setattr("gantrans.teaching.notebooks.text.changes", partial(changes, folder=repository))
    path = save(repository / "notebooks" / "00_first.ipynb", code="x = 2")
    run = CliRunner().invoke(app, ["course", "notebooks", "text", str(path)])
    assert run.output == percent_text(path.read_text("utf-8"), path.name)
    for words in (["HEAD"], [str(path)], ["HEAD", str(path)]):
        run = CliRunner().invoke(app, ["course", "notebooks", "diff", *words])
        assert changed_lines(run.stdout) == ["-x = 1", "+x = 2"], words
    save(path)
    run = CliRunner().invoke(app, ["course", "notebooks", "diff"])
    assert (run.stdout, run.exit_code) == ("", 0)
    assert run.stderr == "No prose and no code of a notebook differs from HEAD.\n"
