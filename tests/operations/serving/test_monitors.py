"""The drift monitor inside a service: fed image by image, alive after a restart."""

from pathlib import Path

import pytest
import torch

from gantrans.errors import CheckpointError
from gantrans.operations.drift.detector import DriftDetector
from gantrans.operations.drift.profile import measure
from gantrans.operations.serving.monitors import SAVE_EVERY, DriftWatch


def images(count: int, seed: int) -> torch.Tensor:
    """Noisy vertical lines of random pitch and contrast."""
    generator = torch.Generator().manual_seed(seed)
    pace = 0.6 + 0.6 * torch.rand(count, 1, 1, 1, generator=generator)
    wave = torch.sin(torch.arange(32) * pace).expand(count, 1, 32, 32)
    contrast = 0.1 + 0.05 * torch.rand(count, 1, 1, 1, generator=generator)
    noise = 0.05 * torch.randn(count, 1, 32, 32, generator=generator)
    return (0.5 + contrast * wave + noise).clamp(0, 1)


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("drift") / "detector.safetensors"
    DriftDetector.fit(measure(images(8000, 0))).save(path)
    return path


def test_the_watch_sees_what_the_detector_would_and_survives_a_kill(detector: Path, tmp_path: Path) -> None:
    path = tmp_path / "running.safetensors"
    path.write_bytes(detector.read_bytes())
    watch, alone = DriftWatch({"sem2layout": path}), DriftDetector.load(detector)
    stream = torch.cat([images(SAVE_EVERY - 5, 1), 0.2 + 0.8 * images(10, 2)])
    for image in stream:
        watch.observe("sem2layout", image, 20.0)
        watch.observe("layout2sem", image, 20.0)  # nobody watches that one
    expected = alone.update(measure(stream))
    report = watch.report()
    assert set(report) == {"sem2layout"}
    assert report["sem2layout"]["seen"] == len(stream)
    assert report["sem2layout"]["status"] == expected.status
    assert report["sem2layout"]["outlier_rate"] == expected.outlier_rate
    assert report["sem2layout"]["outlier_rate"] > 0.1  # the brighter ones

    after = DriftWatch({"sem2layout": path})  # killed: what came after the last saving is missing
    assert after.report()["sem2layout"]["seen"] == SAVE_EVERY
    watch.save()
    assert DriftWatch({"sem2layout": path}).report() == watch.report()


def test_an_image_that_cannot_be_measured_is_counted(detector: Path, tmp_path: Path) -> None:
    path = tmp_path / "running.safetensors"
    path.write_bytes(detector.read_bytes())
    watch = DriftWatch({"sem2layout": path})
    watch.observe("sem2layout", torch.rand(1, 3, 3, generator=torch.Generator().manual_seed(0)), 20.0)
    assert watch.report()["sem2layout"]["unmeasured"] == 1
    assert watch.report()["sem2layout"]["seen"] == 0
    with pytest.raises(CheckpointError, match="drift detector"):
        DriftWatch({"sem2layout": tmp_path / "none"})
