"""Atomic, durable writes that survive a kill, a full disk and a power cut; tests can make any step fail.

Four properties of POSIX file systems are used: data is on the disk only after fsync of the file; a directory
entry only after fsync of the directory; a rename replaces a file atomically; a write may be partial.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gantrans.errors import GantransError


class DiskError(GantransError, RuntimeError):
    """A write failed: the disk is full, read-only or damaged. Earlier contents are unchanged."""


class Disk:
    """File operations in small steps; a test replaces a step to make its n-th call fail."""

    def write(self, handle: int, data: bytes | memoryview) -> int:
        """Write to an open file; returns the number of bytes written, which may be fewer than given."""
        return os.write(handle, data)

    def fsync(self, handle: int) -> None:
        """Wait until an open file, or the entries of an open folder, are on the disk."""
        os.fsync(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file or a folder; an existing file `target` is replaced atomically."""
        os.replace(source, target)

    # ---- made of the steps above

    def put(self, path: Path, data: bytes) -> None:
        """Replace the contents of `path` atomically: readers find the old or the new ones, also after kills.

        Raises:
            DiskError: the file cannot be written.
        """
        draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with _explained(path):
            try:
                self._fill(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, data)
                self.rename(draft, path)
            except OSError:
                draft.unlink(missing_ok=True)
                raise
            self.sync_folder(path.parent)

    def append(self, path: Path, line: bytes) -> None:
        """Append a line to a file and wait until it is on the disk. A kill may leave a truncated last line.

        If the last line is truncated, it is terminated first, so that the new line is complete.

        Raises:
            DiskError: the file cannot be written; a part of the line may be in it.
        """
        with _explained(path):
            new = not path.exists()
            if not new and path.stat().st_size:
                with path.open("rb") as file:
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read() == b"\n" else b"\n" + line
            self._fill(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, line + b"\n")
            if new:
                self.sync_folder(path.parent)

    def fill(self, path: Path, data: bytes) -> None:
        """Write a new file and wait until its contents are on the disk; its directory entry is not synced.

        Raises:
            DiskError: the file cannot be written or exists.
        """
        with _explained(path):
            self._fill(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, data)

    def sync_folder(self, folder: Path) -> None:
        """Wait until the entries of a folder are on the disk (Windows has no such call)."""
        if os.name != "posix":
            return
        handle = os.open(folder, os.O_RDONLY)
        try:
            self.fsync(handle)
        finally:
            os.close(handle)

    def publish(self, draft: Path, folder: Path) -> None:
        """Rename a finished folder to its final name, so that a reader finds it complete or not at all.

        Raises:
            DiskError: the folder cannot be renamed.
        """
        with _explained(folder):
            self.sync_folder(draft)
            self.rename(draft, folder)
            self.sync_folder(folder.parent)

    def _fill(self, path: Path, flags: int, data: bytes) -> None:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o644)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self.write(handle, rest) :]
            self.fsync(handle)
        finally:
            os.close(handle)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file that `Disk.put` wrote.

    Raises:
        DiskError: it cannot be read or is not a JSON object.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DiskError(f"{path} cannot be read ({error}); restore it from a backup.") from error
    if not isinstance(found, dict):
        raise DiskError(f"{path} holds no JSON object; restore it from a backup.")
    return found


def as_json(value: Mapping[str, Any]) -> bytes:
    """One line of JSON with sorted keys, so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, allow_nan=False).encode()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive file lock; other processes wait, and the system releases it if the process ends."""
    with path.open("a+b") as handle:
        _lock(handle)
        yield  # closing the file releases the lock


def _lock(handle: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        while True:
            handle.seek(0)
            try:
                msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
                return
            except OSError:  # gives up after ten seconds
                continue
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"Cannot write {path} ({error.strerror or error}); free space or repair the disk, and try again."
        ) from error
