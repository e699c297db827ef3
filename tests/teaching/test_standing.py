"""Progress in words: the same text where nothing is stored; solved, open, whose version runs, what is
next."""

import json

import pytest
from typer.testing import CliRunner

from gantrans.__main__ import app
from gantrans.teaching.exercises import exercise, exercises
from gantrans.teaching.learner import forms, progress, standing, store
from gantrans.teaching.learner.sources import source_of


@pytest.fixture(autouse=True)
def learner(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_PROGRESS", str(tmp_path / "progress.json"))


def test_where_nothing_is_stored_the_text_is_always_the_same(capsys):
    first = [str(standing.progress_table(lesson)) for lesson in (None, "01", "05")]
    assert first == [str(standing.progress_table(lesson)) for lesson in (None, "01", "05")]
    assert "solved" not in first[1].replace("| solved", "")
    assert "**Next:** try `" in first[0]
    assert " of lesson 00 (about" in first[0]
    progress.update("exercises", "q_sample", seen=1)  # an open stub that was run
    assert str(standing.progress_table("01")) == first[1]
    standing.my_progress("01")
    assert capsys.readouterr().out == first[1] + "\n"


def test_what_is_solved_and_whose_version_runs():
    ex = exercise("q_sample")
    progress.update("exercises", "q_sample", solved=True, attempts=3, hints=1, minutes=12.4)
    progress.update("exercises", "linear_betas", solved=False, attempts=1, hints=0, minutes=2.0)
    store.save(ex, source_of(ex.rights[0], "q_sample"))
    table = str(standing.progress_table("01"))
    assert f"| `q_sample` | {ex.importance} | solved | yours | 1 | 12 of about {ex.minutes} |" in table
    assert "| `linear_betas` | " in table
    assert "| tried | the course's | 0 | 2 of about " in table
    row = next(line for line in str(standing.progress_table()).splitlines() if line.startswith("| 01"))
    assert [cell.strip() for cell in row.split("|")][4:7] == ["1", "1", "14"]
    path = store.path_of("q_sample")
    path.write_text(path.read_text() + "#")
    assert "solved | the course's |" in str(standing.progress_table("01"))


def test_the_next_step_is_the_first_that_must_be_done():
    row = {"lesson": "01", "exercise": "a", "importance": "may", "state": "open", "declared": 3}
    must = {**row, "exercise": "b", "importance": "must", "state": "tried"}
    assert standing.next_step([row, must], "01") == "**Next:** try `b` again (about 3 minutes)."
    left_out = "**Next:** try `a` of lesson 01 (about 3 minutes), which may be left out."
    assert standing.next_step([row, {**must, "state": "solved"}]) == left_out
    done = [{**row, "state": "solved"}]
    assert "course export" in standing.next_step(done)
    assert "the lesson after this one" in standing.next_step(done, "01")


def test_in_a_live_notebook_a_bar_stands_above_the_table(monkeypatch):
    shown = []
    monkeypatch.setattr(forms, "shell", lambda: type("Shell", (), {"kernel": 1})())
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.setenv("GANTRANS_HEADLESS", "1")
    standing.my_progress("01")
    assert [type(one).__name__ for one in shown] == ["Card"]
    monkeypatch.delenv("GANTRANS_HEADLESS")
    progress.update("exercises", "q_sample", solved=True, attempts=1)
    standing.my_progress()
    bars = shown[1].data
    assert bars.count("role=") == len({ex.lesson for ex in exercises()})
    count = len(exercises("01"))
    assert f"lesson 01: 1 of {count} exercises solved, 0 of them run as yours" in bars
    assert f"width:{100 / count:.1f}%;background:#56B4E9" in bars


def test_the_command():
    runner = CliRunner()
    assert "| 01 " in runner.invoke(app, ["course", "progress"]).output
    rows = json.loads(runner.invoke(app, ["course", "progress", "--json"]).output)
    assert len(rows) == len(exercises())
    assert {row["state"] for row in rows} == {"open"}
