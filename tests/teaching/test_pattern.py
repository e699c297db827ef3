"""The pattern of a lesson: the worked lesson keeps it, and each broken rule is named, alone; no kernel."""

import shutil
from dataclasses import replace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from gantrans import ROOT
from gantrans.__main__ import app
from gantrans.teaching.course import lesson
from gantrans.teaching.notebooks import pattern
from gantrans.teaching.notebooks.checked import checked, not_run_later, not_used_later
from gantrans.teaching.notebooks.executed import check
from gantrans.teaching.notebooks.measures import LIMITS
from gantrans.teaching.notebooks.rules import rule_problems
from gantrans.teaching.notebooks.skeleton import write_skeleton

WORKED = ROOT / "tests" / "fixtures" / "90_pattern.ipynb"
KINDS = {"wave": "function", "squared_error": "bug hunt", "wave_module": "class", "fit_step": "training step"}

NAMES = ("wave", "squared_error", "Wave", "fit_step")


@pytest.fixture
def worked(tmp_path, monkeypatch):
    """The worked lesson in a course of its own: its page in the folder that `course new` writes, exported."""
    monkeypatch.setattr(pattern, "kind_of", KINDS.get)
    write_skeleton("90_pattern", tmp_path)
    shutil.copy(WORKED, tmp_path)
    declared = tmp_path / "lessons" / "lesson90" / "lesson.toml"
    declared.write_text(declared.read_text().partition("[exceptions]")[0])
    export(tmp_path, *NAMES)
    return lesson("90", tmp_path / "lessons")


def export(notebooks, *names):
    template = notebooks / "lessons" / "exports" / "my_wave.py"
    template.parent.mkdir(exist_ok=True)
    template.write_text("".join(f"# part: {name}\n" for name in names))


def test_the_worked_lesson_keeps_the_pattern(worked):
    assert check(worked.notebook) == []


def place(notebook, part):
    """Where the first cell stands whose source contains `part`."""
    return next(i for i, cell in enumerate(notebook.cells) if part in cell.source)


def text(old, new):
    def damage(notebook):
        cell = notebook.cells[place(notebook, old)]
        cell.source = cell.source.replace(old, new)

    return damage


def add(*cells, at=16, times=1):
    def damage(notebook):
        notebook.cells[at:at] = [nbformat.from_dict(cell) for _ in range(times) for cell in cells]

    return damage


def say(words, *places):
    def damage(notebook):
        for part in places:
            notebook.cells[place(notebook, part)].source += "\n\n" + "word " * words

    return damage


def both(*damages):
    def damage(notebook):
        for one in damages:
            one(notebook)

    return damage


def tags(part, *names):
    def damage(notebook):
        notebook.cells[place(notebook, part)].metadata["tags"] = list(names)

    return damage


def swap(one, other):
    def damage(notebook):
        a, b = place(notebook, one), place(notebook, other)
        notebook.cells[a], notebook.cells[b] = notebook.cells[b], notebook.cells[a]

    return damage


CODE, KNOB = new_code_cell("x = 1"), new_code_cell("x = 1", metadata={"tags": ["change"]})
SHOW = new_code_cell("show(wave_figure(x, data, {}))")
ASK = new_code_cell('predict("more", "How much?", range=(0, 1, ""))')
TELL = new_code_cell('show(wave_figure(x, data, {}))\nreveal("more", 0.5)')
SECTIONS = ("## 1. A wave", "Let us draw", "## 3. A wave that", "## 4. Downhill")

