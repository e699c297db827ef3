"""Readiness: it tells the truth, and quickly, whatever the store, the disk or the registry does."""

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import nasty_images
import pytest
import torch
from fastapi.testclient import TestClient
from toy_service import Inverter

from gantrans.errors import ConfigError
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.promotion.versions import RegistryError
from gantrans.operations.serving import models
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.models import Models
from gantrans.operations.serving.monitors import Operational
from gantrans.operations.serving.readiness import Readiness, State
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service

PNG = nasty_images.good()["png 8"]
GOOD_LINE = {"line": ["v0001"], "challenger": None, "event": 1, "hash": "", "manifests": {}}


@pytest.fixture
def loads(monkeypatch) -> dict[str, Any]:
    """A registry whose champions are inverters; {"v0002": error} lets one fail; "count" counts the loads."""
    failing: dict[str, Any] = {"count": 0}

    def predictor(self: Registry, direction: str, name: str, device: object) -> Inverter:
        failing["count"] += 1
        if name in failing:
            raise failing[name]
        return Inverter(name)

    monkeypatch.setattr(Registry, "predictor", predictor)
    return failing


def write_aliases(root: Path, contents: Any) -> None:
    (root / "sem2layout").mkdir(parents=True, exist_ok=True)
    (root / "sem2layout" / "aliases.json").write_text(json.dumps(contents))


def client(store: Store, served: Any) -> TestClient:
    service = Service(served, store, Operational())
    return TestClient(serve_app(service, IntakeConfig()), base_url="http://127.0.0.1")


def translate(web: TestClient) -> Any:
    return web.post("/translate", params={"direction": "sem2layout"}, files={"image": PNG})


def ready(web: TestClient) -> tuple[int, str | None]:
    """Status and problem, which must come soon: Docker allows 4 s."""
    start = time.monotonic()
    answer = web.get("/v2/health/ready")
    assert time.monotonic() - start < 3
    assert answer.json()["ready"] is (answer.status_code == 200)
    return answer.status_code, answer.json()["problem"]


@contextmanager
def _removed(store: Store) -> Iterator[None]:
    for part in store.path.parent.glob("store.sqlite*"):
        part.unlink()
    yield


@contextmanager
def _locked(store: Store) -> Iterator[None]:
    with closing(sqlite3.connect(store.path, isolation_level=None)) as browser:
        browser.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize(
    ("what", "words"), [(_removed, "removed or replaced"), (_locked, "has not finished")]
)
def test_a_store_that_cannot_be_written_is_not_ready(store: Store, what: Callable, words: str) -> None:
    web = client(store, Inverter())
    assert ready(web) == (200, None)
    with what(store):
        web.app.state.service.readiness.expire()  # as when the time of the last result is over
        status, problem = ready(web)
        assert (status, words in str(problem)) == (503, True), problem
        start = time.monotonic()
        assert ready(web)[0] == 503
        assert time.monotonic() - start < 0.5  # the last result, or none yet


def test_a_write_that_failed_ends_an_earlier_ready(store: Store) -> None:
    web = client(store, Inverter())
    assert ready(web) == (200, None)
    store.path.rename(store.path.with_name("away"))
    assert translate(web).status_code == 503
    assert ready(web)[0] == 503
    store.path.with_name("away").rename(store.path)
    web.app.state.service.readiness.expire()
    assert ready(web) == (200, None)
    assert translate(web).status_code == 200


