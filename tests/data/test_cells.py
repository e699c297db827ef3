"""SKY130 standard cells: the shipped data, the placed-row fabric and the split by family."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage

from gantrans.data import cells
from gantrans.data.cells import (
    CELLS_PATH,
    LAYERS,
    ROW_HEIGHT_NM,
    SPLITS,
    CellConfig,
    cell_group,
    cell_layouts,
    load_cells,
)
from gantrans.data.rasterise import rasterise
from gantrans.errors import ConfigError


def test_the_library_is_complete_and_split_by_family() -> None:
    families = {split: {cell.family for cell in load_cells("li1", split)} for split in SPLITS}
    assert {s: len(load_cells("li1", s)) for s in SPLITS} == {"train": 324, "val": 18, "test": 42}
    assert {s: len(f) for s, f in families.items()} == {"train": 116, "val": 6, "test": 16}
    assert not families["train"] & families["test"]
    assert not families["train"] & families["val"]
    groups = {cell_group(f) for s in SPLITS for f in families[s]}
    assert groups == {"and_or_invert", "simple_gate", "flip_flop", "latch", "buffer", "arithmetic"}
    assert [cell_group(f) for f in ("a21oi", "and2", "dfxtp", "dlclkp", "dlygate4sd3", "mux2")] == [
        "and_or_invert",
        "simple_gate",
        "flip_flop",
        "latch",
        "buffer",
        "arithmetic",
    ]


def test_cells_match_the_stored_rectangles() -> None:
    """The area of an inverter's li1, summed by hand from the file, equals the rasterised one."""
    with np.load(CELLS_PATH) as stored:
        i = stored["names"].tolist().index("inv_1")
        raw = stored["li1_rects"][stored["li1_start"][i] : stored["li1_start"][i + 1]].astype(int) * 5
        width, height = (int(v) * 5 for v in stored["cell_wh"][i])
    assert height == ROW_HEIGHT_NM
    cell = next(c for s in SPLITS for c in load_cells("li1", s) if c.name == "inv_1")
    x0, y0, x1, y1 = raw.T
    area = ((x1.clip(0, width) - x0.clip(0, width)) * (y1.clip(0, height) - y0.clip(0, height))).sum()
    image = rasterise([cell.rectangles], 68, 40.0)
    assert image.sum().item() * 40**2 == pytest.approx(area, rel=1e-6)


@pytest.mark.parametrize("layer", sorted(LAYERS))
def test_shapes_are_clipped_to_their_cell_so_that_cells_abut(layer: str) -> None:
    for split in SPLITS:
        for cell in load_cells(layer, split):
            if len(cell.rectangles):
                assert cell.rectangles.min() >= 0
                assert (cell.rectangles[:, 2:].max(0) <= (cell.width_nm, ROW_HEIGHT_NM)).all()


def test_placing_mirrors_flips_and_moves() -> None:
    cell = next(c for c in load_cells("li1", "train") if c.name == "dfxtp_1")

    def image(x: int, bottom: int, mirrored: bool, flipped: bool) -> torch.Tensor:
        return rasterise([cells._place(cell, x, bottom, mirrored, flipped)], 500, 20.0)[0, 0]

    height, width = ROW_HEIGHT_NM // 20, cell.width_nm // 20
    box = (slice(height), slice(width))
    plain = image(0, 0, False, False)[box]
    assert not torch.equal(plain, plain.flip(1))
    assert torch.equal(image(0, 0, True, False)[box], plain.flip(1))
    assert torch.equal(image(0, 0, False, True)[box], plain.flip(0))
    moved = image(400, 800, False, False)[40 : 40 + height, 20 : 20 + width]
    assert torch.equal(moved, plain)


def test_every_second_row_is_flipped_and_cells_are_mirrored_at_random(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    original = cells._place

    def spy(cell: cells.Cell, x: int, bottom: int, mirrored: bool, flipped: bool) -> np.ndarray:
        calls.append((bottom, mirrored, flipped))
        return original(cell, x, bottom, mirrored, flipped)

    monkeypatch.setattr(cells, "_place", spy)
    cell_layouts(CellConfig(size_px=200, pixel_nm=40.0), 0, [0])
    flips = {bottom: flipped for bottom, _, flipped in calls}
    assert len(flips) >= 3
    assert all(flips[bottom] == flipped for bottom, _, flipped in calls)
    ordered = [flips[bottom] for bottom in sorted(flips)]
    assert all(a != b for a, b in pairwise(ordered))
    assert {mirrored for _, mirrored, _ in calls} == {True, False}


@pytest.mark.parametrize("layer", sorted(LAYERS))
def test_fabric_is_deterministic_and_varied(layer: str) -> None:
    config = CellConfig(layer=layer, split="test")
    clips = cell_layouts(config, 4, range(40))
    assert clips.image.shape == (40, 1, 64, 64)
    assert 0 <= clips.image.min() < clips.image.max() <= 1
    assert torch.equal(clips.image[17:18], cell_layouts(config, 4, [17]).image)
    assert len({image.numpy().tobytes() for image in clips.image}) >= 39
    assert set(clips.family) <= {"and_or_invert", "simple_gate", "flip_flop", "latch", "buffer", "arithmetic"}
    assert (clips.min_width_nm[0], clips.min_space_nm[0]) == LAYERS[layer]


def test_the_margin_only_adds_context() -> None:
    config = CellConfig()
    wide = cell_layouts(config, 1, range(8), margin_px=8)
    assert torch.equal(wide.clip, cell_layouts(config, 1, range(8)).image)


def test_li1_keeps_its_minimum_width_across_abutted_cells() -> None:
    """At 10 nm per pixel every line is at least 17 px wide, also where cells meet (grid 5 nm: allow 16)."""
    clips = cell_layouts(CellConfig(size_px=160, pixel_nm=10.0), 2, range(6), margin_px=16)
    for image in clips.image[:, 0].numpy():
        drawn = np.pad(image > 0.25, 24, mode="edge")
        lost = drawn & ~ndimage.binary_opening(drawn, np.ones((16, 16)))
        assert not lost[48:-48, 48:-48].any()


def test_rows_alternate_and_supply_rails_run_through() -> None:
    """Every second row is flipped, so equal rails coincide: a row boundary carries an unbroken li1 rail."""
    image = cell_layouts(CellConfig(size_px=160, pixel_nm=40.0), 0, [0, 1, 2]).image[:, 0]
    rails = (image.mean(-1) > 0.99).sum(-1)  # rows of pixels that are li1 from side to side
    assert (rails >= 2).all()


def test_unknown_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match="met5"):
        CellConfig(layer="met5")