LIMIT = {  # what is done to the worked lesson -> a part of the one sentence that must come
    "cells": (add(CODE, times=41), "cells: 71, at most 70 are allowed"),
    "words": (add(new_markdown_cell("word " * 140), KNOB, times=10), "words of prose: 2"),
    "first action": (say(80, "# 90 ·"), "words before the first action: 2"),
    "between actions": (say(200, *SECTIONS), "words between two actions (median): 2"),
    "largest gap": (say(550, "## 3. A wave that"), "words without an action (largest gap): "),
    "predictions": (add(ASK, TELL, times=6), "predictions: 7, at most 6"),
    "display cells": (add(SHOW, times=10), "share of code cells that only call a display function: 0."),
    "decimals": (text("## Recap", "## Recap\n\n" + "0.5 -.25 " * 8), "decimal numbers in prose: 16"),
    "verdict words": (text("## Recap", "## Recap\n\nIt is **open**."), "verdict words: 1, at most 0"),
    "code lines": (add(new_code_cell("x = 1\n" * 9), times=20), "lines of a code cell (median): 9"),
    "long cells": (add(new_code_cell("x = 1\n" * 30), times=4), "lines of a code cell (90th percentile): 30"),
    "longest cell": (add(new_code_cell("x = 1\n" * 46)), "lines of the longest code cell: 46"),
    "import lines": (
        text("from gantrans.scales", "from gantrans.files import (\n a,\n b,\n c\n)\nfrom gantrans.scales"),
        "lines of imports from gantrans and lessons: 10",
    ),
    "import cells": (
        add(new_code_cell("import gantrans.data")),
        "cells with imports from gantrans and lessons: 2",
    ),
    "exercises": (text("wave = ex.check(wave)", ""), "checked exercises: 3, at least 4"),
}
RULE = {
    "title": (text("# 90 · Pattern", "# 90 · Patterns"), "not begin as lesson.toml has it: `# 90 · Pattern`"),
    "question": (text("Can gradient", "Could gradient"), "not have lesson.toml's question: Can gradient"),
    "builds": (text("**You build** a wave", "**You see** a sea"), "not have lesson.toml's builds: a wave"),
    "prerequisites": (text("lesson 00.", "none."), "does not have lesson.toml's prerequisites"),
    "plan": (text("4. Fit it", "Fit it"), "the plan has 3 lines"),
    "longer plan": (text("\n\n**Prerequisites", "\n5. Rest.\n\n**Prerequisites"), "the plan has 5 lines"),
    "your minutes": (text("30 for you", "ages for you"), "does not say your minutes: write `30 for you`"),
    "minutes": (text("reduced 0.3", "reduced 3"), "write `reduced 0.3`"),
    "parameters": (text("seed = 0", "start = 0"), "the parameters cell does not set seed"),
    "no recall": (text('recall("90")', "explore(wave)"), 'the page lacks recall("90")'),
    "late recall": (
        both(text('recall("90")', "explore(wave)"), add(new_code_cell('recall("90")'), at=7)),
        "recall comes too late",
    ),
    "doubt": (text("## What to set, and when", "## Settings, and when"), "lacks `## What to set, and"),
    "no end": (text("## What comes next", "## Bye"), "the page lacks `## What comes next`"),
    "order": (swap("## Recap", "## References"), " stands before "),
    "mind": (text("## Recap", "## What would change our mind\n\n## Recap"), "belongs to the evidence page"),
    "only reveals": (
        both(
            text('reveal("90_end", model.frequency.item())', ""),
            add(new_code_cell('gap = 2.0\nreveal("90_end", gap)'), at=22),
        ),
        "only reveals: put `reveal` into the cell whose figure or training answers it",
    ),
    "never asked": (text('reveal("90_end"', 'reveal("90_ends"'), "90_end"),
    "untagged": (tags("squared_error = ex.check"), "checks `squared_error`: tag the cell with the stub"),
    "thrown away": (
        text("fit_step = ex.check(fit_step)", "ex.check(fit_step)"),
        "end it in `fit_step = ex.check(fit_step)`",
    ),
    "two cells": (
        both(text("Wave = ex.check(Wave)", ""), add(new_code_cell("Wave = ex.check(Wave)"), at=18)),
        "checks `Wave`: tag the cell with the stub",
    ),
    "idle": (text("guess = wave(x,", "guess = wove(x,"), "no later cell runs `wave`"),
    "evidence": (text("](evidence/90_pattern.ipynb)", "](#Recap)"), "does not link to evidence/90_pattern"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*LIMIT, *RULE])
def test_each_broken_rule_is_named_and_nothing_else(name, worked):
    damage, expected = {**LIMIT, **RULE}[name]
    notebook = nbformat.read(WORKED, 4)
    assert rule_problems(notebook, worked) == []
    damage(notebook)
    problems = rule_problems(notebook, worked)
    assert problems, "the damage was not seen"
    assert all(expected in problem for problem in problems), problems


def test_every_limit_has_a_page_that_breaks_it():
    assert {limit.name for limit in LIMITS} | {"exercises"} == set(LIMIT)


def test_lesson_00_is_shorter():
    most = {limit.name: (limit.at("00"), limit.at("01")) for limit in LIMITS}
    assert (most["cells"], most["words"], most["decimals"]) == ((60, 70), (1700, 2300), (15, 15))


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"squared_error": "function"}, "no exercise is a bug to find"),
        ({"wave_module": "function", "fit_step": "function"}, "no exercise is a loop, a step or a module"),
        ({"wave_module": "function", "fit_step": "training loop"}, None),
    ],
)
def test_kinds_of_exercise_are_asked_for(kinds, expected, worked, monkeypatch):
    monkeypatch.setattr(pattern, "kind_of", {**KINDS, **kinds}.get)
    problems = rule_problems(nbformat.read(WORKED, 4), worked)
    assert [expected in problem for problem in problems] == ([True] if expected else [])


def test_the_kind_is_that_of_the_registry():
    assert pattern.kind_of("q_sample") == "function"


def test_an_exception_needs_a_rule_that_is_broken(worked):
    notebook = nbformat.read(WORKED, 4)
    excepting = replace(worked, exceptions={"verdict words": "it is about verdicts"})
    assert rule_problems(notebook, excepting) == [
        "lesson.toml lists the exception `verdict words`, which is not needed: remove it."
    ]
    text("## Recap", "## Recap\n\nIt is **open**.")(notebook)
    assert rule_problems(notebook, excepting) == []