@pytest.mark.parametrize(
    "contents",
    [
        None, [2], "v0001", 7, {}, GOOD_LINE | {"line": None}, GOOD_LINE | {"line": [2]},
        GOOD_LINE | {"line": 7}, GOOD_LINE | {"line": [None]}, {"line": ["v0001"]},
    ],
)  # fmt: skip
def test_odd_aliases_are_one_sentence_and_the_loaded_model_serves_on(
    store: Store, loads: dict[str, Any], tmp_path: Path, contents: Any
) -> None:
    root = tmp_path / "registry"
    write_aliases(root, GOOD_LINE)
    web = client(store, Models(registry=root, device="cpu"))
    assert ready(web) == (200, None)
    write_aliases(root, contents)
    assert translate(web).headers["x-model-version"] == "v0001"
    web.app.state.service.readiness.expire()
    status, problem = ready(web)
    assert status == 503
    assert "registry" in str(problem)
    with pytest.raises(ConfigError):
        Models(registry=root, device="cpu")
    write_aliases(root, GOOD_LINE)
    web.app.state.service.readiness.expire()
    assert ready(web) == (200, None)


def test_a_registry_that_is_gone_is_not_ready(store: Store, loads: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "registry"
    write_aliases(root, GOOD_LINE)
    web = client(store, Models(registry=root, device="cpu"))
    shutil.rmtree(root)
    status, problem = ready(web)
    assert status == 503
    assert "no champion" in str(problem)
    assert translate(web).status_code == 200


@pytest.mark.parametrize(
    "error", [RegistryError("altered"), RuntimeError("CUDA out of memory"), KeyError("x")]
)
def test_a_champion_that_cannot_be_loaded_is_tried_once(
    store: Store, loads: dict[str, Any], tmp_path: Path, error: Exception
) -> None:
    """Its 500 MB were hashed at every request."""
    root = tmp_path / "registry"
    write_aliases(root, GOOD_LINE)
    web = client(store, Models(registry=root, device="cpu"))
    loads["v0002"], loads["count"] = error, 0
    write_aliases(root, GOOD_LINE | {"line": ["v0001", "v0002"], "event": 2})
    for _ in range(3):
        assert translate(web).headers["x-model-version"] == "v0001"
    status, problem = ready(web)
    assert status == 200  # it serves, by the previous champion
    assert "cannot be loaded" in str(problem)
    assert loads["count"] == 1
    write_aliases(root, GOOD_LINE | {"line": ["v0001", "v0002"], "event": 3})
    assert translate(web).status_code == 200
    assert loads["count"] == 2
    write_aliases(root, GOOD_LINE | {"line": ["v0001"], "event": 4})
    web.app.state.service.readiness.expire()
    assert ready(web) == (200, None)


def test_a_failure_that_may_pass_is_tried_again(loads, tmp_path: Path, monkeypatch) -> None:
    root = tmp_path / "registry"
    write_aliases(root, GOOD_LINE)
    served = Models(registry=root, device="cpu")
    loads["v0002"] = RuntimeError("CUDA out of memory")
    monkeypatch.setattr(models, "AGAIN_S", 0.0)
    write_aliases(root, GOOD_LINE | {"line": ["v0002"]})
    assert served.get("sem2layout").version == "v0001"
    del loads["v0002"]
    assert served.get("sem2layout").version == "v0002"


def test_a_network_that_does_not_fit_into_memory_is_no_server_error(store: Store) -> None:
    served = Inverter()

    def fail(image: torch.Tensor, *, seed: int = 0) -> torch.Tensor:
        raise RuntimeError("CUDA out of memory. Tried to allocate 9 GiB\nand more")

    web = client(store, served)
    served.translate_large = fail  # type: ignore[method-assign]
    answer = translate(web)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "out of memory" in answer.json()["detail"]
    assert store.counts()["predictions"] == 0


def test_a_probe_runs_once_for_all_who_ask() -> None:
    asked = []

    def probe() -> State:
        asked.append(1)
        time.sleep(0.3)
        return State(True)

    readiness = Readiness(probe, every_s=60, patience_s=0.05)
    assert not readiness.state().ready
    assert "not finished" in str(readiness.state().problem)
    time.sleep(0.5)
    assert readiness.state() == State(True)
    assert len(asked) == 1
    readiness.expire()
    assert not readiness.state().ready
    assert len(asked) == 2
