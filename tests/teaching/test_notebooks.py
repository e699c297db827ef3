"""Notebooks driven as CI and learners drive them: nbval, papermill, no network, a budget of CPU time.

Every rejected notebook stands for a way in which a course rots; each must fail where the good one passes.
"""

import copy
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import system_browser
from papermill import PapermillExecutionError
from test_browser import DRIVEN

from gantrans.errors import ConfigError
from gantrans.teaching import mine
from gantrans.teaching.course import cpu_limit, is_evidence
from gantrans.teaching.notebooks import run as lessons
from gantrans.teaching.notebooks.executed import COMPARED, check, code_hash, execute, run_copy, tag_comparable
from gantrans.teaching.notebooks.run import (
    find_lessons,
    find_pages,
    run_lesson,
    run_lessons,
    run_notebook,
    summary,
)

FIXTURES = Path(__file__).parents[1] / "fixtures"
GOOD = FIXTURES / "90_good_lesson.ipynb"
REJECTED = FIXTURES / "rejected"


def run_within_budget(lesson: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a lesson with another seed, offline as all tests are, and compare its CPU time with its budget."""
    monkeypatch.setenv("GANTRANS_CACHE", str(folder / "cache"))  # so that all is trained and nothing loaded
    parameters = {} if is_evidence(lesson) else {"scale": "smoke", "seed": 1}
    before = os.times()
    run_notebook(lesson, folder / lesson.name, parameters)
    after = os.times()  # the kernel and its children count however they ended, even when they were cut off
    seconds = sum(after[2:4]) - sum(before[2:4])
    limit = cpu_limit(lesson)
    assert seconds <= limit, f"{lesson.name} used {seconds:.1f} CPU seconds at smoke; {limit:.0f} are allowed"


@pytest.mark.parametrize("lesson", find_pages(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_page_runs_with_another_seed_within_its_budget(lesson, tmp_path, monkeypatch, pytestconfig):
    if system_browser() and "browser" not in pytestconfig.option.markexpr and lesson in DRIVEN:
        pytest.skip("tests/teaching/test_browser.py runs it so in JupyterLab")
    run_within_budget(lesson, tmp_path, monkeypatch)


def test_good_lesson_runs_within_its_budget(tmp_path, monkeypatch):
    run_within_budget(GOOD, tmp_path, monkeypatch)
    injected = nbformat.read(tmp_path / GOOD.name, 4).cells[2]
    assert "seed = 1" in injected.source


def test_blown_budget_is_rejected(tmp_path, monkeypatch):
    with pytest.raises(AssertionError, match=r"used [1-9]\S* CPU seconds at smoke; 1 are allowed"):
        run_within_budget(REJECTED / "blown_budget.ipynb", tmp_path, monkeypatch)


def test_nbval_accepts_the_good_lesson_and_rejects_each_bad_one(tmp_path):
    bad = ("error", "changed_output", "network", "changed_number", "changed_figure")
    for path in (GOOD, *(REJECTED / f"{name}.ipynb" for name in bad[:3])):
        shutil.copy(path, tmp_path)
    good = nbformat.read(GOOD, 4)
    nbformat.write(with_another_number(good, "execute_result"), tmp_path / "changed_number.ipynb")
    nbformat.write(with_another_number(good, "display_data"), tmp_path / "changed_figure.ipynb")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    options = "-rA --nbval-lax --nbval-current-env --nbval-cell-timeout 60 -p no:xdist -p no:cacheprovider"
    command = [sys.executable, "-m", "pytest", *options.split(), "."]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1
    results = [line.split() for line in run.stdout.splitlines() if line.startswith(("PASSED ", "FAILED "))]
    failed = {words[1].split("::")[0] for words in results if words[0] == "FAILED"}
    assert failed == {f"{name}.ipynb" for name in bad}, run.stdout[-3000:]
    assert sum(words[1].startswith(GOOD.name) for words in results) == 8  # its code cells
    assert "NetworkError" in run.stdout


def with_another_number(lesson: nbformat.NotebookNode, kind: str) -> nbformat.NotebookNode:
    """A copy in which one number of a compared cell, its result or a figure's words, is another."""
    changed = copy.deepcopy(lesson)
    for cell in changed.cells:
        for output in cell.get("outputs", []) if COMPARED in cell.metadata.get("tags", []) else ():
            if output.output_type == kind and re.search(r"\d", text := output.data["text/plain"]):
                output.data["text/plain"] = re.sub(r"\d+(\.\d+)?", "999.0", text, count=1)
                return changed
    raise AssertionError(f"no compared cell has a number in a {kind}")


def test_cells_are_compared_if_two_scales_agree_on_them():
    def executed(*texts):
        outputs = [[nbformat.v4.new_output("stream", text=text)] if text else [] for text in texts]
        tags = {"tags": ["exercise"]}
        cells = [nbformat.v4.new_code_cell("f()", outputs=o, metadata=dict(tags)) for o in outputs]
        return nbformat.v4.new_notebook(cells=cells)

    notebook = executed("loss 0.25", "IoU 0.9", "")
    tag_comparable(notebook, executed("loss 0.25", "IoU 0.7", ""))
    assert [COMPARED in cell.metadata.tags for cell in notebook.cells] == [True, False, False]
    before = code_hash(notebook)
    tag_comparable(notebook, executed("loss 0.3", "IoU 0.7", ""))
    assert [cell.metadata.tags for cell in notebook.cells] == [["exercise"]] * 3
    assert code_hash(notebook) == before  # what is compared does not make a lesson stale


def test_unknown_parameter_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no parameter 'sede'; it has scale, seed, waves"):
        run_notebook(GOOD, tmp_path / "out.ipynb", {"sede": 1})
    assert not (tmp_path / "out.ipynb").exists()


def test_network_use_fails_even_where_errors_are_expected(tmp_path):
    with pytest.raises(PapermillExecutionError, match=r"NetworkError.*example\.org"):
        run_notebook(REJECTED / "network.ipynb", tmp_path / "out.ipynb", {})


def test_failing_lessons_are_reported_and_the_rest_still_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GANTRANS_SCALE", "smoke")  # run_lessons sets it: put it back afterwards
    sources = []
    for number, name in enumerate(("error", "kernel_death", "changed_output")):
        notebook = nbformat.read(REJECTED / f"{name}.ipynb", 4)
        parameters = nbformat.v4.new_code_cell('scale = "auto"', metadata={"tags": ["parameters"]})
        notebook.cells.insert(1, parameters)
        sources.append(tmp_path / f"{number:02d}_{name}.ipynb")
        nbformat.write(notebook, sources[-1])
    runs = run_lessons(sources, "smoke", out=tmp_path / "out", progress=False)
    assert [run.error for run in runs] == [
        "In [3] ZeroDivisionError: division by zero",
        "the kernel died: is there enough memory?",
        "",
    ]
    assert capsys.readouterr().out.strip() == summary(runs)
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == [path.name for path in sources]  # all are there to look at, and nothing half made
    monkeypatch.setattr(lessons, "find_lessons", lambda names: sources[2:])
    monkeypatch.setattr(lessons, "EXECUTED", lessons.ROOT / "runs" / "executed")
    monkeypatch.setattr(lessons, "run_lesson", lambda source, scale, **options: runs[0])
    assert lessons.main(["--scale", "smoke"]) == 1


def test_unknown_lesson_is_refused(capsys):
    assert lessons.main(["no_such_lesson"]) == 2
    assert "There is no lesson 'no_such_lesson'" in capsys.readouterr().err


def test_lessons_are_found_by_number_name_and_path(tmp_path):
    for name in ("00_start_here", "04_unet_skips", "notes"):
        (tmp_path / f"{name}.ipynb").touch()
    stems = [p.stem for p in find_lessons(folder=tmp_path)]
    assert stems == ["00_start_here", "04_unet_skips"]
    for name in ("4", "04", "04_unet_skips", "notebooks/04_unet_skips.ipynb"):
        assert [p.stem for p in find_lessons([name], tmp_path)] == ["04_unet_skips"]


def test_two_executions_give_the_same_bytes(tmp_path):
    source = "import ipywidgets\n\nprint('a')\nprint('b', flush=True)\nprint('c')\nipywidgets.IntSlider()"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, id="only")])
    path, made = tmp_path / "widget.ipynb", []
    for _ in range(2):
        nbformat.write(notebook, path)
        execute(path, "reduced")
        made.append(path.read_bytes())
    assert made[0] == made[1]
    assert b"widget-view" in made[0]
    assert check(path) == []


