"""The command line: `python -m gantrans --help`.

A user's mistake gives one sentence on standard error and exit code 2; any other exception is a bug and keeps
its traceback. Heavy imports are inside the commands, so that `--help` is fast.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantrans.command_line import clips, compare, data, drift, loop, operate, registry
from gantrans.command_line.encodings import READING, Stated, stating_encoding
from gantrans.command_line.first_look import look_first
from gantrans.command_line.options import (
    MAX_COUNT,
    Accept,
    Bits,
    Device,
    EvaluationSplit,
    Json,
    PartDirection,
    PixelNm,
    RecipeName,
    Run,
    Scale,
    Source,
    StartFrom,
    Steps,
    TrainDirection,
    resumable,
)
from gantrans.errors import GantransError

if TYPE_CHECKING:
    from gantrans.training import FitResult
    from gantrans.translation import Recipe

app = typer.Typer(
    help="Train, evaluate and serve image translation between SEM images and chip layout; run the course.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1))


@app.command()
@stating_encoding()
def train(
    direction: TrainDirection,
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoints, history, configuration.")],
    name: Annotated[
        RecipeName,
        typer.Option(
            "--recipe",
            help="default: what works best for one direction at short budgets; transformer: a vision"
            " transformer with L1 alone; diffusion: a conditional diffusion model, many answers per image;"
            " article: two attention generators and two discriminators with every loss, trained together"
            " (--direction both).",
        ),
    ] = RecipeName.default,
    source: Source = "procedural",
    scale: Annotated[Scale, typer.Option(help="Size of data, network and training.")] = Scale.auto,
    seed: Annotated[int, typer.Option(help="Seed of data, weights and batches.", min=0)] = 0,
    max_seconds: Annotated[
        float | None, typer.Option(help="Train for this time: it decides the number of steps.", min=0.0)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    start: StartFrom = None,
    pixel_nm: PixelNm = None,
    bits: Bits = None,
    encoding: Stated = None,
    accept: Accept = None,
    device: Device = None,
) -> None:
    """Train a translator. A folder of pairs is checked first, as by `data check`.

    Example: python -m gantrans train --direction sem2layout --source sky130 --scale reduced --out runs/first

    Many answers per image: python -m gantrans train --recipe diffusion --direction layout2sem --out runs/many

    Both directions at once: python -m gantrans train --recipe article --direction both --out runs/both
    """
    from gantrans.scales import resolve_scale
    from gantrans.translation import recipe, train_recipe
    from gantrans.translation.warm import origin_of

    chosen = recipe(
        direction, resolve_scale(scale.value), source, name=name.value, seed=seed, pixel_nm=pixel_nm,
        bits=bits, encoding=encoding,
    )  # fmt: skip
    with resumable(out):
        chosen = look_first(chosen, accept, resolve_scale(scale.value))
        result = train_recipe(chosen, out, resume=resume, max_seconds=max_seconds, device=device, start=start)
    if origin := origin_of(out):
        typer.echo(str(origin))
    _print_diagnosis(chosen, result)
    further = f" --direction {chosen.directions[0]}" if direction == "both" else ""
    typer.echo(
        f"{result.summary()}\nNext: python -m gantrans evaluate --run {out} --source {source}{further}"
    )


def _print_diagnosis(chosen: "Recipe", result: "FitResult") -> None:
    """Print whether generator and discriminator kept their balance, where a run has both."""
    from gantrans.translation import Pix2PixConfig, diagnose, diagnose_both

    if chosen.direction == "both":
        for one, found in diagnose_both(result.history).items():
            typer.echo(f"Diagnosis of generator and discriminator, {one}: {found}")
    elif isinstance(chosen.task, Pix2PixConfig) and chosen.task.discriminator is not None:
        typer.echo(f"Diagnosis of generator and discriminator: {diagnose(result.history)}")


@app.command()
@stating_encoding()
def evaluate(
    run: Run,
    source: Source = "procedural",
    direction: PartDirection = None,
    split: Annotated[EvaluationSplit, typer.Option(help="Which part of the source; all: a whole folder.")] = (
        EvaluationSplit.test
    ),
    count: Annotated[
        int | None,
        typer.Option(help="Number of pairs.", min=1, max=MAX_COUNT, show_default="256, or all of a folder"),
    ] = None,
    pixel_nm: PixelNm = None,
    bits: Bits = None,
    encoding: Stated = None,
    steps: Steps = None,
    device: Device = None,
    json_output: Json = False,
) -> None:
    """Measure a run on held-out pairs, per family, and a classical baseline on the same pairs."""
    from gantrans.translation import evaluate_run

    report = evaluate_run(
        run, source, direction=direction, split=split.value, count=count, pixel_nm=pixel_nm, bits=bits,
        encoding=encoding, steps=steps, device=device,
    )  # fmt: skip
    if json_output:
        _print_json(report.to_dict())
    else:
        typer.echo(report.table())


@app.command()
@stating_encoding(*READING)
def predict(
    run: Run,
    input_path: Annotated[Path, typer.Option("--input", help="An image or a folder of images.")],
    output_path: Annotated[Path, typer.Option("--output", help="A .png or .tif, or a folder to write.")],
    direction: PartDirection = None,
    pixel_nm: PixelNm = None,
    bits: Bits = None,
    encoding: Stated = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the noise of a diffusion model or of noise injection.", min=0)
    ] = 0,
    steps: Steps = None,
    answers: Annotated[
        int | None,
        typer.Option(
            help="Draw so many answers for each image: NAME-answer01.png and so on, NAME.png is their mean;"
            " from 19 on also the bounds of the 90 % interval, NAME-low.png and NAME-high.png.",
            min=2,
            max=999,
            show_default="one image each",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    device: Device = None,
) -> None:
    """Translate images; each result is a PNG with the name, size and depth of its input.

    Several answers: python -m gantrans predict --run runs/many --input layouts --output out --answers 20
    """
    from gantrans.translation import predict_files

    done = predict_files(
        run, input_path, output_path, direction=direction, pixel_nm=pixel_nm, bits=bits,
        encoding=encoding, seed=seed,
        steps=steps, answers=answers, overwrite=overwrite, device=device,
    )  # fmt: skip
    typer.echo(f"Wrote {len(done)} image{'s' if len(done) != 1 else ''} to {output_path}.")


app.add_typer(compare.app)
app.add_typer(operate.app)
app.add_typer(loop.app)
app.add_typer(registry.app, name="registry")
app.add_typer(drift.app, name="drift")
app.add_typer(data.app, name="data")
app.add_typer(clips.app, name="clips")


def add_commands(app: typer.Typer, package: Path = Path(__file__).parent) -> None:
    """Let each folder of the package that has a `commands.py` add its own (teaching: course, ablate, doctor).

    They are found, not imported by name, so that the library depends on nothing that teaches: a copy without
    `teaching/` has all other commands.
    """
    for path in sorted(package.glob("*/commands.py")):
        importlib.import_module(f"gantrans.{path.parent.name}.commands").add_to(app)


add_commands(app)


def main() -> None:
    """Entry point of `gantrans` and `python -m gantrans`."""
    try:
        app()
    except GantransError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
