"""A folder and the service read a file alike: equal pixels, or both refuse it; and neither reaches a parser
that is not allowed, or pays for a small file with minutes.
"""

import json
import os
import time
import unicodedata
from pathlib import Path

import nasty_images
import numpy as np
import pytest
import torch
from command_call import code_and_error
from PIL import Image

from gantrans.data import PairedFolder, read_image, reading
from gantrans.errors import DataError
from gantrans.operations.serving.decode import MAX_PIXELS, DecodeError, decode
from gantrans.operations.serving.review import Review
from gantrans.translation import Predictor, evaluate_run, load_recipe

GOOD, BAD = nasty_images.good(), nasty_images.bad()
CROWD = 400


def both(data: bytes, path: Path) -> tuple[torch.Tensor | str, torch.Tensor | str]:
    """What the service and the folder make of a file: the image, or the reason without the image's name."""
    path.write_bytes(data)
    found: list[torch.Tensor | str] = []
    for read, name in ((lambda: decode(data), "The image"), (lambda: read_image(path), str(path))):
        try:
            found.append(read())
        except DataError as error:
            found.append(
                str(error).replace(name, "IT").replace("the image", "IT").replace("--bits ", "bits=")
            )
    return found[0], found[1]


@pytest.fixture(autouse=True)
def as_large_as_in_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of pixels is the one rule that differs on purpose."""
    monkeypatch.setattr(reading, "MAX_PIXELS", MAX_PIXELS)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_a_file_is_the_same_image_in_training_and_in_service(name: str, tmp_path: Path) -> None:
    begun = time.process_time()
    service, folder = both(GOOD.get(name) or BAD[name], tmp_path / "image.png")
    assert time.process_time() - begun < 4.0
    if name in GOOD:
        assert isinstance(service, torch.Tensor)
        assert isinstance(folder, torch.Tensor)
        assert torch.equal(service, folder)
    else:
        assert isinstance(folder, str)
        assert service == folder or name == "empty"


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_files_are_read_alike(tmp_path: Path) -> None:
    for data in nasty_images.mutations(CROWD, seed=3):
        service, folder = both(data, tmp_path / "image.tif")
        if isinstance(service, torch.Tensor):
            assert isinstance(folder, torch.Tensor)
            assert torch.equal(service, folder)
        else:
            assert service == folder


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for Ghostscript is a shell script")
def test_no_file_starts_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = tmp_path / "started"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {started}\nexit 1\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"
    for suffix in ("png", "tif", "jpg"):
        (tmp_path / f"a.{suffix}").write_bytes(eps)
        with pytest.raises(DataError, match="PNG, JPEG, TIFF, BMP"):
            read_image(tmp_path / f"a.{suffix}")
    assert not started.exists()


def test_a_label_mask_is_what_its_palette_shows(tmp_path: Path) -> None:
    """A black and white layout of which a reader of indices makes an all-black target."""
    mask = Image.fromarray((nasty_images.scene() > 0.5).astype(np.uint8))
    mask.putpalette([0, 0, 0, 255, 255, 255])
    for options in ({}, {"compression": "tiff_lzw"}):
        mask.save(tmp_path / "mask.tif", **options)
        assert read_image(tmp_path / "mask.tif").unique().tolist() == [0.0, 1.0]


def test_12_packed_bits_need_no_statement() -> None:
    line = np.array([0, 4095, 2048, 1024], np.uint32)
    packed = b"".join(int(a << 12 | b).to_bytes(3, "big") for a, b in line.reshape(-1, 2).tolist()) * 4
    data = nasty_images.tiff(packed, 12, 1, side=4)
    np.testing.assert_allclose(decode(data)[0, 0], line / 4095, rtol=1e-6)


def test_16_bit_masks_stand_beside_12_bit_images(tmp_path: Path) -> None:
    mask = np.where(nasty_images.scene() > 0.5, 65535, 0).astype(np.uint16)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert read_image(tmp_path / "mask.png", bits=12).unique().tolist() == [0.0, 1.0]
    mask[3, 3] = 4096
    Image.fromarray(mask).save(tmp_path / "mask.png")
    with pytest.raises(DataError, match=r"--bits 12 was stated, but .*mask\.png holds the value 65535"):
        read_image(tmp_path / "mask.png", bits=12)


def twelve_bit_pairs(root: Path) -> Path:
    """Pairs of 12-bit values in 16-bit files, and 8-bit layouts."""
    for i in range(3):
        image = np.random.default_rng(i).integers(0, 4096, (32, 32)).astype(np.uint16)
        for kind, values in (("input", image), ("target", np.where(image > 2048, 255, 0).astype(np.uint8))):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / kind / f"{i}.png")
    (root / "split.csv").write_text("name,split\n0,train\n1,val\n2,test\n")
    return root


def test_the_bits_of_a_run_are_applied_by_every_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, run = twelve_bit_pairs(tmp_path / "pairs"), tmp_path / "run"
    train = ("train", "--direction", "sem2layout", "--scale", "smoke", "--source", pairs, "--out", run)
    code, err = code_and_error(capsys, *train)
    assert (code, run.exists()) == (2, False)
    assert "bits: 3 files of the input side" in err
    assert "gantrans data check" in err
    assert code_and_error(capsys, *train, "--bits", 13)[0] == 2
    assert code_and_error(capsys, *train, "--bits", 12)[0] == 0
    assert load_recipe(run).data.bits == 12
    right = read_image(pairs / "input" / "2.png", bits=12)
    assert float(right.max()) > 0.99
    seen: list[torch.Tensor] = []

    def noted(self: Predictor, image: torch.Tensor, **_: object) -> torch.Tensor:
        seen.append(image)
        return image

    monkeypatch.setattr(Predictor, "translate_large", noted)
    monkeypatch.setattr(Predictor, "translate", noted)
    assert code_and_error(capsys, "predict", "--run", run, "--input", pairs / "input" / "2.png",
                "--output", tmp_path / "o.png")[0] == 0  # fmt: skip
    evaluate_run(run, str(pairs))
    Review.open(run, str(pairs)).item(0)
    for image in seen:
        torch.testing.assert_close(image.reshape(1, 32, 32), right, atol=0.5 / 255 + 1e-6, rtol=0)
    assert len(seen) == 3
    (pairs / "pairs.json").write_text(json.dumps({"input": "sem", "bits": 16}))  # a folder's word counts more
    dark = Review.open(run, str(pairs)).inputs
    assert int(dark.max()) < 17


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ('"pixel_nm": true', "pixel_nm true"), ('"pixel_nm": Infinity', "pixel_nm Infinity"),
        ('"pixel_nm": NaN', "pixel_nm NaN"), ('"pixel_nm": -1', "pixel_nm -1"),
        ('"pixel_nm": 0', "pixel_nm 0"),
        ('"pixel_nm": 1e5', "pixel_nm 100000.0"), ('"pixel_nm": "5"', 'pixel_nm "5"'),
        (f'"pixel_nm": {"9" * 400}', "pixel_nm 9999999999"), ('"bits": 13', "bits 13"),
        ('"bits": true', "bits true"), ('"bits": "12"', 'bits "12"'), ('"bits": 12.0', "bits 12.0"),
        ('"family": ["a"]', 'family ["a"]'),
    ],
)  # fmt: skip
def test_the_values_of_a_manifest_are_checked(tmp_path: Path, written: str, says: str) -> None:
    pairs = twelve_bit_pairs(tmp_path / "pairs")
    (pairs / "pairs.json").write_text(f'{{"input": "sem", {written}}}')
    with pytest.raises(DataError) as refusal:
        PairedFolder(pairs)
    assert says in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("pairs.json", "[" * 100_000, "not valid JSON"),
        (
            "split.csv",
            "name,split\n0,train\n1,val\n2,test\n0.png,test\n",
            "gives '0' two splits, 'train' and",
        ),
        (os.fsdecode(b"input/a\xff.png"), "", r"no plain text ('a\udcff.png')"),
        ("input/a\nb.png", "", r"no plain text ('a\nb.png')"),
    ],
)
def test_odd_descriptions_and_names_get_one_sentence(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    pairs = twelve_bit_pairs(tmp_path / "pairs")
    (pairs / name).write_text(content)
    with pytest.raises(DataError) as refusal:
        PairedFolder(pairs)
    assert says in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


def test_bits_of_simulated_images_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, err = code_and_error(
        capsys, "train", "--direction", "sem2layout", "--out", tmp_path / "run", "--bits", 12
    )
    assert (code, "leave out --bits" in err) == (2, True)


def test_names_match_however_their_accents_are_stored(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "gr\u00fcn") for form in ("NFC", "NFD")]
    for kind, name in zip(("input", "target"), names, strict=True):
        (tmp_path / kind).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / kind / f"{name}.png")
    (tmp_path / "split.csv").write_text(f"name,split\n{names[1]},train\n", encoding="utf-8")
    (tmp_path / "pairs.json").write_text(json.dumps({"input": "sem", "family": {names[1]: "colour"}}))
    pairs = PairedFolder(tmp_path).load("sem2layout", progress=False)
    assert (pairs.names, pairs.family) == ([names[0]], ["colour"])


def test_the_service_takes_the_bits_of_the_run() -> None:
    data = BAD["png 12 bit in 16"]
    np.testing.assert_allclose(decode(data, run_bits=12)[0], nasty_images.scene(), atol=1 / 4095)
    assert float(decode(data, bits=16, run_bits=12).max()) < 0.07  # what the client says counts more
    assert torch.equal(decode(GOOD["png 8"], run_bits=12), decode(GOOD["png 8"]))
    with pytest.raises(DecodeError, match="leave it out"):
        decode(GOOD["png 8"], bits=12, run_bits=12)
