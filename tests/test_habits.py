"""What a contributor reads and what CI runs: files, versions, commands, options and links that exist."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from packaging.specifiers import SpecifierSet

from gantrans import ROOT, __version__
from gantrans.__main__ import app

WORKFLOW = ROOT / ".github" / "workflows" / "test.yml"
PAGES = sorted(
    path
    for folder in ("*.md", "docs/*.md", "data/**/*.md", "benchmarks/*.md", "notebooks/**/*.md")
    for path in ROOT.glob(folder)
    if ".ipynb_checkpoints" not in path.parts
)
COMMAND = re.compile(r'\b(?:python3?|py) ((?:-m [\w.]+|course\.py)(?:[^`\n#|&>)"]|"[^"\n]*")*)')


def read(path: Path) -> str:
    return path.read_text("utf-8")


def workflow() -> dict:
    return yaml.safe_load(read(WORKFLOW))


def steps() -> list[str]:
    """The shell commands of the workflow."""
    return [step["run"] for job in workflow()["jobs"].values() for step in job["steps"] if "run" in step]


def course() -> object:
    spec = importlib.util.spec_from_file_location("course_script", ROOT / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # not even its package
        return False


def problem(command: str) -> str:
    """What is wrong with a command after `python`; "" if every word of it exists."""
    head, *words = shlex.split(command)
    if head == "course.py":
        return (
            ""
            if words and (words[0].startswith("-") or callable(getattr(course(), words[0], None)))
            else command
        )
    name, *words = words
    if name != "gantrans":
        return "" if has_module(name) else f"{command}: there is no module {name}"
    here = typer.main.get_command(app)
    while hasattr(here, "commands") and words and re.match("[a-z]", words[0]):
        if words[0] not in here.commands:
            return f"{command}: there is no command {words[0]}"
        here = here.commands[words.pop(0)]
    options = {name for parameter in here.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = {word for word in words if word.startswith("--")} - options - {"--help"}
    return f"{command}: there is no option {', '.join(unknown)}" if unknown else ""


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("-m gantrans course notebooks diff HEAD", False),
        ("-m gantrans course notebook diff", True),
        ("-m gantrans train --direction sem2layout", False),
        ("-m gantrans train --way sem2layout", True),
        ("-m benchmark", True),
        ("course.py test", False),
        ("course.py tests", True),
    ],
)
def test_a_command_that_does_not_exist_is_found(command, wrong):
    assert bool(problem(command)) == wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_and_links_of_a_page_exist(page):
    text = re.sub(r"<!--.*?-->", "", read(page), flags=re.S)
    problems = [problem(command) for command in COMMAND.findall(text)]
    for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", text):
        path = (page.parent / target) if target else page
        if not path.exists():
            problems.append(f"there is no {target}")
        elif heading and heading not in headings(read(path)):
            problems.append(f"{path.name} has no heading {heading}")
    assert [text for text in problems if text] == []


def test_readme_is_short():
    assert len(read(ROOT / "README.md").splitlines()) < 150


def headings(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_ci_and_package_and_course_support_the_same_pythons(monkeypatch):
    pyproject = read(ROOT / "pyproject.toml")
    ranges = SpecifierSet(re.search(r'^requires-python = "(.*)"', pyproject, re.M)[1])
    versions = [(3, minor) for minor in range(8, 20) if ranges.contains(f"3.{minor}.1")]
    assert workflow()["jobs"]["linux"]["strategy"]["matrix"]["python"] == [
        f"3.{minor}" for _, minor in versions
    ]
    script, accepted = course(), []
    for version in [(3, minor) for minor in range(8, 20)]:
        monkeypatch.setattr(sys, "version_info", (*version, 1, "final", 0))
        try:
            script.check_python()
            accepted.append(version)
        except script.Stop:
            pass
    assert accepted == versions
    for page in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"\b3\.(1\d)\b", re.sub(r"`[^`]*`", "", read(ROOT / page))))
        assert named == {str(minor) for _, minor in versions}, page


def test_ci_runs_what_exists():
    text = "\n".join(steps())
    for name in re.findall(r"(?<![\w/])(?:\.ci/\w+|[\w-]+\.(?:py|txt))\b", text):
        assert (ROOT / name).is_file(), name
    assert [problem(command) for command in COMMAND.findall(text) if problem(command)] == []
    assert ".ci/run" in text
    assert os.name == "nt" or os.access(ROOT / ".ci" / "run", os.X_OK)
    for expression in re.findall(r'-m "not (\w+)"', text):
        assert re.search(rf'^markers = \[.*"{expression}:', read(ROOT / "pyproject.toml"), re.M), expression


def test_text_of_lessons_needs_only_what_ci_installs_for_it():
    """The command imports none of the large packages: CI installs three pins for it and no more."""
    install = next(step for step in steps() if "pip install" in step)
    pins = read(ROOT / "requirements.txt") + read(ROOT / "requirements-dev.txt")
    names = re.search(r"\(([\w|]+)\)==", install)[1].split("|")
    assert all(re.search(rf"^{name}==", pins, re.M) for name in names)
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('torch', 'numpy', 'scipy', 'fastapi', 'dask', 'tqdm')))\n"
        "from gantrans.__main__ import main\n"
        "sys.argv[1:] = ['course', 'notebooks', 'text', sys.argv[1]]\n"
        "main()"
    )
    lesson = min(ROOT.glob("notebooks/[0-9]*.ipynb"))
    run = subprocess.run([sys.executable, "-c", code, lesson], cwd=ROOT, capture_output=True, text=True)
    assert "# %% [markdown]" in run.stdout, run.stderr


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda p: p.stem
)
def test_issue_forms_are_complete(path):
    form = yaml.safe_load(read(path))
    if path.stem == "config":
        assert form == {"blank_issues_enabled": True}
        return
    assert {"name", "description", "labels", "body"} == set(form)
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids)
    assert any(field.get("validations", {}).get("required") for field in form["body"])
    for field in form["body"]:
        assert field["attributes"]["label"]
        assert (field["type"] == "dropdown") == ("options" in field["attributes"])
    assert [problem(command) for command in COMMAND.findall(read(path)) if problem(command)] == []


def test_citation_and_changelog_name_this_version():
    citation = yaml.safe_load(read(ROOT / "CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"]
    assert citation["version"] == __version__
    first, newest = re.findall(r"^## (.*)$", read(ROOT / "CHANGELOG.md"), re.M)[:2]
    assert first == "Unreleased"
    assert newest == f"{__version__} ({citation['date-released']})"


def test_git_shows_notebooks_as_text_as_contributing_tells():
    driver = re.search(r"^\*\.ipynb .*\bdiff=(\w+)", read(ROOT / ".gitattributes"), re.M)[1]
    line = re.search(r"^git config (\S+) \"(.*)\"$", read(ROOT / "CONTRIBUTING.md"), re.M)
    assert line[1] == f"diff.{driver}.textconv"
    assert line[2] == "python -m gantrans course notebooks text"
