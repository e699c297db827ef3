"""A diffusion run as a version: registered, gated, promoted, tuned, served and reviewed like any other."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from gantrans.data import PairedDataset, make_pairs
from gantrans.images import unit_from_uint8
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion.comparison import measure_latency, score_images, smoke_inference
from gantrans.operations.promotion.finetune import FineTuneConfig, fine_tune
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.promotion.versions import load_predictor
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.models import Models
from gantrans.operations.serving.monitors import Operational
from gantrans.operations.serving.review import Review
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service
from gantrans.training import load_checkpoint
from gantrans.translation import Predictor, recipe, train_recipe

CPU = torch.device("cpu")
DIRECTION = "sem2layout"


def some_pairs(seed: int, count: int = 4) -> PairedDataset:
    return make_pairs("procedural", count=count, size=32, seed=seed, progress=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three steps of the recipe at smoke."""
    out = tmp_path_factory.mktemp("diffusion") / "run"
    chosen = recipe(DIRECTION, "smoke", name="diffusion")
    data = replace(chosen.data, count=8, validation=4)
    train_recipe(
        replace(chosen, data=data, fit=replace(chosen.fit, steps=3)), out, progress=False, device="cpu"
    )
    return out


def test_what_is_registered_is_what_is_served(run: Path, tmp_path: Path) -> None:
    registry, pairs = Registry(tmp_path / "models"), some_pairs(5)
    version = registry.register(run)
    assert smoke_inference(version.folder, pairs, CPU) == ""
    registry.promote(DIRECTION, details={"why": "the first"})
    images = unit_from_uint8(pairs.sem)
    champion = registry.predictor(DIRECTION, "champion", CPU)
    trained = Predictor.load(run, CPU)
    assert torch.equal(champion.translate(images), trained.translate(images))
    assert torch.equal(champion.answers(images, 2), trained.answers(images, 2))
    quality, _ = score_images(champion, pairs)
    assert quality.shape == (4,)
    assert min(seconds.min() for seconds in measure_latency(champion, trained, pairs, repeats=2)) > 0


def test_it_is_tuned_from_its_own_weights_and_registered_again(run: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    first = registry.register(run)
    done = fine_tune(
        first.folder, some_pairs(7), some_pairs(8), FineTuneConfig(epochs=1, rate=0.1, batch_size=4),
        out=tmp_path / "tuned", validation={"new": some_pairs(9, 2)}, parent=first.name, progress=False,
        device="cpu",
    )  # fmt: skip
    assert done.before.keys() == done.after.keys() == {"l1_new", "iou_new"}
    assert done.alarms == ()
    before, after = (load_checkpoint(path)["networks"]["generator"] for path in (run, tmp_path / "tuned"))
    moved = max(float((after[key] - value).abs().max()) for key, value in before.items())
    rate = load_predictor(first.folder, CPU).recipe.task.diffusion.lr
    assert 0.0 < moved < 10 * 0.1 * rate
    second = registry.register(tmp_path / "tuned", parent=first.name)
    assert load_predictor(second.folder, CPU).recipe.task == first.recipe.task


def test_parts_of_its_denoiser_can_be_frozen(run: Path) -> None:
    before = load_checkpoint(run)["networks"]["generator"]
    config = FineTuneConfig(epochs=1, batch_size=4, frozen=("denoiser.entry", "denoiser.encoder"))
    done = fine_tune(run, some_pairs(7), None, config, progress=False, device="cpu")
    assert done.fit.step == 1
    averages = done.fit.ema.state_dict()["generator"]
    for key, value in averages.items():
        frozen = key.startswith(("denoiser.entry.", "denoiser.encoder."))
        assert torch.allclose(value, before[key], atol=1e-7, rtol=0) or not frozen, key
    assert not torch.equal(averages["denoiser.exit.weight"], before["denoiser.exit.weight"])


@pytest.mark.parametrize("size", [(32, 32), (40, 50)])
def test_the_service_answers_with_it(run: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    store = Store(tmp_path / "store.sqlite")
    service = Service(Models([run], device="cpu"), store, Operational(), None)
    web = TestClient(serve_app(service, IntakeConfig()), base_url="http://127.0.0.1")
    grey = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "png")

    def asked(seed: int) -> bytes:
        given: dict[str, Any] = {"direction": DIRECTION, "seed": seed}
        answer = web.post("/translate", params=given, files={"image": buffer.getvalue()})
        assert answer.status_code == 200, answer.text
        return answer.content

    first = asked(1)
    assert first == asked(1) != asked(2)
    expected = Predictor.load(run, CPU).translate_large(torch.from_numpy(grey)[None] / 255, seed=1)
    got = np.asarray(Image.open(io.BytesIO(first)), np.float32) / 255
    np.testing.assert_allclose(got, expected[0].numpy(), atol=0.51 / 255)
    store.close()


def test_it_is_reviewed(run: Path) -> None:
    review = Review.open(run, count=2, device="cpu")
    assert len(review) == 2
    assert torch.equal(review.shown(0).output, review.shown(0).output)
    assert review.measured(0)["iou"] is not None
