"""Images of any size in tiles with half overlap, blended by a smooth window; nothing is rescaled."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Tiling:
    """Tiles of side `tile` for an image of `height` by `width` pixels.

    The image is extended by reflection, at least by a quarter of a tile on each side, so that no pixel of it
    depends on the rim of a tile alone; an image smaller than a tile is extended to one.
    """

    def __init__(self, height: int, width: int, tile: int) -> None:
        self.height, self.width, self.tile = height, width, tile
        self.margin = tile // 4
        self.rows = starts(height + 2 * self.margin, tile)
        self.columns = starts(width + 2 * self.margin, tile)
        self.places = [(r, c) for r in self.rows for c in self.columns]

    @property
    def extended(self) -> tuple[int, int]:
        """Height and width of the extended image."""
        return self.rows[-1] + self.tile, self.columns[-1] + self.tile

    def extend(self, image: Tensor) -> Tensor:
        """(C, height, width) -> (C, *extended)."""
        return reflect(image, self.margin, *self.extended)

    def cut(self, extended: Tensor) -> Tensor:
        """(C, *extended) -> the tiles, (number of tiles, C, tile, tile)."""
        return torch.stack([extended[:, r : r + self.tile, c : c + self.tile] for r, c in self.places])

    def blend(self, tiles: Tensor) -> Tensor:
        """Tiles as of `cut` -> (C, *extended): where they overlap, their mean weighted by the window."""
        curve = window(self.tile).to(tiles)
        total = tiles.new_zeros(tiles.shape[1], *self.extended)
        weight = tiles.new_zeros(1, *self.extended)
        for part, (r, c) in zip(tiles, self.places, strict=True):
            total[:, r : r + self.tile, c : c + self.tile] += part * curve
            weight[:, r : r + self.tile, c : c + self.tile] += curve
        return total / weight

    def crop(self, extended: Tensor) -> Tensor:
        """(C, *extended) -> (C, height, width): the image without its extension."""
        inner = extended[:, self.margin : self.margin + self.height]
        return inner[:, :, self.margin : self.margin + self.width]


def starts(length: int, tile: int) -> Sequence[int]:
    """First pixels of tiles with half overlap that cover `length`; the last tile may extend past the end."""
    step = tile // 2
    return range(0, max(length - tile + step - 1, 0) // step * step + 1, step)


def reflect(image: Tensor, margin: int, height: int, width: int) -> Tensor:
    """Extend (C, H, W) by reflection, `margin` at the top and left, to (C, height, width)."""

    def index(length: int, total: int) -> Tensor:
        period = max(2 * (length - 1), 1)
        position = (torch.arange(total) - margin).remainder(period)
        return (
            torch.minimum(position, period - position) if length > 1 else torch.zeros(total, dtype=torch.long)
        )

    return image[:, index(image.shape[-2], height)][:, :, index(image.shape[-1], width)]


def window(tile: int) -> Tensor:
    """Squared-sine window (tile, tile), positive everywhere; copies with half overlap sum to a constant."""
    line = torch.sin(torch.pi * (torch.arange(tile) + 0.5) / tile) ** 2
    return line[:, None] * line[None, :]
