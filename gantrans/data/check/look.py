"""All facts of a folder in the form in which the rules use them: arrays over its pairs, by role."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gantrans.data.check import copies
from gantrans.data.check.copies import Copy, Load
from gantrans.data.check.displacement import Displacement, displacement
from gantrans.data.check.facts import ImageFacts, PairFacts
from gantrans.data.check.relation import Relation, relate
from gantrans.data.encoding import Encoding
from gantrans.directions import Direction

NO_RANK, COMPARISONS = 0.56, 200
"""Pairs are unrelated if the own target agrees no more often better than another's, over enough comparisons;
simulated and real SEM images have .98 and more."""
TWO_INNER, TWO_SHARE, TWO_APART = 0.98, 0.85, 64
"""Images are two-valued if their two commonest values hold this much of the areas and of all pixels, and lie
so far apart: drawn layouts with grey rims have all and .93 or more, photographs no areas at all."""


@dataclass(frozen=True)
class Side:
    """The images of one role.

    role: "input" or "target" of the training. folder: the name of that side in the folder and in options,
    which is the other one where the training is in the opposite direction.
    """

    role: str
    folder: str
    images: Sequence[ImageFacts]

    @cached_property
    def read(self) -> list[int]:
        """Indices of the images that could be read."""
        return [i for i, image in enumerate(self.images) if not image.problem]

    @cached_property
    def levels(self) -> NDArray[np.int64]:
        """(N, 256) numbers of pixels by grey value, as read."""
        return np.stack([image.levels for image in self.images]).astype(np.int64)

    @cached_property
    def inner(self) -> NDArray[np.int64]:
        """(N, 256) the same of pixels inside areas of one value."""
        return np.stack([image.inner for image in self.images]).astype(np.int64)

    @cached_property
    def total(self) -> NDArray[np.int64]:
        """(256,) of all images."""
        return self.levels.sum(axis=0)

    @cached_property
    def constant(self) -> NDArray[np.bool_]:
        """(N,) which images have one grey value."""
        return np.array([image.constant for image in self.images])

    @cached_property
    def values(self) -> tuple[str, ...] | None:
        """All stored values, the numbers in ascending order; None if an image has too many."""
        if any(not image.values for image in self.images):
            return None
        found = {value for image in self.images for value in image.values}
        return tuple(sorted(found, key=lambda v: (0.0, v) if v[0] == "#" else (float(v), v)))

    @cached_property
    def two_valued(self) -> bool:
        """Whether the images are drawn in two grey values, rims aside; see `TWO_INNER`."""
        inner, total = self.inner.sum(axis=0), self.total
        first, second = np.argsort(total)[-2:][::-1]
        if not inner.sum() or abs(int(first) - int(second)) < TWO_APART:
            return False
        return bool(
            inner[[first, second]].sum() >= TWO_INNER * inner.sum()
            and total[[first, second]].sum() >= TWO_SHARE * total.sum()
        )

    @cached_property
    def peaks(self) -> tuple[int, int]:
        """The two commonest grey values, the darker first; equal if there is one value only."""
        order = np.argsort(self.total)
        first, second = int(order[-1]), int(order[-2])
        return (min(first, second), max(first, second)) if self.total[second] else (first, first)

    def paths(self, chosen: Sequence[int] | NDArray[np.generic]) -> list[Path]:
        """The files of images by index, or of those a (N,) mask marks."""
        indices = np.flatnonzero(chosen) if getattr(chosen, "dtype", None) == np.bool_ else chosen
        return [self.images[int(i)].path for i in indices]


@dataclass(frozen=True)
class Look:
    """What a check has measured of a folder.

    direction: None if none is stated; kind: of the target, "binary", "grey" or "classes", stated or found.
    guessed: it was found. side: of the network's images in pixels, None if it is not known.
    """

    root: Path
    pairs: Sequence[PairFacts]
    input: Side
    target: Side
    direction: Direction | None
    kind: str
    guessed: bool
    encoding: Encoding
    bits: int | None
    side: int | None
    load_input: Load
    load_target: Load

    @property
    def sides(self) -> tuple[Side, Side]:
        """Input and target."""
        return self.input, self.target

    @cached_property
    def splits(self) -> list[str]:
        """The split of each pair."""
        return [pair.split for pair in self.pairs]

    def within(self, split: str) -> NDArray[np.bool_]:
        """(N,) which pairs are in a split."""
        return np.array([name == split for name in self.splits])

    @cached_property
    def usable(self) -> NDArray[np.int64]:
        """Indices of the pairs that can be read and have contents on both sides."""
        return np.array(
            [
                i
                for i, pair in enumerate(self.pairs)
                if not (pair.problem or pair.input.problem or pair.target.problem)
                and not (pair.input.constant or pair.target.constant)
            ],
            np.int64,
        )

    @cached_property
    def complete(self) -> bool:
        """Whether every image could be read; the rules on values wait for that."""
        return all(not p.problem and not p.input.problem and not p.target.problem for p in self.pairs)

    @cached_property
    def relation(self) -> Relation | None:
        """How inputs relate to targets, over `usable`; None for fewer than four pairs."""
        if len(self.usable) < 4:
            return None
        stacks = [
            np.stack([getattr(side.images[i], part) for i in self.usable])
            for side in self.sides
            for part in ("picture", "edges")
        ]
        return relate(*stacks)

    @cached_property
    def displacement(self) -> Displacement | None:
        """The displacement of inputs against targets, over `usable`."""
        chosen = [self.pairs[int(i)] for i in self.usable]
        return displacement([(pair.match, pair.step) for pair in chosen])

    @cached_property
    def one_picture(self) -> bool:
        """Whether one image is more than half of a side, so that pairs cannot be distinguished."""
        return any(
            len(group) > 0.5 * len(self.pairs) for side in self.sides for group in copies.equal(side.images)
        )

    @cached_property
    def unrelated(self) -> bool:
        """Whether targets agree with their own inputs no better than with others, at no displacement."""
        found, moved = self.relation, self.displacement
        if found is None or not (found.rank < NO_RANK and found.comparisons >= COMPARISONS):
            return False
        return moved is None or moved.near.sum() <= 0.6 * moved.certain.sum()

    @cached_property
    def mismatched(self) -> bool:
        """Whether pairs do not belong together, so that no displacement or polarity can be measured."""
        found = self.relation
        if found is None or self.one_picture or self.unrelated:
            return True
        return bool((found.partner >= 0).mean() > 0.3)

    @cached_property
    def richer(self) -> Side:
        """The side by which copies are recognised: the one with more texture."""
        return max(self.sides, key=lambda side: np.mean([len(i.sketch) for i in side.images]))

    @cached_property
    def near(self) -> tuple[list[Copy], list[Copy]]:
        """Held-out pictures that show a training picture again, and those that look alike; without equal
        ones, which `copies.equal` finds.
        """
        side = self.richer
        chosen = [i for i in side.read if not self.pairs[i].problem and not side.constant[i]]
        train = [i for i in chosen if self.splits[i] == "train"]
        known = {side.images[i].digest for i in train}
        held = [i for i in chosen if self.splits[i] != "train" and side.images[i].digest not in known]
        load = self.load_input if side.role == "input" else self.load_target
        return copies.near(side.images, train, held, load)


def found_kind(target: Side) -> str:
    """What the targets are, where it is not stated: "binary" if they are drawn in two values, else "grey"."""
    values = target.values
    return "binary" if target.two_valued or (values is not None and len(values) <= 2) else "grey"
