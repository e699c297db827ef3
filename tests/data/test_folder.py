"""A user's images: every format, every bad input in one sentence, exact export and import."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from gantrans.data import folder as folder_module
from gantrans.data.folder import PairedFolder, hash_split, read_image, write_pairs
from gantrans.data.pairs import make_pairs
from gantrans.data.reading import write_image
from gantrans.data.tiles import tile_starts
from gantrans.errors import DataError
from gantrans.images import uint8_from_unit

GREY = np.linspace(0, 1, 24 * 16).reshape(16, 24)
BYTES = np.round(GREY * 255).astype(np.uint8)
WORDS = np.round(GREY * 65535).astype(np.uint16)


def png(path: Path, values: np.ndarray, mode: str | None = None, **options: object) -> Path:
    image = Image.fromarray(values)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def tiff(path: Path, values: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, values, **options)
    return path


READABLE: dict[str, tuple[Callable[[Path], Path], float]] = {  # how to write it, tolerance
    "8-bit PNG": (lambda p: png(p / "a.png", BYTES), 0.002),
    "16-bit PNG": (lambda p: png(p / "a.png", WORDS), 1e-5),
    "palette PNG": (lambda p: png(p / "a.png", BYTES, "P"), 0.002),
    "RGB PNG": (lambda p: png(p / "a.png", np.stack([BYTES] * 3, -1)), 0.002),
    "opaque RGBA PNG": (lambda p: png(p / "a.png", BYTES, "RGBA"), 0.002),
    "opaque grey+alpha PNG": (lambda p: png(p / "a.png", BYTES, "LA"), 0.002),
    "JPEG": (lambda p: png(p / "a.JPG", BYTES), 0.02),
    "8-bit TIFF": (lambda p: tiff(p / "a.tif", BYTES), 0.002),
    "16-bit TIFF": (lambda p: tiff(p / "a.tiff", WORDS), 1e-5),
    "float32 TIFF": (lambda p: tiff(p / "a.tif", GREY.astype(np.float32)), 1e-6),
    "float64 TIFF": (lambda p: tiff(p / "a.tif", GREY), 1e-6),
    "RGB TIFF": (lambda p: tiff(p / "a.tif", np.stack([WORDS] * 3, -1), photometric="rgb"), 1e-5),
    "LZW TIFF": (lambda p: png(p / "a.tif", BYTES, compression="tiff_lzw"), 0.002),
}


@pytest.mark.parametrize("kind", READABLE)
def test_every_kind_of_image_is_read_with_its_grey_values(kind: str, tmp_path: Path) -> None:
    write, tolerance = READABLE[kind]
    image = read_image(write(tmp_path))
    assert image.shape == (1, 16, 24)
    assert image.dtype == torch.float32
    np.testing.assert_allclose(image[0].numpy(), GREY, atol=tolerance)


def test_colour_becomes_luma_and_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert read_image(png(tmp_path / "a.png", red)).unique().item() == pytest.approx(0.299)
    assert set(read_image(png(tmp_path / "b.png", BYTES, "1")).unique().tolist()) == {0.0, 1.0}


def test_a_written_image_is_read_back_exactly(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", torch.from_numpy(BYTES / 255.0).float().unsqueeze(0))
    assert torch.equal(uint8_from_unit(read_image(tmp_path / "a.png"))[0], torch.from_numpy(BYTES))


def truncated(path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    content = png(path / "a.png", noise).read_bytes()
    (path / "a.png").write_bytes(content[: len(content) // 2])
    return path / "a.png"


def with_nan(path: Path) -> Path:
    values = GREY.astype(np.float32)
    values[3, 3] = np.nan
    return tiff(path / "a.tif", values)


def transparent(path: Path) -> Path:
    values = np.stack([BYTES] * 4, -1)
    return png(path / "a.png", values)


def plain_file(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        (path / name).write_bytes(content)
        return path / name

    return write


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda p: p / "a.png", "does not exist"),
    "truncated PNG": (truncated, "truncated or damaged"),
    "zero bytes": (plain_file("a.png", b""), "empty"),
    "text called PNG": (plain_file("a.png", b"hello"), "truncated or damaged"),
    "damaged TIFF": (plain_file("a.tif", b"II*\0" + b"\1" * 60), "truncated or damaged"),
    "other type": (plain_file("a.gds", b"x"), "not a PNG, TIFF or JPEG"),
    "NaN": (with_nan, "NaN"),
    "float range": (lambda p: tiff(p / "a.tif", GREY * 255), r"from 0 to 255; scale them to \[0, 1\]"),
    "32-bit integers": (lambda p: tiff(p / "a.tif", BYTES.astype(np.int32)), "int32"),
    "two channels": (
        lambda p: tiff(
            p / "a.tif", np.stack([BYTES] * 2, -1), photometric="minisblack", planarconfig="contig"
        ),
        "2 channels",
    ),
    "CMYK": (lambda p: png(p / "a.jpg", np.stack([BYTES] * 3, -1), "CMYK"), "CMYK"),
    "transparent": (transparent, "transparent"),
    "several pages": (
        lambda p: tiff(p / "a.tif", np.stack([BYTES] * 5), photometric="minisblack"),
        "5 pages",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_every_bad_image_gets_one_sentence_with_file_and_reason(kind: str, tmp_path: Path) -> None:
    write, reason = BAD[kind]
    path = write(tmp_path)
    with pytest.raises(DataError, match=reason) as caught:
        read_image(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return write_pairs(
        make_pairs("sky130", count=30, size=32, progress=False), tmp_path / "set", source="sky130"
    )


def test_export_and_import_are_exact(tmp_path: Path) -> None:
    pairs = make_pairs("procedural", count=7, size=32, seed=4, progress=False)
    written = write_pairs(pairs, tmp_path / "new" / "set", source="procedural", seed=4)
    for direction in ("sem2layout", "layout2sem"):  # the manifest says which is which
        back = PairedFolder(written).load(direction, split="all", size=32, progress=False)
        assert torch.equal(back.sem, pairs.sem)
        assert torch.equal(back.layout, pairs.layout)
        assert (back.names, back.family, back.pixel_nm) == (pairs.names, pairs.family, 20.0)
    manifest = json.loads((written / "pairs.json").read_text())
    assert {k: manifest[k] for k in ("input", "pixel_nm", "source", "seed", "size")} == {
        "input": "sem",
        "pixel_nm": 20.0,
        "source": "procedural",
        "seed": 4,
        "size": [32, 32],
    }
    other = write_pairs(pairs, tmp_path / "swapped", source="procedural", input_role="layout")
    assert torch.equal(PairedFolder(other).load("sem2layout", split="all", progress=False).sem, pairs.sem)


def test_without_a_manifest_the_input_folder_is_what_the_network_receives(exported: Path) -> None:
    (exported / "pairs.json").unlink()
    opened = PairedFolder(exported, pixel_nm=5.0)
    forward, backward = (opened.load(d, split="all", progress=False) for d in ("sem2layout", "layout2sem"))
    assert torch.equal(forward.roles("sem2layout")[0], backward.roles("layout2sem")[0])
    assert forward.pixel_nm == 5.0
    assert set(forward.family) == {"user"}


def test_splits_by_hash_are_80_10_10_and_disjoint(exported: Path) -> None:
    counts = Counter(hash_split(f"clip{i}") for i in range(4000))
    assert abs(counts["train"] - 3200) < 100
    assert abs(counts["val"] - 400) < 80
    assert [hash_split(f"clip{i}") for i in range(3)] == ["val", "train", "train"]  # for ever
    opened = PairedFolder(exported)
    split = [set(opened.names(s)) for s in ("train", "val", "test")]
    assert set.union(*split) == set(opened.names())
    assert sum(map(len, split)) == 30


def test_a_split_file_wins_and_is_checked(exported: Path) -> None:
    names = PairedFolder(exported).names()
    rows = [f"{name}{'.png' if i % 2 else ''},{'test' if i < 3 else 'train'}" for i, name in enumerate(names)]
    (exported / "split.csv").write_text("name,split\n" + "\n".join(rows))
    assert PairedFolder(exported).names("test") == names[:3]
    with pytest.raises(DataError, match=r"no pair in the split 'val' \(27 train, 0 val, 3 test\)"):
        PairedFolder(exported).names("val")
    (exported / "split.csv").write_text("name,split\n" + "\n".join(rows[1:]))
    with pytest.raises(DataError, match=rf"split\.csv gives {names[0]!r} the split None"):
        PairedFolder(exported)
    (exported / "split.csv").write_text("file,part\n")
    with pytest.raises(DataError, match="columns name,split"):
        PairedFolder(exported)
    (exported / "split.csv").write_bytes(b"\xff\xfen\x00a\x00")
    with pytest.raises(DataError, match=r"split\.csv is not a text file"):
        PairedFolder(exported)


def pair_folder(path: Path, shape: tuple[int, int] = (50, 70), target: tuple[int, int] | None = None) -> Path:
    rng = np.random.default_rng(0)
    for role, size in (("input", shape), ("target", target or shape)):
        (path / role).mkdir(parents=True)
        png(path / role / "field.png", rng.integers(0, 256, size, dtype=np.uint8))
    (path / "split.csv").write_text("name,split\nfield,train\n")
    return path


def test_large_images_are_tiled_without_rescaling(tmp_path: Path) -> None:
    opened = PairedFolder(pair_folder(tmp_path))
    pairs = opened.load("sem2layout", size=32, progress=False)
    assert pairs.names == [f"field@{y},{x}" for y in (0, 18) for x in (0, 19, 38)]
    whole = torch.from_numpy(np.array(Image.open(opened.inputs["field"])))
    for name, tile in zip(pairs.names, pairs.sem, strict=True):
        y, x = map(int, name.split("@")[1].split(","))
        assert torch.equal(tile[0], whole[y : y + 32, x : x + 32])
    covered = torch.zeros(50, 70)
    for y in tile_starts(50, 32):
        for x in tile_starts(70, 32):
            covered[y : y + 32, x : x + 32] += 1
    assert covered.min() == 1
    assert tile_starts(64, 32) == [0, 32]
    assert tile_starts(32, 32) == [0]


def test_bad_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        PairedFolder(tmp_path / "nowhere")
    (tmp_path / "a" / "input").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no PNG"):
        PairedFolder(tmp_path / "a")
    png(tmp_path / "a" / "input" / "x.png", BYTES)
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "a" / "target")) + " is missing"):
        PairedFolder(tmp_path / "a")
    (tmp_path / "a" / "target").mkdir()
    png(tmp_path / "a" / "target" / "x.png", BYTES)
    png(tmp_path / "a" / "target" / "y.png", BYTES)
    with pytest.raises(DataError, match=r"y\.png has no partner"):
        PairedFolder(tmp_path / "a")
    png(tmp_path / "a" / "input" / "y.png", BYTES)
    tiff(tmp_path / "a" / "input" / "y.tif", BYTES)
    with pytest.raises(DataError, match="the same name"):
        PairedFolder(tmp_path / "a")


def test_bad_pairs_are_named(tmp_path: Path) -> None:
    unequal = PairedFolder(pair_folder(tmp_path / "u", (50, 70), (50, 60)))
    with pytest.raises(
        DataError, match=r"input.field\.png is 70 x 50 px, but .*target.field\.png is 60 x 50 px"
    ):
        unequal.load("sem2layout", size=32, progress=False)
    small = PairedFolder(pair_folder(tmp_path / "s", (20, 70)))
    with pytest.raises(DataError, match="70 x 20 px, smaller than the 32 px"):
        small.load("sem2layout", size=32, progress=False)
    (tmp_path / "s" / "pairs.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        PairedFolder(tmp_path / "s")
    (tmp_path / "s" / "pairs.json").write_text('{"input": "photo"}')
    with pytest.raises(DataError, match=r"pairs\.json must be"):
        PairedFolder(tmp_path / "s")


def test_nothing_is_overwritten_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = make_pairs("procedural", count=3, size=16, progress=False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("keep")
    with pytest.raises(DataError, match="not empty"):
        write_pairs(pairs, tmp_path / "full", source="procedural")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["precious.txt"]

    def full_disk(image: torch.Tensor, path: Path) -> None:
        if "target" in path.parts:
            raise OSError(28, "No space left on device")
        path.write_bytes(b"x")

    monkeypatch.setattr(folder_module, "_write_png", full_disk)
    with pytest.raises(DataError, match="No space left on device"):
        write_pairs(pairs, tmp_path / "new", source="procedural")
    assert [p.name for p in tmp_path.iterdir()] == ["full"]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_tiff_in_which_zero_is_white_is_not_read_as_its_negative(tmp_path, kind):
    grey = np.linspace(0.0, 1.0, 48).reshape(6, 8)
    top = 1.0 if kind is np.float32 else np.iinfo(kind).max
    for name, values in (("miniswhite", 1.0 - grey), ("minisblack", grey)):
        stored = (values * top).round().astype(kind) if top > 1 else values.astype(kind)
        tifffile.imwrite(tmp_path / f"{name}.tif", stored, photometric=name)
    white, black = (read_image(tmp_path / f"{name}.tif") for name in ("miniswhite", "minisblack"))
    torch.testing.assert_close(white, black, atol=1.01 / 255 if kind is np.uint8 else 1e-4, rtol=0)
