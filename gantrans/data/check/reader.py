"""Reading an image once: the values that its file stores, and what a training makes of them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantrans.data.check.facts import Reader, Seen
from gantrans.data.decoding import stored_values
from gantrans.data.encoding import Side
from gantrans.data.reading import unit_from_stored
from gantrans.data.stored import Stored
from gantrans.errors import DataError
from gantrans.images import uint8_from_unit


def reader(side: Side, bits: int | None) -> Reader:
    """A function that reads the images of one side: format, stored values, and how to go on."""

    def read(path: Path) -> tuple[str, NDArray[Any], Any]:
        data = _bytes(path)
        stored = stored_values(data, str(path))
        if stored.values.size == 0:
            raise DataError(f"{path} has no pixels (shape {stored.values.shape}).")
        form = "JPEG" if data[:2] == b"\xff\xd8" else path.suffix[1:].upper().replace("TIF", "TIFF")[:4]
        return form, stored.values, lambda: _seen(stored, path, bits)

    return read


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not data:
        raise DataError(f"{path} is empty (0 bytes); copy it again.")
    return data


def _seen(stored: Stored, path: Path, bits: int | None) -> Seen:
    grey = uint8_from_unit(unit_from_stored(stored, str(path), bits=bits))[0].numpy()
    return Seen(stored.values, grey, _coloured(stored.values))


def _coloured(values: NDArray[Any]) -> NDArray[np.uint8] | None:
    """The colours of an image in 8 bits; None if its channels are equal or there is only one."""
    if values.ndim != 3 or values.shape[2] < 3:
        return None
    colour = values[..., :3]
    if colour.dtype == np.uint16:
        colour = colour >> 8
    elif np.issubdtype(colour.dtype, np.floating):
        colour = colour * 255
    colour = colour.astype(np.uint8)
    plain = (colour[..., 0] == colour[..., 1]).all() and (colour[..., 1] == colour[..., 2]).all()
    return None if plain else colour
