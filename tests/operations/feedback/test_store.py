"""The feedback store: nothing acknowledged is lost, whatever dies; events in any order give one state."""

import csv
import io
import itertools
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gantrans.data import PairedFolder
from gantrans.errors import DataError
from gantrans.images import uint8_from_unit
from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.exports import (
    cell_text,
    plain_cell,
    self_training,
    verdict_table,
    write_feedback,
    write_verdicts,
)
from gantrans.operations.feedback.store import ConflictError, Store

ROOT = Path(__file__).resolve().parents[3]
KILLS, FAILURES = 12, 16


def image(seed: int, size: int = 8) -> torch.Tensor:
    return torch.rand(1, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def writer(*arguments: object, **environment: str) -> dict[str, int]:
    """Run `store_writer.py`; its answer."""
    command = [sys.executable, str(ROOT / "tests" / "store_writer.py"), *map(str, arguments)]
    done = subprocess.run(
        command, env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    result = writer("kill", tmp_path, KILLS)
    assert result["lost"] == 0
    assert result["acknowledged"] >= KILLS


@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and a C compiler for the shim"
)
def test_a_failing_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Every n-th write and sync fails once: an error is raised, and sending the event again succeeds."""
    shim = tmp_path / "failing_disk.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", shim, ROOT / "tests/fixtures/failing_disk.c", "-ldl"], check=True
    )
    result = writer("fail", tmp_path, FAILURES, LD_PRELOAD=str(shim))
    assert result["failures"] >= FAILURES  # most of the n lie within the life of a store
    assert result["lost"] == 0
    assert result["commits_without_sync"] == 0
    assert result["acknowledged"] == 2 * FAILURES * 12


def test_commits_wait_for_the_disk(store: Store) -> None:
    with store.transaction() as writer:
        for name, value in (("synchronous", 2), ("journal_mode", "wal"), ("foreign_keys", 1)):
            assert writer.execute(f"PRAGMA {name}").fetchone() == (value,)


def limit_pages(store: Store, pages: int) -> None:
    """The limit is one of the connection that writes."""
    with store.transaction() as writer:
        writer.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_is_said_and_changes_nothing(store: Store) -> None:
    store.judge("a", "accept", id="1")
    limit_pages(store, store.rows("PRAGMA page_count")[0][0])
    with pytest.raises(StoreError, match="full"):
        store.judge("b", "reject", "x" * 50_000, id="2")
    assert set(store.verdicts()) == {"a"}
    limit_pages(store, 100_000)
    assert store.judge("b", "reject", "x" * 50_000, id="2")
    assert set(store.verdicts()) == {"a", "b"}


def test_the_last_word_counts_and_can_be_taken_back(store: Store) -> None:
    store.judge("a", "accept", id="1", model="m", measured={"epe": 1.5, "opens": None})
    store.judge("a", "reject", "a bridge", id="2", model="m")
    assert store.verdicts()["a"].verdict == "reject"
    assert store.verdicts()["a"] == store.verdict("a")
    assert store.verdicts()["a"].note == "a bridge"
    store.judge("a", None, id="3")
    assert store.verdicts() == {}
    assert store.verdict("a") is None
    assert store.counts()["verdicts"] == 3  # nothing is deleted
    with pytest.raises(DataError, match="perfect"):
        store.judge("a", "perfect", id="4")


def test_an_event_sent_again_changes_nothing_and_another_under_its_id_is_refused(store: Store) -> None:
    def judge(verdict):
        return store.judge("a", verdict, "n", id="1")

    def register(number):
        return store.register("2", "sem2layout", "one", image(number), image(1))

    def label(kind):
        return store.add_label("3", "p", kind, image(2))

    for send, content, other in (
        (judge, "accept", "reject"), (register, 0, 5), (label, "truth", "corrected"),
    ):  # fmt: skip
        assert send(content) is True
        before = store.counts()
        assert send(content) is False
        with pytest.raises(ConflictError, match="used before"):
            send(other)
        assert store.counts() == before
    assert store.register("2", "sem2layout", "two", image(0), image(9)) is False  # the first answer stays
    assert store.prediction("2").model == "one"


def _history() -> list[tuple]:
    """Two versions, a rollback to the first, late labels, one for a prediction that never comes."""
    first, second = "2026-01-01T10:00:00Z", "2026-01-02T10:00:00+00:00"
    return [
        ("register", "p1", "sem2layout", "one", image(1), image(11)),
        ("register", "p2", "sem2layout", "two", image(2), image(12)),
        ("register", "p3", "sem2layout", "one", image(3), image(13)),  # after the rollback
        ("add_label", "l1", "p1", "corrected", image(21), second),
        ("add_label", "l2", "p1", "truth", image(22), first),  # truth goes before a later correction
        ("add_label", "l3", "p2", "corrected", image(23), first),
        ("add_label", "l4", "p2", "corrected", image(24), second),  # the later of two corrections
        ("add_label", "l5", "never", "truth", image(25), first),
    ]


def _play(path: Path, events: list[tuple]) -> Store:
    store = Store(path)
    for name, *values in events:
        if name == "register":
            store.register(*values, made_at="2026-01-01T00:00:00Z")
        else:
            store.add_label(*values[:4], made_at=values[4])
    return store


def test_labels_in_any_order_and_twice_give_the_same_credit(tmp_path: Path) -> None:
    events = _history()
    expected = [("p1", "one", "l2"), ("p2", "two", "l4")]
    shuffles = [random.Random(seed).sample(events + events[3:6], len(events) + 3) for seed in range(8)]
    for number, order in enumerate([events, events[::-1], *shuffles]):
        store = _play(tmp_path / f"{number}.sqlite", order)
        assert [(p, model, label) for p, _, model, _, label, _ in store.labels()] == expected
        assert store.counts() == {"predictions": 3, "labels": 5, "waiting_labels": 1, "verdicts": 0}
        assert [pair.origin for pair in store.pairs("sem2layout")] == ["truth", "corrected"]
        store.close()


def test_a_label_of_another_size_is_refused_or_never_used(store: Store) -> None:
    store.register("p", "sem2layout", "one", image(0), image(1))
    with pytest.raises(DataError, match="9 x 9"):
        store.add_label("l", "p", "truth", image(2, 9))
    store.add_label("early", "q", "truth", image(2, 9))  # nobody can know yet
    store.register("q", "sem2layout", "one", image(0), image(1))
    assert store.labels() == []
    assert store.pairs("sem2layout") == []
    with pytest.raises(DataError, match="time zone"):
        store.add_label("l", "p", "truth", image(2), made_at="2026-01-01")


@pytest.mark.parametrize(("direction", "role"), [("sem2layout", "sem"), ("layout2sem", "layout")])
def test_reviewed_and_corrected_pairs_become_a_folder_for_training(store, tmp_path, direction, role) -> None:
    for number, other in enumerate(("sem2layout", "layout2sem") * 3):
        store.register(f"p{number}", other, "one", image(number), image(10 + number), pixel_nm=20.0)
    mine = [f"p{n}" for n in range(6) if ("sem2layout", "layout2sem")[n % 2] == direction]
    store.add_label("l", mine[0], "corrected", image(50))
    store.judge(mine[0], "reject", id="1")  # the correction is a pair all the same
    store.judge(mine[1], "accept", id="2")
    store.judge(mine[2], "accept", id="3")
    store.judge(mine[2], None, id="4")  # taken back
    assert write_feedback(store, tmp_path / "out", direction) == 2
    folder = PairedFolder(tmp_path / "out")
    assert folder.pixel_nm == 20.0
    assert folder.names() == mine[:2]
    given, target = folder.load(direction, split="all", progress=False).roles(direction)
    assert folder.manifest["input"] == role
    numbers = [int(name[1:]) for name in mine]
    assert torch.equal(given, torch.stack([uint8_from_unit(image(n)) for n in numbers[:2]]))
    accepted = image(10 + numbers[1])
    if direction == "sem2layout":  # an accepted output is cut: targets are black and white
        accepted = (uint8_from_unit(accepted) >= 128).float()
    assert torch.equal(target, torch.stack([uint8_from_unit(image(50)), uint8_from_unit(accepted)]))
    about = json.loads((tmp_path / "out" / "feedback.json").read_text())
    assert [about[name]["target"] for name in mine[:2]] == ["corrected", "accepted"]
    with pytest.raises(DataError, match="no reviewed or corrected pair"):
        write_feedback(store, tmp_path / "later", direction, since="2999")
    with pytest.raises(DataError, match="not empty"):
        write_feedback(store, tmp_path / "out", direction)


def test_pairs_of_several_pixel_sizes_are_not_mixed(store: Store, tmp_path: Path) -> None:
    for number, size in enumerate((10.0, None)):
        store.register(f"p{number}", "sem2layout", "one", image(number), image(9), pixel_nm=size)
        store.judge(f"p{number}", "accept", id=str(number))
    with pytest.raises(DataError, match="unknown, 10 nm"):
        write_feedback(store, tmp_path / "out", "sem2layout")


def test_images_come_back_to_the_bit_and_are_kept_once(store: Store) -> None:
    for number in range(3):
        store.register(f"p{number}", "sem2layout", "one", image(0), image(1))
    assert store.rows("SELECT count(*) FROM image") == [(2,)]
    kept = store.prediction("p0")
    assert kept is not None
    assert torch.equal(uint8_from_unit(store.image(kept.input)), uint8_from_unit(image(0)))
    assert store.prediction("p9") is None
    with pytest.raises(DataError, match="no image"):
        store.png("0")
    assert [p.id for p in store.predictions(last=2)] == ["p2", "p1"]
    assert store.versions() == [("sem2layout", "one", 3)]


def test_csv_keeps_every_word(store: Store, tmp_path: Path) -> None:
    note = 'two lines,\na "quote", µm and 微'
    store.judge("a", "minor", note, id="1", model="m", measured={"epe": 1.25})
    store.judge("b", "accept", id="2", model="m", measured={"epe": None, "opens": 2})
    store.judge("c", "reject", id="3")
    store.judge("c", None, id="4")
    rows = list(csv.DictReader(io.StringIO(verdict_table(store), newline="")))
    assert [(r["item"], r["verdict"], r["note"], r["epe"], r["opens"]) for r in rows] == [
        ("a", "minor", note, "1.25", ""),
        ("b", "accept", "", "", "2"),
    ]
    assert write_verdicts(store, tmp_path / "out.csv") == 2
    assert (tmp_path / "out.csv").read_bytes().decode() == verdict_table(store)
    with pytest.raises(DataError, match="does not exist"):
        write_verdicts(store, tmp_path / "none" / "out.csv")


@given(st.text(max_size=8) | st.from_regex(r"'*[=+\-@\t\r\n\uff1d][a-z]*", fullmatch=True))
def test_no_cell_is_a_formula_and_every_text_comes_back(text: str) -> None:
    cell = plain_cell(text)
    assert cell[:1] not in tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
    assert cell_text(cell) == text
    written = io.StringIO(newline="")
    csv.writer(written).writerow([cell])
    if "\0" not in text:
        assert list(csv.reader(io.StringIO(written.getvalue(), newline=""))) == [[cell]]


def test_a_spreadsheet_gets_no_formula_from_any_column(store: Store) -> None:
    evil = "=HYPERLINK(A1)"
    store.judge(evil, "accept", "@" + evil, id="1", model="+m", measured={"-epe": -1.5}, reviewer="\t=r")
    header, row = csv.reader(io.StringIO(verdict_table(store), newline=""))
    assert header[-1] == "'-epe"
    assert row[-1] == "-1.5"  # a number stays one
    assert [cell_text(row[i]) for i in (0, 2, 3, 5)] == [evil, "@" + evil, "+m", "\t=r"]
    assert [row[i][0] for i in (0, 2, 3, 5)] == ["'"] * 4


def test_training_on_accepted_outputs_is_called_self_training(store: Store, tmp_path: Path) -> None:
    for name in "ab":
        store.register(name, "sem2layout", "one", image(0), image(1))
    store.add_label("l", "a", "truth", image(2))
    assert self_training(store.pairs("sem2layout")) is None
    store.judge("b", "accept", id="1")
    assert "1 of 2 targets are accepted outputs" in (self_training(store.pairs("sem2layout")) or "")
    assert write_feedback(store, tmp_path / "out", "sem2layout", origins=("truth", "corrected")) == 1


def test_who_judged_is_kept_and_a_store_of_before_can_be_opened(store: Store) -> None:
    store.judge("a", "accept", id="1", reviewer="ada")
    assert store.judge("a", "accept", id="1", reviewer="ada") is False
    with pytest.raises(ConflictError):
        store.judge("a", "accept", id="1", reviewer="bob")
    assert store.verdicts()["a"].reviewer == "ada"
    with store.transaction() as connection:  # as an earlier version left the file
        connection.execute("DROP TABLE reviewer")
    again = Store(store.path)
    assert again.verdicts()["a"].reviewer == ""
    again.close()


def test_files_that_are_no_store_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        Store(tmp_path / "none" / "store.sqlite")
    (tmp_path / "text").write_text("not a database, but longer than a header of one hundred bytes " * 9)
    with pytest.raises(StoreError, match="not a database"):
        Store(tmp_path / "text")
    foreign = sqlite3.connect(tmp_path / "foreign")
    foreign.execute("CREATE TABLE t (x)")
    foreign.commit()
    foreign.close()
    with pytest.raises(StoreError, match="another program"):
        Store(tmp_path / "foreign")
    Store(tmp_path / "newer").close()
    newer = sqlite3.connect(tmp_path / "newer")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError, match="version 99"):
        Store(tmp_path / "newer")


def test_threads_and_connections_write_at_the_same_time(tmp_path: Path) -> None:
    """Two stores on one new file, opened at the same moment, with two threads each."""
    path, errors = tmp_path / "store.sqlite", []

    def work(name: str) -> None:
        try:
            store = Store(path)
            threads = [
                threading.Thread(
                    target=lambda t=t: [
                        store.judge(f"{name}{t}", "accept", id=f"{name}{t}{i}") for i in range(15)
                    ]
                )
                for t in range(2)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            store.close()
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert errors == []
    store = Store(path)
    assert store.counts()["verdicts"] == 60
    assert set(store.verdicts()) == {f"{n}{t}" for n, t in itertools.product("ab", range(2))}
    store.close()


def test_a_new_file_is_opened_by_many_at_once(tmp_path: Path) -> None:
    """SQLite does not wait by itself while the log is turned on: without ours, some of these are "locked"."""
    many, errors = 12, []

    def work(path: Path, barrier: threading.Barrier) -> None:
        barrier.wait()
        try:
            Store(path).close()
        except StoreError as error:
            errors.append(error)

    for number in range(20):
        barrier = threading.Barrier(many)
        arguments = (tmp_path / f"{number}.sqlite", barrier)
        workers = [threading.Thread(target=work, args=arguments) for _ in range(many)]
        for one in workers:
            one.start()
        for one in workers:
            one.join()
    assert errors == []


def test_scores_are_kept(store: Store) -> None:
    assert store.score("p", "l") is None
    store.keep_score("p", "l", {"l1": 0.5, "epe": None})
    assert store.score("p", "l") == {"l1": 0.5, "epe": None}
