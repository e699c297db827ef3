"""What a browser is shown: PNGs, difference maps and outlines, pixel by pixel."""

import io
import itertools
import re

import numpy as np
import pytest
import torch
from PIL import Image

from gantrans.operations.feedback.pictures import BRIGHTER, DARKER, difference_map, encode_png, outline


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_every_pixel_with_or_without_a_graph(channels: int) -> None:
    image = torch.rand(channels, 5, 7, generator=torch.Generator().manual_seed(0))
    wanted = (image * 255).round().to(torch.uint8)
    for given in (image, image.clone().requires_grad_()):
        shown = np.asarray(Image.open(io.BytesIO(encode_png(given))))
        assert shown.shape == ((5, 7) if channels == 1 else (5, 7, 3))
        assert np.array_equal(shown, wanted[0] if channels == 1 else wanted.permute(1, 2, 0))


def test_brighter_is_vermilion_darker_is_blue_and_equal_is_white() -> None:
    image, reference = torch.tensor([[[1.0, 0.0, 0.5, 0.75]]]), torch.tensor([[[0.0, 1.0, 0.5, 0.25]]])
    colours = difference_map(image, reference)
    assert colours.shape == (3, 1, 4)
    torch.testing.assert_close(colours[:, 0, 0], torch.tensor(BRIGHTER))
    torch.testing.assert_close(colours[:, 0, 1], torch.tensor(DARKER))
    torch.testing.assert_close(colours[:, 0, 2], torch.ones(3))
    torch.testing.assert_close(colours[:, 0, 3], 0.5 + 0.5 * torch.tensor(BRIGHTER))


def paths(image: torch.Tensor) -> list[list[tuple[float, float]]]:
    """Points (x, y) of every path of the outline."""
    return [
        [tuple(map(float, point.split())) for point in part.split("L")]
        for part in re.findall(r"M([^M]+)", outline(image))
    ]


def test_the_outline_of_a_square_closes_halfway_between_inside_and_outside() -> None:
    image = torch.zeros(1, 9, 11)
    image[:, 2:5, 3:8] = 1.0
    (path,) = paths(image)
    assert path[0] == path[-1]
    x, y = zip(*path, strict=True)
    assert (min(x), max(x), min(y), max(y)) == (3.0, 8.0, 2.0, 5.0)
    area = 0.5 * abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(path)))
    assert area == pytest.approx(15.0 - 4 * 0.125)  # the four corners are cut


def test_a_line_across_the_image_is_two_open_paths_and_two_squares_are_two() -> None:
    line = torch.zeros(1, 8, 8)
    line[:, :, 3:5] = 1.0
    found = paths(line)
    assert len(found) == 2
    assert all(path[0] != path[-1] for path in found)
    assert sorted(path[0][0] for path in found) == [3.0, 5.0]
    assert all(len(path) == 8 for path in found)
    squares = torch.zeros(1, 8, 12)
    squares[:, 2:4, 2:4] = squares[:, 4:6, 8:10] = 1.0
    assert [path[0] == path[-1] for path in paths(squares)] == [True, True]
    assert outline(torch.zeros(1, 4, 4)) == ""
