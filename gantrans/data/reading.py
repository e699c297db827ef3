"""Reading image files: 8-bit, 16-bit and float, grey or colour, always to float32 in [0, 1].

A plain conversion to grey turns 16-bit images white and float images black; here every case is handled
explicitly, and an unsupported file raises a one-sentence error with the file and the reason.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gantrans.errors import DataError
from gantrans.files import replace_file
from gantrans.images import uint8_from_unit

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def read_image(path: str | Path) -> Tensor:
    """Read a PNG, TIFF or JPEG file as (1, H, W) float32 in [0, 1].

    8-bit values are divided by 255, 16-bit values by 65,535, float values are unchanged and must be
    in [0, 1]. Colour becomes luma (ITU-R BT.601, which leaves equal channels unchanged); an alpha channel
    must be opaque. Orientation tags are not applied.

    Raises:
        DataError: naming the file and the reason.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist or is not a file.")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} is not a PNG, TIFF or JPEG file; convert it first.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); copy it again.")
    return unit_from_values(_decode(path), str(path), tiff=_is_tiff(path))


def unit_from_values(values: np.ndarray, name: str, *, tiff: bool = False) -> Tensor:
    """Stored values, (H, W) or (H, W, channels), as (1, H, W) float32 in [0, 1]; rules as in `read_image`.

    Args:
        name: of the image, for messages.
        tiff: two channels are two images rather than grey and alpha.

    Raises:
        DataError: naming the image and the reason.
    """
    grey = _grey(name, _scale(name, values), tiff)
    return torch.from_numpy(grey.astype(np.float32)).unsqueeze(0)


def pillow_values(image: "Image", name: str) -> np.ndarray:
    """The stored values of an open Pillow image; a palette is looked up.

    Raises:
        DataError: the colour mode has no grey value without a colour profile.
    """
    if image.mode in ("CMYK", "YCCK", "LAB", "HSV"):
        raise DataError(f"{name} is in colour mode {image.mode}; save it as grey or RGB.")
    palette = image.mode == "P"
    values = np.asarray(
        image.convert("RGBA" if "transparency" in image.info else "RGB") if palette else image
    )
    # Older Pillow opens 16-bit grey PNG as 32-bit integers.
    return values.astype(np.uint16) if image.mode == "I" and image.format == "PNG" else values


def _decode(path: Path) -> np.ndarray:
    """The stored values; any exception of a decoder on a damaged file becomes a one-sentence `DataError`."""
    try:
        return _decode_tiff(path) if _is_tiff(path) else _decode_pillow(path)
    except DataError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise DataError(f"{path} cannot be decoded, it may be truncated or damaged: {reason}.") from error


def _decode_pillow(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return pillow_values(image, str(path))


def _is_tiff(path: Path) -> bool:
    return path.suffix.lower() in (".tif", ".tiff")


def _decode_tiff(path: Path) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        if len(tiff.pages) > 1:
            raise DataError(f"{path} has {len(tiff.pages)} pages; save the one you mean as a single image.")
        page = tiff.pages.first
        try:
            values = np.asarray(page.asarray())
            return _inverted(values) if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE else values
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
    return _decode_pillow(path)  # compressed in a format that Pillow supports


def _inverted(values: np.ndarray) -> np.ndarray:
    """The values of a TIFF file in which zero is white, inverted so that zero is black."""
    if values.dtype == np.bool_:
        return ~values
    return np.iinfo(values.dtype).max - values if np.issubdtype(values.dtype, np.integer) else 1.0 - values


def _scale(name: str, values: np.ndarray) -> np.ndarray:
    """Stored values to floats in [0, 1]."""
    if values.size == 0:
        raise DataError(f"{name} has no pixels (shape {values.shape}).")
    if values.dtype == np.bool_:
        return values.astype(np.float64)
    if values.dtype in (np.uint8, np.uint16):
        return values / float(np.iinfo(values.dtype).max)
    if not np.issubdtype(values.dtype, np.floating):
        raise DataError(
            f"{name} holds {values.dtype} values, whose white level is unknown; save 8-bit, 16-bit or float."
        )
    if not np.isfinite(values).all():
        raise DataError(f"{name} contains NaN or infinite values; repair or drop the image.")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise DataError(f"{name} holds float values from {low:g} to {high:g}; scale them to [0, 1] first.")
    return values.astype(np.float64)


def _grey(name: str, values: np.ndarray, tiff: bool) -> np.ndarray:
    """(H, W), (H, W, 1), (H, W, 3) or opaque (H, W, 2 or 4) -> (H, W)."""
    if values.ndim == 2:
        return values
    if values.ndim != 3 or values.shape[-1] not in (1, 2, 3, 4):
        raise DataError(
            f"{name} has shape {values.shape}; a grey or RGB image (height, width, channels) is needed."
        )
    if values.shape[-1] in (2, 4):
        if tiff and values.shape[-1] == 2:
            raise DataError(f"{name} has 2 channels; save the one you mean as a grey image.")
        if values[..., -1].min() < 1:
            raise DataError(f"{name} has transparent pixels, which have no grey value; flatten it first.")
        values = values[..., :-1]
    return values[..., 0] if values.shape[-1] == 1 else values @ _LUMA


def write_image(path: str | Path, image: Tensor) -> None:
    """Write (1, H, W) in [0, 1] as an 8-bit grey PNG, completely or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    from PIL import Image

    path = Path(path)
    buffer = io.BytesIO()
    Image.fromarray(uint8_from_unit(image)[0].numpy()).save(buffer, format="PNG", compress_level=1)
    try:
        replace_file(path, buffer.getvalue(), sync=False)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error
