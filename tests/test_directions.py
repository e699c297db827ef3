"""A direction that is registered once is trained, evaluated, compared, reviewed, served and offered."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

import gantrans.directions
from gantrans.__main__ import main
from gantrans.data import BatchSource, PairedDataset, PairedFolder, make_pairs, write_pairs
from gantrans.directions import Direction, direction, directions, image_names, images_of, register
from gantrans.errors import CheckpointError, ConfigError, DataError
from gantrans.images import unit_from_uint8
from gantrans.metrics import iou, psnr
from gantrans.operations.feedback.exports import write_feedback
from gantrans.operations.feedback.pictures import encode_png
from gantrans.operations.feedback.store import Store
from gantrans.operations.promotion.comparison import score_images
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.models import Models
from gantrans.operations.serving.monitors import Operational, qualities
from gantrans.operations.serving.review import MEASURED, Review
from gantrans.operations.serving.review_app import review_app
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service
from gantrans.translation import Predictor, evaluate_run, recipe

SHIPPED = ("sem2layout", "layout2sem", "image2mask", "image2classes", "image2image")
CLEAN = Direction("noisy2clean", "noisy", "clean", metrics=("psnr", "l1"), labels=("noisy image", "clean"))
MASK = Direction("noisy2mask", "noisy", "mask", "binary", ("iou", "l1", "opens", "bridges"))
TOYS = [CLEAN, MASK]


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations of one test end with it."""
    monkeypatch.setattr(gantrans.directions, "_TABLE", dict(gantrans.directions._TABLE))


def toy_pairs(toy: Direction, count: int = 12, side: int = 32) -> PairedDataset:
    """Bright discs on a dark ground with noise, and the same without it or thresholded."""
    generator = torch.Generator().manual_seed(0)
    centre = side * (0.3 + 0.4 * torch.rand(count, 2, 1, 1, generator=generator))
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    disc = ((y - centre[:, :1]) ** 2 + (x - centre[:, 1:]) ** 2) < (side / 5) ** 2
    target = 255 * disc if toy.target_kind == "binary" else 60 + 130 * disc
    noisy = 60 + 130 * disc + 25 * torch.randn(disc.shape, generator=generator)
    images = [image.clamp(0, 255).to(torch.uint8) for image in (noisy, target)]
    names = [f"pair{i:02d}" for i in range(count)]
    return PairedDataset(*images, ["disc"] * count, 5.0, names, (toy.input, toy.target))  # type: ignore[arg-type]


def toy_folder(toy: Direction, root: Path) -> Path:
    """The pairs as a folder: eight to train on, two to validate and two to test."""
    pairs = toy_pairs(toy)
    write_pairs(pairs, root, source="toy")
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    rows = [f"{name},{split}" for name, split in zip(pairs.names, splits, strict=True)]
    (root / "split.csv").write_text("\n".join(["name,split", *rows]), encoding="utf-8")
    return root


