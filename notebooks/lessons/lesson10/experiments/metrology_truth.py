"""Lesson 10: what a metrologist reads off an SEM image against what the simulator knows to be there.

Vertical lines with random phase, printed with roughness and imaged at several pixel sizes and doses. The true
edge on each row is where the printed shape's signed distance crosses zero. It is read back from the printed
coverage (what a perfect network would give: pixel size alone), and from the SEM image, row by row, after a
blur along the row (never across rows: that would hide roughness and noise alike), by two rules: as the
brightest point within 60 nm of the *drawn* edge, and as the place outside of that point where the signal has
fallen half way to the level of the space, as CD-SEMs have it. Both begin at the drawing, so both readers are
told a part of the answer: where the signal is lost in noise the brightest point lies anywhere in the window,
which is centred on the drawn edge, and the mean CD goes back to the drawn one. `WINDOW_LER` is what a reader
finds that sees nothing. How far the readers are from the truth is in `metrology_errors`.
"""

import dataclasses
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gantrans.data.imaging import DEFAULT
from gantrans.data.layouts import Layouts, context_px
from gantrans.data.printing import gaussian_operator, print_layouts
from gantrans.data.rasterise import rasterise
from gantrans.data.simulator import simulate
from gantrans.metrics import edge_residuals, find_runs, psd
from gantrans.metrics.contours import Floats

FIELD_NM, WIDTH_NM, PITCH_NM = 1280.0, 120.0, 280.0
SMOOTH_NM, REACH_NM = 20.0, 60.0
"""Blur along a row before its brightest point is sought, and how far from the drawn edge."""
WINDOW_LER = 3 * 2 * REACH_NM / 12**0.5
"""LER, 3 sigma in nm, of points that lie anywhere in the window: 104."""
CONDITIONS = dataclasses.replace(
    DEFAULT.fixed(), contrast=(0.15, 0.15), edge_dropout=0.0, ramp=(0.0, 0.0), jitter_nm=0.0
)
"""No fading edges and no scan-line jitter: dose and pixel size are what changes."""
READERS = ("coverage", "sem", "threshold")
PIXELS_NM = (5.0, 10.0, 20.0, 40.0)
DOSES = (5.0, 20.0, 80.0, 320.0)


@dataclass(frozen=True)
class Edges:
    """Left and right edges of lines, nm from the first pixel's centre: (lines, rows) float64 each."""

    left: Tensor
    right: Tensor

    @property
    def both(self) -> Tensor:
        """All edges, (2 lines, rows)."""
        return torch.cat([self.left, self.right])


@dataclass(frozen=True)
class Readings:
    """Edges of the same lines as they are and as they are read, NaN where none was found.

    drawn, true: as drawn and as printed. coverage: read off the print. sem, threshold: read off the SEM image
    as the brightest point and by the threshold.

    The lines of a clip follow each other, equally many in each of `clips`.
    """

    pixel_nm: float
    clips: int
    drawn: Edges
    true: Edges
    coverage: Edges
    sem: Edges
    threshold: Edges

    def seen(self, by: str) -> Edges:
        """The edges by one of `READERS`."""
        return {"coverage": self.coverage, "sem": self.sem, "threshold": self.threshold}[by]


def drawn_lines(count: int, pixel_nm: float, seed: int) -> tuple[Layouts, Floats]:
    """Line/space clips with margin, and the drawn left edges (count, lines) of those wholly inside, nm."""
    margin = context_px(pixel_nm)
    size = round(FIELD_NM / pixel_nm)
    reach = margin * pixel_nm
    starts = np.random.default_rng(seed).uniform(0, PITCH_NM, count)
    steps = np.arange(-3, int(FIELD_NM / PITCH_NM) + 4) * PITCH_NM
    side = FIELD_NM + 2 * reach
    clips = [
        np.array([(x + reach, 0, x + reach + WIDTH_NM, side) for x in s + steps], np.float32) for s in starts
    ]
    layout = Layouts(
        image=rasterise(clips, size + 2 * margin, pixel_nm),
        family=["line_space"] * count,
        min_width_nm=[WIDTH_NM] * count,
        min_space_nm=[PITCH_NM - WIDTH_NM] * count,
        pixel_nm=pixel_nm,
        margin_px=margin,
    )
    edges = starts[:, None] + steps
    away = REACH_NM + 2 * pixel_nm
    inside = (edges > away) & (edges + WIDTH_NM < FIELD_NM - away)
    first = np.argmax(inside, axis=1)
    lines = inside.sum(1).min()
    return layout, np.take_along_axis(edges, first[:, None] + np.arange(lines), 1)


