"""The table of bad input: every bad file and folder through check, train, predict and serve.

One sentence each, no traceback, nothing written. In process, with a run of two steps.
"""

from pathlib import Path

import nasty_images
import pytest
from command_call import call, code_and_error
from fastapi.testclient import TestClient
from harmful_folders import HARMFUL, inverted
from pair_folders import by_tens, plain, split
from toy_service import Inverter

from gantrans.data import reading
from gantrans.data.check import REFUSED, check_folder
from gantrans.errors import DataError
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.decode import MAX_PIXELS
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.monitors import Operational
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service
from gantrans.translation import predict_files, recipe, train_recipe
from gantrans.translation.recipes import load_recipe, replace

DIRECTION = "image2mask"
BAD = nasty_images.bad()
TRAIN = ("train", "--scale", "smoke", "--direction")
FOLDERS = (
    "some masks stored as 0 and 1", "a dark red palette mask", "class numbers", "12 bits in 16-bit files",
    "a colour target turned grey", "colours of equal luma", "input and target exchanged",
    "all targets empty", "all targets equal", "all inputs of one colour", "targets are the inputs",
    "one picture in every split", "a third of the layouts inverted", "moved by 6 px",
    "crops of training pictures", "masks that were JPEG", "numbered from another start",
)  # fmt: skip
"""Of the harmful folders, which `tests/data/test_check.py` has all, those that a training once took."""


def files(root: Path) -> set[Path]:
    return set(root.rglob("*"))


def is_one_sentence(text: str) -> None:
    assert text.rstrip().endswith((".", "?"))
    assert len(text.strip().splitlines()) == 1
    assert "Traceback" not in text


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    return split(plain(tmp_path_factory.mktemp("pairs") / "pairs", 10, (32, 32)), by_tens, 10)


@pytest.fixture(scope="module")
def run(pairs: Path) -> Path:
    chosen = recipe(DIRECTION, "smoke", str(pairs))
    short = replace(chosen, fit=replace(chosen.fit, steps=2))
    train_recipe(short, pairs.parent / "run", progress=False, device="cpu")
    return pairs.parent / "run"


@pytest.fixture(autouse=True)
def as_large_as_in_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of pixels is the one rule that differs on purpose."""
    monkeypatch.setattr(reading, "MAX_PIXELS", MAX_PIXELS)


@pytest.fixture
def web(tmp_path: Path) -> TestClient:
    service = Service(Inverter(), Store(tmp_path / "store.sqlite"), Operational(), None)
    return TestClient(serve_app(service, IntakeConfig()), base_url="http://127.0.0.1")


@pytest.fixture
def spoilt(pairs: Path, tmp_path: Path) -> Path:
    """A copy of the good pairs, of which the first input is to be replaced."""
    import shutil

    root = tmp_path / "pairs"
    shutil.copytree(pairs, root)
    (root / "input" / "im000.png").unlink()
    return root


def suffix(name: str) -> str:
    return {"jpeg": ".jpg", "tiff": ".tif", "bmp": ".bmp"}.get(name.split()[0], ".png")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file(name: str, spoilt: Path, run: Path, web: TestClient, capsys, tmp_path: Path) -> None:
    path = spoilt / "input" / f"im000{suffix(name)}"
    path.write_bytes(BAD[name])
    before = files(tmp_path)

    report = check_folder(spoilt, direction=DIRECTION, progress=False)
    found = report.stopping[0]
    assert found.severity == REFUSED
    assert path in found.files
    is_one_sentence(found.seen)

    code, err = code_and_error(capsys, *TRAIN, DIRECTION, "--source", spoilt, "--out", tmp_path / "new")
    assert code == 2, err
    is_one_sentence(err)
    assert str(path) in err

    with pytest.raises(DataError) as caught:
        predict_files(run, path, tmp_path / "out.png", device="cpu")
    is_one_sentence(str(caught.value))
    assert files(tmp_path) == before

    answer = web.post("/translate", files={"image": BAD[name]})
    assert 400 <= answer.status_code < 500
    is_one_sentence(str(answer.json()["detail"]))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_harmful_folder_does_not_train(name: str, capsys, tmp_path: Path) -> None:
    case = HARMFUL[name]
    root = case.make(tmp_path / "pairs")
    before, direction = files(tmp_path), case.stated["direction"]
    code, err = code_and_error(capsys, *TRAIN, direction, "--source", root, "--out", tmp_path / "run")
    assert code == 2
    assert err.startswith("error: ")
    is_one_sentence(err)
    assert files(tmp_path) == before


def test_an_accepted_warning_trains_and_is_kept_in_the_run(capsys, tmp_path: Path) -> None:
    root = inverted(tmp_path / "pairs")
    command = [*TRAIN, "sem2layout", "--source", root, "--out", tmp_path / "run"]
    code, out, err = call(capsys, *command, "--accept", "mixed-polarity")
    assert code == 0, err
    assert "accepted: mixed-polarity: In 1" in err
    assert "checked 40 pairs: 1 warning" in out
    assert load_recipe(tmp_path / "run").data.accepted == ("mixed-polarity",)
    code, err = code_and_error(capsys, *command, "--resume")
    assert code == 2


def test_a_good_folder_trains_with_one_line(capsys, pairs: Path, tmp_path: Path) -> None:
    code, out, err = call(capsys, *TRAIN, DIRECTION, "--source", pairs, "--out", tmp_path / "run")
    assert code == 0, err
    assert "checked 10 pairs: nothing to report\n" in out
    code, err = code_and_error(
        capsys, *TRAIN, DIRECTION, "--out", tmp_path / "other", "--accept", "everything"
    )
    assert code == 2
    assert "There is no warning 'everything' to accept" in err
    assert not (tmp_path / "other").exists()
