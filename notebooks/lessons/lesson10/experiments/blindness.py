"""Lesson 10: how far every metric moves for a fault, in two units, and to what it is blind.

Both units are standard deviations of a metric over good outputs without a defect. "same layout": over draws
of the wandering edges of one layout, pooled over layouts. It is the unit of a paired comparison: two outputs
of one input. "any layout": over layouts. It is the unit of a gate, which holds one threshold against every
input, easy or hard. A fault that moves a metric by less than one unit cannot be told from a good output.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gantrans.metrics import corner_radius, image_report
from lessons.lesson10.experiments.perturbations import FAULTS, PIXEL_NM, centre, layouts, noisy, ordinary

JUDGES = {
    "L1": "l1",
    "PSNR": "psnr",
    "SSIM": "ssim",
    "IoU": "iou",
    "EPE": "epe",
    "Hausdorff": "hausdorff",
    "|CD error|": "cd_error_abs",
    "LER": "ler",
}
"""Name in the tables -> name in `image_report`; the defects and the corner radius come on top."""
STANDARD = ("L1", "PSNR", "SSIM", "IoU")
"""The judges that compare pixels or windows, not geometry."""
BETTER_HIGH = ("PSNR", "SSIM", "IoU")
SAME, ANY = "same layout", "any layout"
UNITS = (SAME, ANY)
DRAWS = 8
"""Good outputs per layout."""
Values = Mapping[str, NDArray[np.float64]]
Moves = Mapping[tuple[str, float], Mapping[str, float]]
"""(fault, strength) -> judge -> mean move; worse is positive."""


def judge(made: Tensor, target: Tensor) -> dict[str, NDArray[np.float64]]:
    """All judges per image, (N,) each: lengths in nm, NaN where an image does not define one."""
    report = image_report(made, target, PIXEL_NM).per_image
    values = {name: report[key] for name, key in JUDGES.items()}
    values["corner radius"] = corner_radius(made, target, PIXEL_NM).mean.numpy()
    values["defects"] = np.sum([report[k] for k in ("opens", "bridges", "missing", "extra")], axis=0)
    return values


@dataclass(frozen=True, eq=False)
class Stage:
    """Layouts with margin, what good outputs of them score, and the spread of that in both senses."""

    wide: Tensor
    seed: int
    good: Values
    units: Mapping[str, Mapping[str, float]]

    @property
    def target(self) -> Tensor:
        """The true layouts, (N, 1, S, S)."""
        return centre(self.wide)

    def output(self, fault: str, strength: float) -> tuple[Tensor, Tensor]:
        """Outputs with a fault and ordinary imperfections, and (N,) where the fault was possible."""
        faulty, possible = FAULTS[fault].draw(self.wide, strength, self.seed)
        if fault == "noise":  # of the output's grey values: softening afterwards would take it away
            return noisy(centre(ordinary(self.wide, self.seed)), strength, self.seed), possible
        return centre(ordinary(faulty, self.seed)), possible

    def moves(self, made: Tensor) -> dict[str, NDArray[np.float64]]:
        """How far each judge moves against the good output of the same layout, (N,) each; worse is positive.

        As measured; `in_units` divides.
        """
        signs = {name: -1.0 if name in BETTER_HIGH else 1.0 for name in self.good}
        return {n: signs[n] * (v - self.good[n]) for n, v in judge(made, self.target).items()}

    def in_units(self, moves: Mapping[str, float], unit: str = SAME) -> dict[str, float]:
        """Moves over one of `UNITS`. Defects are not divided: one more defect is 1."""
        return {name: float(value) / self.units[unit][name] for name, value in moves.items()}


@lru_cache(maxsize=4)
def stage(count: int, size: int, seed: int = 0) -> Stage:
    """Layouts, the judges' values for good outputs of them, and how these vary."""
    wide = layouts(count, size, seed)
    draws = [judge(centre(ordinary(wide, seed + k)), centre(wide)) for k in range(DRAWS)]
    units: dict[str, dict[str, float]] = {SAME: {}, ANY: {}}
    for name, first in draws[0].items():
        values = np.array([np.where(draw["defects"] == 0, draw[name], np.nan) for draw in draws])
        of_one = np.array([known_spread(column, ddof=1) for column in values.T])
        units[SAME][name] = known_mean(of_one**2) ** 0.5
        units[ANY][name] = known_spread(first)
    for unit in units.values():
        unit["defects"] = 1.0
    return Stage(wide, seed, draws[0], units)


@lru_cache(maxsize=16)
def moves_at(on: Stage, grade: int) -> Moves:
    """Mean moves over the images that could have the fault, as measured; `grade` is 1 (weakest) to 4."""
    table = {}
    for name, fault in FAULTS.items():
        strength = fault.levels[grade - 1]
        made, possible = on.output(name, strength)
        table[name, strength] = {n: known_mean(v[possible.numpy()]) for n, v in on.moves(made).items()}
    return table


def in_units(on: Stage, grade: int, unit: str = SAME) -> Moves:
    """`moves_at` in one of `UNITS`."""
    return {row: on.in_units(moves, unit) for row, moves in moves_at(on, grade).items()}


def most_moved(rows: Moves, among: Sequence[str] = STANDARD) -> dict[tuple[str, float], str]:
    """Which of some judges moves furthest for each fault."""
    return {row: max(among, key=lambda name: abs(moves[name])) for row, moves in rows.items()}


def known_mean(values: NDArray[np.float64]) -> float:
    """Mean of what is not NaN; NaN if all is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def known_spread(values: NDArray[np.float64], ddof: int = 0) -> float:
    """Standard deviation of what is not NaN; NaN for fewer than two values."""
    known = values[~np.isnan(values)]
    return float(known.std(ddof=ddof)) if len(known) > 1 else float("nan")
