"""Options and choices that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

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
    article = "article"


class FileOrder(StrEnum):
    name = "name"
    time = "time"


class DefectRule(StrEnum):
    count = "count"
    bound = "bound"
    margin = "margin"


class Sampler(StrEnum):
    ddpm = "ddpm"
    ddim = "ddim"
    dpmpp = "dpm++"


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
PartDirection = Annotated[
    str | None,
    typer.Option(
        "--direction",
        help="Which direction of a run that trained both.",
        metavar=f"[{'|'.join(directions())}]",
        callback=_check_part,
        autocompletion=lambda: list(directions()),
        show_default="the run's only one",
    ),
]
Run = Annotated[Path, typer.Option("--run", help="Folder of a training run.", show_default=False)]
Source = Annotated[str, typer.Option(help="procedural, sky130, or a folder with input/ and target/.")]
PixelNm = Annotated[
    float | None, typer.Option(help="Nanometres per pixel of the images.", show_default="as stored")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu.", show_default="the best available")]
RegistryDirection = Annotated[
    str | None,
    typer.Option(
        "--direction",
        help="Which direction of the registry.",
        metavar=f"[{'|'.join(directions())}]",
        callback=_check_part,
        autocompletion=lambda: list(directions()),
        show_default="the only one that has versions",
    ),
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
        "--accepted", help="Teach accepted outputs as their own targets, too: repeats unnoticed mistakes."
    ),
]
Count = Annotated[
    int, typer.Option(help="Only the newest so many labelled images; 0: all of the regime.", min=0)
]
