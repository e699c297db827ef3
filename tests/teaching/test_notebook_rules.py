"""The rules that committed notebooks keep: the good lesson passes, each broken rule is named; no kernel."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from gantrans.teaching.notebooks.cells import code_lines, is_task, words
from gantrans.teaching.notebooks.executed import WIDGETS, check, code_hash
from gantrans.teaching.notebooks.first_form import lengths
from gantrans.teaching.notebooks.rules import rule_problems
from gantrans.teaching.notebooks.run import find_pages

FIXTURES = Path(__file__).parents[1] / "fixtures"
GOOD = FIXTURES / "90_good_lesson.ipynb"
FIGURE, EXPLORER, EXERCISE = 6, 9, 10  # places of cells in the good lesson


@pytest.mark.parametrize("page", find_pages(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_page_is_fresh_and_keeps_the_rules(page):
    assert check(page) == []


def test_good_lesson_passes():
    assert check(GOOD) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "90_long_cell": "has 44 lines, at most 40",
        "90_no_alt_text": "has no alt text",
        "widget_error": "a widget's function ended in ZeroDivisionError",
        "error": "the outputs are not those of the code",
    }.items(),
)
def test_rejected_notebook(name, expected):
    problems = check(FIXTURES / "rejected" / f"{name}.ipynb")
    assert any(expected in problem for problem in problems), problems


def output(notebook, text, name="stdout"):
    notebook.cells[FIGURE].outputs.append(new_output("stream", name=name, text=text))


def text(notebook, place, old, new):
    assert old in notebook.cells[place].source
    notebook.cells[place].source = notebook.cells[place].source.replace(old, new)


def add(notebook, place, *cells):
    notebook.cells[place:place] = cells
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = count


def remember(notebook, minutes):
    notebook.metadata.gantrans.minutes["reduced"] = minutes


BROKEN = {  # what is done to the good lesson -> a part of the one sentence that must come
    "stale": (lambda n: text(n, 7, "5", "6"), "the outputs are not those of the code"),
    "retagged": (
        lambda n: n.cells[7].metadata.update(tags=["change"]),
        "the outputs are not those of the code",
    ),
    "smoke": (lambda n: n.metadata.gantrans.update(scale="smoke"), "from scale 'smoke'"),
    "order": (lambda n: n.cells[7].update(execution_count=9), "ran as number 9, not 6"),
    "error": (
        lambda n: n.cells[7].outputs.append(new_output("error", ename="KeyError", evalue="x", traceback=[])),
        "(sum(np.arange(5))) ended in KeyError: x",
    ),
    "stderr": (lambda n: output(n, "warning", "stderr"), "writes to stderr"),
    "home": (lambda n: output(n, "/home/ada/x.png"), "an absolute path"),
    "windows": (lambda n: output(n, "C:\\Users\\ada"), "an absolute path"),
    "repository": (lambda n: output(n, str(FIXTURES)), "path"),
    "address": (lambda n: output(n, "<object at 0x7f00aa00bb00>"), "a memory address"),
    "large": (lambda n: output(n, "x" * 1_000_000), "at most 1 is allowed"),
    "title": (lambda n: text(n, 0, "# A small", "A small"), "a title"),
    "question": (lambda n: text(n, 0, "?", "."), "a question"),
    "goals": (lambda n: text(n, 0, "- draw one,\n", ""), "three things"),
    "prerequisites": (lambda n: text(n, 0, "Prerequisites", "Needs"), "the prerequisites"),
    "minutes": (lambda n: remember(n, 3), "write `reduced 3`"),
    "budget": (lambda n: remember(n, 6), "at most 5 is allowed"),
    "no minutes": (lambda n: remember(n, None), "has None for reduced"),
    "recap": (lambda n: text(n, 11, "- A wave goes down.\n", ""), "a recap of five bullets"),
    "wrap-up": (lambda n: text(n, 12, "## Wrap-up", "## Bye"), "wrap-up questions"),
    "links": (lambda n: text(n, 13, "(https://", "(see "), "references with links"),
    "mind": (lambda n: text(n, 13, "change our mind", "please us"), "what would change our mind"),
    "words": (lambda n: add(n, 9, new_markdown_cell("word " * 121)), "has 121 words, at most 120"),
    "figures": (lambda n: n.cells[6].outputs.append(n.cells[6].outputs[0]), "shows 2 figures"),
    "picture": (lambda n: text(n, 4, "A wave goes", "![](x.png) goes"), "an image without alt text"),
    "widget only": (lambda n: n.cells[EXPLORER].outputs.pop(), "no static figure follows"),
    "in widget": (
        lambda n: [
            output["metadata"].clear()
            for model in n.metadata.widgets[WIDGETS].state.values()
            for output in model.state.get("outputs", [])
        ],
        "in a widget, a figure (image/png) has no alt text",
    ),
    "passive": (lambda n: add(n, 6, new_markdown_cell("Read.")), "third in a row"),
    "idle": (
        lambda n: add(n, 6, *(new_code_cell("1", outputs=[new_output("stream")]) for _ in range(6))),
        "eleventh in a row",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_rule_is_named_and_nothing_else(name, tmp_path):
    damage, expected = BROKEN[name]
    notebook = nbformat.read(GOOD, 4)
    damage(notebook)
    if "not those of the code" not in expected:
        notebook.metadata.gantrans.code = code_hash(notebook)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    nbformat.write(notebook, tmp_path / GOOD.name)
    problems = check(tmp_path / GOOD.name)
    assert problems, "the damage was not seen"
    assert all(expected in problem for problem in problems), problems


def test_a_form_with_text_needs_no_figure(tmp_path):
    notebook = nbformat.read(GOOD, 4)
    form = {"application/vnd.jupyter.widget-view+json": {"model_id": "0"}, "text/markdown": "A question?"}
    notebook.cells[EXERCISE].outputs = [new_output("display_data", form)]
    assert rule_problems(notebook) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('scale = "auto"', "does not set seed"),
        ("scale = seed = 0", None),
        ("seed, scale = 0, 'auto'", None),
        ("print(scale, seed)", "does not set scale and seed"),
    ],
)
def test_parameters_cell_sets_scale_and_seed(source, expected, tmp_path):
    notebook = nbformat.read(GOOD, 4)
    notebook.cells[1].source = source
    notebook.metadata.gantrans.code = code_hash(notebook)
    nbformat.write(notebook, tmp_path / GOOD.name)
    problems = check(tmp_path / GOOD.name)
    assert [expected in problem for problem in problems] == ([True] if expected else [])


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([6] * 9 + [40], []),
        ([6] * 8 + [21] * 2, ["more than a tenth"]),
        ([6] * 4 + [7] * 6, ["half of the code cells"]),
        ([41] + [1] * 10, ["has 41 lines"]),
    ],
)
def test_lengths_are_judged_one_by_one_and_over_the_lesson(sizes, expected):
    cells = [new_code_cell("\n".join(f"x = {n}" for n in range(size))) for size in sizes]
    problems = list(lengths(cells))
    assert len(problems) == len(expected)
    assert all(part in problem for part, problem in zip(expected, problems, strict=True))


def test_code_hash_sees_code_and_not_prose():
    notebook = nbformat.read(GOOD, 4)
    before = code_hash(notebook)
    notebook.cells[0].source += " More."
    notebook.cells[7].source += "  # a comment\n\n"
    notebook.cells[FIGURE].outputs = []
    assert code_hash(notebook) == before
    notebook.cells[7].source = "%matplotlib inline"
    assert code_hash(notebook) != before


def test_counts():
    assert code_lines("a\n\n  \nb # c\n") == 2
    assert words("One <!-- not these --> two $$x = y$$ [three](https://a.b/c) it's") == 4
    assert is_task(new_code_cell("quiz = course.predict('id')"))
    assert is_task(new_code_cell("...", metadata={"tags": ["exercise"]}))
    assert not is_task(new_code_cell("x = predict"))
    assert not is_task(new_markdown_cell("predict()"))
