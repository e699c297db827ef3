"""The store of accepted answers: check, keep, load in another process, refuse what was not accepted."""

import json
import os
import pickle
import subprocess
import sys
import time

import pytest
import torch

from gantrans.errors import ConfigError
from gantrans.teaching import mine
from gantrans.teaching.exercises import exercise
from gantrans.teaching.learner import checking, parts, progress, store
from gantrans.teaching.learner.sources import NotKept

EX = exercise("q_sample")
SOURCE = """\
ROOT = 0.5


def q_sample(x0, t, noise, alpha_bars):
    shape = (-1,) + (1,) * (x0.ndim - 1)
    a = alpha_bars[t].reshape(shape)
    return (a**ROOT).to(x0) * x0 + ((1 - a) ** ROOT).to(x0) * noise
"""
ARGS = (
    torch.ones(1, 2),
    torch.tensor([1]),
    torch.ones(1, 2),
    torch.tensor([0.81, 0.64], dtype=torch.float64),
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setattr(mine, "_TOLD", set())
    return tmp_path / "parts"


def written(source=SOURCE):
    """An answer as a cell defines it."""
    import linecache

    name = f"<cell {time.time_ns()}>"
    linecache.cache[name] = len(source), None, source.splitlines(True), name
    names = {"__name__": "__main__", "torch": torch}
    exec(compile(source, name, "exec"), names)
    return names["q_sample"]


def in_another_process(code):
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_accepted_answer_is_what_the_lesson_goes_on_with_and_what_later_lessons_find(folder, capsys):
    answer = written()
    going = EX.check(answer)
    assert EX.result.passed
    assert capsys.readouterr().out.endswith(" inputs.\nFrom here on the lesson runs yours.\n")
    assert going(*ARGS).equal(answer(*ARGS))
    assert mine.q_sample is going
    assert pickle.loads(pickle.dumps(going)) is going
    assert (folder / "q_sample.py").read_text().endswith(SOURCE)
    code = (
        "import inspect; from gantrans.teaching.mine import q_sample; "
        "from gantrans.teaching.learner import parts; print(inspect.getsource(parts.original(q_sample)))"
    )
    assert in_another_process(code) == SOURCE[SOURCE.index("def ") :].strip()
    again = EX.check(going)  # the cell is run once more
    assert EX.result.passed
    assert (folder / "q_sample.py").read_text().endswith(SOURCE)
    assert mine.q_sample is again


@pytest.mark.parametrize("answer", [None, lambda x0, t, noise, alpha_bars: x0, 3, EX.function])
def test_anything_else_gives_the_course_s_version_and_is_never_kept(folder, capsys, answer):
    assert EX.check(answer) is EX.function
    assert not EX.result.passed
    assert capsys.readouterr().out.endswith(
        "From here on the lesson runs the course's version of `q_sample`.\n"
    )
    assert mine.q_sample is EX.function
    assert not folder.exists()


def test_a_later_wrong_answer_does_not_replace_the_accepted_one(folder, capsys):
    EX.check(written())
    kept = (folder / "q_sample.py").read_bytes()
    assert EX.check(lambda x0, t, noise, alpha_bars: x0) is EX.function
    assert "accepted before is still kept" in capsys.readouterr().out
    assert (folder / "q_sample.py").read_bytes() == kept
    EX.check(written(SOURCE.replace("ROOT = 0.5", "ROOT = 1 / 2")))
    assert "ROOT = 0.5" in (folder / "q_sample.py").read_text()  # the number counts
    EX.check(written(SOURCE.replace("ROOT", "HALF")))
    assert "HALF = 0.5" in (folder / "q_sample.py").read_text()


def test_what_cannot_be_kept_is_right_all_the_same_and_runs_here(folder, capsys):
    answer = written(SOURCE.replace("ROOT = 0.5", "ROOT = torch.tensor(0.5)"))
    assert parts.original(EX.check(answer)) is answer
    assert EX.result.passed
    assert "`ROOT`, a tensor, from elsewhere" in capsys.readouterr().out
    assert not folder.exists()
    assert mine.q_sample is EX.function


def test_an_answer_that_needs_the_notebook_s_state_is_not_kept(folder, capsys):
    source = SOURCE.replace("    a =", "    assert STATE\n    a =")
    answer = written("STATE = [0]\n\n\n" + source)
    answer.__globals__["STATE"] = answer.__globals__
    EX.check(answer)
    assert "`STATE`, a dict" in capsys.readouterr().out
    with pytest.raises(NotKept, match="on its own it is not right"):
        checking._alone(EX, SOURCE.replace("0.5", "0.6"))
    with pytest.raises(NotKept, match=r"does not import \(NameError: name 'HALF' is not defined\)"):
        checking._alone(EX, SOURCE.replace("0.5", "HALF"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text.replace("ROOT = 0.5", "ROOT = 0.6"), "was changed outside the notebook"),
        (lambda text: text[: len(text) // 2], "was changed outside the notebook"),
        (lambda text: "", "was changed outside the notebook"),
        (lambda text: text.replace("q_sample.", "x.").replace("format 1", "format 2"), "was changed outside"),
        (lambda text: "\ud800", "cannot be read"),
    ],
)
def test_a_damaged_file_does_not_run(folder, capsys, damage, words):
    EX.check(written())
    path = folder / "q_sample.py"
    path.write_bytes(damage(path.read_text()).encode("utf-8", "surrogatepass"))
    capsys.readouterr()
    assert mine.q_sample is EX.function
    assert mine.q_sample is EX.function
    out = capsys.readouterr().out
    assert words in out
    assert out.endswith("; the course's version runs until you check yours again.\n")
    assert len(out.splitlines()) == 1
    assert words in str(mine.report("q_sample"))
    EX.check(written())
    assert mine.q_sample is not EX.function


def test_a_text_that_no_longer_imports_is_one_sentence(folder, capsys):
    store.save(EX, "import no_such_module\n\n\ndef q_sample(x0, t, noise, alpha_bars):\n    return x0\n")
    assert mine.q_sample is EX.function
    assert (
        "does not import (ModuleNotFoundError: No module named 'no_such_module')" in capsys.readouterr().out
    )


def test_when_the_exercise_has_changed_the_answer_is_judged_again(folder, capsys, monkeypatch):
    EX.check(written())
    judged = []
    store._LOADED.clear()
    monkeypatch.setattr(store, "exercise_digest", lambda ex: "another")
    monkeypatch.setattr(EX, "judge", lambda answer: judged.append(1) or type(EX).judge(EX, answer))
    assert mine.q_sample is not EX.function
    assert len(judged) == 1  # and the new digest is written down
    assert store.read("q_sample").exercise == "another"
    store._LOADED.clear()
    assert mine.q_sample is not EX.function
    assert len(judged) == 1
    monkeypatch.setattr(store, "exercise_digest", lambda ex: "a third")
    monkeypatch.setattr(EX, "judge", lambda answer: type(EX).judge(EX, lambda x0, t, noise, alpha_bars: x0))
    store._LOADED.clear()
    capsys.readouterr()
    assert mine.q_sample is EX.function
    assert "is no longer right: the exercise has changed" in capsys.readouterr().out
    assert store.read("q_sample").exercise == "another"  # the file stays


def test_two_notebooks_at_once_lose_nothing(folder):
    code = f"""
import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_part_store import SOURCE, store, progress, checking
from gantrans.teaching.exercises import State
from gantrans.teaching.exercises import State, exercise
ex, me = exercise('q_sample'), sys.argv[1]
for n in range(40):
    store.save(ex, SOURCE + f'# {{me}} {{n}}\\n' * 50)
    assert store.read('q_sample') is not None
    checking._remember('shared', State.CORRECT, 0)
    progress.update('recall', f'{{me}}-{{n}}', right=True)
"""
    environment = {**os.environ}
    two = [subprocess.Popen([sys.executable, "-c", code, name], env=environment) for name in ("a", "b")]
    assert [process.wait() for process in two] == [0, 0]
    kept = progress.load()
    assert kept["exercises"]["shared"]["attempts"] == 80
    assert len(kept["recall"]) == 80
    assert store.read("q_sample") is not None
    assert sorted(p.name for p in folder.iterdir() if "lock" not in p.name) == ["q_sample.py"]


def test_parts_that_need_each_other_end_at_the_course_s_version(folder):
    ex = exercise("log_snr")
    head = "from gantrans.teaching.mine import"
    other = f"{head} log_snr\n\n\ndef q_sample(x0, t, noise, alpha_bars):\n    return log_snr\n"
    store.save(EX, other)
    store.save(ex, f"{head} q_sample\n\n\ndef log_snr(betas):\n    return q_sample\n")
    q_sample = mine.log_snr(0)
    assert q_sample is not EX.function
    assert q_sample(0, 0, 0, 0) is ex.function
    assert mine.q_sample is not EX.function


def test_names_of_mine_and_the_report(folder):
    assert mine.ddpm_step is exercise("ddpm_step").function
    assert "ddpm_step" in dir(mine)
    assert not hasattr(mine, "__wrapped__")
    with pytest.raises(ConfigError, match=r"^There is no part 'ddpm_stop'; did you mean 'ddpm_step'.*\?$"):
        mine.ddpm_stop  # noqa: B018
    with pytest.raises(ConfigError, match="There is no part 'q_sampel'"):
        from gantrans.teaching.mine import q_sampel  # noqa: F401
    with pytest.raises(ConfigError, match="There is no part '77'"):
        mine.report("77")
    nothing = str(mine.report("01"))
    assert "yours" not in nothing
    assert nothing == str(mine.report("01"))
    EX.check(written())
    assert f"| 01 | `q_sample` | yours, accepted on {time.strftime('%Y-%m-%d')} |" in str(mine.report())
    lessons = [line.split("|")[1].strip() for line in str(mine.report()).splitlines()[2:]]
    assert lessons == sorted(lessons)


def test_what_is_remembered_of_an_exercise(folder, monkeypatch):
    now = [1e9]
    monkeypatch.setattr(checking.time, "time", lambda: now[0])
    monkeypatch.setattr(checking, "_STARTED", 1e9 - 180)
    EX.check(None)
    assert progress.get("exercises", "q_sample") == {"seen": 10**9}
    EX.check(lambda x0, t, noise, alpha_bars: x0)
    now[0] += 3600  # lunch
    EX.check(written())
    now[0] += 60
    EX.check(lambda x0, t, noise, alpha_bars: x0)
    assert progress.get("exercises", "q_sample") == {
        "attempts": 3, "hints": 0, "last": 10**9 + 3660, "minutes": 23.0, "seen": 10**9, "solved": True,
        "solved_at": 10**9 + 3600, "state": "incorrect",
    }  # fmt: skip


def test_in_a_shell_the_outcome_is_one_display_of_text_and_html(folder, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(checking, "shell", lambda: object())
    monkeypatch.setattr("IPython.display.display", shown.append)
    EX.check(None)
    assert capsys.readouterr().out == ""
    (outcome,) = shown
    assert repr(outcome).splitlines()[1] == "From here on the lesson runs the course's version of `q_sample`."
    assert "the course's version of <code>q_sample</code>" in outcome._repr_html_()
    assert json.dumps(outcome._repr_html_())


def test_what_later_cells_change_does_not_change_an_accepted_answer(folder, capsys):
    source = "def helper(x):\n    return x**0.5\n\n\n" + SOURCE[12:].replace("a**ROOT", "helper(a)")
    answer = written(source.replace("(1 - a) ** ROOT", "helper(1 - a)"))
    going = EX.check(answer)
    before = going(*ARGS)
    answer.__globals__["helper"] = lambda x: 0
    assert going(*ARGS).equal(before)
    EX.check(answer)
    assert not EX.result.passed


def test_a_text_that_the_course_does_not_understand_is_said_and_the_lesson_goes_on(
    folder, capsys, monkeypatch
):
    monkeypatch.setattr(checking, "source_of", lambda *_: 1 / 0)
    answer = written()
    assert parts.original(EX.check(answer)) is answer
    assert (
        "not kept: its text was not understood (ZeroDivisionError: division by zero)."
        in capsys.readouterr().out
    )


def test_an_unwritable_folder_is_a_remark(folder, monkeypatch, capsys):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(store, "save", full)
    answer = written()
    assert EX.check(answer) is not EX.function
    assert "but it was not kept: no space left on device." in capsys.readouterr().out
