"""Clipping rectangles to a cell: by hand, and without a write into what was given."""

import numpy as np

from gantrans.data.cells import _clip


def test_rectangles_are_cut_at_the_cell_and_empty_ones_go() -> None:
    given = np.array(
        [[-5, -3, 4, 6], [2, 2, 30, 5], [8, 1, 12, 40], [-9, 0, 0, 5], [3, 20, 6, 25], [1, 1, 2, 2]]
    )
    before = given.copy()
    assert _clip(given, 10, 20).tolist() == [[0, 0, 4, 6], [2, 2, 10, 5], [8, 1, 10, 20], [1, 1, 2, 2]]
    assert np.array_equal(given, before)
