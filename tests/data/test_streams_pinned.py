"""What must be the same on every machine and in every version: splits by name, seeds of streams, offsets."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gantrans.data import make_pairs
from gantrans.data.alignment import MAX_OFFSET_PX, _random_offset, ncc
from gantrans.data.clips import ClipConfig
from gantrans.data.folder import hash_split, write_pairs
from gantrans.data.layouts import LayoutConfig, draw_clip
from gantrans.data.streams import stream_seeds
from gantrans.errors import DataError


def test_a_name_keeps_its_split() -> None:
    names = [f"clip_{i:03d}" for i in range(40)]
    letters = "".join(hash_split(name)[1] for name in names)  # t_r_ain, v_a_l, t_e_st
    assert letters == "rerrrrrrrrrrrrrrrerrrerarrrarrraerrrrerr"


def test_a_stream_keeps_its_seeds() -> None:
    assert stream_seeds(3, "layout", [0, 1, 10**6]) == [
        552883935023540404,
        6901438203054553652,
        8324516313561738864,
    ]
    assert stream_seeds(-1, "", [5]) == [1384108541589766970]


def test_offsets_reach_from_one_end_to_the_other_on_both_axes() -> None:
    drawn = torch.stack([_random_offset(item) for item in range(2000)])
    assert drawn.shape == (2000, 2)
    assert drawn.amin(0).tolist() == [-MAX_OFFSET_PX] * 2
    assert drawn.amax(0).tolist() == [MAX_OFFSET_PX] * 2
    assert (drawn.double().mean(0).abs() < 1.5).all()


def test_a_field_that_is_flat_up_to_rounding_correlates_with_nothing() -> None:
    draw = torch.Generator().manual_seed(0)
    template = torch.rand(1, 16, 16, generator=draw)
    noise = torch.randn(1, 64, 64, generator=draw, dtype=torch.float64)
    assert not ncc(0.5 + 1e-9 * noise, template).any()
    assert ncc(0.5 + 1e-3 * noise, template).abs().max() > 0.1
    assert not ncc(noise, torch.full((1, 16, 16), 0.7)).any()


def test_rules_off_the_grid_are_rounded_inwards() -> None:
    config = LayoutConfig(grid_nm=5.0, min_width_nm=(61.0, 69.0), min_space_nm=(61.0, 73.0))
    clips = [draw_clip(config, 4, item) for item in range(60)]
    assert {clip.width for clip in clips} == {13}  # 65 nm is the one grid width between 61 and 69
    assert {clip.space for clip in clips} == {13, 14}


@pytest.mark.parametrize(
    ("options", "pixel"),
    [
        ({}, 20.0),
        ({"source": "procedural", "size": 16}, 20.0),
        ({"source": "sky130", "layer": "li1", "size": 32}, 42.5),  # 170 nm over 3 + 1 pixels
        ({"source": "sky130", "layer": "li1", "size": 16}, 55.0),  # over 2 + 1 pixels
        ({"source": "sky130", "layer": "li1", "pixel_nm": 33.0}, 33.0),
    ],
)
def test_a_pixel_of_a_clip_resolves_the_rule_of_its_source(options: dict, pixel: float) -> None:
    assert ClipConfig(**options).pixel == pixel


@pytest.mark.parametrize("name", [".hidden", "folder/name", ".", ""])
def test_a_pair_whose_name_is_no_file_name_is_not_written(name: str, tmp_path: Path) -> None:
    pairs = make_pairs("procedural", size=16, count=2, progress=False)
    bad = replace(pairs, names=[pairs.names[0], name])
    with pytest.raises(DataError, match="cannot be a file name"):
        write_pairs(bad, tmp_path / "out", source="procedural")
    assert list(tmp_path.iterdir()) == []
