"""Lesson 07: features that a translation invents, and features that it loses."""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

Array = NDArray[Any]

ex = Exercise(
    id="invented_features",
    lesson="07",
    title="Count what was invented",
    difficulty=3,
    minutes=12,
    spec="""
    Two binary images: what was drawn and what the network made of it. A *feature* is a connected set of
    pixels; pixels connect by their sides, not by their corners. Two features are partners if they share at
    least one pixel. Return two counts: features of `output` without a partner in `given` (invented), and
    features of `given` without a partner in `output` (missing).
    """,
    hints=(
        "`labels, count = ndimage.label(image)` numbers the features 1, ..., count; 0 is the background. "
        "Its default connects by sides only.",
        "Which features of the output touch the other image? `np.unique(labels[given])`: their numbers "
        "(and perhaps 0, for drawn pixels that the output left empty).",
        "Invented = count - number of touching features. For missing, the two images change places.",
    ),
    source="gantrans.metrics.topology (extra, missing); connected components: Rosenfeld and Pfaltz 1966.",
    equivalent={
        "`image.numpy()` -> `image`": "SciPy takes a tensor on the CPU as it is",
        "`1` -> `-1`": "of two counts the second is the last",
    },
)


@ex.reference
def invented_features(given: Tensor, output: Tensor) -> tuple[int, int]:
    """Boolean images (H, W) on the CPU -> features of output alone (invented), of given alone (missing)."""
    counts = []
    for image, other in ((output, given), (given, output)):
        labels, count = ndimage.label(image.numpy())
        touching = np.unique(labels[(image & other).numpy()])
        counts.append(count - len(touching))
    return counts[0], counts[1]


def _image(*rows: str) -> Tensor:
    return torch.tensor([[mark == "#" for mark in row] for row in rows])


@ex.edges
def _() -> list[Args]:
    lines = _image("#.#.#", "#.#.#", "#.#.#")
    filled, empty = _image("#.#.#", "#.#.#", "#...#"), torch.zeros(3, 5, dtype=torch.bool)
    gap = _image("#...#", "#...#", "#...#")
    corner = _image("##...", "..##.", ".....")
    speck, moved = _image("#....", ".....", "....#"), _image(".#...", "....#", ".....")
    bridge = _image("###.#", "#.#.#", "#.#.#")
    return [
        *((gap, lines), (lines, gap), (lines, lines), (lines, filled), (empty, lines), (lines, empty)),
        *((empty, empty), (empty, corner), (corner, speck), (speck, moved), (lines, bridge), (bridge, lines)),
        (_image("#.#", "...", "#.#"), _image("#.#", ".#.", "..#")),
        (_image("###", "..."), _image("#.#", "..#")),
        (_image("#.##.#.").T, _image(".#.##.#").T),
        (~empty, lines),
        (lines, ~empty),
        (_image("#"), _image("#")),
        (_image("#"), _image(".")),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.height + 2, case.width + 4)
    given = case.rand(*shape) < case.choice((0.15, 0.25, 0.4))
    return given, given ^ (case.rand(*shape) < case.choice((0.05, 0.2, 0.4)))


Counts = tuple[int, int]
Judge = Callable[[Array, Array], int]
CORNERS = np.ones((3, 3), int)


def _label(image: Array) -> tuple[Array, int]:
    labels, count = ndimage.label(image)
    return labels, int(count)


def _alone(image: Array, other: Array, structure: Array | None = None) -> int:
    """Features of `image` without a partner."""
    labels, count = ndimage.label(image, structure)
    return int(count - len(np.unique(labels[image & other])))


def _both(judge: Judge) -> Callable[[Tensor, Tensor], Counts]:
    """An answer that judges either image against the other in the same way."""
    return lambda given, output: (
        judge(output.numpy(), given.numpy()),
        judge(given.numpy(), output.numpy()),
    )


