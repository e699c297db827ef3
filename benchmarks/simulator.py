"""Pairs per second of the batched simulator, against the same physics written per image with NumPy and SciPy.

The reference is good code for one image at a time: overlaps and one product for the raster, `gaussian_filter`
for the blurs, the Euclidean distance transform for the distance from the printed edge, a real FFT for
roughness, `zoom` for the fading map, `lfilter` for charging, `Generator.poisson` for shot noise. A second
reference takes over the library's closed formulas for distance and fading, so that the gain from batching
alone can be read off. All draw the same layouts and end in uint8 pairs. Rates are per second of process time
on one thread; the batched version runs with its default shot noise and with exact Poisson counts.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq
from scipy.ndimage import distance_transform_edt, gaussian_filter, zoom
from scipy.signal import lfilter
from scipy.special import erfinv, expit

from gantrans.data.imaging import PRESETS, ImagingConfig
from gantrans.data.layouts import LayoutConfig, context_px, draw_clip
from gantrans.data.pairs import make_pairs
from gantrans.data.streams import stream_seeds

REFERENCE = "per image, SciPy"


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per size and variant: median pairs per core-second of interleaved repeats, spread and ratio.

    The goals are 1,500 pairs/s and 5 times the reference, both at 64 px.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [row for size in ((64,) if quick else (64, 128, 256)) for row in _measure(size, quick)]
    finally:
        torch.set_num_threads(threads)


def _measure(size: int, quick: bool) -> list[dict[str, Any]]:
    exact = dataclasses.replace(PRESETS["default"], shot_noise="poisson")
    count, few = max(64, (512 if quick else 1024) * 64**2 // size**2), max(8, 64 * 64**2 // size**2)
    batched: dict[str, Callable[[int], object]] = {
        "batched": lambda n: make_pairs("procedural", size=size, count=n, progress=False),
        "batched, SKY130 li1": lambda n: make_pairs("sky130", size=size, count=n, progress=False),
        "batched, exact Poisson": lambda n: make_pairs(
            "procedural", size=size, count=n, imaging=exact, progress=False
        ),
    }
    single: dict[str, Callable[[int], object]] = {
        REFERENCE: lambda n: [reference_pair(size, 20.0, i) for i in range(n)],
        "per image, our formulas": lambda n: [reference_pair(size, 20.0, i, closed=True) for i in range(n)],
    }
    variants = {name: (few, make) for name, make in single.items()}
    variants |= {name: (count, make) for name, make in batched.items()}
    for _, make in variants.values():
        make(2)
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(3 if quick else 7):  # interleaved, so that a busy machine slows all alike
        for name, (n, make) in variants.items():
            start = time.process_time()
            make(n)
            rates[name].append(n / (time.process_time() - start))
    base = statistics.median(rates[REFERENCE])
    return [
        {
            "benchmark": "simulator",
            "size_px": size,
            "variant": name,
            "pairs_per_core_s": round(statistics.median(values), 1),
            "lowest": round(min(values), 1),
            "highest": round(max(values), 1),
            "ratio": round(statistics.median(values) / base, 2),
        }
        for name, values in rates.items()
    ]


def reference_pair(
    size: int, pixel_nm: float, index: int, *, closed: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """One (sem, layout) uint8 pair by NumPy and SciPy; `closed` takes the library's closed formulas."""
    config = PRESETS["default"]
    rng = np.random.default_rng(index)
    margin = context_px(pixel_nm)
    layout = _draw(size, pixel_nm, margin, index)
    distance = _print(layout, config, pixel_nm, rng, closed)
    inside = (slice(margin, margin + size),) * 2
    sem = _acquire(distance, config, pixel_nm, inside, rng, closed)
    return np.round(sem * 255).astype(np.uint8), np.round(layout[inside] * 255).astype(np.uint8)


