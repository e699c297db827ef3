"""`registry`, `finetune`, `gate`, `cycle`, `data import` and `drift` as a person meets them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from command_call import call

from benchmarks import _cycle_kills as kills
from gantrans import __main__ as cli
from gantrans.command_line import loop
from gantrans.data import make_pairs, write_pairs
from gantrans.errors import DataError
from gantrans.operations.drift.detector import Alarm, DriftDetector
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion import cycle
from gantrans.operations.promotion.registry import Registry

Capture = pytest.CaptureFixture[str]
DIRECTION = kills.DIRECTION
EASY = ["--alpha", 0.45, "--old-margin", 1, "--family-margin", 1, "--defects", "count"]
NEW = ["registry", "finetune", "gate", "cycle", "drift", "data"]


@pytest.fixture
def where(site: Path) -> list[object]:
    return ["--registry", site / "models", "--store", site / "feedback.sqlite"]


def test_a_registry_from_nothing_to_a_rollback(capsys: Capture, site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "models"
    assert call(capsys, "registry", "init", folder)[0] == 0
    assert (
        "v0001 of sem2layout is the challenger"
        in call(capsys, "registry", "register", folder, site / "run", "--note", "first training")[1]
    )
    assert call(capsys, "registry", "promote", folder, "--why", "the first", "--who", "me")[0] == 0
    assert call(capsys, "registry", "register", folder, site / "run", "--parent", "v0001")[0] == 0
    assert call(capsys, "registry", "promote", folder, "--over", "v0001", "--why", "again")[0] == 0
    code, out, _ = call(capsys, "registry", "rollback", folder, "--why", "bridges in lot 12")
    assert (code, out) == (0, "v0001 is the champion of sem2layout again.\n")
    rows = json.loads(call(capsys, "registry", "list", folder, "--json")[1])["versions"]
    assert [(row["name"], row["role"], row["why"]) for row in rows] == [
        ("v0001", "champion", "bridges in lot 12"),
        ("v0002", "", "again"),
    ]
    shown = call(capsys, "registry", "show", folder, "champion")[1]
    assert "promote (me)  the first" in shown
    assert "2 versions and 5 changes" in call(capsys, "registry", "verify", folder)[1]
    weights = Registry(folder).champion(DIRECTION) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    code, _, err = call(capsys, "registry", "verify", folder)
    assert code == 2
    assert "is not the file that was registered" in err


def test_what_a_person_decides_is_listed_with_its_reason(capsys: Capture, site: Path) -> None:
    models = site / "models"
    assert "regime: first\nreference of quality: none" in call(capsys, "registry", "list", models)[1]
    code, _, _ = call(
        capsys, "registry", "reference", models, "champion", "--value", 0.75, "--labels", 96, "--why", "set"
    )
    assert code == 0
    code, out, _ = call(
        capsys, "registry", "retire", models, "--opens", "B", "--since", "2026-05-04", "--why", "scanner B"
    )
    assert (code, "'B' of sem2layout holds for images since 2026-05-04T00:00:00" in out) == (0, True)
    out = call(capsys, "registry", "list", models)[1]
    assert "regime: B since 2026-05-04T00:00:00.000000+00:00: scanner B" in out
    assert "reference of quality: v0001 iou 0.750: set" in out


def test_the_two_halves_of_a_turn(capsys: Capture, site: Path, where: list[object], tmp_path: Path) -> None:
    models, out_folder = site / "models", tmp_path / "tuned"
    code, out, _ = call(capsys, "finetune", *where, "--out", out_folder, "--epochs", 2, "--rate", 1)
    assert code == 0
    assert "Held-out labels: " in out
    assert f"registry register {models} {out_folder} --parent v0001" in out
    assert call(capsys, "registry", "register", models, out_folder, "--parent", "v0001")[0] == 0
    events = Registry(models).history(DIRECTION)
    report = tmp_path / "gate.json"
    code, out, _ = call(capsys, "gate", *where, *EASY, "--report", report, "--json")
    found = json.loads(report.read_text())
    assert json.loads(out) == found
    assert (found["champion"], found["challenger"]) == ("v0001", "v0002")
    assert code == (0 if found["verdict"] == "promote" else 1)
    code, out, _ = call(capsys, "gate", *where, "--alpha", 0.0025)
    assert code == 1
    assert "v0002 against v0001: keep the champion\n" in out
    assert "FAILED" in out
    assert Registry(models).history(DIRECTION) == events  # a gate looks and changes nothing


def test_a_turn_says_by_its_exit_code_what_came_out(capsys: Capture, site: Path, where: list[object]) -> None:
    turn = ["cycle", *where, "--epochs", 2, "--rate", 1, "--share", 0.25]
    code, out, _ = call(capsys, *turn, "--at-least", 8, "--alpha", 0.0025, "--json")
    assert (code, json.loads(out)["outcome"]) == (1, "refused")
    code, out, _ = call(capsys, *turn)
    assert (code, "0 labels since the last challenge, of at least 50" in out) == (1, True)
    Registry(site / "models").retire(DIRECTION, opens="B", why="-", since="2020-01-01")
    code, out, _ = call(capsys, *turn, "--at-least", 8, *EASY)
    assert (code, "v0003 replaces v0001" in out) == (0, True)


def test_every_repeats_turns_and_survives_an_error(
    capsys: Capture, where: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, slept = [], []

    def turn(*_: object, **__: object) -> cycle.Outcome:
        turns.append(1)
        if len(turns) == 2:
            raise DataError("The disk is full.")
        return cycle.Outcome(cycle.WAITING, None, "v0001", None, "too few labels")

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(cycle, "run_cycle", turn)
    monkeypatch.setattr(loop.time, "sleep", sleep)
    code, out, err = call(capsys, "cycle", *where, "--every", 24)
    assert code == 130
    assert (len(turns), slept) == (4, [86_400.0] * 4)
    assert (out.count("too few labels"), "error: The disk is full." in err) == (3, True)


def test_pairs_measured_elsewhere_come_in_once(capsys: Capture, site: Path, tmp_path: Path) -> None:
    pairs = make_pairs("procedural", count=6, size=32, seed=3, progress=False)
    write_pairs(pairs, tmp_path / "new", source="test")
    store = tmp_path / "new.sqlite"
    arguments = [
        "data",
        "import",
        "--pairs",
        tmp_path / "new",
        "--registry",
        site / "models",
        "--store",
        store,
    ]
    assert "6 new labels" in call(capsys, *arguments)[1]
    assert "0 new labels" in call(capsys, *arguments)[1]
    opened = Store(store)
    assert opened.counts()["predictions"] == opened.counts()["labels"] == 6
    prediction = opened.prediction(pairs.names[0])
    assert prediction is not None
    assert (prediction.model, prediction.pixel_nm) == ("v0001", 20.0)
    stored = opened.pairs(DIRECTION)
    assert {pair.origin for pair in stored} == {"truth"}
    assert (255 * opened.image(stored[0].input)).round().to(pairs.sem.dtype).equal(pairs.sem[0])
    other = make_pairs("procedural", count=6, size=32, seed=4, progress=False)
    shutil.rmtree(tmp_path / "new")
    write_pairs(replace(other, names=pairs.names), tmp_path / "new", source="-")
    code, _, err = call(capsys, *arguments)
    assert (code, "was used before with other content" in err) == (2, True)
    assert opened.counts()["labels"] == 6


MISTAKES: dict[str, list[object]] = {
    "There is no registry at {tmp}/no; make one: python -m gantrans registry init": [
        "registry", "list", "{tmp}/no",
    ],
    "is not empty; nothing was changed": ["registry", "init", "{site}"],
    "There is no checkpoint at": ["registry", "register", "{site}/models", "{tmp}/no"],
    "There is no version '../versions/v0001' of sem2layout": [
        "registry", "promote", "{site}/models", "../versions/v0001",
    ],
    "There is no challenger for sem2layout": ["registry", "promote", "{site}/models"],
    "no earlier champion to return to": ["registry", "rollback", "{site}/models", "--why", "-"],
    "Say why a regime is retired": ["registry", "retire", "{site}/models", "--opens", "B", "--why", ""],
    "'monday' is no date": [
        "registry", "retire", "{site}/models", "--opens", "B", "--why", "-", "--since", "monday",
    ],
    "There is no store at": ["cycle", "--registry", "{site}/models", "--store", "{tmp}/no.sqlite"],
    "no labelled image of sem2layout in the regime 'first' since 2100": [
        "finetune", "--registry", "{site}/models", "--store", "{site}/feedback.sqlite", "--since",
        "2100-01-01", "--out", "{tmp}/r",
    ],
    "is not empty (": [
        "finetune", "--registry", "{site}/models", "--store", "{site}/feedback.sqlite", "--out", "{site}/run",
    ],
    "There is no challenger": ["gate", "--registry", "{site}/models", "--store", "{site}/feedback.sqlite"],
    "v0001 is the champion itself": [
        "gate", "--registry", "{site}/models", "--store", "{site}/feedback.sqlite", "--challenger", "v0001",
    ],
    "The folder {tmp}/no does not exist": [
        "gate", "--registry", "{site}/models", "--store", "{site}/feedback.sqlite", "--report",
        "{tmp}/no/gate.json",
    ],
    "at least 8000 images in the order of time, and these are 10": [
        "drift", "fit", "--count", 10, "--out", "{tmp}/d",
    ],
    "There is no folder {tmp}/no": ["drift", "fit", "--source", "{tmp}/no", "--out", "{tmp}/d"],
    "exists and is not overwritten": ["drift", "fit", "--out", "{site}/feedback.sqlite"],
    "cannot be read as a drift detector": ["drift", "watch", "{site}/feedback.sqlite", "--source", "{tmp}"],
    "Say why the alarms are acknowledged": ["drift", "acknowledge", "{site}/feedback.sqlite", "--why", " "],
}  # fmt: skip


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_gets_one_sentence_and_nothing_is_overwritten(
    capsys: Capture, site: Path, tmp_path: Path, words: str
) -> None:
    def filled(text: object) -> str:
        return str(text).replace("{site}", str(site)).replace("{tmp}", str(tmp_path))

    before = {path: path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()}
    code, out, err = call(capsys, *map(filled, MISTAKES[words]))
    assert code == 2, (out, err)
    assert filled(words) in err
    assert err.startswith("error: ")
    assert err.strip().count("\n") == 0
    unchanged = {path: path.read_bytes() for path in before}
    assert unchanged == before
    assert not (tmp_path / "d").exists()


def test_a_monitor_is_fitted_watches_and_is_acknowledged(capsys: Capture, tmp_path: Path) -> None:
    file, images = tmp_path / "sem2layout.drift", tmp_path / "today"
    code, out, _ = call(capsys, "drift", "fit", "--out", file, "--size", 32, "--seed", 1)
    assert (code, f"--drift sem2layout={file}" in out) == (0, True)
    pairs = make_pairs("procedural", count=30, size=32, seed=5, progress=False)
    write_pairs(pairs, images, source="test")
    code, out, _ = call(capsys, "drift", "watch", file, "--source", images)
    assert (code, "insufficient data: 30 new images, 30 in all" in out) == (0, True)
    shutil.rmtree(images)
    write_pairs(make_pairs("procedural", count=40, size=32, seed=5, progress=False), images, source="test")
    code, out, _ = call(capsys, "drift", "watch", file, "--source", images, "--json")
    assert (json.loads(out)["new"], json.loads(out)["seen"]) == (10, 40)  # by name: 30 were added before
    detector = DriftDetector.load(file)
    detector.alarms.append(Alarm(40, "chart", ("noise",)))
    detector.save(file)
    code, out, _ = call(capsys, "drift", "watch", file, "--source", images)
    assert (code, "drift: 0 new images" in out, "alarm at image 40 (chart): noise" in out) == (1, True, True)
    acknowledge = ["drift", "acknowledge", file, "--why", "new scanner", "--who", "me"]
    assert "1 alarm acknowledged: insufficient data now" in call(capsys, *acknowledge)[1]
    assert "No alarm stands" in call(capsys, *acknowledge)[1]
    (kept,) = DriftDetector.load(file).acknowledgements
    assert (kept.alarms, kept.why, kept.who) == (1, "new scanner", "me")
    assert call(capsys, "drift", "watch", file, "--source", images)[0] == 0


def test_every_command_of_the_loop_has_an_example_in_its_help() -> None:
    top = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    found = {}
    for name in NEW:
        for command in getattr(top[name], "commands", {name: top[name]}).values():
            found[f"{name} {command.name}"] = command.help or ""
    assert len(found) == 9 + 3 + 3 + 4
    assert [name for name, text in found.items() if "Example: python -m gantrans " not in text] == []
