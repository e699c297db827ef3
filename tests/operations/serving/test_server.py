"""The service: what is answered is registered, what comes in is bounded, the document says what happens."""

import asyncio
import base64
import io
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import nasty_images
import numpy as np
import pytest
import torch
from apart import run_apart
from fastapi.testclient import TestClient
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from toy_service import Inverter, store_predictions, try_contract

from gantrans.__main__ import main
from gantrans.data import PairedFolder
from gantrans.errors import ConfigError
from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.exports import write_feedback
from gantrans.operations.feedback.store import ConflictError, Store
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.serving.hosting import listen
from gantrans.operations.serving.intake import Intake, IntakeConfig
from gantrans.operations.serving.models import Models
from gantrans.operations.serving.monitors import Operational, label_scores, performance
from gantrans.operations.serving.quality import with_reference
from gantrans.operations.serving.run import ServeConfig
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service
from gantrans.translation import recipe, train_recipe

GOOD, BAD = nasty_images.good(), nasty_images.bad()
PNG = GOOD["png 8"]
CASES = 8  # of schemathesis, per operation


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def make_service(store: Store, models: Any = None, inputs: Any = None) -> Service:
    return Service(models or Inverter(), store, Operational(), inputs)


def make_client(service: Service, **settings: Any) -> TestClient:
    return TestClient(serve_app(service, IntakeConfig(**settings)), base_url="http://127.0.0.1")


def upload(web: Any, data: bytes = PNG, **parameters: object) -> Any:
    return web.post("/translate", params={"direction": "sem2layout", **parameters}, files={"image": data})


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_translation_is_answered_and_registered(store: Store) -> None:
    web = make_client(make_service(store))
    answer = upload(web)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    np.testing.assert_array_equal(pixels(answer.content), 255 - pixels(PNG))
    kept = store.prediction(answer.headers["x-prediction-id"])
    assert kept is not None
    assert (kept.direction, kept.model, kept.pixel_nm) == ("sem2layout", "one", 20.0)
    assert answer.headers["x-model-version"] == "one"
    assert store.png(kept.output) == answer.content

    plain = upload(web, format="json", id="mine").json()
    assert base64.b64decode(plain["image"]) == answer.content
    assert (plain["id"], plain["width"], plain["height"]) == ("mine", 24, 24)
    assert plain["input"]["mean"] == pytest.approx(1 - plain["output"]["mean"], abs=1e-4)
    assert set(plain["milliseconds"]) == {"decode", "forward", "encode", "store"}
    assert upload(web, id="mine").status_code == 200  # tried again
    assert upload(web, GOOD["jpeg grey"], id="mine").status_code == 409
    assert store.counts()["predictions"] == 2
    assert web.get("/predictions/mine/input.png").content == store.png(kept.input)
    assert [p["id"] for p in web.get("/predictions", params={"last": 1}).json()] == ["mine"]


def test_a_retry_gets_the_stored_answer_whatever_model_serves_now(store: Store) -> None:
    models, seen = Inverter("one"), []
    inputs = SimpleNamespace(observe=lambda *given: seen.append(given))
    service = make_service(store, models, inputs)
    first = service.translate(PNG, "sem2layout", id="mine")
    models.model = Inverter("two").model
    models.model.predictor.translate_large = lambda *_, **__: pytest.fail("it went to the network")
    again = service.translate(PNG, "sem2layout", id="mine")
    assert (again.version, again.png) == ("one", first.png)
    with pytest.raises(ConflictError):
        service.translate(GOOD["jpeg grey"], "sem2layout", id="mine")
    counted = service.monitor.predictions.labels("sem2layout", "one")._value.get()
    assert (len(seen), counted, store.counts()["predictions"]) == (1, 1, 1)


