"""Pictures as a store keeps them: grey or colour of 8 or 16 bits, or a mask of classes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantrans.data.writing import as_stored, class_colours, class_palette, encoded, whole_numbers
from gantrans.errors import DataError


@dataclass(frozen=True)
class Picture:
    """The pixels of an image as its PNG stores them.

    values: (H, W) or (H, W, 3), uint8 or uint16 in this machine's byte order.
    palette: 256 colours, 768 bytes, of a mask whose values are those of classes; else empty.
    """

    values: NDArray[np.uint8] | NDArray[np.uint16]
    palette: bytes = b""

    @classmethod
    def of(cls, image: Tensor, depth: int = 8) -> "Picture":
        """(1 or 3, H, W) in [0, 1], rounded to the nearest of `depth` bits, 8 or 16."""
        values = whole_numbers(image.detach().cpu(), depth)
        return cls(np.ascontiguousarray(values[..., 0] if values.shape[-1] == 1 else values))

    @classmethod
    def of_classes(cls, numbers: Tensor, classes: Sequence[str]) -> "Picture":
        """Numbers of classes, (1, H, W), as their stored values: colours as RGB, whole numbers with a palette
        or, above 255, as 16-bit grey.
        """
        values = as_stored(numbers.cpu(), classes)
        if values.shape[-1] == 3:
            return cls(values)
        return cls(values[..., 0], class_palette(classes) if values.dtype == np.uint8 else b"")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def depth(self) -> int:
        """Bits of a value, 8 or 16."""
        return 8 * self.values.dtype.itemsize

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.values.ndim == 2 else 3

    @cached_property
    def name(self) -> str:
        """A hash of size, kind (none for 8-bit grey) and pixels, independent of the encoder."""
        kind = "classes " if self.palette else f"{self.channels} x {self.depth} "
        head = "{} {} ".format(*self.size) + ("" if kind == "1 x 8 " else kind)
        pixels = self.values.astype(self.values.dtype.newbyteorder("<")).tobytes()
        return hashlib.sha256(head.encode() + pixels).hexdigest()

    def unit(self) -> Tensor:
        """(1 or 3, H, W) float32 in [0, 1]."""
        values = torch.from_numpy(self.values.astype(np.float32)).div_(float(2**self.depth - 1))
        return values[None] if self.channels == 1 else values.permute(2, 0, 1).contiguous()

    def codes(self) -> NDArray[np.int64]:
        """(H, W): each pixel as one whole number, of colour 65,536 red + 256 green + blue."""
        values = self.values.astype(np.int64)
        return values if values.ndim == 2 else values @ np.array([1 << 16, 1 << 8, 1])

    def numbers(self, classes: Sequence[str]) -> Tensor:
        """The number of each pixel's class, (1, H, W) uint8.

        Raises:
            DataError: a pixel has none of the stored values `classes`.
        """
        coloured = classes[0].startswith("#")
        known = np.array([int(value[1:], 16) if coloured else int(value) for value in classes])
        order, codes = known.argsort(), self.codes()
        found = order[np.searchsorted(known[order], codes).clip(max=len(known) - 1)]
        wrong = known[found] != codes
        if wrong.any() or coloured != (self.channels == 3):
            raise DataError(
                f"A mask holds other values than the classes {', '.join(classes)}, in {int(wrong.sum())} "
                "pixels; its model had other classes."
            )
        return torch.from_numpy(found.astype(np.uint8))[None]

    def png(self) -> bytes:
        """The picture as a PNG of its own depth and channels."""
        return encoded(self.values, self.palette)


def legend(classes: Sequence[str]) -> list[dict[str, str]]:
    """For a page: the stored value of each class, and its colour as `#rrggbb`."""
    colours = [
        "#{:02x}{:02x}{:02x}".format(*colour) for colour in (class_colours(classes) if classes else ())
    ]
    return [{"value": value, "colour": colour} for value, colour in zip(classes, colours, strict=True)]
