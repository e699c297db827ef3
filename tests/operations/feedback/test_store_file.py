"""The file under a store: removed, replaced, damaged, locked by another program, or on a full disk."""

import os
import resource
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import torch

from gantrans.operations.feedback import database
from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    opened.judge("first", "accept", id="first")
    yield opened
    opened.close()


def _remove(path: Path) -> None:
    for part in path.parent.glob(path.name + "*"):
        part.unlink()


def _remove_file(path: Path) -> None:
    path.unlink()


def _remove_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def _replace(path: Path) -> None:
    with closing(Store(path.with_name("other.sqlite"))) as other:
        other.judge("other", "accept", id="other")
    os.replace(path.with_name("other.sqlite"), path)


def _move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


@pytest.mark.parametrize("how", [_remove, _remove_file, _remove_log, _replace, _move_folder])
def test_nothing_is_acknowledged_into_a_file_that_is_gone(tmp_path: Path, how: Callable[[Path], None]):
    (tmp_path / "folder").mkdir()
    store = Store(tmp_path / "folder" / "store.sqlite")
    store.judge("first", "accept", id="first")
    store.probe()
    how(store.path)
    for number in range(2):
        with pytest.raises(StoreError, match="removed or replaced"):
            store.judge("second", "accept", id=f"second{number}")
    with pytest.raises(StoreError, match="removed or replaced"):
        store.probe()
    assert not list(tmp_path.glob("**/.*room"))
    store.close()


def test_a_file_that_was_put_back_is_used_again(store: Store) -> None:
    away = store.path.with_name("away")
    store.path.rename(away)
    with pytest.raises(StoreError):
        store.judge("second", "accept", id="second")
    away.rename(store.path)
    assert store.judge("second", "accept", id="second")
    assert set(store.verdicts()) == {"first", "second"}


@pytest.mark.parametrize("kind", ["nonsense", "another database"])
def test_a_file_overwritten_in_place_is_noticed_by_the_probe(store: Store, kind: str) -> None:
    """The inode is the same, and the pages in the cache of a connection are good."""
    contents = b"no database " * 400
    if kind == "another database":
        foreign = store.path.with_name("foreign")
        with closing(sqlite3.connect(foreign)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE t (x)")
        contents = foreign.read_bytes()
    store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with store.path.open("r+b") as file:
        file.write(contents)
    with pytest.raises(StoreError):
        store.probe()


def test_reads_do_not_wait_behind_a_writer_of_another_program(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(database, "WAIT_S", 0.5)
    store = Store(tmp_path / "store.sqlite")
    store.judge("first", "accept", id="first")
    refused: list[str] = []

    def judge(name: str) -> None:
        try:
            store.judge(name, "accept", id=name)
        except StoreError as error:
            refused.append(str(error))

    with closing(sqlite3.connect(store.path, isolation_level=None)) as browser:
        browser.execute("BEGIN IMMEDIATE")
        writers = [threading.Thread(target=judge, args=(name,)) for name in "abcdefgh"]
        start = time.monotonic()
        for one in writers:
            one.start()
        time.sleep(0.05)
        assert set(store.verdicts()) == {"first"}
        assert time.monotonic() - start < 0.45
        for one in writers:
            one.join()
        assert len(refused) == 8
        assert time.monotonic() - start < 2.5  # together, not one after the other
        browser.execute("ROLLBACK")
    assert store.judge("second", "accept", id="second")
    store.close()


def test_a_foreign_lock_is_found_by_the_probe(store: Store) -> None:
    with closing(sqlite3.connect(store.path, isolation_level=None)) as browser:
        browser.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            store.probe(wait_s=0.1)
        browser.execute("ROLLBACK")
    store.probe()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to make a file longer, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_without_room_is_found_by_the_probe(store: Store) -> None:
    """One page still fits into the log, but no picture."""
    with files_of_at_most(2**20), pytest.raises(StoreError, match="make room"):
        store.probe()
    assert not list(store.path.parent.glob(".*room"))
    store.probe()


def test_a_damaged_structure_is_found_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    noise = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))
    with closing(Store(path)) as store:
        for number in range(20):
            store.register(f"p{number}", "sem2layout", "one", (noise + number / 20) % 1, noise)
        store.check()
    size = path.stat().st_size
    with path.open("r+b") as file:
        for hole in range(size // 8192, size // 4096):
            file.seek(4096 * hole)
            file.write(b"\x05" * 512)
    with closing(Store(path)) as damaged, pytest.raises(StoreError, match="restore a backup"):
        damaged.check()
