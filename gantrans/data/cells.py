"""Real standard-cell layouts: SkyWater SKY130 high-density cells, abutted in rows as by a placement tool.

Rows of randomly chosen, randomly mirrored cells, every second row flipped, give real layout of any size.
Cells are split by family, so a test clip contains no cell of the training set, in any drive strength.
Provenance and licence: `data/README.md` (sky130_fd_sc_hd 0.0.2, Apache-2.0, The SkyWater PDK Authors).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np

from gantrans import ROOT
from gantrans.config import check_choice, check_range
from gantrans.data.layouts import Layouts
from gantrans.data.rasterise import rasterise
from gantrans.data.streams import stream_seeds
from gantrans.errors import DataError

# Minimum width and space in nm (SKY130 periphery rules li.1/li.3, poly.1a/poly.2, licon.1/licon.2).
LAYERS = {"li1": (170.0, 170.0), "poly": (150.0, 210.0), "licon": (170.0, 170.0)}
SPLITS = ("train", "val", "test")
CELLS_PATH = ROOT / "data" / "sky130" / "sky130_hd_all384.npz"
ROW_HEIGHT_NM = 2720
CELL_GROUPS = (
    ("and_or_invert", r"[ao]\d"),
    ("simple_gate", r"(and|nand|or|nor)\d"),
    ("flip_flop", r"(df|edf|sdf|sedf)"),
    ("latch", r"(dlr|dlx|dlclk|sdlclk)"),
    ("buffer", r"(buf|inv|clk|einv|ebuf|dly)"),
    ("arithmetic", r"(ha|fa|maj|mux|xor|xnor)"),
)


@dataclass(frozen=True)
class CellConfig:
    """Layer, split of the cell families, and window: size in pixels, pixel in nm."""

    layer: str = "li1"
    split: str = "train"
    size_px: int = 64
    pixel_nm: float = 20.0

    def __post_init__(self) -> None:
        check_choice(self, "layer", tuple(LAYERS))
        check_choice(self, "split", SPLITS)
        check_range(self, "size_px", 8, 4096)
        check_range(self, "pixel_nm", 1.0, 200.0)


@dataclass(frozen=True)
class Cell:
    """A standard cell: its width and the rectangles of one layer in nm, clipped to the cell's boundary."""

    name: str
    family: str
    width_nm: int
    rectangles: np.ndarray  # (R, 4) x0, y0, x1, y1; y grows upwards, as in the database


@cache
def load_cells(layer: str = "li1", split: str = "train") -> tuple[Cell, ...]:
    """The cells of one split, in the order of the library.

    Raises:
        DataError: when the shipped file is missing.
    """
    if not CELLS_PATH.is_file():
        raise DataError(f"{CELLS_PATH} is missing; restore it from the repository (folder data/sky130).")
    with np.load(CELLS_PATH) as stored:
        unit = int(stored["unit_nm"])
        start, rectangles = stored[f"{layer}_start"], stored[f"{layer}_rects"].astype(np.int32)
        chosen = np.flatnonzero(stored["split"] == split)
        sizes, names, families = stored["cell_wh"], stored["names"], stored["family"]
        return tuple(
            Cell(
                str(names[i]),
                str(families[i]),
                int(sizes[i, 0]) * unit,
                _clip(rectangles[start[i] : start[i + 1]], *sizes[i]) * unit,
            )
            for i in chosen
        )


def cell_group(family: str) -> str:
    """The functional group of a cell family, e.g. "a21oi" -> "and_or_invert"; the label of clips."""
    return next(group for group, pattern in CELL_GROUPS if re.match(pattern, family))


def cell_layouts(config: CellConfig, seed: int, indices: Sequence[int], *, margin_px: int = 0) -> Layouts:
    """Windows at random places of a random fabric; clip `i` depends on (config, seed, i) alone.

    The family of a clip is the group (`cell_group`) of the cell under its centre. Windows lie on the 5 nm
    grid of the cells, so edge pixels have their covered share. See `Layouts` for shapes and ranges.
    """
    cells = _by_family(config.layer, config.split)
    side_nm = (config.size_px + 2 * margin_px) * config.pixel_nm
    items = stream_seeds(seed, f"cells/{config.layer}/{config.split}", indices)
    windows = [_window(cells, Random(item), config.size_px * config.pixel_nm, side_nm) for item in items]
    image = rasterise([w for w, _ in windows], config.size_px + 2 * margin_px, config.pixel_nm)
    width, space = LAYERS[config.layer]
    n = len(windows)
    return Layouts(image, [f for _, f in windows], [width] * n, [space] * n, config.pixel_nm, margin_px)


@cache
def _by_family(layer: str, split: str) -> dict[str, tuple[Cell, ...]]:
    cells = load_cells(layer, split)
    return {f: tuple(c for c in cells if c.family == f) for f in dict.fromkeys(c.family for c in cells)}


def _window(
    families: dict[str, tuple[Cell, ...]], rng: Random, clip_nm: float, side_nm: float
) -> tuple[np.ndarray, str]:
    """Rectangles in window coordinates (nm, y downwards) and the label of the cell under the centre.

    The draw does not depend on the margin: rows and cells are laid out from the clip's centre outwards.
    """
    names = list(families)
    parity, phase = rng.randrange(2), 5 * rng.randrange(ROW_HEIGHT_NM // 5)
    margin = (side_nm - clip_nm) / 2
    first = -1  # the clip's upper edge is in row 0; one row above it for the margin
    rows = int((phase + clip_nm) // ROW_HEIGHT_NM) + 2
    placed, label = [], ""
    for row in range(first, rows):
        bottom = row * ROW_HEIGHT_NM - phase  # of the row, in clip coordinates
        x = -2000 - 5 * rng.randrange(92 * 8)
        while x < clip_nm + 2000:
            cell = rng.choice(families[rng.choice(names)])
            mirrored = rng.random() < 0.5
            if x + cell.width_nm > -margin and x < clip_nm + margin:
                placed.append(_place(cell, x, bottom, mirrored, flipped=(row + parity) % 2 == 1))
            if bottom <= clip_nm / 2 < bottom + ROW_HEIGHT_NM and x <= clip_nm / 2 < x + cell.width_nm:
                label = cell_group(cell.family)
            x += cell.width_nm
    rectangles = np.concatenate(placed).astype(np.float32) + np.float32(margin)
    inside = (rectangles[:, 2:] > 0).all(1) & (rectangles[:, :2] < side_nm).all(1)
    return rectangles[inside], label


def _place(cell: Cell, x: int, bottom: int, mirrored: bool, flipped: bool) -> np.ndarray:
    """A cell's rectangles moved to (x, bottom), mirrored left-right and flipped up-down as asked."""
    x0, y0, x1, y1 = cell.rectangles.T
    if mirrored:
        x0, x1 = cell.width_nm - x1, cell.width_nm - x0
    if not flipped:  # the database's y grows upwards, an image's rows downwards
        y0, y1 = ROW_HEIGHT_NM - y1, ROW_HEIGHT_NM - y0
    return np.stack([x0 + x, y0 + bottom, x1 + x, y1 + bottom], axis=1)


def _clip(rectangles: np.ndarray, width: int, height: int) -> np.ndarray:
    clipped = rectangles.copy()
    clipped[:, 0::2] = clipped[:, 0::2].clip(0, width)
    clipped[:, 1::2] = clipped[:, 1::2].clip(0, height)
    return clipped[(clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])]
