"""Decode an uploaded file to an image, or raise an error with the reason.

The format is detected from the bytes alone; file name and content type are ignored. Decoder and rules are
those of `gantrans.data.read_image`, so that a file has the same pixels in training and in service; the limit
of pixels is lower here.
"""

import numpy as np
from torch import Tensor

from gantrans.data.decoding import FORMATS, stored_values
from gantrans.data.reading import BITS, unit_from_stored
from gantrans.errors import DataError

__all__ = ["BITS", "FORMATS", "MAX_PIXELS", "DecodeError", "decode"]

MAX_PIXELS = 2**22
_NAME = "The image"


class DecodeError(DataError):
    """The bytes cannot be used as an image; the message has the reason."""


def decode(
    data: bytes, *, bits: int | None = None, run_bits: int | None = None, max_pixels: int = MAX_PIXELS
) -> Tensor:
    """PNG, JPEG, TIFF or BMP bytes -> (1, H, W) float32 in [0, 1].

    Args:
        bits: number of used bits of a 16-bit image, one of `BITS`, as the client states it.
        run_bits: what the images of the model's training had (`DataSpec.bits`); used if the client states
            nothing. One of the two is required if all values need fewer than 15 bits.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        DecodeError: unknown format, damaged file, too many pixels, several images in one file, an orientation
            tag, or values with an unknown white level.
    """
    if not data:
        raise DecodeError("The image is empty (0 bytes); send its contents.")
    try:
        stored = stored_values(data, _NAME, max_pixels=max_pixels)
        if bits is not None and bits in BITS and stored.values.dtype != np.uint16 and not stored.coarse:
            raise DecodeError(
                f"bits={bits} was stated, but the image holds {stored.values.dtype} values; leave it out."
            )
        return unit_from_stored(stored, _NAME, bits=run_bits if bits is None else bits, option="bits=")
    except DecodeError:
        raise
    except DataError as error:
        raise DecodeError(str(error)) from error
