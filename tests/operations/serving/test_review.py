"""The review page: over HTTP, and by keyboard in a real browser whose server is killed on the way."""

import csv
import io
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from page_checks import check_page
from typer.testing import CliRunner

from gantrans.__main__ import app
from gantrans.data import make_pairs, write_pairs
from gantrans.errors import ConfigError, DataError
from gantrans.images import unit_from_uint8
from gantrans.metrics import find_contours, image_report
from gantrans.metrics.cutlines import CUTS, find_runs
from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.pictures import difference_map, outline
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.hosting import listen
from gantrans.operations.serving.review import Review
from gantrans.operations.serving.review_app import review_app
from gantrans.translation import Predictor, recipe, train_recipe

COUNT = 6


@pytest.fixture(scope="module")
def pairs():
    return make_pairs("procedural", split="test", size=32, count=COUNT, difficulty="easy", progress=False)


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "review.sqlite")
    yield opened
    opened.close()


def darker(images: torch.Tensor) -> torch.Tensor:
    """A "network" whose answer is known."""
    return (images > 0.45).float()


def client(review: Review, store: Store) -> TestClient:
    return TestClient(review_app(review, store), base_url="http://127.0.0.1")


def verdict(item: str, word: str | None, note: str = "", id: str = "") -> dict[str, Any]:
    return {"id": id or str(uuid4()), "item": item, "verdict": word, "note": note}


def test_what_was_measured_is_shown_after_the_verdict_only(pairs, store: Store) -> None:
    review = Review(darker, pairs, "sem2layout", "m")
    web = client(review, store)
    first = web.get("/api/items/0").json()
    assert first["verdict"] is None
    assert first["measured"] is None
    assert not any(word in str(web.get("/api/review").json()) for word in ("epe", "iou", "opens"))
    answer = web.post("/api/verdicts", json=verdict(first["item"], "minor", "rough"))
    place = pairs.names.index(first["name"])
    report = image_report(darker(unit_from_uint8(pairs.sem)), unit_from_uint8(pairs.layout), pairs.pixel_nm)
    expected = {name: float(report.per_image[name][place]) for name in answer.json()["measured"]}
    assert answer.json()["measured"] == pytest.approx(expected)
    assert set(expected) >= {"epe", "opens", "bridges"}
    assert web.get("/api/items/0").json()["measured"] == answer.json()["measured"]
    assert web.post("/api/verdicts", json=verdict(first["item"], None)).json()["measured"] is None
    assert web.get("/api/items/0").json()["measured"] is None


def test_a_verdict_is_acknowledged_once_it_is_in_the_file(pairs, store: Store, monkeypatch) -> None:
    review = Review(darker, pairs, "sem2layout", "m")
    web, item = client(review, store), review.items[0]
    sent = verdict(item, "accept")
    assert web.post("/api/verdicts", json=sent).status_code == 201
    other = Store(store.path)  # another reader finds it
    assert other.verdicts()[item].verdict == "accept"
    other.close()
    assert web.post("/api/verdicts", json=sent).status_code == 200  # sent again
    assert web.post("/api/verdicts", json=sent | {"verdict": "reject"}).status_code == 409
    assert web.post("/api/verdicts", json=verdict("another", "accept")).status_code == 404
    for wrong in ({"verdict": "good"}, {"id": "1"}, {"note": "x" * 5000}):
        assert web.post("/api/verdicts", json=sent | wrong).status_code == 422
    assert web.get(f"/api/items/{COUNT}").status_code == 404

    def refuse(*_: object, **__: object) -> bool:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "judge", refuse)
    answer = web.post("/api/verdicts", json=verdict(item, "reject"))
    assert answer.status_code == 503
    assert "full" in answer.json()["detail"]
    assert store.verdicts()[item].verdict == "accept"


