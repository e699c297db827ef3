"""Lesson 13: where the quarter runs: the interface `Site`, and `Bench`, a site in this process."""

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from torch import Tensor

from gantrans.data import PairedDataset
from gantrans.images import unit_from_uint8
from gantrans.metrics import iou
from gantrans.operations.drift.detector import DRIFT
from gantrans.operations.drift.profile import measure
from gantrans.operations.promotion.challenge_pairs import Windows
from gantrans.operations.promotion.cycle import judge
from gantrans.operations.promotion.finetune import FineTuneConfig, fine_tune
from gantrans.operations.promotion.gate import Decision, GateConfig
from gantrans.translation import Predictor
from lessons.lesson13.experiments.quarter_setting import KEPT, champion, day_of, detector, ious, joined
from lessons.shared.process_change import PIXEL_NM

GATE = GateConfig(
    alpha=0.05, old_margin=0.05, family_margin=0.3, defect_rule="margin", defect_margin=1.0
)  # fmt: skip
"""Wider than the library's: this translator is small, and a hold-out of some twenty labels judges first. A
family is one to ten images there, and in 32 px with gaps of a pixel opens and bridges are mostly noise: both
margins refuse gross faults alone."""


class Site(Protocol):
    """Where the loop runs: in this process, or behind a server (`live_quarter`)."""

    def translate(self, pairs: PairedDataset) -> Tensor:
        """Translate the images of a day; (N, 1, H, W) in [0, 1]."""

    def label(self, pairs: PairedDataset) -> None:
        """Labels arrive for some images that were translated."""

    def labelled(self) -> PairedDataset:
        """Every pair with a label, oldest image first."""

    def qualities(self) -> list[tuple[int, float]]:
        """Day of the image, and IoU, of every labelled prediction of whatever served, oldest image first."""

    def scores(self, pairs: PairedDataset) -> Tensor:
        """IoU of the present champion on pairs, (N,)."""

    def scores_before(self, pairs: PairedDataset) -> Tensor:
        """IoU of the champion before the present one on pairs, (N,); there must be one."""

    def drift(self) -> tuple[float, bool]:
        """The chart of the input monitor in units of its limit, and whether an alarm stands."""

    def challenge(self, windows: Windows, day: int, tuning: FineTuneConfig) -> Decision:
        """Fine-tune, judge, and promote if the gate says so."""

    def promote(self, why: str) -> None:
        """Promote the challenger that was refused last, by hand."""

    def roll_back(self, why: str) -> None:
        """Return to the champion before."""

    def retire(self, day: int, since: int, why: str) -> None:
        """Note on `day` that a new regime began on the day `since`; the input monitor is fitted to it."""


class Bench:
    """A `Site` in this process: no server, no store, and no registry but a list of runs."""

    def __init__(self, scale: str, seed: int, folder: Path, scenario: str = KEPT) -> None:
        self.scale, self.seed, self.folder, self.scenario = scale, seed, folder, scenario
        run = champion(scale, seed)
        self.line = [(run, Predictor.load(run))]
        self.refused: tuple[Path, Predictor] | None = None
        self.monitor = detector(0, scale, scenario)
        self.outputs: dict[str, Tensor] = {}
        self.known: list[tuple[int, float]] = []
        self.pairs: list[PairedDataset] = []
        self.runs = 0

    @property
    def run(self) -> Path:
        """The run of the champion."""
        return self.line[-1][0]

    @property
    def predictor(self) -> Predictor:
        """The champion."""
        return self.line[-1][1]

    def translate(self, pairs: PairedDataset) -> Tensor:
        """See `Site`."""
        images = unit_from_uint8(pairs.sem)
        outputs = self.predictor.translate(images)
        self.monitor.update(measure(images, PIXEL_NM))
        self.outputs |= dict(zip(pairs.names, outputs, strict=True))
        return outputs

    def label(self, pairs: PairedDataset) -> None:
        """See `Site`."""
        self.pairs.append(pairs)
        for name, layout in zip(pairs.names, unit_from_uint8(pairs.layout), strict=True):
            self.known.append((day_of(name), float(iou(self.outputs[name][None], layout[None]))))

    def labelled(self) -> PairedDataset:
        """See `Site`."""
        return joined(self.pairs)

    def qualities(self) -> list[tuple[int, float]]:
        """See `Site`."""
        return self.known

    def scores(self, pairs: PairedDataset) -> Tensor:
        """See `Site`."""
        return ious(self.predictor, pairs)

    def scores_before(self, pairs: PairedDataset) -> Tensor:
        """See `Site`."""
        return ious(self.line[-2][1], pairs)

    def drift(self) -> tuple[float, bool]:
        """See `Site`."""
        report = self.monitor.report()
        return report.chart / report.limit, report.status == DRIFT

    def challenge(self, windows: Windows, day: int, tuning: FineTuneConfig) -> Decision:
        """See `Site`."""
        self.runs += 1
        out = self.folder / f"day-{day:03d}-{self.runs}"
        fine_tune(self.run, windows.new, windows.replay, replace(tuning, seed=day), out=out, progress=False)
        challenger = Predictor.load(out)
        decision = judge(self.predictor, challenger, windows, GATE)
        if decision.promoted:
            self.line.append((out, challenger))
        self.refused = None if decision.promoted else (out, challenger)
        return decision

    def promote(self, why: str) -> None:
        """See `Site`."""
        assert self.refused is not None
        self.line.append(self.refused)

    def roll_back(self, why: str) -> None:
        """See `Site`."""
        self.line.pop()

    def retire(self, day: int, since: int, why: str) -> None:
        """See `Site`."""
        self.monitor = detector(day, self.scale, self.scenario)
