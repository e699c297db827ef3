"""What the review page gets of an item: its size, its pictures and its outlines, in the order shown."""

import pytest
import torch

from gantrans.data import make_pairs
from gantrans.images import unit_from_uint8
from gantrans.operations.serving.review import Review


@pytest.mark.parametrize("seed", [None, 3])
def test_an_item_has_its_own_size_name_and_pictures(seed: int | None) -> None:
    pairs = make_pairs("procedural", size=16, count=4, progress=False)
    review = Review(lambda image: 1 - image, pairs, "sem2layout", "model", seed=seed)
    names = [review.item(index)["name"] for index in range(4)]
    assert sorted(names) == sorted(pairs.names)
    assert (names == list(pairs.names)) == (seed is None)
    for index, name in enumerate(names):
        item = review.item(index)
        assert (item["width"], item["height"]) == (16, 16)
        place = list(pairs.names).index(name)
        shown = review.shown(index)
        assert torch.equal(shown.input, unit_from_uint8(pairs.sem)[place])
        torch.testing.assert_close(shown.output, 1 - shown.input)
        assert torch.equal(shown.reference, unit_from_uint8(pairs.layout)[place])
        assert set(item["pictures"]) == {"input", "output", "reference", "difference"}
        assert all(picture.startswith("data:image/png;base64,") for picture in item["pictures"].values())