ex.wrong(
    "difference_of_counts",
    "You subtract the numbers of features: one invented and one missing then look like none at all.",
    _both(lambda image, other: max(0, _label(image)[1] - _label(other)[1])),
)
ex.wrong(
    "swapped",
    "You return missing before invented.",
    lambda given, output: _both(_alone)(output, given),
)
ex.wrong(
    "corners",
    "You connect pixels by their corners: two contacts that touch at a corner would be one feature.",
    _both(lambda image, other: _alone(image, other, CORNERS)),
)
ex.wrong(
    "pixels",
    "You count pixels; one large invented feature is one mistake.",
    _both(lambda image, other: int((image & ~other).sum())),
)
ex.wrong(
    "features_of_the_difference",
    "You label the pixels that differ: a feature that is one pixel too wide would count as invented.",
    _both(lambda image, other: _label(image & ~other)[1]),
)
ex.wrong(
    "background_counted",
    "You count the background's 0 as a partner: one feature too few is left.",
    _both(lambda image, other: _label(image)[1] - len(np.unique(_label(image)[0][other]))),
)
ex.wrong(
    "partners",
    "You count the features that *have* a partner; those without are asked.",
    _both(lambda image, other: _label(image)[1] - _alone(image, other)),
)
ex.wrong(
    "all_features",
    "You count all features of each image.",
    _both(lambda image, other: _label(image)[1]),
)
ex.wrong(
    "places_of_overlap",
    "You subtract the number of *places* where the images overlap; a feature that meets its partner "
    "twice is one.",
    _both(lambda image, other: max(0, _label(image)[1] - _label(image & other)[1])),
)
ex.wrong(
    "neighbours_are_partners",
    "You take features that lie side by side for partners; they must share a pixel.",
    _both(lambda image, other: _alone(image, ndimage.binary_dilation(other))),
)


@ex.wrong(
    "half_covered",
    "You ask that half of a feature is covered; one shared pixel makes partners, and poor overlap is "
    "judged elsewhere.",
)
@_both
def _(image: Array, other: Array) -> int:
    labels, count = _label(image)
    return sum(bool(other[labels == k].mean() < 0.5) for k in range(1, count + 1))


@ex.wrong(
    "centres",
    "You look whether a feature's centre is drawn in the other image; an L or a ring has its centre "
    "outside itself.",
)
@_both
def _(image: Array, other: Array) -> int:
    labels, count = _label(image)
    centres = ndimage.center_of_mass(image, labels, range(1, count + 1))
    return sum(not other[round(float(y)), round(float(x))] for y, x in centres)


@ex.wrong(
    "pairs_subtracted",
    "You subtract the number of pairs of partners: a feature with two partners then counts twice.",
)
@_both
def _(image: Array, other: Array) -> int:
    labels, count = _label(image)
    others = _label(other)[0]
    return count - len({(a, b) for a, b in zip(labels.flat, others.flat, strict=True) if a and b})


@ex.wrong(
    "same_shape",
    "You ask that a feature is drawn in the other image with all of its pixels; one shared pixel is enough.",
)
@_both
def _(image: Array, other: Array) -> int:
    labels, count = _label(image)
    return sum(not other[labels == k].all() for k in range(1, count + 1))


ex.wrong(
    "invented_only",
    "You return one number; the missing features were asked for as well.",
    lambda given, output: _both(_alone)(given, output)[0],
)


ex.right(_both(_alone))


@ex.right
@_both
def _(image: Array, other: Array) -> int:
    labels, count = _label(image)
    return sum(not (other & (labels == number)).any() for number in range(1, count + 1))


@ex.right
def _(given: Tensor, output: Tensor) -> Counts:
    from skimage.measure import label

    made, drawn = label(output.numpy(), connectivity=1), label(given.numpy(), connectivity=1)
    partners = {(a, b) for a, b in zip(made.ravel(), drawn.ravel(), strict=True) if a and b}
    return int(made.max()) - len({a for a, _ in partners}), int(drawn.max()) - len({b for _, b in partners})


@ex.right
@_both
def _(image: Array, other: Array) -> int:
    left = {(int(y), int(x)) for y, x in np.argwhere(image)}
    count = 0
    while left:
        queue, met = deque([left.pop()]), False
        while queue:
            y, x = queue.popleft()
            met = met or bool(other[y, x])
            for place in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if place in left:
                    left.remove(place)
                    queue.append(place)
        count += not met
    return count


@ex.right
@_both
def _(image: Array, other: Array) -> int:
    # flood the image from what both have drawn; what stays dry has no partner
    return _label(image & ~ndimage.binary_propagation(image & other, mask=image))[1]


@ex.right
def _(given: Tensor, output: Tensor) -> Counts:
    from gantrans.metrics import compare_topology

    counts = compare_topology(output[None, None].float(), given[None, None].float())
    return int(counts.extra), int(counts.missing)


ex.background("Two binary images")
ex.breach("A *feature* is a connected set of pixels", "corners")
ex.breach("Two features are partners if they share at least one pixel.", "neighbours_are_partners")
ex.breach("Two features are partners if they share at least one pixel.", "half_covered")
ex.breach("Return two counts", "swapped")
