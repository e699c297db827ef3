"""`lesson.toml`: what a lesson declares is checked, and whatever lists lessons shows the same."""

import json
import re

import nbformat
import pytest

from gantrans import ROOT
from gantrans.errors import ConfigError, DataError
from gantrans.scales import SCALES
from gantrans.teaching.course import (
    MOST_MINUTES,
    course_table,
    cpu_limit,
    lesson,
    lesson_minutes,
    lesson_of,
    lessons,
    read_lesson,
)
from gantrans.teaching.notebooks.first_form import first_screen
from gantrans.teaching.notebooks.run import find_lessons

GOOD = """title = "Waves"
question = "How many waves?"
form = "first"
goals = ["say what a wave is", "draw one", "change it with a *slider*"]
prerequisites = "lessons 00 and 04; convolution"
builds = "a wave"
minutes = { person = 20, smoke = 0.2, reduced = 2, full = 5 }
"""
SCREEN = """# 90 · Waves: up and down

**The question:** how many
waves? More text.

At the end you will be able to

- say what a wave is;
- draw *one*,
- change it with a slider.

**Prerequisites:** lessons 00 and 04; convolution. **Minutes:** smoke 0.2, reduced 2, full 5.
"""


@pytest.fixture
def folder(tmp_path):
    """The folder of a lesson 90 in a course of its own, with its page beside `lessons`."""
    folder = tmp_path / "lessons" / "lesson90"
    folder.mkdir(parents=True)
    (folder / "lesson.toml").write_text(GOOD)
    parameters = nbformat.v4.new_code_cell("scale, seed = 'auto', 0", metadata={"tags": ["parameters"]})
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(SCREEN), parameters])
    nbformat.write(page, tmp_path / "90_waves.ipynb")
    return folder


