"""Writing images: PNG or TIFF, 8 or 16 bits, grey or colour, and the classes of pixels as they are stored.

Pillow writes no 16-bit colour, so that the few bytes around the pixels are written here. A file is replaced
completely or not at all.
"""

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from gantrans.data.stored import Stored
from gantrans.errors import DataError
from gantrans.files import replace_file

PALETTE = (
    "#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#ffffff",
)  # fmt: skip
"""Colours by which classes are shown, after Okabe and Ito (2008); further ones are evenly spread greys."""
Colour = tuple[int, int, int]


def write_image(path: str | Path, image: Tensor, *, depth: int = 8) -> None:
    """Write (1 or 3, H, W) in [0, 1] as a grey or RGB image; white is 255, or 65,535 in 16 bits.

    The suffix decides the format: .tif and .tiff give an uncompressed TIFF, all others a PNG.

    Raises:
        DataError: the file cannot be written.
    """
    path = Path(path)
    _replace(path, _tiff(whole_numbers(image, depth)) if _is_tiff(path) else png_bytes(image, depth))


def png_bytes(image: Tensor, depth: int = 8) -> bytes:
    """(1 or 3, H, W) in [0, 1] as a grey or RGB PNG of 8 or 16 bits."""
    return encoded(whole_numbers(image, depth))


def whole_numbers(image: Tensor, depth: int) -> np.ndarray:
    """(C, H, W) in [0, 1] -> (H, W, C) uint8 or uint16, rounded to the nearest of 0 to 2^depth - 1."""
    top = 2**depth - 1
    whole = (image * float(top)).round().clamp(0, top).permute(1, 2, 0)
    return whole.numpy().astype(np.uint16 if depth == 16 else np.uint8)


def depth_of(stored: Stored) -> int:
    """The depth in which the translation of an image is written: 8 bits for an 8-bit image, else 16."""
    return 8 if stored.values.dtype in (np.bool_, np.uint8) and not stored.coarse else 16


def write_classes(path: str | Path, numbers: Tensor, stored: Sequence[str]) -> None:
    """Write the numbers of classes, (1, H, W) whole numbers, by their stored values.

    Whole numbers up to 255 are the indices of a palette PNG, larger ones the values of a 16-bit grey PNG;
    colours `#rrggbb` give RGB. A TIFF has the values as grey.

    Raises:
        DataError: the file cannot be written.
    """
    path = Path(path)
    _replace(path, _tiff(as_stored(numbers, stored)) if _is_tiff(path) else classes_png(numbers, stored))


def classes_png(numbers: Tensor, stored: Sequence[str]) -> bytes:
    """The PNG that `write_classes` writes."""
    values = as_stored(numbers, stored)
    return encoded(
        values, class_palette(stored) if values.shape[-1] == 1 and values.dtype == np.uint8 else b""
    )


def as_stored(numbers: Tensor, stored: Sequence[str]) -> np.ndarray:
    """(1, H, W) numbers of classes -> their stored values, (H, W, 1 or 3) uint8, or uint16 above 255."""
    index = numbers[0].long().numpy()
    if stored[0].startswith("#"):
        return np.array(class_colours(stored), np.uint8)[index]
    known = np.array([int(value) for value in stored], np.uint16)
    return (known if known.max() > 255 else known.astype(np.uint8))[index][..., None]


def class_colours(stored: Sequence[str]) -> list[Colour]:
    """The colour that shows each class: its own, or for whole numbers that of `PALETTE` or a grey."""
    if stored[0].startswith("#"):
        return [_colour(value) for value in stored]
    further = max(1, len(stored) - len(PALETTE))
    greys = [255 * (k + 1) // (further + 1) for k in range(further)]
    return ([_colour(value) for value in PALETTE] + [(grey,) * 3 for grey in greys])[: len(stored)]


def class_palette(stored: Sequence[str]) -> bytes:
    """The 768 bytes of a palette that shows each stored value, up to 255, in its colour, others in grey."""
    colours: list[Colour] = [(k, k, k) for k in range(256)]
    for value, colour in zip(stored, class_colours(stored), strict=True):
        colours[int(value)] = colour
    return b"".join(map(bytes, colours))


def _colour(value: str) -> Colour:
    red, green, blue = bytes.fromhex(value[1:])
    return red, green, blue


def _is_tiff(path: Path) -> bool:
    return path.suffix.lower() in (".tif", ".tiff")


def _replace(path: Path, data: bytes) -> None:
    try:
        replace_file(path, data, sync=False)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error


def encoded(values: np.ndarray, palette: bytes = b"") -> bytes:
    """(H, W) or (H, W, 1 or 3) uint8 or uint16 as a PNG; with a palette the values are its indices."""
    if values.ndim == 2:
        values = values[..., None]
    if values.dtype == np.uint8:
        from PIL import Image

        buffer = io.BytesIO()
        plain = values[..., 0] if values.shape[-1] == 1 else values
        image = Image.fromarray(np.ascontiguousarray(plain))
        if palette:
            image.putpalette(palette)  # the image becomes one of mode P
        image.save(buffer, format="PNG", compress_level=1, **({"bits": 8} if palette else {}))
        return buffer.getvalue()
    height, width, channels = values.shape
    rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # filter 0: as it is
    header = struct.pack(">IIBBBBB", width, height, 16, 0 if channels == 1 else 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def _tiff(values: np.ndarray) -> bytes:
    """One uncompressed strip behind the header (TIFF 6.0, baseline grey or RGB, little-endian)."""
    height, width, channels = values.shape
    bits = values.dtype.itemsize * 8
    pixels = values.astype(f"<u{bits // 8}").tobytes()
    pixels += b"\0" * (len(pixels) % 2)  # the directory begins at an even place
    behind = 8 + len(pixels)
    depths = 2 + 10 * 12 + 4 + behind  # where the bits of three channels stand, after the directory
    short, long = 3, 4
    tags = [
        (256, long, 1, width), (257, long, 1, height),
        (258, short, channels, bits if channels == 1 else depths),
        (259, short, 1, 1), (262, short, 1, 1 if channels == 1 else 2), (273, long, 1, 8),
        (277, short, 1, channels), (278, long, 1, height),
        (279, long, 1, values.nbytes),
        (284, short, 1, 1),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    directory += struct.pack("<I", 0) + struct.pack("<3H", bits, bits, bits)
    return b"II*\0" + struct.pack("<I", behind) + pixels + directory
