"""The drift monitor inside a service: fed image by image, alive after a restart, acknowledged by a person."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from watched_stream import DIRECTION, alarmed, fit_detector, images

from gantrans.errors import CheckpointError
from gantrans.operations.drift.detector import DRIFT, DriftDetector
from gantrans.operations.drift.features import FEATURES
from gantrans.operations.drift.profile import measure
from gantrans.operations.serving import drift_watch
from gantrans.operations.serving.drift_watch import OtherAlarmsError
from gantrans.operations.serving.monitors import SAVE_EVERY, DriftWatch


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("drift") / "detector.safetensors"
    fit_detector(path)
    return path


@pytest.fixture
def running(detector: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(detector, tmp_path / "running.safetensors"))


def test_the_watch_sees_what_the_detector_would_and_survives_a_kill(detector: Path, running: Path) -> None:
    watch, alone = DriftWatch({DIRECTION: running}), DriftDetector.load(detector)
    stream = torch.cat([images(SAVE_EVERY - 5, 1), 0.2 + 0.8 * images(10, 2)])
    for image in stream:
        watch.observe(DIRECTION, image, 20.0)
        watch.observe("layout2sem", image, 20.0)  # nobody watches that one
    expected = alone.update(measure(stream))
    report = watch.report()
    assert set(report) == {DIRECTION}
    assert report[DIRECTION]["seen"] == len(stream)
    assert report[DIRECTION]["status"] == expected.status
    assert report[DIRECTION]["outlier_rate"] == expected.outlier_rate
    assert report[DIRECTION]["outlier_rate"] > 0.1  # the brighter ones

    after = DriftWatch({DIRECTION: running})  # killed: what came after the last saving is missing
    assert after.report()[DIRECTION]["seen"] == SAVE_EVERY
    watch.save()
    saved = DriftWatch({DIRECTION: running}).report()[DIRECTION]
    shown = watch.report()[DIRECTION]
    measured = [row.pop("value") is not None for row in shown["features"]]
    assert all(measured)  # of the last images, which a restart forgets
    for report in (saved, shown):
        for row in report["features"]:
            row.pop("value", None), row.pop("deviations")
    assert saved == shown


def test_an_image_that_cannot_be_measured_is_counted(running: Path, tmp_path: Path) -> None:
    watch = DriftWatch({DIRECTION: running})
    watch.observe(DIRECTION, torch.rand(1, 3, 3, generator=torch.Generator().manual_seed(0)), 20.0)
    assert watch.report()[DIRECTION]["unmeasured"] == 1
    assert watch.report()[DIRECTION]["seen"] == 0
    with pytest.raises(CheckpointError, match="drift detector"):
        DriftWatch({DIRECTION: tmp_path / "none"})


def test_an_alarm_names_its_features_with_their_values(running: Path) -> None:
    watch, heard = DriftWatch({DIRECTION: running}), []
    watch.on_alarm = lambda *given: heard.append(given)
    stream = 0.1 + 0.9 * images(4 * SAVE_EVERY, 3)
    for image in stream:
        watch.observe(DIRECTION, image, 20.0)
        if heard:
            break
    ((direction, alarm, values),) = heard
    assert direction == DIRECTION
    assert [row["feature"] for row in values] == list(alarm.features)
    brightness = next(row for row in values if row["feature"] == "mean intensity")
    expected = measure(stream[: alarm.image]).features[:, 0]
    assert brightness["value"] == pytest.approx(float(expected.mean()))
    profile = watch.detectors[DIRECTION].profile
    assert brightness["deviations"] == pytest.approx(
        (brightness["value"] - float(profile.mean[0])) / float(profile.std[0])
    )
    report = watch.report()[DIRECTION]
    assert [row["feature"] for row in report["features"]] == list(FEATURES)
    assert max(row["chart"] for row in report["features"]) == pytest.approx(report["chart"])


def test_an_acknowledged_alarm_is_over_and_stays_so(running: Path) -> None:
    watch = alarmed(running)
    shown = watch.report()[DIRECTION]
    assert (shown["status"], shown["alarm_count"]) == (DRIFT, 1)
    with pytest.raises(OtherAlarmsError, match="1 alarms"):
        watch.acknowledge(DIRECTION, who="ada", why="a new lot", shown=0)
    assert watch.acknowledge(DIRECTION, who="ada", why="a new lot", shown=1) == 1
    assert watch.acknowledge(DIRECTION, who="bob", why="again", shown=1) == 0
    for report in (watch.report()[DIRECTION], DriftWatch({DIRECTION: running}).report()[DIRECTION]):
        assert report["status"] != DRIFT
        assert report["alarms"][0]["acknowledged"]
        ((said,),) = (report["acknowledgements"],)
        assert (said["who"], said["why"], said["alarms"]) == ("ada", "a new lot", 1)
        assert said["made_at"]


def test_what_another_program_acknowledged_is_taken_over(running: Path) -> None:
    watch = alarmed(running)
    watch.save()
    other = DriftDetector.load(running)
    other.acknowledge("the tool was repaired", who="eve")
    other.save(running)
    watch.save()
    assert watch.report()[DIRECTION]["acknowledgements"][0]["who"] == "eve"
    assert DriftDetector.load(running).acknowledged == 1


def test_a_full_disk_fails_no_image_and_acknowledges_nothing(running: Path, monkeypatch) -> None:
    watch = alarmed(running)

    def full(*_: object, **__: object) -> None:
        raise CheckpointError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(drift_watch.DriftDetector, "save", full)
        for image in images(SAVE_EVERY, 5):
            watch.observe(DIRECTION, image, 20.0)
        assert watch.report()[DIRECTION]["problem"] == "the disk is full"
        with pytest.raises(CheckpointError):
            watch.acknowledge(DIRECTION, who="ada", why="x", shown=1)
        assert watch.report()[DIRECTION]["status"] == DRIFT
        with pytest.raises(CheckpointError, match="full"):
            watch.save()
    assert watch.acknowledge(DIRECTION, who="ada", why="x", shown=1) == 1
    assert watch.report()[DIRECTION]["problem"] is None


def test_a_file_that_was_damaged_meanwhile_is_not_overwritten(running: Path) -> None:
    watch = DriftWatch({DIRECTION: running})
    running.write_bytes(b"of somebody else")
    os.utime(running, (1, 1))
    with pytest.raises(CheckpointError, match="drift detector"):
        watch.save()
    assert running.read_bytes() == b"of somebody else"
