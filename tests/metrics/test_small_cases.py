"""Metrics on inputs small enough to work out by hand."""

import math

import numpy as np
import pytest
import torch

from gantrans.errors import DataError
from gantrans.metrics import (
    cd_error,
    compare_topology,
    corner_radius,
    coverage,
    critical_dimension,
    density,
    epe,
    frechet_distance,
    grey_share,
    iou,
    measured_rule,
    signed_epe,
)
from gantrans.metrics.corners import _rising


def test_the_first_crossing_of_a_profile_is_interpolated_from_its_first_sample_on() -> None:
    profile = np.array(
        [[0.0, 1.0, 1.0], [0.0, 0.25, 0.75], [0.4, 0.6, 0.0], [1.0, 1.0, 1.0], [0.0, 0.2, 0.1]]
    )
    found = _rising(profile)
    assert found[:3] == pytest.approx([0.5, 1.5, 0.5])
    assert math.isnan(found[3])  # above the level from the start: no crossing
    assert math.isnan(found[4])


@pytest.mark.parametrize("shape", [(12, 30), (30, 12)])
def test_the_measured_rule_of_an_oblong_clip_ends_at_half_its_shorter_side(shape: tuple[int, int]) -> None:
    assert measured_rule(torch.ones(2, 1, *shape)) == (6, 6)  # no space anywhere, and no end of the feature
    stripes = torch.zeros(1, 1, *shape)
    stripes[..., 4:7] = 1.0  # 3 px wide, 4 px from the left border
    width, space = measured_rule(stripes)
    assert width == 3
    assert space == 6
    stripes[..., 4:12] = 1.0  # wider than half the shorter side, narrower than half the longer one
    assert measured_rule(stripes)[0] == 6 if shape == (12, 30) else measured_rule(stripes)[0] <= 6


def test_grey_pixels_are_those_between_the_limits() -> None:
    image = torch.tensor([-1.0, -0.81, -0.79, 0.0, 0.79, 0.81, 1.0, 0.5]).reshape(1, 1, 2, 4)
    assert grey_share(image).item() == pytest.approx(4 / 8)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_length_that_is_none_is_refused_by_name(bad: float) -> None:
    image = torch.zeros(1, 1, 8, 8)
    image[..., 2:5] = 1.0
    for metric in (epe, signed_epe, cd_error, corner_radius):
        with pytest.raises(DataError, match="pixel_nm"):
            metric(image, image, bad)
    with pytest.raises(DataError, match="reach_nm"):
        signed_epe(image, image, 20.0, bad)
    with pytest.raises(DataError, match="pixel_nm"):
        critical_dimension(image, bad)


def test_features_with_a_graph_give_the_same_numbers() -> None:
    draw = torch.Generator().manual_seed(0)
    real, made = torch.randn(30, 4, generator=draw), 0.5 + torch.randn(25, 4, generator=draw)
    for metric in (frechet_distance, coverage, density):
        assert metric(real.clone().requires_grad_(), made.clone().requires_grad_()) == metric(real, made)


def test_images_and_metrics_of_other_shapes_are_refused_and_checked_in_both_places() -> None:
    image = torch.zeros(1, 1, 8, 8)
    for metric in (iou, lambda a, b: epe(a, b, 1.0), lambda a, b: corner_radius(a, b, 1.0), compare_topology):
        with pytest.raises(DataError, match="equal shape"):
            metric(image, torch.zeros(1, 1, 8, 9))
        with pytest.raises(DataError, match=r"outside \[0, 1\]"):
            metric(image, image - 0.5)
        with pytest.raises(DataError, match="NaN"):
            metric(image, image + math.nan)


def test_an_l_has_five_convex_corners_and_one_concave() -> None:
    image = torch.zeros(1, 1, 40, 40)
    image[..., 6:32, 6:16] = image[..., 20:32, 6:34] = 1.0
    for given, convex in ((image, 5), (1 - image, 1)):
        found = corner_radius(given, given, 10.0, leg_px=4)
        assert len(found.convex) == 6
        assert int(found.convex.sum()) == convex
