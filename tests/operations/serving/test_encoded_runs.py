"""Runs in colour, of classes and of 12 bits with a stated white: served, reviewed and tuned again."""

import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import encoded_runs
import nasty_images
import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from gantrans.data import PairedFolder
from gantrans.data.reading import read_classes, read_image
from gantrans.errors import DataError
from gantrans.operations.feedback.exports import write_feedback
from gantrans.operations.feedback.imports import import_pairs
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion.comparison import check_alike
from gantrans.operations.promotion.cycle import CycleConfig, run_cycle
from gantrans.operations.promotion.finetune import FineTuneConfig
from gantrans.operations.promotion.gate import GateConfig
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.models import Models
from gantrans.operations.serving.monitors import Operational, performance
from gantrans.operations.serving.review import Review
from gantrans.operations.serving.review_app import review_app
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service
from gantrans.translation import Predictor, load_recipe
from gantrans.translation.files import predict_files

KINDS = {"colour": "image2image", "classes": "image2classes", "white": "image2mask"}
Made = dict[str, tuple[Path, Path]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Folder of pairs and run, by kind."""
    return {kind: encoded_runs.train(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


@pytest.fixture(scope="module")
def models(made: Made) -> Models:
    return Models([run for _, run in made.values()], device="cpu")


@pytest.fixture
def web(models: Models, store: Store) -> Iterator[TestClient]:
    app = serve_app(Service(models, store, Operational()), IntakeConfig())
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def upload(web: TestClient, kind: str, data: bytes, **parameters: object) -> Any:
    return web.post("/translate", params={"direction": KINDS[kind], **parameters}, files={"image": data})


def label(web: TestClient, prediction: str, name: str, data: bytes, kind: str = "truth") -> Any:
    return web.put(f"/predictions/{prediction}/labels/{name}", params={"kind": kind}, files={"image": data})


def file_of(made: Made, kind: str, side: str = "input", name: str = "wafer5") -> Path:
    return made[kind][0] / side / f"{name}.png"


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_gets_the_same_pixels_from_folder_and_service(
    made: Made, web: TestClient, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    whole = Predictor.translate_large

    def noted(self: Predictor, image: torch.Tensor, **how: Any) -> torch.Tensor:
        seen.append(image)
        return whole(self, image, **how)

    monkeypatch.setattr(Predictor, "translate_large", noted)
    path, recipe = file_of(made, kind), load_recipe(made[kind][1])
    answer = upload(web, kind, path.read_bytes())
    assert answer.status_code == 200, answer.text
    predict_files(made[kind][1], path, tmp_path / "out.png", device="cpu")
    served, folder = seen
    assert torch.equal(served, folder)
    side = recipe.data.encoding.side("input")
    assert torch.equal(served, read_image(path, bits=recipe.data.bits, side=side))
    assert np.array_equal(pixels(answer.content), pixels((tmp_path / "out.png").read_bytes()))
    if kind == "white":  # dark features are bright for the network, and 4,095 is black
        assert float(served.max()) > 0.8
        assert abs(float(served.min()) - 5 / 4095) < 1e-6


def test_colour_is_answered_kept_and_shown_in_colour(made: Made, web: TestClient, store: Store) -> None:
    data = file_of(made, "colour").read_bytes()
    answer = upload(web, "colour", data, id="one")
    assert pixels(answer.content).shape == (32, 32, 3)
    assert upload(web, "colour", data, id="one").content == answer.content
    assert np.array_equal(pixels(web.get("/predictions/one/input.png").content), pixels(data))
    said = upload(web, "colour", data, id="one", format="json").json()
    assert said["classes"] is None
    assert 0 < said["output"]["mean"] < 1
    grey = upload(web, "colour", nasty_images.good()["png 8"])  # grey is repeated
    assert pixels(grey.content).shape[2] == 3
    for path in ("/strangest", "/queue"):
        assert web.get(path, params={"direction": "image2image"}).status_code == 200
    assert label(web, "one", "right", file_of(made, "colour", "target").read_bytes()).status_code == 201
    (row,) = performance(store)
    assert row["ssim"]["count"] == row["psnr"]["count"] == 1
    about = web.get("/v2/models/image2image").json()
    assert (about["inputs"][0]["shape"][1], about["outputs"][0]["shape"][1], about["classes"]) == (3, 3, [])


def test_16_bits_come_back_as_16_bits(made: Made, web: TestClient, store: Store) -> None:
    deep = Image.open(file_of(made, "colour")).convert("L")
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(deep).astype(np.uint16) * 257 + 1).save(buffer, format="PNG")
    answer = upload(web, "colour", buffer.getvalue(), id="deep")
    assert struct.unpack_from(">BB", answer.content, 24) == (16, 2)
    kept = store.prediction("deep")
    assert kept is not None
    assert (store.picture(kept.input).depth, store.picture(kept.output).depth) == (16, 16)


def test_classes_have_their_stored_values(made: Made, web: TestClient, store: Store, tmp_path: Path) -> None:
    data = file_of(made, "classes").read_bytes()
    answer = upload(web, "classes", data, id="one")
    assert set(np.unique(pixels(answer.content))) <= {0, 3, 7}
    said = upload(web, "classes", data, id="one", format="json").json()
    assert said["output"] is None
    assert sum(said["classes"].values()) == pytest.approx(1)
    assert set(said["classes"]) == {"0", "3", "7"}
    assert [one["value"] for one in web.get("/v2/models/image2classes").json()["classes"]] == ["0", "3", "7"]
    right = file_of(made, "classes", "target").read_bytes()
    assert label(web, "one", "right", right).status_code == 201
    assert label(web, "one", "same", answer.content, "corrected").status_code == 201  # what came, sent back
    refused = label(web, "one", "wrong", nasty_images.good()["png 8"])
    assert refused.status_code == 422
    (row,) = performance(store)
    share = float((pixels(answer.content) == pixels(right)).mean())
    assert row["accuracy"]["mean"] == pytest.approx(share)
    assert row["corrected"]["changed_pixels"]["mean"] == 0
    assert row["corrected"]["mean_iou"]["mean"] == 1
    assert web.get("/monitors").status_code == 200
    write_feedback(store, tmp_path / "pairs", "image2classes")
    manifest = json.loads((tmp_path / "pairs" / "pairs.json").read_text())
    assert (manifest["classes"], manifest["colour"]) == (["0", "3", "7"], ["input"])
    again = PairedFolder(tmp_path / "pairs").load("image2classes", split="all", progress=False)
    side = encoded_runs.CLASSES.side("target")
    assert torch.equal(again.b[0], read_classes(file_of(made, "classes", "target"), side))
    assert again.a.shape[1] == 3


def test_a_label_that_comes_first_waits_for_its_prediction(made: Made, models: Models, store: Store) -> None:
    right = file_of(made, "classes", "target").read_bytes()
    several = TestClient(
        serve_app(Service(models, store, Operational()), IntakeConfig()), base_url="http://127.0.0.1"
    )
    refused = label(several, "later", "first", right)
    assert refused.status_code == 422
    assert "send the label after its prediction" in refused.json()["detail"]
    alone = Models([made["classes"][1]], device="cpu")
    one = TestClient(
        serve_app(Service(alone, store, Operational()), IntakeConfig()), base_url="http://127.0.0.1"
    )
    assert label(one, "later", "first", right).json() == {"new": True, "prediction_known": False}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_answered_or_refused_in_one_sentence(web: TestClient, kind: str) -> None:
    for files in (nasty_images.good(), nasty_images.bad()):
        for name, data in files.items():
            for answer in (upload(web, kind, data), label(web, "p", f"l{hash(name) % 99}", data)):
                assert answer.status_code in (200, 201, 409, 422), (name, answer.text)
                if answer.status_code == 422:
                    assert "\n" not in answer.json()["detail"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_can_be_reviewed(made: Made, store: Store, kind: str) -> None:
    folder, run = made[kind]
    review = Review.open(run, str(folder), split="all", device="cpu")
    item = review.item(0)
    assert set(item["pictures"]) == {"input", "output", "reference", "difference"}
    names = {"colour": {"ssim", "psnr", "l1"}, "classes": {"mean_iou", "accuracy"}}.get(kind)
    assert names is None or set(review.measured(0)) == names
    assert bool(item["outlines"]["reference"]) == (kind == "white")
    web = TestClient(review_app(review, store), base_url="http://127.0.0.1")
    about = web.get("/api/review").json()
    assert about["measurable"] == (kind == "white")
    assert [one["value"] for one in about["classes"]] == (["0", "3", "7"] if kind == "classes" else [])
    judged = {"id": "0" * 36, "item": review.items[0], "verdict": "accept"}
    assert web.post("/api/verdicts", json=judged).status_code == 201


def test_a_run_of_other_channels_is_no_review(made: Made) -> None:
    with pytest.raises(DataError) as refusal:
        Review.open(made["colour"][1], str(made["white"][0]), device="cpu")
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["colour", "classes"])
def test_the_loop_turns(made: Made, store: Store, kind: str, tmp_path: Path) -> None:
    folder, run = made[kind]
    registry = Registry(tmp_path / "registry")
    registry.register(run)
    registry.promote(KINDS[kind], "v0001")
    predictor = registry.predictor(KINDS[kind], device=torch.device("cpu"))
    assert import_pairs(store, folder, predictor, "v0001", progress=False) == 6
    assert import_pairs(store, folder, predictor, "v0001", progress=False) == 0
    config = CycleConfig(
        at_least=1, tuning=FineTuneConfig(epochs=1, batch_size=2),
        gate=GateConfig(fewest_clusters=2, alpha=0.1, resamples=200),
    )  # fmt: skip
    found = run_cycle(registry, store, KINDS[kind], config, progress=False, device="cpu")
    assert found.outcome in ("promoted", "refused"), found
    assert found.decision is not None
    smoke = next(check for check in found.decision.checks if check.name == "smoke inference")
    assert smoke.passed, smoke.text


def test_models_of_other_channels_are_not_compared(made: Made) -> None:
    one, other = (load_recipe(made[kind][1]) for kind in ("colour", "classes"))
    check_alike(one, one)
    with pytest.raises(DataError, match="3 out, but the challenger 3 channels in and the classes 0, 3, 7"):
        check_alike(one, other)