ANSWER = """
from gantrans.teaching.exercises import exercise


def log_snr(betas):
    kept = (1 - betas).cumprod(0)
    return kept.log() - (1 - kept).log()


exercise("log_snr").check(log_snr)
"""


def test_outputs_to_commit_do_not_depend_on_who_executes(tmp_path, monkeypatch):
    """A part that this person got accepted runs in their lessons and not in `run_copy`."""
    monkeypatch.setenv("GANTRANS_PROGRESS", str(tmp_path / "progress.json"))
    (tmp_path / "answer.py").write_text(ANSWER)
    subprocess.run([sys.executable, str(tmp_path / "answer.py")], check=True)
    assert "yours, accepted on" in str(mine.report("log_snr"))
    look = nbformat.v4.new_code_cell("from gantrans.teaching import mine\n\nprint(mine.report('log_snr'))")
    page = tmp_path / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[look]), page)
    (shown,) = run_copy(page, "smoke").cells[0].outputs
    assert "| 01 | `log_snr` | the course's |" in shown.text


def test_run_lesson_reports_declared_minutes(tmp_path, monkeypatch):
    monkeypatch.setattr(lessons, "run_notebook", lambda *arguments, **options: None)
    run = run_lesson(GOOD, "full", out=tmp_path)
    assert (run.name, run.declared_minutes, run.error) == ("90_good_lesson", 0.2, "")
