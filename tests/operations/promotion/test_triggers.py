"""Triggers: what asks for training, what asks for labels, and a cool-down that holds."""

import json
import time
from pathlib import Path

import pytest

from gantrans.errors import ConfigError
from gantrans.operations.promotion.disk import DiskError
from gantrans.operations.promotion.triggers import HOUR, CoolDown, Signals, TriggerConfig, advise
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
