"""Options and choices that several commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gantrans.directions import direction as registered
from gantrans.directions import directions
from gantrans.errors import DataError


def _check_direction(name: str) -> str:
    try:
        return registered(name).name
    except DataError as error:
        raise typer.BadParameter(str(error)) from error


def _check_part(name: str | None) -> str | None:
    return None if name is None else _check_direction(name)


def _check_bits(bits: int | None) -> int | None:
    if bits not in (None, 8, 10, 12, 14, 16):  # `gantrans.data.reading.BITS`, not imported as above
        raise typer.BadParameter(f"{bits} is not one of 8, 10, 12, 14, 16.")
    return bits


MAX_COUNT = 100_000
"""Pairs or clips of one call: more are a slip of the finger, and would be made in memory for hours."""
MAX_VALUES = 2**33
"""Pixels of all pairs of one call, which need two bytes each."""
BOTH = "both"
"""`gantrans.translation.BOTH`, which this module does not import, because `--help` is to be fast."""


class Scale(StrEnum):
    auto = "auto"
    smoke = "smoke"
    reduced = "reduced"
    full = "full"


class Split(StrEnum):
    train = "train"
    val = "val"
    test = "test"


class EvaluationSplit(StrEnum):
    train = "train"
    val = "val"
    test = "test"
    all = "all"


class Difficulty(StrEnum):
    easy = "easy"
    default = "default"
    hard = "hard"


class Simulated(StrEnum):
    procedural = "procedural"
    sky130 = "sky130"


class RecipeName(StrEnum):
    default = "default"
    gan = "gan"
    transformer = "transformer"
    diffusion = "diffusion"
    article = "article"


class FileOrder(StrEnum):
    by_name = "name"
    by_time = "time"


class DefectRule(StrEnum):
    total = "count"
    bound = "bound"
    margin = "margin"


Direction = Annotated[
    str,
    typer.Option(
        help="What to translate into what.",
        metavar=f"[{'|'.join(directions())}]",
        callback=_check_direction,
        autocompletion=lambda: list(directions()),
        show_default=False,
    ),
]
"""Checked against the table when the command runs; `--help` lists what was registered before this import."""
TrainDirection = Annotated[
    str,
    typer.Option(
        "--direction",
        help="What to translate into what; both: with a recipe that trains both.",
        metavar=f"[{'|'.join((*directions(), BOTH))}]",
        callback=lambda name: name if name == BOTH else _check_direction(name),
        autocompletion=lambda: [*directions(), BOTH],
        show_default=False,
    ),
]


def _one_of_the_directions(help: str, unless_given: str) -> Any:
    return typer.Option(
        "--direction",
        help=help,
        metavar=f"[{'|'.join(directions())}]",
        callback=_check_part,
        autocompletion=lambda: list(directions()),
        show_default=unless_given,
    )


PartDirection = Annotated[
    str | None,
    _one_of_the_directions("Which direction of a run that trained both.", "the run's only one"),
]
FolderDirection = Annotated[
    str | None,
    _one_of_the_directions("What the pairs translate into what.", "that of pairs.json, or of the targets"),
]
Run = Annotated[Path, typer.Option("--run", help="Folder of a training run.", show_default=False)]
Source = Annotated[str, typer.Option(help="procedural, sky130, or a folder with input/ and target/.")]
PixelNm = Annotated[
    float | None, typer.Option(help="Nanometres per pixel of the images.", show_default="as stored")
]
Bits = Annotated[
    int | None,
    typer.Option(
        help="Used bits of 16-bit images: 8, 10, 12, 14 or 16.",
        callback=_check_bits,
        show_default="as stored",
    ),
]
StartFrom = Annotated[
    Path | None,
    typer.Option(
        "--from", help="Begin with the weights of another run with equal networks.", show_default="random"
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        help="Network evaluations per draw of a diffusion run.", min=1, show_default="as in its recipe"
    ),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        help="Go on although `data check` gives this warning; can be repeated.",
        metavar="NAME",
        show_default="none",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu.", show_default="the best available")]
RegistryDirection = Annotated[
    str | None,
    _one_of_the_directions("Which direction of the registry.", "the only one that has versions"),
]
InRegistry = Annotated[Path, typer.Option("--registry", help="Folder of the registry.", show_default=False)]
InStore = Annotated[Path, typer.Option("--store", help="SQLite file of `serve`.", show_default=False)]
Why = Annotated[str, typer.Option(help="The reason; kept in the history.", show_default=False)]
Who = Annotated[str, typer.Option(help="Who decided; kept in the history.")]
Since = Annotated[
    str | None,
    typer.Option(
        help="Only images taken since this date or ISO 8601 time.", show_default="the present regime"
    ),
]
Accepted = Annotated[
    bool,
    typer.Option(
        "--accepted", help="Take accepted outputs as their own targets, too: repeats unnoticed mistakes."
    ),
]
Count = Annotated[
    int, typer.Option(help="Only the newest so many labelled images; 0: all of the regime.", min=0)
]


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Inside, Ctrl-C or SIGTERM in a training ends the program with code 130 and a hint."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if (out / "config.json").exists():
            done = str(stop) or f"Training was interrupted; {out} has its last checkpoint"
            sentence = f"{done}: the same command with --resume goes on from there."
        else:
            sentence = f"Interrupted before the training began; nothing was written to {out}."
        typer.echo(sentence, err=True)
        raise typer.Exit(130) from stop