def test_what_is_checked_is_used_later_or_exported(worked):
    notebook, folder = nbformat.read(WORKED, 4), worked.notebook.parent
    assert tuple(one.name for one in checked(notebook.cells)) == NAMES
    export(folder, "wave", "Wave")
    (squared, step) = rule_problems(notebook, worked)
    assert "no later lesson uses `mine.squared_error`, and no template in lessons/exports" in squared
    assert "`mine.fit_step`" in step
    use = new_code_cell("from gantrans.teaching import mine\nmine.fit_step(1)")
    taken = new_code_cell("from gantrans.teaching.mine import squared_error")
    for name, cells, left in (
        ("89_earlier", [use, taken], ["squared_error", "fit_step"]),
        ("91_later", [use, new_markdown_cell("mine.squared_error")], ["squared_error"]),
        ("92_later", [taken], []),
    ):
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
        assert not_used_later(notebook.cells, worked) == left


LOOP = "optimiser.zero_grad()\nloss.backward()\noptimiser.step()"


@pytest.mark.parametrize(
    ("number", "sources", "expected"),
    [
        ("06", [LOOP], []),
        ("06", ["loss.backward()", "optimiser.step()"], ["no cell outside exercises has both `.backward(`"]),
        ("06", [f"f = ex.check(f)\n{LOOP}"], ["no cell outside exercises has both `.backward(`"]),
        ("06", ["# loss.backward() optimiser.step()"], ["no cell outside exercises has both"]),
        ("08", ["class Net(nn.Module):\n    pass"], []),
        ("08", ["class Net(Module):\n    pass"], []),
        ("08", ["class Net:\n    pass"], ["no cell outside exercises has a `class ...(nn.Module)`"]),
        ("01", ["class Net(nn.Module):\n    pass", LOOP], []),
        ("01", [], ["has both", "has a `class"]),
        ("02", [], []),
    ],
)
def test_the_algorithm_stands_on_the_page(number, sources, expected, worked):
    cells = [new_code_cell(source) for source in sources]
    problems = [sentence for _, sentence in pattern.algorithm(cells, replace(worked, number=number))]
    assert [part in p for part, p in zip(expected, problems, strict=True)] == [True] * len(expected)


@pytest.mark.parametrize(
    ("later", "runs"),
    [
        ("f(1)", True),
        ("y = f(1)", True),
        ("for _ in range(3):\n    f(1)", True),
        ("list(map(f, xs))", True),
        ("run(step=f)", True),
        ("run([f, 1])", True),
        ("f.fit(1)", True),
        ("model = f(1).to(device)", True),
        ("@f\ndef g():\n    pass", True),
        ("def g(x):\n    return f(x)\n\ng(1)", True),
        ("def g(x):\n    return f(x)", False),
        ("def g(x):\n    return h(x)\n\ndef h(x):\n    return f(x)\n\ng(1)", True),
        ("def g(f):\n    return f(1)\n\ng(abs)", False),
        ("def g():\n    f = abs\n    return f(1)\n\ng()", False),
        ("class G:\n    def go(self):\n        return f(1)", False),
        ("class G:\n    def go(self):\n        return f(1)\n\nG().go()", True),
        ("class G(f):\n    pass\n\nG()", True),
        ("other = f\nother(1)", True),
        ("other = f", False),
        ("table = {'f': f}\nrun(table)", True),
        ("table = {'f': lambda x: f(x)}", False),
        ("g = lambda x: f(x)\ng(1)", True),
        ("[f for f in (1, 2)]", False),
        ("sorted(f for f in (1, 2))", False),
        ("f", False),
        ("print(f)", False),
        ("f = abs\nf(1)", False),
        ("from math import f\nf(1)", False),
        ("f = ex.check(f)", False),
        ("# f(1)", False),
        ("'f(1)'", False),
    ],
)
def test_a_function_is_run_or_not(later, runs):
    check_cell = new_code_cell('ex = exercise("f")\n\ndef f(x):\n    ...\n\nf = ex.check(f)')
    cells = [new_code_cell("f(0)"), check_cell, new_code_cell(later)]
    assert not_run_later(cells) == ([] if runs else ["f"])


def test_a_helper_may_stand_before_the_exercise_and_an_exercise_runs_nothing():
    helper = new_code_cell("def g(x):\n    return f(x)")
    stub = new_code_cell("f = ex.check(f)", metadata={"tags": ["exercise"]})
    assert not_run_later([helper, stub, new_code_cell("g(1)")]) == []
    assert not_run_later([helper, stub, new_code_cell("g(1)", metadata={"tags": ["exercise"]})]) == ["f"]


def test_report_shows_every_quantity(worked):
    run = CliRunner().invoke(app, ["course", "notebooks", "check", "--report", str(worked.notebook)])
    for what in (*(limit.what for limit in LIMITS), "words of a sentence", "checked exercises"):
        assert what in run.stdout
    assert run.stdout.endswith("1 notebook, 0 problems.\n")
