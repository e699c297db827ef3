"""Pictures of every kind come out of a store as they went in, and a picture that was altered is noticed."""

import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from gantrans.data.encoding import Encoding
from gantrans.errors import DataError
from gantrans.operations.feedback.encodings import encoding_of, keep_encoding
from gantrans.operations.feedback.intact import DamagedError, intact_picture
from gantrans.operations.feedback.kept import Picture, class_colours, legend
from gantrans.operations.feedback.store import Store

NUMBERS = torch.tensor([[[0, 1, 2], [2, 1, 0]]], dtype=torch.uint8)
SETS = (("0", "1", "2"), ("7", "3", "255"), ("0", "300", "65535"), ("#ff0000", "#00ff00", "#0000ff"))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_comes_back_with_its_depth_and_channels(store: Store, depth: int, channels: int) -> None:
    whole = torch.randint(0, 2**depth, (channels, 5, 7), generator=torch.Generator().manual_seed(1))
    image = (whole / (2**depth - 1)).float()
    store.register("p", "image2image", "m", Picture.of(image, depth), Picture.of(1 - image, depth))
    found = store.prediction("p")
    assert found is not None
    kept = store.picture(found.input)
    assert (kept.depth, kept.channels, kept.size) == (depth, channels, (5, 7))
    assert torch.equal(store.image(found.input), image)
    header = struct.unpack_from(">BB", store.png(found.input), 24)
    assert header == (depth, 2 if channels == 3 else 0)
    assert store.png(found.input) == kept.png()


def test_the_name_of_8_bit_grey_is_as_in_older_stores() -> None:
    import hashlib

    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    name = Picture.of(torch.from_numpy(pixels)[None] / 255).name
    assert name == hashlib.sha256(b"2 3 " + pixels.tobytes()).hexdigest()
    others = {Picture(pixels).name, Picture(pixels.astype(np.uint16)).name, Picture(pixels, b"\0" * 768).name}
    assert len(others) == 3


@pytest.mark.parametrize("classes", SETS)
def test_a_mask_of_classes_keeps_their_stored_values(classes: tuple[str, ...]) -> None:
    picture = Picture.of_classes(NUMBERS, classes)
    again = intact_picture(picture.png(), picture.name, picture.size)
    assert torch.equal(again.numbers(classes), NUMBERS)
    assert again.png() == picture.png()
    values = np.asarray(Image.open(io.BytesIO(picture.png())))
    if classes[0].startswith("#"):
        assert values[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    else:
        assert values[0].tolist() == [int(value) for value in classes]
    with pytest.raises(DataError, match="other values than the classes"):
        again.numbers(("9", "8", "6"))


def test_a_legend_has_the_colours_of_the_png() -> None:
    shown = Image.open(io.BytesIO(Picture.of_classes(NUMBERS, SETS[1]).png())).convert("RGB")
    assert [shown.getpixel((x, 0)) for x in range(3)] == class_colours(SETS[1])
    assert [one["value"] for one in legend(SETS[1])] == ["7", "3", "255"]
    assert len({one["colour"] for one in legend([str(k) for k in range(64)])}) > 50
    assert legend(()) == []


def test_altered_pixels_of_16_bits_are_noticed() -> None:
    picture, other = (Picture.of(torch.full((3, 4, 4), value), 16) for value in (0.5, 0.500_02))
    assert picture.name != other.name
    with pytest.raises(DamagedError, match="its pixels are others"):
        intact_picture(other.png(), picture.name, picture.size)
    data = picture.png()
    for place in range(len(data)):
        with pytest.raises(DamagedError):
            intact_picture(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], picture.name, (4, 4))


def test_encodings_of_models_are_noted_once(store: Store) -> None:
    kept = Encoding(colour=("input",), classes=("0", "5"))
    keep_encoding(store, "image2classes", "m", kept)
    keep_encoding(store, "image2classes", "plain", Encoding())
    assert encoding_of(store, "image2classes", "m") == kept
    assert encoding_of(store, "image2classes", "plain") == Encoding()
    assert store.rows("SELECT count(*) FROM encoding") == [(1,)]
