"""Metrology along cut lines: critical dimension (CD) and signed edge placement.

Definitions: SEMI P35 (terminology of linewidth metrology) and C. Mack, "Fundamental Principles of Optical
Lithography" (2007), chapter 8. Roughness of the same edges is in `edge_roughness`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gantrans.metrics.contours import Floats, Ints
from gantrans.metrics.cutlines import STRAIGHT_PX, Cut, Runs, Tone, find_runs, mean_per_image
from gantrans.metrics.inputs import check_length, check_pair

_BOTH_WAYS: tuple[tuple[Cut, Cut], ...] = (("rows", "columns"), ("columns", "rows"))


def critical_dimension(image: Tensor, pixel_nm: float, cut: Cut = "rows", tone: Tone = "line") -> Tensor:
    """Mean width in nm of all features (or spaces) over all cut lines: (B, 1, H, W) -> float64 (B,).

    For line/space images, cut across the lines. Runs cut off by the border are not measured; NaN where no run
    is measured. On an area-coverage raster linear interpolation misplaces an edge by up to 0.086 px.
    """
    check_length(pixel_nm, "pixel_nm")
    runs = find_runs(image, cut, tone)
    whole = runs.complete
    return mean_per_image(runs.image[whole], (runs.end - runs.start)[whole] * pixel_nm, len(image))


@dataclass(frozen=True)
class CDError:
    """CD errors per image, (B,); both are NaN where no cut is matched."""

    signed: Tensor
    """float64, mean of CD - CD_target over the matched cuts, nm: above 0 where the prediction is too wide."""
    absolute: Tensor
    """float64, mean of |CD - CD_target| over the matched cuts, nm."""
    cuts: Tensor
    """int64, number of cuts in the target."""
    unmatched: Tensor
    """int64, cuts where the prediction has no such feature (broken, missing, bridged), counted separately."""


def cd_error(pred: Tensor, target: Tensor, pixel_nm: float, tone: Tone = "line") -> CDError:
    """CD - CD_target in nm on any Manhattan layout: (B, 1, H, W) twice, values in [0, 1].

    The cuts are chosen in the target. Every row and every column is a cut line; a run is used if both its
    edges are inside the image, if it is straight (both edges move by less than half a pixel to the cut line
    before and to the one after, which excludes corners, jogs and line ends), and if it is not longer than the
    feature is wide in the other direction at the run's middle (so a line is measured across, never along, and
    a square in both directions).

    The prediction's CD is the length of its run through the same middle pixel. The cut is unmatched if there
    is no such run, if it is cut off by the border, or if an edge is more than one target CD away from the
    target's edge (a bridge).
    """
    check_pair(pred, target)
    check_length(pixel_nm, "pixel_nm")
    images, errors = [], []
    for cut, across in _BOTH_WAYS:
        runs = find_runs(target, cut, tone)
        chosen = _critical(runs, find_runs(target, across, tone))
        image, start, end = runs.image[chosen], runs.start[chosen], runs.end[chosen]
        p_start, p_end = find_runs(pred, cut, tone).at(image, runs.line[chosen], runs.middle[chosen])
        width = end - start
        matched = (p_start >= 0) & (p_end <= runs.shape[2] - 1)
        matched &= (np.abs(p_start - start) <= width) & (np.abs(p_end - end) <= width)
        images.append(image)
        errors.append(np.where(matched, p_end - p_start - width, np.nan) * pixel_nm)
    image, error, batch = np.concatenate(images), np.concatenate(errors), len(pred)
    known = np.isfinite(error)
    return CDError(
        mean_per_image(image[known], error[known], batch),
        mean_per_image(image[known], np.abs(error[known]), batch),
        torch.from_numpy(np.bincount(image, minlength=batch)),
        torch.from_numpy(np.bincount(image[~known], minlength=batch)),
    )


def _critical(runs: Runs, across: Runs) -> Ints:
    """Indices of the runs that are measured as CDs; see `cd_error` for the conditions."""
    middle = runs.middle
    chosen = runs.complete
    for line in (runs.line - 1, runs.line + 1):
        start, end = runs.at(runs.image, line, middle)
        chosen &= (np.abs(start - runs.start) < STRAIGHT_PX) & (np.abs(end - runs.end) < STRAIGHT_PX)
    start, end = across.at(runs.image, middle, runs.line)
    return np.flatnonzero(chosen & (end - start > runs.end - runs.start - 1e-6))


@dataclass(frozen=True)
class SignedEPE:
    """Signed edge placement errors: one value per site (S,) of the target, and their means per image (B,)."""

    image: Tensor
    """int64 (S,) which image of the batch."""
    site: Tensor
    """float64 (S, 2) row and column of the target's edge, px."""
    error: Tensor
    """float64 (S,) nm: above 0 where the predicted feature extends beyond the target's edge; NaN if lost."""
    mean: Tensor
    """float64 (B,) mean of the errors that are not NaN; NaN if all are."""
    lost: Tensor
    """int64 (B,) sites without a predicted edge within `reach_nm`, counted separately."""


