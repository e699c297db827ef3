"""Requests that stall, leave, last too long, or hold odd things: others are served, nothing is a 500."""

import errno
import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import httpx
import nasty_images
import numpy as np
import odd_requests
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from toy_service import Inverter

from gantrans.errors import CheckpointError, ConfigError
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving import run as running
from gantrans.operations.serving.calls import Call, GoneError, OverTimeError
from gantrans.operations.serving.guard import guard
from gantrans.operations.serving.intake import PART, IntakeConfig
from gantrans.operations.serving.monitors import Operational
from gantrans.operations.serving.run import ServeConfig, run_service
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service
from gantrans.operations.serving.uploads import YOUNG_S, Uploads

PNG = nasty_images.good()["png 8"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def make_app(store: Store, models: Any = None, inputs: Any = None, **limits: Any) -> FastAPI:
    return serve_app(Service(models or Inverter(), store, Operational(), inputs), IntakeConfig(**limits))


def client(app: FastAPI, **settings: Any) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False, **settings)


def translate(web: Any, image: Any = PNG, **parameters: Any) -> Any:
    return web.post("/translate", params={"direction": "sem2layout", **parameters}, files={"image": image})


def connect(address: str) -> socket.socket:
    url = httpx.URL(address)
    return socket.create_connection((url.host, url.port or 80), timeout=20)


def raw_upload(address: str) -> bytes:
    """A whole request as bytes."""
    body = httpx.Request("POST", address, files={"image": PNG})
    body.read()
    head = (
        f"POST /translate?direction=sem2layout HTTP/1.1\r\nhost: {httpx.URL(address).netloc.decode()}\r\n"
        f"content-type: {body.headers['content-type']}\r\ncontent-length: {len(body.content)}\r\n\r\n"
    )
    return head.encode() + body.content


def half_upload(address: str) -> socket.socket:
    """A connection that states 1,000 bytes and sends one."""
    connection = connect(address)
    host = httpx.URL(address).netloc.decode()
    connection.sendall(f"POST /translate HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000\r\n\r\nx".encode())
    return connection


def test_clients_that_left_take_no_turn_at_the_network(store: Store, served: Any) -> None:
    """All sixteen were translated and registered, one after the other, and everybody else was refused."""
    app = make_app(store, Inverter(pause=0.4), max_requests=16)
    address = served(app)
    with httpx.Client(base_url=address, timeout=30) as web:
        staying = threading.Thread(target=translate, args=(web,))
        staying.start()  # holds the network while the others arrive
        time.sleep(0.1)
        for _ in range(15):
            with connect(address) as leaving:
                leaving.sendall(raw_upload(address))
        staying.join()
        assert translate(web).status_code == 200  # there is a place
    assert store.counts()["predictions"] <= 3  # the two that stayed, and one that had begun


def test_an_answer_comes_in_time_whatever_the_network_does(store: Store, served: Any) -> None:
    address = served(make_app(store, Inverter(pause=1.2), max_requests=1, request_s=0.3))
    with httpx.Client(base_url=address, timeout=30) as web:
        start = time.monotonic()
        answer = translate(web)
        assert time.monotonic() - start < 1.0
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "0.3 s" in answer.json()["detail"]
        assert (
            "in progress" in translate(web).json()["detail"]
        )  # the work cannot be stopped: it keeps its place
        time.sleep(1.2)
        assert web.get("/v2/health/live").status_code == 200
        assert "longer than" in translate(web).json()["detail"]  # and frees it at its end


def test_no_work_begins_for_a_request_that_is_over(store: Store) -> None:
    """Neither after its time limit, nor after its client has left; and it does not wait until its turn."""
    service = Service(Inverter(pause=1.0), store, Operational())  # type: ignore[arg-type]
    working = threading.Thread(target=service.translate, args=(PNG, "sem2layout"), kwargs={"id": "first"})
    working.start()
    time.sleep(0.3)
    start, leaving = time.monotonic(), Call()
    threading.Timer(0.1, leaving.leave).start()
    with pytest.raises(GoneError):
        service.translate(PNG, "sem2layout", id="left", call=leaving)
    with pytest.raises(OverTimeError, match=r"0\.1 s"):
        service.translate(PNG, "sem2layout", id="late", call=Call(0.1))
    assert time.monotonic() - start < 0.6
    working.join()
    assert [kept.id for kept in store.predictions()] == ["first"]
    assert service.translate(PNG, "sem2layout", id="next", call=Call(60)).png


