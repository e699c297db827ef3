"""Stored values as what their owner states they mean: black and white of a mask, or the classes of pixels."""

from collections.abc import Sequence

import numpy as np

from gantrans.data.encoding import Side
from gantrans.data.stored import Stored
from gantrans.errors import DataError

_NONE = 255
"""No class; there are at most `gantrans.data.encoding.MAX_CLASSES` of them."""
_LEVELS = 2**16


def mask_from_stored(stored: Stored, name: str, side: Side) -> np.ndarray:
    """(H, W) float32: 0 where the first of `side.values` is stored, 1 where the second is.

    Raises:
        DataError: naming a value that is neither, and how many pixels have it.
    """
    black, white = side.values or (0, 1)
    stated = f"neither of the mask values {black} and {white} (--mask-values)"
    return _numbers(stored, name, (black, white), stated).astype(np.float32)


def class_numbers(stored: Stored, name: str, side: Side) -> np.ndarray:
    """(1, H, W) uint8: the number of the class of each pixel, its place in `side.classes`.

    Whole numbers are compared with the indices of a palette image, else with the stored grey values; colours
    with the colours of the image, grey ones having three equal channels.

    Raises:
        DataError: naming a value that is no class, and how many pixels have it.
    """
    stated = f"none of the classes {', '.join(side.classes)} (--classes)"
    if side.classes[0].startswith("#"):
        colours = [int(colour[1:], 16) for colour in side.classes]
        return _colours(stored, name, colours, stated)[None]
    return _numbers(stored, name, [int(value) for value in side.classes], stated)[None]


def _numbers(stored: Stored, name: str, known: Sequence[int], stated: str) -> np.ndarray:
    """(H, W) uint8: the place of each whole number in `known`."""
    values = stored.values if stored.indices is None else stored.indices
    if values.size == 0:
        raise DataError(f"{name} has no pixels (shape {values.shape}).")
    if stored.coarse:
        raise DataError(f"{name} holds 16-bit colour, which is no number; save it as grey.")
    if values.ndim == 3:
        values = _one_channel(values, name)
    if np.issubdtype(values.dtype, np.floating):
        sound = np.isfinite(values) & (values == np.rint(values)) & (np.abs(values) < _LEVELS)
        _refuse(values[~sound], name, stated)
    values = values.astype(np.int64)
    outside = (values < 0) | (values >= _LEVELS)
    _refuse(values[outside], name, stated)
    table = np.full(_LEVELS, _NONE, np.uint8)
    table[np.asarray([value for value in known if 0 <= value < _LEVELS], np.int64)] = [
        place for place, value in enumerate(known) if 0 <= value < _LEVELS
    ]
    found = table[values]
    _refuse(values[found == _NONE], name, stated)
    return found


def _one_channel(values: np.ndarray, name: str) -> np.ndarray:
    """The values of an image whose colour channels are equal; an opaque alpha channel is left out."""
    colours = _opaque(values, name)
    if not (colours == colours[..., :1]).all():
        raise DataError(
            f"{name} is in colour and whole numbers are stated; state its colours, such as "
            "--classes '#000000,#ff0000', or save the numbers as grey."
        )
    return colours[..., 0]


def _opaque(values: np.ndarray, name: str) -> np.ndarray:
    if values.shape[-1] not in (1, 2, 3, 4):
        raise DataError(f"{name} has {values.shape[-1]} channels; save it as grey or RGB.")
    if values.shape[-1] in (1, 3):
        return values
    top = np.iinfo(values.dtype).max if np.issubdtype(values.dtype, np.integer) else 1
    if (values[..., -1] != top).any():
        raise DataError(f"{name} has transparent pixels, whose class is not known; flatten it first.")
    return values[..., :-1]


def _colours(stored: Stored, name: str, known: Sequence[int], stated: str) -> np.ndarray:
    """(H, W) uint8: the place of each colour, 0xrrggbb, in `known`."""
    values = stored.values
    if values.size == 0:
        raise DataError(f"{name} has no pixels (shape {values.shape}).")
    if values.dtype == np.bool_:
        values = np.where(values ^ stored.inverted, np.uint8(255), np.uint8(0))
    if values.dtype != np.uint8 or stored.coarse:
        kind = "16-bit" if stored.coarse else str(values.dtype)
        raise DataError(
            f"{name} holds {kind} values, and the classes are 8-bit colours; state whole numbers with "
            "--classes, or save it as 8-bit RGB."
        )
    if values.ndim == 3:
        values = _opaque(values, name)
    parts = np.atleast_3d(values).astype(np.int64)
    packed = parts[..., 0] << 16 | parts[..., parts.shape[-1] // 2] << 8 | parts[..., -1]
    order = np.argsort(known)
    ranked = np.asarray(known, np.int64)[order]
    place = np.searchsorted(ranked, packed).clip(max=len(known) - 1)
    _refuse(packed[ranked[place] != packed], name, stated, colour=True)
    return order.astype(np.uint8)[place]


def _refuse(wrong: np.ndarray, name: str, stated: str, *, colour: bool = False) -> None:
    """Raise a `DataError` if there are values that are not among the stated ones."""
    if wrong.size == 0:
        return
    values, counts = np.unique(wrong, return_counts=True)
    most = int(counts.argmax())
    value = f"#{int(values[most]):06x}" if colour else f"{values[most]:g}"
    others = f" (and {len(values) - 1} further value{'s' * (len(values) > 2)})" if len(values) > 1 else ""
    raise DataError(
        f"{name} holds the value {value} in {counts[most]:,} pixel{'s' * bool(counts[most] > 1)}{others}, "
        f"which is {stated}; state all values, or correct the image."
    )