def test_concurrent_equal_requests_get_one_answer_and_count_once(store: Store) -> None:
    seen: list[Any] = []
    service = make_service(store, Inverter(pause=0.2), SimpleNamespace(observe=lambda *a: seen.append(a)))
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(service.translate(PNG, "sem2layout", id="mine")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 3
    assert len({answer.png for answer in answers}) == 1
    assert len(seen) == 1
    assert service.monitor.predictions.labels("sem2layout", "one")._value.get() == 1


@pytest.mark.parametrize("name", ["png 16", "tiff float", "tiff lzw", "bmp rgb", "jpeg progressive"])
def test_every_kind_of_image_gives_the_same_answer(store: Store, name: str) -> None:
    answer = upload(make_client(make_service(store)), GOOD[name])
    made = pixels(answer.content)
    assert (made.dtype == np.uint16) == (name in ("png 16", "tiff float"))
    shown = made / 257 if made.dtype == np.uint16 else made.astype(int)  # as deep as the image that came
    difference = shown - pixels(upload(make_client(make_service(store))).content)
    assert np.abs(difference).max() <= (4 if "jpeg" in name else 1)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_what_cannot_be_used_is_refused_with_a_reason(store: Store) -> None:
    web = make_client(make_service(store))
    for name, data in BAD.items():
        answer = upload(web, data)
        assert answer.status_code in (400, 422), name  # 400: an empty file is no form field
        assert isinstance(answer.json()["detail"], str)
    twelve = BAD["png 12 bit in 16"]
    assert "bits=12" in upload(web, twelve).json()["detail"]
    assert upload(web, twelve, bits=12).status_code == 200
    assert upload(web, pixel_nm=20).status_code == 200
    for wrong in (
        {"direction": "layout2sem"},
        {"direction": "x"},
        {"pixel_nm": 7},
        {"bits": 11},
        {"id": "../x"},
    ):
        answer = upload(web, **wrong)
        assert answer.status_code == 422, wrong
        assert answer.json()["detail"].endswith(".")
    assert "sem2layout" in upload(web, direction="layout2sem").json()["detail"]
    assert web.post("/translate", params={"direction": "sem2layout"}).status_code == 422
    assert store.counts()["predictions"] == 2


def test_nothing_is_answered_that_the_store_does_not_hold(store: Store, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise StoreError("the disk is full")

    web = make_client(make_service(store))
    monkeypatch.setattr(store, "register", refuse)
    answer = upload(web)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "full" in answer.json()["detail"]
    store.close()
    assert web.get("/v2/health/live").status_code == 200
    assert web.get("/v2/health/ready").status_code == 503


def test_labels_judge_the_version_that_predicted(store: Store) -> None:
    first, second = (make_client(make_service(store, Inverter(name))) for name in ("one", "two"))
    upload(first, id="a"), upload(second, id="b"), upload(first, id="c")  # the last after a rollback
    truth, wrong = GOOD["png 16"], nasty_images.saved(pixels(PNG), "PNG")
    inverted = nasty_images.saved(255 - pixels(PNG), "PNG")

    def label(prediction: str, name: str, data: bytes, kind: str = "truth") -> Any:
        return second.put(
            f"/predictions/{prediction}/labels/{name}", params={"kind": kind}, files={"image": data}
        )

    assert label("a", "l1", inverted).status_code == 201
    assert label("a", "l1", inverted).json() == {"new": False, "prediction_known": True}
    assert label("a", "l1", wrong).status_code == 409
    assert label("b", "l2", truth).status_code == 201
    assert label("later", "l3", truth).json() == {"new": True, "prediction_known": False}
    assert label("a", "l4", GOOD["png 8"][:50]).status_code == 422
    assert label("a", "l4", nasty_images.saved(np.zeros((9, 9), np.uint8), "PNG")).status_code == 422
    one, two = performance(store)
    assert (one["model"], one["predictions"], one["labelled"], one["coverage"]) == ("one", 2, 1, 0.5)
    assert (two["model"], two["predictions"], two["labelled"], two["coverage"]) == ("two", 1, 1, 1.0)
    assert one["l1"] == {"mean": 0.0, "count": 1}
    assert one["psnr"] == {"mean": None, "count": 0}  # infinite: not a number to average
    assert one["ssim"]["mean"] == pytest.approx(1.0)
    assert two["l1"]["mean"] > 0.2
    with_reference([one, two], {})  # the first version with true labels
    assert second.get("/monitors").json()["performance"] == [one, two]
    assert second.get("/monitors").json()["store"]["waiting_labels"] == 1


def test_verdicts_make_pairs_for_training(store: Store, tmp_path: Path) -> None:
    web = make_client(make_service(store))
    for name in "abc":
        upload(web, GOOD["png 8"], id=name)

    def judge(prediction: str, event: str, verdict: str | None) -> int:
        body = {"verdict": verdict, "note": "n"}
        return web.put(f"/predictions/{prediction}/verdicts/{event}", json=body).status_code

    assert judge("a", "e1", "accept") == 201
    assert judge("a", "e1", "accept") == 200
    assert judge("a", "e1", "reject") == 409
    assert judge("b", "e2", "reject") == 201
    assert judge("c", "e3", "accept") == 201
    assert judge("c", "e4", None) == 201
    assert judge("none", "e5", "accept") == 404
    assert judge("a", "e6", "perfect") == 422
    assert web.get("/predictions/a").json()["verdict"] == "accept"
    assert web.get("/predictions/c").json()["verdict"] is None
    assert write_feedback(store, tmp_path / "pairs", "sem2layout") == 1
    loaded = PairedFolder(tmp_path / "pairs").load("sem2layout", split="all", progress=False)
    np.testing.assert_array_equal(loaded.sem[0, 0], pixels(PNG))
    np.testing.assert_array_equal(loaded.layout[0, 0], np.where(255 - pixels(PNG) >= 128, 255, 0))


def test_health_and_metadata_have_the_protocols_paths(store: Store) -> None:
    web = make_client(make_service(store))
    assert web.get("/v2/health/live").json() == {"live": True}
    assert web.get("/v2/health/ready").json() == {"ready": True, "problem": None}
    about = web.get("/v2/models/sem2layout").json()
    assert about["versions"] == ["one"]
    assert about["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [1, 1, -1, -1]}]
    assert web.get("/v2/models/sem2layout/versions/one").json() == about
    for path, status in {
        "sem2layout/ready": 200, "sem2layout/versions/one/ready": 200, "layout2sem": 404, "x": 404,
        "sem2layout/versions/two": 404,
    }.items():  # fmt: skip
        assert web.get(f"/v2/models/{path}").status_code == status
    assert set(web.get("/v2").json()) == {"name", "version", "extensions"}


def test_prometheus_can_read_the_metrics(store: Store) -> None:
    web = make_client(make_service(store))
    upload(web)
    upload(web, b"nonsense")
    text = web.get("/metrics").text
    samples = {
        (s.name, *sorted(s.labels.values())): s.value
        for f in text_string_to_metric_families(text)
        for s in f.samples
    }
    assert samples["gantrans_requests_total", "/translate", "200"] == 1
    assert samples["gantrans_requests_total", "/translate", "422"] == 1
    assert samples["gantrans_stage_seconds_count", "forward"] == 1
    assert samples["gantrans_predictions_total", "one", "sem2layout"] == 1
    assert samples["gantrans_requests_inside",] == 0
    report = web.get("/monitors").json()["operational"]
    assert report["statuses"] == {"200": 1, "422": 1}
    assert report["error_rate"] == 0.0
    assert report["latency_ms"]["p50"] > 0


def test_inputs_are_shown_to_the_drift_monitor(store: Store) -> None:
    seen: list[Any] = []
    monitor = SimpleNamespace(
        observe=lambda *a: seen.append(a), report=lambda: {"sem2layout": {"seen": len(seen)}}
    )
    web = make_client(make_service(store, inputs=monitor))
    upload(web)
    upload(web, b"nonsense")
    ((direction, image, pixel_nm),) = seen
    assert (direction, tuple(image.shape), pixel_nm) == ("sem2layout", (1, 24, 24), 20.0)
    assert web.get("/monitors").json()["drift"] == {"sem2layout": {"seen": 1}}


def test_metrics_that_an_image_does_not_define_are_null() -> None:
    empty = torch.zeros(1, 16, 16)
    assert label_scores(empty, empty) == {"l1": 0.0, "ssim": 1.0, "psnr": None, "iou": 1.0, "epe_px": None}
    assert label_scores(torch.zeros(1, 5, 5), torch.ones(1, 5, 5))["ssim"] is None


def run_intake(config: IntakeConfig, scope: dict[str, Any], chunks: list[bytes], wait: float = 0.0) -> Any:
    """Send a request chunk by chunk: status, chunks that were read, and what the application received."""
    received: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        received.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    read, statuses = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal read
        await asyncio.sleep(wait)
        if read == len(chunks):  # the client waits for the answer
            await asyncio.Event().wait()
        read += 1
        return {"type": "http.request", "body": chunks[read - 1], "more_body": read < len(chunks)}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    gate = Intake(app, config, ("/open", "/web/"), lambda *a: None, lambda change: None)
    whole = {"type": "http", "path": "/translate", "method": "POST", "headers": [], **scope}
    run_apart(gate, whole, receive, send)
    assert gate.in_progress == 0
    return statuses[0], read, received


def test_the_body_is_counted_while_it_arrives() -> None:
    config = IntakeConfig(body_bytes=1000)
    assert run_intake(config, {}, [b"x" * 100] * 10) == (200, 10, [b"x" * 1000])
    assert run_intake(config, {}, [b"x" * 100] * 50) == (413, 11, [])  # no length stated: stops at once
    stated = {"headers": [(b"content-length", b"5000")]}
    assert run_intake(config, stated, [b"x" * 100] * 50) == (413, 0, [])
    lie = {"headers": [(b"content-length", b"10")]}
    assert run_intake(config, lie, [b"x" * 100] * 50) == (413, 11, [])
    slow = IntakeConfig(body_bytes=1000, upload_s=0.2)
    status, _, received = run_intake(slow, {}, [b"x"] * 50, wait=0.05)
    assert (status, received) == (408, [])


def test_strangers_are_refused_before_their_body_is_read() -> None:
    config = IntakeConfig(token="s3cret")
    for headers in (
        [],
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", "Bearer ü".encode("latin-1"))],
    ):
        assert run_intake(config, {"headers": headers}, [b"x"]) == (401, 0, [])
    known = {"headers": [(b"authorization", b"Bearer s3cret")]}
    assert run_intake(config, known, [b"x"]) == (200, 1, [b"x"])
    assert run_intake(config, {"path": "/open"}, [b"x"])[0] == 200
    assert run_intake(config, {"path": "/web/page.css"}, [b"x"])[0] == 200
    assert run_intake(config, {"path": "/opened"}, [b"x"])[0] == 401


def test_pages_of_other_sites_cannot_upload() -> None:
    host = (b"host", b"127.0.0.1:8000")
    for origin, status in (
        (b"http://127.0.0.1:8000", 200),
        (b"https://elsewhere.example", 403),
        (b"null", 403),
    ):
        scope = {"headers": [host, (b"origin", origin)]}
        assert run_intake(IntakeConfig(), scope, [b"x"])[0] == status


def test_a_token_is_needed_for_everything_but_health(store: Store) -> None:
    web = make_client(make_service(store), token="s3cret")
    assert web.get("/v2/health/live").status_code == 200
    for path in ("/metrics", "/monitors", "/predictions", "/openapi.json", "/v2/models/sem2layout"):
        refused = web.get(path)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert upload(web).status_code == 401
    web.headers["authorization"] = "Bearer s3cret"
    assert upload(web).status_code == 200


def test_another_address_needs_a_token() -> None:
    with pytest.raises(ConfigError, match="GANTRANS_TOKEN"):
        ServeConfig(Path("store"), host="0.0.0.0")
    ServeConfig(Path("store"), host="0.0.0.0", token="x")
    with pytest.raises(ConfigError, match="DIRECTION=FILE"):
        ServeConfig(Path("store"), drift=("file",))


def test_a_full_house_says_so_and_stays_alive(store: Store, served) -> None:
    """Four times more clients than places: every answer is 200 or 503, health is quick, nothing is lost."""
    address = served(serve_app(make_service(store, Inverter(pause=0.2)), IntakeConfig(max_requests=3)))
    statuses: list[int] = []

    def work() -> None:
        with httpx.Client(base_url=address, timeout=30) as web:
            for _ in range(4):
                answer = upload(web)
                statuses.append(answer.status_code)
                if answer.status_code == 503:
                    assert answer.headers["retry-after"] == "2"

    clients = [threading.Thread(target=work) for _ in range(12)]
    for one in clients:
        one.start()
    with httpx.Client(base_url=address, timeout=30) as web:
        assert all(web.get("/v2/health/live").status_code == 200 for _ in range(5))
    for one in clients:
        one.join()
    assert len(statuses) == 48
    assert set(statuses) == {200, 503}
    assert store.counts()["predictions"] == statuses.count(200) >= 3


def test_the_document_says_what_happens(store: Store) -> None:
    store_predictions(store)
    statuses = try_contract(serve_app(make_service(store), IntakeConfig(), hosts=("*",)), CASES, PNG)
    assert statuses.total() > 60
    label, judge = (
        f"PUT /predictions/{{prediction}}/{kind}" for kind in ("labels/{label}", "verdicts/{event}")
    )
    for reached in (
        (label, 201), (label, 200), (label, 409), (judge, 201), (judge, 409), ("POST /translate", 200),
        ("POST /translate", 409), ("GET /predictions/{prediction}", 200),
        ("GET /predictions/{prediction}/{picture}.png", 200),
    ):  # fmt: skip
        assert statuses[reached], (reached, sorted(statuses.items()))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("server") / "run"
    train_recipe(recipe("sem2layout", "smoke"), out, progress=False)
    return out


def test_promotion_and_rollback_take_effect_at_the_next_request(
    run: Path, store: Store, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "registry")
    for _ in range(2):
        registry.register(run)
    registry.promote("sem2layout", "v0001")
    web = make_client(make_service(store, Models(registry=tmp_path / "registry")))
    assert upload(web).headers["x-model-version"] == "v0001"
    registry.promote("sem2layout", "v0002")
    assert upload(web).headers["x-model-version"] == "v0002"
    registry.rollback("sem2layout", why="test")
    assert upload(web).headers["x-model-version"] == "v0001"
    weights = tmp_path / "registry/sem2layout/versions/v0002/weights.safetensors"
    registry.promote("sem2layout", "v0002")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert (
        upload(web).headers["x-model-version"] == "v0001"
    )  # the new champion is damaged: the old one goes on
    assert "not the file" in web.get("/monitors").json()["problems"]["sem2layout"]
    assert [row["model"] for row in performance(store)] == ["v0001", "v0002"]
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Models(registry=tmp_path / "registry")
    with pytest.raises(ConfigError, match="no champion"):
        Models(registry=tmp_path / "none")


def test_runs_are_served_once_per_direction(run: Path) -> None:
    models = Models([run])
    assert models.directions() == ["sem2layout"]
    assert re.fullmatch(r"run-[0-9a-f]{12}", models.get("sem2layout").version)  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="second run"):
        Models([run, run])
    with pytest.raises(ConfigError, match="not both"):
        Models()


def test_a_killed_service_has_kept_what_it_answered(run: Path, tmp_path: Path) -> None:
    log, path = tmp_path / "log", tmp_path / "store.sqlite"
    command = [
        sys.executable,
        "-m",
        "gantrans",
        "serve",
        "--run",
        str(run),
        "--store",
        str(path),
        "--port",
        "0",
    ]
    with log.open("w") as file:
        program = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text())):
            assert program.poll() is None, log.read_text()
            time.sleep(0.05)
        answered = []
        with httpx.Client(base_url=found[0], timeout=60) as web:
            for _ in range(6):
                answered.append(upload(web).headers["x-prediction-id"])
            program.send_signal(signal.SIGKILL)
    finally:
        program.kill()
        program.wait()
    kept = Store(path)
    assert all(kept.prediction(name) for name in answered)
    kept.close()


