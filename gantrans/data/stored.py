"""The values of an image as its file stores them, and what is checked in files of every format."""

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gantrans.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SCANS = 100
"""Of a JPEG: a progressive one has about 10, and each costs a pass over all pixels."""


@dataclass(frozen=True)
class Stored:
    """The values of an image as its file has them.

    values: (H, W) or (H, W, channels) in this machine's byte order; a palette is looked up.
    inverted: small values are white.
    coarse: 16-bit values of which only the upper 8 bits were decoded.
    bits: number of used bits, where the file itself states it.
    tiff: two channels are two images rather than grey and alpha.
    indices: (H, W) of a palette image, which is looked up in `values`.
    """

    values: np.ndarray
    inverted: bool = False
    coarse: bool = False
    bits: int | None = None
    tiff: bool = False
    indices: np.ndarray | None = None

    def part(self, half: str | None, name: str) -> "Stored":
        """The "left" or "right" half of two images side by side; None: the whole.

        Raises:
            DataError: the width is odd.
        """
        if half is None:
            return self
        width = self.values.shape[1] if self.values.ndim > 1 else 0
        if width < 2 or width % 2:
            raise DataError(
                f"{name} is {width} px wide, which are not two images of one width side by side; correct the "
                "file, or state how the files lie with --layout."
            )
        columns = slice(0, width // 2) if half == "left" else slice(width // 2, width)
        indices = None if self.indices is None else self.indices[:, columns]
        return replace(self, values=self.values[:, columns], indices=indices)


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Raise a `DataError` if an image has too many pixels."""
    if width * height > max_pixels:
        raise DataError(
            f"{name} has {width} x {height} px, more than the {max_pixels:,} px allowed; cut it into parts."
        )


def check_orientation(name: str, value: int) -> None:
    """Raise a `DataError` for an orientation tag that turns or mirrors the image (0: not known)."""
    if value not in (0, 1):
        raise DataError(
            f"{name} is stored turned or mirrored (orientation tag {value}), and not all programs follow the "
            "tag; save it upright, without one."
        )


def several_images(name: str, count: int) -> DataError:
    """The refusal of a file with more than one image."""
    return DataError(f"{name} holds several images ({count} pages); save the one you mean as a single image.")


def pillow_values(data: bytes, kind: str, name: str, max_pixels: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The values that Pillow decodes, a palette and transparent colours looked up; and a palette's indices.

    Raises:
        DataError: too many pixels, several images, or a colour mode without a grey value.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as image:
            check_size(name, *image.size, max_pixels)
            if kind != "TIFF" and (frames := getattr(image, "n_frames", 1)) > 1:
                raise several_images(name, frames)
            values = np.asarray(_looked_up(image, name))
            if image.mode == "I" and kind == "PNG":  # so older Pillow opens 16-bit grey
                return values.astype(np.uint16), None
            return values.astype(values.dtype.newbyteorder("="), copy=False), _indices(image)
    except Image.DecompressionBombError as error:
        raise DataError(f"{name} has more than the {max_pixels:,} px allowed; cut it into parts.") from error


def _looked_up(image: "Image", name: str) -> "Image":
    if image.mode in ("CMYK", "YCbCr", "YCCK", "LAB", "HSV"):
        raise DataError(f"{name} is in colour mode {image.mode}; save it as grey or RGB.")
    clear = "transparency" in image.info
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if clear or image.mode == "PA" else "RGB")
    return image.convert(f"{image.mode}A") if clear and image.mode in ("L", "RGB") else image


def _indices(image: "Image") -> np.ndarray | None:
    """The indices of a palette image, (H, W) uint8."""
    if image.mode not in ("P", "PA"):
        return None
    indices = np.asarray(image)
    return indices[..., 0] if indices.ndim == 3 else indices
