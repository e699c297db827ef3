"""Options and their choices that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Direction(StrEnum):
    sem2layout = "sem2layout"
    layout2sem = "layout2sem"


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


class Sampler(StrEnum):
    ddpm = "ddpm"
    ddim = "ddim"
    dpmpp = "dpm++"


Run = Annotated[Path, typer.Option("--run", help="Folder of a training run.", show_default=False)]
Source = Annotated[str, typer.Option(help="procedural, sky130, or a folder with input/ and target/.")]
PixelNm = Annotated[
    float | None, typer.Option(help="Nanometres per pixel of the images.", show_default="as made")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables.")]
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu.", show_default="the best one present")]
