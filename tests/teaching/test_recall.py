"""Predictions and recall: which questions come when, scores by hand, forms that answer.

The right answers of a lesson's questions are computed in `tests/lessons/test_questionsNN.py`.
"""

import json

import nbformat
import pytest

from gantrans import ROOT
from gantrans.errors import ConfigError
from gantrans.teaching.learner import forms, progress, recall
from gantrans.teaching.learner.predictions import _asked, store
from gantrans.teaching.learner.question import questions


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_PROGRESS", str(tmp_path / "learner" / "progress.json"))
    _asked.clear()


def test_recall_asks_about_earlier_lessons_only():
    known = sorted({q.lesson for q in questions()} - {"basics"})
    assert [q.lesson for q in recall.recall_questions(known[0])] == ["basics"] * 3
    for number, lesson in enumerate([*known[1:], "99"], 1):
        *recent, older = (q.lesson for q in recall.recall_questions(lesson))
        assert recent == [known[number - 1]] * 2
        assert older == (known[: number - 1] or known[:1])[max(number - 2, 0) // 2]  # half way back
    for lesson in ("00", "04", "05"):
        asked = recall.recall_questions(lesson)
        assert len({q.id for q in asked}) == 3
        assert asked == recall.recall_questions(lesson)
        assert {q.lesson for q in recall.wrap_up_questions(lesson)} == {lesson}
    with pytest.raises(ConfigError, match="'99' has no questions"):
        recall.wrap_up("99")


def test_recall_answers_are_judged_explained_and_kept():
    question = recall.wrap_up_questions("04")[0]
    wrong = next(c for c in question.choices if c != question.right)
    assert recall.answer(question, None) == "Choose one first."
    assert question.why in recall.answer(question, wrong)
    assert recall.answer(question, question.right).startswith("✓")
    assert progress.get("recall", question.id) == {"right": True, "asked": 2, "hits": 1}
    assert f"<summary>Answer</summary>{question.right}" in recall.card(question).markdown


def test_interval_prediction_is_scored_by_the_interval_score():
    recall.predict("iou", "How much?", range=(0.0, 0.5, "IoU"))
    store("iou", (0.1, 0.2))
    text = str(recall.reveal("iou", measured=0.25))
    assert "Measured: **0.25 IoU**" in text
    assert "outside" in text
    entry = progress.get("predictions", "iou")
    assert entry["hit"] is False
    assert entry["score"] == pytest.approx((0.1 + 2 / 0.2 * 0.05) / 0.5)
    store("iou", (0.2, 0.3))  # too late: the first prediction stands
    recall.reveal("iou", measured=0.15)  # a rerun measures again, the score stays
    assert progress.get("predictions", "iou") == entry
    assert "0 of your 1 intervals" in recall.calibration()


def test_choice_prediction_is_scored_by_brier():
    recall.predict("which", "Which is sharper?", choices=["with", "without"])
    store("which", "with", confidence=0.9)
    assert "90% sure): right" in str(recall.reveal("which", measured="with"))
    assert progress.get("predictions", "which")["score"] == pytest.approx(0.01)
    assert "1 of your 1 choices" in recall.calibration()


def test_headless_run_reveals_and_stores_nothing(capsys):
    recall.predict("iou", "How much?", range=(0.0, 1.0, ""))
    assert str(recall.reveal("iou", measured=0.5)) == "Measured: **0.5**. No prediction was recorded."
    assert capsys.readouterr().out == ""
    assert not progress.progress_path().exists()
    assert recall.calibration() == "No prediction has been revealed yet."


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recall.predict("a", "?"), "two or more"),
        (lambda: recall.predict("a", "?", choices=["one"]), "two or more"),
        (lambda: recall.predict("a", "?", choices=["x", "y"], range=(0, 1, "")), "two or more"),
        (lambda: recall.predict("a", "?", range=(1, 1, "")), "low must be below high"),
        (lambda: recall.reveal("never", 1.0), "Nothing was asked under 'never'"),
    ],
)
def test_mistakes_of_a_lesson_author(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_unknown_choices_and_reversed_intervals_are_refused():
    recall.predict("c", "?", choices=["x", "y"])
    recall.predict("r", "?", range=(0, 1, ""))
    for call in (lambda: store("c", "z"), lambda: recall.reveal("c", "z"), lambda: store("r", (0.4, 0.2))):
        with pytest.raises(ConfigError):
            call()


def test_the_forms_store_what_is_set(monkeypatch):
    shown = {}
    monkeypatch.setattr(
        forms, "ask", lambda text, controls, submit, **_: shown.update(c=controls(), s=submit)
    )
    recall.predict("c", "Which?", choices=["x", "y"])
    form = forms.make_form("**Which** <b> `one`?", shown["c"], shown["s"], "Store")
    button, reply = form.children[-1].children
    button.click()
    assert reply.value == "Choose one first."
    shown["c"][0].value = "y"
    shown["c"][1].children[0].value = 60
    button.click()
    assert progress.get("predictions", "c") == {"choice": "y", "confidence": 0.6}
    assert form.children[0].value == "<b>Which</b> &lt;b> <code>one</code>?"
    recall.predict("r", "How much?", range=(0, 1, "nm"))
    shown["c"][1].value = (0.25, 0.5)
    assert shown["s"](shown["c"]).startswith("Stored")
    recall.reveal("r", 0.3)
    assert "revealed already" in shown["s"](shown["c"])
    assert progress.get("predictions", "r")["interval"] == [0.25, 0.5]


def test_a_damaged_progress_file_is_kept_aside(capsys):
    progress.update("recall", "a", right=True)
    path = progress.progress_path()
    for damage in ('{"exercises": {', "[]", '{"exercises": 3}', "\udcff"):
        path.write_text(damage, encoding="utf-8", errors="surrogateescape")
        assert progress.load() == {"exercises": {}, "predictions": {}, "recall": {}}
        assert "was damaged; it is kept as progress.json.bad" in capsys.readouterr().out
        assert path.with_name("progress.json.bad").exists()
    progress.update("recall", "b", right=False)
    assert progress.get("recall", "b") == {"right": False}
    progress.reset()
    progress.reset()
    assert progress.get("recall", "b") == {}


def test_a_kill_while_writing_leaves_the_old_file(monkeypatch):
    progress.update("recall", "a", right=True)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        progress.update("recall", "b", right=True)
    folder = progress.progress_path().parent
    assert [f.name for f in folder.iterdir() if f.suffix != ".lock"] == ["progress.json"]
    assert json.loads((folder / "progress.json").read_text())["recall"] == {"a": {"right": True}}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")), ids=lambda p: p.stem
)
def test_committed_lessons_ask_todays_questions(path):
    """A new question or lesson changes what others ask; their stamps, which are of code, do not notice."""
    lesson = path.stem[:2]
    shown = {"recall": recall.recall_questions(lesson), "wrap_up": recall.wrap_up_questions(lesson)}
    cells = nbformat.read(path, 4).cells
    for name, asked in shown.items():
        (cell,) = (c for c in cells if c.source.strip() == f'{name}("{lesson}")')
        outputs = [o.get("data", {}).get("text/markdown", "") for o in cell.outputs]
        assert [q.text for q in asked if not any(q.text in text for text in outputs)] == []
