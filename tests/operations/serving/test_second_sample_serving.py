"""Limits of what is decoded, what a label is answered, and whose problem is over."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import nasty_images
import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from toy_service import Inverter

from gantrans.data import make_pairs
from gantrans.data.encoding import Encoding
from gantrans.errors import CheckpointError
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion.registry import Aliases
from gantrans.operations.serving import models, review
from gantrans.operations.serving.decode import DecodeError, decode
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.models import Models
from gantrans.operations.serving.monitors import Operational
from gantrans.operations.serving.review import Review
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service


def test_an_image_may_have_as_many_pixels_as_allowed() -> None:
    data = nasty_images.saved(np.full((10, 12), 99, np.uint8), "PNG")
    assert decode(data, max_pixels=120).shape == (1, 10, 12)
    with pytest.raises(DecodeError, match="12 x 10 px, more than the 119 px"):
        decode(data, max_pixels=119)


def test_bits_must_be_stated_where_14_are_enough_only() -> None:
    few, enough = (nasty_images.saved(np.full((2, 2), n, np.uint16), "PNG") for n in (2**14 - 1, 2**14))
    with pytest.raises(DecodeError, match=r"at most 16383: 14-bit data, .* with bits=14 or bits=16"):
        decode(few)
    np.testing.assert_allclose(decode(enough), 2**14 / 65535, rtol=1e-6)


def test_an_item_is_as_high_as_its_image() -> None:
    pairs = make_pairs("procedural", size=32, count=2, progress=False)
    cut = {name: getattr(pairs, name)[..., :24, :] for name in ("a", "b")}
    flat = dataclasses.replace(pairs, **cut)
    item = Review(lambda image: 1 - image, flat, "sem2layout", "model").item(0)
    assert (item["width"], item["height"]) == (32, 24)


@pytest.mark.parametrize(("count", "asked", "kept"), [(None, 50, 4), (3, 3, 3), (9, 9, 4)])
def test_a_review_asks_for_as_many_pairs_as_stated_or_50(count, asked, kept, monkeypatch) -> None:
    pairs, seen = make_pairs("procedural", size=16, count=4, progress=False), []

    def make(split: str, direction: str, count: int) -> object:
        seen.append(count)
        return pairs

    recipe = SimpleNamespace(
        data=SimpleNamespace(pixel_nm=4.0, encoding=Encoding()), direction="sem2layout", channels=(1, 1)
    )
    predictor = SimpleNamespace(recipe=recipe, translate=lambda image: image, labelled=False)
    monkeypatch.setattr(review, "Predictor", SimpleNamespace(load=lambda *a, **k: predictor))
    monkeypatch.setattr(review, "held_out", lambda *a, **k: SimpleNamespace(pairs=make))
    monkeypatch.setattr(review, "check_pixel_size", lambda *a: None)
    monkeypatch.setattr(review, "checkpoint_version", lambda run: "model")
    assert len(Review.open(Path("run"), count=count, device="cpu")) == kept
    assert seen == [asked]


def test_a_label_is_created_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    web = TestClient(
        serve_app(Service(Inverter(), store, Operational(), None), IntakeConfig()),
        base_url="http://127.0.0.1",
    )
    image = {"image": nasty_images.good()["png 8"]}
    answers = [
        web.put("/predictions/a/labels/l", params={"kind": "truth"}, files=image).status_code
        for _ in range(3)
    ]
    store.close()
    assert answers == [201, 200, 200]


def test_a_problem_is_over_when_the_champion_loads(monkeypatch) -> None:
    class Registry:
        champion, broken = "one", False

        def __init__(self, folder: object) -> None:
            pass

        def aliases(self, direction: str) -> object:
            return Aliases((self.champion,))

        def predictor(self, direction: str, version: str, device: torch.device) -> str:
            if self.broken:
                raise CheckpointError("damaged")
            return f"{direction} {version}"

    monkeypatch.setattr(models, "Registry", Registry)
    served = Models(registry=Path("registry"), device="cpu")
    assert served.problems == {}
    Registry.champion, Registry.broken = "two", True
    assert served.get("sem2layout").version == "one"
    assert "damaged" in served.problems["sem2layout"]
    Registry.broken = False
    assert served.get("sem2layout").version == "one"  # a damaged version is not read at every request
    Registry.champion = "three"
    assert served.get("sem2layout").version == "three"
    assert served.problems == {}
