"""A check ends, whatever the answer does, and leaves no process behind."""

import itertools
import os
import re
import signal
import subprocess
import time

import pytest
import torch

from gantrans.teaching.exercises import State, checker, guard, watched
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.guard import TimeUp, time_limit


@pytest.fixture
def twice():
    ex = Exercise("twice", "00", "Twice", 1, 1, "Double it.", ("a", "b", "c"), "-")

    @ex.reference
    def twice(x):
        """Any tensor -> twice."""
        return 2 * x

    ex.inputs(lambda case: (case.randn(case.batch, case.width),))
    return ex


def catches_everything(x):
    n = 0
    while n >= 0:
        try:
            n += 1
        except:  # noqa: E722
            continue


def loop_in_c(x):
    return sum(itertools.repeat(1))


def late_loop(x):
    if x.dtype == torch.float64:
        loop_in_c(x)
    return 2 * x


@pytest.mark.skipif(not watched.enabled, reason="needs fork")
@pytest.mark.parametrize("answer", [catches_everything, loop_in_c, late_loop])
def test_every_loop_ends(twice, monkeypatch, answer):
    monkeypatch.setattr(watched, "PROCESSOR_SECONDS", 1)
    began = time.monotonic()
    result = twice.judge(answer)
    assert result.state is State.CANNOT_CHECK
    assert "ran for over 1 s; does a loop never end?\nInput: x = " in result.message
    assert time.monotonic() - began < watched.WALL_SECONDS + 10
    assert ("float64" in result.message) == (answer is late_loop)


@pytest.mark.skipif(not watched.enabled, reason="needs fork")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: os.kill(os.getpid(), signal.SIGSEGV), "process crash \\(SIGSEGV\\)"),
        (lambda x: os._exit(0), "ended the whole process"),
    ],
)
def test_a_crash_does_not_reach_the_notebook(twice, answer, words):
    result = twice.judge(answer)
    assert result.state is State.CANNOT_CHECK
    assert re.search(words, result.message), result.message


@pytest.mark.skipif(not watched.enabled, reason="needs fork")
def test_no_child_is_left_and_nothing_is_printed(twice, capfd):
    before = _children()
    assert twice.judge(lambda x: (print("loud"), 2 * x)[1]).passed
    assert _children() == before
    assert "loud" not in capfd.readouterr().out


def test_the_alarm_rings_until_it_is_answered():
    left, interval = signal.getitimer(signal.ITIMER_REAL)  # of the test run's own limit, if it has one
    with pytest.raises(TimeUp), time_limit(0.2):
        catches_everything(None)
    after = signal.getitimer(signal.ITIMER_REAL)
    assert after[0] <= left
    assert after[1] == interval
    assert bool(after[0]) == bool(left)


def test_the_alarm_rings_again_for_code_that_catches_it():
    rung = 0
    with time_limit(0.1):
        for _ in range(2):
            try:
                time.sleep(guard.AGAIN + 1)  # where the signal arrives, so inside of the `try`
            except TimeUp:
                rung += 1
    assert rung == 2


def test_code_that_waits_is_left_to_the_alarm(twice, monkeypatch):
    monkeypatch.setattr(watched, "WALL_SECONDS", 0.3)
    monkeypatch.setattr(watched, "BUSY", 10.0)
    monkeypatch.setattr(checker, "SECONDS", 0.3)
    result = twice.judge(lambda x: time.sleep(5))
    assert result.state is State.CANNOT_CHECK
    assert "ran for over 0.3 s" in result.message


def test_without_a_fork_the_check_goes_on(twice, monkeypatch):
    monkeypatch.setattr(watched, "enabled", False)
    assert twice.judge(lambda x: x + x).passed


def _children():
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return len(listed.stdout.split())
