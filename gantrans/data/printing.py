"""From the drawn layout to the printed shape: corner rounding, CD bias and line-edge roughness.

Corner rounding is a Gaussian blur of the layout followed by a threshold at 1/2. The blurred value `a` of a
straight isolated edge is the normal distribution function of the signed distance, so sigma * Phi^-1(a) *is*
that distance, without any gradient or distance transform; at corners its zero line is the rounded contour.
CD bias and roughness move the edge by adding to this distance.

Roughness follows the PSD of Palasantzas, synthesised by Thorsos' method as in `gantrans.roughness`: random
complex amplitudes shaped by the square root of the PSD, then an inverse FFT. A two-dimensional field with
PSD ~ (1 + (2 pi |f| xi)^2)^-(H+1), restricted to any straight line, has exactly the 1-D PSD ~ (1 + (2 pi f
xi)^2)^-(H+1/2): integrate over the other frequency. So one isotropic displacement field roughens every edge
with the stated sigma, xi and H. Approximations: the displacement is along the local normal to first order;
displacements of two edges of a line closer than xi are correlated, which does not change their LER but lowers
LWR; the field is periodic over clip plus margin, and sampled, so wavelengths below two pixels are missing.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from gantrans.data.imaging import ImagingConfig, between
from gantrans.data.streams import stream_seeds


def print_layouts(
    layout: Tensor, config: ImagingConfig, pixel_nm: float, seed: int, indices: Sequence[int]
) -> Tensor:
    """Signed distance (N, S, S) in nm from the printed edge; `layout` is (N, S, S) coverage in [0, 1]."""
    size = layout.shape[-1]
    distance = edge_distance(layout, pixel_nm, config.corner_blur_nm)
    draws, white = torch.empty(len(layout), 2), torch.empty(len(layout), *white_shape(size))
    generator = torch.Generator()
    for i, item in enumerate(stream_seeds(seed, "printing", indices)):
        generator.manual_seed(item)
        draws[i].uniform_(generator=generator)
        white[i].normal_(generator=generator)
    bias = between(config.cd_bias_nm, draws[:, 0]) / 2
    sigma = between(config.ler_sigma_nm, draws[:, 1])
    if config.ler_sigma_nm[1] > 0:
        field = roughness_field(white, size, pixel_nm, config.ler_xi_nm, config.ler_hurst)
        distance.addcmul_(field, sigma[:, None, None])
    return distance.add_(bias[:, None, None])


def roughness_field(white: Tensor, size: int, pixel_nm: float, xi_nm: float, hurst: float) -> Tensor:
    """Correlated displacement field of unit variance, (N, size, size), from white noise.

    Args:
        white: (N, size, size // 2 + 1, 2) standard normals: real and imaginary parts of the random
        amplitudes.
    """
    amplitude = torch.view_as_complex(white) * _field_filter(size, pixel_nm, xi_nm, hurst)
    # On some processors MKL's result for a single image differs from that in a batch, so always pass at least
    # two.
    field = torch.fft.irfft2(amplitude.expand(max(len(white), 2), -1, -1), s=(size, size), norm="forward")
    return field[: len(white)]


def white_shape(size: int) -> tuple[int, int, int]:
    """Shape of the white noise for `roughness_field`, for one clip."""
    return size, size // 2 + 1, 2


def edge_distance(layout: Tensor, pixel_nm: float, blur_nm: float) -> Tensor:
    """Signed distance in nm from the printed edge before bias and roughness; positive inside a feature.

    Args:
        layout: (N, S, S) area coverage in [0, 1].
        blur_nm: sigma of the optical blur; corners are rounded with about this radius. Distances are
            exact for straight isolated edges and saturate at 4.7 blur_nm.
    """
    blur = gaussian_operator(layout.shape[-1], torch.tensor([blur_nm / pixel_nm]))  # (1, S, S)
    blur = blur.expand(len(layout), -1, -1)
    aerial = torch.bmm(torch.bmm(blur, layout), blur.transpose(1, 2))
    return aerial.mul_(2).sub_(1).clamp_(-1 + 2e-6, 1 - 2e-6).erfinv_().mul_(math.sqrt(2) * blur_nm)


def printed_coverage(distance_nm: Tensor, pixel_nm: float) -> Tensor:
    """The printed shape as pixel coverage in [0, 1], from the signed distance of its edge."""
    return (distance_nm / pixel_nm + 0.5).clamp(0.0, 1.0)


def gaussian_operator(size: int, sigma_px: Tensor) -> Tensor:
    """Gaussian blur along one axis as matrices: (N,) sigmas in pixels -> (N, size, size), rows summing to 1.

    A matrix product with a small dense operator is several times faster here than an FFT, and operators for
    blur, charging and crop can be multiplied together once per clip.
    """
    x = torch.arange(size, dtype=torch.float32)
    exponent = (x[:, None] - x) ** 2 * (-0.5 / sigma_px.clamp(min=0.05) ** 2)[:, None, None]
    weights = exponent.clamp_(
        min=-50.0
    ).exp_()  # the lower limit avoids denormal numbers, which are very slow
    return weights.div_(weights.sum(-1, keepdim=True))


@lru_cache(maxsize=16)
def _field_filter(size: int, pixel_nm: float, xi_nm: float, hurst: float) -> Tensor:
    """Amplitudes (size, size // 2 + 1) that shape complex white noise into a field of unit variance."""
    fy = torch.fft.fftfreq(size, pixel_nm, dtype=torch.float64)
    fx = torch.fft.rfftfreq(size, pixel_nm, dtype=torch.float64)
    psd = (1 + (2 * math.pi * xi_nm) ** 2 * (fy[:, None] ** 2 + fx**2)) ** -(hurst + 1)
    twice = torch.full_like(fx, 2.0)  # columns that represent themselves and their mirror image
    twice[0] = 1.0
    if size % 2 == 0:
        twice[-1] = 1.0
    amplitude = (psd / (psd * twice).sum() / 2).sqrt()
    amplitude[:, twice == 1.0] *= math.sqrt(2)  # irfft ignores their imaginary part, half of the power
    return amplitude.float()