def test_unfinished_uploads_do_not_keep_others_out(store: Store, served: Any) -> None:
    """Sixteen of them kept everybody out for 30 s."""
    address = served(make_app(store, max_requests=2, grace_s=30.0))
    stalled = [half_upload(address) for _ in range(2)]
    time.sleep(2 * YOUNG_S)
    with httpx.Client(base_url=address, timeout=30) as web:
        for _ in range(5):
            assert translate(web).status_code == 200
    assert stalled[0].recv(100).startswith(b"HTTP/1.1 408")
    for one in stalled:
        one.close()


def test_an_upload_that_stalls_is_ended(store: Store, served: Any) -> None:
    address = served(make_app(store, grace_s=0.3))
    with half_upload(address) as stalled:
        start = time.monotonic()
        answer = b"".join(iter(lambda: stalled.recv(1000), b""))  # head and body may come apart
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"bytes/s" in answer
        assert time.monotonic() - start < 3


def test_one_client_cannot_hold_all_places_for_uploads() -> None:
    uploads = Uploads(limit=4, bytes_per_s=1000, grace_s=3)
    first = [uploads.admit("a") for _ in range(4)]
    for one in first:
        one.received = 10**6  # fast, all of them
    assert uploads.admit("a") is None
    assert uploads.admit("b") is not None
    assert uploads.admit("b") is not None
    assert uploads.admit("b") is None  # both hold half
    assert [one.displaced.is_set() for one in first].count(True) == 2
    assert len(uploads.open) == 4


def test_one_image_is_expected(store: Store) -> None:
    web = client(make_app(store))
    for parts in (
        [("image", PNG), ("image", PNG)], [("image", PNG), ("other", PNG)], [("other", PNG)],
    ):  # fmt: skip
        for method, path in (("POST", "/translate"), ("PUT", "/predictions/p/labels/l")):
            answer = web.request(
                method, path, params={"direction": "sem2layout", "kind": "truth"}, files=parts
            )
            assert answer.status_code == 422, (method, [name for name, _ in parts])
            assert isinstance(answer.json()["detail"], str)
    assert store.counts()["predictions"] == store.counts()["labels"] == 0


@pytest.mark.parametrize("name", ["прогон", "x→y", "two\r\nlines: 1", "a%b c", "\N{SNOWMAN}\x00\x7f"])
def test_any_name_of_a_model_is_answered(store: Store, name: str) -> None:
    web = client(make_app(store, Inverter(name)))
    for format in ("png", "json"):
        answer = translate(web, format=format, id=format)
        assert answer.status_code == 200
        assert unquote(answer.headers["x-model-version"]) == name
        assert web.get(f"/predictions/{format}").json()["model"] == name
    for path in ("/predictions", "/v2/models", "/monitors", "/metrics"):
        assert web.get(path).status_code == 200, path


def test_a_monitor_that_fails_does_not_fail_the_answer(store: Store) -> None:
    def observe(*_: object) -> None:
        raise CheckpointError("Cannot write drift.json (no space left on device); make room.")

    web = client(make_app(store, inputs=SimpleNamespace(observe=observe, report=dict)))
    assert translate(web).status_code == 200
    state = web.get("/v2/health/ready").json()
    assert state["ready"] is True
    assert "no space left" in state["problem"]


def test_the_store_is_closed_even_if_the_monitor_cannot_be_saved(tmp_path: Path, monkeypatch) -> None:
    closed = []

    def fail(*_: object) -> None:
        raise CheckpointError("Cannot write drift.json (no space left on device); make room.")

    watch = SimpleNamespace(save=fail, observe=None, report=dict)
    monkeypatch.setattr(running, "Models", lambda *_, **__: Inverter())
    monkeypatch.setattr(running, "DriftWatch", lambda *_: watch)
    monkeypatch.setattr(running, "serve", lambda *_, **__: None)
    monkeypatch.setattr(running, "_run_once", lambda _: None)
    monkeypatch.setattr(Store, "close", lambda self: closed.append(self))
    config = ServeConfig(tmp_path / "store.sqlite", port=0, drift=("sem2layout=drift.json",))
    with pytest.raises(CheckpointError, match="no space left"):
        run_service(config, print)
    assert len(closed) == 1


