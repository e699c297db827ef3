"""Metrics on inputs small enough to work out by hand."""

import math

import numpy as np
import pytest
import torch

from gantrans.metrics import grey_share, measured_rule
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


def test_grey_pixels_are_those_between_the_limits() -> None:
    image = torch.tensor([-1.0, -0.81, -0.79, 0.0, 0.79, 0.81, 1.0, 0.5]).reshape(1, 1, 2, 4)
    assert grey_share(image).item() == pytest.approx(4 / 8)
