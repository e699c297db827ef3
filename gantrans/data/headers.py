"""The size of an image from the header of its file, so that a folder is listed without decoding it."""

import mmap
import struct
from pathlib import Path
from typing import BinaryIO, cast

from gantrans.data.decoding import MAX_PIXELS
from gantrans.data.tiff import read_directory

_PNG, _TIFF = b"\x89PNG\r\n\x1a\n", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT = 256, 257  # tags
_PILLOW = {b"\xff\xd8": "JPEG", b"BM": "BMP"}


def image_size(path: str | Path) -> tuple[int, int] | None:
    """(height, width) in pixels of a PNG, TIFF, JPEG or BMP file; nothing is decoded.

    None where the header does not give a size that the decoder accepts: damaged, too large, another format.
    The decoder then says what is wrong.
    """
    try:
        with Path(path).open("rb") as file:
            height, width = _size(file)
    except Exception:  # damaged bytes can raise any; the decoder, which reads all of them, has the sentence
        return None
    return (height, width) if min(height, width) > 0 and height * width <= MAX_PIXELS else None


def _size(file: BinaryIO) -> tuple[int, int]:
    start = file.read(24)
    if start.startswith(_PNG) and start[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", start, 16)
        return height, width
    if start.startswith(_TIFF):
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # closed when its last user is gone
        found = read_directory(cast(bytes, mapped), file.name)
        return found.get(_HEIGHT, 0), found.get(_WIDTH, 0)
    from PIL import Image

    file.seek(0)
    with Image.open(file, formats=(_PILLOW[start[:2]],)) as image:
        return image.height, image.width
