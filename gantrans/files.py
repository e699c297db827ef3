"""Atomic replacement of files and folders, and file locks: the only module that renames and locks.

Four properties of POSIX file systems are used: data is on the disk only after fsync of the file; a directory
entry only after fsync of the directory; a rename replaces a file atomically; a write may be partial. So a
file is written under a temporary name, synced and renamed: a reader, also after a kill or a power cut, finds
the old contents or the new ones. The system releases a lock when its process ends.
"""

import contextlib
import glob
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from gantrans.errors import BusyError

STALE_SECONDS = 600.0
"""A draft of a process that is not running here, unchanged for so long, is removed by the next writer. The
age counts because a process of another machine or container cannot be looked up."""
_EVERYBODY = 0o666
"""Mode of lock files: a folder that several users share must be lockable by each of them."""
_DRAFTS = count()


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
    steps: Steps = STEPS,
) -> None:
    """Replace the contents of `path` by `content` (text as UTF-8), completely or not at all.

    The draft carries the id of the process, so that two writers never share one. With `sync`, drafts of this
    file that killed processes left (see `STALE_SECONDS`) are removed.

    Args:
        sync: wait until file and directory entry are on the disk. False: the file is complete after a kill,
            but may be empty after a power cut; for files that can be generated again.

    Raises:
        OSError: the file cannot be written; the old contents are unchanged, and no draft is left.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}-{next(_DRAFTS)}.tmp")
    data = content.encode() if isinstance(content, str) else content
    if sync:  # not for the thousands of images of one folder
        remove_drafts(path.parent, path.name)
    try:
        write_file(draft, data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, sync=sync, steps=steps)
        steps.rename(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent, steps)


def remove_drafts(folder: Path, name: str = "*", *, alone: bool = False) -> None:
    """Remove the drafts of `replace_file` that killed processes left in a folder; a file in use stays.

    Args:
        name: of the file whose drafts are meant; "*": all files of the folder.
        alone: the caller holds the lock of the folder, so that every draft is a left one, however young.
    """
    pattern = name if name == "*" else glob.escape(name)
    for draft in folder.glob(f".{pattern}.*-*.tmp"):
        with contextlib.suppress(OSError, ValueError):  # somebody else's, or removed by another writer
            process = int(draft.name.split(".")[-2].split("-")[0])
            old = time.time() - draft.stat().st_mtime > STALE_SECONDS
            if alone or (old and not _running(process)):
                draft.unlink()


def _running(process: int) -> bool:
    """Whether a process of this id runs on this machine; True where that cannot be asked."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True


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


def sync_file(path: Path, steps: Steps = STEPS) -> None:
    """Wait until the contents of a file are on the disk."""
    handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))  # Windows syncs no file opened to read
    try:
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

    The system releases it when the process ends; the file is not removed. Everybody may lock it, so that
    users can share a folder.

    Args:
        waiting: message to print if the lock is held elsewhere.
    """
    lock = FileLock(path, mode=_EVERYBODY)
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


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on a file, or raise at once, naming its holder; the file is removed at the end.

    Process, machine and time of the holder stand beside it in `path` + ".holder". The system releases the
    lock of a killed process; what it left is taken over.

    Args:
        path: of the lock; its folder exists.
        what: is in use, for the message: "The run in runs/first".

    Raises:
        BusyError: another process or thread holds it.
        OSError: the folder cannot be written.
    """
    lock, note = FileLock(path, mode=_EVERYBODY), path.with_name(f"{path.name}.holder")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise BusyError(f"{what} is in use by {_holder(note)}; wait for it, or end it.") from None
    try:
        about = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        replace_file(note, json.dumps(about), sync=False)
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file: the next holder takes it over
            note.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    """The holder of a lock, in words."""
    try:
        about = json.loads(note.read_text("utf-8"))
        since = datetime.fromtimestamp(about["since"]).strftime("%H:%M on %Y-%m-%d")
        return f"process {about['pid']} on {about['host']} since {since}"
    except (OSError, ValueError, KeyError, TypeError):  # between its lock and its note, or removed meanwhile
        return "another process"
