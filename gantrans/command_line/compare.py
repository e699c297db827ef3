"""`compare`: L1, GAN and diffusion under one budget on one set of pairs, and a report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantrans.command_line.encodings import Stated, stating_encoding
from gantrans.command_line.first_look import look_at
from gantrans.command_line.options import Accept, Bits, Device, FolderDirection, Json, PixelNm, Scale

if TYPE_CHECKING:
    from gantrans.operations.comparison.settings import Settings

app = typer.Typer()
"""Its command is added to the top level."""


@app.command()
@stating_encoding()
def compare(
    source: Annotated[
        str,
        typer.Option(help="A folder with input/ and target/, procedural, or sky130.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder of the comparison: report, trained runs.", show_default=False)
    ],
    minutes: Annotated[
        float, typer.Option(help="Time for everything: trainings, judging and report.", min=0.01)
    ] = 30.0,
    methods: Annotated[
        str, typer.Option(help="At least two of l1, gan, diffusion, transformer, separated by commas.")
    ] = "l1,gan,diffusion",
    direction: FolderDirection = None,
    images_per_second: Annotated[
        float | None,
        typer.Option(help="Recommend only what is so fast here.", min=0.0, show_default="no limit"),
    ] = None,
    draws: Annotated[
        bool, typer.Option("--draws", help="Several answers per input are needed: judge them all, by CRPS.")
    ] = False,
    scale: Annotated[Scale, typer.Option(help="Size of networks and images.")] = Scale.auto,
    size: Annotated[
        int | None,
        typer.Option(help="Side of the images in pixels.", min=16, max=2048, show_default="by scale"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of data, weights and batches.", min=0)] = 0,
    seeds: Annotated[
        int | None,
        typer.Option(help="Trainings of each method.", min=1, max=10, show_default="as the time allows"),
    ] = None,
    pixel_nm: PixelNm = None,
    bits: Bits = None,
    encoding: Stated = None,
    accept: Accept = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the comparison in --out.")] = False,
    device: Device = None,
    json_output: Json = False,
) -> None:
    """Which method suits your pairs? Train L1, GAN and diffusion with equal core-seconds, and judge them.

    Writes OUT/report.html (open it in a browser), report.json, figures, and the trained runs in OUT/runs,
    which evaluate, predict, serve and registry take. Ctrl-C or a kill loses little: --resume goes on, and
    repeats no training that has ended. Another --images-per-second or --draws needs no new training.

    Example: python -m gantrans compare --source pairs --minutes 30 --out runs/which
    """
    from gantrans.operations.comparison.comparing import run_comparison
    from gantrans.operations.comparison.settings import Settings, Wishes
    from gantrans.scales import resolve_scale

    chosen = Settings(
        source, minutes, tuple(name.strip() for name in methods.split(",")), direction,
        resolve_scale(scale.value), size, seed, seeds, pixel_nm, bits, device, encoding,
    )  # fmt: skip
    with _resumable(out):
        line = _look(chosen, accept or (), resume)
        contents = run_comparison(chosen, Wishes(images_per_second, draws), out, resume=resume)
    _print(contents, line, out, json_output)


def _look(chosen: "Settings", accept: Sequence[str], resume: bool) -> str:
    """Check the folder of a new comparison; what was found, in one line."""
    if resume:
        return ""
    return look_at(
        chosen.source, accept, chosen.scale, direction=chosen.direction, bits=chosen.bits,
        encoding=chosen.encoding,
    )  # fmt: skip


def _print(contents: dict[str, Any], line: str, out: Path, json_output: bool) -> None:
    """Print the result, and what the check found: not before, for a mistake is to print one sentence."""
    from gantrans.operations.comparison.wording import summary

    typer.echo(line, err=json_output, nl=bool(line))
    typer.echo(_json(contents) if json_output else summary(contents, out))


def _json(contents: dict[str, Any]) -> str:
    import json

    return json.dumps(contents, indent=1)


@contextmanager
def _resumable(out: Path) -> Iterator[None]:
    """Inside, Ctrl-C ends the program with code 130 and a sentence on how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if (out / "compare.json").exists():
            sentence = (
                f"Interrupted; {out} has everything up to the last checkpoint: the same command with "
                "--resume goes on from there."
            )
        else:
            sentence = f"Interrupted before the first training began; nothing was written to {out}."
        typer.echo(sentence, err=True)
        raise typer.Exit(130) from stop
