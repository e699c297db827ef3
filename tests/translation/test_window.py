"""The window that blends tiles: symmetric, positive, and constant where half-overlapping copies meet."""

import itertools

import pytest
import torch

from gantrans.translation import segment
from gantrans.translation.tiling import reflect, starts, window


@pytest.mark.parametrize("tile", [4, 16, 64])
def test_the_window_is_symmetric_positive_and_adds_up(tile: int) -> None:
    curve = window(tile).double()
    assert curve.shape == (tile, tile)
    assert curve.min() > 0
    torch.testing.assert_close(curve, curve.flip(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(curve, curve.flip(1), atol=1e-6, rtol=0)
    torch.testing.assert_close(curve, curve.T, atol=0, rtol=0)
    half = tile // 2
    total = curve[:half] + curve[half:]  # sin^2 + cos^2 along the rows
    torch.testing.assert_close(total[:, :half] + total[:, half:], torch.ones(half, half).double(), atol=1e-6,
                               rtol=0)  # fmt: skip
    assert curve[0, 0] < curve[0, half] < curve[half, half]


@pytest.mark.parametrize("tile", [4, 16])
@pytest.mark.parametrize("length", range(1, 70))
def test_tiles_cover_the_length_half_overlapping_and_none_is_needless(length: int, tile: int) -> None:
    places = list(starts(length, tile))
    assert places[0] == 0
    assert all(b - a == tile // 2 for a, b in itertools.pairwise(places))
    assert places[-1] + tile >= length
    assert len(places) == 1 or places[-2] + tile < length


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("margin", [0, 2, 7])
def test_reflection_is_that_of_numpy(length: int, margin: int) -> None:
    import numpy as np

    image = torch.arange(float(length * length)).reshape(1, length, length)
    total = margin + length + 9
    mode = "reflect" if length > 1 else "edge"
    expected = np.pad(image[0].numpy(), (margin, 9), mode=mode)
    assert torch.equal(reflect(image, margin, total, total)[0], torch.from_numpy(expected))


@pytest.mark.parametrize("inside", [0.5, 0.1])
def test_regions_between_bright_edges_are_told_apart_by_their_own_mean(inside: float) -> None:
    """Otsu alone would find the rim; which side is brighter decides what is drawn."""
    image = torch.full((1, 1, 64, 64), 0.3)
    image[..., 16:48, 20:44] = 1.0
    image[..., 20:44, 24:40] = inside
    drawn = segment(image, "edge_regions")[0, 0]
    assert (drawn[22:42, 26:38] == float(inside > 0.3)).all()
    assert (drawn[:14] == float(inside < 0.3)).all()
    assert (drawn[-14:] == float(inside < 0.3)).all()
    rim_outside, rim_inside = drawn[32, 20], drawn[32, 23]  # each takes the class of the nearer side
    assert (rim_outside, rim_inside) == (float(inside < 0.3), float(inside > 0.3))
