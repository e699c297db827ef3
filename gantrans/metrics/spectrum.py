"""The power spectrum of grey images, averaged over directions, and how far two sets lie apart in it."""

from typing import Any

import numpy as np
from torch import Tensor


def radial_spectrum(images: Any, pixel_nm: float, bins: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Radially averaged power spectral density of square images.

    Args:
        images: (N, S, S) or (N, 1, S, S) in [0, 1]; each image's mean is removed and a Hann window applied.
        pixel_nm: pixel size.

    Returns:
        Spatial frequency in 1/µm (bin centres up to Nyquist) and density in µm^2, mean over the images.
    """
    array = np.asarray(images.detach().cpu() if hasattr(images, "detach") else images, dtype=np.float64)
    array = array.reshape(-1, *array.shape[-2:])
    side = array.shape[-1]
    window = np.hanning(side + 1)[:-1]
    window = window[:, None] * window
    pixel = pixel_nm / 1000
    spectrum = np.fft.fft2((array - array.mean((1, 2), keepdims=True)) * window)
    density = (np.abs(spectrum) ** 2).mean(0) * pixel**2 / (window**2).sum()
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side, pixel), np.fft.fftfreq(side, pixel)))
    bins = min(bins, side // 2)
    edges = np.linspace(0, 0.5 / pixel, bins + 1)
    place = np.clip(np.digitize(frequency.ravel(), edges[1:-1]), 0, bins - 1)
    inside = frequency.ravel() <= edges[-1]
    total = np.bincount(place[inside], density.ravel()[inside], bins)
    return (edges[:-1] + edges[1:]) / 2, total / np.bincount(place[inside], minlength=bins)


def spectrum_error(images: Tensor, real: Tensor) -> float:
    """Mean absolute difference of two radial spectra in dB; 0 for images with the texture of the real ones.

    Args:
        images, real: (N, 1, S, S) in [0, 1]; they need not show the same layouts. Constant images have no
            power, so their difference is infinite.
    """
    pixel = 1000.0  # any pixel size gives the same ratio
    with np.errstate(divide="ignore"):
        ratio = 10 * np.log10(radial_spectrum(images, pixel)[1] / radial_spectrum(real, pixel)[1])
    return float(np.abs(ratio).mean())