def test_mistakes_on_the_command_line_end_in_one_sentence(store: Store, tmp_path: Path, capsys) -> None:
    """Exit code 2 and a sentence; the last call is right."""
    out, path = tmp_path / "pairs", str(store.path)
    upload(make_client(make_service(store)), id="a")
    feedback = ["data", "feedback", "--store", path, "--direction", "sem2layout", "--out", str(out)]
    for arguments, words in (
        (["serve", "--store", path], "Give runs to serve"),
        (["serve", "--store", path, "--run", str(tmp_path)], "no checkpoint"),
        (["serve", "--store", path, "--run", str(tmp_path), "--host", "0.0.0.0"], "GANTRANS_TOKEN"),
        (feedback, "no reviewed or corrected pair"),
    ):
        assert command_line(arguments) == 2
        assert words in capsys.readouterr().err
    store.judge("a", "accept", id="1")
    assert command_line(feedback) == 2
    assert "1 accepted outputs of sem2layout and no label" in capsys.readouterr().err
    assert not out.exists()
    assert command_line([*feedback, "--accepted"]) == 0
    assert "self-training" in capsys.readouterr().err
    assert PairedFolder(out).names() == ["a"]


def command_line(arguments: list[str]) -> int:
    """Exit code of `python -m gantrans ARGUMENTS`."""
    code, argv = 0, sys.argv
    sys.argv = ["gantrans", *arguments]
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = argv
    return code


def test_small_answers_do_not_wait_for_acknowledgements():
    """Without TCP_NODELAY every answer took 40 ms more."""
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
