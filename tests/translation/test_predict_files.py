"""From a folder of pairs to files: depth and channels of results, classes by their stored values."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantrans.data.decoding import stored_values
from gantrans.data.encoding import Encoding
from gantrans.data.writing import write_classes, write_image
from gantrans.errors import DataError
from gantrans.translation import evaluate_run, predict_files, recipe, train_recipe

SIZE = 32


def folder(path: Path, manifest: dict, *, depth: int = 8, suffix: str = ".png") -> Path:
    """Twelve colour images; targets are the channels exchanged, or the strongest channel as a class."""
    generator = torch.Generator().manual_seed(0)
    for side in ("input", "target"):
        (path / side).mkdir(parents=True)
    for k in range(12):
        coarse = torch.rand(1, 3, 5, 5, generator=generator)
        image = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")[0]
        write_image(path / "input" / f"{k}{suffix}", image, depth=depth)
        if "classes" in manifest:
            numbers = image.argmax(0, keepdim=True).to(torch.uint8)
            write_classes(path / "target" / f"{k}.png", numbers, manifest["classes"])
        else:
            target = image.flip(0) if "target" in manifest.get("colour", ()) else image[:1]
            write_image(path / "target" / f"{k}{suffix}", target, depth=depth)
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    rows = "".join(f"{k},{split}\n" for k, split in enumerate(splits))
    (path / "split.csv").write_text("name,split\n" + rows)
    (path / "pairs.json").write_text(json.dumps({"input": "image", **manifest}))
    return path


def run_of(path: Path, direction: str, out: Path, steps: int = 4) -> Path:
    made = recipe(direction, "smoke", str(path))
    train_recipe(replace(made, fit=replace(made.fit, steps=steps)), out, progress=False, device="cpu")
    return out


def test_colour_of_sixteen_bits_stays_colour_of_sixteen_bits(tmp_path: Path) -> None:
    pairs = folder(tmp_path / "pairs", {"colour": ["input", "target"]}, depth=16, suffix=".tif")
    run = run_of(pairs, "image2image", tmp_path / "run")
    source = pairs / "input" / "0.tif"
    for name in ("out.png", "out.tif"):
        (written,) = predict_files(run, source, tmp_path / name, device="cpu")
        assert written == tmp_path / name
    values = stored_values((tmp_path / "out.tif").read_bytes(), "out.tif").values
    assert values.shape == (SIZE, SIZE, 3)
    assert values.dtype == np.uint16
    assert len(np.unique(values)) > 256
    assert (tmp_path / "out.png").read_bytes()[24:26] == bytes([16, 2])  # 16 bits, RGB
    report = evaluate_run(run, str(pairs), device="cpu")
    assert report.computed_on == "3 channels"


def test_grey_of_eight_and_of_sixteen_bits(tmp_path: Path) -> None:
    pairs = folder(tmp_path / "pairs", {"colour": ["input"]})
    run = run_of(pairs, "image2image", tmp_path / "run")
    image = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
    write_image(tmp_path / "deep.tif", image, depth=16)
    write_image(tmp_path / "flat.png", image)
    predict_files(run, tmp_path / "deep.tif", tmp_path / "deep.png", device="cpu")
    predict_files(run, tmp_path / "flat.png", tmp_path / "made.png", device="cpu")
    with Image.open(tmp_path / "deep.png") as deep, Image.open(tmp_path / "made.png") as flat:
        assert (deep.mode[:1], flat.mode, deep.size) == ("I", "L", (50, 40))
        np.testing.assert_allclose(np.asarray(deep) / 65535, np.asarray(flat) / 255, atol=0.02)
        assert len(np.unique(np.asarray(deep))) > 256
    with pytest.raises(DataError, match="no PNG or TIFF"):
        predict_files(run, tmp_path / "flat.png", tmp_path / "made.jpg", device="cpu")


@pytest.mark.parametrize("classes", [("0", "4", "9"), ("#000000", "#ff0000", "#00ff80")])
def test_classes_from_folder_to_file(tmp_path: Path, classes: tuple[str, ...]) -> None:
    pairs = folder(tmp_path / "pairs", {"colour": ["input"], "classes": list(classes)})
    run = run_of(pairs, "image2classes", tmp_path / "run", steps=60)
    assert recipe("image2classes", "smoke", str(pairs)).data.encoding == Encoding(
        classes=classes, colour=("input",)
    )
    written = predict_files(run, pairs / "input", tmp_path / "out", device="cpu")
    right = 0
    for path in written:
        with Image.open(path) as made, Image.open(pairs / "target" / path.name) as target:
            assert made.mode == target.mode == ("P" if classes[0] == "0" else "RGB")
            same = np.asarray(made) == np.asarray(target)
            right += same.reshape(SIZE, SIZE, -1).all(2).mean() / len(written)
    assert right > 0.6
    report = evaluate_run(run, str(pairs), split="all", device="cpu")
    assert report.mean("model", "accuracy") == pytest.approx(right, abs=1e-3)
    assert report.computed_on == f"classes {', '.join(classes)}"
