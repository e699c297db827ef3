"""Reading image files: 8-bit, 16-bit and float, grey or colour, always to float32 in [0, 1].

A plain conversion to grey turns 16-bit images white and float images black; here every case is handled
explicitly, and an unsupported file raises a one-sentence error with the file and the reason. Files are
decoded by `gantrans.data.decoding`.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gantrans.data.decoding import MAX_PIXELS, stored_values
from gantrans.data.stored import Stored
from gantrans.errors import DataError

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
BITS = (8, 10, 12, 14, 16)
"""Numbers of used bits that may be stated for 16-bit images."""
_CERTAIN = 2**14
"""Values from here on need more than 14 bits, so that a file which has one is a full 16-bit image."""
_MAX_BYTES = 2**31
"""More than the largest image needs uncompressed, in float64."""
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def read_image(path: str | Path, *, bits: int | None = None) -> Tensor:
    """Read a PNG, TIFF, JPEG or BMP file as (1, H, W) float32 in [0, 1].

    8-bit values are divided by 255, 16-bit values by 65,535 or as `bits` states; float values are unchanged
    and must be in [0, 1]. Colour becomes luma (ITU-R BT.601, which leaves equal channels unchanged); an alpha
    channel must be opaque. The service reads uploads by the same rules.

    Args:
        bits: number of used bits of 16-bit images, one of `BITS`; other images are not affected. It is
            required where all values need fewer bits than 15: the image may come from a 12-bit camera or be
            dark, and the file does not record which.

    Raises:
        DataError: naming the file and the reason.
    """
    path = Path(path)
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
    return unit_from_stored(stored_values(data, str(path), max_pixels=MAX_PIXELS), str(path), bits=bits)


def unit_from_stored(
    stored: Stored, name: str, *, bits: int | None = None, option: str = "--bits "
) -> Tensor:
    """Stored values as (1, H, W) float32 in [0, 1]; rules as in `read_image`.

    Args:
        name: of the image, for messages.
        bits: see `read_image`.
        option: how the caller states them, for messages: "--bits " or "bits=".

    Raises:
        DataError: naming the image and the reason.
    """
    if bits is not None and bits not in BITS:
        raise DataError(f"bits is {bits!r}; choose one of {', '.join(map(str, BITS))}.")
    if stored.values.size == 0:
        raise DataError(f"{name} has no pixels (shape {stored.values.shape}).")
    used = _used_bits(stored, name, stored.bits or bits, option)
    scaled = _scale(name, stored, used)
    grey = _grey(name, replace(stored, values=scaled))
    return torch.from_numpy(np.require(grey, np.float32, ["C", "W"])).unsqueeze(0)


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


def _grey(name: str, stored: Stored) -> np.ndarray:
    """(H, W), (H, W, 1), (H, W, 3) or opaque (H, W, 2 or 4) -> (H, W)."""
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
    return values[..., 0] if values.shape[-1] == 1 else values @ _LUMA
