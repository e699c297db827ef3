"""What an owner states of a folder: values, colour and classes are read as stated, or named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gantrans.data.encoding import ARRANGEMENTS, MAX_CLASSES, SIDES, Encoding, Side
from gantrans.data.folder import PairedFolder
from gantrans.data.manifest import encoding_of, read_manifest, write_manifest
from gantrans.data.reading import Source, read_classes, read_image, read_pixels
from gantrans.data.writing import write_classes, write_image
from gantrans.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
QUIET = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def save(path: Path, values: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(
            path, values, **{"photometric": "rgb" if values.ndim == 3 else "minisblack"} | options
        )
    else:
        Image.fromarray(values).save(path, **options)
    return path


def palette(path: Path, indices: np.ndarray, colours: list[tuple[int, int, int]], **options: Any) -> Path:
    image = Image.fromarray(indices)
    image.putpalette([part for colour in colours for part in colour])
    image.save(path, **options)
    return path


colour = st.integers(0, 2**24 - 1).map(lambda value: f"#{value:06x}")
names = st.sampled_from(SIDES)


@st.composite
def class_lists(draw: st.DrawFn) -> tuple[str, ...]:
    one = draw(st.sampled_from((st.integers(0, 2**16 - 1).map(str), colour, st.integers(0, 255).map(str))))
    return tuple(draw(st.lists(one, min_size=2, max_size=MAX_CLASSES, unique=True)))


@st.composite
def encodings(draw: st.DrawFn) -> Encoding:
    kind = draw(st.sampled_from(("plain", "mask", "classes")))
    allowed = SIDES if kind == "plain" else SIDES[:1]
    sides = st.lists(st.sampled_from(allowed), unique=True).map(tuple)
    pair = st.lists(st.integers(0, 2**16 - 1), min_size=2, max_size=2, unique=True)
    return Encoding(
        white=draw(st.none() | st.floats(1e-3, 1e6)),
        mask_values=tuple(draw(pair)) if kind == "mask" else None,
        classes=draw(class_lists()) if kind == "classes" else (),
        invert=draw(sides),
        layout=draw(st.sampled_from(ARRANGEMENTS)),
        swap=draw(st.booleans()),
        split_by=draw(st.none() | st.sampled_from(("^w[0-9]+", "(é+)_", ".*"))),
        colour=draw(sides),
    )


@QUIET
@given(stated=encodings(), bits=st.sampled_from((None, 8, 12)))
def test_a_manifest_gives_back_the_encoding_that_was_written(
    tmp_path: Path, stated: Encoding, bits: int | None
) -> None:
    (tmp_path / "pairs.json").write_text('{"input": "sem", "note": "kept", "classes": [0, 9]}')
    manifest = read_manifest(write_manifest(tmp_path, stated, bits=bits, pixel_nm=2.5))
    assert encoding_of(manifest, tmp_path) == stated
    assert (manifest["input"], manifest["note"], manifest["pixel_nm"]) == ("sem", "kept", 2.5)
    assert manifest.get("bits") == bits


@QUIET
@given(stated=class_lists(), suffix=st.sampled_from((".png", ".tif")), seed=st.integers(0, 99))
def test_written_classes_are_read_back_exactly(
    tmp_path: Path, stated: tuple[str, ...], suffix: str, seed: int
) -> None:
    numbers = torch.randint(len(stated), (1, 5, 7), generator=torch.Generator().manual_seed(seed))
    write_classes(tmp_path / f"a{suffix}", numbers, stated)
    assert torch.equal(read_classes(tmp_path / f"a{suffix}", Side(classes=stated)).long(), numbers)


@QUIET
@given(
    channels=st.sampled_from((1, 3)),
    depth=st.sampled_from((8, 16)),
    suffix=st.sampled_from((".png", ".tif")),
    invert=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_written_image_is_read_back_in_its_colours(
    tmp_path: Path, channels: int, depth: int, suffix: str, invert: bool, seed: int
) -> None:
    top = 2**depth - 1
    values = torch.randint(0, top + 1, (channels, 6, 5), generator=torch.Generator().manual_seed(seed))
    values[:, 0, 0] = top
    write_image(tmp_path / f"a{suffix}", values / float(top), depth=depth)
    side = Side(channels=channels, invert=invert)
    if suffix == ".png" and depth == 16 and channels == 3:  # Pillow decodes the upper 8 bits alone
        return
    back = read_image(tmp_path / f"a{suffix}", side=side)
    assert torch.equal(((1 - back if invert else back) * top).round().long(), values)


@QUIET
@given(
    mask=st.lists(st.booleans(), min_size=12, max_size=12),
    values=st.lists(st.integers(0, 255), min_size=2, max_size=2, unique=True),
    kind=st.sampled_from(("L", "P", "RGB", "tif8", "tif16", "int32", "float")),
    invert=st.booleans(),
)
def test_mask_values_are_black_and_white_in_every_format(
    tmp_path: Path, mask: list[bool], values: list[int], kind: str, invert: bool
) -> None:
    truth = np.array(mask).reshape(3, 4)
    stored = np.where(truth, values[1], values[0]).astype(np.uint8)
    path = tmp_path / ("a.tif" if kind in ("tif8", "tif16", "int32", "float") else "a.png")
    if kind == "P":  # colours tell nothing: the indices count
        palette(path, stored, [(200, 0, i) for i in range(256)])
    elif kind == "RGB":
        save(path, np.stack([stored] * 3, -1))
    else:
        dtype = {"tif16": np.uint16, "int32": np.int32, "float": np.float32}.get(kind, np.uint8)
        save(path, stored.astype(dtype))
    image = read_image(path, side=Side(values=(values[0], values[1]), invert=invert))
    assert torch.equal(image[0], torch.from_numpy(truth != invert).float())


def test_palette_indices_count_in_png_and_tiff_and_colours_where_they_are_stated(tmp_path: Path) -> None:
    indices = RNG.integers(0, 3, (6, 8), dtype=np.uint8)
    colours = [(10, 0, 0), (0, 200, 0), (0, 0, 90)]
    table = np.zeros((3, 256), np.uint16)
    table[:, :3] = np.array(colours).T * 257
    paths = [
        palette(tmp_path / "a.png", indices, colours),
        palette(tmp_path / "small.png", indices, colours, bits=2),
        palette(tmp_path / "lzw.tif", indices, colours, compression="tiff_lzw"),
        save(tmp_path / "plain.tif", indices, photometric="palette", colormap=table),
    ]
    stated = tuple("#" + bytes(c).hex() for c in colours)
    for path in paths:
        for classes in (("0", "1", "2"), stated):
            found = read_classes(path, Side(classes=classes))
            assert found.dtype == torch.uint8
            np.testing.assert_array_equal(found[0].numpy(), indices, err_msg=str(path))
        turned = read_classes(path, Side(classes=("2", "1", "0")))
        np.testing.assert_array_equal(turned[0].numpy(), 2 - indices)


def test_zero_is_white_says_nothing_of_stored_numbers(tmp_path: Path) -> None:
    """A label file keeps its numbers in every compression."""
    values = RNG.integers(0, 2, (8, 8), dtype=np.uint8)
    save(tmp_path / "plain.tif", values, photometric="miniswhite")
    tags = {262: 0}
    Image.fromarray(values).save(tmp_path / "packed.tif", compression="packbits", tiffinfo=tags)
    for name in ("plain", "packed"):
        raw = tifffile.imread(tmp_path / f"{name}.tif")
        known = Side(classes=tuple(map(str, np.unique(raw))))
        np.testing.assert_array_equal(
            np.unique(raw)[read_classes(tmp_path / f"{name}.tif", known)[0].numpy()], raw
        )
    grey = read_image(tmp_path / "plain.tif")
    np.testing.assert_allclose(grey[0].numpy(), 1 - values / 255.0, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "side", "said"),
    [
        (np.uint8([[0, 1, 7, 7]]), Side(values=(0, 1)), r"value 7 in 2 pixels, which is neither .* 0 and 1"),
        (np.uint8([[0, 1, 7, 9]]), Side(classes=("0", "1")), r"value 7 in 1 pixel \(and 1 further value\)"),
        (np.float32([[0, 0.5]]), Side(values=(0, 1)), "value 0.5 in 1 pixel"),
        (np.float32([[0, np.nan]]), Side(values=(0, 1)), "value nan in 1 pixel"),
        (np.int32([[0, -1]]), Side(values=(0, 1)), "value -1 in 1 pixel"),
        (np.uint16([[0, 5000]]), Side(white=4095.0), r"--white 4095 was stated, but .* the value 5000"),
        (np.float32([[0, -2]]), Side(white=4095.0), "the value -2"),
        (np.uint8([[[0, 0, 0], [1, 2, 3]]]), Side(classes=("0", "1")), "in colour and whole numbers"),
        (
            np.uint8([[[0, 0, 0], [1, 2, 3]]]),
            Side(classes=("#000000", "#ff0000")),
            "value #010203 in 1 pixel",
        ),
        (
            np.uint16([[0, 1]]),
            Side(classes=("#000000", "#ff0000")),
            "uint16 values, and the classes are 8-bit",
        ),
    ],
)
def test_a_value_that_is_not_stated_is_named_with_its_count(
    tmp_path: Path, values: np.ndarray, side: Side, said: str
) -> None:
    path = save(tmp_path / "a.tif", values)
    with pytest.raises(DataError, match=said) as caught:
        read_pixels(path, side=side)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_white_counts_for_16_bit_and_float_images_and_leaves_8_bits_alone(tmp_path: Path) -> None:
    twelve = RNG.integers(0, 4096, (4, 4), dtype=np.uint16)
    byte = RNG.integers(0, 256, (4, 4), dtype=np.uint8)
    for dtype in (np.uint16, np.float32, np.int32):
        image = read_image(save(tmp_path / "a.tif", twelve.astype(dtype)), side=Side(white=4095.0))
        np.testing.assert_allclose(image[0].numpy(), twelve / 4095, atol=1e-6)
    same = read_image(save(tmp_path / "b.tif", byte), side=Side(white=4095.0))
    np.testing.assert_allclose(same[0].numpy(), byte / 255, atol=1e-6)


def test_colour_is_kept_or_becomes_luma_and_grey_is_repeated(tmp_path: Path) -> None:
    rgb = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    path = save(tmp_path / "a.png", rgb)
    assert torch.equal(read_pixels(path, side=Side(channels=3)), torch.from_numpy(rgb).permute(2, 0, 1))
    assert read_image(path).shape == (1, 4, 6)
    grey = read_pixels(save(tmp_path / "g.png", rgb[..., 0]), side=Side(channels=3))
    assert torch.equal(grey, torch.from_numpy(rgb[..., 0]).expand(3, 4, 6))


def test_halves_of_one_file_are_its_two_images(tmp_path: Path) -> None:
    whole = RNG.integers(0, 256, (4, 10), dtype=np.uint8)
    path = save(tmp_path / "a.png", whole)
    left, right = (read_pixels(Source(path, half)) for half in ("left", "right"))
    assert torch.equal(torch.cat([left, right], -1)[0], torch.from_numpy(whole))
    odd = Source(save(tmp_path / "odd.png", whole[:, :9]), "left")
    with pytest.raises(DataError, match="9 px wide, which are not two images"):
        read_image(odd)


def test_stated_fields_win_over_the_manifest_one_by_one(tmp_path: Path) -> None:
    for role in SIDES:
        save(tmp_path / role / "a.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "pairs.json").write_text('{"white": 1023, "mask_values": [0, 1], "invert": "input"}')
    assert PairedFolder(tmp_path).encoding == Encoding(white=1023.0, mask_values=(0, 1), invert=("input",))
    stated = PairedFolder(tmp_path, encoding=Encoding(white=4095.0))
    assert stated.encoding == Encoding(white=4095.0, mask_values=(0, 1), invert=("input",))
    with pytest.raises(DataError, match=r"pairs\.json and the options exclude each other"):
        PairedFolder(tmp_path, encoding=Encoding(classes=("0", "1")))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("white", '"much"', 'white "much"; it must be a number'),
        ("white", "-1", "white"),
        ("mask_values", "[1]", "two whole numbers"),
        ("mask_values", "[1, 1]", "two different values"),
        ("classes", "[0, 1.5]", "a list such as"),
        ("classes", '["01", "2"]', "whole numbers, or colours"),
        ("classes", "1", "give 2 to 64"),
        ("invert", '"both"', "input, target or both"),
        ("layout", '"mixed"', "layout is 'mixed'"),
        ("swap", '"yes"', "true or false"),
        ("split_by", '"("', "no regular expression"),
        ("colour", "3", '"input", "target" or a list'),
    ],
)
def test_a_wrong_value_in_the_manifest_is_named(tmp_path: Path, key: str, value: str, said: str) -> None:
    for role in SIDES:
        save(tmp_path / role / "a.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "pairs.json").write_text(f'{{"{key}": {value}}}')
    with pytest.raises(DataError) as caught:
        PairedFolder(tmp_path)
    assert said in str(caught.value)
    assert "pairs.json" in str(caught.value)


def test_what_excludes_each_other_is_refused() -> None:
    for wrong in (
        {"classes": ("0", "1"), "mask_values": (0, 1)},
        {"classes": ("0", "1"), "invert": ("target",)},
        {"mask_values": (0, 1), "colour": ("target",)},
    ):
        with pytest.raises(ConfigError, match="excludes"):
            Encoding(**wrong)
