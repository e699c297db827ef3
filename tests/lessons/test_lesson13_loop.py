"""Lesson 13's loop: what a person decides, and what is taught and judged, day by day."""

import pytest
import torch

from gantrans.images import unit_from_uint8
from gantrans.operations.promotion.challenge_pairs import Windows
from gantrans.operations.promotion.gate import Check, Decision
from gantrans.operations.promotion.triggers import ChartRule, QualityChart
from lessons.lesson13.experiments import person, quarter
from lessons.lesson13.experiments import quarter_setting as calendar

SMOKE = calendar.SETTINGS["smoke"]


class Scripted:
    """A `Site` whose signals are written down: the quality of images falls on a day, and an alarm stands from
    another; the gate refuses whatever comes."""

    def __init__(self, falls: int, alarms: int) -> None:
        self.falls, self.alarms, self.day = falls, alarms, -1
        self.values: list[tuple[int, float]] = []
        self.parts: list[calendar.PairedDataset] = []
        self.asked: list[tuple[int, Windows]] = []
        self.done: list[tuple[str, int]] = []

    def translate(self, pairs):
        self.day += 1
        return unit_from_uint8(pairs.layout)

    def label(self, pairs):
        self.parts.append(pairs)
        for place, name in enumerate(pairs.names):
            taken = calendar.day_of(name)
            self.values.append((taken, (0.5 if taken >= self.falls else 0.8) + 0.01 * (place % 3 - 1)))

    def labelled(self):
        return calendar.joined(self.parts)

    def qualities(self):
        return self.values

    def scores(self, pairs):
        return torch.tensor([0.75, 0.85]).repeat(48)

    def scores_before(self, pairs):
        return torch.full((len(pairs),), 0.8)

    def drift(self):
        return 0.5, self.day >= self.alarms

    def challenge(self, windows, day, tuning):
        assert not set(windows.new.names) & set(windows.hold.names)
        self.asked.append((day, windows))
        return Decision((Check("new bound", False, -0.1, 0.0, "no"),))

    def promote(self, why):
        self.done.append(("promote", self.day))

    def roll_back(self, why):
        self.done.append(("roll back", self.day))

    def retire(self, day, since, why):
        self.done.append(("retire", since))


CHART = QualityChart(ChartRule(), mean=0.8, std=0.1, limit=5.0)


@pytest.mark.parametrize(
    ("alarm", "values", "promoted", "before", "by_labels", "standing", "action"),
    [
        (person.Alarm(7, 5), [0.6] * 9, None, None, True, False, person.RETIRE),
        (
            person.Alarm(7, 5),
            [0.6] * 9,
            None,
            None,
            False,
            False,
            person.GO_ON,
        ),  # this policy waits for the inputs
        (person.Alarm(7, 5), [0.6] * 9, 4, 0.79, True, False, person.ROLL_BACK),
        (person.Alarm(7, 5), [0.6] * 9, 4, 0.79, False, False, person.ROLL_BACK),
        (
            person.Alarm(7, 5),
            [0.6] * 9,
            2,
            0.79,
            True,
            False,
            person.RETIRE,
        ),  # served three days before the fall
        (person.Alarm(7, 5), [0.6] * 9, 4, 0.62, True, False, person.RETIRE),  # the one before is no better
        (
            person.Alarm(7, 5),
            [0.78] * 9,
            4,
            0.9,
            True,
            False,
            person.GO_ON,
        ),  # labels since then deny the alarm
        (person.Alarm(7, 7, of_inputs=True), [0.8] * 9, None, None, False, True, person.RETIRE),
        (person.Alarm(7, 7, of_inputs=True), [0.8] * 9, None, None, False, False, person.GO_ON),
    ],
)
def test_what_a_person_decides(alarm, values, promoted, before, by_labels, standing, action):
    labels = [(1, 0.8)] * 20 + [(5 + i % 4, value) for i, value in enumerate(values)]
    how = {"retire_by_labels": by_labels, "standing": standing}
    note = person.decide(alarm, 9, labels, CHART, promoted, before, **how)
    assert (note.day, note.action) == (9, action)
    assert note.since == (alarm.began if action == person.RETIRE else None)


def test_labels_end_a_regime_and_what_is_taught_is_of_the_new_one_alone(tmp_path):
    site = Scripted(falls=6, alarms=99)
    story = quarter.run_quarter(site, quarter.ON_LABELS, "smoke", 0, tmp_path)
    assert story.truth == [1.0] * SMOKE.days
    # the labels of day 6 come on day 7; two days later somebody decides; 48 are enough on day 10
    assert [(note.day, note.action, note.since) for note in story.notes] == [(9, person.RETIRE, 6)]
    assert site.done == [("promote", SMOKE.slip), ("retire", 6)]
    (slip, bad), (day, windows), *_ = site.asked
    assert (slip, day) == (SMOKE.slip, 10)
    assert (len(bad.new), windows.replay, windows.old) == (16, None, None)
    assert bad.old is not None
    taught, judged = ({calendar.day_of(n) for n in p.names} for p in (windows.new, windows.hold))
    assert taught | judged == {6, 7, 8, 9}
    assert len(windows.new) + len(windows.hold) == 48
    start = story.starts[1]
    assert (start.day, start.verdict, start.failed) == (10, "keep the champion", ("new bound",))
    assert start.reason == "quality was lost"


def test_a_fall_that_begins_with_a_promotion_is_rolled_back(tmp_path):
    site = Scripted(falls=SMOKE.slip + 1, alarms=99)
    story = quarter.run_quarter(site, quarter.ON_LABELS, "smoke", 0, tmp_path)
    first = story.notes[0]
    assert (first.day, first.action) == (SMOKE.slip + 4, person.ROLL_BACK)
    assert site.done[:2] == [("promote", SMOKE.slip), ("roll back", SMOKE.slip + 4)]


def test_the_drift_policy_waits_for_the_input_monitor(tmp_path):
    site = Scripted(falls=99, alarms=5)
    story = quarter.run_quarter(site, quarter.ON_DRIFT, "smoke", 0, tmp_path)
    assert [(note.day, note.action, note.since) for note in story.notes[:1]] == [(7, person.RETIRE, 5)]
    blind = Scripted(falls=6, alarms=99)
    story = quarter.run_quarter(blind, quarter.ON_DRIFT, "smoke", 0, tmp_path / "blind")
    assert {note.action for note in story.notes} == {person.GO_ON}
    assert [day for day, _ in blind.asked] == [SMOKE.slip]


def test_slipped_pairs_have_the_drawing_of_the_next_image(tmp_path):
    site = Scripted(99, 99)
    quarter.run_quarter(site, quarter.ON_LABELS, "smoke", 0, tmp_path)
    (_, bad) = site.asked[0]
    names = [name.removesuffix("-slipped") for name in bad.new.names]
    right = site.labelled()
    right = right.subset([right.names.index(name) for name in names])
    assert torch.equal(bad.new.sem, right.sem)
    assert torch.equal(bad.new.layout[:-1], right.layout[1:])


def test_drift_asks_for_labels(tmp_path, monkeypatch):
    """Twice as many images are labelled while the inputs alarm, which starts nothing here."""
    monkeypatch.setitem(calendar.SETTINGS, "smoke", calendar.replace(SMOKE, labels=5))
    site = Scripted(falls=99, alarms=6)
    quarter.run_quarter(site, quarter.ON_LABELS, "smoke", 0, tmp_path)
    assert [len(part) for part in site.parts] == [5] * 6 + [10] * 5
    assert [day for day, _ in site.asked] == [SMOKE.slip]
