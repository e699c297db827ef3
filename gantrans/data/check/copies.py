"""The same picture more than once: equal pixels, the same grain after a turn or under noise, shared parts."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gantrans.data.check.facts import ImageFacts
from gantrans.data.check.pixels import Floats, central, standard, symmetry

Load = Callable[[int], NDArray[np.uint8]]
"""The grey values of an image by its index; it is read again."""

SIMILAR = 0.90
"""Correlation of small copies from which two images are compared pixel by pixel."""
SAME_GRAIN = 0.25
"""Correlation of the fine grain from which two images show one exposure. Eight pictures of one design that
were exposed separately have .05 at most; added noise as strong as the grain leaves .5."""
SHARED = 3
"""Windows of two sketches, of 64 each, from which two images overlap: windows of 256 pixels are not equal by
chance."""
_CLEAN = 1.0
_IDENTICAL = 0.998
_MOST_LOOKS = 300
_BLOCK = 512


@dataclass(frozen=True)
class Copy:
    """Two images that show one picture: their indices, how they were recognised, and the symmetry between."""

    first: int
    second: int
    how: str
    element: int = 0


def equal(images: Sequence[ImageFacts]) -> list[list[int]]:
    """Groups of two or more images with equal pixels; constant images are left out."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        if not image.problem and not image.constant:
            groups[image.digest].append(index)
    return [group for group in groups.values() if len(group) > 1]


def across(groups: Sequence[Sequence[int]], splits: Sequence[str]) -> list[int]:
    """Images outside "train" that have an equal one inside it."""
    found = []
    for group in groups:
        if any(splits[index] == "train" for index in group):
            found += [index for index in group if splits[index] != "train"]
    return sorted(found)


def near(
    images: Sequence[ImageFacts], train: Sequence[int], held: Sequence[int], load: Load
) -> tuple[list[Copy], list[Copy]]:
    """Held-out images that show a training picture again, and those that only look alike.

    Args:
        images: of one side. train, held: indices into it.
        load: reads an image again; called for the pairs of images that look alike, at most 300 times 2.

    Returns:
        (copies, lookalikes); each held-out image is in at most one of the lists.
    """
    copies = {copy.second: copy for copy in _overlapping(images, train, held)}
    rest = [index for index in held if index not in copies]
    alike = []
    for candidate in _alike(images, train, rest)[:_MOST_LOOKS]:
        grain, clean = _grain(load(candidate.first), load(candidate.second), candidate.element)
        identical = clean and _correlation(images, candidate) > _IDENTICAL
        if grain > SAME_GRAIN or identical:
            copies[candidate.second] = candidate
        else:
            alike.append(candidate)
    return [copies[index] for index in sorted(copies)], alike


def _overlapping(images: Sequence[ImageFacts], train: Sequence[int], held: Sequence[int]) -> list[Copy]:
    """Pairs of images of which the sketches share windows; windows that many images have are left out."""
    owners: dict[int, list[int]] = defaultdict(list)
    for index in (*train, *held):
        for value in images[index].sketch.tolist():
            owners[value].append(index)
    common, training = max(6, (len(train) + len(held)) // 20), set(train)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for those in owners.values():
        if 2 <= len(those) <= common:
            for second in (index for index in those if index not in training):
                for first in (index for index in those if index in training):
                    shared[first, second] += 1
    best: dict[int, tuple[int, int]] = {}
    for (first, second), count in shared.items():
        if count >= SHARED and count > best.get(second, (0, 0))[0]:
            best[second] = (count, first)
    return [Copy(first, second, "shared part") for second, (_, first) in best.items()]


def _alike(images: Sequence[ImageFacts], train: Sequence[int], held: Sequence[int]) -> list[Copy]:
    """For each held-out image the training image most like it in any symmetry, the most alike first."""
    if not train or not held:
        return []
    known = standard(np.stack([images[i].picture for i in train]))
    asked = np.stack([images[i].picture for i in held])
    best = np.full(len(held), SIMILAR, np.float32)
    where = np.full((len(held), 2), -1)
    for element in range(8):
        turned = standard(symmetry(asked, element))
        for start in range(0, len(train), _BLOCK):
            scores = turned @ known[start : start + _BLOCK].T
            top, place = scores.max(axis=1), scores.argmax(axis=1)
            better = top > best
            best[better] = top[better]
            where[better] = np.stack([place[better] + start, np.full(better.sum(), element)], axis=1)
    order = np.argsort(-best, kind="stable")
    return [
        Copy(train[int(where[i, 0])], held[int(i)], "same grain", int(where[i, 1]))
        for i in order
        if where[i, 0] >= 0
    ]


def _correlation(images: Sequence[ImageFacts], copy: Copy) -> float:
    second = symmetry(images[copy.second].picture[None], copy.element)
    return float((standard(images[copy.first].picture[None]) * standard(second)).sum())


def _grain(first: NDArray[np.uint8], second: NDArray[np.uint8], element: int) -> tuple[float, bool]:
    """Correlation of the fine grain of two images away from edges; whether one of them has none there."""
    turned = symmetry(second, element)
    if first.shape != turned.shape:
        return 0.0, False
    one, other = (central(np.ascontiguousarray(i).astype(np.float32), 256) for i in (first, turned))
    fine, rough = zip(*map(_fine_and_rough, (one, other)), strict=True)
    away = rough[0] + rough[1]
    flat = away <= np.quantile(away, 0.5)
    a, b = fine[0][flat], fine[1][flat]
    clean = min(float(a.std()), float(b.std())) < _CLEAN
    if clean:
        return 0.0, True
    return float(np.corrcoef(a, b)[0, 1]), False


def _fine_and_rough(image: Floats) -> tuple[Floats, Floats]:
    """What a mean over 3 x 3 pixels takes away, and the contrast of a mean over 5 x 5."""
    mean = _mean(image, 1)
    wide = np.pad(_mean(image, 2), 2, mode="edge")
    contrast = np.abs(wide[4:, 2:-2] - wide[:-4, 2:-2]) + np.abs(wide[2:-2, 4:] - wide[2:-2, :-4])
    return image - mean, contrast


def _mean(image: Floats, radius: int) -> Floats:
    padded, size = np.pad(image, radius, mode="edge"), 2 * radius + 1
    lines = np.sum([padded[i : i + image.shape[0]] for i in range(size)], axis=0)
    total = np.sum([lines[:, i : i + image.shape[1]] for i in range(size)], axis=0)
    return np.asarray(total / size**2, np.float32)
