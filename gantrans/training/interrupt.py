"""Ctrl-C in a training: the step under way is finished and saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def noted_interrupts(*, active: bool) -> Iterator[list[int]]:
    """Inside, the first Ctrl-C is only noted, in the list that is given; the second one interrupts at once.

    Args:
        active: False leaves Ctrl-C as it is, and so do threads and programs that handle it themselves.
    """
    noted: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    if not (active and in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler):
        yield noted
        return

    def note(number: int, _frame: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
