"""Images cut into tiles of one size that cover them."""

from pathlib import Path

from torch import Tensor

from gantrans.errors import DataError


def cut_pair(
    pair: tuple[Tensor, Tensor], size: int | None, path: Path
) -> tuple[list[tuple[Tensor, Tensor]], list[tuple[int, int]]]:
    """Both images of a pair, (C, H, W), cut into tiles, and their upper left corners (y, x).

    Args:
        size: side of the tiles in pixels; None: the images as they are.
        path: named in errors.

    Raises:
        DataError: the images are smaller than a tile.
    """
    height, width = pair[0].shape[-2:]
    if size is None:
        return [pair], [(0, 0)]
    places = tile_places(height, width, size, path)
    first, second = ([image[:, y : y + size, x : x + size] for y, x in places] for image in pair)
    return list(zip(first, second, strict=True)), places


def tile_places(height: int, width: int, size: int, path: Path) -> list[tuple[int, int]]:
    """The upper left corners (y, x) of the tiles that cover an image.

    Raises:
        DataError: the image is smaller than a tile.
    """
    if min(height, width) < size:
        raise DataError(
            f"{path} is {width} x {height} px, smaller than the {size} px asked for; nothing is enlarged: "
            "give larger images, or ask for smaller ones (--scale)."
        )
    return [(y, x) for y in tile_starts(height, size) for x in tile_starts(width, size)]


def tile_starts(length: int, size: int) -> list[int]:
    """Evenly spread first pixels of the fewest tiles of `size` that cover `length` (>= size)."""
    count = -(-length // size)
    return [round(i * (length - size) / max(1, count - 1)) for i in range(count)]