def signed_epe(pred: Tensor, target: Tensor, pixel_nm: float, reach_nm: float = 100.0) -> SignedEPE:
    """EPE as in optical proximity correction: signed, along the normal, at sites on a Manhattan target.

    A site is where a row or a column of pixels crosses a straight edge of the target (straight as in
    `cd_error`, so at least a pixel from any corner). Its error is the distance along that row or column to
    the nearest predicted edge of the same kind, rising or falling, up to `reach_nm`. This is another quantity
    than `epe`.
    """
    check_pair(pred, target)
    check_length(pixel_nm, "pixel_nm")
    check_length(reach_nm, "reach_nm")
    parts = []
    for cut, _ in _BOTH_WAYS:
        for outward in (-1, 1):
            image, line, edge, error = _edge_errors(find_runs(pred, cut), find_runs(target, cut), outward)
            row, column = (line, edge) if cut == "rows" else (edge, line)
            parts.append((image, np.stack((row, column), axis=1), error * pixel_nm))
    image, site, error = (np.concatenate(p) for p in zip(*parts, strict=True))
    error[np.abs(error) > reach_nm] = np.nan
    known, batch = np.isfinite(error), len(pred)
    return SignedEPE(
        torch.from_numpy(image),
        torch.from_numpy(site),
        torch.from_numpy(error),
        mean_per_image(image[known], error[known], batch),
        torch.from_numpy(np.bincount(image[~known], minlength=batch)),
    )


def _edge_errors(pred: Runs, target: Runs, outward: int) -> tuple[Ints, Ints, Floats, Floats]:
    """Image, line, position and signed error in px of the target's straight left (-1) or right (+1) edges."""

    def edges(runs: Runs) -> tuple[Ints, Ints, Floats]:
        inside = runs.first > 0 if outward < 0 else runs.last < runs.shape[2] - 1
        position = runs.start if outward < 0 else runs.end
        return runs.image[inside], runs.line[inside], position[inside]

    image, line, edge = edges(target)
    inner = np.floor(edge + 1).astype(np.intp) if outward < 0 else np.ceil(edge - 1).astype(np.intp)
    straight = np.ones(len(edge), bool)
    for neighbour in (line - 1, line + 1):
        position = target.at(image, neighbour, inner)[0 if outward < 0 else 1]
        straight &= np.abs(position - edge) < STRAIGHT_PX
    image, line, edge = image[straight], line[straight], edge[straight]

    _, lines, length = target.shape
    apart = 4.0 * length  # the nearest edge is one of the same line, or too far to count
    p_image, p_line, p_edge = edges(pred)
    keys = np.concatenate(([-np.inf], (p_image * lines + p_line) * apart + p_edge, [np.inf]))
    wanted = (image * lines + line) * apart + edge
    place = np.searchsorted(keys, wanted)
    before, after = keys[place - 1] - wanted, keys[place] - wanted
    shift = np.where(-before < after, before, after)
    return image, line, edge, outward * np.where(np.abs(shift) < length, shift, np.inf)
