"""Routes of the monitors and of the registry: what is shown, what is decided, and what changes nothing."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nasty_images
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_service import Inverter, try_contract
from watched_stream import DIRECTION, alarmed, fit_detector, images

from gantrans.operations.drift.detector import DriftDetector
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion.disk import Disk
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.serving.history import DAY
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.models import Models
from gantrans.operations.serving.monitors import SAVE_EVERY, Operational
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service
from gantrans.translation import recipe, train_recipe

PNG = nasty_images.good()["png 8"]
WHO = {"who": "ada", "why": "better edges"}


def make_client(store: Store, models: Any = None, inputs: Any = None) -> TestClient:
    service = Service(models or Inverter(), store, Operational(), inputs)
    return TestClient(serve_app(service, IntakeConfig()), base_url="http://127.0.0.1")


def upload(web: TestClient, **parameters: object) -> Any:
    return web.post("/translate", params={"direction": DIRECTION, **parameters}, files={"image": PNG})


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("drift") / "detector.safetensors"
    fit_detector(path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("operating") / "run"
    train_recipe(recipe(DIRECTION, "smoke"), out, progress=False)
    return out


@pytest.fixture
def registry(run: Path, tmp_path: Path) -> Registry:
    made = Registry(tmp_path / "registry")
    for note in ("first", "second", "third"):
        made.register(run, note=note)
    made.promote(DIRECTION, "v0001", details={"who": "eve", "why": "the only one"})
    return made


def shown(web: TestClient) -> dict[str, Any]:
    """The direction as the registry view shows it."""
    ((found,),) = (web.get("/registry").json()["directions"],)
    return found


def confirmed(web: TestClient, version: str, **changed: Any) -> dict[str, Any]:
    """The body of a move of a person who looks at the view now."""
    state = shown(web)
    digests = {row["version"]: row["digest"] for row in state["versions"]}
    return {"version": version, "digest": digests[version], "over": state["champion"], **WHO, **changed}


def files(registry: Registry) -> dict[str, bytes]:
    folder = registry.root / DIRECTION
    return {name: (folder / name).read_bytes() for name in ("aliases.json", "history.jsonl")}


def test_a_person_promotes_and_rolls_back_and_the_log_says_why(store: Store, registry: Registry) -> None:
    web = make_client(store, Models(registry=registry.root))
    state = shown(web)
    assert (state["champion"], state["serving"], state["challenger"]) == ("v0001", "v0001", "v0003")
    assert [row["version"] for row in state["versions"]] == ["v0003", "v0002", "v0001"]
    assert [row["can_promote"] for row in state["versions"]] == [True, True, False]
    assert state["versions"][2]["aliases"] == ["champion"]
    body = confirmed(web, "v0002")
    answer = web.post(f"/registry/{DIRECTION}/promotions", json=body)
    assert (answer.status_code, answer.json()["serving"], answer.json()["new"]) == (201, "v0002", True)
    again = web.post(f"/registry/{DIRECTION}/promotions", json=body)  # the answer was lost
    assert (again.status_code, again.json()["new"]) == (200, False)
    assert upload(web).headers["x-model-version"] == "v0002"
    newest = shown(web)["log"][0]
    assert (newest["action"], newest["version"], newest["who"], newest["why"]) == (
        "promote", "v0002", "ada", "better edges",
    )  # fmt: skip

    back = confirmed(web, "v0001", why="the edges are worse")
    assert web.post(f"/registry/{DIRECTION}/rollbacks", json=back).status_code == 201
    assert web.post(f"/registry/{DIRECTION}/rollbacks", json=back).status_code == 200
    assert upload(web).headers["x-model-version"] == "v0001"
    newest = shown(web)["log"][0]
    assert (newest["action"], newest["who"], newest["why"]) == ("rollback", "ada", "the edges are worse")
    assert [event["action"] for event in registry.history(DIRECTION)][-2:] == ["promote", "rollback"]


@pytest.mark.parametrize("move", ["promotions", "rollbacks"])
def test_a_move_that_is_not_confirmed_changes_nothing(store: Store, registry: Registry, move: str) -> None:
    registry.promote(DIRECTION, "v0002")
    web = make_client(store, Models(registry=registry.root))
    right = confirmed(web, "v0003" if move == "promotions" else "v0001")
    before, url = files(registry), f"/registry/{DIRECTION}/{move}"
    for changed, status in (
        ({"digest": "0" * 64}, 409),
        ({"over": "v0001"}, 409),
        ({"over": None}, 409),
        ({"version": "v0009"}, 404),
        ({"version": "../v0001"}, 422),
        ({"why": " "}, 422),
        ({"who": ""}, 422),
        ({"digest": "short"}, 422),
    ):
        answer = web.post(url, json=right | changed)
        assert (answer.status_code, list(answer.json())) == (status, ["detail"]), changed
    assert web.post(f"/registry/layout2sem/{move}", json=right).status_code == 404
    assert web.post(f"/registry/x/{move}", json=right).status_code == 422
    assert web.post(url, json=right, headers={"origin": "http://evil.example"}).status_code == 403
    assert files(registry) == before
    assert web.post(url, json=right).status_code == 201


def test_a_version_that_cannot_serve_is_not_promoted(store: Store, registry: Registry, monkeypatch) -> None:
    web = make_client(store, Models(registry=registry.root))
    body, before = confirmed(web, "v0002"), files(registry)
    weights = registry.root / DIRECTION / "versions" / "v0002" / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    answer = web.post(f"/registry/{DIRECTION}/promotions", json=body)
    assert answer.status_code == 422
    assert "nothing was changed" in answer.json()["detail"]
    weights.write_bytes(whole)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Disk, "write", full)
        answer = web.post(f"/registry/{DIRECTION}/promotions", json=body)
        assert (answer.status_code, list(answer.json())) == (503, ["detail"])
    assert files(registry) == before
    assert shown(web)["serving"] == "v0001"
    assert web.post(f"/registry/{DIRECTION}/promotions", json=body).status_code == 201


def test_a_service_of_run_folders_has_no_registry(store: Store) -> None:
    web = make_client(store)
    assert web.get("/registry").json() == {"served": False, "directions": []}
    body = {"version": "v0001", "digest": "0" * 64, "over": None, **WHO}
    for url in (f"/registry/{DIRECTION}/promotions", f"/registry/{DIRECTION}/rollbacks"):
        assert web.post(url, json=body).status_code == 404
    assert web.put(f"/monitors/reference/{DIRECTION}", json={"model": "v0001", **WHO}).status_code == 404


def test_a_damaged_history_of_the_registry_is_shown_not_thrown(store: Store, registry: Registry) -> None:
    web = make_client(store, Models(registry=registry.root))
    (registry.root / DIRECTION / "history.jsonl").write_bytes(b"")
    state = shown(web)
    assert "history" in state["problem"]
    assert [row["version"] for row in state["versions"]] == ["v0003", "v0002", "v0001"]
    assert web.get("/monitors").status_code == 200


def test_a_promotion_does_not_become_the_reference(store: Store, registry: Registry) -> None:
    web = make_client(store, Models(registry=registry.root))

    def predict(name: str) -> None:
        upload(web, id=name)
        url = f"/predictions/{name}/labels/{name}"
        assert web.put(url, params={"kind": "truth"}, files={"image": PNG}).status_code == 201

    predict("a")
    assert web.post(f"/registry/{DIRECTION}/promotions", json=confirmed(web, "v0002")).status_code == 201
    predict("b")
    report = web.get("/monitors").json()
    assert [(row["model"], row["reference"]) for row in report["performance"]] == [
        ("v0001", True), ("v0002", False),
    ]  # fmt: skip
    assert (report["reference"][DIRECTION]["model"], report["reference"][DIRECTION]["chosen"]) == (
        "v0001", False,
    )  # fmt: skip
    url = f"/monitors/reference/{DIRECTION}"
    assert web.put(url, json={"model": "v0007", **WHO}).status_code == 404
    chosen = web.put(url, json={"model": "v0002", **WHO})
    assert chosen.status_code == 200
    report = web.get("/monitors").json()
    assert report["reference"][DIRECTION] == chosen.json()
    assert (chosen.json()["chosen"], chosen.json()["who"], chosen.json()["count"]) == (True, "ada", 1)
    assert [row["reference"] for row in report["performance"]] == [False, True]
    assert registry.reference(DIRECTION).version == "v0002"


def test_an_alarm_is_acknowledged_once_over_http(store: Store, detector: Path, tmp_path: Path) -> None:
    path = tmp_path / "running.safetensors"
    path.write_bytes(detector.read_bytes())
    watch = alarmed(path)
    web, url = make_client(store, inputs=watch), f"/monitors/drift/{DIRECTION}/acknowledgements"
    state = web.get("/monitors").json()["drift"][DIRECTION]
    assert (state["status"], state["alarm_count"], state["acknowledged"]) == ("drift", 1, 0)
    for changed, status in (({"alarms": 0}, 409), ({"why": "  "}, 422), ({"alarms": -1}, 422)):
        answer = web.post(url, json={"alarms": 1, **WHO} | changed)
        assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    answers = [web.post(url, json={"alarms": 1, **WHO}) for _ in range(2)]
    assert [(a.status_code, a.json()["new"]) for a in answers] == [(201, True), (200, False)]
    state = web.get("/monitors").json()["drift"][DIRECTION]
    assert (state["status"] == "drift", state["acknowledged"]) == (False, 1)
    assert state["acknowledgements"][0]["who"] == "ada"
    assert DriftDetector.load(path).acknowledged == 1
    missing = "/monitors/drift/layout2sem/acknowledgements"
    assert web.post(missing, json={"alarms": 1, **WHO}).status_code == 404


def test_the_values_of_an_alarm_survive_a_restart(store: Store, detector: Path, tmp_path: Path) -> None:
    path = tmp_path / "running.safetensors"
    path.write_bytes(detector.read_bytes())
    watch = alarmed(path)
    watch.detectors[DIRECTION].alarms.clear()  # it alarms again, now that the routes listen
    web = make_client(store, inputs=watch)
    assert web.get("/monitors").status_code == 200
    for image in 0.1 + 0.9 * images(4 * SAVE_EVERY, 4):
        watch.observe(DIRECTION, image, 20.0)
    watch.save()
    restarted = make_client(store, inputs=type(watch)({DIRECTION: path}))
    alarms = restarted.get("/monitors").json()["drift"][DIRECTION]["alarms"]
    assert alarms
    for alarm in alarms:
        assert [row["feature"] for row in alarm["values"]] == alarm["features"]
        assert alarm["made_at"].startswith("20")


def test_a_damaged_picture_stops_no_monitor_and_is_never_delivered(store: Store) -> None:
    web = make_client(store)
    for name in "ab":
        upload(web, id=name, seed=ord(name))
    upload(web, id="c")
    other = nasty_images.saved(np.full((24, 24), 99, np.uint8), "PNG")
    answer = web.post("/translate", params={"direction": DIRECTION, "id": "d"}, files={"image": other})
    assert answer.status_code == 200
    for name in "cd":
        label = {"params": {"kind": "truth"}, "files": {"image": PNG}}
        assert web.put(f"/predictions/{name}/labels/{name}", **label).status_code == 201
    damaged = store.prediction("d")
    assert damaged is not None
    with sqlite3.connect(store.path) as connection:
        ((png,),) = connection.execute("SELECT png FROM image WHERE sha256 = ?", (damaged.output,))
        changed = png[:60] + bytes([png[60] ^ 1]) + png[61:]
        connection.execute("UPDATE image SET png = ? WHERE sha256 = ?", (changed, damaged.output))
    (row,) = web.get("/monitors").json()["performance"]
    assert (row["damaged"], row["labelled"], row["l1"]["count"]) == (1, 1, 1)
    picture = web.get("/predictions/d/output.png")
    assert (picture.status_code, list(picture.json())) == (410, ["detail"])
    assert web.get("/predictions/d/input.png").status_code == 200
    again = web.post("/translate", params={"direction": DIRECTION, "id": "d"}, files={"image": other})
    assert again.status_code == 410
    for url in ("/strangest", "/queue"):
        assert web.get(url, params={"direction": DIRECTION}).status_code == 200


def test_the_history_is_written_while_the_application_runs(store: Store) -> None:
    with make_client(store) as web:
        upload(web)
    with make_client(store) as web:  # a restart
        upload(web)
        found = {one["name"]: one for one in web.get("/monitors/history").json()["series"]}
        assert sum(point[2] for point in found["errors"]["points"]) == 1
    after = make_client(store).get("/monitors/history", params={"hours": 24 * 30}).json()
    found = {one["name"]: one for one in after["series"]}
    assert after["step_s"] == DAY
    assert sum(point[2] for point in found["latency_p95"]["points"]) == 2
    assert web.get("/monitors").json()["problems"] == {}


def test_a_history_that_cannot_be_written_fails_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "store-history.sqlite").write_bytes(b"not a database, but longer than its header " * 9)
    with make_client(store) as web:
        assert upload(web).status_code == 200
        web.app.state.monitoring.recorder.tick()  # type: ignore[attr-defined]
        assert "history" in web.get("/monitors").json()["problems"]
        answer = web.get("/monitors/history")
        assert (answer.status_code, list(answer.json())) == (503, ["detail"])
    assert (tmp_path / "store-history.sqlite").read_bytes().startswith(b"not a database")


def test_the_queue_and_the_strangest_are_served(store: Store) -> None:
    web = make_client(store)
    for number in range(3):
        upload(web, id=f"p{number}")
    queue = web.get("/queue", params={"direction": DIRECTION, "random_share": 1}).json()
    assert {image["id"] for image in queue["images"]} == {"p0", "p1", "p2"}
    body = {"verdict": "accept", "reviewer": "ada"}
    assert web.put("/predictions/p1/verdicts/e", json=body).status_code == 201
    assert web.get("/predictions/p1").json()["reviewer"] == "ada"
    queue = web.get("/queue", params={"direction": DIRECTION, "random_share": 1}).json()
    assert {image["id"] for image in queue["images"]} == {"p0", "p2"}
    assert web.get("/strangest", params={"direction": DIRECTION}).json()["against"] == "recent"
    for wrong in ({"direction": "x"}, {"direction": DIRECTION, "random_share": 2}, {}):
        assert web.get("/queue", params=wrong).status_code == 422


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.fixed_dictionaries(
        {
            "version": st.from_regex(r"v[0-9]{1,9}", fullmatch=True) | st.text(max_size=5),
            "digest": st.from_regex(r"[0-9a-f]{64}", fullmatch=True) | st.text(max_size=5),
            "over": st.none() | st.from_regex(r"v000[0-9]", fullmatch=True),
            "who": st.text(max_size=5),
            "why": st.text(max_size=5),
        }
    ),
    st.sampled_from(["promotions", "rollbacks"]),
)
def test_no_unconfirmed_body_moves_anything(asked: SimpleNamespace, body: dict[str, Any], move: str) -> None:
    answer = asked.web.post(f"/registry/{DIRECTION}/{move}", json=body)
    assert answer.status_code in (404, 409, 422)
    assert list(answer.json()) == ["detail"]
    assert files(asked.registry) == asked.before


@pytest.fixture(scope="module")
def asked(run: Path, tmp_path_factory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("asked")
    registry, store = Registry(folder / "registry"), Store(folder / "store.sqlite")
    registry.register(run)
    registry.promote(DIRECTION, "v0001")
    registry.register(run)
    service = Service(Models(registry=registry.root), store, Operational())
    app = serve_app(service, IntakeConfig(), hosts=("*",))
    web = TestClient(app, base_url="http://127.0.0.1")
    yield SimpleNamespace(web=web, registry=registry, before=files(registry))
    store.close()


def test_the_document_says_what_the_routes_answer(asked: SimpleNamespace) -> None:
    """Schemathesis on a registry with two versions, and stored predictions so that the routes have work."""
    upload(asked.web, id="p")
    statuses = try_contract(asked.web.app, 4, PNG)
    answered = {operation for operation, status in statuses if status < 300}
    assert {"GET /registry", "GET /monitors", "GET /monitors/history", "GET /queue"} <= answered
    assert {"GET /strangest"} <= answered
    assert not [key for key in statuses if key[1] >= 500]
    assert files(asked.registry)["aliases.json"] == asked.before["aliases.json"]
