"""An uploaded file as an image, or a refusal with its reason: never a white or a black image instead.

What a client sends is judged by its bytes alone: file name and content type are not looked at. Four formats
are tried; the many other parsers of Pillow stay out of reach. The number of pixels is checked before any
pixel is decoded, so that a small file cannot become a large image. Pillow's own "convert to grey" would turn
16-bit images white and float images black (both without an error); values are scaled by their type instead,
by the same rules as in `gantrans.data.read_image`.
"""

import io

import numpy as np
from torch import Tensor

from gantrans.data.reading import pillow_values, unit_from_values
from gantrans.errors import DataError

FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
MAX_PIXELS = 2**22
BITS = (10, 12, 14, 16)
"""Bits that a client may say are used of a 16-bit image."""
_NAME = "The image"
_PHOTOMETRIC, _MIN_IS_WHITE = 262, 0  # TIFF tag: here small values are bright


class DecodeError(DataError):
    """The bytes are no image that can be used, and why."""


def decode(data: bytes, *, bits: int | None = None, max_pixels: int = MAX_PIXELS) -> Tensor:
    """PNG, JPEG, TIFF or BMP bytes -> (1, H, W) float32 in [0, 1].

    Args:
        bits: how many of a 16-bit image's bits are used, one of `BITS`. It must be said where all values are
            below 4,096: that is either a 12-bit camera's image or an almost black one, and the file does not
            tell which.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        DecodeError: another format, damaged, too large, several images in one file, or values whose white
            level is not known.
    """
    if not data:
        raise DecodeError("The image is empty (0 bytes); send its contents.")
    if bits is not None and bits not in BITS:
        raise DecodeError(f"bits is {bits}; choose one of {', '.join(map(str, BITS))}.")
    try:
        values, tiff = _values(data, max_pixels)
        return unit_from_values(_use_bits(values, bits), _NAME, tiff=tiff)
    except DecodeError:
        raise
    except DataError as error:
        raise DecodeError(str(error)) from error


def _values(data: bytes, max_pixels: int) -> tuple[np.ndarray, bool]:
    """The stored values in this machine's byte order, and whether the file is a TIFF."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise DecodeError(
                    f"The image has {image.width} x {image.height} px, more than the {max_pixels:,} px "
                    "allowed; cut it into parts."
                )
            _check_single(image)
            tiff = image.format == "TIFF"
            inverted = tiff and image.tag_v2.get(_PHOTOMETRIC) == _MIN_IS_WHITE  # type: ignore[attr-defined]
            if inverted and image.mode not in ("1", "L"):  # those Pillow turns round itself
                raise DecodeError(
                    "The image is a TIFF whose small values are white; save it as min-is-black."
                )
            values = pillow_values(image, _NAME)
            return values.astype(values.dtype.newbyteorder("=")), tiff
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DecodeError(
            f"The bytes are no image in a format that is read here ({', '.join(FORMATS)}), or of a kind of "
            "it that cannot be read; save 8-bit, 16-bit grey or float grey."
        ) from error
    except Image.DecompressionBombError as error:
        raise DecodeError(
            f"The image has more than the {max_pixels:,} px allowed; cut it into parts."
        ) from error
    except Exception as error:  # a decoder raises whatever damaged bytes lead it to
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise DecodeError(
            f"The image cannot be decoded, it may be truncated or damaged: {reason[:200]}."
        ) from error


def _check_single(image: object) -> None:
    """Refuse a file of several images; which one is meant is not for us to guess. Counting them all is not
    needed, and would take minutes on a file made for that."""
    frames = (
        getattr(image, "n_frames", 1) if getattr(image, "format", "") != "TIFF" else 1 + _has_second(image)
    )
    if frames > 1:
        raise DecodeError("The file holds several images; save the one you mean as a single image.")


def _has_second(image: object) -> bool:
    try:
        image.seek(1)  # type: ignore[attr-defined]
    except EOFError:
        return False
    return True


def _use_bits(values: np.ndarray, bits: int | None) -> np.ndarray:
    """Check or apply the number of bits used in a 16-bit image."""
    if values.dtype != np.uint16:
        if bits is not None:
            raise DecodeError(
                f"bits={bits} was stated, but the image holds {values.dtype} values; leave it out."
            )
        return values
    highest = int(values.max(initial=0))
    if bits is None and highest < 2**12:
        raise DecodeError(
            f"The image holds 16-bit values of at most {highest}: 12-bit data, or almost black; say which "
            "with bits=12 or bits=16."
        )
    if bits in (None, 16):
        return values
    if highest >= 2**bits:
        raise DecodeError(
            f"bits={bits} was stated, but the image holds the value {highest}; state more bits."
        )
    return values / float(2**bits - 1)