def read(pixel_nm: float, dose: float, count: int, seed: int) -> Readings:
    """Print, image and read `count` clips at one pixel size and dose (electrons per pixel)."""
    layout, left = drawn_lines(count, pixel_nm, seed)
    conditions = dataclasses.replace(CONDITIONS, dose=(dose, dose))
    margin, size = layout.margin_px, round(FIELD_NM / pixel_nm)
    distance = print_layouts(layout.image[:, 0], conditions, pixel_nm, seed, range(count))
    distance = distance[:, margin : margin + size, margin : margin + size]
    seen = simulate(layout, conditions, seed, range(count))
    image = np.repeat(np.arange(count), left.shape[1])
    edge = left.ravel() - pixel_nm / 2  # the first pixel's centre lies half a pixel inside the clip
    drawn = Edges(*(torch.from_numpy(e[:, None].repeat(size, 1)) for e in (edge, edge + WIDTH_NM)))
    # a linear map turns the signed distance into something that crosses 0.5 where it crosses 0
    crossing = _crossings((distance / 1000 + 0.5).unsqueeze(1), image, edge, pixel_nm)
    coverage = _crossings(seen.printed, image, edge, pixel_nm)
    peaks, fallen = _from_image(seen.sem, image, edge, pixel_nm)
    return Readings(pixel_nm, count, drawn, crossing, coverage, peaks, fallen)


def _crossings(images: Tensor, image: np.ndarray, edge: Floats, pixel_nm: float) -> Edges:
    """Where level 0.5 is crossed on either side of each line's middle, every row."""
    runs = find_runs(images)
    middle = np.rint((edge + WIDTH_NM / 2) / pixel_nm).astype(np.intp)
    rows = np.arange(images.shape[-2])
    left, right = runs.at(image[:, None], rows, middle[:, None])
    return Edges(torch.from_numpy(left * pixel_nm), torch.from_numpy(right * pixel_nm))


def _from_image(sem: Tensor, image: np.ndarray, edge: Floats, pixel_nm: float) -> tuple[Edges, Edges]:
    """Edges by the brightest point near each drawn edge on every row, and by the threshold outside of it."""
    smooth = gaussian_operator(sem.shape[-1], torch.tensor([SMOOTH_NM / pixel_nm]))[0]
    rows = (sem[:, 0] @ smooth.T).double()[torch.from_numpy(image)]  # (lines, rows, columns)
    peaks = [_peak(rows, torch.from_numpy(e), pixel_nm) for e in (edge, edge + WIDTH_NM)]
    fallen = [_fallen(rows, peak, sign, pixel_nm) for peak, sign in zip(peaks, (-1, 1), strict=True)]
    return Edges(*peaks), Edges(*fallen)


def _fallen(rows: Tensor, peak: Tensor, sign: int, pixel_nm: float) -> Tensor:
    """Where the signal, outwards from its brightest point, has first fallen half way to the space's level.

    That level is the mean of all rows in the middle of the space beside the line. The search ends after twice
    `REACH_NM`; where the signal has not fallen by then the edge is read there.
    """
    top = (peak / pixel_nm).round().long()
    steps = torch.arange(round(2 * REACH_NM / pixel_nm) + 1)
    place = (top[..., None] + sign * steps).clamp(0, rows.shape[-1] - 1)
    values = rows.gather(-1, place)  # from the brightest point outwards
    middle = (peak.median(1).values + sign * (PITCH_NM - WIDTH_NM) / 2) / pixel_nm
    space = rows.gather(-1, _columns(middle, rows)).mean((1, 2))
    level = (values[..., 0] + space[:, None]) / 2
    below = values < level[..., None]
    below[..., -1] = True
    first = below.double().argmax(-1, keepdim=True).clamp(min=1)
    before, after = values.gather(-1, first - 1)[..., 0], values.gather(-1, first)[..., 0]
    part = ((before - level) / (before - after).clamp(min=1e-12)).clamp(0.0, 1.0)
    return (top + sign * (first[..., 0] - 1 + part)) * pixel_nm


def _columns(middle: Tensor, rows: Tensor) -> Tensor:
    """The pixel at a place (lines,) and its two neighbours, for every row: (lines, rows, 3)."""
    near = middle.round().long()[:, None] + torch.tensor([-1, 0, 1])
    return near.clamp(0, rows.shape[-1] - 1)[:, None].expand(-1, rows.shape[1], -1)


def _peak(rows: Tensor, edge: Tensor, pixel_nm: float) -> Tensor:
    place = torch.arange(rows.shape[-1]) * pixel_nm
    away = (place - edge[:, None]).abs() > REACH_NM
    top = rows.masked_fill(away[:, None], -1.0).argmax(-1, keepdim=True).clamp(1, rows.shape[-1] - 2)
    a, b, c = (rows.gather(-1, top + k)[..., 0] for k in (-1, 0, 1))
    bend = a - 2 * b + c
    part = torch.where(bend < 0, 0.5 * (a - c) / bend, 0.0).clamp(-0.5, 0.5)
    return (top[..., 0] + part) * pixel_nm


@lru_cache(maxsize=64)
def readings(pixel_nm: float, dose: float, count: int, seed: int = 0) -> Readings:
    """`read`, remembered."""
    return read(pixel_nm, dose, count, seed)


def spectra(readings: Readings) -> dict[str, tuple[Floats, Floats]]:
    """Mean power spectrum of the true edges and of those read off the SEM image: frequency 1/nm, nm^3."""
    result = {}
    for name, edges in (("true edges", readings.true.both), ("read off the SEM image", readings.sem.both)):
        freq, density = psd(edge_residuals(edges), readings.pixel_nm)
        up = freq > 0
        result[name] = freq[up].numpy(), density[:, up].mean(0).numpy()
    return result
