"""A stream of images with a drift detector that watches it, for tests of the service."""

from pathlib import Path

import torch

from gantrans.operations.drift.detector import DriftDetector
from gantrans.operations.drift.profile import measure
from gantrans.operations.serving.monitors import SAVE_EVERY, DriftWatch

DIRECTION = "sem2layout"


def images(count: int, seed: int) -> torch.Tensor:
    """Noisy vertical lines of random pitch and contrast."""
    generator = torch.Generator().manual_seed(seed)
    pace = 0.6 + 0.6 * torch.rand(count, 1, 1, 1, generator=generator)
    wave = torch.sin(torch.arange(32) * pace).expand(count, 1, 32, 32)
    contrast = 0.1 + 0.05 * torch.rand(count, 1, 1, 1, generator=generator)
    noise = 0.05 * torch.randn(count, 1, 32, 32, generator=generator)
    return (0.5 + contrast * wave + noise).clamp(0, 1)


def alarmed(path: Path) -> DriftWatch:
    """A watch whose images became brighter until the chart alarmed."""
    watch = DriftWatch({DIRECTION: path})
    for image in 0.1 + 0.9 * images(4 * SAVE_EVERY, 3):
        watch.observe(DIRECTION, image, 20.0)
        if watch.detectors[DIRECTION].alarms:
            return watch
    raise AssertionError("no alarm")


def fit_detector(path: Path) -> None:
    """Write a detector that was fitted on 8,000 images."""
    DriftDetector.fit(measure(images(8000, 0))).save(path)