def test_other_sites_cannot_reach_the_page(pairs, store: Store) -> None:
    review = Review(darker, pairs, "sem2layout", "m")
    web = client(review, store)
    assert web.get("/api/review", headers={"host": "elsewhere.example"}).status_code == 400
    form = {"content-type": "text/plain"}  # what a form on another site can send without asking
    sent = web.post("/api/verdicts", content=str(verdict(review.items[0], "accept")), headers=form)
    assert sent.status_code == 422
    page = web.get("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert all(link.startswith(("/", "data:")) for link in linked)
    for link in linked:
        assert link.startswith("data:") or web.get(link).status_code == 200


def test_the_order_leads_nobody_and_verdicts_belong_to_a_model(pairs, store: Store) -> None:
    plain = Review(darker, pairs, "sem2layout", "m", seed=None)
    mixed, again = (Review(darker, pairs, "sem2layout", "m", seed=3) for _ in range(2))
    assert plain.pairs.names == pairs.names
    assert mixed.items == again.items != plain.items
    assert sorted(mixed.items) == sorted(plain.items)
    store.judge(plain.items[0], "accept", id="1")
    listed = (
        client(Review(darker, pairs, "sem2layout", "m", seed=3), store).get("/api/review").json()["items"]
    )
    assert [i["item"] for i in listed if i["verdict"]] == plain.items[:1]
    newer = client(Review(darker, pairs, "sem2layout", "newer"), store).get("/api/review").json()["items"]
    assert not any(i["verdict"] for i in newer)


def test_layout_to_sem_compares_the_geometry_read_back(pairs, store: Store) -> None:
    answers = {bytes(y.numpy()): x for x, y in zip(pairs.sem, pairs.layout, strict=True)}
    same = Review(
        lambda x: unit_from_uint8(answers[bytes((x[0] * 255).round().to(torch.uint8).numpy())])[None],
        pairs, "layout2sem", "m",
    )  # fmt: skip
    shown = same.shown(0)
    assert torch.equal(shown.output, shown.reference)
    assert torch.equal(shown.truth, shown.input)
    assert set(shown.geometry.unique().tolist()) <= {0.0, 1.0}
    web = client(same, store)
    assert web.get("/api/review").json()["read_back"]
    assert web.get("/api/items/0").json()["pictures"]["difference"].startswith("data:image/png;base64,")


def test_an_outline_has_the_contours_segments() -> None:
    image = torch.rand(1, 24, 31, generator=torch.Generator().manual_seed(0))
    contours = find_contours(image[None])
    total, corners = 0.0, 0
    for part in outline(image).split("M")[1:]:
        points = np.array([[float(v) for v in point.split()] for point in part.split("L")])
        total += np.hypot(*np.diff(points, axis=0).T).sum()
        corners += len(points) - 1
    assert corners == len(contours.start)
    assert total == pytest.approx(np.hypot(*(contours.end - contours.start).T).sum(), abs=0.02 * corners)
    square = torch.zeros(1, 8, 8)
    square[:, 2:5, 3:6] = 1
    points = np.array([[float(v) for v in p.split()] for p in outline(square)[1:].split("L")])
    assert (points[0] == points[-1]).all()
    assert (points.min(0).tolist(), points.max(0).tolist()) == ([3.0, 2.0], [6.0, 5.0])  # the square's edges
    assert outline(torch.zeros(1, 8, 8)) == ""


def test_the_difference_is_white_where_nothing_differs() -> None:
    image, reference = torch.tensor([[[0.5, 1.0, 0.0]]]), torch.tensor([[[0.5, 0.0, 1.0]]])
    equal, more, less = difference_map(image, reference)[:, 0].T
    assert equal.tolist() == [1.0, 1.0, 1.0]
    assert more[0] > more[2]  # reddish
    assert less[2] > less[0]  # bluish


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("review") / "run"
    train_recipe(recipe("sem2layout", "smoke"), out, progress=False)
    return out


def test_a_folder_of_pairs_is_reviewed_whole_or_in_part(run: Path, pairs, tmp_path: Path) -> None:
    write_pairs(pairs, tmp_path / "pairs", source="procedural")
    folder = str(tmp_path / "pairs")
    whole = Review.open(run, folder, split="all", device="cpu")
    assert sorted(whole.pairs.names) == sorted(pairs.names)
    assert (whole.unit, whole.title) == ("nm", "run on pairs (all)")
    assert len(Review.open(run, folder, split="all", count=2, device="cpu")) == 2
    assert torch.equal(whole.shown(0).output, Predictor.load(run).translate(whole.shown(0).input[None])[0])


def test_mistakes_end_in_one_sentence(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--split all"):
        Review.open(run, split="all")
    with pytest.raises(DataError, match="nm per pixel"):
        Review.open(run, pixel_nm=7.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="another --port"):
            listen("127.0.0.1", taken.getsockname()[1])


class Program:
    """`python -m gantrans review` as a process that can be killed and started again."""

    def __init__(self, run: Path, folder: Path) -> None:
        self.port = 0
        self.command = [
            sys.executable, "-m", "gantrans", "review", str(run), "--count", str(COUNT), "--no-browser",
            "--store", str(folder / "review.sqlite"),
        ]  # fmt: skip
        self.log = folder / "log"
        self.start()

    def start(self) -> None:
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*self.command, "--port", str(self.port)], stdout=log, stderr=log)
        end = time.monotonic() + 120
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", self.log.read_text())):
            assert (self.process.poll(), time.monotonic() < end) == (None, True), self.log.read_text()
            time.sleep(0.05)
        self.port = int(found[1])

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def program(run: Path, tmp_path: Path) -> Iterator[Program]:
    started = Program(run, tmp_path)
    yield started
    started.process.terminate()
    assert started.process.wait(30) == 0


