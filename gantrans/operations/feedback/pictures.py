"""Images for a browser: PNGs, outlines as SVG paths, and difference maps."""

import torch
from torch import Tensor

from gantrans.data.writing import png_bytes
from gantrans.images import grey
from gantrans.metrics import find_contours

BRIGHTER = (0.84, 0.37, 0.0)  # vermilion and blue can be distinguished with every kind of colour vision
DARKER = (0.0, 0.45, 0.70)


def encode_png(image: Tensor) -> bytes:
    """(1, H, W) or (3, H, W) in [0, 1] as an 8-bit PNG, grey or RGB."""
    return png_bytes(image.detach().cpu())


def difference_map(image: Tensor, reference: Tensor) -> Tensor:
    """`image` - `reference` in colour on white: (1 or 3, H, W) in [0, 1] twice -> (3, H, W) in [0, 1].

    Vermilion where the image is brighter, blue where it is darker, white where both are equal. Images in colour
    are as bright as their luma; where only the hue differs, the strength is the largest difference of a channel.
    """
    brighter = grey(image - reference)[0]
    signed = (image - reference).abs().amax(0) * torch.where(brighter < 0, -1.0, 1.0)
    colours = torch.tensor([BRIGHTER, DARKER])[(signed < 0).long()]  # (H, W, 3)
    return (1.0 - signed.abs()[..., None] * (1.0 - colours)).permute(2, 0, 1)


def class_difference(numbers: Tensor, reference: Tensor) -> Tensor:
    """(1, H, W) numbers of classes twice -> (3, H, W) in [0, 1]: vermilion where they differ, else white."""
    wrong = (numbers != reference).float()
    return 1.0 - wrong * (1.0 - torch.tensor(BRIGHTER)[:, None, None])


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
