"""Triggers: what asks for training, what asks for labels, and a cool-down that holds."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from gantrans.errors import ConfigError, DataError
from gantrans.operations.promotion.disk import DiskError
from gantrans.operations.promotion.triggers import (
    HOUR,
    ChartRule,
    CoolDown,
    QualityChart,
    Signals,
    TriggerConfig,
    advise,
)
from lessons.lesson12.experiments import races
from lessons.lesson12.experiments.kills import FailingDisk


@pytest.mark.parametrize(
    ("signals", "train", "label"),
    [
        (Signals(49), False, False),
        (Signals(50), True, False),
        (Signals(0, drift=True), False, True),
        (Signals(50, drift=True), True, True),
        (Signals(30, quality=0.76, reference=0.8), True, False),
        (Signals(30, quality=0.78, reference=0.8), False, False),
        (Signals(5, quality=0.70, reference=0.8), False, True),  # lost quality, too few labels to mend it
        (Signals(5, quality=None, reference=0.8), False, False),
        (Signals(30, quality=0.9, reference=0.8), False, False),
        (
            Signals(30, quality=0.7, reference=0.8, lost=False),
            False,
            False,
        ),  # the chart decides, if there is one
        (Signals(30, lost=True), True, False),
        (Signals(5, quality=0.79, reference=0.8, lost=True), False, True),
    ],
)
def test_what_signals_ask_for(signals: Signals, train: bool, label: bool) -> None:
    advice = advise(signals)
    assert (advice.train, advice.label_first) == (train, label)
    assert bool(advice.reasons) == (train or label)


def test_drift_alone_says_why_it_starts_nothing() -> None:
    assert "there is no target to train on yet" in advise(Signals(0, drift=True)).reasons[0]
    assert "too little to train on yet" in advise(Signals(5, drift=True)).reasons[0]


def test_drift_beside_enough_pairs_does_not_deny_the_pairs() -> None:
    pairs, drifted = advise(Signals(50, drift=True)).reasons
    assert pairs == "50 new pairs, enough to train"
    assert drifted == "the input has drifted: label what comes in now"


def test_the_configuration_is_checked() -> None:
    with pytest.raises(ConfigError, match="fewest_pairs is 60"):
        TriggerConfig(fewest_pairs=60)
    with pytest.raises(ConfigError, match="needs at least 1000"):
        ChartRule(false_alarms=0.01, resamples=999)


def test_a_chart_adds_up_what_labels_lie_below_their_reference() -> None:
    chart = QualityChart(ChartRule(), mean=0.8, std=0.1, limit=4.0)
    assert chart.read([]).level == 0.0
    assert chart.read([0.8, 0.9, 0.75] * 20).alarm is None
    found = chart.read([0.7, 0.9, 0.9, 0.6, 0.6, 0.6])  # .5, 0, 0, then 1.5 a label: 1.5, 3, 4.5
    assert (found.level, found.alarm, found.began) == (pytest.approx(4.5 / 4), 5, 3)
    assert chart.read([0.0]).level == pytest.approx(2.5 / 4)  # eight deviations count as three
    late = chart.read([0.6] * 3 + [0.9] * 9)
    assert (late.level, late.alarm, late.began) == (0.0, 2, 0)  # an alarm is not taken back


@pytest.mark.parametrize("draw", ["normal", "skewed"])
def test_a_chart_keeps_its_rate_of_false_alarms_and_finds_a_fall(draw: str) -> None:
    """150 months of 360 labels, each with a reference of its own: 5 % stated, 1 to 11 % accepted."""
    generator = np.random.default_rng(3)

    def qualities(count: int) -> np.ndarray:
        if draw == "normal":
            return generator.normal(0.75, 0.15, count)
        return generator.beta(6.0, 2.0, count)  # mean .75, standard deviation .14, a long tail below

    false, waits, errors = 0, [], []
    for seed in range(150):
        chart = QualityChart.fit(qualities(96), ChartRule(resamples=200, seed=seed))
        false += chart.read(qualities(360)).alarm is not None
        fell = chart.read(np.concatenate([qualities(60), qualities(100) - 0.15]))
        if fell.alarm is not None and fell.alarm >= 60:
            waits.append(fell.alarm - 60)
            errors.append((fell.began or 0) - 60)
    assert 0.01 <= false / 150 <= 0.11
    assert len(waits) > 140
    assert np.median(waits) < 25
    assert abs(float(np.median(errors))) <= 5


def test_a_small_reference_makes_a_wide_limit() -> None:
    generator = np.random.default_rng(0)
    few, many = (QualityChart.fit(generator.normal(0.7, 0.1, n), ChartRule(resamples=400)) for n in (20, 400))
    assert few.limit > 1.5 * many.limit
    with pytest.raises(DataError, match="at least 20 labelled predictions, not 19"):
        QualityChart.fit(generator.normal(size=19))
    for bad in ([0.5] * 30, [0.5] * 29 + [float("nan")]):
        with pytest.raises(DataError, match="finite and not all equal"):
            QualityChart.fit(bad)


def test_one_start_in_24_hours_with_a_fake_clock(tmp_path: Path) -> None:
    now = [1e9]

    def again() -> CoolDown:  # a restarted process
        return CoolDown(tmp_path / "starts" / "last.json", clock=lambda: now[0])

    assert again().claim().granted
    waits = []
    for hours in (0.0, 1.0, 22.9999):
        now[0] += hours * HOUR
        claim = again().claim()
        assert not claim.granted
        waits.append(claim.wait_hours)
    assert waits == pytest.approx([24.0, 23.0, 0.0001], abs=1e-6)
    now[0] += 0.0001 * HOUR
    assert again().claim().granted
    assert not again().claim().granted
    now[0] -= 100 * HOUR  # the clock was set back: no reason to start early
    assert again().claim().wait_hours > 24


def test_the_real_clock(tmp_path: Path) -> None:
    path = tmp_path / "last.json"
    assert CoolDown(path).claim().granted
    assert 23 < CoolDown(path).claim().wait_hours <= 24
    time.sleep(0.01)
    assert CoolDown(path, hours=0.001 / 3600).claim().granted


def test_nothing_is_granted_that_is_not_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "last.json"
    for n in (1, 2, 3):
        with pytest.raises(DiskError, match="No space left on device"):
            CoolDown(path, disk=FailingDisk(n)).claim()
        assert not path.exists()
    assert CoolDown(path).claim().granted
    path.write_text("{")
    with pytest.raises(DiskError, match="cannot be read"):  # not "never started"
        CoolDown(path).claim()


def test_racing_processes_start_once(tmp_path: Path) -> None:
    with races.Racers(3) as racers:
        assert races.race(racers, tmp_path, 12, lock=True) == (0, 12)
    files = sorted(tmp_path.glob("locked-*"))
    assert len(files) == 12
    assert json.loads(files[0].read_text())["started"] == pytest.approx(1e9 + 24 * HOUR)


def test_without_a_lock_both_readers_may_start(tmp_path: Path) -> None:
    """The race itself, step by step: both have read before either writes."""
    path = tmp_path / "last"
    assert races.unlocked_claim(path, 1e9)
    assert not races.unlocked_claim(path, 1e9 + HOUR)
    before = path.read_text()
    assert races.unlocked_claim(path, 1e9 + 25 * HOUR)
    path.write_text(before)  # what the second process had read
    assert races.unlocked_claim(path, 1e9 + 25 * HOUR)
