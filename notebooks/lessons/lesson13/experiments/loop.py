"""Lesson 13: the loop from day to day: monitors, a person's decisions, windows of the regime, training.

A chart of labelled quality and the input monitor raise alarms. Some days later a person decides from what
they show (`person`): the regime is retired, or a version is rolled back, or nothing is done. A policy says
which alarm may end a regime. Once a regime is retired, the loop teaches, judges and replays pairs of the new
one alone, and trains whenever enough labels have come, until the gate sees nothing more to win. Half of all
labels is taught, the other half judges: a challenger is promoted by the gate or not at all, except on the day
on which somebody promotes a bad one by hand.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from gantrans.data import PairedDataset
from gantrans.images import unit_from_uint8
from gantrans.metrics import iou
from gantrans.operations.promotion.challenge_pairs import Windows, is_judged
from gantrans.operations.promotion.finetune import FineTuneConfig
from gantrans.operations.promotion.gate import Decision
from gantrans.operations.promotion.triggers import (
    FEWEST_REFERENCE,
    HOUR,
    ChartRule,
    CoolDown,
    QualityChart,
    Signals,
    TriggerConfig,
    advise,
)
from lessons.lesson13.experiments import person
from lessons.lesson13.experiments.bench import Site
from lessons.lesson13.experiments.person import Alarm, Habits, Note
from lessons.lesson13.experiments.quarter_setting import KEPT, SETTINGS, day_of, day_pairs, old_pairs

ON_DRIFT, ON_LABELS = "trigger on drift", "trigger on labels"
TRIGGER = TriggerConfig(enough_pairs=120, fewest_pairs=48)
"""Labels are counted before they are halved. While a regime recovers, 48 new ones start a training."""
MORE = 2
"""So many times more images are labelled while the inputs alarm or a regime recovers."""
RULE = ChartRule(stretch=360, false_alarms=0.05, slack=0.25)
"""Of 30 quiet days with 12 labels each, one in twenty has a false alarm; half a deviation is found."""
SOLID = 96
"""Labels of a reference that is not taken anew."""
TUNING = FineTuneConfig(epochs=10, rate=0.3, share=0.25)
"""Replay, at this share, is of the first regime alone, as long as it holds."""
SLIP = FineTuneConfig(epochs=20, rate=1.0, share=0.0)
"""How somebody in a hurry tunes; the export slipped by a row, so that every image has the next drawing."""
HABITS = Habits()
RECENT = 20  # labelled predictions whose mean the dashboard shows


@dataclass(frozen=True)
class Start:
    """A training: when, why, the gate's verdict, the lower bound of the gain, the checks that failed, and how
    many pairs were taught and judged."""

    day: int
    reason: str
    verdict: str
    gain: float
    failed: tuple[str, ...] = ()
    pairs: tuple[int, int] = (0, 0)


@dataclass
class Story:
    """A quarter, one entry per day: true IoU, quality by labels (None before there are enough), both charts
    in units of their limits (that of labels None while it has no reference), whether the input monitor's
    alarm stands; every training; and every decision of a person."""

    policy: str
    truth: list[float] = field(default_factory=list)
    quality: list[float | None] = field(default_factory=list)
    fall: list[float | None] = field(default_factory=list)
    chart: list[float] = field(default_factory=list)
    alarm: list[bool] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


class Loop:
    """The state of the loop from day to day: the regime, the chart of the champion's quality, open alarms.

    The chart watches what serves, whichever version it is. Its reference is the champion's quality on those
    labels of the regime that it was not taught, taken when a person accepts a level (on the first day: on the
    old hold-out), and once more when there are `SOLID` of them. A promotion may raise the reference and never
    lowers it: a champion that is half as good does not become the normal unasked. While a regime recovers, a
    promotion starts the chart anew, so that a second change is seen.
    """

    def __init__(
        self, site: Site, policy: str, scale: str, seed: int, folder: Path, scenario: str = KEPT
    ) -> None:
        self.site, self.policy, self.story = site, policy, Story(policy)
        self.setting = SETTINGS[scale]
        self.pairs = partial(day_pairs, scale=scale, seed=seed, scenario=scenario)
        self.today = 0
        self.cool_down = CoolDown(folder / "last-start.json", clock=lambda: 1e9 + self.today * 24 * HOUR)
        self.old = {split: old_pairs(split, scale, seed) for split in ("train", "test")}
        self.chart: QualityChart | None = QualityChart.fit(site.scores(self.old["test"]), RULE)
        self.charts: list[tuple[QualityChart | None, int]] = []  # of earlier champions, and promotion days
        self.watched_from, self.reference = 0, SOLID
        self.taught: set[str] = set()
        self.arrived: list[int] = []  # day of the image of every label
        self.alarm: Alarm | None = None
        self.regime: int | None = None  # its first day; None: the first one holds
        self.recovering, self.refusals, self.used = False, 0, 0

    # ---- images and labels

    def translate(self, day: int) -> None:
        """Translate the images of a day; their true quality is noted for the reader alone."""
        self.today, pairs = day, self.pairs(day)
        outputs = self.site.translate(pairs)
        self.story.truth.append(float(iou(outputs, unit_from_uint8(pairs.layout)).mean()))

    def collect(self, day: int) -> None:
        """Labels arrive for some images of a few days ago; for more of them where something has changed."""
        taken, wanted = day - self.setting.delay, self.setting.labels
        if self.recovering or (self.story.alarm and self.story.alarm[-1]):
            wanted = min(MORE * wanted, self.setting.images)
        if taken >= 0:
            self.site.label(self.pairs(taken).subset(range(wanted)))
            self.arrived += [taken] * wanted

    # ---- monitors and person

    def look(self, day: int) -> None:
        """Read both monitors, and note the alarm that a person has to decide on."""
        if self.alarm is None and self.chart is not None and self.reference < SOLID:
            self._watch(SOLID)
        labels = self._watched()
        known = [value for _, value in labels]
        reading = self.chart.read(known) if self.chart else None
        level, standing = self.site.drift()
        self.story.quality.append(float(np.mean(known[-RECENT:])) if len(known) >= RECENT else None)
        self.story.fall.append(reading.level if reading else None)
        self.story.chart.append(level)
        self.story.alarm.append(standing)
        if self.alarm is not None:
            return
        if reading is not None and reading.began is not None:
            self.alarm = Alarm(day, labels[reading.began][0])
        elif standing and self.policy == ON_DRIFT:
            self.alarm = Alarm(day, day, of_inputs=True)

    def decide(self, day: int) -> None:
        """Let a person decide on an alarm that is old enough."""
        if self.alarm is None or day < self.alarm.day + HABITS.delay:
            return
        fallen = self._since(self.alarm.began)
        before = self.site.scores_before(fallen) if self.charts and len(fallen) else None
        note = person.decide(
            self.alarm,
            day,
            self._watched(),
            self.chart,
            self.charts[-1][1] if self.charts else None,
            float(before.mean()) if before is not None else None,
            retire_by_labels=self.policy == ON_LABELS,
            standing=self.story.alarm[-1],
            habits=HABITS,
        )
        self.story.notes.append(note)
        self.alarm, self.watched_from = None, day + 1
        if note.action == person.ROLL_BACK:
            self.site.roll_back(note.why)
            self.chart, _ = self.charts.pop()
        elif note.action == person.RETIRE:
            assert note.since is not None
            self.site.retire(day, note.since, note.why)
            self.regime, self.chart = note.since, None
            self.recovering, self.refusals, self.used = True, 0, 0

    # ---- training

    def labelled(self) -> PairedDataset:
        """The labelled pairs of the regime that holds."""
        return self._since(self.regime or 0)

    def windows(self) -> Windows:
        """What is taught, judged, replayed and guarded: of this regime alone."""
        pairs = self.labelled()
        judged = [is_judged(name) for name in pairs.names]
        taught = pairs.subset([i for i, judge in enumerate(judged) if not judge])
        hold = pairs.subset([i for i, judge in enumerate(judged) if judge])
        first = self.regime is None
        replay, guard = (self.old["train"], self.old["test"]) if first else (None, None)
        return Windows(taught, hold, replay, guard)

    def wanted(self) -> str:
        """Why to train today; empty if there is no reason."""
        if self.alarm is not None:
            return ""  # a person is asked first
        advice = advise(Signals(self._count() - self.used, lost=self.recovering), TRIGGER)
        return "; ".join(advice.reasons) if advice.train else ""

    def may_start(self) -> bool:
        """Claim the start of a training; refused within a day of the last one."""
        return self.cool_down.claim().granted

    def train(self, day: int, reason: str) -> None:
        """Tune and judge; after a promotion the champion's chart starts anew."""
        windows = self.windows()
        decision = self.site.challenge(windows, day, TUNING)
        self.used = self._count()
        self._note(day, reason, decision, windows)
        self.refusals = 0 if decision.promoted else self.refusals + 1
        if decision.promoted:
            self.charts.append((self.chart, day))
            self.taught |= set(windows.new.names)
            if self.recovering:
                self.chart, self.watched_from = None, day + 1
                self._watch(FEWEST_REFERENCE)
            else:
                self._raise(day)
        elif self.recovering and self.refusals >= HABITS.refusals and self.used >= HABITS.labels:
            self.recovering, self.watched_from = False, day + 1
            self._watch(FEWEST_REFERENCE)
            level = f"{self.chart.mean:.2f}" if self.chart else "as it is"
            why = f"{self.refusals} challengers in a row were no better; the level is {level}"
            self.story.notes.append(Note(day, person.ACCEPT, why))

    def slip(self, day: int) -> None:
        """A bad export, a hasty training; the gate refuses the version, and somebody promotes it by hand."""
        windows = self.windows()
        newest = windows.new.subset(range(len(windows.new))[-16:])
        drawings = newest.subset([*range(1, len(newest)), 0])
        names = [f"{name}-slipped" for name in newest.names]
        slipped = PairedDataset(newest.sem, drawings.layout, newest.family, newest.pixel_nm, names)
        bad = Windows(slipped, windows.hold, None, windows.old)
        self.used = self._count()
        decision = self.site.challenge(bad, day, SLIP)
        self._note(day, "somebody in a hurry", decision, bad)
        if not decision.promoted:
            self.site.promote("its losses looked good")
        self.charts.append((self.chart, day))

    # ---- inside

    def _watched(self) -> list[tuple[int, float]]:
        """Day and IoU of the labelled predictions that the chart has to look at."""
        return [(taken, value) for taken, value in self.site.qualities() if taken >= self.watched_from]

    def _since(self, first: int) -> PairedDataset:
        """The labelled pairs of images since the day `first`."""
        pairs = self.site.labelled()
        return pairs.subset([i for i, name in enumerate(pairs.names) if day_of(name) >= first])

    def _count(self) -> int:
        """Labels of the regime that holds."""
        return sum(taken >= (self.regime or 0) for taken in self.arrived)

    def _fitted(self, fewest: int) -> QualityChart | None:
        """A chart of the champion, if there are so many labels of the regime that it was not taught."""
        pairs = self.labelled()
        apart = pairs.subset([i for i, name in enumerate(pairs.names) if name not in self.taught])
        if len(apart) < fewest:
            return None
        self.reference = len(apart)
        return QualityChart.fit(self.site.scores(apart), RULE)

    def _watch(self, fewest: int) -> None:
        if self._count() >= fewest and (found := self._fitted(fewest)) is not None:
            self.chart = found

    def _raise(self, day: int) -> None:
        """Take the new champion's quality as the reference, if it is higher."""
        found = self._fitted(SOLID)
        if found is not None and (self.chart is None or found.mean > self.chart.mean):
            self.chart, self.watched_from = found, day + 1

    def _note(self, day: int, reason: str, decision: Decision, windows: Windows) -> None:
        gain = next(check.measured for check in decision.checks if check.name == "new bound")
        failed = tuple(check.name for check in decision.checks if check.passed is not True)
        pairs = (len(windows.new), len(windows.hold))
        self.story.starts.append(Start(day, reason, decision.verdict, gain, failed, pairs))
