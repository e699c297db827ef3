"""The one decoder of image files, for folders and for the service: bytes to the values stored in them.

The format is detected from the bytes; names are ignored. Four formats are allowed, so that Pillow's many
other parsers (one starts Ghostscript) are never reached. What a small file could cost is limited before
anything is decoded: pixels, scans of a JPEG, chunks of a PNG, strips and tags of a TIFF. What has no certain
reading is refused: several images, an orientation tag, missing strips.
"""

import struct
from collections.abc import Callable

from gantrans.data.stored import (
    MAX_SCANS,
    Stored,
    check_orientation,
    check_size,
    pillow_values,
    several_images,
)
from gantrans.data.tiff import ORIENTATION, read_directory, tiff_values
from gantrans.errors import DataError

FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
MAX_PIXELS = 2**27
"""11,585 x 11,585; an image takes up to 20 bytes a pixel while it is read."""
_MAX_SEGMENTS = 10_000
_MAX_EXIF = 2**18
_MAX_EXIF_TAGS = 512
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
}


def stored_values(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Stored:
    """Decode the bytes of a PNG, JPEG, TIFF or BMP file.

    Args:
        name: of the image, for messages.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        DataError: in one sentence, whatever the bytes are.
    """
    kind = next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), "")
    if not kind:
        raise DataError(
            f"{name} is not an image in a supported format ({', '.join(FORMATS)}), or it is truncated or "
            "damaged; save it as 8-bit, 16-bit grey or float grey."
        )
    try:
        if kind == "TIFF":
            return tiff_values(data, name, max_pixels)
        coarse = _CHECKS[kind](data, name, max_pixels)
        values, indices = pillow_values(data, kind, name, max_pixels)
        return Stored(values, coarse=coarse, indices=indices)
    except DataError:
        raise
    except Exception as error:  # damaged bytes can make a decoder raise any exception
        reason = _in_words(error)
        raise DataError(f"{name} cannot be decoded, it may be truncated or damaged: {reason}.") from error


def _in_words(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):  # its text is the address of a Python object
        return "its header is damaged"
    if isinstance(error, struct.error):
        return "it ends too early"
    return str(error).strip().split("\n")[0].rstrip(".")[:200] or type(error).__name__


def _check_png(data: bytes, name: str, max_pixels: int) -> bool:
    """Check the chunks of a PNG; whether Pillow gives only the upper half of its 16 bits."""
    place, chunks, coarse = 8, 0, False
    most = (
        4096 + len(data) // 1024
    )  # empty ones cost 13 microseconds each, those with pixels hold some kilobytes
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = place + 8
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack_from(">IIBB", data, body)
            check_size(name, width, height, max_pixels)
            coarse = depth == 16 and colour != 0
        elif kind == b"acTL" and (frames := struct.unpack_from(">I", data, body)[0]) > 1:
            raise several_images(name, frames)
        elif kind == b"eXIf":
            _check_exif(data[body : body + length], name)
        elif kind == b"IEND":
            break
        chunks += 1
        if chunks > most:
            raise DataError(f"{name} has more than {most:,} chunks, which no image needs; save it again.")
        place = body + length + 4
    return coarse


def _check_jpeg(data: bytes, name: str, max_pixels: int) -> bool:
    """Check the scans of a JPEG and the segments before the first."""
    if (scans := data.count(b"\xff\xda")) > MAX_SCANS:  # image data never holds these two bytes
        raise DataError(
            f"{name} has {scans:,} scans, more than the {MAX_SCANS} allowed; save it again as a plain JPEG."
        )
    place, exif = 2, b""
    for _ in range(_MAX_SEGMENTS):
        if place + 4 > len(data):
            break
        start, marker, length = struct.unpack_from(">BBH", data, place)
        if start != 0xFF or marker in (0x00, 0xFF):
            place += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without contents
            place += 2
        elif marker in (0xDA, 0xD9):
            break
        else:
            if marker in (0xC0, 0xC1, 0xC2):
                height, width = struct.unpack_from(">HH", data, place + 5)
                check_size(name, width, height, max_pixels)
            elif marker == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
                exif += data[place + 10 : place + 2 + length]
            place += 2 + length
    else:
        raise DataError(f"{name} has more than {_MAX_SEGMENTS:,} parts before its image; save it again.")
    if exif:
        _check_exif(exif, name)
    return False


def _check_exif(exif: bytes, name: str) -> None:
    if len(exif) > _MAX_EXIF:
        raise DataError(f"{name} has {len(exif):,} bytes of EXIF data; save it without them.")
    try:
        tags = read_directory(exif, name, most=_MAX_EXIF_TAGS).tags
    except DataError:
        raise
    except Exception:  # programs ignore EXIF data that they cannot read, and the pixels are not affected
        return
    if ORIENTATION in tags:
        check_orientation(name, int(tags[ORIENTATION].values[0]))


def _check_bmp(data: bytes, name: str, max_pixels: int) -> bool:
    """Nothing: its header has one size, which Pillow reads without decoding."""
    return False


_CHECKS: dict[str, Callable[[bytes, str, int], bool]] = {
    "PNG": _check_png,
    "JPEG": _check_jpeg,
    "BMP": _check_bmp,
}
