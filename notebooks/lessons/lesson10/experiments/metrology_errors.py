"""Lesson 10: how far CD, EPE and LER of edges that were read are from those of the true edges, in nm.

CD and LER are taken over all rows of a line. EPE comes from `epe`, which judges networks: every line is
drawn again as it was read and as it is, one raster each, and compared with the line as it was drawn. So does
a second CD, from `cd_error`, which leaves out the cuts on which it finds no such line. An error is what is
measured of the line as read minus the same of the line as it is. Its mean over lines is the bias, its
standard deviation the spread. Lines of one clip lie alike on the pixels: intervals come from drawing clips
again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gantrans.metrics import CDError, cd_error, edge_residuals, epe, ler, noise_variance
from gantrans.metrics.contours import Floats
from lessons.lesson10.experiments.metrology_truth import (
    DOSES,
    PIXELS_NM,
    REACH_NM,
    WIDTH_NM,
    WINDOW_LER,
    Edges,
    Readings,
    readings,
)

RESAMPLES, LEVEL = 1000, 0.95
BLIND_SHARE = 2 / 3
"""Of the window's own LER: beyond that a reading says more about the window than about the line."""
NOISELESS = 1e6
"""Electrons per pixel at which no noise is left to speak of."""
TruthTable = Mapping[tuple[str, float, float], "Agreement"]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval over clips, nm."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """How readings agree with the truth: bias and spread by quantity, and the true LER, nm; lost cuts.

    The corrected LER needs the mean spectrum of many edges: it is one number for all lines, without a spread.
    By the threshold there are CD and LER alone.
    """

    bias: Mapping[str, Estimate]
    spread: Mapping[str, Estimate]
    true_ler: float
    lost: float
    """Share of the cuts that `cd_error` cannot match."""

    @property
    def blind(self) -> bool:
        """Whether the LER as read is near that of a reader that sees nothing (`WINDOW_LER`)."""
        return self.true_ler + self.bias["LER"].value >= BLIND_SHARE * WINDOW_LER


def as_read(edges: Edges, drawn: Edges, pixel_nm: float) -> Tensor:
    """One raster per line with the area that its edges enclose, (lines, 1, rows, columns) in [0, 1].

    Cut out of the clip at whole pixels, so that the line lies on the pixels as it does there.
    """
    reach = REACH_NM + 2 * pixel_nm
    first = torch.floor((drawn.left[:, :1] - reach) / pixel_nm)
    columns = torch.arange(int((WIDTH_NM + 2 * reach) / pixel_nm) + 2)
    left, right = ((side / pixel_nm - first)[..., None] for side in (edges.left, edges.right))
    inside = torch.minimum(right, columns + 0.5) - torch.maximum(left, columns - 0.5)
    return inside.clamp(0, 1).unsqueeze(1)


Judged = tuple[Floats, CDError]


def agreement(readings: Readings, by: str, judged: Judged | None = None) -> Agreement:
    """Of the readings by one of `READERS` with the truth.

    Args:
        judged: `judge_lines` of the true edges, if it is known: it does not depend on the dose.
    """
    seen, true = readings.seen(by), readings.true
    off = {
        "CD": ((seen.right - seen.left) - (true.right - true.left)).mean(1).numpy(),
        "LER": _ler(seen) - _ler(true),
    }
    true_ler = float(np.sqrt((_ler(true) ** 2).mean()))
    if by == "threshold":
        return Agreement(*_over_lines(off, readings.clips), true_ler, np.nan)
    placed, cut = judge_lines(seen, readings)
    truly_placed, truly_cut = judged or judge_lines(true, readings)
    off["EPE"] = placed - truly_placed
    off["CD by cd_error"] = cut.signed.numpy() - truly_cut.signed.numpy()
    bias, spread = _over_lines(off, readings.clips)
    power = _corrected_power(seen, readings.pixel_nm).reshape(readings.clips, -1)
    bias["corrected LER"] = _over_clips(power, lambda p: 3 * np.sqrt(np.maximum(0.0, p.mean(-1))) - true_ler)
    return Agreement(bias, spread, true_ler, float(cut.unmatched.sum()) / float(cut.cuts.sum()))


def _over_lines(off: Mapping[str, Floats], clips: int) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Bias and spread of errors by line, {quantity: (lines,)}."""
    by_clip = {name: values.reshape(clips, -1) for name, values in off.items()}
    bias = {name: _over_clips(values, _mean) for name, values in by_clip.items()}
    return bias, {name: _over_clips(values, _spread) for name, values in by_clip.items()}


