"""A request while it is worked on: its deadline, whether its client has left, and its turn at the network."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gantrans.errors import GantransError


class GoneError(GantransError):
    """The client closed its connection before the work began; no response can be sent."""


class OverTimeError(GantransError):
    """The time limit of the request has passed."""


class Call:
    """A request; `Intake` makes one for each, and code that works on it asks `check` before expensive steps.

    Args:
        limit_s: seconds from now until `check` fails; None: never.
    """

    def __init__(self, limit_s: float | None = None) -> None:
        self.limit_s = limit_s
        self._until = None if limit_s is None else time.monotonic() + limit_s
        self._gone = False
        self._wake: Callable[[], None] = lambda: None

    def leave(self) -> None:
        """Note that the client has closed its connection; a waiting thread is woken."""
        self._gone = True
        self._wake()

    def left_s(self) -> float | None:
        """Seconds left, at least 0; None without a limit."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def check(self) -> None:
        """Raise if the work would be for nothing.

        Raises:
            GoneError: the client has left. OverTimeError: the time limit has passed.
        """
        if self._gone:
            raise GoneError("The client closed its connection.")
        if self._until is not None and time.monotonic() >= self._until:
            raise OverTimeError(f"The request took longer than {self.limit_s:g} s; try again later.")

    def wake_by(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the client leaves."""
        self._wake = wake


class Turn:
    """The turn at the network: one caller at a time, in the order of arrival."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._line: deque[Call] = deque()  # the first one has the turn

    @contextmanager
    def taken(self, call: Call) -> Iterator[None]:
        """Wait for the turn and hold it.

        Raises:
            GoneError, OverTimeError: the client left or the time passed while it waited.
        """
        with self._changed:
            self._line.append(call)
        call.wake_by(self._wake)
        try:
            with self._changed:
                while self._line[0] is not call:
                    call.check()
                    self._changed.wait(call.left_s())
            call.check()
            yield
        finally:
            with self._changed:
                self._line.remove(call)
                self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
