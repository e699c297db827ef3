"""How a run reads the two images of its direction, and how its outputs are kept."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from gantrans.data.encoding import SIDES, Encoding, Side
from gantrans.data.reading import classes_from_stored, unit_from_stored
from gantrans.data.stored import Stored
from gantrans.data.writing import depth_of
from gantrans.operations.feedback.kept import Picture
from gantrans.translation import Recipe
from gantrans.translation.bidirectional import GENERATORS, BidirectionalConfig


@dataclass(frozen=True)
class Upload:
    """An image as a network gets it, and the bits of a value in its file: 8, or 16 for more than 8 bits.

    image: (C, H, W) float32 in [0, 1]; of a mask of classes their numbers, (1, H, W) uint8.
    """

    image: Tensor
    depth: int

    @cached_property
    def picture(self) -> Picture:
        """The image, not of classes, as a store keeps it."""
        return Picture.of(self.image, self.depth)


def upload_of(
    stored: Stored, name: str, *, bits: int | None = None, side: Side = Side(), option: str = "--bits "
) -> Upload:
    """A decoded image as a run reads one side of its pairs; arguments and errors as of `unit_from_stored`."""
    if side.classes:
        return Upload(classes_from_stored(stored, name, side), 8)
    image = unit_from_stored(stored, name, bits=bits, side=side, option=option)
    return Upload(image, depth_of(stored))


@dataclass(frozen=True)
class Reading:
    """How the images that a run translates, and the right ones, are read from files.

    bits: used bits of 16-bit images. input, target: see `Side`.
    """

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
        """An output or a label as a picture: of classes (1, H, W) numbers, else (C, H, W) in [0, 1].

        Args:
            depth: bits of a value, which is not used for classes.
        """
        return Picture.of_classes(output, self.classes) if self.classes else Picture.of(output, depth)


def reading_of(recipe: Recipe) -> Reading:
    """How the images of a run are read, as its training did."""
    stated = recipe.data.encoding
    sides = stated.side("input"), stated.side("target")
    if isinstance(recipe.task, BidirectionalConfig) and recipe.direction != next(iter(GENERATORS)):
        sides = sides[::-1]  # a run of both directions was trained as the first
    return Reading(recipe.data.bits, *sides)
