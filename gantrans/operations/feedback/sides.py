"""How a run reads the two images of its direction, and how its outputs are kept."""

from dataclasses import dataclass

from torch import Tensor

from gantrans.data.encoding import SIDES, Encoding, Side
from gantrans.directions import direction as registered
from gantrans.operations.feedback.kept import Picture
from gantrans.translation import Recipe
from gantrans.translation.bidirectional import GENERATORS, BidirectionalConfig


@dataclass(frozen=True)
class Reading:
    """How the images that a run translates, and the right ones, are read from files.

    bits: used bits of 16-bit images. input, target: see `Side`. direction: of the translation.
    """

    direction: str
    bits: int | None = None
    input: Side = Side()
    target: Side = Side()

    @property
    def classes(self) -> tuple[str, ...]:
        """The stored values of the classes; empty where the target is an image."""
        return self.target.classes

    @property
    def kept(self) -> Encoding:
        """What describes the pictures in a store: their values are scaled already."""
        colour = [name for name, side in zip(SIDES, (self.input, self.target), strict=True) if side.channels == 3]
        return Encoding(colour=tuple(colour), classes=self.classes)

    def picture(self, output: Tensor, depth: int) -> Picture:
        """An output as a picture: of classes (1, H, W) numbers, else (C, H, W) in [0, 1].

        Grey and colour have the depth of the input, `depth`; a mask of two levels needs 8 bits.
        """
        if self.classes:
            return Picture.of_classes(output, self.classes)
        return Picture.of(output, depth if registered(self.direction).target_kind == "grey" else 8)


def reading_of(recipe: Recipe) -> Reading:
    """How the images of a run are read, as its training did."""
    stated = recipe.data.encoding
    sides = stated.side("input"), stated.side("target")
    if isinstance(recipe.task, BidirectionalConfig) and recipe.direction != next(iter(GENERATORS)):
        sides = sides[::-1]  # a run of both directions was trained as the first
    return Reading(recipe.direction, recipe.data.bits, *sides)
