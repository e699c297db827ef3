"""Lesson 13, claim G38: a quarter in production, with two changes, under two policies of training.

Ninety days, and every day images of a measuring site, some of which are labelled and come back days later.
On the first change the beam widens, edges fade and lines print wider (`process_change.py`): images look
otherwise and mean something else. On the second one only the meaning changes: every drawn edge moves inwards
by a pixel, what is printed and so every image stays as it was. What a policy may know are the images of today
and the labels that have arrived; the quality of every day is known to the simulation alone.

Both policies see the same images and get the same labels on the same days. Half of all labels is trained on,
the other half decides: a challenger is promoted by the gate or not at all. After a promotion the input
monitor is fitted anew to the images of that time (images are plenty, labels are not).
"""

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from gantrans.config import to_dict
from gantrans.data import PairedDataset
from gantrans.images import unit_from_uint8
from gantrans.metrics import iou
from gantrans.operations.drift.detector import DRIFT
from gantrans.operations.drift.profile import measure
from gantrans.operations.promotion.comparison import compare
from gantrans.operations.promotion.finetune import FineTuneConfig, fine_tune
from gantrans.operations.promotion.gate import Decision, GateConfig, decide
from gantrans.operations.promotion.triggers import HOUR, CoolDown, Signals, TriggerConfig, advise
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from gantrans.translation import Predictor
from lessons.lesson13.experiments.quarter_setting import (
    MONITOR,
    PHASES,
    SEEDS,
    SETTINGS,
    QuarterSetting,
    champion,
    champion_recipe,
    day_pairs,
    detector,
    joined,
    old_pairs,
    phase_of,
)
from lessons.shared.process_change import CONDITIONS, PIXEL_NM

ON_DRIFT, ON_LABELS, NEVER = "trigger on drift", "trigger on labels", "never train"
POLICIES = (ON_DRIFT, ON_LABELS, NEVER)
TRIGGER = TriggerConfig(enough_pairs=240, fewest_pairs=72, quality_loss=0.08)
"""Labels are counted before they are halved."""
TUNING = FineTuneConfig(epochs=6, rate=0.3, share=0.5)
GATE = GateConfig(alpha=0.05, old_margin=0.05, family_margin=0.15, new_defects=48)
"""Wider than the library's: this translator is young, and its hold-outs are small."""
RECENT = 20  # labelled predictions whose mean is the quality of today


def judge(
    before: Predictor, after: Predictor, hold: PairedDataset, old: PairedDataset, smoke_problem: str = ""
) -> Decision:
    """The gate. All versions have one architecture, so latencies are taken as equal and not timed."""
    new, known = (compare(before, after, pairs, pairs.names) for pairs in (hold, old))
    return decide(new, known, latency=([1.0] * 20, [1.0] * 20), smoke_problem=smoke_problem, config=GATE)


class Site(Protocol):
    """Where the loop runs: in this process, or behind a server (`live_quarter`)."""

    def translate(self, pairs: PairedDataset) -> Tensor:
        """Translate the images of a day; (N, 1, H, W) in [0, 1]."""

    def label(self, pairs: PairedDataset) -> None:
        """Labels arrive for some images that were translated."""

    def labelled(self) -> PairedDataset:
        """Every pair with a label, oldest first."""

    def qualities(self) -> list[float]:
        """IoU of the labelled predictions of the present champion, oldest first."""

    def drift(self) -> tuple[float, bool]:
        """The chart in units of its limit, and whether an alarm stands."""

    def challenge(self, new: PairedDataset, hold: PairedDataset, day: int) -> Decision:
        """Fine-tune, judge, and promote if the gate says so."""


@dataclass(frozen=True)
class Start:
    """A training: when, why, the gate's verdict, the lower bound of the gain, and the checks that failed."""

    day: int
    reason: str
    verdict: str
    gain: float
    failed: tuple[str, ...] = ()


@dataclass
class Story:
    """A quarter, one entry per day: true IoU, quality by labels (None before there are enough), the chart in
    units of its limit, whether an alarm stands; and every training."""

    policy: str
    truth: list[float] = field(default_factory=list)
    quality: list[float | None] = field(default_factory=list)
    chart: list[float] = field(default_factory=list)
    alarm: list[bool] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)


def wanted(policy: str, signals: Signals, config: TriggerConfig = TRIGGER) -> str:
    """Why a policy wants to train today; empty if it does not. Without labels neither can."""
    if policy == ON_DRIFT and signals.drift and signals.new_pairs >= config.fewest_pairs:
        return "drift"
    if policy == ON_LABELS and (advice := advise(replace(signals, drift=False), config)).train:
        return "; ".join(advice.reasons)
    return ""


