"""Atomic replacement of files and folders, and file locks: the only module that renames and locks.

Four properties of POSIX file systems are used: data is on the disk only after fsync of the file; a directory
entry only after fsync of the directory; a rename replaces a file atomically; a write may be partial. So a
file is written under a temporary name, synced and renamed: a reader, also after a kill or a power cut, finds
the old contents or the new ones. The system releases a lock when its process ends.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class Steps:
    """The steps of a write; a test replaces one to make its n-th call fail."""

    def write(self, handle: int, data: bytes | memoryview) -> int:
        """Write to an open file; returns the number of bytes written, which may be fewer than given."""
        return os.write(handle, data)

    def fsync(self, handle: int) -> None:
        """Wait until an open file, or the entries of an open folder, are on the disk."""
        os.fsync(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file or a folder; an existing file `target` is replaced atomically."""
        os.replace(source, target)


STEPS = Steps()


def replace_file(
    path: Path,
    content: bytes | memoryview | str,
    *,
    sync: bool = True,
    alone: bool = False,
    steps: Steps = STEPS,
) -> None:
    """Replace the contents of `path` by `content` (text as UTF-8), completely or not at all.

    Args:
        sync: wait until file and directory entry are on the disk. False: the file is complete after a kill,
            but may be empty after a power cut; for files that can be generated again.
        alone: no other process writes this file at the same time. The draft then has one fixed name, so that
            the draft of a killed process, perhaps large, is overwritten by the next one.

    Raises:
        OSError: the file cannot be written; the old contents are unchanged, and no draft is left.
    """
    draft = path.with_name(f".{path.name}.tmp" if alone else f".{path.name}.{os.getpid()}.tmp")
    data = content.encode() if isinstance(content, str) else content
    try:
        write_file(draft, data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, sync=sync, steps=steps)
        steps.rename(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent, steps)


def publish_folder(draft: Path, folder: Path, *, sync: bool = True, steps: Steps = STEPS) -> None:
    """Rename a finished folder to its final name, under which it is complete or absent.

    Args:
        sync: wait until both directory entries are on the disk; the caller syncs the files in the folder.

    Raises:
        OSError: a folder of that name exists and is not empty (on Windows: exists), or the rename fails.
    """
    if sync:
        sync_folder(draft, steps)
    steps.rename(draft, folder)
    if sync:
        sync_folder(folder.parent, steps)


def rename_file(source: Path, target: Path) -> None:
    """Rename a finished file; an existing file `target` is replaced atomically."""
    STEPS.rename(source, target)


def write_file(
    path: Path, data: bytes | memoryview, flags: int, *, sync: bool = True, steps: Steps = STEPS
) -> None:
    """Write all of `data` to a file opened with `flags` of `os.open`, and wait until it is on the disk."""
    handle = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[steps.write(handle, rest) :]
        if sync:
            steps.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path, steps: Steps = STEPS) -> None:
    """Wait until the entries of a folder are on the disk (Windows has no such call)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        steps.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold an exclusive lock of the operating system on a file; other processes and threads wait.

    The system releases it when the process ends; the file is not removed.

    Args:
        waiting: message to print if the lock is held elsewhere.
    """
    lock = FileLock(path)
    with contextlib.suppress(Timeout):
        lock.acquire(blocking=False)
    if not lock.is_locked:
        if waiting:
            print(waiting)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
