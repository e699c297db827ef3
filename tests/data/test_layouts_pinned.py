"""Layouts are pinned to the rectangle: every measured number of the course rests on them.

A layout is integer arithmetic on Python's `random`, the same on every machine. A change of what a seed draws
may be right; it must be meant, and then the sums below are written anew.
"""

import hashlib
from random import Random

import numpy as np
import pytest

from gantrans.data import families
from gantrans.data.cells import LAYERS, CellConfig, cell_layouts, load_cells
from gantrans.data.layouts import LayoutConfig, draw_clip

DRAWN = {
    "line_space": "4800379c1b37cedc",
    "contact_array": "387a551a8d8e0c3f",
    "tip_to_tip": "0cf002216f49c1fd",
    "jogs": "d9dc3850dc6f2553",
    "isolated_line": "fb85994a2009d6cd",
    "random_routed": "10305e474e81d75d",
    "_parallel_jogs": "9a5c9ee7df56b7c0",
    "_nested_corners": "ad8b900c443c353c",
    "_stubs": "0965bfd35945ff45",
    "_combs": "321bf21a0a77c7c2",
    "clip": "40b95bcdbc8d02cf",
    "cells li1": "785feb67d7aa2d8f",
    "library li1": "f84812ac48e7b7fc",
    "cells poly": "3d17928c5349ff92",
    "library poly": "8e6d9a645602d4e0",
    "cells licon": "a53d8bcaf001f678",
    "library licon": "01cb22c1e7c8280c",
}
PARTS = ("_parallel_jogs", "_nested_corners", "_stubs", "_combs")


def digest(values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", [*families.DRAW, *PARTS])
def test_a_seed_draws_the_same_rectangles(name: str) -> None:
    draw = families.DRAW.get(name) or getattr(families, name)
    drawn = [draw(Random(seed), 97 + seed, 6 + seed % 3, 7 + seed % 4) for seed in range(60)]
    assert digest([[tuple(map(int, rectangle)) for rectangle in clip] for clip in drawn]) == DRAWN[name]


def test_a_seed_draws_the_same_clip() -> None:
    clips = [draw_clip(LayoutConfig(size_px=48, pixel_nm=17.0), 9, item) for item in range(80)]
    plain = [(c.family, c.width, c.space, c.rectangles.astype(np.int64).tolist()) for c in clips]
    assert digest(plain) == DRAWN["clip"]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_seed_places_the_same_cells(layer: str) -> None:
    layouts = cell_layouts(CellConfig(layer, "train", 40, 20.0), 3, range(30), margin_px=6)
    covered = (layouts.image * 400).round().to(int)  # of a pixel's 400 square nm
    assert digest((layouts.family, covered.flatten().tolist())) == DRAWN[f"cells {layer}"]
    cells = [(c.name, c.family, c.width_nm, c.rectangles.tolist()) for c in load_cells(layer, "val")]
    assert digest(cells) == DRAWN[f"library {layer}"]
