"""The service's page in a real browser: by keyboard on a wide screen, by touch on a narrow one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nasty_images import good
from page_checks import check_page
from toy_service import Inverter

from gantrans.data import make_pairs
from gantrans.images import unit_from_uint8
from gantrans.metrics import find_contours
from gantrans.metrics.cutlines import find_runs
from gantrans.operations.feedback.pictures import encode_png
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.monitors import Operational
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service

pytestmark = pytest.mark.browser
MARKUP = '<img src=x onerror="window.injected=1">'
WAIT = 60_000


class Stripes(Inverter):
    """Whatever comes in, the output has lines of 4 px with spaces of 4 px: widths that are known."""

    def translate_large(self, image: torch.Tensor, *, seed: int = 0) -> torch.Tensor:
        return (torch.arange(image.shape[-1]) % 8 >= 4).float().expand_as(image).clone()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def service(store: Store) -> Service:
    return Service(Stripes(MARKUP), store, Operational(), None)  # type: ignore[arg-type]


@pytest.fixture
def filled(service: Service) -> Service:
    """Three translations, `p0` the oldest."""
    pairs = make_pairs("procedural", split="test", size=32, count=3, difficulty="easy", progress=False)
    for index, image in enumerate(unit_from_uint8(pairs.sem)):
        service.translate(encode_png(image), "sem2layout", id=f"p{index}")
    return service


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open an address in a new context; afterwards no error may have occurred and no markup may have run."""
    opened = []

    def go(address: str, **settings: Any) -> Any:
        page = browser.new_context(**settings).new_page()
        problems: list[str] = []
        opened.append((page, problems))
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda m: problems.append(m.text) if "Content Security" in m.text else None)
        page.goto(address)
        return page

    yield go
    for page, problems in opened:
        assert problems == []
        assert page.evaluate("window.injected") is None
        page.context.close()


def says(page: Any, words: str) -> None:
    page.locator("#status", has_text=words).wait_for()


def shows(page: Any, prediction: str) -> None:
    page.locator(f"#item-{prediction}[aria-selected=true]").wait_for()
    page.locator("#views[aria-busy=false]").wait_for()


def label_of(store: Store, prediction: str) -> np.ndarray:
    (target,) = (p.target for p in store.pairs("sem2layout") if p.prediction == prediction)
    return (store.image(target)[0] * 255).round().int().numpy()


def test_a_prediction_is_judged_measured_and_corrected_by_keyboard(
    filled: Service, store: Store, served, visit, tmp_path: Path
) -> None:
    page = visit(
        served(serve_app(filled, IntakeConfig(token="s3cret"))), viewport={"width": 1280, "height": 800}
    )
    keys = page.keyboard
    page.locator("#token").fill("s3cret")
    keys.press("Enter")
    shows(page, "p2")
    keys.press("1")
    says(page, "Saved: accepted")
    assert store.verdicts()["p2"].verdict == "accept"
    keys.press("ArrowDown")
    shows(page, "p1")

    keys.press("k")  # the cross starts in the middle, at (16, 16): a space of 4 px with 20 nm each
    assert "output space 80.0 nm" in page.locator("#reading").inner_text()
    for _ in range(4):
        keys.press("ArrowRight")
    assert page.locator("#reading").inner_text().startswith("x 20, y 16 px: output line 80.0 nm")
    keys.press("Escape")
    whole = page.locator("#view-output").get_attribute("viewBox")
    keys.press("+")
    keys.press("Shift+ArrowLeft")
    boxes = {page.locator(f"#view-{name}").get_attribute("viewBox") for name in ("input", "output")}
    assert len(boxes) == 1
    assert whole not in boxes
    keys.press("0")
    assert page.locator("#view-input").get_attribute("viewBox") == whole
    assert page.locator("#view-input ~ .scale").inner_text() == "100 nm"

    keys.press("c")
    page.locator("#view-output.painting").wait_for()
    keys.press("[")
    keys.press("[")
    keys.press("Space")  # one white pixel at (16, 16)
    keys.press("ArrowRight")
    keys.press("Space")
    keys.press("z")  # the second one is undone
    keys.press("r")
    for key in ("ArrowDown", "Space", "ArrowDown", "ArrowRight", "Space"):  # from (17, 17) to (18, 18)
        keys.press(key)
    keys.press("ArrowUp")  # not to another prediction while painting
    keys.press("s")
    says(page, "Correction saved")
    label = label_of(store, "p1")
    before = (store.image(store.prediction("p1").output)[0] * 255).int().numpy()  # type: ignore[union-attr]
    changed = {(int(y), int(x)) for y, x in np.argwhere(label != before)}
    assert changed == {(16, 16), (17, 17), (17, 18), (18, 17), (18, 18)}

    page.route("**/verdicts/*", lambda route: route.abort())
    keys.press("3")
    says(page, "Not saved yet")
    page.reload()  # the verdict waits in the browser
    page.locator("#item-p1").click()
    page.locator(".reject[data-pending]").wait_for()
    assert "p1" not in store.verdicts()
    page.unroute("**/verdicts/*")
    says(page, "Saved: rejected")
    assert store.verdicts()["p1"].verdict == "reject"

    (tmp_path / "scene.png").write_bytes(good()["png 8"])
    page.set_input_files("#file", tmp_path / "scene.png")
    says(page, "Translated")
    assert len(store.predictions()) == 4