def command_line(*arguments: object) -> int:
    argv, sys.argv = sys.argv, ["gantrans", *map(str, arguments)]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = argv
    return 0


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Direction -> its folder of pairs and a run of a few steps, trained from the command line."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gantrans.directions, "_TABLE", dict(gantrans.directions._TABLE))
        for toy in TOYS:
            register(toy)
            root = tmp_path_factory.mktemp(toy.name)
            source, out = toy_folder(toy, root / "pairs"), root / "run"
            asked = ("train", "--direction", toy.name, "--scale", "smoke", "--source", source, "--out", out)
            assert command_line(*asked, "--device", "cpu") == 0
            found[toy.name] = source, out
    return found


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_a_registered_direction_is_trained_and_evaluated_by_its_own_metrics(runs, toy, capsys) -> None:
    source, out = runs[toy.name]
    with pytest.raises(CheckpointError, match=f"'{toy.name}'; choose one of 'sem2layout', 'layout2sem'"):
        Predictor.load(out)  # not registered here
    register(toy)
    history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    scored = {name for record in history for name in record if name.startswith("val_")}
    assert scored == {f"val_{name}" for name in toy.validation}
    report = evaluate_run(out, str(source), device="cpu")
    assert (report.count, set(report.metrics("model"))) == (2, set(toy.metrics))
    assert list(report.rows)[1] == ("denoise+otsu" if toy is MASK else "input unchanged")
    row = report.to_dict()["rows"]["model"]["all"]
    assert set(row) == set(toy.metrics)

    pairs = PairedFolder(source).load(toy.name, split="test", progress=False)
    inputs, targets = (unit_from_uint8(images) for images in pairs.roles(toy.name))
    outputs = Predictor.load(out, torch.device("cpu")).translate(inputs)
    own = iou(outputs, targets) if toy is MASK else psnr(outputs, targets, data_range=1.0)
    assert report.mean("model", toy.quality) == pytest.approx(float(own.mean()), rel=1e-5)
    assert command_line("evaluate", "--run", out, "--source", source, "--device", "cpu") == 0
    head = capsys.readouterr().out.splitlines()[1].split()
    ordered = (m for m in ("l1", "psnr", "iou", "opens", "bridges") if m in toy.metrics)
    assert head == ["family", "row", *ordered]


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_models_are_compared_by_the_directions_quality(runs, toy) -> None:
    source, out = runs[toy.name]
    register(toy)
    pairs = PairedFolder(source).load(toy.name, split="all", progress=False)
    predictor = Predictor.load(out, torch.device("cpu"))
    quality, defects = score_images(predictor, pairs)
    inputs, targets = (unit_from_uint8(images) for images in pairs.roles(toy.name))
    outputs = predictor.translate(inputs)
    own = iou(outputs, targets) if toy is MASK else psnr(outputs, targets, data_range=1.0)
    np.testing.assert_allclose(quality, own.double().numpy())
    assert len(defects) == len(pairs)
    assert toy is MASK or not defects.any()


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_a_registered_direction_is_served_labelled_and_exported(runs, toy, tmp_path: Path) -> None:
    register(toy)
    source, out = runs[toy.name]
    registry = Registry(tmp_path / "registry")
    registry.register(out)
    registry.promote(toy.name)
    store = Store(tmp_path / "store.sqlite")
    service = Service(Models(registry=tmp_path / "registry", device="cpu"), store, Operational())
    web = TestClient(serve_app(service, IntakeConfig()), base_url="http://127.0.0.1")
    assert [model["name"] for model in web.get("/v2/models").json()] == [toy.name]

    pairs = PairedFolder(source).load(toy.name, split="test", progress=False)
    given, wanted = (encode_png(unit_from_uint8(images[0])) for images in pairs.roles(toy.name))
    asked = {"params": {"direction": toy.name, "id": "p"}, "files": {"image": given}}
    answer = web.post("/translate", **asked)
    assert answer.status_code == 200, answer.text
    expected = Predictor.load(out, torch.device("cpu")).translate(unit_from_uint8(pairs.a[:1]))
    np.testing.assert_allclose(
        np.asarray(Image.open(io.BytesIO(answer.content))), 255 * expected[0, 0].numpy(), atol=0.51
    )
    missing = web.post("/translate", params={"direction": "sem2layout"}, files={"image": given})
    assert missing.status_code == 422
    assert f"choose from {toy.name}" in missing.json()["detail"]
    assert web.put("/predictions/p/labels/one?kind=truth", files={"image": wanted}).status_code == 201
    (row,) = web.get("/monitors").json()["performance"]
    defined = {name for name in ("l1", "ssim", "psnr", "iou", "epe_px") if row[name]["count"]}
    assert defined == set(qualities(toy.name)) == set(toy.metrics) & {"l1", "psnr", "iou"}

    assert write_feedback(store, tmp_path / "out", toy.name) == 1
    assert json.loads((tmp_path / "out" / "pairs.json").read_text())["input"] == "noisy"
    back = PairedFolder(tmp_path / "out").load(toy.name, split="all", progress=False)
    assert back.images == (toy.input, toy.target)
    assert torch.equal(back.b[0], pairs.b[0])
    store.close()


def test_the_documents_and_the_command_line_list_what_is_registered(tmp_path: Path) -> None:
    register(CLEAN)
    store = Store(tmp_path / "store.sqlite")

    class Nothing:
        def directions(self) -> list[str]:
            return []

        def get(self, name: str) -> None:
            return None

    service = Service(Nothing(), store, Operational())  # type: ignore[arg-type]
    web = TestClient(serve_app(service, IntakeConfig()), base_url="http://127.0.0.1")
    document = web.get("/openapi.json").json()["paths"]["/translate"]["post"]["parameters"]
    (parameter,) = (p for p in document if p["name"] == "direction")
    assert parameter["schema"]["enum"] == [*SHIPPED, "noisy2clean"]
    refused = web.post("/translate", params={"direction": "x"}, files={"image": b"y"})
    assert refused.status_code == 422
    assert f"'x' is not one of {', '.join(SHIPPED)}, noisy2clean" in refused.json()["detail"]
    store.close()

    program = (
        "from gantrans.directions import Direction, register\n"
        "register(Direction('noisy2clean', 'noisy', 'clean'))\n"
        "from gantrans.__main__ import main\n"
        "main()\n"
    )
    for command, further in ((["train", "--help"], "|both"), (["data", "feedback", "--help"], "")):
        shown = subprocess.run(
            [sys.executable, "-c", program, *command], capture_output=True, text=True, timeout=120,
            env={**os.environ, "COLUMNS": "240"},
        )  # fmt: skip
        assert f"[{'|'.join(SHIPPED)}|noisy2clean{further}]" in shown.stdout, shown.stderr


