"""Readiness: the last result of a probe that writes, so that asking is quick whatever the probe waits for."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunningError
from dataclasses import dataclass

EVERY_S = 3.0
PATIENCE_S = 1.0


@dataclass(frozen=True)
class State:
    """Whether requests can be served, and what is wrong; `problem` can be set while `ready` is true."""

    ready: bool
    problem: str | None = None


class Readiness:
    """Runs a probe in a thread of its own when somebody asks, at most once in `every_s` seconds.

    Args:
        probe: returns the state; may take long.
        every_s: how long a result is reported.
        patience_s: how long an answer waits for the probe; after that it is "not ready".
    """

    def __init__(
        self, probe: Callable[[], State], every_s: float = EVERY_S, patience_s: float = PATIENCE_S
    ) -> None:
        self._probe, self.every_s, self.patience_s = probe, every_s, patience_s
        self._lock = threading.Lock()
        self._result: Future[State] | None = None
        self._began = self._ended = 0.0

    def state(self) -> State:
        """The state; waits for at most `patience_s`."""
        running = self._current()
        try:
            return running.result(self._patience())
        except StillRunningError:
            return self._late()

    async def state_async(self) -> State:
        """The same for a coroutine."""
        running = self._current()
        await asyncio.wait({asyncio.wrap_future(running)}, timeout=self._patience())
        return running.result() if running.done() else self._late()

    def expire(self) -> None:
        """Forget the last result, because something has failed since."""
        with self._lock:
            self._ended = float("-inf")

    def _current(self) -> Future[State]:
        """The running probe, else its result if that is recent, else a new probe."""
        with self._lock:
            known = self._result
            if known is not None and (not known.done() or time.monotonic() - self._ended < self.every_s):
                return known
            self._result, self._began = Future(), time.monotonic()
            self._ended = float("inf")
            threading.Thread(target=self._run, args=(self._result,), daemon=True).start()
            return self._result

    def _run(self, result: Future[State]) -> None:
        try:
            state = self._probe()
        except Exception as error:  # the state is reported whatever went wrong
            state = State(False, f"The check of the service failed: {error!r}.")
        with self._lock:
            self._ended = time.monotonic()
        result.set_result(state)

    def _patience(self) -> float:
        return max(0.0, self._began + self.patience_s - time.monotonic())

    def _late(self) -> State:
        took = time.monotonic() - self._began
        return State(
            False,
            f"The check has not finished for {took:.1f} s: the disk does not answer, another program holds a "
            "lock on the store, or a model is being loaded.",
        )
