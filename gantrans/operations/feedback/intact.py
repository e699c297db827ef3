"""Whether a stored picture is still the one that was stored: its name is a hash of its size and pixels."""

import hashlib
import io
import sqlite3
import struct
import zlib

import numpy as np
import torch
from torch import Tensor

from gantrans.images import uint8_from_unit

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class DamagedError(ValueError):
    """The bytes are not those of the picture with that name."""


def picture_name(image: Tensor) -> str:
    """A hash of size and pixels of (1, H, W) in [0, 1], independent of the PNG encoder."""
    return _hash(uint8_from_unit(image))


def intact_pixels(data: bytes, name: str, size: tuple[int, int]) -> Tensor:
    """The pixels, (H, W) uint8, of a stored PNG after a comparison of all of its bytes.

    The pixels are compared with the name. The rest of the file (header, checksums, end) is compared with the
    checksums of its chunks, because a decoder passes over some of them and a browser does not.

    Args:
        name: see `picture_name`. size: (height, width) as noted beside the picture.

    Raises:
        DamagedError: anything differs.
    """
    from PIL import Image

    _check_chunks(data)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as opened:
            if opened.size != size[::-1] or opened.mode != "L":
                raise DamagedError(f"it is {opened.mode} of {opened.size[0]} x {opened.size[1]} px")
            pixels = torch.from_numpy(np.array(opened))
    except (OSError, SyntaxError, ValueError) as error:
        raise DamagedError(f"it cannot be decoded ({error})") from error
    if _hash(pixels) != name:
        raise DamagedError("its pixels are others than those stored")
    return pixels


def is_corrupt(error: Exception) -> bool:
    """Whether the cause is that SQLite found its file damaged, and not only busy or out of reach."""
    return getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT


def _check_chunks(data: bytes) -> None:
    """Follow the chunks of a PNG: (length, kind, contents, CRC-32 of kind and contents), up to IEND."""
    place, kind = len(_SIGNATURE), b""
    if data[:place] != _SIGNATURE:
        raise DamagedError("it does not begin as a PNG")
    while kind != b"IEND":
        if len(data) < place + 12:
            raise DamagedError("it is cut off")
        (length,) = struct.unpack_from(">I", data, place)
        kind, end = data[place + 4 : place + 8], place + 8 + length
        if len(data) < end + 4 or zlib.crc32(data[place + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise DamagedError(f"the checksum of its chunk {kind!r} is wrong")
        place = end + 4
    if place != len(data):
        raise DamagedError("there are bytes after its end")


def _hash(pixels: Tensor) -> str:
    size = "{} {} ".format(*pixels.shape[-2:]).encode()
    return hashlib.sha256(size + pixels.numpy().tobytes()).hexdigest()
