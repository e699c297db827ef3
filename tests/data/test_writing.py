"""Files written with the depth and the channels asked for, read back by Pillow and by our decoder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantrans.data.decoding import stored_values
from gantrans.data.writing import write_classes, write_image
from gantrans.images import uint8_from_unit

RAMP = torch.linspace(0, 1, 7 * 5 * 3).view(7, 5, 3).permute(2, 0, 1)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_come_back(tmp_path: Path, suffix: str, depth: int, channels: int) -> None:
    path, image = tmp_path / f"x{suffix}", RAMP[:channels]
    write_image(path, image, depth=depth)
    expected = (image.permute(1, 2, 0).numpy() * (2**depth - 1)).round()
    if not (suffix == ".png" and depth == 16 and channels == 3):  # of these, Pillow decodes 8 bits
        found = stored_values(path.read_bytes(), path.name).values
        assert found.dtype == (np.uint8 if depth == 8 else np.uint16)
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    with Image.open(path) as opened:
        opened.load()
        assert opened.size == (5, 7)


def test_sixteen_bits_of_colour_in_a_png(tmp_path: Path) -> None:
    """The samples of the file itself, since Pillow keeps only their upper halves."""
    import zlib

    write_image(tmp_path / "x.png", RAMP, depth=16)
    data = (tmp_path / "x.png").read_bytes()
    start = data.index(b"IDAT") + 4
    raw = zlib.decompress(data[start : data.index(b"IEND") - 8])
    rows = np.frombuffer(raw, np.uint8).reshape(7, -1)
    assert data[24:26] == bytes([16, 2])
    assert not rows[:, 0].any()
    found = np.ascontiguousarray(rows[:, 1:]).view(">u2").reshape(7, 5, 3)
    np.testing.assert_array_equal(found, (RAMP.permute(1, 2, 0).numpy() * 65535).round())


def test_classes_are_written_as_they_are_stored(tmp_path: Path) -> None:
    numbers = torch.tensor([[0, 1], [2, 1]], dtype=torch.uint8)[None]
    write_classes(tmp_path / "x.png", numbers, ("0", "4", "250"))
    with Image.open(tmp_path / "x.png") as image:
        assert image.mode == "P"
        assert np.asarray(image).tolist() == [[0, 4], [250, 4]]
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) == 3
    write_classes(tmp_path / "y.png", numbers, ("0", "300", "65000"))
    with Image.open(tmp_path / "y.png") as image:
        assert np.asarray(image).tolist() == [[0, 300], [65000, 300]]
    write_classes(tmp_path / "z.png", numbers, ("#000000", "#ff8000", "#0000ff"))
    with Image.open(tmp_path / "z.png") as image:
        assert image.getpixel((1, 0)) == (255, 128, 0)
    write_classes(tmp_path / "w.tif", numbers, ("0", "4", "250"))
    assert stored_values((tmp_path / "w.tif").read_bytes(), "w").values.ravel().tolist() == [0, 4, 250, 4]


def test_eight_bits_are_those_of_before(tmp_path: Path) -> None:
    write_image(tmp_path / "x.png", RAMP[:1])
    with Image.open(tmp_path / "x.png") as image:
        np.testing.assert_array_equal(np.asarray(image), uint8_from_unit(RAMP[0]).numpy())
