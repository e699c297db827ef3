"""The monitors and the versions on the service's page, in a real browser over the real routes."""

import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from page_checks import check_page
from watched_stream import DIRECTION, fit_detector, images

from gantrans.data import make_pairs
from gantrans.images import unit_from_uint8
from gantrans.operations.feedback.pictures import encode_png
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.serving.drift_watch import DriftWatch
from gantrans.operations.serving.history import History, Observation
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.models import Models
from gantrans.operations.serving.monitors import Operational
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service
from gantrans.translation import recipe, train_recipe

pytestmark = pytest.mark.browser
MARKUP = '<img src=x onerror="window.injected=1">'
COUNT = 6


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    small = recipe(DIRECTION, "smoke")
    train_recipe(replace(small, fit=replace(small.fit, steps=2)), tmp_path / "run", progress=False)
    made = Registry(tmp_path / "registry")
    for note in (f"first {MARKUP}", "second", "third"):
        made.register(tmp_path / "run", note=note, metrics={"iou": 0.7})
    made.promote(DIRECTION, "v0001", details={"who": MARKUP, "why": f"the only one {MARKUP}"})
    return made


@pytest.fixture
def watch(tmp_path: Path) -> DriftWatch:
    fit_detector(tmp_path / "detector.safetensors")
    return DriftWatch({DIRECTION: tmp_path / "detector.safetensors"})


@pytest.fixture
def address(store: Store, registry: Registry, watch: DriftWatch, served) -> str:
    """A service with an alarm, six predictions, two true labels, a verdict and a history of two minutes."""
    service = Service(Models(registry=registry.root), store, Operational(), watch)
    size, history = 64, History(store.path.with_name(f"{store.path.stem}-history.sqlite"))
    pairs = make_pairs("procedural", split="test", size=size, count=COUNT, difficulty="easy", progress=False)
    for index, image in enumerate(unit_from_uint8(pairs.sem)):
        service.translate(encode_png(image), DIRECTION, id=f"p{index}")
    for index in range(2):
        label = unit_from_uint8(pairs.layout[index])
        store.add_label(f"l{index}", f"p{index}", "truth", label)
    store.judge("p2", "accept", MARKUP, id="event", model="v0001")
    for ago in (3600, 60):
        history.add(time.time() - ago, [Observation("latency_p95", 31.0, 1, 31.0)])
    address = served(serve_app(service, IntakeConfig()))
    urllib.request.urlopen(address + "monitors").close()  # it runs, so it notes what alarms
    for image in 0.1 + 0.9 * images(200, 3):  # brighter than the reference
        if not watch.detectors[DIRECTION].alarms:
            watch.observe(DIRECTION, image, 20.0)
    return address


def answer(page: Any, reason: str, name: str) -> None:
    """Fill the dialog that asks for a reason, by keyboard, and confirm it."""
    page.locator("#confirm[open]").wait_for()
    page.keyboard.type(reason)
    page.keyboard.press("Tab")
    page.locator("#by").fill(name)
    page.keyboard.press("Enter")


def says(page: Any, words: str) -> None:
    page.locator("#status", has_text=words).wait_for()


def test_alarms_labels_and_versions_are_decided_on_the_page(
    browser, address: str, registry: Registry, watch: DriftWatch
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, has_touch=True)
    page, problems = context.new_page(), []
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: problems.append(str(error)))
    keys = page.keyboard
    try:
        page.goto(address)
        page.locator("#alarm:visible").wait_for()
        keys.press("m")
        drift = page.locator("#drift")
        drift.locator(".alarms b", has_text="mean intensity").wait_for()
        assert " instead of " in drift.locator(".alarms b").first.inner_text()  # value and reference
        latency = page.locator("#charts-operation .chart", has_text="Latency, 95 %")
        latency.wait_for()
        assert "31 ms" in latency.inner_text()
        page.locator("#performance td", has_text=f"2 of {COUNT}").wait_for()
        page.locator("#strangest button").nth(COUNT - 1).wait_for()

        acknowledge = drift.locator("button", has_text="Acknowledge")
        acknowledge.focus()
        keys.press("Enter")
        keys.press("Escape")  # nothing is done without a reason
        assert not watch.detectors[DIRECTION].acknowledged
        keys.press("Enter")
        answer(page, f"refocused {MARKUP}", "Ann")
        says(page, "Acknowledged.")
        (noted,) = watch.detectors[DIRECTION].acknowledgements
        assert (noted.who, noted.why) == ("Ann", f"refocused {MARKUP}")
        page.locator("#alarm").wait_for(state="hidden")
        drift.locator("p", has_text=f"Ann acknowledged: refocused {MARKUP}").wait_for()

        keys.press("v")
        promote = page.locator("#registry button", has_text="Promote v0002")
        promote.wait_for()
        promote.focus()
        keys.press("Enter")
        page.locator("#confirm-text", has_text="in place of v0001").wait_for()
        keys.press("Escape")
        assert registry.aliases(DIRECTION).champion == "v0001"
        keys.press("Enter")
        answer(page, "better edges", "Ann")
        says(page, "v0002 serves")
        page.locator("#models", has_text="v0002").wait_for()
        page.locator("#registry button", has_text="Roll back to v0001").click()
        answer(page, "the edges are worse", "Ann")
        says(page, "v0001 serves")
        moves = [(e["action"], e["version"], e["details"]["why"]) for e in registry.history(DIRECTION)[-2:]]
        assert moves == [
            ("promote", "v0002", "better edges"), ("rollback", "v0001", "the edges are worse"),
        ]  # fmt: skip

        keys.press("t")
        keys.press("q")  # not labelled and not judged: three of six
        page.locator("#list-text", has_text="drawn at random").wait_for()
        assert {row.get_attribute("id") for row in page.locator("#list li").all()} == {
            "item-p3", "item-p4", "item-p5",
        }  # fmt: skip
        page.locator("#views[aria-busy=false]").wait_for()
        keys.press("2")
        says(page, "Saved: minor fault")
        keys.press("m")
        page.locator("#strangest button").first.click()
        page.locator("#work:visible #views[aria-busy=false]").wait_for()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for key, tab in (("m", "monitors"), ("v", "registry"), ("t", "work")):
                keys.press(key)
                page.locator(f"#{tab}:visible").wait_for()
                check_page(page, 1280, 800)
                check_page(page, 400, 800, scrolls=True)
        assert problems == []
        assert page.evaluate("window.injected") is None
    finally:
        context.close()
