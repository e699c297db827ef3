"""A pixel that touches the end of an edge from outside: that corner does not count, the others do."""

import pytest
import torch

from gantrans.metrics import corner_radius


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("transposed", [False, True])
def test_a_pixel_on_a_corner_takes_that_corner_away(turns: int, transposed: bool) -> None:
    square = torch.zeros(1, 1, 48, 48)
    square[..., 14:36, 14:36] = 1.0
    assert len(corner_radius(square, square, 1.0).radius) == 4
    square[..., 13, 14] = 1.0  # above the first pixel of the upper edge
    turned = torch.rot90(square.mT if transposed else square, turns, (2, 3))
    found = corner_radius(turned, turned, 1.0)
    assert len(found.radius) == 3
    assert bool(found.convex.all())
