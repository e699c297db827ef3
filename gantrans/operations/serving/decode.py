"""Decode an uploaded file to an image, or raise an error with the reason.

The format is detected from the bytes alone; file name and content type are ignored. Decoder and rules are
those of `gantrans.data.read_image`, so that a file has the same pixels in training and in service; the limit
of pixels is lower here.
"""

import numpy as np
from torch import Tensor

from gantrans.data.decoding import FORMATS, stored_values
from gantrans.data.encoding import Side
from gantrans.data.reading import BITS
from gantrans.errors import DataError
from gantrans.operations.feedback.sides import Upload, upload_of

__all__ = ["BITS", "FORMATS", "MAX_PIXELS", "DecodeError", "Upload", "decode", "read_upload"]

MAX_PIXELS = 2**22
_NAME = "The image"


class DecodeError(DataError):
    """The bytes cannot be used as an image; the message has the reason."""


def decode(
    data: bytes,
    *,
    bits: int | None = None,
    run_bits: int | None = None,
    side: Side = Side(),
    max_pixels: int = MAX_PIXELS,
) -> Tensor:
    """The image of `read_upload`."""
    return read_upload(data, bits=bits, run_bits=run_bits, side=side, max_pixels=max_pixels).image


def read_upload(
    data: bytes,
    *,
    bits: int | None = None,
    run_bits: int | None = None,
    side: Side = Side(),
    max_pixels: int = MAX_PIXELS,
) -> Upload:
    """Read PNG, JPEG, TIFF or BMP bytes as a run reads one side of its pairs.

    Args:
        bits: number of used bits of a 16-bit image, one of `BITS`, as the client states it.
        run_bits: what the images of the model's training had (`DataSpec.bits`); used if the client states
            nothing. One of the two is required if all values need fewer than 15 bits.
        side: how the model's training read such images: channels, white, values of a mask, classes, inverted.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        DecodeError: unknown format, damaged file, too many pixels, several images in one file, an orientation
            tag, values with an unknown white level, or a mask with other values than the run's.
    """
    if not data:
        raise DecodeError("The image is empty (0 bytes); send its contents.")
    try:
        stored = stored_values(data, _NAME, max_pixels=max_pixels)
        if bits is not None and bits in BITS and stored.values.dtype != np.uint16 and not stored.coarse:
            raise DecodeError(
                f"bits={bits} was stated, but the image holds {stored.values.dtype} values; leave it out."
            )
        used = run_bits if bits is None else bits
        return upload_of(stored, _NAME, bits=used, side=side, option="bits=")
    except DecodeError:
        raise
    except DataError as error:
        raise DecodeError(str(error)) from error
