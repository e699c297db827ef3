"""Running a learner's code safely: a time limit, no flood of prints, and knowing a stub when we see one."""

import dis
import io
import linecache
import signal
import sysconfig
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any

from gantrans.teaching.places import LESSONS

_LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), str(Path(__file__).parent))
_COURSE = (str(Path(__file__).parents[2]), str(LESSONS))
_TRIVIAL = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "COPY_FREE_VARS"}


AGAIN = 0.05  # seconds between alarms


class TimeUp(BaseException):
    """Raised in code that ran past its limit; a BaseException, so `except Exception` cannot swallow it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeUp in the block after `seconds` of wall clock.

    It rests on SIGALRM: on Windows, or outside the main thread, there is no limit. An alarm that was running
    before is set again afterwards with what is left of it. The alarm is repeated, for code that catches
    everything and goes on.
    """
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    began = time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        spent = time.monotonic() - began
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - spent, 0.001), interval)


@contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Collect what the learner's code prints: it runs on dozens of inputs."""
    with redirect_stdout(io.StringIO()) as text:
        yield text


def is_stub(answer: Any) -> bool:
    """Whether a function's body is nothing but a docstring, `pass`, `...` or `return` of a None or `...`."""
    code = getattr(answer, "__code__", None)
    if code is None:
        return False
    steps = list(dis.get_instructions(code))
    returned = [s.argval for s in steps if s.opname in ("LOAD_CONST", "RETURN_CONST")]
    return {s.opname for s in steps} <= _TRIVIAL and all(value is None or value is ... for value in returned)


def learner_line(error: BaseException, *, calling: bool = False) -> str:
    """Where the learner's own code was when `error` was raised: the deepest frame outside libraries.

    `calling`: the function that raised it is the course's, and the line that called it is wanted.
    """
    frames = traceback.extract_tb(error.__traceback__)[: -1 if calling else None]
    foreign = (*_LIBRARIES, "<frozen", "<__array_function__")
    own = [f for f in frames if not f.filename.startswith(foreign)]
    own = [f for f in own if not f.filename.startswith(_COURSE)] or own  # a toy block's line is not theirs
    if not own:
        return ""
    text = (own[-1].line or linecache.getline(own[-1].filename, own[-1].lineno or 0)).strip()
    return f"\nIn your line {own[-1].lineno}: {text}"
