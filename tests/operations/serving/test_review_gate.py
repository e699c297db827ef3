"""The review page behind the gate: other sites, large bodies, odd requests and a failing store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gantrans.data import make_pairs
from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.review import Review
from gantrans.operations.serving.review_app import BODY_BYTES, review_app


@pytest.fixture(scope="module")
def review() -> Review:
    pairs = make_pairs("procedural", split="test", size=32, count=2, difficulty="easy", progress=False)
    return Review(lambda images: (images > 0.45).float(), pairs, "sem2layout", "m")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[Store]:
    opened = Store(tmp_path_factory.mktemp("gate") / "review.sqlite")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def web(review: Review, store: Store) -> TestClient:
    return TestClient(review_app(review, store), base_url="http://127.0.0.1", raise_server_exceptions=False)


def one_sentence(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["detail"]
    assert isinstance(answer.json()["detail"], str)


def test_a_large_body_is_refused_while_it_arrives(web: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        """More than allowed, without a stated length."""
        yield from [b"x" * 10_000] * (BODY_BYTES // 10_000 + 1)

    headers = {"content-type": "text/plain"}
    one_sentence(web.post("/api/verdicts", content=b"x" * (BODY_BYTES + 1), headers=headers), 413)
    one_sentence(web.post("/api/verdicts", content=chunks(), headers=headers), 413)


def test_another_sites_page_cannot_judge(web: TestClient, review: Review, store: Store) -> None:
    body = {"id": str(uuid4()), "item": review.items[0], "verdict": "accept"}
    foreign = {"origin": "http://evil.example"}
    one_sentence(web.post("/api/verdicts", json=body, headers=foreign), 403)
    assert store.verdict(review.items[0]) is None
    longest = body | {"note": "\U0001f600" * 4000, "reviewer": "ada"}  # twelve bytes of JSON each
    assert web.post("/api/verdicts", json=longest).status_code == 201
    kept = store.verdict(review.items[0])
    assert kept is not None
    assert (kept.note, kept.reviewer) == (longest["note"], "ada")
    assert web.get("/api/items/0").json()["reviewer"] == "ada"


def test_a_store_that_cannot_be_read_is_said_in_one_sentence(
    web: TestClient, store: Store, monkeypatch
) -> None:
    def broken(*_: object) -> list[Any]:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(store, "rows", broken)
    for path in ("/api/review", "/api/items/0", "/verdicts.csv"):
        one_sentence(web.get(path), 503)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.uuids().map(str) | st.text(max_size=40),
            "item": st.sampled_from(["known"]) | st.text(max_size=20),
            "verdict": st.sampled_from(["accept", "minor", "reject", None]) | st.text(max_size=5),
            "note": st.text(max_size=20) | st.integers(),
            "reviewer": st.text(max_size=100),
        },
    )
)
def test_no_verdict_is_a_server_error(web: TestClient, review: Review, body: dict[str, Any]) -> None:
    if body.get("item") == "known":
        body = body | {"item": review.items[1]}
    answer = web.post("/api/verdicts", json=body)
    assert answer.status_code in (200, 201, 404, 409, 422)
    assert answer.status_code < 300 or list(answer.json()) == ["detail"]


def test_odd_addresses_get_one_sentence(web: TestClient, tmp_path: Path) -> None:
    for path, status in (
        ("/api/items/99999999999999999999", 404), ("/api/items/-1", 404), ("/api/items/x", 422),
        ("/api/none", 404), ("/web/none.js", 404), ("/web/%2e%2e/review.py", 404),
    ):  # fmt: skip
        one_sentence(web.get(path), status)
    one_sentence(web.delete("/api/verdicts"), 405)