def judge_lines(edges: Edges, readings: Readings) -> Judged:
    """Mean edge placement error of each line against the drawn one, (lines,), and its CD error."""
    image, drawn = (as_read(e, readings.drawn, readings.pixel_nm) for e in (edges, readings.drawn))
    return epe(image, drawn, readings.pixel_nm).mean.numpy(), cd_error(image, drawn, readings.pixel_nm)


def _ler(edges: Edges) -> Floats:
    """LER of each line, both edges together: (lines,) nm."""
    return ((ler(edges.left).square() + ler(edges.right).square()) / 2).sqrt().numpy()


def _corrected_power(edges: Edges, pixel_nm: float) -> Floats:
    """Mean square of each line's residuals without the noise floor, nm^2: (lines,); the mean is unbiased."""
    pairs = torch.stack([edges.left, edges.right], 1)
    whole = edge_residuals(pairs).square().mean((1, 2)).numpy()
    return whole - np.array([noise_variance(pair, pixel_nm) for pair in pairs])


def _mean(values: Floats) -> Floats:
    return np.nanmean(values, -1)


def _spread(values: Floats) -> Floats:
    return np.nanstd(values, -1, ddof=1)


def _over_clips(values: Floats, statistic: Callable[[Floats], Floats]) -> Estimate:
    """A statistic of (clips, lines), and what it is in the middle 95 % of draws of as many clips."""
    draw = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(
        statistic(values[draw].reshape(RESAMPLES, -1)), [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    )
    return Estimate(float(statistic(values.reshape(1, -1))[0]), float(low), float(high))


def truth_table(
    count: int, *, pixels: Sequence[float] = PIXELS_NM, doses: Sequence[float] = DOSES, seed: int = 0
) -> TruthTable:
    """(one of `READERS`, pixel size, dose) -> `Agreement`. The coverage does not depend on the dose."""
    table = {}
    for pixel_nm in pixels:
        first = readings(pixel_nm, doses[0], count, seed)
        judged = judge_lines(first.true, first)
        table["coverage", pixel_nm, np.inf] = agreement(first, "coverage", judged)
        for dose in doses:
            seen = readings(pixel_nm, dose, count, seed)
            table["sem", pixel_nm, dose] = agreement(seen, "sem", judged)
            table["threshold", pixel_nm, dose] = agreement(seen, "threshold")
    return table


def dose_per_area(pixel_nm: float, dose: float) -> float:
    """Electrons per square nanometre, of a dose in electrons per pixel: what a sample (and a tool) pays."""
    return dose / pixel_nm**2


def without_noise(
    count: int, *, pixels: Sequence[float] = PIXELS_NM, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Pixel size -> what is left of the errors when no noise is: true LER, LER as read, spread of the CD.

    "rows alike" is the correlation of an edge's errors on neighbouring rows. Noise has 0.
    """
    table = {}
    for pixel_nm in pixels:
        seen = readings(pixel_nm, NOISELESS, count, seed)
        found = agreement(seen, "sem")
        error = edge_residuals(seen.sem.both) - edge_residuals(seen.true.both)
        alike = (error[:, 1:] * error[:, :-1]).mean() / error.square().mean()
        table[f"{pixel_nm:g} nm"] = {
            "LER true": found.true_ler,
            "LER read": found.true_ler + found.bias["LER"].value,
            "CD spread": found.spread["CD"].value,
            "rows alike": float(alike),
        }
    return table
