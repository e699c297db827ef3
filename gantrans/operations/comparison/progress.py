"""One bar for a whole comparison, in planned seconds, with the time left."""

import os
from types import TracebackType

from tqdm.auto import tqdm

_FORMAT = "{desc:<34} {percentage:3.0f} %|{bar}| {elapsed} gone, about {remaining} left"


class Progress:
    """A bar whose length is the planned time; hidden by TQDM_DISABLE=1."""

    def __init__(self, seconds: float, *, leave: bool = True) -> None:
        hidden = os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
        self._bar = tqdm(total=max(seconds, 1.0), bar_format=_FORMAT, disable=hidden, leave=leave)
        self._done = 0.0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def begin(self, what: str) -> None:
        """Name the part that begins."""
        self._bar.set_description_str(what)

    def at(self, seconds: float) -> None:
        """So many planned seconds of the current part are done."""
        place = min(self._done + seconds, self._bar.total or 0.0)
        self._bar.update(max(0.0, place - self._bar.n))

    def end(self, seconds: float) -> None:
        """The current part, of so many planned seconds, is done."""
        self.at(seconds)
        self._done += seconds
