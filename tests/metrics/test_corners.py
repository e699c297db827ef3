"""Corner radius on shapes whose radius is known, and what must not be taken for rounding."""

import math

import pytest
import torch

from gantrans.data.printing import edge_distance, printed_coverage
from gantrans.errors import DataError
from gantrans.metrics import corner_radius

SIZE, FINE = 48, 16


def rounded(radius_px, *, low=14.0, high=36.0):
    """Area coverage of a square [low, high] px with rounded corners: (1, 1, 48, 48), by oversampling."""
    x = (torch.arange(SIZE * FINE, dtype=torch.float64) + 0.5) / FINE
    d = ((x - (low + high) / 2).abs() - (high - low) / 2 + radius_px).clamp(min=0)
    inside = (d[:, None].square() + d.square()).sqrt() <= max(radius_px, 1e-9)
    return inside.double().view(SIZE, FINE, SIZE, FINE).mean((1, 3))[None, None]


@pytest.mark.parametrize("radius", [1.5, 2.0, 3.0])
def test_radius_of_a_rounded_square(radius):
    found = corner_radius(rounded(radius), rounded(0.0), pixel_nm=10.0)
    assert found.radius.shape == (4,)
    assert bool(found.convex.all())
    assert found.mean.item() == pytest.approx(10 * radius, abs=4.0)
    assert found.lost.tolist() == [0]


def test_a_hole_has_inner_corners():
    found = corner_radius(1 - rounded(3.0), 1 - rounded(0.0), pixel_nm=1.0)
    assert not bool(found.convex.any())
    assert found.radius.tolist() == pytest.approx([3.0] * 4, abs=0.4)


def test_bias_and_shift_are_not_rounding():
    target = rounded(0.0)
    plain = corner_radius(rounded(3.0), target, 1.0).mean.item()
    fat = corner_radius(rounded(3.0, low=13.5, high=36.5), target, 1.0).mean.item()
    moved = corner_radius(rounded(3.0, low=14.7, high=36.7), target, 1.0).mean.item()
    assert fat == pytest.approx(plain, abs=0.5)
    assert moved == pytest.approx(plain, abs=0.5)


def test_a_sharp_raster_corner_measures_its_floor():
    target = rounded(0.0)
    assert corner_radius(target, target, 1.0).radius.tolist() == pytest.approx([math.sqrt(0.5)] * 4, abs=0.01)


def test_lost_corners_are_counted_apart():
    found = corner_radius(torch.zeros_like(rounded(0.0)), rounded(0.0), 1.0)
    assert found.lost.tolist() == [4]
    assert bool(found.radius.isnan().all())
    assert bool(found.mean.isnan().all())


def test_an_image_without_corners_and_one_that_is_too_small():
    lines = torch.zeros(1, 1, 32, 32)
    lines[..., 10:16] = 1.0
    for image in (lines, lines[..., :6, :6]):
        found = corner_radius(image, image, 1.0)
        assert found.radius.numel() == 0
        assert bool(found.mean.isnan().all())


def test_a_short_jog_is_no_corner():
    image = torch.zeros(1, 1, 32, 32)
    image[..., 4:16, 8:16] = 1.0
    image[..., 16:28, 10:18] = 1.0  # a jog by 2 px: its corners have one short leg
    found = corner_radius(image, image, 1.0)
    assert found.radius.numel() == 4  # the four outer corners of the line's ends


def test_unknown_pixel_sizes_are_refused():
    with pytest.raises(DataError, match="pixel_nm"):
        corner_radius(rounded(0.0), rounded(0.0), 0.0)


def test_the_simulators_corners_have_the_radius_that_theory_gives():
    """A blurred corner crosses 1/2 on the diagonal where Phi(t)^2 = 1/2: a radius of 1.861 blurs."""
    side, pixel_nm, blur_nm = 160, 5.0, 30.0
    square = torch.zeros(1, side, side)
    square[:, 40:120, 40:120] = 1.0
    printed = printed_coverage(edge_distance(square, pixel_nm, blur_nm), pixel_nm)
    found = corner_radius(printed[None], square[None], pixel_nm, leg_px=24)
    assert found.mean.item() == pytest.approx(1.861 * blur_nm, rel=0.02)