def _draw(size: int, pixel_nm: float, margin: int, index: int) -> np.ndarray:
    config = LayoutConfig(size, pixel_nm)
    clip = draw_clip(config, margin, stream_seeds(0, "layout", [index])[0])
    low = np.arange(size + 2 * margin, dtype=np.float32) * pixel_nm
    x0, y0, x1, y1 = (clip.rectangles * config.grid_nm).T[..., None]
    across = np.clip(np.minimum(x1, low + pixel_nm) - np.maximum(x0, low), 0, None)
    down = np.clip(np.minimum(y1, low + pixel_nm) - np.maximum(y0, low), 0, None)
    return (down.T @ across / pixel_nm**2).clip(0, 1)


def _print(
    layout: np.ndarray, config: ImagingConfig, pixel_nm: float, rng: np.random.Generator, closed: bool
) -> np.ndarray:
    side = len(layout)
    aerial = gaussian_filter(layout, config.corner_blur_nm / pixel_nm)
    if closed:
        distance = np.sqrt(2) * config.corner_blur_nm * erfinv((2 * aerial - 1).clip(-1 + 2e-6, 1 - 2e-6))
    else:
        printed = aerial > 0.5
        distance = (distance_transform_edt(printed) - distance_transform_edt(~printed)) * pixel_nm
    squared = fftfreq(side, pixel_nm)[:, None] ** 2 + rfftfreq(side, pixel_nm) ** 2
    amplitude = (1 + (2 * np.pi * config.ler_xi_nm) ** 2 * squared) ** (-(config.ler_hurst + 1) / 2)
    amplitude *= side / np.sqrt(2 * (amplitude**2).sum())  # near enough: each column stands for two
    white = rng.standard_normal((side, side), dtype=np.float32)
    field = irfft2(rfft2(white) * amplitude.astype(np.float32), s=(side, side))
    return distance + rng.uniform(*config.cd_bias_nm) / 2 + rng.uniform(*config.ler_sigma_nm) * field


def _acquire(
    distance: np.ndarray,
    config: ImagingConfig,
    pixel_nm: float,
    inside: tuple[slice, slice],
    rng: np.random.Generator,
    closed: bool,
) -> np.ndarray:
    side = len(distance)
    nodes = int(np.ceil(side * pixel_nm / config.edge_dropout_nm)) + 2
    coarse = rng.standard_normal((nodes, nodes), dtype=np.float32)
    if closed:
        bumps = np.exp(-((np.linspace(0, nodes - 1, side)[:, None] - np.arange(nodes)) ** 2)).astype(
            np.float32
        )
        bumps /= np.linalg.norm(bumps, axis=1, keepdims=True)
        fading: np.ndarray = bumps @ coarse @ bumps.T
    else:
        fading = zoom(coarse, side / nodes)[:side, :side]
    edge = np.exp(-np.maximum(distance / config.edge_inner_nm, -distance / config.edge_outer_nm))
    edge *= rng.uniform(*config.edge_signal) * (1 - config.edge_dropout * expit(1.7 * fading))
    signal = edge + rng.uniform(*config.contrast) * expit(4 * distance / pixel_nm)
    signal = gaussian_filter(
        signal + rng.uniform(*config.background), rng.uniform(*config.beam_sigma_nm) / pixel_nm
    )
    decay = np.exp(-pixel_nm / config.charging_nm)
    signal -= rng.uniform(*config.charging) * lfilter([0, (1 - decay) * decay], [1, -decay], signal, axis=1)
    signal = signal[inside]
    side = len(signal)
    shift = rng.normal(0, config.jitter_nm / pixel_nm, (side, 1))
    signal += shift * np.gradient(signal, axis=1)
    angle, x = rng.uniform(0, 2 * np.pi), np.linspace(-0.5, 0.5, side)
    signal += rng.uniform(*config.ramp) * (np.cos(angle) * x + np.sin(angle) * x[:, None])
    dose = rng.uniform(*config.dose)
    electrons = rng.poisson(signal.clip(0) * dose) + rng.normal(0, config.read_noise, signal.shape)
    return (electrons / dose).clip(0, 1)
