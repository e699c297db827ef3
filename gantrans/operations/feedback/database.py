"""A SQLite file whose commits survive a kill and a power cut; all users open it by this module.

Write-ahead log with `synchronous=FULL`: COMMIT returns only after the log has been flushed to the disk (one
fdatasync), so data acknowledged after the end of `transaction()` cannot be lost
(https://www.sqlite.org/pragma.html#pragma_synchronous). `NORMAL` survives a kill of the process, but not a
power cut.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gantrans.errors import GantransError

APPLICATION = 0x67616E74  # "gant": distinguishes these files from those of other programs
VERSION = 1
WAIT_S = 30.0  # how long a writer waits for another process to finish its transaction
SCHEMA = """
CREATE TABLE verdict (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, item TEXT NOT NULL,
    verdict TEXT CHECK (verdict IN ('accept', 'minor', 'reject')), note TEXT NOT NULL, model TEXT NOT NULL,
    measured TEXT NOT NULL, made_at TEXT NOT NULL);
CREATE INDEX verdict_item ON verdict (item, number);
CREATE TABLE image (
    sha256 TEXT PRIMARY KEY, height INTEGER NOT NULL, width INTEGER NOT NULL, png BLOB NOT NULL);
CREATE TABLE prediction (
    id TEXT PRIMARY KEY, direction TEXT NOT NULL, model TEXT NOT NULL,
    input TEXT NOT NULL REFERENCES image, output TEXT NOT NULL REFERENCES image,
    pixel_nm REAL, seconds REAL NOT NULL, made_at TEXT NOT NULL);
CREATE INDEX prediction_model ON prediction (direction, model);
CREATE TABLE label (
    id TEXT PRIMARY KEY, prediction TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('truth', 'corrected')),
    image TEXT NOT NULL REFERENCES image, made_at TEXT NOT NULL);
CREATE INDEX label_prediction ON label (prediction);
CREATE TABLE score (
    prediction TEXT NOT NULL, label TEXT NOT NULL, metrics TEXT NOT NULL, PRIMARY KEY (prediction, label));
"""


class StoreError(GantransError, RuntimeError):
    """A store cannot be opened, read or written; data acknowledged before is unchanged."""


class Database:
    """A connection that several threads can share; every statement runs under one lock.

    Args:
        path: the file. create: create it if it does not exist (its folder must exist).

    Raises:
        StoreError: the file is damaged, belongs to another program, has a newer version, or cannot be
            written.
    """

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        if not create and not self.path.is_file():
            raise StoreError(
                f"There is no store at {self.path}; give the file that `serve` or `review` wrote."
            )
        if not self.path.parent.is_dir():
            raise StoreError(f"The folder {self.path.parent} of the store does not exist; create it first.")
        with self._explained("opened"):
            self._connection = sqlite3.connect(
                self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        mode = self._turn_log_on()
        if mode != "wal":
            raise StoreError(f"{self.path} cannot use a write-ahead log ({mode}); put it on a local disk.")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        with self.transaction() as connection:  # two processes can open a new file at the same time
            application, version = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("application_id", "user_version")
            )
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if not tables and not version:
                for statement in SCHEMA.split(";")[:-1]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
            elif application != APPLICATION:
                raise StoreError(f"{self.path} is a database of another program; choose another file.")
            elif version != VERSION:
                raise StoreError(
                    f"{self.path} is a store of version {version}; this gantrans supports version {VERSION};"
                    " use the version of gantrans that wrote it."
                )

    def _turn_log_on(self) -> str:
        """Switch the write-ahead log on; returns the journal mode.

        If several connections open a new file at the same time, SQLite returns "busy" at once instead of
        waiting (https://www.sqlite.org/c3ref/busy_handler.html), hence the loop.
        """
        until = time.monotonic() + WAIT_S
        while True:
            try:
                return self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction: after the block all of its changes are on the disk, or none.

        Raises:
            StoreError: the file cannot be written (the block is rolled back), or another process holds the
                write lock for longer than `WAIT_S`.
        """
        with self._lock, self._explained("written"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite rolls back by itself after some errors
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a SELECT.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._lock, self._explained("read"):
            return self._connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file. A store that is not closed loses no committed data."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.path} cannot be {done} ({error}); make room, stop other writers or choose another "
                "file. Data acknowledged before is kept."
            ) from error
