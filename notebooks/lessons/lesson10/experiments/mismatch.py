"""Lesson 10: six outputs for one layout, and the orders in which an eye and several judges put them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gantrans.data.printing import edge_distance, printed_coverage
from gantrans.errors import DataError
from gantrans.metrics import compare_topology, corner_radius, iou
from gantrans.teaching.learner.rankings import rank_correlation
from lessons.lesson10.experiments.blindness import judge
from lessons.lesson10.experiments.perturbations import FAULTS, centre, layouts, noisy, ordinary, with_square

WHAT: Mapping[str, tuple[str, float]] = {
    "A": ("shift", 1.0),
    "B": ("bridge", 2.0),
    "C": ("blur", 1.5),
    "D": ("misplaced feature", 1.0),
    "E": ("noise", 0.1),
    "F": ("CD bias", 1.0),
}
"""Letter -> what is wrong with the output, and how much of it."""
BY_METRIC = {"SSIM": ("ssim", True), "PSNR": ("psnr", True), "L1": ("l1", False), "IoU": ("iou", True)}


@dataclass(frozen=True)
class SixOutputs:
    """A layout (1, 1, S, S) and six outputs for it by letter, all in [0, 1]."""

    target: Tensor
    outputs: Mapping[str, Tensor]

    def scores(self) -> dict[str, dict[str, float]]:
        """Letter -> judge -> value; lengths in nm."""
        values = {letter: judge(made, self.target) for letter, made in self.outputs.items()}
        return {letter: {name: float(v[0]) for name, v in row.items()} for letter, row in values.items()}

    def orders(self) -> dict[str, list[str]]:
        """Judge -> the letters, best first. "domain": fewest defects, then smallest EPE."""
        scores = self.scores()
        orders = {
            name: sorted(scores, key=lambda k: scores[k][name] * (-1 if high else 1))
            for name, (_, high) in BY_METRIC.items()
        }
        return orders | {"domain": sorted(scores, key=lambda k: (scores[k]["defects"], scores[k]["EPE"]))}


def misplaced(wide: Tensor, seed: int) -> Tensor:
    """(1, 1, S, S): the smallest feature is gone, and a square stands where nothing should be."""
    made = FAULTS["missing feature"].draw(wide, 1.0, seed)[0]
    square = next(with_square(wide[0, 0], 0, np.random.default_rng(seed)))
    return torch.maximum(made, square[None, None] - wide)


def six_outputs(size: int = 96, seed: int = 0) -> SixOutputs:
    """The first layout of a series on which all six faults can be drawn.

    Raises:
        DataError: none of forty layouts has room for all of them.
    """
    for wide in layouts(40, size, seed).split(1):
        enough = int(compare_topology(centre(wide), centre(wide)).features) >= 6
        possible = [bool(FAULTS[f].draw(wide, s, seed)[1]) for f, s in WHAT.values() if f in FAULTS]
        room = bool(FAULTS["extra feature"].draw(wide, 1.0, seed)[1])
        lost = bool(FAULTS["missing feature"].draw(wide, 1.0, seed)[1])
        if enough and room and lost and all(possible):
            return SixOutputs(centre(wide), {k: _output(wide, *what, seed) for k, what in WHAT.items()})
    raise DataError(f"None of 40 layouts of {size} px has room for all six faults; take larger ones.")


def _output(wide: Tensor, fault: str, strength: float, seed: int) -> Tensor:
    if fault == "noise":
        return noisy(centre(ordinary(wide, seed)), strength, seed)
    if fault == "misplaced feature":
        return centre(ordinary(misplaced(wide, seed), seed))
    return centre(ordinary(FAULTS[fault].draw(wide, strength, seed)[0], seed))


def correlations(size: int, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Judge -> rank correlation of its order of the six with the domain's, one per layout."""
    found: dict[str, list[float]] = {name: [] for name in BY_METRIC}
    for seed in seeds:
        orders = six_outputs(size, seed).orders()
        for name, values in found.items():
            values.append(rank_correlation(orders[name], orders["domain"]))
    return found


def threshold_sweep(
    outputs: Mapping[str, Tensor], target: Tensor, thresholds: Sequence[float]
) -> dict[str, list[float]]:
    """Name -> mean IoU at each threshold of the output; the target is cut at 0.5."""
    mask = (target > 0.5).float()
    return {
        name: [float(_iou_at(made, mask, t).mean()) for t in thresholds] for name, made in outputs.items()
    }


def _iou_at(made: Tensor, mask: Tensor, threshold: float) -> Tensor:
    return iou((made > threshold).float(), mask)


def printed_radius(corner_blur_nm: Sequence[float], *, pixel_nm: float = 5.0) -> list[float]:
    """Mean corner radius in nm of a printed square of 400 nm, for each optical blur; no roughness."""
    side = round(800 / pixel_nm)
    square = torch.zeros(1, side, side)
    square[:, side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = 1.0
    radii = []
    for blur in corner_blur_nm:
        printed = printed_coverage(edge_distance(square, pixel_nm, blur), pixel_nm)
        radii.append(float(corner_radius(printed[None], square[None], pixel_nm, leg_px=24).mean))
    return radii
