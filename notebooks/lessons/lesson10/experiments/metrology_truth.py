"""Lesson 10: what a metrologist reads off an SEM image against what the simulator knows to be there.

Vertical lines with random phase, printed with roughness and imaged at several pixel sizes and doses. The true
edge on each row is where the printed shape's signed distance crosses zero. It is read back in two ways: from
the printed coverage (what a perfect network would give: pixel size alone), and from the SEM image, row by
row, as the brightest point near each drawn edge after a blur along the row (never across rows: that would
hide roughness and noise alike). How far both are from the truth is in `metrology_errors`.
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
CONDITIONS = dataclasses.replace(
    DEFAULT.fixed(), contrast=(0.15, 0.15), edge_dropout=0.0, ramp=(0.0, 0.0), jitter_nm=0.0
)
"""No fading edges and no scan-line jitter: dose and pixel size are what changes."""
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

    The lines of a clip follow each other, equally many in each of `clips`.
    """

    pixel_nm: float
    clips: int
    drawn: Edges
    true: Edges
    coverage: Edges
    sem: Edges


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
    peaks = _brightest(seen.sem, image, edge, pixel_nm)
    return Readings(pixel_nm, count, drawn, crossing, coverage, peaks)


def _crossings(images: Tensor, image: np.ndarray, edge: Floats, pixel_nm: float) -> Edges:
    """Where level 0.5 is crossed on either side of each line's middle, every row."""
    runs = find_runs(images)
    middle = np.rint((edge + WIDTH_NM / 2) / pixel_nm).astype(np.intp)
    rows = np.arange(images.shape[-2])
    left, right = runs.at(image[:, None], rows, middle[:, None])
    return Edges(torch.from_numpy(left * pixel_nm), torch.from_numpy(right * pixel_nm))


def _brightest(sem: Tensor, image: np.ndarray, edge: Floats, pixel_nm: float) -> Edges:
    """The brightest point near each drawn edge on every row, by a parabola through three pixels."""
    smooth = gaussian_operator(sem.shape[-1], torch.tensor([SMOOTH_NM / pixel_nm]))[0]
    rows = (sem[:, 0] @ smooth.T).double()[torch.from_numpy(image)]  # (lines, rows, columns)
    return Edges(*(_peak(rows, torch.from_numpy(e), pixel_nm) for e in (edge, edge + WIDTH_NM)))


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
