"""One input of an exercise, to step through by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gantrans.teaching.exercises.differential import Observation
from gantrans.teaching.exercises.inputs import Args, duplicate
from gantrans.teaching.exercises.words import error_text, show


@dataclass(frozen=True, repr=False)
class Example:
    """An input with what is expected of it; it prints as both, and unpacks to the arguments.

    e = ex.example(3)
    got = f(*e.args)  # or f(*e): a fresh copy each time
    e.expected
    """

    name: str
    number: int
    parameters: tuple[str, ...]
    _args: Args = field(repr=False)
    _seen: Observation = field(repr=False)

    @property
    def args(self) -> Args:
        """A fresh copy of the arguments."""
        copied: Args = duplicate(self._args)
        return copied

    @property
    def expected(self) -> Any:
        """What the reference returns, or the exception that is to be raised."""
        return self._seen.error if self._seen.error is not None else duplicate(self._seen.value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.args)

    def __len__(self) -> int:
        return len(self._args)

    def __getitem__(self, place: int) -> Any:
        return self.args[place]

    def __repr__(self) -> str:
        lines = [f"{self.name}(  # input {self.number}"]
        lines += [f"    {name}={show(a)}," for name, a in zip(self.parameters, self._args, strict=True)]
        error = self._seen.error
        end = f"must raise {error_text(error)}" if error is not None else show(self._seen.value)
        return "\n".join([*lines, f")\n-> {end}"])