def test_the_command_line_refuses_what_is_not_registered(tmp_path: Path, capsys) -> None:
    asked = ("train", "--direction", "noisy2clean", "--scale", "smoke", "--out", tmp_path / "run")
    assert command_line(*asked) == 2
    assert "noisy2clean" in capsys.readouterr().err
    register(CLEAN)
    assert command_line(*asked) == 2  # the simulated source holds other images
    assert "This dataset holds sem and layout images, not 'noisy'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_the_review_page_names_and_measures_by_the_table(toy, tmp_path: Path) -> None:
    register(toy)
    review = Review(lambda image: image, toy_pairs(toy), toy.name, "m", seed=None)
    store = Store(tmp_path / "store.sqlite")
    about = TestClient(review_app(review, store), base_url="http://127.0.0.1").get("/api/review").json()
    assert about["kinds"]["input"] == ("noisy image" if toy is CLEAN else "noisy")
    assert about["kinds"]["output"] == about["kinds"]["reference"] == toy.target
    assert about["read_back"] is False
    assert tuple(review.measured(0)) == (MEASURED if toy is MASK else toy.metrics)
    assert bool(review.item(0)["outlines"]["output"]) is (toy is MASK)
    store.close()


def test_the_layout_directions_are_as_before() -> None:
    assert directions() == SHIPPED
    assert image_names() == ("sem", "layout", "image", "mask", "classes", "target")
    forward, back = direction("sem2layout"), direction("layout2sem")
    assert (forward.input, forward.target, back.input, back.target) == ("sem", "layout", "layout", "sem")
    assert (forward.quality, back.quality) == ("iou", "ssim")
    assert (forward.validation, back.validation) == (("l1", "iou"), ("l1",))
    assert (forward.read_back, back.read_back) == (False, True)
    assert images_of("sem2layout") == images_of("layout2sem") == ("sem", "layout")
    assert recipe("sem2layout", "smoke").task.discriminator is None
    assert recipe("layout2sem", "smoke").task.discriminator is not None


def test_a_reverse_direction_shares_the_folder_and_the_order_of_its_images(tmp_path: Path) -> None:
    register(CLEAN)
    register(Direction("clean2noisy", "clean", "noisy"))
    folder = PairedFolder(toy_folder(CLEAN, tmp_path / "pairs"))
    forward, back = (folder.load(d, progress=False) for d in ("noisy2clean", "clean2noisy"))
    assert forward.images == back.images == ("noisy", "clean")
    assert torch.equal(forward.roles("noisy2clean")[0], back.roles("clean2noisy")[1])
    batch = BatchSource(back, "clean2noisy", 4, 0)(0)
    assert batch["input"].std() < batch["target"].std()  # type: ignore[union-attr]
    with pytest.raises(DataError, match=r"pairs\.json states that input/ holds 'noisy'.*sem2layout"):
        folder.load("sem2layout", progress=False)


def test_images_are_replaced_by_name() -> None:
    pairs = make_pairs("procedural", count=2, size=16, progress=False)
    assert pairs.images == ("sem", "layout")
    dark = torch.zeros_like(pairs.layout)
    changed = pairs.with_images(layout=dark)
    assert torch.equal(changed.layout, dark)
    assert torch.equal(changed.sem, pairs.sem)
    assert changed.subset([1]).names == pairs.names[1:]
    with pytest.raises(DataError, match="holds sem and layout images, not 'mask'"):
        pairs.with_images(mask=dark)


def test_equal_registrations_are_one_and_contradictions_are_refused() -> None:
    register(CLEAN)
    register(CLEAN)
    assert directions() == (*SHIPPED, "noisy2clean")
    for other, words in (
        (Direction("noisy2clean", "noisy", "mask"), "'noisy2clean' is registered already"),
        (Direction("x", "layout", "y"), "Images 'layout' are binary in the direction 'sem2layout' and grey"),
    ):
        with pytest.raises(ConfigError, match=words):
            register(other)
    with pytest.raises(DataError, match=re.escape("direction is 'left'; choose one of sem2layout, layout2")):
        direction("left")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "a/b"}, "Direction.name is 'a/b'"),
        ({"input": ""}, "Direction.input is ''"),
        ({"target": "noisy"}, "like the input"),
        ({"target_kind": "colour"}, "target_kind is 'colour'"),
        ({"input_kind": "colour"}, "input_kind is 'colour'"),
        ({"metrics": ("psnr", "iou")}, "for a grey target"),
        ({"metrics": ("psnr", "psnr")}, "at most once"),
        ({"metrics": ("l1",)}, "must be one of ssim, psnr"),
        ({"metrics": ()}, "must be one of"),
        ({"metrics": ("epe",), "target_kind": "binary"}, "must be one of iou, ssim, psnr"),
    ],
)
def test_a_wrong_direction_is_refused_with_the_field(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Direction(**{"name": "noisy2clean", "input": "noisy", "target": "clean", **fields})  # type: ignore[arg-type]


def test_the_recipe_follows_the_kind_of_the_target() -> None:
    for toy in TOYS:
        register(toy)
    assert recipe("noisy2mask", "smoke").task == recipe("sem2layout", "smoke").task
    assert recipe("noisy2clean", "smoke").task == recipe("layout2sem", "smoke").task
