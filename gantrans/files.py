"""Files that are complete under their name, and locks: the one place that renames and locks.

What is safe rests on four facts of POSIX file systems: data are on the disk only after fsync of the file; a
name is only after fsync of its folder; a rename replaces one file by another at once; and a write may stop
half way. So a file is written beside its place, synced and renamed: whoever opens it, after any kill or power
cut, finds the old contents or the new ones. A lock is the operating system's: it ends with its process.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class Steps:
    """The steps that a write is made of; a test replaces one to make its n-th call fail."""

    def write(self, handle: int, data: bytes | memoryview) -> int:
        """Write to an open file; returns how many bytes it took, which may be fewer."""
        return os.write(handle, data)

    def fsync(self, handle: int) -> None:
        """Wait until an open file, or the names in an open folder, are on the disk."""
        os.fsync(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or a folder another name; a file of that name is replaced at once."""
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
    """Put `content` (text as UTF-8) at `path`, or leave what was there.

    Args:
        sync: wait until file and name are on the disk. False: what a kill leaves is complete, but a power cut
            may leave an empty file; for what can be made again.
        alone: no other process writes this file at the same time. Its draft then has one name, so that what a
            killed process left, perhaps a large file, is overwritten and does not stay.

    Raises:
        OSError: the disk refuses; what was there is untouched, and no draft is left.
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
    """Give a finished folder its name: under that name it is complete or absent.

    Args:
        sync: wait until both names are on the disk; the files in it are for the caller to sync.

    Raises:
        OSError: there is a folder of that name that is not empty (on Windows: any), or the disk refuses.
    """
    if sync:
        sync_folder(draft, steps)
    steps.rename(draft, folder)
    if sync:
        sync_folder(folder.parent, steps)


def rename_file(source: Path, target: Path) -> None:
    """Give a finished file another name, replacing what has it."""
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
    """Wait until the names in a folder are on the disk (Windows has no such call)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        steps.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold an operating-system lock on a file: other processes and threads wait.

    It ends with its process, however that ends; the file itself stays.

    Args:
        waiting: what to print if another process holds it.
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
