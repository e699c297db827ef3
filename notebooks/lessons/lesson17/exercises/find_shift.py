"""Lesson 17: how far the two images of a pair are off, found by their edges."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Answer, Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from lessons.lesson00.exercises.ncc_offset import ncc_offset

ex = Exercise(
    id="find_shift",
    lesson="17",
    title="Find the shift of a pair",
    difficulty=2,
    minutes=10,
    spec=r"""
    `given` and `wanted` are the two images of a pair, `(3, H, W)` each, and `given` may lie a few pixels off.
    Grey values cannot be compared, because the two images show one thing in different colours, but edges lie
    in the same places. So make an edge map of each. Its grey is the mean over the channels $g$, and

    $$e_{ij} = |g_{i,j+1} - g_{ij}| + |g_{i+1,j} - g_{ij}|,$$

    with one row and one column less than the image. Cut `most` (1 or more) rows and columns off all four
    sides of the map of `wanted`, and find what is left in the map of `given` with `ncc_offset` of lesson 00.
    The corner that it returns, minus `most`, is the shift. Return it as two whole numbers, `(rows, columns)`.
    If what is shown in `given` lies 2 pixels lower and 1 further left than in `wanted`, the answer is `(2,
    -1)`.
    """,
    hints=(
        "Two steps: a function for the edge map, which is used twice, and one call of "
        "`mine.ncc_offset(field, template)`.",
        "`grey = image.mean(dim=0)`; the differences are `grey[:-1, 1:] - grey[:-1, :-1]` and "
        "`grey[1:, :-1] - grey[:-1, :-1]`, both of the shape `(H - 1, W - 1)`.",
        "`template = edges(wanted)[most:-most, most:-most]`, "
        "`row, column = mine.ncc_offset(edges(given), template)`, `return row - most, column - most`.",
    ),
    source="Lewis 1995 (normalised cross-correlation); edges because the two images need not have one grey "
    "scale, as in the alignment of layouts and SEM images (`gantrans.data.alignment`).",
    equivalent={
        "value.detach()": "positions have no gradient",
        "value.double()": "more digits, the same maximum",
        "value.float()": "fewer digits, the same maximum",
        "`image.mean` -> `image.sum`": "a sum is three times the mean: the maximum stays where it is",
        "`grey[:-1, :-1] - grey": "the absolute value forgets the sign",
    },
)


@ex.reference
def find_shift(given: Tensor, wanted: Tensor, most: int) -> tuple[int, int]:
    """Two images (3, H, W), largest shift (1 or more) -> (rows, columns) by which `given` is off."""

    def edges(image: Tensor) -> Tensor:
        grey = image.mean(dim=0)
        return (grey[:-1, 1:] - grey[:-1, :-1]).abs() + (grey[1:, :-1] - grey[:-1, :-1]).abs()

    row, column = ncc_offset(edges(given), edges(wanted)[most:-most, most:-most])
    return row - most, column - most


FIRST = torch.tensor([[0.1, 0.9, 0.4], [0.8, 0.2, 0.5], [0.3, 0.3, 1.0], [1.0, 0.6, 0.0]])
OTHER = torch.tensor([[0.9, 0.2, 0.8], [0.1, 0.6, 0.3], [0.5, 1.0, 0.9], [0.2, 0.1, 0.1]])
ONE_CHANNEL = torch.tensor([[0.5, 0.9, 0.4], [0.5, 0.2, 0.5], [0.5, 0.3, 1.0], [0.5, 0.6, 0.0]])


def _pair(
    height: int, width: int, shift: tuple[int, int], seed: int, colours: Tensor = OTHER, block: int = 3
) -> tuple[Tensor, Tensor]:
    """Random blocks in two sets of colours; `given` shows them `shift` further down and right."""
    draw = torch.Generator().manual_seed(seed)
    far = max(abs(s) for s in shift)
    rows, columns = height + 2 * far, width + 2 * far
    kinds = torch.randint(4, (rows // block + 1, columns // block + 1), generator=draw)
    kinds = kinds.repeat_interleave(block, 0).repeat_interleave(block, 1)

    def cut(top: int, left: int, paint: Tensor) -> Tensor:
        return paint[kinds[top : top + height, left : left + width]].permute(2, 0, 1).double()

    return cut(far - shift[0], far - shift[1], FIRST), cut(far, far, colours)


def _cross(shift: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """One bright row and one bright column: each kind of difference sees one of them."""

    def drawn(row: int, column: int, bright: float) -> Tensor:
        image = torch.full((3, 13, 15), 0.5, dtype=torch.float64)
        image[:, row] = bright
        image[:, :, column] = bright
        return image

    return drawn(6 + shift[0], 7 + shift[1], 0.9), drawn(6, 7, 0.2)


@ex.edges
def _() -> list[Args]:
    shifts = ((2, -1), (0, 0), (-3, 2), (1, 3), (0, -2), (3, 3))
    several = [(*_pair(21, 26, shift, seed), 3) for seed, shift in enumerate(shifts)]
    grey = [image.mean(0, keepdim=True).expand(3, -1, -1) for image in _pair(18, 15, (1, 0), 8)]
    return [
        *several,
        (*_pair(16, 19, (-1, 1), 9), 1),
        (*_pair(24, 20, (4, -3), 10), 5),
        (*_pair(24, 20, (1, -3), 11, ONE_CHANNEL), 4),
        (*(1 - image if i else image for i, image in enumerate(_pair(20, 22, (2, 2), 12, FIRST))), 3),
        (*_cross((2, -1)), 3),
        (*_cross((-1, 2)), 3),
        (grey[0], grey[1], 2),
    ]


@ex.inputs
def _(case: Case) -> Args:
    most = case.integer(1, 4)
    shift = case.integer(-most, most), case.integer(-most, most)
    given, wanted = _pair(2 * case.height + 14, case.width + 18, shift, 100 + case.seed)
    noise = 0.01 * case.randn(*given.shape).double()
    return (given + noise).to(case.dtype), wanted.to(case.dtype), most


Map = Callable[[Tensor], Tensor]


def _edges(image: Tensor) -> Tensor:
    grey = image.mean(0)
    return grey.diff(dim=1)[:-1].abs() + grey.diff(dim=0)[:, :-1].abs()


def _with(
    *,
    edges: Map = _edges,
    template: Callable[[Tensor, int], Tensor] = lambda e, m: e[m:-m, m:-m],
    result: Callable[[int, int, int], Any] = lambda row, column, m: (row - m, column - m),
) -> Answer:
    """The function with one thing changed."""

    def answer(given: Tensor, wanted: Tensor, most: int) -> Any:
        row, column = ncc_offset(edges(given), template(edges(wanted), most))
        return result(row, column, most)

    return answer


for name, misconception, answer in (
    (
        "sign_swapped",
        "Your signs are the wrong way round: positive means that `given` lies lower or further right.",
        _with(result=lambda row, column, m: (m - row, m - column)),
    ),
    (
        "corner_returned",
        "You return the corner; without a shift it is `(most, most)`, so `most` has to be subtracted.",
        _with(result=lambda row, column, m: (row, column)),
    ),
    (
        "columns_first",
        "You return the columns first; rows come first.",
        _with(result=lambda row, column, m: (column - m, row - m)),
    ),
    (
        "greys_compared",
        "You compare grey values; what is bright in one image may be dark in the other, so compare edges.",
        _with(edges=lambda image: image.mean(0)),
    ),
    (
        "signed_edges",
        "You leave out the absolute values: an edge from dark to bright may go from bright to dark in the "
        "other image.",
        _with(edges=lambda image: image.mean(0).diff(dim=1)[:-1] + image.mean(0).diff(dim=0)[:, :-1]),
    ),
    (
        "one_channel",
        "You look at the first channel only; the mean over all three is wanted.",
        _with(edges=lambda image: _edges(image[:1])),
    ),
    (
        "right_neighbours_only",
        "You take the differences to the right only; horizontal edges are then not seen.",
        _with(edges=lambda image: image.mean(0).diff(dim=1)[:-1].abs()),
    ),
    (
        "lower_neighbours_only",
        "You take the differences downwards only; vertical edges are then not seen.",
        _with(edges=lambda image: image.mean(0).diff(dim=0)[:, :-1].abs()),
    ),
    (
        "not_cut",
        "You do not cut the map of `wanted`: it then fits into the other one in a single place.",
        _with(template=lambda e, m: e),
    ),
    (
        "cut_at_one_end",
        "You cut `most` at the upper and left side only; all four sides are meant.",
        _with(template=lambda e, m: e[m:, m:]),
    ),
    (
        "pixels_of_the_middle",
        "You subtract the middle of the image; the corner has to be compared with `most`.",
        _with(result=lambda row, column, m: (row - 2 * m, column - 2 * m)),
    ),
    (
        "distance",
        "You return the size of the shift without its sign; the direction is needed to undo it.",
        _with(result=lambda row, column, m: (abs(row - m), abs(column - m))),
    ),
    (
        "tensors",
        "You return a tensor; two whole numbers are wanted.",
        _with(result=lambda row, column, m: torch.tensor([row - m, column - m])),
    ),
    (
        "returned_nothing",
        "You compute the result and return nothing: a `return` is missing.",
        _with(result=lambda row, column, m: None),
    ),
):
    ex.wrong(name, misconception, answer)


ex.right(_with())


@ex.right
def _(given: Tensor, wanted: Tensor, most: int) -> tuple[int, int]:
    """With both edge maps at once."""
    grey = torch.stack([given, wanted]).mean(1)
    right, below = grey[:, :-1, 1:] - grey[:, :-1, :-1], grey[:, 1:, :-1] - grey[:, :-1, :-1]
    field, other = right.abs() + below.abs()
    height, width = other.shape
    row, column = ncc_offset(field, other[most : height - most, most : width - most])
    return row - most, column - most


@ex.right
def _(given: Tensor, wanted: Tensor, most: int) -> tuple[int, int]:
    """With a correlation of its own."""
    maps = []
    for image in (given, wanted):
        grey = image.double().sum(dim=0) / 3
        maps.append(torch.diff(grey, dim=1)[:-1].abs() + torch.diff(grey, dim=0)[:, :-1].abs())
    template = maps[1][most:-most, most:-most]
    template = template - template.mean()
    best, found = -2.0, (0, 0)
    for row in range(2 * most + 1):
        for column in range(2 * most + 1):
            window = maps[0][row : row + template.shape[0], column : column + template.shape[1]]
            window = window - window.mean()
            score = float((window * template).sum() / (window.norm() * template.norm()).clamp_min(1e-9))
            if score > best:
                best, found = score, (row - most, column - most)
    return found


@ex.right
def _(given: Tensor, wanted: Tensor, most: int) -> tuple[int, int]:
    """With convolutions."""

    def edges(image: Tensor) -> Tensor:
        grey = image.mean(0)[None, None]
        right = grey.new_tensor([[[[-1.0, 1.0], [0.0, 0.0]]]])
        first, second = (F.conv2d(grey, kernel)[0, 0].abs() for kernel in (right, right.mT))
        return first + second

    field, template = edges(given), edges(wanted)
    place = ncc_offset(field, template[most:-most, most:-most])
    return place[0] - most, place[1] - most


ex.background(
    "`given` and `wanted` are the two images",
    "So make an edge map of each",
    "with one row and one column less",
)
ex.breach("Grey values cannot be compared", "greys_compared")
ex.breach("Its grey is the mean over the channels", "one_channel")
ex.breach("$$e_{ij}", "signed_edges")
ex.breach("Cut `most` (1 or more) rows and columns off", "cut_at_one_end")
ex.breach("The corner that it returns, minus `most`", "corner_returned")
ex.breach("Return it as two whole numbers", "tensors")
ex.breach("If what is shown in `given` lies 2 pixels lower", "sign_swapped")
