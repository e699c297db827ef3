"""TIFF files: the directory read with limits, and uncompressed or deflated values decoded without loss.

Pillow turns 16-bit colour into 8 bits and fills missing strips with nothing or rubbish, so the directory is
read here, every strip is accounted for, and Pillow decodes only what is compressed otherwise (LZW, PackBits,
JPEG, Zstandard). Source: TIFF revision 6.0 (1992), with supplement 2 for deflate; BigTIFF.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gantrans.data.stored import (
    MAX_SCANS,
    Stored,
    check_orientation,
    check_size,
    pillow_values,
    several_images,
)
from gantrans.errors import DataError

ORIENTATION = 274
MAX_TAGS = 1024
MAX_SIDE = 65_535
"""Of an image in pixels: as JPEG, and so the most strips that one can have."""
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL = 256, 257, 258, 259, 262, 266
_STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR, _PREDICTOR, _COLOURS = 273, 277, 278, 279, 284, 317, 320
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _FORMAT = 322, 323, 324, 325, 339
_TYPES = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 13: "u4", 16: "u8"}
_SIZES = {5: 8, 10: 8, 11: 4, 12: 8, 17: 8, 18: 8} | {k: int(v[1]) for k, v in _TYPES.items()}
_NONE, _JPEG, _DEFLATE = 1, 7, (8, 32946)
_BY_PILLOW = (5, _JPEG, 32773, 50000)
"""LZW, JPEG, PackBits, Zstandard; not fax, of which a cut strip is decoded to rubbish without an error."""
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6


@dataclass(frozen=True)
class Tag:
    """One entry of a directory; `values` is empty for types that are no integers."""

    values: np.ndarray


@dataclass(frozen=True)
class Directory:
    """Tags by number, the byte order, and how many directories the file has (counted up to 1,000)."""

    tags: dict[int, Tag]
    order: str
    pages: int

    def get(self, tag: int, default: int) -> int:
        """The first value of a tag."""
        return int(self.tags[tag].values[0]) if tag in self.tags else default

    def all(self, tag: int) -> list[int]:
        """All values of a tag; [] if it is absent."""
        return [int(value) for value in self.tags[tag].values] if tag in self.tags else []


def read_directory(data: bytes, name: str, *, most: int = MAX_TAGS) -> Directory:
    """The first directory of a TIFF file, or of EXIF data, which have the same form.

    Args:
        most: the largest number of tags.

    Raises:
        DataError: too many tags, or tags that together are larger than the file.
        struct.error, ValueError, IndexError: damaged.
    """
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    place = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)[0]
    count_form, entry_form, inline = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    count = struct.unpack_from(f"{order}{count_form}", data, place)[0]
    if count > most:
        raise DataError(f"{name} has {count:,} tags, more than the {most:,} allowed; save it again.")
    start = place + struct.calcsize(f"{order}{count_form}")
    tags, total = {}, 0
    step = struct.calcsize(f"{order}{entry_form}") + inline
    for entry in range(start, start + count * step, step):
        tag, kind, number = struct.unpack_from(f"{order}{entry_form}", data, entry)
        where, size = entry + step - inline, _SIZES.get(kind, 1) * number
        total += size
        if size > inline:
            where = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, where)[0]
        if kind in _TYPES and number:
            tags[tag] = Tag(np.frombuffer(data, f"{order}{_TYPES[kind]}", number, where))
        elif where + size > len(data):
            raise ValueError(f"tag {tag} lies outside the file")
    if total > len(data):  # tags that share their bytes would be copied once each
        raise DataError(f"{name} has tags of {total:,} bytes in all, more than the file; save it again.")
    return Directory(tags, order, _pages(data, order, big, place, count_form, step))


def _pages(data: bytes, order: str, big: bool, place: int, count_form: str, step: int) -> int:
    """The number of directories, up to 1,000."""
    seen: set[int] = set()
    while place and place not in seen and len(seen) < 1000:
        seen.add(place)
        count = struct.unpack_from(f"{order}{count_form}", data, place)[0]
        after = place + struct.calcsize(f"{order}{count_form}") + count * step
        place = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, after)[0]
    return len(seen) + (place in seen)


@dataclass(frozen=True)
class Layout:
    """How the values of an image lie in its file."""

    width: int
    height: int
    bits: int
    samples: int
    dtype: np.dtype
    separate: bool
    block: tuple[int, int]
    """Height and width of a strip or tile; the last strip may be lower, tiles are whole."""
    tiled: bool
    offsets: list[int]
    lengths: list[int]

    @property
    def per_pixel(self) -> int:
        """Samples of a pixel that lie side by side."""
        return 1 if self.separate else self.samples

    def rows(self, index: int) -> int:
        """Height of a block that is no tile."""
        return min(self.block[0], self.height - index % self.down * self.block[0])

    @property
    def down(self) -> int:
        """Blocks in a column."""
        return -(-self.height // self.block[0])

    @property
    def across(self) -> int:
        """Blocks in a row."""
        return -(-self.width // self.block[1])

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a block, which begins with a new byte."""
        return -(-self.block[1] * self.per_pixel * self.bits // 8)


def tiff_values(data: bytes, name: str, max_pixels: int) -> Stored:
    """The values of a TIFF file with one image.

    Raises:
        DataError: too large, several images, turned, strips missing, or without a grey value.
        Exception: any, for damaged bytes.
    """
    found = read_directory(data, name)
    if found.pages > 1:
        raise several_images(name, found.pages)
    width, height = found.get(_WIDTH, 0), found.get(_HEIGHT, 0)
    check_size(name, width, height, max_pixels)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise DataError(
            f"{name} has {width} x {height} px; a side has 1 to {MAX_SIDE:,}: cut it, or save it again."
        )
    check_orientation(name, found.get(ORIENTATION, 1))
    compression, photometric = found.get(_COMPRESSION, _NONE), found.get(_PHOTOMETRIC, _BLACK_IS_ZERO)
    if photometric > _PALETTE and not (photometric == _YCBCR and compression == _JPEG):
        raise DataError(
            f"{name} is in a colour space that has no grey value here (photometric {photometric}, as CMYK or "
            "LAB); save it as grey or RGB."
        )
    layout = _layout(found, name, width, height)
    ours = (
        compression in (_NONE, *_DEFLATE) and found.get(_PREDICTOR, 1) in (1, 2) and found.get(_FILL, 1) == 1
    )
    if ours and (layout.bits in (1, 2, 4) or layout.bits == 8 * layout.dtype.itemsize):
        _check_lengths(layout, name, exact=compression == _NONE)
        values = _decoded(data, layout, compression, found.get(_PREDICTOR, 1))
        return _read(values, found, layout, photometric)
    if compression == _JPEG:
        _check_jpegs(data, layout, name)
    if compression not in (_NONE, *_DEFLATE, *_BY_PILLOW):
        raise DataError(f"{name} is compressed by method {compression}; save it uncompressed or with LZW.")
    values, indices = pillow_values(data, "TIFF", name, max_pixels)
    inverted = photometric == _WHITE_IS_ZERO
    if inverted and values.dtype in (np.bool_, np.uint8) and values.ndim == 2:
        values = ~values  # Pillow inverts these itself
    coarse = layout.bits == 16 and values.dtype == np.uint8
    return Stored(values, inverted, coarse, 12 if layout.bits == 12 else None, tiff=True, indices=indices)


def _layout(found: Directory, name: str, width: int, height: int) -> Layout:
    samples, bits = found.get(_SAMPLES, 1), set(found.all(_BITS) or [1])
    formats = set(found.all(_FORMAT) or [1])
    if len(bits) != 1 or len(formats) != 1 or not 0 < samples <= 64:
        raise DataError(f"{name} has {samples} channels of different kinds; save it as grey or RGB.")
    depth, kind = bits.pop(), {2: "i", 3: "f"}.get(formats.pop(), "u")
    tiled = _TILES in found.tags
    block = (
        (found.get(_TILE_HEIGHT, 0), found.get(_TILE_WIDTH, 0))
        if tiled
        else (min(found.get(_ROWS, height), height), width)
    )
    if min(block) < 1 or max(block) > 2 * MAX_SIDE:
        raise DataError(f"{name} has tiles of {block[1]} x {block[0]} px; save it again.")
    layout = Layout(
        width=width,
        height=height,
        bits=depth,
        samples=samples,
        dtype=np.dtype(f"{found.order}{kind}{depth // 8}") if depth in (8, 16, 32, 64) else np.dtype("u1"),
        separate=found.get(_PLANAR, 1) == 2 and samples > 1,
        block=block,
        tiled=tiled,
        offsets=found.all(_TILES if tiled else _STRIPS),
        lengths=found.all(_TILE_BYTES if tiled else _STRIP_BYTES),
    )
    needed = layout.across * layout.down * (samples if layout.separate else 1)
    complete = len(layout.offsets) == len(layout.lengths) == needed
    if not complete or min(layout.offsets) < 1 or min(layout.lengths) < 1:
        there = sum(1 for place in zip(layout.offsets, layout.lengths, strict=False) if min(place) > 0)
        raise DataError(
            f"{name} has {there} of its {needed} {'tiles' if tiled else 'strips'}, so a part of the image is "
            "missing; save it again from the original."
        )
    return layout


def _check_lengths(layout: Layout, name: str, *, exact: bool) -> None:
    """See that the strips of an uncompressed image have all its bytes."""
    if not exact:
        return
    for index, length in enumerate(layout.lengths):
        rows = layout.block[0] if layout.tiled else layout.rows(index)
        if length < rows * layout.row_bytes:
            raise DataError(
                f"{name} has a strip of {length:,} bytes where {rows * layout.row_bytes:,} are needed, so a "
                "part of the image is missing; save it again from the original."
            )


def _check_jpegs(data: bytes, layout: Layout, name: str) -> None:
    """See that every strip is a whole JPEG, and that there are not too many scans: libtiff checks neither."""
    if data.count(b"\xff\xda") > MAX_SCANS + len(layout.offsets):
        raise DataError(f"{name} has more than {MAX_SCANS} JPEG scans; save it again without compression.")
    for offset, length in zip(layout.offsets, layout.lengths, strict=True):
        if b"\xff\xd9" not in data[max(offset, offset + length - 4) : offset + length]:
            raise DataError(
                f"{name} has a strip that ends too early, so a part of the image is missing; save it again "
                "from the original."
            )


def _decoded(data: bytes, layout: Layout, compression: int, predictor: int) -> np.ndarray:
    """All values, (height, width, samples), in this machine's byte order; bits below 8 as whole numbers."""
    size, planes = (layout.block[0] * layout.row_bytes), layout.samples if layout.separate else 1
    packed = [o - layout.offsets[0] for o in layout.offsets] == list(
        range(0, len(layout.offsets) * size, size)
    )
    if compression == _NONE and packed and not layout.tiled and planes == 1 and predictor == 1:
        whole = memoryview(data)[layout.offsets[0] :][: layout.height * layout.row_bytes]
        return _samples(whole, layout, layout.height)
    out = np.empty((planes, layout.height, layout.width, layout.per_pixel), _native(layout))
    blocks = layout.across * layout.down
    for index, (offset, length) in enumerate(zip(layout.offsets, layout.lengths, strict=True)):
        plane, place = divmod(index, blocks)
        rows = layout.block[0] if layout.tiled else layout.rows(place)
        raw: bytes | memoryview = memoryview(data)[offset : offset + length]
        if compression != _NONE:
            raw = zlib.decompressobj().decompress(raw, rows * layout.row_bytes)
        values = _samples(raw[: rows * layout.row_bytes], layout, rows)
        if predictor == 2:  # each value was stored as its difference from the one to the left
            values = np.cumsum(values, axis=1, dtype=values.dtype)
        top, left = place // layout.across * layout.block[0], place % layout.across * layout.block[1]
        into = out[plane, top : top + rows, left : left + layout.block[1]]
        into[...] = values[: into.shape[0], : into.shape[1]]
    return out.transpose(1, 2, 0, 3).reshape(layout.height, layout.width, layout.samples)


def _samples(raw: bytes | memoryview, layout: Layout, rows: int) -> np.ndarray:
    """The values of one block, (rows, block width, samples side by side).

    Raises:
        ValueError: bytes are missing.
    """
    shape = (rows, layout.block[1], layout.per_pixel)
    if len(raw) < rows * layout.row_bytes:
        raise ValueError("a strip ends too early")
    if layout.bits >= 8:
        values = np.frombuffer(raw, layout.dtype).reshape(shape)
        return values.astype(_native(layout), copy=False)
    lines = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(rows, layout.row_bytes), axis=1)
    bits = lines[:, : layout.block[1] * layout.per_pixel * layout.bits].reshape(*shape, layout.bits)
    weights = 2 ** np.arange(layout.bits - 1, -1, -1, dtype=np.uint8)
    return (bits * weights).sum(-1, dtype=np.uint8)


def _native(layout: Layout) -> np.dtype:
    return layout.dtype.newbyteorder("=")


def _read(values: np.ndarray, found: Directory, layout: Layout, photometric: int) -> Stored:
    """Decoded values as stored ones: palettes looked up, fewer than 8 bits spread over 8."""
    if photometric == _PALETTE:
        indices = values[..., 0]
        return Stored(_colours(found.all(_COLOURS), layout.bits)[indices], tiff=True, indices=indices)
    if layout.bits == 1:
        values = values.astype(np.bool_)
    elif layout.bits < 8:
        values = values * np.uint8(255 // (2**layout.bits - 1))
    if values.shape[-1] == 1:
        values = values[..., 0]
    return Stored(values, inverted=photometric == _WHITE_IS_ZERO, tiff=True)


def _colours(table: Sequence[int], bits: int) -> np.ndarray:
    """The colours of a palette, (2^bits, 3) uint8; some programs store 8 bits and not 16.

    Raises:
        ValueError: it has another size.
    """
    colours = np.array(table, np.int64).reshape(3, 2**bits).T
    return (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)
