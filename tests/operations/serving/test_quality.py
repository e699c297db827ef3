"""The third monitor: truth, corrections and verdicts apart; damaged pictures left out; each label once."""

import sqlite3
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import binomtest

from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.store import DamagedPictureError, Store
from gantrans.operations.serving import quality
from gantrans.operations.serving.quality import (
    MOST_CROSSINGS,
    Quality,
    crossings,
    label_scores,
    performance,
    wilson,
    with_reference,
)

SIDE = 32


def noise(seed: int, side: int = SIDE) -> torch.Tensor:
    return torch.rand(1, side, side, generator=torch.Generator().manual_seed(seed))


def lines(side: int, pitch: int) -> torch.Tensor:
    return ((torch.arange(side) // (pitch // 2)) % 2).float().expand(1, side, side).contiguous()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def predict(store: Store, *names: str, model: str = "one") -> None:
    for name in names:
        store.register(name, "sem2layout", model, noise(ord(name[-1])), noise(1 + ord(name[-1])))


def output(store: Store, name: str) -> torch.Tensor:
    found = store.prediction(name)
    assert found is not None
    return store.image(found.output)


def damage(store: Store, sha256: str) -> None:
    """Flip one bit in the middle of a stored picture."""
    with sqlite3.connect(store.path) as connection:
        ((png,),) = connection.execute("SELECT png FROM image WHERE sha256 = ?", (sha256,))
        changed = bytearray(png)
        changed[len(png) // 2] ^= 4
        connection.execute("UPDATE image SET png = ? WHERE sha256 = ?", (bytes(changed), sha256))


def test_rubbish_with_two_painted_pixels_has_no_quality(store: Store) -> None:
    """Two outputs of noise; a person rejects one and corrects two pixels of the other."""
    predict(store, "a", "b")
    painted = output(store, "a").clone()
    painted[0, 3, 4:6] = 1 - painted[0, 3, 4:6].round()
    store.add_label("l", "a", "corrected", painted)
    store.judge("b", "reject", id="1")
    (row,) = performance(store)
    assert (row["labelled"], row["coverage"], row["iou"]["mean"]) == (0, 0, None)
    assert row["corrected"]["iou"]["mean"] > 0.99  # what the monitor used to show as quality
    assert row["corrected"]["changed_pixels"] == {"mean": 2 / SIDE**2, "count": 1}
    assert row["verdicts"]["reject"]["share"] == 1.0
    assert row["verdicts"]["accept"]["high"] < 0.8

    store.add_label("t", "a", "truth", lines(SIDE, 8))
    (row,) = performance(store)
    assert (row["labelled"], row["iou"]["count"]) == (1, 1)
    assert row["iou"]["mean"] < 0.5
    assert row["corrected"]["count"] == 1  # beside the truth, not instead of it


def test_the_interval_of_a_share_is_scipys() -> None:
    for successes, total in ((0, 1), (1, 1), (3, 7), (50, 1000)):
        expected = binomtest(successes, total).proportion_ci(method="wilson")
        assert wilson(successes, total) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_reference_stays_when_another_version_predicts(store: Store) -> None:
    predict(store, "a", model="one")
    predict(store, "b", model="two")
    for name in "ab":
        store.add_label(f"l{name}", name, "truth", lines(SIDE, 8))
    rows = performance(store)
    assert with_reference(rows, {}) == {"sem2layout": "one"}
    assert [row["reference"] for row in rows] == [True, False]
    assert with_reference(rows, {"sem2layout": "two"}) == {"sem2layout": "two"}
    assert [row["reference"] for row in rows] == [False, True]


@pytest.mark.parametrize("side", ["output", "label"])
def test_a_damaged_picture_is_left_out_and_counted(store: Store, side: str) -> None:
    predict(store, "a", "b")
    for name in "ab":
        store.add_label(f"l{name}", name, "truth", noise(50 + ord(name)))
    labels = {row[0]: row for row in store.labels()}
    damaged = labels["a"][3 if side == "output" else 5]
    damage(store, damaged)
    with pytest.raises(DamagedPictureError, match="damaged"):
        store.png(damaged)
    for _ in range(2):
        (row,) = performance(store)
        assert (row["damaged"], row["labelled"], row["l1"]["count"], row["waiting"]) == (1, 1, 1, 0)


def test_a_hole_in_the_file_leaves_the_other_pictures(tmp_path: Path) -> None:
    store = Store(tmp_path / "holes.sqlite")
    for seed, name in enumerate("ab"):
        store.register(name, "sem2layout", "one", noise(seed, 128), noise(9 + seed, 128))
        store.add_label(f"l{name}", name, "truth", lines(128, 8))
    hidden = store.prediction("a")
    assert hidden is not None
    png = store.png(hidden.output)
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    store.close()
    content = bytearray((tmp_path / "holes.sqlite").read_bytes())
    place = content.index(png[1000:1100])
    content[place : place + 8192] = bytes(8192)  # two pages, one with the number of the next
    (tmp_path / "holes.sqlite").write_bytes(content)
    store = Store(tmp_path / "holes.sqlite")
    with pytest.raises(DamagedPictureError):
        store.png(hidden.output)
    (row,) = performance(store)
    assert (row["damaged"], row["labelled"], row["l1"]["count"]) == (1, 1, 1)
    store.close()


def test_every_changed_byte_of_a_picture_is_noticed(store: Store) -> None:
    predict(store, "a")
    found = store.prediction("a")
    assert found is not None
    png = store.png(found.output)
    with sqlite3.connect(store.path) as connection:
        for changed in [png[:-1], png + b"\0", b"", *(_flipped(png, i) for i in range(0, len(png), 3))]:
            connection.execute("UPDATE image SET png = ? WHERE sha256 = ?", (changed, found.output))
            connection.commit()
            with pytest.raises(DamagedPictureError):
                store.png(found.output)
        connection.execute("UPDATE image SET png = ?", (png,))  # whole, but of another picture
        connection.commit()
    assert store.png(found.output) == png
    with pytest.raises(DamagedPictureError, match="others"):
        store.image(found.input)


def _flipped(png: bytes, place: int) -> bytes:
    return png[:place] + bytes([png[place] ^ 1]) + png[place + 1 :]


def test_a_new_label_is_measured_once_for_twelve_requests(store: Store, monkeypatch) -> None:
    predict(store, *(f"p{i}" for i in range(3)))
    for i in range(3):
        store.add_label(f"l{i}", f"p{i}", "truth", noise(90 + i))
    measured: list[Any] = []

    def slow(*given: Any) -> dict[str, float | None]:
        measured.append(given)
        time.sleep(0.1)
        return {"l1": 0.5}

    monkeypatch.setattr(quality, "label_scores", slow)
    monitor, rows = Quality(store), []
    threads = [threading.Thread(target=lambda: rows.append(monitor.report(5.0)[0])) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows) == 12
    assert len(measured) == 3
    assert max(row["l1"]["count"] for row in rows) == 3
    assert all(row["l1"]["count"] + row["waiting"] == 3 for row in rows)


def test_a_report_measures_for_a_limited_time(store: Store) -> None:
    predict(store, *(f"p{i}" for i in range(4)))
    for i in range(4):
        store.add_label(f"l{i}", f"p{i}", "truth", noise(90 + i))
    monitor = Quality(store)
    waiting = [monitor.report(0.0)[0]["waiting"] for _ in range(5)]
    assert waiting == [3, 2, 1, 0, 0]


def test_a_full_disk_stops_no_report_and_no_label_is_measured_again(store: Store, monkeypatch) -> None:
    predict(store, "a")
    store.add_label("l", "a", "truth", noise(90))
    measured: list[Any] = []
    monkeypatch.setattr(quality, "label_scores", lambda *given: measured.append(given) or {"l1": 0.5})
    monitor = Quality(store)

    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(quality, "keep_scores", full)
        for _ in range(2):
            (row,) = monitor.report(1.0)
            assert (row["l1"]["count"], row["waiting"]) == (1, 0)
            assert "full" in (monitor.problem or "")
    monitor.report(1.0)
    assert (monitor.problem, len(measured)) == (None, 1)
    assert store.score("a", "l") == {"l1": 0.5}


def test_the_placement_error_of_noise_is_not_computed_but_that_of_dense_lines_is() -> None:
    speckle, dense = noise(0, 512), lines(512, 8)
    assert crossings(speckle) > MOST_CROSSINGS > 2 * crossings(dense)
    assert crossings(dense) == 127 * 512
    scores = label_scores(speckle, dense, ("l1", "epe_px"))
    assert scores["epe_px"] is None
    assert scores["l1"] is not None
    assert label_scores(dense, dense, ("epe_px",)) == {"epe_px": 0.0}


def test_a_report_takes_no_more_memory_for_more_labels(store: Store) -> None:
    image, label = noise(0), noise(1)

    def peak(*numbers: int) -> int:
        for i in numbers:
            store.register(f"p{i}", "sem2layout", "one", image, image)
            store.add_label(f"l{i}", f"p{i}", "truth", label)
        reports = Quality(store)
        reports.report()
        tracemalloc.start()
        assert reports.report()[0]["iou"]["count"] == numbers[-1] + 1
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    few = peak(*range(20))
    assert peak(*range(20, 220)) < few + 50_000