@pytest.mark.browser
def test_a_review_by_keyboard_survives_the_death_of_its_server(browser, program: Program) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(30_000)
    problems, requests = [], []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    url = f"http://127.0.0.1:{program.port}/"
    try:
        page.goto(url)
        page.locator("#view-reference image").wait_for()
        keys, text = page.keyboard, lambda name: page.locator(name).inner_text()

        def saved(words: str) -> None:
            page.locator("#status", has_text=words).wait_for()

        assert "after the verdict" in text("#measured")
        keys.press("1")
        saved("Saved: accepted")
        assert "EPE" in text("#measured")
        assert page.locator(".accept").get_attribute("aria-pressed") == "true"
        keys.press("Enter")  # the next open item
        page.locator("#place", has_text=f"2 / {COUNT}").wait_for()
        keys.press("n")
        keys.type("a bridge, 3 px wide")  # 3 is a letter here, not a verdict
        keys.press("Enter")
        keys.press("3")
        saved("Saved: rejected")
        keys.press("ArrowRight")
        page.locator("#place", has_text=f"3 / {COUNT}").wait_for()
        keys.press("2")
        saved("Saved: minor fault")
        keys.press("u")
        saved("Verdict withdrawn")
        assert "after the verdict" in text("#measured")

        whole = page.locator("#view-output").get_attribute("viewBox")
        keys.press("+")
        keys.press("Shift+ArrowLeft")
        views = {
            page.locator(f"#view-{name}").get_attribute("viewBox")
            for name in ("input", "output", "reference")
        }
        assert len(views) == 1
        assert whole not in views
        keys.press("0")
        assert page.locator("#view-input").get_attribute("viewBox") == whole
        page.locator("#view-output").hover()
        page.mouse.wheel(0, -200)
        page.locator("#zoom", has_text="1.3").wait_for()
        assert page.locator("#view-input path").count() == 4  # two outlines, each with its rim
        keys.press("o")
        keys.press("r")
        assert page.locator("#view-input path").count() == 0
        plain = page.locator("#view-output image").get_attribute("href")
        keys.press("d")
        assert page.locator("#view-output image").get_attribute("href") != plain
        assert (
            page.locator("svg image").first.evaluate("e => getComputedStyle(e).imageRendering") == "pixelated"
        )

        program.kill()
        keys.press("2")
        saved("Not saved yet")
        assert page.locator(".minor").get_attribute("aria-pressed") == "false"  # not before it is on the disk
        program.start()
        saved("Saved: minor fault")
        program.kill()  # at once: what was acknowledged must be there
        program.start()
        page.goto(url)
        page.locator("#judged", has_text=f"3 of {COUNT} reviewed").wait_for()
        page.locator("#place", has_text=f"4 / {COUNT}").wait_for()
        keys.press("ArrowLeft")
        page.locator("#place", has_text=f"3 / {COUNT}").wait_for()
        page.locator(".minor[aria-pressed=true]").wait_for()

        with page.expect_download() as download:
            page.get_by_text("Export CSV").click()
        rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(), newline="")))
        assert [row["verdict"] for row in rows] == ["accept", "reject", "minor"]
        assert rows[1]["note"] == "a bridge, 3 px wide"
        assert float(rows[0]["iou"]) >= 0
        assert problems == []
        assert {request.split("/")[2] for request in requests if request.startswith("http")} == {
            url.split("/")[2]
        }
    finally:
        context.close()


