"""Files that are complete under their name, and locks that end with their process."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gantrans.errors import BusyError
from gantrans.files import Steps, held, locked, publish_folder, remove_drafts, replace_file

HOLDER = """
import sys, time
from pathlib import Path
from gantrans.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


class Recorded(Steps):
    """Notes every step; the one called `fails` raises, and a write takes three bytes at most."""

    def __init__(self, fails: str = "") -> None:
        self.done: list[str] = []
        self.fails = fails

    def _note(self, step: str) -> None:
        self.done.append(step)
        if step == self.fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(self, handle: int, data: bytes | memoryview) -> int:
        self._note("write")
        return super().write(handle, data[:3])

    def fsync(self, handle: int) -> None:
        self._note("fsync folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "fsync")
        super().fsync(handle)

    def rename(self, source: Path, target: Path) -> None:
        self._note("rename")
        super().rename(source, target)


posix = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells files from folders by /proc")


@posix
def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path) -> None:
    steps = Recorded()
    replace_file(tmp_path / "a", b"seven..", steps=steps)
    assert steps.done == ["write", "write", "write", "fsync", "rename", "fsync folder"]
    assert (tmp_path / "a").read_bytes() == b"seven.."
    steps = Recorded()
    replace_file(tmp_path / "a", "ü\r\n", sync=False, steps=steps)
    assert steps.done == ["write", "write", "rename"]
    assert (tmp_path / "a").read_bytes() == b"\xc3\xbc\r\n"


@posix
def test_a_folder_is_on_the_disk_before_it_gets_its_name(tmp_path: Path) -> None:
    draft, steps = tmp_path / "draft", Recorded()
    draft.mkdir()
    publish_folder(draft, tmp_path / "final", steps=steps)
    assert steps.done == ["fsync folder", "rename", "fsync folder"]
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
    (tmp_path / "final" / "file").touch()
    draft.mkdir()
    with pytest.raises(OSError, match="not empty"):
        publish_folder(draft, tmp_path / "final", sync=False)


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, step: str) -> None:
    replace_file(tmp_path / "a", "old")
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "a", "new", steps=Recorded(step))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


def test_two_writers_never_share_a_draft(tmp_path: Path) -> None:
    class Noted(Recorded):
        def rename(self, source: Path, target: Path) -> None:
            self.done.append(source.name)
            super().rename(source, target)

    steps = Noted()
    for _ in range(2):  # threads of one process neither
        replace_file(tmp_path / "a", "new", steps=steps, sync=False)
    drafts = [name for name in steps.done if name.endswith(".tmp")]
    assert len(set(drafts)) == 2
    assert all(name.startswith(f".a.{os.getpid()}-") for name in drafts)


def test_drafts_of_killed_writers_are_removed_and_those_in_use_are_not(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, mine, young = (tmp_path / f".a[1].{pid}-0.tmp" for pid in (ended.pid, os.getpid(), 99999999))
    other = tmp_path / f".b.{ended.pid}-0.tmp"
    for draft in (left, mine, young, other):
        draft.write_text("half")
    for draft in (left, mine, other):
        os.utime(draft, (0, 0))
    replace_file(tmp_path / "a[1]", "new")
    assert set(tmp_path.iterdir()) == {tmp_path / "a[1]", mine, young, other}
    remove_drafts(tmp_path, alone=True)
    assert set(tmp_path.iterdir()) == {tmp_path / "a[1]"}


def test_a_lock_that_is_held_names_its_holder_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = HOLDER.replace("locked(Path(sys.argv[1]))", "held(Path(sys.argv[1]), 'it')").replace(
        "import locked", "import held"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(
            BusyError, match=rf"^The run is in use by process {holder.pid} on \S+ since \d\d:\d\d "
        ),
        held(path, "The run"),
    ):
        pytest.fail("two processes hold it")
    holder.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    holder.wait()
    with held(path, "The run"), pytest.raises(BusyError, match=f"process {os.getpid()} "), held(path, "It"):
        pytest.fail("held twice in one process")
    assert list(tmp_path.iterdir()) == []


@posix
def test_everybody_may_take_a_lock_that_another_user_made(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with locked(tmp_path / "lock"):
            assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o666
    finally:
        os.umask(before)


def test_a_lock_ends_with_its_process_and_says_that_one_waits(tmp_path: Path, capsys) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    entered, waits = threading.Event(), threading.Event()

    def enter() -> None:
        waits.set()
        with locked(path, "waiting for another process"):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    waits.wait()
    while "waiting" not in (said := capsys.readouterr().out):  # printed before the wait
        assert thread.is_alive()
    assert said == "waiting for another process\n"
    assert not entered.is_set()
    holder.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    holder.wait()
    thread.join()
    assert entered.is_set()
    with locked(path, "nobody holds it"):
        pass
    assert capsys.readouterr().out == ""


def test_threads_exclude_each_other_too(tmp_path: Path) -> None:
    inside, most = [], []

    def work() -> None:
        for _ in range(5):
            with locked(tmp_path / "lock"):
                inside.append(1)
                time.sleep(0.001)  # others run: without the lock they come in
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 20
    assert max(most) == 1
