"""The ten drift features against a slow implementation written from their definitions, pixel by pixel."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from gantrans.operations.drift.features import EDGE, FEATURES, image_features

SMOOTH = np.array([1, 4, 6, 4, 1.0])
SLOPE = np.array([-1, -2, 0, 2, 1.0])
SECOND = np.array([1, -2, 1.0])


def filtered(image: np.ndarray, down: np.ndarray, across: np.ndarray, scale: float) -> np.ndarray:
    """Correlation along both axes, where the filter fits inside."""
    half = len(down) // 2
    full = ndimage.correlate1d(ndimage.correlate1d(image, down, axis=0), across, axis=1)
    return full[half:-half, half:-half] / scale


def reference(image: np.ndarray, pixel_nm: float) -> list[float]:
    height, width = image.shape
    gx, gy = filtered(image, SMOOTH, SLOPE, 128), filtered(image, SLOPE, SMOOTH, 128)
    tensor = np.array([[np.mean(gx * gx), np.mean(gx * gy)], [np.mean(gx * gy), np.mean(gy * gy)]])
    jxx, jyy = tensor[0, 0], tensor[1, 1]
    noise = filtered(image, SECOND, SECOND, 6)
    weaker = gx**2 if jxx < jyy else gy**2
    cells = [
        weaker[y : y + 8, x : x + 8].mean()
        for y in range(0, weaker.shape[0] - 7, 4)
        for x in range(0, weaker.shape[1] - 7, 4)
    ]
    window = np.outer(*(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n) for n in (height, width)))
    power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2
    f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    pattern = (f >= 1.5 / min(height, width)) & (f <= 0.25)
    half = np.fft.rfft2((image - image.mean()) * window)  # the floor is the mean over one half-plane
    f_half = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    floor = (np.abs(half) ** 2)[f_half > 0.35].mean()
    fine = max(power[(f > 0.12) & (f <= 0.22)].mean() - floor, 1e-6)
    coarse = max(power[(f <= 0.12) & pattern].mean() - floor, 1e-6)
    strongest = np.where(pattern, power, -1).argmax()
    return [
        image.mean(), image.std(), np.mean(gx**2 + gy**2 > EDGE**2), math.log(math.sqrt(np.mean(noise**2))),
        math.log(fine / coarse), (jxx - jyy) / (jxx + jyy), math.log(np.linalg.eigvalsh(tensor)[0]),
        pixel_nm / f.ravel()[strongest], 2 * power.max(where=pattern, initial=0) / power[pattern].sum(),
        math.log(max(cells) / np.mean(cells)),
    ]  # fmt: skip


def some_images() -> torch.Tensor:
    """Waves of several directions and pitches, noisy, one with a bridge; taller than wide."""
    draw = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(40.0), indexing="ij")
    images = []
    for k, (period, angle) in enumerate([(8.0, 0.1), (11.0, 1.4), (6.0, 0.8), (14.0, 1.57)]):
        wave = torch.sin(2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)) / period)
        image = 0.5 + 0.3 * wave + 0.03 * (k + 1) * torch.randn(48, 40, generator=draw)
        if k == 1:
            image[20:26, 12:20] += 0.4
        images.append(image.clamp(0, 1))
    return torch.stack(images)[:, None]


@pytest.mark.parametrize("transposed", [False, True])
def test_every_feature_is_the_one_defined(transposed: bool) -> None:
    images = some_images().transpose(2, 3) if transposed else some_images()
    expected = torch.tensor([reference(image[0].double().numpy(), 20.0) for image in images])
    found = image_features(images, 20.0)
    assert found.shape == (4, len(FEATURES))
    for k, name in enumerate(FEATURES):
        torch.testing.assert_close(
            found[:, k],
            expected[:, k].double(),
            rtol=2e-3,
            atol=2e-3,
            msg=lambda m, name=name: f"{name}: {m}",
        )