def test_a_server_without_room_for_the_upload_is_to_be_tried_again(store: Store, monkeypatch) -> None:
    def full(self: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", full)
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200), np.uint8)
    answer = translate(client(make_app(store)), nasty_images.saved(noise, "PNG"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "No space left" in answer.json()["detail"]


def test_no_input_is_a_server_error_and_every_error_has_one_shape(store: Store) -> None:
    web = client(make_app(store))
    assert translate(web, id="p").status_code == 200
    for method, path, more in odd_requests.requests():
        answer = web.request(method, path, follow_redirects=False, **more)
        told = (method, path[:60], {k: str(v)[:80] for k, v in more.items() if k != "files"})
        assert answer.status_code < 500, (told, answer.text)
        assert not 300 <= answer.status_code < 400, told
        if answer.status_code >= 400 and method != "HEAD":
            body = json.loads(answer.content)
            assert list(body) == ["detail"], told
            assert isinstance(body["detail"], str), told
            assert body["detail"].endswith("."), (told, body)


def test_a_proxys_names_can_be_allowed(store: Store) -> None:
    service = Service(Inverter(), store, Operational())
    config = IntakeConfig(origins=("https://sem.example",))
    web = client(serve_app(service, config, hosts=("127.0.0.1", "::1", "sem.example")))
    for host, status in (("sem.example:443", 200), ("SEM.example", 200), ("[::1]:8000", 200), ("x", 400)):
        assert web.get("/v2", headers={"host": host}).status_code == status, host
    for origin, status in (
        ("https://sem.example", 200), ("https://SEM.example", 200), ("http://127.0.0.1", 200),
        ("http://sem.example", 403), ("https://sem.example.evil", 403),
    ):  # fmt: skip
        web.headers["origin"] = origin
        assert translate(web).status_code == status, origin
    for wrong in ("sem.example", "https://sem.example/", "*", "https://[", ""):
        with pytest.raises(ConfigError, match="--allow-origin"):
            ServeConfig(Path("store"), origins=(wrong,))
    ServeConfig(Path("store"), origins=("https://sem.example:8443", "http://[::1]:80"))


def test_a_large_body_does_not_hold_up_the_others(store: Store) -> None:
    """20 MiB of JSON are parsed in one piece, a second in which no other request is answered."""
    web = client(make_app(store))
    numbers = b"[" + b"1," * 2**19 + b"1]"
    kind = {"content-type": "application/json"}
    assert web.put("/predictions/p/verdicts/e", content=numbers, headers=kind).status_code == 413
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000), np.uint8)
    large = nasty_images.saved(noise, "PNG")  # 1 MB reaches the application in several parts
    assert len(large) > 3 * PART
    assert translate(web, large, id="large").status_code == 200
    kept = store.prediction("large")
    assert kept is not None
    assert store.image(kept.input).shape == (1, 1000, 1000)


def test_a_token_may_hold_any_letters(store: Store) -> None:
    web = client(make_app(store, token="schlüssel\N{SNOWMAN}"))
    assert web.get("/v2", headers={"authorization": b"Bearer x"}).status_code == 401
    right = "Bearer schlüssel\N{SNOWMAN}".encode()
    assert web.get("/v2", headers={b"authorization": right}).status_code == 200


def test_the_gate_protects_any_application() -> None:
    """As the review page does: 600 MB from a foreign page were read before they were refused."""
    app, bodies = FastAPI(), []

    @app.post("/api/verdicts")
    def judge(body: dict[str, Any]) -> int:
        bodies.append(body)
        return 1 // body["by"]

    guard(app, "review.html", IntakeConfig(body_bytes=100))
    web = client(app)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 10**8:
            sent += 100
            yield b"x" * 100

    assert web.post("/api/verdicts", content=endless()).status_code == 413
    foreign = {"origin": "http://evil.example"}
    assert web.post("/api/verdicts", json={"by": 1}, headers=foreign).status_code == 403
    assert bodies == []
    for path, status in (("/api/verdicts", 422), ("/none", 404)):
        answer = web.post(path, content=b"x")
        assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    with suppress(ZeroDivisionError):
        failed = web.post("/api/verdicts", json={"by": 0})
        assert (failed.status_code, list(failed.json())) == (500, ["detail"])
    assert "content-security-policy" in web.get("/").headers
