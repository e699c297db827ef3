"""Ctrl-C or SIGTERM in a training: the step under way is finished and saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
"""Signals that ask to stop, as Python handles them by itself. Docker, systemd and Slurm send SIGTERM."""


@contextmanager
def noted_interrupts(*, active: bool) -> Iterator[list[int]]:
    """Inside, the first signal to stop is only noted in the list that is given; a second interrupts at once.

    Args:
        active: False leaves the signals as they are, and so do threads; a program that handles one of them
            itself keeps its handler.
    """
    noted: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    ours = {n: d for n, d in DEFAULTS.items() if active and in_main and signal.getsignal(n) is d}

    def note(number: int, _frame: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    for number in ours:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, default in ours.items():
            signal.signal(number, default)
