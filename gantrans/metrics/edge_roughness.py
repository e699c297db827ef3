"""Line-edge roughness (LER), line-width roughness (LWR) and their power spectrum.

All three depend on the length of the edge (long wavelengths are missing in a short one) and on the sampling
distance (short wavelengths are missing at a coarse one), so numbers are comparable only at equal length and
pixel size. Image noise displaces the measured edges: it adds 9 sigma_noise^2 to LER^2 and a constant
sigma_noise^2 * pixel_nm to the spectrum. `ler` and `lwr` do not remove this bias, so LER of a noisy image is
too high; `noise_variance` estimates it from the high-frequency floor and `unbiased_ler` subtracts it. The
model spectrum is in `gantrans.roughness`. Sources: SEMI P47; C. Mack, J. Micro/Nanolith. MEMS MOEMS 17 (2018)
041006; J. Villarrubia and B. Bunday, "Unbiased estimation of linewidth roughness", Proc. SPIE 5752 (2005)
480.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantrans.errors import DataError
from gantrans.metrics.contours import Floats
from gantrans.metrics.cutlines import CUTS, STRAIGHT_PX, Cut, find_runs
from gantrans.metrics.inputs import check_length, check_pair


@dataclass(frozen=True)
class LineEdges:
    """Both edges of n lines, one position per cut line."""

    image: Tensor
    """int64 (n,) which image of the batch."""
    left: Tensor
    right: Tensor
    """float64 (n, number of cut lines), nm from the first pixel's centre."""


def line_edges(image: Tensor, layout: Tensor, pixel_nm: float, cut: Cut = "rows") -> LineEdges:
    """Edges in `image` of the straight lines that cross the whole clip in `layout`.

    Lines that are broken or touch the border in `image` are omitted.

    Args:
        image, layout: (B, 1, H, W) in [0, 1]. Straight lines are selected in the drawn layout, so that a jog
            does not count as roughness.
        cut: "rows" for vertical lines, "columns" for horizontal ones.
    """
    check_pair(image, layout)
    check_length(pixel_nm, "pixel_nm")
    drawn = find_runs(layout, cut)
    _, lines, length = drawn.shape
    chosen = drawn.complete & (drawn.line == lines // 2)
    number, middle = drawn.image[chosen, None], drawn.middle[chosen, None]
    start, end = drawn.at(number, np.arange(lines), middle)  # (n, lines)
    straight = _is_straight(start, drawn.start[chosen]) & _is_straight(end, drawn.end[chosen])
    number, middle = number[straight], middle[straight]

    left, right = find_runs(image, cut).at(number, np.arange(lines), middle)
    whole = ((left >= 0) & (right <= length - 1)).all(axis=1)
    left, right = left[whole] * pixel_nm, right[whole] * pixel_nm
    return LineEdges(torch.from_numpy(number[whole, 0]), torch.from_numpy(left), torch.from_numpy(right))


def _is_straight(edge: Floats, at_middle: Floats) -> NDArray[np.bool_]:
    """(n, lines) and (n,) -> (n,)"""
    return np.all(np.abs(edge - at_middle[:, None]) < STRAIGHT_PX, axis=1)


def edge_residuals(edge: Tensor) -> Tensor:
    """Residuals of edge positions (..., n) about the least-squares straight line."""
    if edge.shape[-1] < 3:
        raise DataError(f"An edge has {edge.shape[-1]} points; roughness about a line needs at least 3.")
    x = torch.linspace(-1, 1, edge.shape[-1], dtype=edge.dtype, device=edge.device)
    centred = edge - edge.mean(dim=-1, keepdim=True)
    slope = (centred * x).sum(dim=-1, keepdim=True) / x.square().sum()
    return centred - slope * x


def ler(edge: Tensor) -> Tensor:
    """3 sigma of the residuals about the fitted line, population sigma: (..., n) nm -> (...) nm."""
    return 3 * edge_residuals(edge).square().mean(dim=-1).sqrt()


def lwr(left: Tensor, right: Tensor) -> Tensor:
    """3 sigma of the local CD, population sigma: two edges (..., n) nm -> (...) nm.

    For two edges that are independent and equally rough this is sqrt(2) times their LER.
    """
    width = right - left
    return 3 * (width - width.mean(dim=-1, keepdim=True)).square().mean(dim=-1).sqrt()


@dataclass(frozen=True)
class LineRoughness:
    """Roughness per image: float64 (B,) nm, NaN for an image without a measurable line; int64 (B,) counts."""

    ler: Tensor
    lwr: Tensor
    lines: Tensor
    """Number of lines measured."""


def line_roughness(image: Tensor, layout: Tensor, pixel_nm: float) -> LineRoughness:
    """LER and LWR of all lines of `line_edges`, vertical and horizontal; root mean square over each image."""
    variance = torch.zeros(2, len(image), dtype=torch.float64)
    lines = torch.zeros(len(image), dtype=torch.int64)
    for cut in CUTS:
        edges = line_edges(image, layout, pixel_nm, cut)
        both = (ler(edges.left).square() + ler(edges.right).square()) / 2
        variance[0].index_add_(0, edges.image, both)
        variance[1].index_add_(0, edges.image, lwr(edges.left, edges.right).square())
        lines.index_add_(0, edges.image, torch.ones_like(edges.image))
    pooled = (variance / lines).sqrt()  # 0 / 0 is NaN: no line
    return LineRoughness(pooled[0], pooled[1], lines)


def psd(residuals: Tensor, pixel_nm: float) -> tuple[Tensor, Tensor]:
    """Periodogram of profiles (..., n) in nm: frequency (n,) in 1/nm and density (..., n) in nm^3.

    Two-sided, in the order of `torch.fft.fftfreq`; plot the half with frequency > 0. The sum times the step
    1 / (n pixel_nm) is exactly the mean square of the profile (Parseval): (LER / 3)^2 for residuals. The
    values of one profile scatter by 100 %: average over profiles. No window is applied, so power leaks to
    high frequencies where the two ends of a profile differ.
    """
    check_length(pixel_nm, "pixel_nm")
    n = residuals.shape[-1]
    freq = torch.fft.fftfreq(n, pixel_nm, dtype=residuals.dtype, device=residuals.device)
    return freq, torch.fft.fft(residuals).abs().square() * (pixel_nm / n)


def noise_variance(edges: Tensor, pixel_nm: float, share: float = 0.25) -> float:
    """Variance in nm^2 of the noise of edge positions (..., n), from the floor of their mean spectrum.

    Noise that is independent from one cut line to the next has the flat density noise_variance * pixel_nm.
    Roughness falls off with frequency, so the power in the highest `share` of the band is assumed to be
    noise. This requires that the edge was located on every cut line independently (no filter along the edge)
    and that the pixel is well below the correlation length; otherwise part of the roughness is subtracted as
    well.

    Raises:
        DataError: for fewer than 3 points per edge, or a share that is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise DataError(f"share is {share!r}; it must be above 0 and at most 1.")
    freq, density = psd(edge_residuals(edges), pixel_nm)
    high = freq.abs() >= (1 - share) * freq.abs().max()
    return float(density[..., high].mean()) / pixel_nm


def unbiased_ler(edges: Tensor, pixel_nm: float, share: float = 0.25) -> float:
    """LER in nm of edges (..., n), nm, imaged under equal conditions, without the bias by noise.

    3 sqrt(mean square of all residuals - `noise_variance`); 0 where the noise variance is larger.
    """
    power = float(edge_residuals(edges).square().mean())
    return 3 * max(0.0, power - noise_variance(edges, pixel_nm, share)) ** 0.5
