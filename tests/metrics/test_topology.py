"""Opens, bridges, missing and extra features, against drawn defects and an image-by-image implementation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage import measure

from gantrans.errors import DataError
from gantrans.metrics import Topology, compare_topology


def counts(topology: Topology) -> list[tuple[int, ...]]:
    columns = topology.opens, topology.bridges, topology.missing, topology.extra
    return list(zip(*(c.tolist() for c in columns), strict=True))


def reference(pred: np.ndarray, target: np.ndarray, connectivity: int) -> tuple[int, ...]:
    p, t = (measure.label(i > 0.5, connectivity=connectivity) for i in (pred, target))
    pieces = [len(set(p[t == k].tolist()) - {0}) for k in range(1, t.max() + 1)]
    joined = [len(set(t[p == k].tolist()) - {0}) for k in range(1, p.max() + 1)]
    opens, bridges = (sum(max(n - 1, 0) for n in links) for links in (pieces, joined))
    return opens, bridges, pieces.count(0), joined.count(0)


def three_lines() -> torch.Tensor:
    image = torch.zeros(24, 24)
    for left in (3, 10, 17):
        image[2:22, left : left + 3] = 1.0
    return image


def test_each_kind_of_defect_is_counted_in_its_own_image():
    target = three_lines()
    cut_twice, bridged, gone, speck = (target.clone() for _ in range(4))
    cut_twice[[8, 15], 3:6] = 0.0
    bridged[12, 5:18] = 1.0  # joins all three
    gone[:, 17:20] = 0.0
    speck[0, 0] = 1.0
    pred = torch.stack((target, cut_twice, bridged, gone, speck))[:, None]
    result = compare_topology(pred, target.expand(5, 1, 24, 24))
    assert counts(result) == [(0, 0, 0, 0), (2, 0, 0, 0), (0, 2, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
    assert result.features.tolist() == [3] * 5
    assert result.defects.tolist() == [0, 2, 2, 1, 1]


def test_corner_contact_connects_only_if_asked_to():
    target = torch.zeros(1, 1, 8, 8)
    target[..., 1:3, 1:3] = target[..., 4:6, 4:6] = 1.0
    pred = target.clone()
    pred[..., 3, 3] = 1.0  # touches both squares by a corner
    assert counts(compare_topology(pred, target)) == [(0, 0, 0, 1)]
    assert counts(compare_topology(pred, target, diagonal=True)) == [(0, 1, 0, 0)]


@pytest.mark.parametrize("diagonal", [False, True])
def test_features_at_the_border_never_connect_neighbouring_images(diagonal):
    full, empty = torch.ones(1, 1, 5, 5), torch.zeros(1, 1, 5, 5)
    pred, target = torch.cat((full, full, empty, full)), torch.cat((full, empty, full, full))
    result = compare_topology(pred, target, diagonal=diagonal)
    assert counts(result) == [(0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0), (0, 0, 0, 0)]
    assert result.features.tolist() == [1, 0, 1, 1]


IMAGES = arrays.arrays(np.float32, (2, 3, 1, 7, 6), elements=st.sampled_from([0.0, 0.5, 0.51, 1.0]))


@settings(max_examples=60, deadline=None)
@given(IMAGES, st.booleans())
def test_counts_equal_an_image_by_image_reference(images, diagonal):
    pred, target = torch.from_numpy(images)
    expected = [reference(p[0], t[0], 1 + diagonal) for p, t in zip(*images, strict=True)]
    assert counts(compare_topology(pred, target, diagonal=diagonal)) == expected


def test_bad_images_are_refused():
    image = torch.zeros(1, 1, 8, 8)
    with pytest.raises(DataError, match="equal shape"):
        compare_topology(image, image[..., :7])
    with pytest.raises(DataError, match=r"outside \[0, 1\]"):
        compare_topology(image - 1, image)