def narrowest(layout: torch.Tensor, pixel_nm: float) -> tuple[tuple[int, int], float]:
    """Column and row of a pixel in the middle of the narrowest line, and the width of that line in nm."""
    found = []
    for cut in CUTS:
        runs = find_runs(layout[None], cut)
        for index in np.flatnonzero(runs.complete):
            place = (int(runs.middle[index]), int(runs.line[index]))
            width = float(runs.end[index] - runs.start[index]) * pixel_nm
            found.append((width, place if cut == "rows" else place[::-1]))
    width, place = min(found)
    return place, width


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_is_named_and_readable(browser, pairs, store, scheme, tmp_path, served) -> None:
    markup = '<img src=x onerror="window.injected=1">'
    named = replace(pairs, names=[f"{markup}{index}" for index in range(len(pairs))])
    review = Review(darker, named, "sem2layout", markup, title=markup)
    url = served(review_app(review, store))
    context = browser.new_context(color_scheme=scheme, has_touch=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    try:
        page.goto(url)
        page.locator("#view-input image").wait_for()
        page.locator("#note").fill(markup)
        page.locator(".accept").tap()
        page.locator("#status", has_text="Saved").wait_for()
        for width, height in ((1280, 800), (800, 600)):
            check_page(page, width, height)
            boxes = [
                page.locator(f"#view-{name}").bounding_box() for name in ("input", "output", "reference")
            ]
            assert min(min(box["width"], box["height"]) for box in boxes) > width / 4
            page.screenshot(path=tmp_path / f"review-{scheme}-{width}.png")
        check_page(page, 400, 800, scrolls=True)
        reading, reference = page.locator("#reading"), page.locator("#view-reference")
        (column, row), width_nm = narrowest(review.shown(0).reference, pairs.pixel_nm)
        pixel = reference.bounding_box()["width"] / 32
        reference.tap(position={"x": (column + 0.5) * pixel, "y": (row + 0.5) * pixel})
        expected = f"x {column}, y {row} px: reference line {width_nm:.1f} nm, output "
        assert reading.inner_text().startswith(expected)
        assert reference.bounding_box()["width"] > 360  # one column
        page.screenshot(path=tmp_path / f"review-{scheme}-400.png")
        assert page.evaluate("window.injected") is None
    finally:
        context.close()


def test_the_command_exports_without_opening_a_page(run: Path, tmp_path: Path) -> None:
    store = Store(run / "review.sqlite")
    store.judge("a", "accept", id="1")
    store.close()
    with pytest.raises(StoreError, match="no store"):
        Store(tmp_path / "none.sqlite", create=False)
    done = CliRunner().invoke(app, ["review", str(run), "--export", str(tmp_path / "v.csv")])
    assert (done.exit_code, "Wrote 1 verdicts" in done.output) == (0, True)
    assert (tmp_path / "v.csv").read_text().splitlines()[1].startswith("a,accept")