def fingers(page: Any) -> Callable[..., None]:
    """A function that moves fingers on the screen: kind of event, then where each finger is."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    return touch


def test_a_prediction_is_judged_measured_and_corrected_by_touch(
    filled: Service, store: Store, served, visit
) -> None:
    page = visit(
        served(serve_app(filled, IntakeConfig())), viewport={"width": 400, "height": 800}, has_touch=True,
        is_mobile=True,
    )  # fmt: skip
    shows(page, "p2")
    page.locator("#item-p1").tap()
    shows(page, "p1")
    output = page.locator("#view-output")
    output.tap()
    assert "80.0 nm" in page.locator("#reading").inner_text()

    page.locator("#correct").tap()
    output.scroll_into_view_if_needed()
    box = output.bounding_box()
    pixel, touch = box["width"] / 32, fingers(page)
    y = box["y"] + 10.5 * pixel
    touch("touchStart", (box["x"] + 8.5 * pixel, y))
    for column in range(9, 13):  # a stroke of 3 px height over a space, from column 8 to 12
        touch("touchMove", (box["x"] + (column + 0.5) * pixel, y))
    touch("touchEnd")
    page.locator("#undo:enabled").wait_for()
    two = [(box["x"] + 100, box["y"] + 100), (box["x"] + 200, box["y"] + 200)]
    touch("touchStart", two[0])
    touch("touchStart", *two)  # the second finger turns the stroke into a pinch
    touch("touchMove", (box["x"] + 50, box["y"] + 50), (box["x"] + 250, box["y"] + 250))
    touch("touchEnd")
    assert page.locator("#zoom").inner_text().startswith("2")
    page.locator("#save").tap()
    says(page, "Correction saved")
    label = label_of(store, "p1")
    assert (label[9:12, 8:12] == 255).all()
    assert (label[:9, 8:12] == 0).all()
    page.locator(".reject").tap()
    says(page, "Saved: rejected")
    assert store.verdicts()["p1"].verdict == "reject"

    for tab, waits_for in (
        ("work", "#view-input"),
        ("monitors", "#performance table"),
        ("registry", "article"),
    ):
        page.locator(f"#tab-{tab}").tap()
        page.locator(f"#{tab} {waits_for.split()[0]}").first.wait_for()
        check_page(page, 400, 800, scrolls=True)


def test_an_empty_service_says_what_to_do(service: Service, served, visit) -> None:
    page = visit(served(serve_app(service, IntakeConfig())))
    page.locator("#list-text", has_text="choose an image above").wait_for()
    page.locator("#reading", has_text="Nothing is translated yet").wait_for()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for key, tab, words in (
            ("m", "monitors", "python -m gantrans drift fit"), ("v", "registry", "--registry FOLDER"),
            ("t", "work", "Nothing is translated yet"),
        ):  # fmt: skip
            page.keyboard.press(key)
            page.locator(f"#{tab}", has_text=words).wait_for()
            check_page(page, 1280, 800)
            check_page(page, 800, 600)


def test_the_page_measures_outlines_and_draws_charts_right(service: Service, served, visit) -> None:
    page = visit(served(serve_app(service, IntakeConfig())))
    values = torch.randint(0, 256, (9, 11), generator=torch.Generator().manual_seed(0))
    image = values.float()[None, None] / 255
    given = {"width": 11, "height": 9, "values": values.flatten().tolist()}
    segments = page.evaluate("async image => (await import('/web/measure.js')).outline(image)", given)
    drawn = np.array([
        [[float(v) for v in point.split()] for point in part.split("L")] for part in segments.split("M")[1:]
    ])  # fmt: skip
    contours = find_contours(image)
    expected = np.stack([contours.start, contours.end], axis=1)[..., ::-1] + 0.5
    np.testing.assert_allclose(drawn, expected, atol=0.011)

    measure = """async image => {
        const { runAt } = await import('/web/measure.js'), all = [];
        for (let y = 0; y < image.height; y++)
            for (let x = 0; x < image.width; x++)
                for (const axis of [0, 1]) all.push([x, y, axis, runAt(image, x, y, axis)]);
        return all;
    }"""
    for x, y, axis, run in page.evaluate(measure, given):
        cut, tone = ("rows", "columns")[axis], "line" if run["line"] else "space"
        line, pixel = ((y, x), (x, y))[axis]
        runs = find_runs(image, cut, tone)  # type: ignore[arg-type]
        start, end = runs.at(np.array([0]), np.array([line]), np.array([pixel]))
        assert (run["start"], run["end"]) == pytest.approx((start[0], end[0]), abs=1e-5)
    lengths = page.evaluate("async () => [7, 20, 49, 0.3].map((await import('/web/measure.js')).barLength)")
    assert lengths == [5, 20, 20, 0.2]
    check_chart(page)


def check_chart(page: Any) -> None:
    """Axes, limit, the gap between values that are far apart, and the value at the mark."""
    points = [[0, 2.0, 5], [60, 4.0, 5], [600, 3.0, 7]]
    found = page.evaluate(
        """async points => {
            const { chart } = await import('/web/chart.js');
            const one = chart({title: 'Latency', unit: 'ms', limit: 8, points, start: 0, end: 600, step: 60});
            document.body.append(one);
            const plot = one.querySelector('svg'), path = name => one.querySelector(name).getAttribute('d');
            plot.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true}));
            return [path('.trace'), path('.dots'), path('.limit'), one.innerText, plot.ariaLabel];
        }""",
        points,
    )
    trace, dots, limit, text, label = found
    assert trace == "M0.0 45.0L30.0 30.0M300.0 37.5"  # 0 to 8 ms over 60, ten minutes over 300
    assert dots == "M300.0 37.5h.01"
    assert limit == "M0 0.0H300"
    assert "8 ms" in text
    assert "3 ms of 7" in text  # the newest value, at the mark that an arrow key moves
    assert "2 ms to 4 ms" in label
