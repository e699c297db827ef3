"""Reading image files: 8-bit, 16-bit and float, grey or colour, to float32 in [0, 1] or numbers of classes.

A plain conversion to grey turns 16-bit images white and float images black; here every case is handled
explicitly, and an unsupported file raises a one-sentence error with the file and the reason. Files are
decoded by `gantrans.data.decoding`. What a file does not record is stated by its owner, as a `Side`.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gantrans.data.decoding import MAX_PIXELS, stored_values
from gantrans.data.encoding import Side
from gantrans.data.labels import class_numbers, mask_from_stored
from gantrans.data.stored import Stored
from gantrans.errors import DataError
from gantrans.images import uint8_from_unit

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
BITS = (8, 10, 12, 14, 16)
"""Numbers of used bits that may be stated for 16-bit images."""
_CERTAIN = 2**14
"""Values from here on need more than 14 bits, so that a file which has one is a full 16-bit image."""
_MAX_BYTES = 2**31
"""More than the largest image needs uncompressed, in float64."""
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_PLAIN = Side()


@dataclass(frozen=True)
class Source:
    """The place of an image: a file, or the "left" or "right" half of one."""

    path: Path
    half: str | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return f"{self.path}" if self.half is None else f"{self.path} ({self.half} half)"


AnySource = str | Path | Source


def read_image(source: AnySource, *, bits: int | None = None, side: Side = _PLAIN) -> Tensor:
    """Read a PNG, TIFF, JPEG or BMP file as (C, H, W) float32 in [0, 1].

    8-bit values are divided by 255, 16-bit values by 65,535 or as `bits` or `side.white` state; float values
    are unchanged, or divided by `side.white`, and must then be in [0, 1]. Colour becomes luma (ITU-R BT.601,
    which leaves equal channels unchanged) unless `side.channels` is 3; an alpha channel must be opaque. A
    side with `values` is read as black and white by its stored values. The service reads uploads by the same
    rules.

    Args:
        source: a file, or a half of one.
        bits: number of used bits of 16-bit images, one of `BITS`; other images are not affected. It is
            required where all values need fewer bits than 15 and no white is stated: the image may come from
            a 12-bit camera or be dark, and the file does not record which.
        side: what is stated of such images.

    Raises:
        DataError: naming the file and the reason.
    """
    return unit_from_stored(stored_file(source), str(source), bits=bits, side=side)


def read_classes(source: AnySource, side: Side) -> Tensor:
    """Read a file as (1, H, W) uint8, the number of the class of each pixel: its place in `side.classes`.

    Raises:
        DataError: naming the file and the reason, such as a value that is no class.
    """
    return classes_from_stored(stored_file(source), str(source), side)


def read_pixels(source: AnySource, *, bits: int | None = None, side: Side = _PLAIN) -> Tensor:
    """Read a file as datasets store it, (C, H, W) uint8: numbers of classes where `side` has some, else 0 to
    255.

    Raises:
        DataError: naming the file and the reason.
    """
    return pixels_from_stored(stored_file(source), str(source), bits=bits, side=side)


def stored_file(source: AnySource) -> Stored:
    """The values of an image file, or of a half of one, as they are stored.

    Raises:
        DataError: naming the file and the reason.
    """
    half = source.half if isinstance(source, Source) else None
    path = Path(source)
    if not path.is_file():
        raise DataError(f"{path} does not exist or is not a file.")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} is not a PNG, TIFF or JPEG file; convert it first.")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} has more than {_MAX_BYTES:,} bytes; cut it into parts.")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not data:
        raise DataError(f"{path} is empty (0 bytes); copy it again.")
    return stored_values(data, str(path), max_pixels=MAX_PIXELS).part(half, str(path))


def unit_from_stored(
    stored: Stored,
    name: str,
    *,
    bits: int | None = None,
    side: Side = _PLAIN,
    option: str = "--bits ",
) -> Tensor:
    """Stored values as (C, H, W) float32 in [0, 1]; rules as in `read_image`.

    Args:
        name: of the image, for messages.
        bits, side: see `read_image`; the classes of a side are not used here.
        option: how the caller states bits, for messages: "--bits " or "bits=".

    Raises:
        DataError: naming the image and the reason.
    """
    if bits is not None and bits not in BITS:
        raise DataError(f"bits is {bits!r}; choose one of {', '.join(map(str, BITS))}.")
    if stored.values.size == 0:
        raise DataError(f"{name} has no pixels (shape {stored.values.shape}).")
    if side.values is not None:
        image = mask_from_stored(stored, name, side)
    elif side.white is not None and stored.values.dtype not in (np.bool_, np.uint8):
        image = _channels(name, replace(stored, values=_by_white(name, stored, side.white, option)), side)
    else:
        used = _used_bits(stored, name, stored.bits or bits, option)
        image = _channels(name, replace(stored, values=_scale(name, stored, used)), side)
    if side.invert:
        image = 1.0 - image
    image = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    if len(image) < side.channels:
        image = image.repeat(side.channels, axis=0)
    return torch.from_numpy(np.require(image, np.float32, ["C", "W"]))


def classes_from_stored(stored: Stored, name: str, side: Side) -> Tensor:
    """Stored values as (1, H, W) uint8 numbers of classes; see `read_classes`."""
    return torch.from_numpy(np.require(class_numbers(stored, name, side), np.uint8, ["C", "W"]))


def pixels_from_stored(
    stored: Stored,
    name: str,
    *,
    bits: int | None = None,
    side: Side = _PLAIN,
    option: str = "--bits ",
) -> Tensor:
    """Stored values as (C, H, W) uint8; see `read_pixels`."""
    if side.classes:
        return classes_from_stored(stored, name, side)
    return uint8_from_unit(unit_from_stored(stored, name, bits=bits, side=side, option=option))


def _by_white(name: str, stored: Stored, white: float, option: str) -> np.ndarray:
    """16-bit, other whole and float values to [0, 1], where white is stated."""
    values, stated = stored.values, option.replace("bits", "white") + f"{white:g}"
    if not np.isfinite(values).all():
        raise DataError(f"{name} contains NaN or infinite values; repair or drop the image.")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > white:
        wrong = low if low < 0 else high
        raise DataError(
            f"{stated} was stated, but {name} holds the value {wrong:g}; state the value of white."
        )
    scaled = values / white
    return 1.0 - scaled if stored.inverted else scaled


def _used_bits(stored: Stored, name: str, bits: int | None, option: str) -> int:
    """The number of bits that white has, for whole numbers: certain or stated, and no value is above it.

    Raises:
        DataError: it is neither, or a value is.
    """
    values = stored.values
    if values.dtype != np.uint16 and not stored.coarse:
        return 8
    highest = int(values.max()) << (8 if stored.coarse else 0)
    if stored.coarse:
        if bits in (None, 16) and (bits == 16 or highest >= _CERTAIN):
            return 8
        raise DataError(
            f"{name} holds 16-bit colour up to {highest}, of which only the upper 8 bits are decoded; "
            "save it as 16-bit grey."
        )
    if bits is None:
        if highest < _CERTAIN:
            fewer = next(b for b in BITS if highest < 2**b)
            raise DataError(
                f"{name} holds 16-bit values of at most {highest}: {fewer}-bit data, or a dark image; state "
                f"which with {option}{fewer} or {option}16."
            )
        return 16
    if highest < 2**bits:
        return bits
    if highest == 2**16 - 1 and np.isin(values, (0, highest)).all():  # black and white, as masks are
        return 16
    raise DataError(f"{option}{bits} was stated, but {name} holds the value {highest}; state more bits.")


def _scale(name: str, stored: Stored, bits: int) -> np.ndarray:
    """Stored values to floats in [0, 1]; white is 2^bits - 1."""
    values = stored.values
    if values.dtype == np.bool_:
        return (values ^ stored.inverted).astype(np.float32)
    if values.dtype in (np.uint8, np.uint16):
        if values.ndim == 2:
            return _table(bits, stored.inverted)[values]
        top = 2**bits - 1
        return (top - values if stored.inverted else values) / float(top)
    if not np.issubdtype(values.dtype, np.floating):
        raise DataError(
            f"{name} holds {values.dtype} values, whose white level is unknown; save 8-bit, 16-bit or float."
        )
    if not np.isfinite(values).all():
        raise DataError(f"{name} contains NaN or infinite values; repair or drop the image.")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise DataError(f"{name} holds float values from {low:g} to {high:g}; scale them to [0, 1] first.")
    return 1.0 - values if stored.inverted else values


@lru_cache(maxsize=16)
def _table(bits: int, inverted: bool) -> np.ndarray:
    """The grey value of every whole number of `bits` bits, float32."""
    grey = np.arange(2**bits) / float(2**bits - 1)
    return (grey[::-1] if inverted else grey).astype(np.float32)


def _channels(name: str, stored: Stored, side: Side) -> np.ndarray:
    """(H, W), (H, W, 1), (H, W, 3) or opaque (H, W, 2 or 4) -> (H, W); (H, W, 3) of colour that is kept."""
    values = stored.values
    if values.ndim == 2:
        return values
    if values.ndim != 3 or values.shape[-1] not in (1, 2, 3, 4):
        raise DataError(
            f"{name} has shape {values.shape}; a grey or RGB image (height, width, channels) is needed."
        )
    if values.shape[-1] in (2, 4):
        if stored.tiff and values.shape[-1] == 2:
            raise DataError(f"{name} has 2 channels; save the one you mean as a grey image.")
        if values[..., -1].min() < 1:
            raise DataError(f"{name} has transparent pixels, which have no grey value; flatten it first.")
        values = values[..., :-1]
    if values.shape[-1] == 1:
        return values[..., 0]
    return values if side.channels == 3 else values @ _LUMA
