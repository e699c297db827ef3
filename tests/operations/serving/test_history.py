"""The history of the monitors: nothing is summed wrongly, it is bounded, and its file may fail."""

import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.history import DAY, HOUR, POINTS, STEPS, History, Observation, step_of
from gantrans.operations.serving.monitors import Operational
from gantrans.operations.serving.quality import Quality, performance
from gantrans.operations.serving.recorder import Recorder, all_series

START = 1_800_000_000.0 // DAY * DAY


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, DAY - 1), st.integers(0, 50), st.sampled_from("ab")), max_size=40))
def test_every_step_has_the_sum_of_what_was_added_in_any_order(tmp_path_factory, added) -> None:
    history = History(tmp_path_factory.mktemp("history") / "h.sqlite")
    for second, value, name in added:
        history.add(START + second, [Observation(name, value, 2, value)])
    assert history.problem is None
    for step in STEPS:
        points = history.points(START, START + DAY, step)
        for name in "ab":
            mine = [value for _, value, other in added if other == name]
            assert sum(p.total for p in points if p.name == name) == sum(mine)
            assert sum(p.count for p in points if p.name == name) == 2 * len(mine)
            assert max((p.high for p in points if p.name == name), default=0) == max(mine, default=0)
        assert all(p.at % step == 0 for p in points)
        assert len({(p.at, p.name) for p in points}) == len(points)


def test_old_minutes_go_and_old_days_stay(tmp_path: Path) -> None:
    history = History(tmp_path / "h.sqlite")
    days = range(0, 1000, 20)
    for day in days:
        history.add(START + day * DAY, [Observation("volume", 1.0)])
    end = START + 1000 * DAY
    kept = {step: len(history.points(START, end, step)) for step in STEPS}
    assert kept == {s: sum(DAY * (days[-1] - day) <= STEPS[s] for day in days) for s in STEPS}
    assert kept[60] < kept[600] < kept[HOUR] < kept[DAY] == len(days)
    assert [p.total for p in History(history.path).points(START, START + DAY, DAY)] == [1.0]  # a restart


@pytest.mark.parametrize("hours", [1, 5, 24, 48, 200, 24 * 365 * 2])
def test_an_answer_has_at_most_so_many_points(hours: int) -> None:
    step = step_of(hours * HOUR)
    assert hours * HOUR / step <= POINTS or step == DAY


def test_a_file_that_cannot_be_written_delays_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.commit()
    other.close()
    history = History(path)
    history.add(START, [Observation("volume", 1.0)])
    assert "another program" in (history.problem or "")
    history.note(START, "alarm", "sem2layout", {})
    path.unlink()
    history.add(START + 60, [Observation("volume", 2.0)])
    assert history.problem is None
    assert [p.total for p in history.points(START, START + HOUR, 60)] == [1.0, 2.0]


def test_a_minute_of_the_service_becomes_points_of_every_monitor(store: Store, tmp_path: Path) -> None:
    now = [START + 30.0]
    monitor, history = Operational(), History(tmp_path / "h.sqlite")
    report = {"seen": 0, "outlier_rate": None, "chart": 2.0, "limit": 9.0, "score": None, "threshold": 3.0}
    inputs = SimpleNamespace(report=lambda: {"sem2layout": report})
    recorder = Recorder(monitor, inputs, Quality(store), history, clock=lambda: now[0])
    recorder.tick()  # nobody asked: volume is 0, and there is no latency
    for status, seconds in ((200, 0.1), (200, 0.3), (422, 0.01), (503, 0.02)):
        monitor.observe_response("/translate", status, seconds)
    monitor.observe_response("/monitors", 200, 9.0)  # no translation
    report |= {"seen": 10, "outlier_rate": 0.2, "chart": 5.0, "score": 1.5}
    now[0] += 60
    recorder.tick()
    report |= {"seen": 20, "outlier_rate": 0.3}
    now[0] += 60
    recorder.tick()

    image = torch.zeros(1, 16, 16)
    for name in ("p", "q"):
        store.register(name, "sem2layout", "v0001", image, image, made_at=f"{_iso(START + 60)}")
        store.judge(name, "accept" if name == "p" else "reject", id=name)
    store.add_label("l", "p", "truth", image, made_at=_iso(START + 3 * DAY))  # late
    performance(store)
    step, series = all_series(history, Quality(store), inputs, START, START + HOUR)
    found = {(s["name"], s["direction"], s["model"]): s for s in series}
    at = int(START)
    values = {key: {p[0] - at: p[1] for p in s["points"]} for key, s in found.items()}
    assert step == 60
    assert values["volume", None, None] == {0: 0.0, 60: 4.0, 120: 0.0}
    assert values["errors", None, None] == {60: 0.25}
    assert values["refused", None, None] == {60: 0.25}
    assert values["latency_p50", None, None][60] == pytest.approx(200)
    assert values["latency_p95", None, None][60] == pytest.approx(290)
    assert values["drift_chart", "sem2layout", None] == {0: 2.0, 60: 5.0, 120: 5.0}
    assert found["drift_chart", "sem2layout", None]["limit"] == 9.0
    assert values["drift_score", "sem2layout", None] == {60: 1.5, 120: 1.5}
    assert values["outliers", "sem2layout", None] == pytest.approx({60: 0.2, 120: 0.4})
    assert values["quality", "sem2layout", "v0001"] == {60: 1.0}  # when it was predicted
    assert values["accepted", "sem2layout", "v0001"] == {60: 0.5}
    assert found["rejected", "sem2layout", "v0001"]["points"][0][2] == 2


def test_a_minute_that_fails_is_shown_and_the_thread_goes_on(store: Store, tmp_path: Path) -> None:
    def broken() -> dict[str, dict[str, float]]:
        raise ValueError("a broken monitor")

    history = History(tmp_path / "h.sqlite")
    recorder = Recorder(Operational(), SimpleNamespace(report=broken), Quality(store), history)
    recorder.try_tick()
    assert "a broken monitor" in (recorder.problem or "")
    recorder.inputs = None
    recorder.try_tick()
    assert recorder.problem is None
    assert len(history.points(0, 4e9, DAY)) == 1


def _iso(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat()
