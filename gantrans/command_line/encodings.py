"""The options by which the owner of a folder states how its files are read, for all commands that read one.

A command has the parameter `encoding` and the decorator `stating_encoding`, which replaces it by the options.
Heavy imports are inside, so that `--help` is fast.
"""

import inspect
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any

import typer

MOST_CLASSES = 64
"""`gantrans.data.encoding.MAX_CLASSES`, not imported as above."""


class Arrangement(StrEnum):
    """`gantrans.data.encoding.ARRANGEMENTS`."""

    folders = "folders"
    side_by_side = "side-by-side"
    train_ab = "train-ab"
    images_masks = "images-masks"
    suffixes = "suffixes"


def _mask_values(text: str | None) -> str | None:
    parts = [] if text is None else text.split(",")
    if text is not None and not (len(parts) == 2 and all(part.strip().isdecimal() for part in parts)):
        raise typer.BadParameter(f"{text!r} is not the values of black and white, such as 0,1 or 0,255.")
    return text


def _sides(given: list[str] | None) -> list[str]:
    """input,target and a repeated option alike."""
    names = [name.strip() for text in given or () for name in text.split(",")]
    if wrong := [name for name in names if name not in ("input", "target")]:
        raise typer.BadParameter(f"{wrong[0]!r} is not one of input, target.")
    return names


def _classes(text: str | None) -> str | None:
    if text is not None and text.strip().isdecimal() and not 2 <= int(text) <= MOST_CLASSES:
        raise typer.BadParameter(f"{text!r} is no number of classes from 2 to {MOST_CLASSES}.")
    return text


_UNSTATED = "as stored"
_OPTIONS: dict[str, Any] = {
    "white": Annotated[
        float | None,
        typer.Option(help="Stored value of white in 16-bit and float inputs, such as 4095.",
                     show_default=_UNSTATED),
    ],
    "mask_values": Annotated[
        str | None,
        typer.Option(help="Stored values of black and white in the targets: 0,1.", callback=_mask_values,
                     show_default=_UNSTATED),
    ],
    "classes": Annotated[
        str | None,
        typer.Option(help="Stored values of the classes in the targets: 0,1,2 or 3 for these, or colours "
                     "'#000000,#ff0000'.", callback=_classes, show_default=_UNSTATED),
    ],
    "invert": Annotated[
        list[str] | None,
        typer.Option(metavar="input|target", callback=_sides,
                     help="Exchange black and white of a side; both: input,target.", show_default="none"),
    ],
    "layout": Annotated[
        Arrangement | None,
        typer.Option(help="How the files lie: input/ and target/; A|B in one file; trainA/ and trainB/; "
                     "images/ and masks/; NAME_input and NAME_target.", show_default="folders"),
    ],
    "swap": Annotated[bool, typer.Option("--swap", help="The second image of each pair is the input.")],
    "split_by": Annotated[
        str | None,
        typer.Option(help="Regular expression: names that agree in its group are in one split.",
                     show_default="each name for itself"),
    ],
    "colour": Annotated[
        list[str] | None,
        typer.Option(metavar="input|target", callback=_sides,
                     help="Keep the colour of a side; both: input,target.",
                     show_default="none: read as grey"),
    ],
}  # fmt: skip
Stated = Any
"""An `Encoding`, or None if nothing is stated."""
READING = ("white", "invert")
"""What may be stated of inputs alone, where a run decides the rest."""


def stating_encoding(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's parameter `encoding` by options.

    The command gets an `Encoding`, or None if nothing is stated.

    Args:
        names: which fields of `Encoding` have options; all if none is named.
    """
    chosen = names or tuple(_OPTIONS)

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_options(**given: Any) -> None:
            stated = {name: given.pop(name) for name in chosen}
            if chosen == READING and "target" in (stated["invert"] or ()):
                raise typer.BadParameter(
                    "target: only inputs are read here; give input.", param_hint="--invert"
                )
            command(**given, encoding=encoding_of(**stated))

        signature = inspect.signature(command, eval_str=True)
        parameters = []
        for parameter in signature.parameters.values():
            if parameter.name != "encoding":
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
                continue
            for name in chosen:
                default = False if name == "swap" else None
                parameters.append(
                    inspect.Parameter(
                        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_OPTIONS[name]
                    )
                )
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {p.name: p.annotation for p in parameters}
        return with_options

    return decorated


def encoding_of(
    *,
    white: float | None = None,
    mask_values: str | None = None,
    classes: str | None = None,
    invert: list[str] | None = None,
    layout: Arrangement | None = None,
    swap: bool = False,
    split_by: str | None = None,
    colour: list[str] | None = None,
) -> Any:
    """The `Encoding` of the options; None if none is given.

    Raises:
        ConfigError: values that exclude each other, or are not allowed.
    """
    from gantrans.data.encoding import SIDES, Encoding

    stated = Encoding(
        white=white,
        mask_values=None if mask_values is None else _pair(mask_values),
        classes=() if classes is None else _listed(classes),
        invert=tuple(name for name in SIDES if name in (invert or ())),
        layout=Encoding().layout if layout is None else layout.value,
        swap=swap,
        split_by=split_by,
        colour=tuple(name for name in SIDES if name in (colour or ())),
    )
    return stated if stated.stated else None


def _pair(text: str) -> tuple[int, int]:
    black, white = text.split(",")
    return int(black), int(white)


def _listed(text: str) -> tuple[str, ...]:
    """0,1,2 and 3 -> ("0", "1", "2")."""
    if text.strip().isdecimal():
        return tuple(map(str, range(int(text))))
    return tuple(part.strip().lower() for part in text.split(","))
