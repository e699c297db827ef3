"""Decode an uploaded file to an image, or raise an error with the reason.

The format is detected from the bytes alone; file name and content type are ignored. Four formats are
accepted, so that Pillow's many other parsers cannot be reached. The number of pixels is checked before any
pixel is decoded, which protects against decompression bombs. Pillow's conversion to grey would turn 16-bit
images white and float images black without an error, so values are scaled by their type, by the same rules
as in `gantrans.data.read_image`.
"""

import io

import numpy as np
from torch import Tensor

from gantrans.data.reading import pillow_values, unit_from_values
from gantrans.errors import DataError

FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
MAX_PIXELS = 2**22
BITS = (10, 12, 14, 16)
"""Numbers of used bits that a client may state for a 16-bit image."""
_NAME = "The image"
_PHOTOMETRIC, _MIN_IS_WHITE = 262, 0  # TIFF tag: here small values are bright


class DecodeError(DataError):
    """The bytes cannot be used as an image; the message has the reason."""


def decode(data: bytes, *, bits: int | None = None, max_pixels: int = MAX_PIXELS) -> Tensor:
    """PNG, JPEG, TIFF or BMP bytes -> (1, H, W) float32 in [0, 1].

    Args:
        bits: number of used bits of a 16-bit image, one of `BITS`. It is required if all values are below
            4,096: the image may come from a 12-bit camera or be almost black, and the file does not record
            which.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        DecodeError: unknown format, damaged file, too many pixels, several images in one file, or values
            with an unknown white level.
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
            if inverted and image.mode not in ("1", "L"):  # Pillow inverts those two itself
                raise DecodeError(
                    "The image is a TIFF whose small values are white; save it as min-is-black."
                )
            values = pillow_values(image, _NAME)
            return values.astype(values.dtype.newbyteorder("=")), tiff
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DecodeError(
            f"The bytes are not an image in a supported format ({', '.join(FORMATS)}), or of an unsupported "
            "variant; save it as 8-bit, 16-bit grey or float grey."
        ) from error
    except Image.DecompressionBombError as error:
        raise DecodeError(
            f"The image has more than the {max_pixels:,} px allowed; cut it into parts."
        ) from error
    except Exception as error:  # damaged bytes can make a decoder raise any exception
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise DecodeError(
            f"The image cannot be decoded, it may be truncated or damaged: {reason[:200]}."
        ) from error


def _check_single(image: object) -> None:
    """Refuse a file with several images.

    In a TIFF only the presence of a second image is tested: counting all of them could take minutes on a
    file crafted for it.
    """
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
            f"The image holds 16-bit values of at most {highest}: 12-bit data, or almost black; state which "
            "with bits=12 or bits=16."
        )
    if bits in (None, 16):
        return values
    if highest >= 2**bits:
        raise DecodeError(
            f"bits={bits} was stated, but the image holds the value {highest}; state more bits."
        )
    return values / float(2**bits - 1)
