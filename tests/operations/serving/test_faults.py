"""A disk that fails at any step beside the store: the answers go on, and no file is left half written."""

import errno
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from toy_service import Inverter
from watched_stream import DIRECTION, fit_detector, images

from gantrans import files
from gantrans.operations.drift.detector import DriftDetector
from gantrans.operations.feedback.pictures import encode_png
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving import drift_watch
from gantrans.operations.serving.drift_watch import DriftWatch
from gantrans.operations.serving.monitors import Operational
from gantrans.operations.serving.service import Service

PNG = encode_png(images(1, 0)[0])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drift") / "drift.safetensors"
    fit_detector(path)
    return path


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_step_of_saving_the_drift_state_that_fails_fails_no_answer(
    fitted: Path, tmp_path: Path, monkeypatch, step: str, nth: int
) -> None:
    state = tmp_path / "drift.safetensors"
    shutil.copy(fitted, state)
    before, calls = state.read_bytes(), 0
    whole = getattr(files.Steps, step)

    def failing(self: files.Steps, *given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= nth:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(self, *given)

    monkeypatch.setattr(drift_watch, "SAVE_EVERY", 1)
    with closing(Store(tmp_path / "store.sqlite")) as store:
        watch = DriftWatch({DIRECTION: state})
        service = Service(Inverter(), store, Operational(), watch)  # type: ignore[arg-type]
        with monkeypatch.context() as patch:
            patch.setattr(files.Steps, step, failing)
            for number in range(3):
                assert service.translate(PNG, DIRECTION, id=f"p{number}").png
        assert calls >= nth
        assert "No space left" in str(watch.report()[DIRECTION]["problem"])
        assert store.counts()["predictions"] == 3
        DriftDetector.load(state)  # an earlier state, or a newer one if only the sync of the folder failed
        assert nth == 2 or state.read_bytes() == before
        assert [path.name for path in tmp_path.glob(".drift*")] == []
        assert service.translate(PNG, DIRECTION, id="after").png
        assert watch.report()[DIRECTION]["problem"] is None
        assert DriftDetector.load(state).seen == 4
