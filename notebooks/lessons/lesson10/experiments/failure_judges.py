"""Lesson 10: what names each failure of the gallery, with and without a target.

A judge that names a failure is one number per image for a sound output and for the failing one, of the same
inputs; the change is the mean of the paired differences, with a 95 % interval over images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gantrans.images import network_from_unit
from gantrans.metrics import cd_error, epe, find_runs, grey_share, iou, l1, ssim
from gantrans.metrics.contours import Floats
from gantrans.teaching.claims.verdicts import proportion_interval, t_interval
from lessons.lesson05.experiments.patches import spectrum_distance
from lessons.lesson07.experiments.arrays import Arrays, crop
from lessons.lesson10.experiments.blindness import BETTER_HIGH, judge, known_mean, known_spread
from lessons.lesson10.experiments.gallery import PIXEL_NM, Shown

LEVEL = 0.95
STRIP_PX = 8
"""Rows of a strip in which one CD is read."""
FALSE_ALARMS = 0.05


def layout_moves(shown: Shown) -> dict[str, float]:
    """How far each judge of layouts moves from sound to failing outputs, in standard deviations over images.

    Worse is positive; NaN where a judge is not defined. Defects are counted per image, not divided.
    """
    sound, failing = judge(shown.sound, shown.target), judge(shown.failing, shown.target)
    moves = {}
    for name, values in failing.items():
        sign = -1.0 if name in BETTER_HIGH else 1.0
        gap = sign * (known_mean(values) - known_mean(sound[name]))
        moves[name] = gap if name == "defects" else gap / known_spread(sound[name])
    return moves


# ---- one number per image, (N,)


def cd_spread(made: Tensor, target: Tensor) -> Floats:
    """How unequal lines come out: standard deviation of the CD error over strips of an image, nm.

    NaN for an image with fewer than two strips in which a CD can be read.
    """
    made_strips, target_strips = (
        x.unfold(2, STRIP_PX, STRIP_PX).permute(0, 2, 1, 4, 3).flatten(0, 1) for x in (made, target)
    )
    signed = cd_error(made_strips, target_strips, PIXEL_NM).signed.reshape(len(made), -1).numpy()
    return np.array([known_spread(row, ddof=1) for row in signed])


def gap_filled(made: Tensor, arrays: Arrays) -> Floats:
    """Share of the place of a missing line or a wider gap in which something is drawn, in %; the truth is 0.

    NaN for an array whose change is another one.
    """
    there = [place is not None and kind != "doubled contact"
             for place, kind in zip(arrays.places, arrays.pairs.family, strict=True)]  # fmt: skip
    shares = [
        100 * float((crop(image, place) > 0.5).float().mean()) if gap and place is not None else np.nan
        for image, place, gap in zip(made, arrays.places, there, strict=True)
    ]
    return np.array(shares)


def edge_slope(made: Tensor, layout: Tensor, reach: int = 4) -> Floats:
    """Steepest step of the mean grey-value profile across an image's drawn vertical edges, per pixel.

    The mean over edges takes the noise away, which a single step would be full of.
    """
    slopes = []
    for image, drawn in zip(made[:, 0], layout, strict=True):
        runs = find_runs(drawn[None])
        inside = runs.complete & (runs.first > reach) & (runs.first < image.shape[-1] - reach)
        rows, first = torch.from_numpy(runs.line[inside]), torch.from_numpy(runs.first[inside])
        profile = image[rows[:, None], first[:, None] + torch.arange(-reach, reach)].mean(0)
        slopes.append(float(profile.diff().abs().max()) if len(rows) else np.nan)
    return np.array(slopes)


def stride_line(images: Tensor) -> Floats:
    """Power at a period of two pixels over that at nearby periods, dB: 0 without a checkerboard."""
    values = images[:, 0].double()
    power = torch.fft.fft2(values - values.mean((-2, -1), keepdim=True)).abs().square()
    half = power.shape[-1] // 2
    near = [half + k for k in (-4, -3, -2, 2, 3, 4)]
    line = power[:, half].mean(-1) + power[:, :, half].mean(-1)
    beside = power[:, near].mean((1, 2)) + power[:, :, near].mean((1, 2))
    return (10 * torch.log10(line / beside)).numpy()


def sem_scores(images: Tensor, real: Tensor, layout: Tensor) -> dict[str, float]:
    """Judges of SEM images of these layouts against the real ones, (N, 1, S, S) in [0, 1]; means."""
    distance, fine = spectrum_distance(images, real)
    return {
        "L1": float(l1(images, real).mean()),
        "SSIM": float(ssim(images, real, data_range=1.0).mean()),
        "edge slope": known_mean(edge_slope(images, layout)),
        "spectrum distance": distance,
        "fine half": fine,
        "line at 2 px": float(stride_line(images).mean()),
    }


# ---- failure by failure


@dataclass(frozen=True)
class Named:
    """A failure, the judge that names it, its unit, and its values for sound and failing outputs, (N,)."""

    failure: str
    judge: str
    unit: str
    sound: Floats
    failing: Floats

    @property
    def change(self) -> tuple[float, float, float]:
        """Mean of the paired differences with its interval, over the images that both define."""
        difference = self.failing - self.sound
        return tuple(float(v) for v in t_interval(difference[np.isfinite(difference)], LEVEL))  # type: ignore[return-value]


def named(failures: Mapping[str, Shown], arrays: Arrays) -> list[Named]:
    """Each failure of the gallery by a judge that names it."""

    def of(failure: str, judge: str, unit: str, score: object) -> Named:
        shown = failures[failure]
        assert callable(score)
        return Named(failure, judge, unit, score(shown, shown.sound), score(shown, shown.failing))

    def placed(shown: Shown, made: Tensor) -> Floats:
        return epe(made, shown.target, PIXEL_NM).mean.numpy()

    def spread(shown: Shown, made: Tensor) -> Floats:
        return cd_spread(made, shown.target)

    return [
        of("hallucination", "drawn in the gap", "%", lambda shown, made: gap_filled(made, arrays)),
        of("inconsistent structure", "CD spread", "nm", spread),
        of("inconsistent structure", "EPE", "nm", placed),
        of("misaligned pairs", "EPE", "nm", placed),
        of("misaligned pairs", "CD spread", "nm", spread),
        of("shifted skips", "EPE", "nm", placed),
        of("silent failure", "CD error", "nm", lambda shown, made: width_error(made, shown.target)),
        of("blur", "edge slope", "per px", lambda shown, made: edge_slope(made, shown.source)),
        of("checkerboard", "line at 2 px", "dB", lambda shown, made: stride_line(made)),
    ]


def width_error(made: Tensor, target: Tensor) -> Floats:
    """Signed CD error per image, nm."""
    return cd_error(made, target, PIXEL_NM).signed.numpy()


def clearest(shown: Shown, arrays: Arrays) -> list[int]:
    """Images of the hallucination in the order in which they show it best.

    The failing network fills the gap, the sound one does not and is right elsewhere too.
    """
    more = gap_filled(shown.failing, arrays) - gap_filled(shown.sound, arrays)
    clear = np.nan_to_num(more, nan=-100.0) + 100 * iou(shown.sound, shown.target).numpy()
    return [int(i) for i in np.argsort(-clear, kind="stable")]


def against_shift(
    outputs: Mapping[str, Tensor], target: Tensor, shifts: Sequence[int]
) -> dict[str, dict[str, list[float]]]:
    """Judge -> output -> mean score against the target moved down and right by each of `shifts`, px.

    What the moved target does not cover is left out, alike for all shifts.
    """
    most = max(shifts)
    scores: dict[str, dict[str, list[float]]] = {"L1": {}, "SSIM": {}, "EPE": {}}
    for name, made in outputs.items():
        kept = made[..., most:, most:]
        for values in scores.values():
            values[name] = []
        for k in shifts:
            moved = target.roll((k, k), (-2, -1))[..., most:, most:]
            scores["L1"][name].append(float(l1(kept, moved).mean()))
            scores["SSIM"][name].append(float(ssim(kept, moved, data_range=1.0).mean()))
            scores["EPE"][name].append(float(epe(kept, moved, PIXEL_NM).mean.nanmean()))
    return scores


# ---- without a target


@dataclass(frozen=True)
class Monitor:
    """A number of every output, in a usual and in another process, and how often an alarm on it rings."""

    usual: float
    other: float
    change: tuple[float, float, float]
    alarms: tuple[float, float, float]
    """Share of the outputs of the other process, %, with interval; 5 % of the usual ones ring it too."""


def monitors(shown: Shown) -> dict[str, Monitor]:
    """What can be read off outputs alone: the share that is drawn, the undecided share, the mean width.

    The last row is no monitor: the CD error needs the target.
    """
    numbers = {
        "drawn (% of pixels)": [
            100 * (x > 0.5).float().mean((1, 2, 3)).numpy() for x in (shown.sound, shown.failing)
        ],
        "undecided (% of pixels)": [
            100 * grey_share(network_from_unit(x)).numpy() for x in (shown.sound, shown.failing)
        ],
        "mean width (nm)": [mean_width(x) for x in (shown.sound, shown.failing)],
        "with a target: CD error (nm)": [width_error(x, shown.target) for x in (shown.sound, shown.failing)],
    }
    return {name: _monitor(*(np.asarray(v, float) for v in values)) for name, values in numbers.items()}


def mean_width(made: Tensor, widest_px: float = 16.0) -> Floats:
    """Mean width along rows of what is drawn, nm; runs up to `widest_px`: across features, not along them."""
    runs = find_runs(made)
    width = runs.end - runs.start
    chosen = runs.complete & (width < widest_px)
    count = np.bincount(runs.image[chosen], minlength=len(made))
    total = np.bincount(runs.image[chosen], width[chosen], minlength=len(made)) * PIXEL_NM
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _monitor(usual: Floats, other: Floats) -> Monitor:
    known = np.isfinite(usual) & np.isfinite(other)
    usual, other = usual[known], other[known]
    rings = int((other > np.quantile(usual, 1 - FALSE_ALARMS)).sum())
    change = tuple(float(v) for v in t_interval(other - usual, LEVEL))
    alarms = tuple(100 * v for v in proportion_interval(rings, len(other), LEVEL))
    return Monitor(float(usual.mean()), float(other.mean()), change, alarms)  # type: ignore[arg-type]
