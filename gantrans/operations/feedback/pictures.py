"""Images for a browser: PNGs, outlines as SVG paths, and difference maps."""

import io

import torch
from torch import Tensor

from gantrans.images import uint8_from_unit
from gantrans.metrics import find_contours

BRIGHTER = (0.84, 0.37, 0.0)  # vermilion and blue can be distinguished with every kind of colour vision
DARKER = (0.0, 0.45, 0.70)


def encode_png(image: Tensor) -> bytes:
    """(1, H, W) or (3, H, W) in [0, 1] as an 8-bit PNG, grey or RGB."""
    from PIL import Image

    pixels = uint8_from_unit(image.detach().cpu())
    array = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0).contiguous()
    buffer = io.BytesIO()
    Image.fromarray(array.numpy()).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def difference_map(image: Tensor, reference: Tensor) -> Tensor:
    """`image` - `reference` in colour on white: (1, H, W) in [0, 1] twice -> (3, H, W) in [0, 1].

    Vermilion where the image is brighter, blue where it is darker, white where both are equal.
    """
    signed = (image - reference)[0]
    colours = torch.tensor([BRIGHTER, DARKER])[(signed < 0).long()]  # (H, W, 3)
    return (1.0 - signed.abs()[..., None] * (1.0 - colours)).permute(2, 0, 1)


def outline(image: Tensor) -> str:
    """The contours of (1, H, W) at level 0.5 as the `d` attribute of an SVG path, in px.

    In a contour's positions integers are pixel centres; in the path, pixel (0, 0) extends from 0 to 1.
    """
    contours = find_contours(image[None])
    starts, ends = ([tuple(p) for p in points.tolist()] for points in (contours.start, contours.end))
    following = {point: i for i, point in enumerate(starts)}
    inner = set(ends)
    left = dict.fromkeys(sorted(range(len(starts)), key=lambda i: starts[i] in inner))  # open contours first
    parts = []
    while left:
        first = next(iter(left))
        segment: int | None = first
        points = [starts[first]]
        while segment is not None and segment in left:
            del left[segment]
            points.append(ends[segment])
            segment = following.get(ends[segment])
        parts.append("M" + "L".join(f"{column + 0.5:.2f} {row + 0.5:.2f}" for row, column in points))
    return "".join(parts)
