"""A first run of an answer in a child process, which can be ended whatever the code does.

A signal cannot stop a loop inside C (`sum(itertools.repeat(1))`); a bare `except:` swallows what it raises.
So on POSIX the answer first meets all inputs in a forked child with a limit on its processor time; only when
the child comes back does the check go on in the notebook's own process. Where there is no fork, or where it
does not work (the child first tries the reference), the alarm of `guard.time_limit` is all there is.
"""

import faulthandler
import io
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from gantrans.teaching.exercises.inputs import Args, duplicate, seed_globals

PROCESSOR_SECONDS = 3  # for one call per input
WALL_SECONDS = 20.0  # for code that waits
BUSY = 0.05  # a child that uses less of the wall clock than this waits for something
enabled = hasattr(os, "fork") and sys.platform != "darwin"  # Apple's libraries do not survive a fork
Answer = Callable[..., Any]


class Ended(Exception):
    """The child was ended, or ended itself, while it tried input `number`; `how` goes on "your code ..."."""

    def __init__(self, number: int, how: str) -> None:
        super().__init__(how)
        self.number, self.how = number, how


def try_first(reference: Answer, answer: Answer, cases: Sequence[Args]) -> None:
    """Run `answer` once on every input in a child process.

    Raises:
        Ended: if it does not come back from an input, because of its time or because the process dies.
    """
    if not enabled or threading.current_thread() is not threading.main_thread():
        return
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _live_and_die(writing, reference, answer, cases)
    os.close(writing)
    began, marks, silent = time.monotonic(), 0, False
    try:
        while True:
            left = WALL_SECONDS - (time.monotonic() - began)
            if left <= 0 or not select.select([reading], [], [], left)[0]:
                silent = True
                break
            news = os.read(reading, 4096)
            if not news:
                break
            marks += len(news)
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
    _interpret(marks, len(cases), silent, status, used.ru_utime + used.ru_stime)


def _interpret(marks: int, cases: int, silent: bool, status: int, processor: float) -> None:
    """The first mark says that the reference has run; then comes one for each input, and one at the end."""
    if marks == 0 or marks == cases + 2:  # fork does not work here; or all went well
        return
    number = min(marks - 1, cases - 1)
    busy = processor >= min(PROCESSOR_SECONDS - 0.5, BUSY * WALL_SECONDS)
    if (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU) or (silent and busy):
        raise Ended(number, f"ran for over {PROCESSOR_SECONDS} s; does a loop never end?")
    if silent:  # it waits: the alarm can end that
        return
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        name = signal.Signals(os.WTERMSIG(status)).name
        raise Ended(number, f"made the whole process crash ({name}); is a recursion too deep?")
    if os.WIFEXITED(status):
        raise Ended(number, "ended the whole process (`os._exit`, or a fork of its own).")


def _live_and_die(writing: int, reference: Answer, answer: Answer, cases: Sequence[Args]) -> None:
    """The child: no exception, no output and no clean-up of it may reach the notebook."""
    import resource

    try:
        faulthandler.disable()  # a crash is told by the parent
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGXCPU):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 2))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        sys.stdout = sys.stderr = io.StringIO()  # a notebook's streams do not end at descriptors 1 and 2
        torch.set_num_threads(1)  # the threads of the parent are not here
        _call(reference, cases[0])
        os.write(writing, b".")
        for args in cases:
            _call(answer, args)
            os.write(writing, b".")
        os.write(writing, b".")
    finally:
        os._exit(0)


def _call(function: Answer, args: Args) -> None:
    seed_globals(1)
    try:
        function(*duplicate(args))
    except BaseException:
        return