def run_quarter(site: Site, policy: str, scale: str, seed: int, folder: Path) -> Story:
    """Live through the quarter; `folder` keeps the time of the last start."""
    setting, story, used, today = SETTINGS[scale], Story(policy), 0, [0.0]
    cool_down = CoolDown(folder / "last-start.json", clock=lambda: 1e9 + today[0] * 24 * HOUR)
    for day in range(setting.days):
        today[0], pairs = float(day), day_pairs(day, scale, seed)
        outputs = site.translate(pairs)
        story.truth.append(float(iou(outputs, unit_from_uint8(pairs.layout)).mean()))
        if day >= setting.delay:
            site.label(day_pairs(day - setting.delay, scale, seed).subset(range(setting.labels)))
        known, (chart, alarm) = site.qualities(), site.drift()
        enough = len(known) >= RECENT
        quality = float(np.mean(known[-RECENT:])) if enough else None
        reference = float(np.mean(known[:RECENT])) if enough else None
        story.quality.append(quality)
        story.chart.append(chart)
        story.alarm.append(alarm)
        count = max(0, day + 1 - setting.delay) * setting.labels
        reason = wanted(policy, Signals(count - used, quality, reference, alarm))
        if not reason or not cool_down.claim().granted:
            continue
        labelled, used = site.labelled(), count
        new = labelled.subset(range(0, len(labelled), 2)[-setting.taught :])
        hold = labelled.subset(range(1, len(labelled), 2)[-setting.judged :])
        decision = site.challenge(new, hold, day)
        gain = next(c.measured for c in decision.checks if c.name == "new bound")
        failed = tuple(check.name for check in decision.checks if check.passed is not True)
        story.starts.append(Start(day, reason, decision.verdict, gain, failed))
    return story


class Bench:
    """A `Site` in this process: no server, no store."""

    def __init__(self, scale: str, seed: int, folder: Path) -> None:
        self.scale, self.seed, self.folder = scale, seed, folder
        self.run = champion(scale, seed)
        self.predictor = Predictor.load(self.run)
        self.monitor = detector(0, scale)
        self.outputs: dict[str, tuple[Path, Tensor]] = {}
        self.known: list[tuple[Path, float]] = []
        self.pairs: list[PairedDataset] = []

    def translate(self, pairs: PairedDataset) -> Tensor:
        """See `Site`."""
        images = unit_from_uint8(pairs.sem)
        outputs = self.predictor.translate(images)
        self.monitor.update(measure(images, PIXEL_NM))
        self.outputs |= {name: (self.run, y) for name, y in zip(pairs.names, outputs, strict=True)}
        return outputs

    def label(self, pairs: PairedDataset) -> None:
        """See `Site`."""
        self.pairs.append(pairs)
        for name, layout in zip(pairs.names, unit_from_uint8(pairs.layout), strict=True):
            run, output = self.outputs[name]
            self.known.append((run, float(iou(output[None], layout[None]))))

    def labelled(self) -> PairedDataset:
        """See `Site`."""
        return joined(self.pairs)

    def qualities(self) -> list[float]:
        """See `Site`."""
        return [value for run, value in self.known if run == self.run]

    def drift(self) -> tuple[float, bool]:
        """See `Site`."""
        report = self.monitor.report()
        return report.chart / report.limit, report.status == DRIFT

    def challenge(self, new: PairedDataset, hold: PairedDataset, day: int) -> Decision:
        """See `Site`."""
        out = self.folder / f"day-{day:03d}"
        old = {split: old_pairs(split, self.scale, self.seed) for split in ("train", "test")}
        fine_tune(self.run, new, old["train"], replace(TUNING, seed=day), out=out, progress=False)
        challenger = Predictor.load(out)
        decision = judge(self.predictor, challenger, hold, old["test"])
        if decision.promoted:
            self.run, self.predictor = out, challenger
            self.monitor = detector(day, self.scale)
        return decision


def run_policies(seed: int, scale: str) -> dict[str, dict[str, float]]:
    """The same quarter under every policy, from one champion."""
    row = {}
    for policy in POLICIES:
        with tempfile.TemporaryDirectory() as folder:
            story = run_quarter(Bench(scale, seed, Path(folder)), policy, scale, seed, Path(folder))
        row[policy] = summary(story, SETTINGS[scale])
    return row


def summary(story: Story, setting: QuarterSetting) -> dict[str, float]:
    """Mean IoU of the quarter and of its phases, trainings and promotions."""
    phases = [phase_of(day, setting) for day in range(setting.days)]
    parts = {p: [v for v, q in zip(story.truth, phases, strict=True) if q == p] for p in PHASES}
    return {
        "quarter": float(np.mean(story.truth)),
        **{phase: float(np.mean(values)) for phase, values in parts.items()},
        "trainings": float(len(story.starts)),
        "promotions": float(sum(start.verdict == "promote" for start in story.starts)),
    }


def policies_claim(table: Table) -> dict[str, Any]:
    """G38: mean IoU over the quarter, and the means of every arm."""
    numbers = {f"{arm}: {name}": v for arm, found in table.means().items() for name, v in found.items()}
    return {"data": table.values("quarter", ON_DRIFT, ON_LABELS), "numbers": numbers}


SWEEP = Sweep(
    "quarter",
    run_policies,
    SEEDS,
    lambda scale: [
        champion_recipe(scale, 0),
        SETTINGS[scale],
        {name: to_dict(conditions) for name, conditions in CONDITIONS.items()},
        *(TRIGGER, TUNING, GATE, MONITOR, RECENT),
    ],
    {"G38": policies_claim},
)
