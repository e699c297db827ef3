"""Drift monitors: images measured per second, alarms while in control, run lengths, lines with lots.

In control: three lines of production, each with its own reference of 8,000 images, watch 10,000 images, once
independent and once in lots of 25. The run length is that of charts whose limit is set for one alarm in 5,000
images, over all six streams of 10,000: at 200,000, which the detector uses, sixty thousand images would
hold no alarm to count. Detection, over 20 lines, is measured by the sweep in
`notebooks/lessons/lesson11/experiments/drift.py`.
"""

import statistics
import time
from typing import Any

import torch
from scipy import ndimage

from gantrans.operations.drift.charts import ChartConfig, SequentialTest
from gantrans.operations.drift.features import image_features
from gantrans.operations.drift.profile import Measured
from lessons.lesson11.experiments import drift
from lessons.lesson11.experiments.drift_streams import PIXEL_NM, measured_stream, stream

STATED = 5000.0
_SEED = 4_000_000


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows on speed, on every line in control, and on both charts' run lengths.

    Goals: 1,000 images per core and second; at most one alarm of levels 2 and 3 in 10,000 images in control;
    run length between a third and three times the stated one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [*_speed(quick), *_in_control(quick)]
    finally:
        torch.set_num_threads(threads)


def _speed(quick: bool) -> list[dict[str, Any]]:
    """Ten features of ours against two of the article's three, image by image, with SciPy."""
    images = stream("none", 250 if quick else 1000, 0).sem
    variants = {
        "ten features, batched": lambda: image_features(images, PIXEL_NM),
        "edges and histogram per image, SciPy": lambda: [_per_image(x) for x in images[:, 0].numpy()],
    }
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(3 if quick else 7):  # interleaved, so that a busy machine slows all alike
        for name, measure in variants.items():
            start = time.process_time()
            measure()
            rates[name].append(len(images) / (time.process_time() - start))
    return [
        {
            "benchmark": "drift",
            "measured": "speed",
            "variant": name,
            "images_per_core_s": round(statistics.median(values), 1),
            "lowest": round(min(values), 1),
            "highest": round(max(values), 1),
        }
        for name, values in rates.items()
    ]


def _per_image(image: Any) -> tuple[float, Any]:
    smooth = ndimage.gaussian_filter(image, 1.0)
    steep = ndimage.sobel(smooth, 0) ** 2 + ndimage.sobel(smooth, 1) ** 2
    return float((steep > 0.1).mean()), ndimage.histogram(image, 0, 1, 64)


def _in_control(quick: bool) -> list[dict[str, Any]]:
    lines, images = (1, 2000) if quick else (3, 10_000)
    scale = "smoke" if quick else "reduced"
    rows, streams = [], []
    for lots in (False, True):
        for seed in range(lines):
            of = drift.line(scale, seed, lots)
            watched = measured_stream(
                "none", images, _SEED + seed, lots=lots, size=drift.SETTINGS[scale].size
            )
            streams.append((of, watched))
            report = of.fresh().update(watched)
            windows = watched.features.split(of.fitted.config.window)
            strange = sum(of.fitted.windows.judge(w).strange for w in windows)
            outliers = of.fitted.profile.judge(watched)
            rows.append(
                {
                    "benchmark": "drift",
                    "measured": "in control",
                    "variant": "lots of 25" if lots else "independent",
                    "seed": seed,
                    "images": images,
                    "alarms": len(report.alarms),
                    "strange_windows": strange,
                    "windows": len(windows),
                    "flags_per_10000": round(1e4 * float(outliers.flagged.double().mean()), 1),
                    "by_z_per_10000": round(1e4 * float((outliers.z.abs() > 3).any(1).double().mean()), 1),
                    "by_kl_per_10000": round(1e4 * float((outliers.kl > 0.5).double().mean()), 1),
                }
            )
    return rows + [_run_length(kind, streams) for kind in ("cusum", "ewma")]


def _run_length(kind: str, streams: list[tuple[drift.Line, Measured]]) -> dict[str, Any]:
    config = ChartConfig(kind, run_length=STATED)
    alarms = images = 0
    for seed, (of, watched) in enumerate(streams):
        chart = SequentialTest.fit(of.reference.features, config, seed=seed)
        state = chart.start()
        for block in watched.features.split(config.block):
            state, alarm = chart.step(state, block)
            alarms, images = alarms + alarm, images + len(block)
    return {
        "benchmark": "drift",
        "measured": "run length",
        "variant": kind,
        "images": images,
        "alarms": alarms,
        "stated": STATED,
        "run_length": round(images / alarms, 1) if alarms else None,
    }
