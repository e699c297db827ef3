"""Atomic, durable writes that survive a kill, a full disk and a power cut; tests can make any step fail.

They are built from the steps of `gantrans.files`, which explains why they are safe.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gantrans.errors import GantransError
from gantrans.files import Steps, publish_folder, replace_file, sync_folder, write_file


class DiskError(GantransError, RuntimeError):
    """A write failed: the disk is full, read-only or damaged. Earlier contents are unchanged."""


class Disk(Steps):
    """Durable writes that raise `DiskError`; a test replaces a step to make its n-th call fail."""

    def put(self, path: Path, data: bytes) -> None:
        """Replace the contents of `path` atomically: readers find the old or the new ones, also after kills.

        Raises:
            DiskError: the file cannot be written.
        """
        with _explained(path):
            replace_file(path, data, steps=self)

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
            write_file(path, line + b"\n", os.O_WRONLY | os.O_CREAT | os.O_APPEND, steps=self)
            if new:
                sync_folder(path.parent, self)

    def fill(self, path: Path, data: bytes) -> None:
        """Write a new file and wait until its contents are on the disk; its directory entry is not synced.

        Raises:
            DiskError: the file cannot be written or exists.
        """
        with _explained(path):
            write_file(path, data, os.O_WRONLY | os.O_CREAT | os.O_EXCL, steps=self)

    def publish(self, draft: Path, folder: Path) -> None:
        """Rename a finished folder to its final name, so that a reader finds it complete or not at all.

        Raises:
            DiskError: the folder cannot be renamed.
        """
        with _explained(folder):
            publish_folder(draft, folder, steps=self)


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
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"Cannot write {path} ({error.strerror or error}); free space or repair the disk, and try again."
        ) from error
