"""Reading an image once: the values that its file stores, and what a training makes of them."""

from pathlib import Path

import numpy as np

from gantrans.data.check.facts import Opened, Reader, Seen
from gantrans.data.check.pixels import LUMA, Bytes
from gantrans.data.encoding import Side
from gantrans.data.reading import Source, pixels_from_stored, stored_file
from gantrans.data.stored import Stored
from gantrans.errors import DataError


def reader(side: Side, bits: int | None) -> Reader:
    """A function that reads the images of one side."""

    def read(source: Source) -> Opened:
        stored = stored_file(source)
        if stored.values.size == 0:
            raise DataError(f"{source} has no pixels (shape {stored.values.shape}).")
        stated = stored.values if stored.indices is None else stored.indices
        return Opened(
            _form(source.path), stored.values, stated, lambda: _seen(stored, str(source), bits, side)
        )

    return read


def _form(path: Path) -> str:
    with path.open("rb") as file:
        begin = file.read(2)
    forms = {b"\xff\xd8": "JPEG", b"\x89P": "PNG", b"BM": "BMP"}
    return forms.get(begin, "TIFF")


def _seen(stored: Stored, name: str, bits: int | None, side: Side) -> Seen:
    read = pixels_from_stored(stored, name, bits=bits, side=side).numpy()
    grey = read[0] if len(read) == 1 else np.rint(read.transpose(1, 2, 0) @ LUMA).astype(np.uint8)
    return Seen(grey, None if side.classes else _coloured(stored))


def _coloured(stored: Stored) -> Bytes | None:
    """The colours of an image in 8 bits; None if its channels are equal or there is only one."""
    values = stored.values
    if values.ndim != 3 or values.shape[2] < 3:
        return None
    colour = values[..., :3]
    if colour.dtype == np.uint16:
        colour = colour >> 8
    elif np.issubdtype(colour.dtype, np.floating):
        colour = colour * 255
    eight = colour.astype(np.uint8)
    plain = (eight[..., 0] == eight[..., 1]).all() and (eight[..., 1] == eight[..., 2]).all()
    return None if plain else eight
