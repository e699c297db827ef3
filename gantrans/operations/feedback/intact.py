"""Whether a stored picture is still the one that was stored: its name is a hash of its size and pixels."""

import io
import sqlite3
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from gantrans.operations.feedback.kept import Picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE = 0, 2, 3
"""Colour types of a PNG."""

_MODES = {(8, GREY): "L", (8, RGB): "RGB", (8, PALETTE): "P"}


class DamagedError(ValueError):
    """The bytes are not those of the picture with that name."""


def intact_picture(data: bytes, name: str, size: tuple[int, int]) -> Picture:
    """The picture of a stored PNG after a comparison of all of its bytes.

    The pixels are compared with the name. The rest of the file (header, checksums, end) is compared with the
    checksums of its chunks, because a decoder passes over some of them and a browser does not.

    Args:
        name: see `Picture.name`. size: (height, width) as noted beside the picture.

    Raises:
        DamagedError: anything differs.
    """
    chunks = _chunks(data)
    try:
        depth, colour = struct.unpack_from(">BB", chunks[b"IHDR"], 8)
        if depth == 16 and colour in (GREY, RGB):
            picture = Picture(_deep(chunks, colour))
        else:
            picture = Picture(_shallow(data, _MODES.get((depth, colour), "")), chunks.get(b"PLTE", b""))
    except (OSError, SyntaxError, ValueError, KeyError, struct.error, zlib.error) as error:
        raise DamagedError(f"it cannot be decoded ({error})") from error
    if picture.size != size:
        raise DamagedError(f"it has {picture.size[1]} x {picture.size[0]} px")
    if picture.name != name:
        raise DamagedError("its pixels are others than those stored")
    return picture


def is_corrupt(error: Exception) -> bool:
    """Whether the cause is that SQLite found its file damaged, and not only busy or out of reach."""
    return getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT


def _shallow(data: bytes, mode: str) -> NDArray[np.uint8]:
    """8-bit values by Pillow."""
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=("PNG",)) as opened:
        if opened.mode != mode:
            raise ValueError(f"it is {opened.mode} of {opened.size[0]} x {opened.size[1]} px")
        return np.array(opened)


def _deep(chunks: dict[bytes, bytes], colour: int) -> NDArray[np.uint16]:
    """16-bit values as `Picture.png` writes them; Pillow has only the upper half of those of colour."""
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    channels = 1 if colour == GREY else 3
    line = 1 + 2 * channels * width
    raw = zlib.decompressobj().decompress(chunks[b"IDAT"], height * line + 1)
    lines = np.frombuffer(raw, np.uint8).reshape(height, line)
    if lines[:, 0].any():
        raise ValueError("its lines are filtered")
    values = np.ascontiguousarray(lines[:, 1:]).view(">u2").astype(np.uint16)
    return values if channels == 1 else values.reshape(height, width, channels)


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Follow the chunks of a PNG, (length, kind, contents, CRC-32 of kind and contents), up to IEND.

    Returns:
        The contents by kind; those of equal kinds are joined.
    """
    place, kind, found = len(SIGNATURE), b"", dict[bytes, bytes]()
    if data[:place] != SIGNATURE:
        raise DamagedError("it does not begin as a PNG")
    while kind != b"IEND":
        if len(data) < place + 12:
            raise DamagedError("it is cut off")
        (length,) = struct.unpack_from(">I", data, place)
        kind, end = data[place + 4 : place + 8], place + 8 + length
        if len(data) < end + 4 or zlib.crc32(data[place + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise DamagedError(f"the checksum of its chunk {kind!r} is wrong")
        found[kind] = found.get(kind, b"") + data[place + 8 : end]
        place = end + 4
    if place != len(data):
        raise DamagedError("there are bytes after its end")
    return found
