"""Batched SSIM and EPE against loops over images with scikit-image, on the same clips in the same process.

The SSIM peer is `skimage.metrics.structural_similarity` on float32 arrays, the dtype we work in. EPE has two
peers, both with `skimage.measure.find_contours` and contours sampled at 0.25 px: one measures the distance to
every segment (the definition, which ours equals to the last digits), one asks a SciPy k-d tree for the
nearest sample (quicker, but up to an eighth of a pixel too large). One thread, in process CPU time, which a
busy machine lengthens for all alike; all variants take turns.

Memory: `image_report`, all metrics at once, over 1,000 and over 10,000 images, each in a process of its own;
what counts is how far the peak rises above the images themselves.
"""

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import find_contours
from skimage.metrics import structural_similarity
from torch import Tensor

from gantrans.metrics import epe, image_report, ssim

Measure = Callable[[], object]
GOALS = {"ssim": 20.0, "epe": 10.0}
MOST_MB = 50.0
"""By so much the peak may grow, at most, when there are ten times as many images."""


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per metric, size and peer: milliseconds per image, and the ratio peer / ours with its spread.

    The goals hold at 64 px: SSIM at least 20 times, EPE at least 10 times as fast. Then a row on memory.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sizes = {64: 256} if quick else {64: 256, 128: 64, 256: 16}
        timed = [row for size, count in sizes.items() for row in _rows(size, count, 5 if quick else 15)]
    finally:
        torch.set_num_threads(threads)
    return [*timed, memory_row(200 if quick else 1000)]


def memory_row(few: int) -> dict[str, Any]:
    """How the peak memory of `image_report` grows over `few` images of 64 px, and over ten times as many."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        small, large = (pool.submit(peak_growth_mb, count).result() for count in (few, 10 * few))
    return {
        "metric": "image_report, memory",
        "size_px": 64,
        "images": 10 * few,
        "peak_grows_mb": large,
        "peak_grows_mb_tenth": small,
        "goal": MOST_MB,
        "met": large - small <= MOST_MB,
    }


def peak_growth_mb(count: int) -> float:
    """By how many MB the process's peak rises above its images while all metrics of them are computed."""
    torch.set_num_threads(1)
    some = clips(64, 100)
    pred, target = (image.repeat(count // 100, 1, 1, 1) for image in some)
    image_report(pred[:8], target[:8], 20.0)  # load what is loaded late
    _ = float(pred.sum() + target.sum())  # a starved process may have lost pages of them again
    before = _peak_mb()
    image_report(pred, target, 20.0)
    return _peak_mb() - before


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def _rows(size: int, count: int, repeats: int) -> list[dict[str, Any]]:
    pred, target = clips(size, count)
    few = max(2, 8 * 64**2 // size**2)  # images per repeat for the loops
    pairs = list(zip(pred[:few, 0].numpy(), target[:few, 0].numpy(), strict=True))
    variants: dict[str, tuple[str, int, Measure]] = {
        "ssim": ("ssim", count, lambda: ssim(pred, target, data_range=1.0)),
        "scikit-image loop": ("ssim", few, lambda: [loop_ssim(p, t) for p, t in pairs]),
        "epe": ("epe", count, lambda: epe(pred, target, 1.0)),
        "scikit-image loop, k-d tree": ("epe", few, lambda: [loop_epe(*p, tree_distance) for p in pairs]),
    }
    if size == 64:  # the others would take minutes and gigabytes
        four = pairs[:4]
        exact = ("epe", len(four), lambda: [loop_epe(*p, segment_distance) for p in four])
        variants["scikit-image loop, segments"] = exact
    times: dict[str, list[float]] = {name: [] for name in variants}
    for repeat in range(repeats + 1):
        for name, (_, images, measure) in variants.items():
            start = time.process_time()
            measure()
            if repeat:  # the first one warms up
                times[name].append(1e3 * (time.process_time() - start) / images)
    return [
        {
            "metric": metric,
            "size_px": size,
            "peer": name,
            "ours_ms": statistics.median(times[metric]),
            "peer_ms": statistics.median(times[name]),
            **ratio,
            **({"goal": GOALS[metric], "met": ratio["ratio"] >= GOALS[metric]} if size == 64 else {}),
        }
        for name, (metric, _, _) in variants.items()
        if name != metric
        for ratio in (_ratio(times[name], times[metric]),)
    ]


def _ratio(peer: list[float], ours: list[float]) -> dict[str, float]:
    ratios = [p / o for p, o in zip(peer, ours, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {"ratio": middle, "ratio_q1": low, "ratio_q3": high}


def clips(size: int, count: int) -> tuple[Tensor, Tensor]:
    """Random wires and a prediction of them that is soft, rough and now and then broken: (count, 1, H, W)."""
    generator = np.random.default_rng(0)
    target = np.zeros((count, size, size), np.float32)
    for image in target:
        for _ in range(size * size // 350):
            row, column = generator.integers(0, size, 2)
            height, width = generator.permutation((generator.integers(3, 6), generator.integers(8, 30)))
            image[row : row + height, column : column + width] = 1.0
    noise = gaussian_filter(generator.standard_normal(target.shape), (0, 2, 2))
    pred = (2 * (gaussian_filter(target, (0, 1, 1)) + 0.8 * noise) - 0.5).clip(0, 1).astype(np.float32)
    return torch.from_numpy(pred)[:, None], torch.from_numpy(target)[:, None]


def loop_ssim(pred: np.ndarray, target: np.ndarray) -> float:
    """SSIM of one pair, by scikit-image."""
    return structural_similarity(
        pred, target, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )


def loop_epe(
    pred: np.ndarray, target: np.ndarray, distance: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> tuple[float, float, float]:
    """Mean, 95th percentile and Hausdorff distance in px of one pair, the usual way."""
    (points_p, segments_p), (points_t, segments_t) = sampled(pred), sampled(target)
    if distance is tree_distance:
        forth, back = distance(points_p, points_t), distance(points_t, points_p)
    else:
        forth, back = distance(points_p, segments_t), distance(points_t, segments_p)
    pooled = np.concatenate((forth, back))
    return (forth.mean() + back.mean()) / 2, float(np.percentile(pooled, 95)), pooled.max()


def sampled(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points at most 0.25 px apart (P, 2) and segments (S, 4) of all contours of an image."""
    points, segments = [], []
    for curve in find_contours(image, 0.5):
        segments.append(np.hstack((curve[:-1], curve[1:])))
        for start, end in pairwise(curve):
            parts = int(np.ceil(np.hypot(*(end - start)) / 0.25 - 1e-9))
            points.append(start + np.arange(parts)[:, None] / parts * (end - start))
        if not np.array_equal(curve[0], curve[-1]):
            points.append(curve[-1:])
    return np.concatenate(points), np.concatenate(segments)


def tree_distance(points: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Distance to the nearest sample of the other contours, by a k-d tree."""
    return cKDTree(samples).query(points)[0]


def segment_distance(points: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Distance to the nearest segment, all against all."""
    start, vector = segments[:, :2], segments[:, 2:] - segments[:, :2]
    offset = points[:, None] - start
    foot = ((offset * vector).sum(-1) / (vector * vector).sum(-1)).clip(0, 1)
    return np.sqrt(((offset - foot[..., None] * vector) ** 2).sum(-1).min(1))
