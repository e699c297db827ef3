"""What the monitors showed at earlier times: one number a minute, thinned with age, in a file of its own.

Every value is added to the running step of four series at once: of a minute (kept for two days), ten minutes
(a month), an hour (two years) and a day (twenty years). So nothing has to be summed up later, a kill loses
at most the running minute, and the number of rows is bounded. Sums can be added from several processes.

The history lies beside the store, because it can be lost without harm: it is written without waiting for the
disk, and a failure to write it never fails a request.
"""

import json
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantrans.errors import GantransError

MINUTE, HOUR, DAY = 60, 3600, 86400
STEPS = {MINUTE: 2 * DAY, 600: 31 * DAY, HOUR: 731 * DAY, DAY: 7305 * DAY}
"""Seconds of a step, and for how many seconds steps of this length are kept."""
POINTS = 300
"""Most points of a series in one answer."""
EVENTS = 10_000
"""Most events that are kept; the oldest go first."""
WAITING = 1440
"""Most minutes that wait in memory while the file cannot be written."""
APPLICATION = 0x67616E68
_WAIT_S = 2.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS point (
    step INTEGER, at INTEGER, name TEXT, direction TEXT, total REAL NOT NULL, count INTEGER NOT NULL,
    high REAL NOT NULL, PRIMARY KEY (step, at, name, direction)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, direction TEXT NOT NULL,
    about TEXT NOT NULL);
"""


class HistoryError(GantransError, RuntimeError):
    """The history cannot be read or written."""


@dataclass(frozen=True)
class Observation:
    """One number of one minute: a sum `total` over `count` things, and the highest of them."""

    name: str
    total: float
    count: int = 1
    high: float = 0.0
    direction: str = ""


@dataclass(frozen=True)
class Point:
    """A step of a series. at: its start, seconds since 1970; total, count, high: see `Observation`."""

    name: str
    direction: str
    at: int
    total: float
    count: int
    high: float


class History:
    """The series and events of one service.

    Args:
        path: the file, created with the first value; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.problem: str | None = None
        self._waiting: deque[tuple[float, list[Observation]]] = deque(maxlen=WAITING)
        self._lock = threading.Lock()

    def add(self, at: float, values: list[Observation]) -> None:
        """Add the values of a minute, and those that could not be written before; a failure is in `problem`.

        Args:
            at: seconds since 1970.
        """
        with self._lock:
            self._waiting.append((at, values))
            try:
                with self._open() as connection:
                    for moment, found in self._waiting:
                        _insert(connection, moment, found)
                    for step, kept in STEPS.items():
                        connection.execute("DELETE FROM point WHERE step = ? AND at < ?", (step, at - kept))
            except HistoryError as error:
                self.problem = str(error)
                return
            self._waiting.clear()
            self.problem = None

    def points(self, start: float, end: float, step: int) -> list[Point]:
        """All points of the steps that begin in [start, end), oldest first.

        Raises:
            HistoryError: the file cannot be read.
        """
        with self._open() as connection:
            rows = connection.execute(
                "SELECT name, direction, at, total, count, high FROM point WHERE step = ? AND at >= ? "
                "AND at < ? ORDER BY at, name, direction",
                (step, start, end),
            ).fetchall()
        return [Point(*row) for row in rows]

    def note(self, at: float, kind: str, direction: str, about: dict[str, Any]) -> None:
        """Keep an event with plain values; `problem` has the reason if it cannot be written."""
        try:
            with self._open() as connection:
                connection.execute(
                    "INSERT INTO event (at, kind, direction, about) VALUES (?, ?, ?, ?)",
                    (at, kind, direction, json.dumps(about)),
                )
                connection.execute(
                    "DELETE FROM event WHERE number <= (SELECT max(number) FROM event) - ?", (EVENTS,)
                )
        except HistoryError as error:
            self.problem = str(error)

    def events(self, kind: str, direction: str, last: int) -> list[tuple[float, dict[str, Any]]]:
        """The `last` newest events of a kind, newest first, each with its time in seconds since 1970.

        Raises:
            HistoryError: the file cannot be read.
        """
        with self._open() as connection:
            rows = connection.execute(
                "SELECT at, about FROM event WHERE kind = ? AND direction = ? ORDER BY number DESC LIMIT ?",
                (kind, direction, last),
            ).fetchall()
        return [(at, json.loads(about)) for at, about in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction; the file and its tables are created if they do not exist."""
        try:
            with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as connection:
                ((application,),) = connection.execute("PRAGMA application_id")
                if application != APPLICATION:
                    self._create(connection, application)
                connection.execute("PRAGMA synchronous = NORMAL")
                with connection:
                    yield connection
        except (sqlite3.Error, ValueError) as error:
            raise HistoryError(
                f"The history {self.path} cannot be used ({error}); make room, or move the file away: a new "
                "one is begun."
            ) from error

    def _create(self, connection: sqlite3.Connection, application: int) -> None:
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema")
        if application or (tables and not _is_ours(connection)):
            raise HistoryError(f"{self.path} is a database of another program; move it away.")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")


def step_of(seconds: float) -> int:
    """The shortest step that shows this time in at most `POINTS` points."""
    return next((step for step in STEPS if seconds <= POINTS * step), DAY)


def _insert(connection: sqlite3.Connection, at: float, values: list[Observation]) -> None:
    connection.executemany(
        "INSERT INTO point VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "total = total + excluded.total, count = count + excluded.count, high = max(high, excluded.high)",
        [
            (step, int(at) // step * step, value.name, value.direction, value.total, value.count, value.high)
            for step in STEPS
            for value in values
        ],
    )


def _is_ours(connection: sqlite3.Connection) -> bool:
    """Whether the tables are those of a history whose creation was interrupted."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return names <= {"point", "event", "sqlite_sequence"}
