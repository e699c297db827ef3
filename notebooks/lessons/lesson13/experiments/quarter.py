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

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from gantrans.config import to_dict
from gantrans.data import BatchSource, LayoutConfig, PairedDataset, context_px, procedural_layouts, simulate
from gantrans.data.streams import stream_seeds
from gantrans.images import uint8_from_unit, unit_from_uint8
from gantrans.metrics import iou
from gantrans.networks import UNetConfig
from gantrans.operations.drift.charts import ChartConfig
from gantrans.operations.drift.detector import DRIFT, DriftConfig, DriftDetector
from gantrans.operations.drift.profile import measure
from gantrans.operations.promotion.comparison import compare
from gantrans.operations.promotion.finetune import FineTuneConfig, fine_tune
from gantrans.operations.promotion.gate import Decision, GateConfig, decide
from gantrans.operations.promotion.triggers import HOUR, CoolDown, Signals, TriggerConfig, advise
from gantrans.teaching.runs import train_or_load
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from gantrans.training import fit
from gantrans.translation import Pix2PixTask, Predictor, Recipe
from gantrans.translation.recipes import production_recipe
from lessons.shared.process_change import CONDITIONS, DIRECTION, PIXEL_NM

PHASES = ("old", "new", "redrawn")
ON_DRIFT, ON_LABELS, NEVER = "trigger on drift", "trigger on labels", "never train"
POLICIES = (ON_DRIFT, ON_LABELS, NEVER)
SEEDS: Mapping[str, int] = {"smoke": 2, "reduced": 6, "full": 6}
TRIGGER = TriggerConfig(enough_pairs=240, fewest_pairs=72, quality_loss=0.08)
"""Labels are counted before they are halved."""
TUNING = FineTuneConfig(epochs=6, rate=0.3, share=0.5)
GATE = GateConfig(alpha=0.05, old_margin=0.05, family_margin=0.15, new_defects=48)
"""Wider than the library's: this translator is young, and its hold-outs are small."""
RECENT = 20  # labelled predictions whose mean is the quality of today
MONITOR = DriftConfig(chart=ChartConfig(block=25))


@dataclass(frozen=True)
class QuarterSetting:
    """Sizes at one scale.

    days, changes: length, and the first days of "new" and of "redrawn". images, labels: per day. delay: days
    from an image to its label. steps, old: of the champion's training. reference: images that the input
    monitor is fitted to. taught, judged: of the newest labelled pairs. size: of images in pixels.
    """

    days: int = 90
    changes: tuple[int, int] = (30, 60)
    images: int = 25
    labels: int = 12
    delay: int = 3
    steps: int = 300
    old: int = 512
    reference: int = 8000
    taught: int = 48
    judged: int = 48
    size: int = 32


SETTINGS: Mapping[str, QuarterSetting] = {
    "smoke": QuarterSetting(9, (3, 6), 12, 12, 1, 6, 24),
    "reduced": QuarterSetting(),
    "full": QuarterSetting(steps=4000, old=2000, size=64),
}


def phase_of(day: int, setting: QuarterSetting) -> str:
    """The conditions of a day, one of `PHASES`."""
    return PHASES[sum(day >= change for change in setting.changes)]


@lru_cache(maxsize=400)
def phase_pairs(phase: str, split: str, size: int, seed: int, count: int) -> PairedDataset:
    """Images and drawings under the conditions of a phase; every split has its own layouts and noise."""
    (stream,) = stream_seeds(seed, f"quarter/{split}", [0])
    drawn = procedural_layouts(
        LayoutConfig(size, PIXEL_NM), stream, range(count), margin_px=context_px(PIXEL_NM)
    )
    sem = simulate(drawn, CONDITIONS["old" if phase == "old" else "new"], stream, range(count)).sem
    layout = drawn.clip if phase != "redrawn" else -max_pool2d(-drawn.clip, 3, 1, 1)
    names = [f"{split.replace(' ', '-')}-{i:04d}" for i in range(count)]
    return PairedDataset(uint8_from_unit(sem), uint8_from_unit(layout), list(drawn.family), PIXEL_NM, names)


