"""Line-edge roughness as a random process: the Palasantzas spectrum and Thorsos' synthesis.

Spectra are *two-sided* densities in nm^3: the integral over all frequencies, negative and positive, is the
variance in nm^2. Sources: G. Palasantzas, Phys. Rev. B 48 (1993) 14472; E. Thorsos, J. Acoust. Soc. Am. 83
(1988) 78; C. Mack, "Generating random rough edges, surfaces, and volumes", Appl. Opt. 52 (2013) 1472.
"""

import math

import torch
from torch import Tensor

from gantrans.errors import ConfigError


def palasantzas_psd(freq: Tensor, sigma: float | Tensor, xi: float | Tensor, hurst: float | Tensor) -> Tensor:
    """PSD(0) / (1 + (2 pi f xi)^2)^(H + 1/2), PSD(0) = 2 sqrt(pi) sigma^2 xi Gamma(H + 1/2) / Gamma(H).

    Args:
        freq: spatial frequency in 1/nm, any shape and either sign.
        sigma: standard deviation in nm, at least 0.
        xi: correlation length in nm, above 0.
        hurst: roughness (Hurst) exponent, above 0 and at most 1. Tensors broadcast against `freq`.

    Returns:
        The two-sided density in nm^3, whose integral over all f is sigma^2 (Palasantzas 1993, with the
        exponent of a one-dimensional edge).

    Raises:
        ConfigError: for a parameter outside its range.
    """
    sigma, xi, hurst = (torch.as_tensor(v, dtype=freq.dtype, device=freq.device) for v in (sigma, xi, hurst))
    if not bool((sigma >= 0).all()):
        raise ConfigError("The roughness sigma must be at least 0 nm.")
    if not bool((xi > 0).all()):
        raise ConfigError("The correlation length xi must be above 0 nm.")
    if not bool(((hurst > 0) & (hurst <= 1)).all()):
        raise ConfigError("The Hurst exponent must be above 0 and at most 1.")
    gamma_ratio = torch.exp(torch.lgamma(hurst + 0.5) - torch.lgamma(hurst))
    psd_zero = 2 * math.sqrt(math.pi) * sigma.square() * xi * gamma_ratio
    return psd_zero * (1 + (2 * math.pi * freq * xi).square()).pow(-(hurst + 0.5))


def rough_profile(
    white: Tensor, pixel_nm: float, sigma: float | Tensor, xi: float | Tensor, hurst: float | Tensor
) -> Tensor:
    """Colour white noise so that its spectrum is Palasantzas': Thorsos' method, as a filter.

    The Fourier transform of real white noise *is* Thorsos' set of independent complex Gaussians with the
    right symmetry, so filtering gives the same distribution, and the caller can draw the noise (for example
    one draw per item, so that an item depends on its own seed alone).

    Args:
        white: standard normal samples, (..., n).
        pixel_nm: sampling distance in nm.
        sigma, xi, hurst: as in `palasantzas_psd`; tensors have shape (...), one value per profile.

    Returns:
        Edge displacement in nm, (..., n), periodic with n * pixel_nm. Its variance over many draws is the sum
        of PSD(f_k) / length over the n frequencies, which is less than sigma^2 by the part above the Nyquist
        frequency (H = 0.75: 0.3 % if pixel_nm = xi / 10, 3.5 % if xi / 2). It includes f = 0, a shift of the
        whole edge, so the standard deviation of a short profile about its own mean is smaller still.
    """
    n = white.shape[-1]
    freq = torch.fft.rfftfreq(n, pixel_nm, dtype=white.dtype, device=white.device)  # (n // 2 + 1,)
    per_profile = (v.unsqueeze(-1) if isinstance(v, Tensor) else v for v in (sigma, xi, hurst))
    amplitude = (palasantzas_psd(freq, *per_profile) / pixel_nm).sqrt()
    return torch.fft.irfft(torch.fft.rfft(white) * amplitude, n=n)
