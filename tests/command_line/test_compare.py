"""`compare` as a user meets it: a report, runs that other commands take, kills at every stage, mistakes.

Run as a program this file is the parent of comparisons that are killed: it imports everything once, then
forks one for every kill.
"""

import base64
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from command_call import call
from PIL import Image

METHODS = ("l1", "gan", "diffusion")
MOMENTS = ("runs/l1/last.pt", "runs/diffusion/config.json", "scores/gan.npz", "report.json")
"""The comparison is killed as soon as one of these exists."""


def make_pairs(folder: Path, count: int = 60, test: int = 12) -> Path:
    """Pairs of 32 px with `test` of them in the test split."""
    arguments = ["data", "export", "--difficulty", "easy", "--size", "32", "--count", str(count)]
    command = [sys.executable, "-m", "gantrans", *arguments, "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    names = sorted(path.stem for path in (folder / "input").iterdir())
    splits = ["test"] * test + ["val"] * 8 + ["train"] * (count - test - 8)
    with (folder / "split.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("name", "split"), *zip(names, splits, strict=True)])
    return folder


def begin(pairs: Path, out: Path, *further: object) -> tuple:
    return ("compare", "--source", pairs, "--minutes", "0.02", "--seeds", 1, "--out", out, *further)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    return make_pairs(tmp_path_factory.mktemp("pairs") / "mine")


@pytest.fixture(scope="module")
def done(tmp_path_factory, pairs: Path) -> Path:
    """A comparison that was not disturbed."""
    from gantrans.operations.comparison.comparing import run_comparison
    from gantrans.operations.comparison.settings import Settings, Wishes

    out = tmp_path_factory.mktemp("compare") / "done"
    run_comparison(Settings(str(pairs), 0.02, scale="smoke", seeds=1), Wishes(), out)
    return out


def report(out: Path) -> dict:
    return json.loads((out / "report.json").read_text())


def test_the_report_has_every_method_and_the_steps_that_were_planned(done: Path, pairs: Path) -> None:
    found = report(done)
    names = [row["name"] for row in found["rows"]]
    steps = ["diffusion, 20 steps", "diffusion, 4 steps", "diffusion, 1 step"]
    assert names == ["l1", "gan", *steps, "denoise + Otsu"]
    for method in METHODS:
        assert found["trainings"][method]["steps"] == found["plan"]["shares"][method]["steps"]
        fitting = json.loads((done / "runs" / method / "config.json").read_text())["settings"]["fit"]
        assert fitting["clock"] == found["plan"]["clock"]  # of the seconds that the report states
    assert found["pairs"] == {
        s: {"images": n, "files": n} for s, n in (("train", 40), ("val", 8), ("test", 12))
    }
    assert found["tested"] == {"images": 12, "files": 12}
    for row in found["rows"]:
        assert {"iou", "epe", "opens", "bridges", "l1", "crps"} <= set(row["measures"])
        iou = row["measures"]["iou"]
        assert iou["low"] <= iou["mean"] <= iou["high"]
        assert row["measures"]["epe"]["label"] == "EPE [nm]"
        assert row["varied"] == bool(row["coverage"]) == ("diversity" in row["measures"])
        assert row["varied"] == row["name"].startswith("diffusion")
    speeds = [row["images_per_s"] for row in found["rows"][2:5]]
    assert speeds == sorted(speeds)  # fewer steps are faster
    assert found["recommendation"]["verdict"] in ("decided", "equal", "undecided")
    assert any("trained once" in note for note in found["notes"])
    assert any("40 training files" in note for note in found["notes"])


def test_the_trained_runs_are_runs_like_any_other(capsys, done: Path, pairs: Path, tmp_path: Path) -> None:
    image = min((pairs / "input").iterdir())
    for method in METHODS:
        run = done / "runs" / method
        out = tmp_path / f"{method}.png"
        assert call(capsys, "predict", "--run", run, "--input", image, "--output", out)[0] == 0
        assert Image.open(out).size == (32, 32)
    assert call(capsys, "registry", "init", tmp_path / "models")[0] == 0
    assert call(capsys, "registry", "register", tmp_path / "models", done / "runs" / "l1")[0] == 0
    code, text, _ = call(capsys, "evaluate", "--run", done / "runs" / "l1", "--source", pairs, "--json")
    assert code == 0
    ours = next(row for row in report(done)["rows"] if row["name"] == "l1")["measures"]["iou"]["mean"]
    assert json.loads(text)["rows"]["model"]["all"]["iou"]["mean"] == pytest.approx(ours, rel=1e-6)


class Page(HTMLParser):
    """Elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "source", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_page_is_whole_accessible_and_needs_no_network(done: Path) -> None:
    text = (done / "report.html").read_text("utf-8")
    page, found = Page(text), report(done)
    assert page.open == []
    assert not re.search(r"https?://|<script|<link|@import|url\((?!data:)", text)
    assert page.all("html") == [{"lang": "en"}]
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids
    images = page.all("img")
    assert len(images) >= 3 + 3 * 8
    for attributes in [*images, *page.all("source")]:
        address = attributes.get("src") or attributes.get("srcset")
        data = base64.b64decode(address.removeprefix("data:image/png;base64,"), validate=True)
        assert Image.open(io.BytesIO(data)).size[0] >= 32
    assert all(attributes["alt"] for attributes in images)
    assert page.all("table")
    assert all(attributes["scope"] in ("col", "row") for attributes in page.all("th"))
    for sentence in (*found["recommendation"]["reasons"], *found["notes"]):
        assert sentence in page.words
    figures = {path.name: Image.open(path) for path in (done / "figures").iterdir()}
    assert set(figures) == {"examples.png", "training.png", "speed.png", "calibration.png"}
    for picture in figures.values():
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10


def test_other_wishes_need_no_training_and_no_scoring(capsys, monkeypatch, done: Path, pairs: Path) -> None:
    from gantrans.operations.comparison import comparing, training

    def never(*_: object, **__: object) -> None:
        raise AssertionError("nothing is to be computed again")

    monkeypatch.setattr(training, "fit", never)
    monkeypatch.setattr(comparing, "score", never)
    monkeypatch.setattr(comparing, "measure", never)
    scores = {path: path.read_bytes() for path in (done / "scores").iterdir()}
    code, out, err = call(capsys, *begin(pairs, done, "--resume", "--images-per-second", 1e9, "--json"))
    assert (code, err) == (0, "")
    advice = json.loads(out)["recommendation"]
    assert advice["verdict"] == "undecided"
    assert advice["reasons"][-1] == "So no method is left to recommend."
    code, out, _ = call(capsys, *begin(pairs, done, "--resume", "--draws"))
    assert code == 0
    assert "l1 is out: it has one answer per input" in out
    assert report(done)["measure"]["name"] == "crps"
    assert {path: path.read_bytes() for path in (done / "scores").iterdir()} == scores


def numbers(out: Path) -> dict:
    """All that must not depend on kills: everything but times."""
    found = {
        path.name: {k: v for k, v in json.loads(path.read_text()).items() if k != "speed"}
        for path in (out / "scores").glob("*.json")
    }
    for row in report(out)["rows"]:
        found[row["name"]] = (row["measures"], row["coverage"])
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_killed_at_every_stage_it_ends_with_the_same_numbers(tmp_path: Path, done: Path, pairs: Path) -> None:
    out = tmp_path / "killed"
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    command = [sys.executable, __file__, str(pairs), str(out), str(done / "compare.json")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert int(ended.stdout.split()[0]) >= 3, ended.stdout
    assert numbers(out) == numbers(done)
    assert not list(out.rglob("*.tmp"))
    assert not (out / ".lock").exists()
    for method in METHODS:
        steps = report(done)["trainings"][method]["steps"]
        lines = (out / "runs" / method / "history.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["step"] == steps


def test_ctrl_c_says_how_to_go_on(capsys, monkeypatch, done: Path, pairs: Path, tmp_path: Path) -> None:
    from gantrans.operations.comparison import comparing, training

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(comparing, "measure", interrupted)
    code, _, err = call(capsys, *begin(pairs, tmp_path / "new"))
    assert (code, len(sentences(err))) == (130, 1)
    assert "before the first training began; nothing was written" in err
    assert [path for path in (tmp_path / "new").iterdir() if not path.name.startswith(".")] == []
    out = tmp_path / "begun"
    out.mkdir()
    shutil.copy(done / "compare.json", out)
    monkeypatch.setattr(training, "fit", interrupted)
    code, _, err = call(capsys, *begin(pairs, out, "--resume"))
    assert (code, len(sentences(err))) == (130, 1)
    assert "the same command with --resume goes on from there" in err
    assert not (out / ".lock").exists()


def test_a_training_that_fails_is_told_and_the_others_go_on(
    capsys, monkeypatch, done: Path, pairs: Path, tmp_path: Path
) -> None:
    from gantrans.errors import TrainingError
    from gantrans.operations.comparison import training

    out = tmp_path / "failing"
    shutil.copytree(done, out)
    for path in [*out.glob("scores/gan*"), *out.glob("runs/gan/*")]:
        path.unlink()

    def broken(*_: object, **__: object) -> None:
        raise TrainingError("The loss term 'loss_gan' is nan at step 7")

    monkeypatch.setattr(training, "fit", broken)
    assert call(capsys, *begin(pairs, out, "--resume"))[0] == 0
    found = report(out)
    assert "gan stopped: The loss term 'loss_gan' is nan at step 7" in found["notes"]
    assert [row["method"] for row in found["rows"]] == ["l1", *["diffusion"] * 3, "baseline"]


def sentences(err: str) -> list[str]:
    """The lines of an error, without what the check of the pairs found."""
    return [line for line in err.splitlines() if not line.startswith("checked ")]


@pytest.mark.parametrize(
    ("further", "words"),
    [
        (["--source", "nowhere"], "There is no source 'nowhere'"),
        (["--methods", "l1"], "at least two methods"),
        (["--methods", "l1,magic"], "no method 'magic'"),
        (["--size", "33"], "multiples of"),
        (["--size", "64"], "smaller than the 64 px"),
        (["--resume"], "There is no comparison to resume"),
        (["--device", "abacus"], "no device 'abacus'"),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(
    capsys, pairs: Path, tmp_path: Path, further: list[str], words: str
) -> None:
    code, out, err = call(capsys, *begin(pairs, tmp_path / "new", *further))
    assert (code, out, len(sentences(err))) == (2, "", 1), err
    assert words in err
    assert not (tmp_path / "new").exists()


def test_a_damaged_test_image_is_found_before_anything_is_written(
    capsys, pairs: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(pairs, bad)
    (min((bad / "target").iterdir())).write_bytes(b"no image")  # the first names are the test split
    code, _, err = call(capsys, *begin(bad, tmp_path / "new"))
    assert (code, err.count("\n")) == (2, 1)
    assert min((bad / "target").iterdir()).name in err
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_taken_stays_as_it_is(capsys, done: Path, pairs: Path, tmp_path: Path) -> None:
    from gantrans.files import held

    before = {path: path.stat().st_mtime_ns for path in done.rglob("*")}
    code, _, err = call(capsys, *begin(pairs, done))
    assert code == 2
    assert "is not empty" in err
    assert "--resume" in err
    code, _, err = call(capsys, *begin(pairs, done, "--resume", "--methods", "l1,gan", "--seed", 5))
    assert code == 2
    assert "other settings (methods: " in err
    assert "seed: 0 there, 5 here" in err
    with held(done / ".lock", "It"):
        code, _, err = call(capsys, *begin(pairs, done, "--resume"))
    assert code == 2
    assert "is in use by process" in err
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "compare.json").write_text("{}")
    code, _, err = call(capsys, *begin(pairs, tmp_path / "damaged", "--resume"))
    assert (code, err.count("\n")) == (2, 1)
    assert "does not describe a comparison" in err
    assert {path: path.stat().st_mtime_ns for path in done.rglob("*")} == before


def kill_again_and_again(pairs: str, out: Path, plan: Path) -> None:
    """Go on with a comparison, killed at each of `MOMENTS`, until it ends; prints the number of kills."""
    from gantrans.operations.comparison.comparing import run_comparison
    from gantrans.operations.comparison.settings import Settings, Wishes

    settings = Settings(pairs, 0.02, scale="smoke", seeds=1)
    out.mkdir()
    shutil.copy(plan, out / "compare.json")
    moments, kills = list(MOMENTS), 0
    while True:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                run_comparison(settings, Wishes(), out, resume=True)
                status = 0
            finally:
                os._exit(status)
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if moments and (out / moments[0]).exists():
                moments.pop(0)
                os.kill(child, signal.SIGKILL)
            time.sleep(0.002)
        if os.WIFSIGNALED(ended[1]):
            kills += 1
        else:
            break
    print(f"{kills} kills")
    sys.exit(os.waitstatus_to_exitcode(ended[1]))


if __name__ == "__main__":
    kill_again_and_again(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
