"""A SQLite file whose commits survive a kill and a power cut; all users open it by this module.

Write-ahead log with `synchronous=FULL`: COMMIT returns only after the log has been flushed to the disk (one
fdatasync), so data acknowledged after the end of `transaction()` cannot be lost
(https://www.sqlite.org/pragma.html#pragma_synchronous). `NORMAL` survives a kill of the process, but not a
power cut.

A commit into a file that has been removed or replaced would be lost with the process, because the system
keeps the removed file only as long as it is open. So device and inode of the file and of its log are compared
with those that were opened, before a commit and after it. Reads use a second connection: with a write-ahead
log they need not wait for a writer, not even for one in another program.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from gantrans.errors import GantransError

APPLICATION = 0x67616E74  # "gant": distinguishes these files from those of other programs
VERSION = 1
WAIT_S = 10.0  # how long a writer waits for another thread or process to finish its transaction
ROOM = 2**22  # bytes that the disk must still take: a prediction of the largest size
_LOG = ("-wal", "-shm")  # the log beside the file, and its index, which processes share
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
    """A file that several threads can share; one of them writes and one reads at a time.

    Args:
        path: the file. create: create it if it does not exist (its folder must exist).

    Raises:
        StoreError: the file is damaged, belongs to another program, has a newer version, or cannot be
            written.
    """

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        self.path, self._real = Path(path), os.path.realpath(path)
        self._lock, self._reading = threading.Lock(), threading.Lock()
        if not create and not self.path.is_file():
            raise StoreError(
                f"There is no store at {self.path}; give the file that `serve` or `review` wrote."
            )
        if not self.path.parent.is_dir():
            raise StoreError(f"The folder {self.path.parent} of the store does not exist; create it first.")
        with self._explained("opened"):
            self._connection = self._connect(WAIT_S)
            try:
                self._prepare()
                self._reader = self._connect(WAIT_S)
                self._reader.execute("PRAGMA query_only = ON")
            except BaseException:
                self._connection.close()
                raise

    def _connect(self, wait_s: float) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=wait_s, isolation_level=None, check_same_thread=False)

    def _prepare(self) -> None:
        mode = self._turn_log_on()
        if mode != "wal":
            raise StoreError(f"{self.path} cannot use a write-ahead log ({mode}); put it on a local disk.")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._opened: tuple[tuple[int, int] | None, ...] = ()
        with self.transaction() as connection:  # two processes can open a new file at the same time
            self._opened = self._present()  # the transaction has opened all parts
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
            StoreError: the file cannot be written or is no longer the one that was opened (the block is
                rolled back), or another thread or process holds the write lock for longer than `WAIT_S`.
        """
        with self._held(self._lock, WAIT_S), self._explained("written"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self.check_identity()
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite rolls back by itself after some errors
                    self._connection.execute("ROLLBACK")
                raise
            self.check_identity()  # removed during the commit: what is not acknowledged is sent again

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a SELECT: what is committed, without waiting for a writer.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._held(self._reading, WAIT_S), self._explained("read"):
            return self._reader.execute(query, values).fetchall()

    def check_identity(self) -> None:
        """Check that path and log are the files that were opened.

        Raises:
            StoreError: one was removed or replaced.
        """
        if self._opened and self._present() != self._opened:
            raise StoreError(
                f"{self.path} or its log was removed or replaced while it was in use; stop this program, "
                "put the file back or choose another, and start again."
            )

    def check(self) -> None:
        """Read the whole file and check its structure (`PRAGMA quick_check`); takes about 1 s per GB.

        Raises:
            StoreError: it is damaged.
        """
        with self._explained("read"):
            problem = self.rows("PRAGMA quick_check(1)")[0][0]
        if problem != "ok":
            raise StoreError(
                f"{self.path} is damaged ({str(problem).splitlines()[-1].rstrip('.')}); restore a backup, or "
                "save what can be read with sqlite3's .recover into another file."
            )

    def probe(self, wait_s: float = 2.0) -> None:
        """Find out whether the next prediction could be stored, by writing; no stored value changes.

        The file is opened anew, since the pages in the caches of the other connections would conceal that it
        was overwritten in place; the disk must take `ROOM` bytes more.

        Raises:
            StoreError: it could not be stored.
        """
        self.check_identity()
        self.rows("SELECT 1")
        with self._explained("written"):
            address = f"{self.path.absolute().as_uri()}?mode=rw"  # never creates a file
            with closing(
                sqlite3.connect(address, uri=True, timeout=wait_s, isolation_level=None)
            ) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
                    raise StoreError(f"{self.path} was overwritten by another program; restore a backup.")
                connection.execute(f"PRAGMA user_version = {VERSION}")  # writes the page, even if equal
                connection.execute("COMMIT")
        self._try_room()
        self.check_identity()

    def _try_room(self) -> None:
        trial = self.path.with_name(f".{self.path.name}.{os.getpid()}.room")
        try:
            with trial.open("wb", buffering=0) as file:
                for _ in range(ROOM // 2**20):
                    if file.write(bytes(2**20)) < 2**20:
                        raise OSError("no space left")
        except OSError as error:
            raise StoreError(
                f"The disk of {self.path} cannot take {ROOM // 2**20} MiB more ({error.strerror or error}); "
                "make room."
            ) from error
        finally:
            with suppress(OSError):  # a read-only disk: nothing was made
                trial.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file. A store that is not closed loses no committed data."""
        with self._lock, self._reading:
            self._reader.close()
            self._connection.close()

    def _present(self) -> tuple[tuple[int, int] | None, ...]:
        """Device and inode of each part at this moment; None for one that is missing.

        SQLite puts the log beside the file itself if the path is a symbolic link.
        """
        return (_identity(self.path), *(_identity(Path(f"{self._real}{part}")) for part in _LOG))

    @contextmanager
    def _held(self, lock: threading.Lock, wait_s: float) -> Iterator[None]:
        if not lock.acquire(timeout=wait_s):
            raise StoreError(
                f"{self.path} is busy: another transaction takes longer than {wait_s:g} s; stop other "
                "writers or try again later."
            )
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.path} cannot be {done} ({error}); make room, stop other writers or choose another "
                "file. Data acknowledged before is kept."
            ) from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
