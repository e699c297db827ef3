"""The contact sheet of a folder and the command that writes it."""

import json
import re
from pathlib import Path

import pytest
from command_call import call
from harmful_folders import in_every_split, inverted
from page_checks import check_page
from pair_folders import plain

from gantrans.data.check import check_folder
from gantrans.data.check.page import SHOWN, page


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (400, 800)])
def test_the_page_is_readable(browser, tmp_path: Path, width: int, height: int) -> None:
    report = check_folder(inverted(tmp_path / "pairs"), direction="sem2layout", progress=False)
    (tmp_path / "look.html").write_text(page(report))
    shown = browser.new_page()
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto((tmp_path / "look.html").as_uri())
    check_page(shown, width, height, scrolls=True)
    assert all(url.startswith(("file:", "data:")) for url in asked)
    loaded = shown.evaluate("[...document.images].map(i => i.complete && i.naturalWidth)")
    assert len(loaded) == SHOWN
    assert all(loaded)
    assert "WARNING: mixed-polarity" in shown.inner_text("main")
    shown.close()


def test_the_page_shows_the_pairs_of_a_finding_first(tmp_path: Path) -> None:
    text = page(check_folder(inverted(tmp_path / "pairs"), direction="sem2layout", progress=False))
    names = re.findall(r"<figcaption>(im\d+)", text)
    assert len(names) == SHOWN
    assert {int(name[2:]) % 3 for name in names[:9]} == {0}
    assert "<script" not in text
    assert not re.search(r"(src|href)=\"(?!data:)", text)


def test_names_are_escaped(tmp_path: Path) -> None:
    root = plain(tmp_path / "pairs")
    for side in ("input", "target"):
        (root / side / "im000.png").rename(root / side / "<b>&.png")
    text = page(check_folder(root, progress=False))
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text


def test_the_command_reports_in_text_and_json_and_by_its_code(capsys, tmp_path: Path) -> None:
    good, bad = plain(tmp_path / "good"), in_every_split(tmp_path / "bad")
    code, out, err = call(capsys, "data", "check", good, "--html", tmp_path / "look.html")
    assert (code, err) == (0, "")
    assert "This folder can be trained on." in out
    assert (tmp_path / "look.html").read_text().startswith("<!doctype html>")
    code, out, err = call(capsys, "data", "check", bad)
    assert (code, err) == (2, "")
    assert out.index("REFUSED   copies-across-splits") > 0
    assert max(len(line.replace(str(tmp_path), "")) for line in out.splitlines()) <= 110
    code, out, _ = call(capsys, "data", "check", bad, "--json")
    assert code == 2
    contents = json.loads(out)
    assert contents["verdict"] == "refused"
    assert contents["findings"][0]["files"]
    code, _, err = call(capsys, "data", "check", tmp_path / "nowhere")
    assert code == 2
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