def test_a_lesson_is_read(folder):
    one = lesson("90", folder.parent)
    assert lessons(folder.parent) == [one] == [lesson_of(one.notebook)]
    assert (one.number, one.title, one.person_minutes, one.notebook.name) == (
        "90",
        "Waves",
        20,
        "90_waves.ipynb",
    )
    assert one.goals[1] == "draw one"
    assert lesson_minutes(one.notebook) == {"smoke": 0.2, "reduced": 2.0, "full": 5.0}
    assert list(lesson_minutes(one.notebook)) == list(SCALES)
    assert cpu_limit(one.notebook) == pytest.approx(24)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title =", "name =", r"lesson90/lesson\.toml: name is 'Waves'; the keys are title, question"),
        ('"Waves"', '""', r"title is ''; it must be one line of text\.$"),
        (
            "waves?",
            "waves",
            r"question is 'How many waves'; it must be one line that ends in a question mark\.$",
        ),
        (', "draw one"', "", r"goals is \['say what a wave is', 'change it.*three lines of text\.$"),
        ("04;", "91;", r"prerequisites is 'lessons 00 and 91; .* lesson 91 does not come before\.$"),
        ("04;", "90;", r"lesson 90 does not come before\.$"),
        ('"a wave"', "3", r"builds is 3; it must be one line of text\.$"),
        (
            "person = 20, ",
            "",
            r"minutes is {'smoke': 0.2.*; it must be a table of positive numbers: person, ",
        ),
        ("reduced = 2", "reduced = 6", r"'reduced': 6.*reduced \(at most 5\)"),
        ("full = 5", "full = 0", "'full': 0"),
        ("full = 5", "full = true", "'full': True"),
        ("builds", "builds[", r"lesson90/lesson\.toml is not TOML: "),
        ('form = "first"', 'form = "last"', r"form is 'last'; it must be 'first' or left out\.$"),
        ('form = "first"', "", "one of the pattern has no goals: its page has a plan"),
        (
            "goals =",
            "[exceptions]\ngoals =",
            r"exceptions is {.*a table of rules, each with its reason in one line",
        ),
        (
            GOOD[-20:],
            GOOD[-20:] + '[exceptions]\ncells = "long"\n',
            "a lesson of the first form has goals and no ",
        ),
    ],
)
def test_a_mistake_names_file_key_and_value(old, new, message, folder):
    assert old in GOOD
    (folder / "lesson.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(DataError, match=message):
        read_lesson(folder)


def test_a_lesson_of_the_pattern_lists_its_exceptions(folder):
    begin, _, rest = GOOD.partition('form = "first"\n')
    assert read_lesson(folder).form == "first"
    pattern = begin + rest.partition("\n")[2] + '[exceptions]\n"long cells" = "a U-Net"\n'
    (folder / "lesson.toml").write_text(pattern)
    one = read_lesson(folder)
    assert (one.form, one.goals, dict(one.exceptions)) == ("pattern", (), {"long cells": "a U-Net"})


def test_what_is_missing_is_named(folder):
    (folder.parent / "lesson91").mkdir()
    with pytest.raises(DataError, match=r"^lesson91 has no lesson\.toml; "):
        lessons(folder.parent)
    with pytest.raises(ConfigError, match=r"^There is no lesson '07'; there are 90, 91\.$"):
        lesson("07", folder.parent)
    one = lesson("90", folder.parent)
    one.notebook.rename(folder.parents[1] / "91_waves.ipynb")
    with pytest.raises(DataError, match=r"needs one notebook 90_\*\.ipynb in .*; there is none\.$"):
        assert one.notebook
    assert lesson_of(folder.parents[1] / "92_waves.ipynb") is None
    assert lesson_of(folder.parents[1] / "90-notes.ipynb") is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", None),
        ("# 90 · Waves:", "# 90 · Wavelets:", "begin as lesson.toml has it: `# 90 · Waves`"),
        ("# 90", "# 91", "begin as lesson.toml has it"),
        ("Waves: up and down", "Waves", None),
        ("how many", "how few", "does not ask lesson.toml's question: How many waves?"),
        ("draw *one*", "draw two", "are not lesson.toml's goals: say what a wave is; draw one;"),
        ("and 04;", "and 05;", "lesson.toml's prerequisites: lessons 00 and 04; convolution"),
        ("reduced 2", "reduced 3", "write `reduced 2`"),
    ],
)
def test_the_first_screen_agrees_with_the_lesson(old, new, message, folder):
    one = lesson("90", folder.parent)
    notebook = nbformat.read(one.notebook, 4)
    assert old in SCREEN
    notebook.cells[0].source = SCREEN.replace(old, new)
    problems = list(first_screen(notebook, one))
    assert [message in problem for problem in problems] == ([True] if message else []), problems
    notebook.metadata["gantrans"] = {"minutes": dict(one.minutes)}
    assert any("lesson.toml has them, remove it" in problem for problem in first_screen(notebook, one))


def test_lessons_and_notebooks_of_the_course_are_the_same():
    assert [one.notebook for one in lessons()] == find_lessons()
    assert all(one.minutes[scale] <= most for one in lessons() for scale, most in MOST_MINUTES.items())


def test_readme_shows_the_table_of_the_lessons():
    begin = "<!-- course table: python -m gantrans course list --markdown -->"
    (shown,) = re.findall(
        rf"{re.escape(begin)}\n\n(.*?)\n\n<!-- end -->", (ROOT / "README.md").read_text("utf-8"), re.S
    )
    assert shown == course_table(lessons()), (
        "put the output of the command in the comment between the comments"
    )


def declaring(minutes, folder):
    path = folder / "04_lesson.ipynb"
    path.write_text(json.dumps({"metadata": {"gantrans": {"minutes": minutes}}, "cells": []}))
    return path


def test_a_notebook_outside_the_course_declares_its_minutes_itself(tmp_path):
    path = declaring({"smoke": 0.4, "reduced": 4, "full": 6}, tmp_path)
    assert lesson_minutes(path) == {"smoke": 0.4, "reduced": 4.0, "full": 6.0}
    assert cpu_limit(path) == pytest.approx(48)
    assert list(lesson_minutes(path)) == list(SCALES)


@pytest.mark.parametrize("minutes", [{}, {"smoke": 1}, {"smoke": 0, "reduced": 1, "full": 1}])
def test_minutes_must_be_declared_for_every_scale(minutes, tmp_path):
    with pytest.raises(DataError, match=r"04_lesson\.ipynb declares minutes"):
        lesson_minutes(declaring(minutes, tmp_path))
