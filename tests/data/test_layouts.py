"""Rasteriser, procedural families and their design rules."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from gantrans.data.layouts import FAMILIES, LayoutConfig, context_px, procedural_layouts
from gantrans.data.rasterise import rasterise
from gantrans.data.streams import stream_seeds
from gantrans.errors import ConfigError

rectangle = st.tuples(*[st.integers(-20, 60)] * 2, *[st.integers(1, 50)] * 2)


@settings(max_examples=30, deadline=None)
@given(st.lists(rectangle, min_size=1, max_size=4))
def test_coverage_equals_counting_single_nanometres(corners: list[tuple[int, int, int, int]]) -> None:
    for x, y, w, h in corners:  # one rectangle at a time, so that none overlap
        image = rasterise([np.array([[x, y, x + w, y + h]])], 9, 5.0)[0, 0]
        fine = np.zeros((45, 45))
        fine[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = 1
        np.testing.assert_array_equal(image.numpy(), fine.reshape(9, 5, 9, 5).mean((1, 3)).astype(np.float32))


def test_ragged_clips_keep_their_own_rectangles() -> None:
    clips = [np.array([[0, 0, 2, 2], [4, 4, 6, 6]]), np.zeros((0, 4)), np.array([[1, 0, 3, 1]])]
    assert rasterise(clips, 4, 2.0).sum((1, 2, 3)).tolist() == [2.0, 0.0, 0.5]


@pytest.mark.parametrize("family", FAMILIES)
def test_families_obey_their_own_rule(family: str) -> None:
    """Opening with the rule's square removes nothing, neither from the features nor from the spaces."""
    config = LayoutConfig(size_px=96, weights=tuple(float(f == family) for f in FAMILIES))
    layouts = procedural_layouts(config, 7, range(40), margin_px=8)
    assert set(layouts.family) == {family}
    for image, width, space in zip(
        layouts.image[:, 0], layouts.min_width_nm, layouts.min_space_nm, strict=True
    ):
        assert set(image.unique().tolist()) <= {0.0, 1.0}, "a clip on the pixel grid must be binary"
        drawn = image.numpy() > 0.5
        assert 0 < drawn.mean() < 0.9
        for shape, rule in ((drawn, width), (~drawn, space)):
            side = round(rule / config.pixel_nm)
            # Nothing is known beyond the border: extend what is there before asking.
            extended = np.pad(shape, 16, mode="edge")
            lost = extended & ~ndimage.binary_opening(extended, np.ones((side, side)))
            assert not lost[16 + side : -16 - side, 16 + side : -16 - side].any()


def test_shares_follow_the_weights() -> None:
    config, n = LayoutConfig(size_px=16), 2000
    counts = Counter(procedural_layouts(config, 3, range(n)).family)
    for family in FAMILIES:
        share = config.share(family)
        assert abs(counts[family] - n * share) < 4.5 * math.sqrt(n * share * (1 - share))
    assert config.share("line_space") > 5 * config.share("isolated_line")


def test_a_clip_depends_on_seed_and_index_alone() -> None:
    config = LayoutConfig(size_px=32)
    batch = procedural_layouts(config, 5, range(12))
    alone = procedural_layouts(config, 5, [9])
    assert torch.equal(batch.image[9:10], alone.image)
    assert not torch.equal(batch.image, procedural_layouts(config, 6, range(12)).image)
    assert len({image.numpy().tobytes() for image in batch.image}) == 12


def test_the_margin_only_adds_context() -> None:
    config = LayoutConfig(size_px=32)
    wide = procedural_layouts(config, 1, range(6), margin_px=context_px(20.0))
    assert wide.image.shape[-1] == 48
    assert torch.equal(wide.clip, procedural_layouts(config, 1, range(6)).image)


def test_pixel_size_changes_sampling_not_geometry() -> None:
    coarse = procedural_layouts(LayoutConfig(size_px=32, pixel_nm=20.0), 2, range(10)).image
    fine = procedural_layouts(LayoutConfig(size_px=64, pixel_nm=10.0), 2, range(10)).image
    assert torch.equal(torch.nn.functional.avg_pool2d(fine, 2), coarse)


def test_streams_are_distinct() -> None:
    seeds = (
        stream_seeds(0, "a", range(500)) + stream_seeds(0, "b", range(500)) + stream_seeds(1, "a", range(500))
    )
    assert len(set(seeds)) == 1500
    assert stream_seeds(0, "a", [7]) == stream_seeds(0, "a", range(500))[7:8]


@pytest.mark.parametrize(
    ("field", "value"),
    [("weights", (1.0, 2.0)), ("weights", (0.0,) * 6), ("min_width_nm", (200.0, 100.0)), ("size_px", 4)],
)
def test_bad_configurations_name_the_field(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        LayoutConfig(**{field: value})
