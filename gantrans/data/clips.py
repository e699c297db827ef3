"""Layout clips for unconditional generation: one design rule, no duplicates, disjoint splits.

Families with few parameters produce duplicates: a tenth of 4,096 independent draws of 32 px. With a random
train/test split, these would count as memorised copies. Here the split of a clip is determined by a hash of
its pixels, so that an image belongs to one split for every seed, count and family.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat

import numpy as np
import torch
from torch import Tensor

from gantrans.config import check_choice, check_range
from gantrans.data.cells import CELL_GROUPS, LAYERS, SPLITS, CellConfig, cell_layouts
from gantrans.data.layouts import FAMILIES, LayoutConfig, procedural_layouts
from gantrans.data.pairs import SOURCES
from gantrans.data.streams import stream_seeds
from gantrans.errors import ConfigError, DataError
from gantrans.images import network_from_uint8, unit_from_uint8

SHARES = {"train": 6, "val": 2, "test": 2}
"""Tenths of all possible images that belong to each split."""
_PIXEL_GRID_NM = 2.5  # half the cells' grid
_BLOCK = 256  # candidates drawn at once
_PATIENCE = 16  # successive blocks without a new image, after which a family counts as exhausted


@dataclass(frozen=True)
class ClipConfig:
    """Source, size, families and design rule of clips.

    Attributes:
        source: "procedural" or "sky130" (real standard cells, thresholded at half covered).
        size: side of a clip in pixels.
        families: of `FAMILIES`, drawn in turn; the class of a clip is its index in this tuple (only for
            "procedural"; the class of a SKY130 clip is its cell group).
        rule_px: minimum width and minimum space in pixels; None: 3 from 28 px on, else 2.
        layer: "li1", "poly" or "licon" (only for "sky130").
        pixel_nm: size of a pixel in nm; None: 20 for "procedural", and for "sky130" so small that the layer's
            minimum width is a pixel more than the rule, because thresholding can remove one pixel.
    """

    source: str = "procedural"
    size: int = 32
    families: tuple[str, ...] = ("line_space", "contact_array", "tip_to_tip", "jogs")
    rule_px: int | None = None
    layer: str = "li1"
    pixel_nm: float | None = None

    def __post_init__(self) -> None:
        check_choice(self, "source", SOURCES)
        check_range(self, "size", 8, 256)
        check_choice(self, "layer", tuple(LAYERS))
        unknown = [name for name in self.families if name not in FAMILIES]
        if unknown or not self.families or len(set(self.families)) < len(self.families):
            raise ConfigError(
                f"ClipConfig.families is {self.families!r}; name one or more of {', '.join(FAMILIES)},"
                " each once."
            )
        if self.rule_px is not None:
            check_range(self, "rule_px", 2, self.size // 4)
        if self.pixel_nm is not None:
            check_range(self, "pixel_nm", 1.0, 100.0)

    @property
    def rule(self) -> int:
        """Minimum width = minimum space in pixels: exact for "procedural", nominal for "sky130", whose
        rule has to be measured on the clips (`gantrans.metrics.measured_rule`).
        """
        return self.rule_px or (3 if self.size >= 28 else 2)

    @property
    def pixel(self) -> float:
        """Size of a pixel in nm."""
        if self.pixel_nm is not None:
            return self.pixel_nm
        if self.source == "procedural":
            return 20.0
        return min(LAYERS[self.layer]) / (self.rule + 1) // _PIXEL_GRID_NM * _PIXEL_GRID_NM

    @property
    def names(self) -> tuple[str, ...]:
        """The name of every class."""
        return self.families if self.source == "procedural" else tuple(name for name, _ in CELL_GROUPS)


@dataclass(frozen=True)
class Clips:
    """Binary layout clips without duplicates.

    image: (N, 1, S, S) uint8, 0 or 255 (drawn). label: (N,) int64, the class of each clip. names: the name
    of every class.
    """

    image: Tensor
    label: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.image)

    def network(self) -> Tensor:
        """float32 (N, 1, S, S), -1 or 1, for networks."""
        return network_from_uint8(self.image)

    def unit(self) -> Tensor:
        """float32 (N, 1, S, S), 0 or 1, for metrics."""
        return unit_from_uint8(self.image)


def make_clips(config: ClipConfig, split: str, count: int, seed: int = 0) -> Clips:
    """Draw `count` different clips of one split.

    Clip `i` depends on (config, split, seed, i) alone: a longer set begins with the shorter one. Splits
    are disjoint for all seeds and counts. Two seeds of one split may have images in common, so take reference
    and held-out images from one set. Procedural families are drawn in turn, so that class sizes differ by at
    most one clip, until a family has no more different clips (at 16 px gratings are exhausted after some 270
    in "train", 100 in "test") and is skipped; compare class shares only between sets in which no family was
    exhausted. SKY130 splits have no cell family in common either.

    Raises:
        DataError: for an unknown split, a count below one, or more clips than there are.
    """
    if split not in SPLITS:
        raise DataError(f"split is {split!r}; choose one of {', '.join(SPLITS)}.")
    if count < 1:
        raise DataError(f"count is {count}; ask for at least one clip.")
    found = list(islice(_different_clips(config, split, seed), count))
    if len(found) < count:
        raise DataError(
            f"Found only {len(found)} different clips of {config.size} px in split {split!r}, not {count};"
            " ask for fewer, for larger ones or for more families."
        )
    bits = np.unpackbits(np.stack([row for row, _ in found]), axis=1, count=config.size**2)
    image = torch.from_numpy(bits * np.uint8(255)).view(count, 1, config.size, config.size)
    return Clips(image, torch.tensor([label for _, label in found]), config.names)


def split_of(image: Tensor) -> list[str]:
    """The split of each image: (N, 1, S, S), uint8 or [0, 1], drawn above one half -> N names."""
    return [_owner(row) for row in _packed(image > (127 if image.dtype == torch.uint8 else 0.5))]


def _different_clips(config: ClipConfig, split: str, seed: int) -> Iterator[tuple[np.ndarray, int]]:
    """Packed bits and class of every clip in turn; an exhausted family is skipped."""
    seen: set[bytes] = set()  # shared: two families can draw the same image
    turns = len(config.families) if config.source == "procedural" else 1
    streams = [_new_clips(config, split, seed, k, seen) for k in range(turns)]
    while streams:
        for stream in tuple(streams):
            if (clip := next(stream, None)) is None:
                streams.remove(stream)
            else:
                yield clip


def _new_clips(
    config: ClipConfig, split: str, seed: int, k: int, seen: set[bytes]
) -> Iterator[tuple[np.ndarray, int]]:
    """Packed bits and class of clips of stream `k` that belong to this split and are not yet in `seen`."""
    start = idle = 0
    while idle < _PATIENCE:
        idle += 1
        for row, label in _candidates(config, split, seed, k, range(start, start + _BLOCK)):
            key = row.tobytes()
            if key not in seen and _owner(row) == split:
                seen.add(key)
                idle = 0
                yield row, label
        start += _BLOCK


def _candidates(
    config: ClipConfig, split: str, seed: int, k: int, indices: range
) -> Iterator[tuple[np.ndarray, int]]:
    """Packed bits and class of the draws `indices` of stream `k`, duplicates included."""
    if config.source == "sky130":
        (stream,) = stream_seeds(seed, f"clips/sky130/{split}", [0])
        cells = CellConfig(config.layer, split, config.size, config.pixel)
        drawn = cell_layouts(cells, stream, indices)
        labels = [config.names.index(family) for family in drawn.family]
        return zip(_packed(drawn.image > 0.5), labels, strict=True)
    (stream,) = stream_seeds(seed, f"clips/{split}/{config.families[k]}", [0])
    rule_nm = config.rule * config.pixel
    layout = LayoutConfig(
        size_px=config.size,
        pixel_nm=config.pixel,
        weights=tuple(float(family == config.families[k]) for family in FAMILIES),
        min_width_nm=(rule_nm, rule_nm),
        min_space_nm=(rule_nm, rule_nm),
        grid_nm=config.pixel,
    )
    return zip(_packed(procedural_layouts(layout, stream, indices).image > 0.5), repeat(k))


def _packed(drawn: Tensor) -> np.ndarray:
    return np.packbits(drawn.flatten(1).numpy(), axis=1)


def _owner(bits: np.ndarray) -> str:
    """The split of an image, from a hash of its pixels."""
    tenth = int.from_bytes(hashlib.blake2b(bits.tobytes(), digest_size=8).digest(), "little") % 10
    for name, share in SHARES.items():
        if tenth < share:
            return name
        tenth -= share
    raise AssertionError("the shares must add up to ten")
