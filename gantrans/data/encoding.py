"""How the files of a folder of pairs become numbers: what its owner states and the files do not record.

`pairs.json` has it under the same names, a run stores it, and every command that reads images applies it.
"""

import re
from dataclasses import dataclass, fields, replace

from gantrans.config import check_choice, check_range
from gantrans.errors import ConfigError

SIDES = ("input", "target")
ARRANGEMENTS = ("folders", "side-by-side", "train-ab", "images-masks", "suffixes")
"""How the files lie: `input/` and `target/`; one file A|B per pair; `trainA/` and `trainB/` (and val, test);
`images/` and `masks/`; or NAME_input.* beside NAME_target.*."""
MAX_CLASSES = 64
_COLOUR = re.compile("#[0-9a-f]{6}")
_NUMBER = re.compile("0|[1-9][0-9]{0,4}")


@dataclass(frozen=True)
class Side:
    """How the images of one side of a pair are read.

    channels: 1 (grey; colour becomes luma) or 3 (colour; grey is repeated).
    white: the stored value that is white, in 16-bit and float images.
    values: the two stored values of a mask, (black, white).
    classes: the stored value of each class, a whole number or a colour `#rrggbb`; the image then holds the
        number of the class.
    invert: black and white are exchanged.
    """

    channels: int = 1
    white: float | None = None
    values: tuple[int, int] | None = None
    classes: tuple[str, ...] = ()
    invert: bool = False


@dataclass(frozen=True)
class Encoding:
    """What is stated of a folder of pairs beside `bits`.

    Attributes:
        white: the stored value that is white in 16-bit and float inputs, such as 4095.
        mask_values: the stored values of black and white in the targets, such as (0, 1).
        classes: the stored values of the classes in the targets, such as ("0", "1", "2"): whole numbers (of a
            palette: its indices) or colours `#rrggbb`.
        invert: the sides whose black and white are exchanged, of `SIDES`.
        layout: how the files lie, one of `ARRANGEMENTS`.
        swap: the two sides are exchanged: the files of the second are the inputs.
        split_by: a regular expression; the names that agree in its group (its whole match without one) are
            in one split.
        colour: the sides that keep three channels, of `SIDES`.

    Raises:
        ConfigError: a field has a value that is not allowed.
    """

    white: float | None = None
    mask_values: tuple[int, int] | None = None
    classes: tuple[str, ...] = ()
    invert: tuple[str, ...] = ()
    layout: str = "folders"
    swap: bool = False
    split_by: str | None = None
    colour: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choice(self, "layout", ARRANGEMENTS)
        if self.white is not None:
            check_range(self, "white", 0.0, open_low=True)
        for field in ("invert", "colour"):
            if not set(getattr(self, field)) <= set(SIDES):
                raise ConfigError(
                    f"Encoding.{field} is {getattr(self, field)!r} (--{field}); give input, target or both."
                )
        if self.mask_values is not None and len(set(self.mask_values)) != 2:
            raise ConfigError(
                f"Encoding.mask_values is {self.mask_values!r} (--mask-values); give two different values."
            )
        if self.mask_values is not None and "target" in self.colour:
            raise ConfigError(
                "Encoding.mask_values (--mask-values) excludes colour of the target (--colour)."
            )
        if self.classes:
            self._check_classes()
        if self.split_by is not None:
            try:
                re.compile(self.split_by)
            except re.error as error:
                raise ConfigError(
                    f"Encoding.split_by is {self.split_by!r} (--split-by), which is no regular expression: "
                    f"{error}."
                ) from error

    def _check_classes(self) -> None:
        if not 2 <= len(set(self.classes)) == len(self.classes) <= MAX_CLASSES:
            raise ConfigError(
                f"Encoding.classes is {self.classes!r} (--classes); give 2 to {MAX_CLASSES} different values."
            )
        numbers = [value for value in self.classes if _NUMBER.fullmatch(value) and int(value) < 2**16]
        if len(numbers) != len(self.classes) and not all(map(_COLOUR.fullmatch, self.classes)):
            raise ConfigError(
                f"Encoding.classes is {self.classes!r} (--classes); give whole numbers, or colours "
                "as #rrggbb."
            )
        if self.mask_values is not None or "target" in (*self.invert, *self.colour):
            raise ConfigError(
                "Encoding.classes (--classes) excludes mask_values (--mask-values), and invert and colour of "
                "the target (--invert target, --colour target)."
            )

    def side(self, name: str) -> Side:
        """How the images of a side, "input" or "target", are read."""
        target = name == "target"
        return Side(
            channels=3 if name in self.colour else 1,
            white=None if target else self.white,
            values=self.mask_values if target else None,
            classes=self.classes if target else (),
            invert=name in self.invert,
        )

    def over(self, other: "Encoding") -> "Encoding":
        """This encoding, with the fields of another one where this has its default.

        Raises:
            ConfigError: the two exclude each other, such as mask values and classes.
        """
        own = {name: getattr(self, name) for name in self.stated}
        return replace(other, **own)

    @property
    def stated(self) -> tuple[str, ...]:
        """The names of the fields that differ from their defaults."""
        default = Encoding()
        names = (f.name for f in fields(self))
        return tuple(name for name in names if getattr(self, name) != getattr(default, name))

    @property
    def channels(self) -> tuple[int, int]:
        """Channels of input and target; a target of classes has one, the number of the class."""
        return self.side("input").channels, self.side("target").channels
