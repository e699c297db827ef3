"""Decode an uploaded file to an image, or raise an error with the reason.

The format is detected from the bytes alone; file name and content type are ignored. Decoder and rules are
those of `gantrans.data.read_image`, so that a file has the same pixels in training and in service; the limit
of pixels is lower here.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from gantrans.data.decoding import FORMATS, stored_values
from gantrans.data.encoding import Side
from gantrans.data.reading import BITS, classes_from_stored, unit_from_stored
from gantrans.errors import DataError
from gantrans.operations.feedback.kept import Picture

__all__ = ["BITS", "FORMATS", "MAX_PIXELS", "DecodeError", "Upload", "decode", "read_upload"]

MAX_PIXELS = 2**22
_NAME = "The image"


class DecodeError(DataError):
    """The bytes cannot be used as an image; the message has the reason."""


@dataclass(frozen=True)
class Upload:
    """An image as a network gets it, and the bits of a value in its file: 8, or 16 for more than 8 bits.

    image: (C, H, W) float32 in [0, 1]; of a mask of classes their numbers, (1, H, W) uint8.
    """

    image: Tensor
    depth: int

    @cached_property
    def picture(self) -> Picture:
        """The image, not of classes, as a store keeps it."""
        return Picture.of(self.image, self.depth)


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
        if side.classes:
            return Upload(classes_from_stored(stored, _NAME, side), 8)
        used = run_bits if bits is None else bits
        image = unit_from_stored(stored, _NAME, bits=used, side=side, option="bits=")
        return Upload(image, 16 if stored.coarse or stored.values.dtype.itemsize > 1 else 8)
    except DecodeError:
        raise
    except DataError as error:
        raise DecodeError(str(error)) from error
