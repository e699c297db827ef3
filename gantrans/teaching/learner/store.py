"""The parts that a learner wrote and a checker accepted: one readable file each, beside the progress file.

A file holds the source of one part with all that it needs, below a header with the digest of that text and of
the exercise it answers. A file that was changed by hand, or damaged, does not run: the course's version does.
"""

import hashlib
import inspect
import linecache
import re
import sys
import time
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gantrans.errors import DataError
from gantrans.files import locked, replace_file
from gantrans.teaching.exercises.results import Result
from gantrans.teaching.learner import parts, progress
from gantrans.teaching.learner.sources import MINE

FORMAT = 1
_HEADER = re.compile(
    r"# (?P<name>\w+): my answer to exercise (?P<id>\w+) of lesson (?P<lesson>\w+), "
    r"accepted on (?P<date>[\d-]+)\n"
    r"# format (?P<format>\d+), exercise (?P<exercise>\w+), text (?P<text>\w+)\n"
    r"# [^\n]*\n\n"
)


class Task(Protocol):
    """What is read of an exercise (`exercises.core.Exercise`)."""

    id: str
    lesson: str
    spec: str
    patience: float

    @property
    def name(self) -> str: ...
    @property
    def function(self) -> Any: ...
    @property
    def reference_source(self) -> str: ...
    def judge(self, answer: Any) -> Result: ...


class Damaged(DataError):
    """A stored part that cannot be used; the message is a whole sentence, `cause` what went wrong inside."""

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True)
class Stored:
    """A stored part: its text, when it was accepted, and the digest of the exercise as it was then."""

    id: str
    name: str
    lesson: str
    date: str
    exercise: str
    source: str


def folder() -> Path:
    """Where the parts lie: `parts/` beside the progress file."""
    return progress.progress_path().parent / "parts"


def path_of(exercise: str) -> Path:
    """The file of one part."""
    return folder() / f"{exercise}.py"


def save(ex: Task, source: str) -> Stored:
    """Keep the source of an accepted answer; the file is replaced at once.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    stored = Stored(ex.id, ex.name, ex.lesson, time.strftime("%Y-%m-%d"), exercise_digest(ex), source)
    path = path_of(ex.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f".{path.name}.lock")):
        replace_file(path, _written(stored))
    return stored


def read(exercise: str) -> Stored | None:
    """The stored part of an exercise; None if there is none.

    Raises:
        Damaged: the file is not as it was written.
    """
    path = path_of(exercise)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Damaged(
            f"Your stored parts/{path.name} cannot be read ({type(error).__name__}){_GOES_ON}"
        ) from None
    head = _HEADER.match(text)
    source = text[head.end() :] if head else ""
    if not head or head["id"] != exercise or head["format"] != str(FORMAT) or head["text"] != _digest(source):
        raise Damaged(f"Your stored parts/{path.name} was changed outside the notebook{_GOES_ON}")
    return Stored(head["id"], head["name"], head["lesson"], head["date"], head["exercise"], source)


def load(ex: Task) -> Any:
    """The learner's accepted function or class, guarded by the reference (`parts`); None if there is none.

    It is loaded once for each state of its file. If the exercise has changed since, it is judged again.

    Raises:
        Damaged: the file is not as it was written, does not import, or is no longer right.
    """
    path = path_of(ex.id)
    state = _state(path)
    if state is None:
        return None
    known = _LOADED.get(path)
    if known is None or known[0] != state:
        if path in _LOADING:  # two parts that need each other
            return None
        _LOADING.add(path)
        try:
            known = state, _load(ex, path)
        finally:
            _LOADING.discard(path)
        _LOADED[path] = known
    if isinstance(known[1], Damaged):
        raise known[1]
    return known[1]


def remember(ex: Task, used: Any) -> None:
    """Let `load` give the very object that `check` returned, as long as the file stays as it is."""
    path = path_of(ex.id)
    state = _state(path)
    if state is not None:
        _LOADED[path] = state, used


def imported(stored: Stored, path: Path) -> Any:
    """The function or class of a stored part, imported as a module of its own.

    Raises:
        Damaged: its text does not run.
    """
    module = types.ModuleType(f"gantrans_part_{stored.id}")
    module.__file__ = str(path)
    file = f"<part {stored.id} {_digest(stored.source)}>"
    linecache.cache[file] = len(stored.source), None, stored.source.splitlines(keepends=True), file
    sys.modules[module.__name__] = module
    try:
        exec(compile(stored.source, file, "exec", dont_inherit=True), vars(module))
        return vars(module)[stored.name]
    except Exception as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise Damaged(f"Your stored parts/{path.name} does not import ({what}){_GOES_ON}", what) from None


def exercise_digest(ex: Task) -> str:
    """Changes with the exercise's text, its reference, its inputs, and how an answer is called."""
    texts = [ex.spec, ex.reference_source]
    for name in ("_inputs", "_edges", "_probe"):
        function = getattr(ex, name, None)
        if isinstance(function, types.FunctionType):
            texts.append(inspect.getsource(function))
    return _digest("\0".join(texts))


_GOES_ON = "; the course's version runs until you check yours again."
_LOADED: dict[Path, tuple[tuple[int, int, int], Any]] = {}
_LOADING: set[Path] = set()


def _load(ex: Task, path: Path) -> Any:
    try:
        stored = read(ex.id)
        if stored is None:
            return None
        answer = imported(stored, path)
        if stored.exercise != exercise_digest(ex):
            if not ex.judge(answer).passed:
                why = "is no longer right: the exercise has changed"
                raise Damaged(f"Your stored parts/{path.name} {why}{_GOES_ON}")
            with locked(path.with_name(f".{path.name}.lock")):
                replace_file(path, _written(stored, exercise_digest(ex)))
    except Damaged as error:
        return error
    return parts.in_use(parts.Part(ex.id, ex.name, answer, ex.function, ex.patience), MINE)


def _written(stored: Stored, exercise: str = "") -> str:
    return (
        f"# {stored.name}: my answer to exercise {stored.id} of lesson {stored.lesson}, "
        f"accepted on {stored.date}\n"
        f"# format {FORMAT}, exercise {exercise or stored.exercise}, text {_digest(stored.source)}\n"
        f"# Change it in the notebook and check it there: a file that was edited here does not run.\n\n"
        f"{stored.source}"
    )


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