def day_pairs(day: int, scale: str, seed: int) -> PairedDataset:
    """The images of a day, with drawings that only labels will tell."""
    setting = SETTINGS[scale]
    return phase_pairs(phase_of(day, setting), f"day {day:03d}", setting.size, seed, setting.images)


def old_pairs(split: str, scale: str, seed: int) -> PairedDataset:
    """Pairs of the first phase: "train", what the champion knows, or "test", a hold-out of 96."""
    setting = SETTINGS[scale]
    return phase_pairs("old", split, setting.size, seed, setting.old if split == "train" else 96)


def champion_recipe(scale: str, seed: int) -> Recipe:
    """The production recipe for small images, so that a quarter takes a minute."""
    chosen, setting = production_recipe(scale, seed=seed), SETTINGS[scale]
    assert isinstance(chosen.task.generator, UNetConfig)
    base = 16 if scale == "reduced" else chosen.task.generator.base_filters
    generator = replace(chosen.task.generator, base_filters=base, n_down=3, attention=(0,))
    task = replace(chosen.task, generator=generator)
    if scale == "reduced":
        assert task.discriminator is not None
        task = replace(task, discriminator=replace(task.discriminator, base_filters=8), lr_generator=2e-3)
    every = setting.steps
    fitting = replace(chosen.fit, steps=every, monitor=None, validate_every=every, checkpoint_every=every)
    data = replace(chosen.data, size=setting.size, count=setting.old)
    return replace(chosen, task=task, data=data, fit=fitting)


def champion(scale: str, seed: int = 0) -> Path:
    """The run of the translator that is in production on day 0, trained on old pairs (or loaded)."""
    chosen = champion_recipe(scale, seed)

    def train(folder: Path) -> dict[str, float]:
        batches = BatchSource(old_pairs("train", scale, seed), DIRECTION, chosen.batch_size, seed)
        task, extra = Pix2PixTask(chosen.task, seed), {"recipe": to_dict(chosen)}
        fit(task, batches, chosen.fit, out=folder, extra=extra, progress=False)
        return {"IoU": float(ious(Predictor.load(folder), old_pairs("test", scale, seed)).mean())}

    data = {"conditions": to_dict(CONDITIONS["old"]), "setting": to_dict(SETTINGS[scale])}
    return train_or_load(chosen, train, lambda folder: folder, name="quarter", data=data)


def ious(predictor: Predictor, pairs: PairedDataset) -> Tensor:
    """IoU of each image, (N,)."""
    return iou(predictor.translate(unit_from_uint8(pairs.sem)), unit_from_uint8(pairs.layout))


def detector(day: int, scale: str) -> DriftDetector:
    """The input monitor, fitted to images like those of a day; the same fit in every quarter."""
    setting = SETTINGS[scale]
    phase = "old" if phase_of(day, setting) == "old" else "new"  # of "new" and "redrawn" images are alike
    return copy.deepcopy(_fitted(phase, setting.size, setting.reference))


@lru_cache(maxsize=2)
def _fitted(phase: str, size: int, count: int) -> DriftDetector:
    images = phase_pairs.__wrapped__(phase, "reference", size, 0, count).sem
    return DriftDetector.fit(measure(unit_from_uint8(images), PIXEL_NM), MONITOR)


def joined(parts: Sequence[PairedDataset]) -> PairedDataset:
    """Several sets of pairs, one after the other."""
    return PairedDataset(
        torch.cat([p.sem for p in parts]),
        torch.cat([p.layout for p in parts]),
        [f for p in parts for f in p.family],
        PIXEL_NM,
        [n for p in parts for n in p.names],
    )


def judge(
    before: Predictor, after: Predictor, hold: PairedDataset, old: PairedDataset, smoke_problem: str = ""
) -> Decision:
    """The gate. All versions have one architecture, so latencies are taken as equal and not timed."""
    new, known = (compare(before, after, pairs, pairs.names) for pairs in (hold, old))
    return decide(new, known, latency=([1.0] * 20, [1.0] * 20), smoke_problem=smoke_problem, config=GATE)


# ---- the loop


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


# ---- the sweep


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
