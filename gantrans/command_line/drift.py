"""`drift fit`, `drift watch` and `drift acknowledge`: a monitor of the inputs, as a file."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gantrans.command_line.options import (
    MAX_COUNT,
    MAX_VALUES,
    Difficulty,
    FileOrder,
    Json,
    PartDirection,
    Simulated,
    Who,
    Why,
)
from gantrans.errors import ConfigError

if TYPE_CHECKING:
    from gantrans.data.encoding import Side
    from gantrans.operations.drift.detector import DriftReport

app = typer.Typer(
    help="A monitor of input images: fit it, let it watch a folder, acknowledge its alarms.",
    no_args_is_help=True,
)

ALARM = 1
"""Exit code of `watch` while an alarm stands."""
Detector = Annotated[Path, typer.Argument(help="File of `drift fit`.", show_default=False)]
Order = Annotated[FileOrder, typer.Option(help="The order of time in a folder: by name, or by change.")]
PixelNm = Annotated[float, typer.Option(help="Nanometres per pixel of the images.", min=0.01, max=1e4)]
Run = Annotated[
    Path | None,
    typer.Option(help="A run as whose inputs the files are read: bits, white, inverted.", show_default="none"),
]
Size = Annotated[int, typer.Option(help="Side of simulated images in pixels.", min=16, max=2048)]


@app.command()
def fit(
    out: Annotated[Path, typer.Option(help="File to write; must be new.", show_default=False)],
    source: Annotated[
        str, typer.Option(help="A folder of images in the order of time, procedural or sky130.")
    ] = "procedural",
    direction: PartDirection = None,
    count: Annotated[int, typer.Option(help="Number of simulated images.", min=1, max=MAX_COUNT)] = 8000,
    size: Size = 64,
    pixel_nm: PixelNm = 20.0,
    difficulty: Annotated[
        Difficulty, typer.Option(help="Preset of the simulated imaging conditions.")
    ] = Difficulty.default,
    window: Annotated[int, typer.Option(help="Images per window.", min=200, max=100_000)] = 200,
    order: Order = FileOrder.by_name,
    seed: Annotated[int, typer.Option(help="Seed of images and calibration.", min=0)] = 0,
    run: Run = None,
) -> None:
    """Fit a monitor to images of good times: 40 windows (8,000 images) or more, in the order of time.

    Its thresholds are found on these images, lots included, so that images like them seldom alarm.

    Example: python -m gantrans drift fit --source images --out sem2layout.drift

    A service watches with it: python -m gantrans serve ... --drift sem2layout=sem2layout.drift
    """
    from gantrans.operations.drift.detector import DriftConfig
    from gantrans.operations.drift.profile import measure
    from gantrans.operations.drift.streams import (
        check_enough,
        fit_on,
        folder_images,
        measure_files,
        simulated_images,
    )

    if out.exists():
        raise ConfigError(f"{out} exists and is not overwritten; choose another file, or remove it first.")
    if not out.parent.is_dir():
        raise ConfigError(f"The folder {out.parent} does not exist; make it or choose another file.")
    config = DriftConfig(window=window)
    if source in list(Simulated):
        check_enough(count, config)
        if count * size**2 > MAX_VALUES:
            raise ConfigError(
                f"{count:,} images of {size} px do not fit into memory; lower --count or --size."
            )
        images = simulated_images(
            source, direction or "sem2layout", count=count, size=size, pixel_nm=pixel_nm,
            difficulty=difficulty.value, seed=seed,
        )  # fmt: skip
        parts = iter([measure(part, pixel_nm, config.schema) for part in images.split(256)])
    else:
        paths = folder_images(Path(source), order.value)
        check_enough(len(paths), config)
        bits, side = _reading(run, direction)
        count, parts = len(paths), measure_files(paths, pixel_nm, config.schema, bits=bits, side=side)
    fit_on(parts, config, seed=seed).save(out)
    name = direction or "sem2layout"
    typer.echo(f"Fitted to {count} images: {out}.\nNext: serve with --drift {name}={out}")


@app.command()
def watch(
    detector: Detector,
    source: Annotated[Path, typer.Option(help="A folder of images.", show_default=False)],
    every: Annotated[
        float | None,
        typer.Option(help="Seconds between two looks, until Ctrl+C.", min=0.1, show_default="once"),
    ] = None,
    pixel_nm: PixelNm = 20.0,
    order: Order = FileOrder.by_name,
    run: Run = None,
    direction: PartDirection = None,
    json_output: Json = False,
) -> None:
    """Add the images of a folder that are new to it, and report whether the inputs have changed.

    State and names of the images added are kept (in DETECTOR and DETECTOR.watched). A file that a service
    writes (`serve --drift`) is watched by that service alone. An alarm asks for labels, not for training.
    Exit code 0: no alarm stands; 1: drift; 2: bad input.

    Example: python -m gantrans drift watch sem2layout.drift --source images/today
    """
    from gantrans.operations.drift.detector import DRIFT, DriftDetector
    from gantrans.operations.drift.streams import add_new_files

    bits, side = _reading(run, direction)
    while True:
        known = DriftDetector.load(detector)
        report, new = add_new_files(known, detector, source, pixel_nm, order.value, bits=bits, side=side)
        _tell(report, new, json_output)
        if every is None:
            break
        time.sleep(every)
    if report.status == DRIFT:
        raise typer.Exit(ALARM)


def _reading(run: Path | None, direction: str | None) -> tuple[int | None, "Side"]:
    """Bits and side of the inputs of a run; without one files are read as they are."""
    from gantrans.data.encoding import Side
    from gantrans.operations.feedback.sides import reading_of
    from gantrans.translation import load_recipe

    if run is None:
        return None, Side()
    read = reading_of(load_recipe(run).towards(direction, run))
    return read.bits, read.input


def _tell(report: "DriftReport", new: int, json_output: bool) -> None:
    if json_output:
        alarms = [vars(alarm) | {"features": list(alarm.features)} for alarm in report.alarms]
        typer.echo(json.dumps({**vars(report), "new": new, "alarms": alarms}))
        return
    score = (
        "no window yet" if report.score is None else f"window {report.score:.2f} of {report.threshold:.2f}"
    )
    typer.echo(
        f"{report.status}: {new} new images, {report.seen} in all, {report.outliers} outliers; {score}, "
        f"chart {report.chart:.2f} of {report.limit:.2f}"
    )
    for alarm in report.alarms:
        typer.echo(f"  alarm at image {alarm.image} ({alarm.level}): {', '.join(alarm.features)}")


@app.command()
def acknowledge(detector: Detector, why: Why, who: Who = "") -> None:
    """Mark the alarms so far as seen; reason and name are kept in the file. A service takes it over.

    Example: python -m gantrans drift acknowledge sem2layout.drift --why "new scanner, labels are ordered"
    """
    from gantrans.operations.drift.detector import DriftDetector

    if not why.strip():
        raise ConfigError("Say why the alarms are acknowledged; the reason is kept in the file.")
    known = DriftDetector.load(detector)
    count = known.acknowledge(why, who=who)
    if not count:
        typer.echo(f"No alarm stands in {detector}; nothing was changed.")
        return
    known.save(detector)
    typer.echo(f"{count} alarm{'s' if count > 1 else ''} acknowledged: {known.report().status} now.")
