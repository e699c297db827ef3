"""The command line: `python -m gantrans --help`.

A user's mistake ends in one sentence on standard error and exit code 2; anything else that goes wrong is a
bug and keeps its traceback. Heavy imports wait until a command needs them, so that `--help` is quick.
"""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gantrans.course.commands import app as course_app
from gantrans.errors import GantransError

app = typer.Typer(
    help="Learn, train, judge and run image translation between SEM images and chip layout.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Make image pairs.", no_args_is_help=True)
clips_app = typer.Typer(help="Generate layout clips with a diffusion model.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(clips_app, name="clips")
app.add_typer(course_app, name="course")


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


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1))


@app.command()
def doctor(json_output: Json = False) -> None:
    """Say whether this machine is ready for the course."""
    from gantrans.course.doctor import examine

    checks = examine()
    if json_output:
        _print_json([vars(check) for check in checks])
    else:
        for check in checks:
            typer.echo(
                f"{'ok ' if check.ok else '!! '} {check.name:<13} {check.value}  {check.advice}".rstrip()
            )
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


@app.command()
def train(
    direction: Annotated[Direction, typer.Option(help="What to translate into what.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoints, history, configuration.")],
    source: Source = "procedural",
    scale: Annotated[Scale, typer.Option(help="Size of data, network and training.")] = Scale.auto,
    seed: Annotated[int, typer.Option(help="One seed makes everything.", min=0)] = 0,
    max_seconds: Annotated[
        float | None, typer.Option(help="Stop (resumably) after this long.", min=0.0)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    pixel_nm: PixelNm = None,
    device: Device = None,
) -> None:
    """Train a translator.

    Example: python -m gantrans train --direction sem2layout --source sky130 --scale reduced --out runs/first
    """
    from gantrans.course.scales import resolve_scale
    from gantrans.translation import diagnose, recipe, train_recipe

    chosen = recipe(direction.value, resolve_scale(scale.value), source, seed=seed, pixel_nm=pixel_nm)
    result = train_recipe(chosen, out, resume=resume, max_seconds=max_seconds, device=device)
    if chosen.task.discriminator is not None:
        typer.echo(f"Diagnosis of the two players: {diagnose(result.history)}")
    typer.echo(f"{result.summary()}\nNext: python -m gantrans evaluate --run {out} --source {source}")


@app.command()
def evaluate(
    run: Run,
    source: Source = "procedural",
    split: Annotated[EvaluationSplit, typer.Option(help="Which part of the source; all: a whole folder.")] = (
        EvaluationSplit.test
    ),
    count: Annotated[
        int | None, typer.Option(help="How many pairs.", min=1, show_default="as the run's scale")
    ] = None,
    pixel_nm: PixelNm = None,
    device: Device = None,
    json_output: Json = False,
) -> None:
    """Measure a run on held-out pairs, per layout family, beside the classical baseline on the same ones."""
    from gantrans.translation import evaluate_run

    report = evaluate_run(run, source, split=split.value, count=count, pixel_nm=pixel_nm, device=device)
    if json_output:
        _print_json(report.to_dict())
    else:
        typer.echo(report.table())


@app.command()
def predict(
    run: Run,
    input_path: Annotated[Path, typer.Option("--input", help="An image or a folder of images.")],
    output_path: Annotated[
        Path, typer.Option("--output", help="The PNG, or the folder for the PNGs, to write.")
    ],
    pixel_nm: PixelNm = None,
    seed: Annotated[int, typer.Option(help="Draws the noise of a layout -> SEM network.", min=0)] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace PNGs that exist.")] = False,
    device: Device = None,
) -> None:
    """Translate images: a PNG of the same name and size for every input."""
    from gantrans.translation import predict_files

    done = predict_files(
        run, input_path, output_path, pixel_nm=pixel_nm, seed=seed, overwrite=overwrite, device=device
    )
    typer.echo(f"Wrote {len(done)} image{'s' if len(done) != 1 else ''} to {output_path}.")


@app.command()
def review(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.", show_default=False)],
    source: Source = "procedural",
    split: Annotated[EvaluationSplit, typer.Option(help="Which part of the source; all: a whole folder.")] = (
        EvaluationSplit.test
    ),
    count: Annotated[
        int | None, typer.Option(help="How many pairs.", min=1, show_default="50, or all of a folder")
    ] = None,
    pixel_nm: PixelNm = None,
    port: Annotated[int, typer.Option(help="Where the page is served; 0: any.", min=0, max=65535)] = 8765,
    store: Annotated[
        Path | None, typer.Option(help="SQLite file of the verdicts.", show_default="RUN/review.sqlite")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the verdicts to this CSV file and end.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Shuffles the items, so that no order leads you.", min=0)] = 0,
    in_order: Annotated[bool, typer.Option("--in-order", help="Do not shuffle.")] = False,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    device: Device = None,
) -> None:
    """Judge a run's outputs by eye, beside input and reference, in a local page; verdicts are saved at once.

    Example: python -m gantrans review runs/first --source sky130
    """
    from gantrans.operations.exports import write_verdicts
    from gantrans.operations.hosting import listen, serve
    from gantrans.operations.review import Review
    from gantrans.operations.review_app import review_app
    from gantrans.operations.store import Store

    path = store or run / "review.sqlite"
    if export is not None:
        typer.echo(f"Wrote {write_verdicts(Store(path, create=False), export)} verdicts to {export}.")
        return
    items = Review.open(
        run, source, split=split.value, count=count, pixel_nm=pixel_nm, seed=None if in_order else seed,
        device=device,
    )  # fmt: skip
    verdicts = Store(path)
    items.measured(0)  # the slow imports now rather than under the first verdict
    listening = listen("127.0.0.1", port)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    typer.echo(f"{len(items)} items at {address} - Ctrl+C ends; verdicts are saved in {verdicts.path}.")
    serve(review_app(items, verdicts), listening, browser=browser)


@app.command()
def ablate(
    name: Annotated[
        str | None, typer.Argument(help="An ablation (see --list), or the path of a grid file.")
    ] = None,
    scale: Annotated[Scale, typer.Option(help="Size of every run.")] = Scale.auto,
    workers: Annotated[int, typer.Option(help="Runs at a time on this machine.", min=1)] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each run on this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Use this Dask scheduler, tcp://HOST:PORT, and its workers.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder that all workers see.", show_default="runs/ablations/NAME-SCALE"),
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(help="Start no run after this long; resumable.", min=0.0)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the runs and the estimated time.")
    ] = False,
    write_notebook: Annotated[
        bool, typer.Option("--write-notebook", help="Write the notebook of a sweep of the course.")
    ] = False,
    show_list: Annotated[bool, typer.Option("--list", help="The ablations there are.")] = False,
) -> None:
    """Run a notebook over a grid of settings and seeds; the same command resumes.

    Example: python -m gantrans ablate schedules --scale reduced --workers 2
    """
    from gantrans.course.ablations import commands

    if show_list or name is None:
        commands.list_grids()
    elif write_notebook:
        commands.write_notebook(name)
    else:
        code = commands.run(
            name, scale.value, out, workers=workers, threads=threads, scheduler=scheduler,
            max_hours=max_hours, dry_run=dry_run,
        )  # fmt: skip
        raise typer.Exit(code)


@app.command()
def serve(
    store: Annotated[
        Path, typer.Option(help="SQLite file of predictions, labels and verdicts.", show_default=False)
    ],
    run: Annotated[
        list[Path] | None, typer.Option("--run", help="Folder of a training run; one per direction.")
    ] = None,
    registry: Annotated[Path | None, typer.Option(help="Serve the champions of this registry.")] = None,
    host: Annotated[
        str, typer.Option(help="Address; another than this machine needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any.", min=0, max=65535)] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="GANTRANS_TOKEN", help="What clients must send as a bearer token.", show_default=False
        ),
    ] = None,
    waiting: Annotated[int, typer.Option(help="Requests in the house; more get 503.", min=1, max=1000)] = 16,
    drift: Annotated[
        list[str] | None, typer.Option(help="DIRECTION=FILE: watch inputs with this saved detector.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = False,
    device: Device = None,
) -> None:
    """Serve translators over HTTP, with monitors, review and correction; every prediction is registered.

    Example: python -m gantrans serve --run runs/first --store runs/feedback.sqlite
    """
    from gantrans.operations.serving import ServeConfig, run_service

    run_service(
        ServeConfig(
            store, tuple(run or ()), registry, host, port, token, waiting, tuple(drift or ()), browser, device
        ),
        typer.echo,
    )


@data_app.command("export")
def export(
    out: Annotated[Path, typer.Option(help="Folder to write; must be new or empty.")],
    source: Annotated[Simulated, typer.Option(help="Where the layouts come from.")] = Simulated.procedural,
    split: Annotated[Split, typer.Option(help="Which part of the source.")] = Split.test,
    difficulty: Annotated[
        Difficulty, typer.Option(help="How hard the SEM image is to read.")
    ] = Difficulty.default,
    size: Annotated[int, typer.Option(help="Pixels along each side.", min=8, max=2048)] = 64,
    count: Annotated[int, typer.Option(help="How many pairs.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="One seed makes everything.", min=0)] = 0,
    pixel_nm: Annotated[float, typer.Option(help="Nanometres per pixel.", min=1.0, max=200.0)] = 20.0,
    layer: Annotated[str, typer.Option(help="SKY130 layer: li1, poly or licon.")] = "li1",
) -> None:
    """Write simulated pairs as a folder: SEM images in input/, drawn layouts in target/."""
    from gantrans.data import make_pairs, write_pairs

    pairs = make_pairs(
        source.value, split=split.value, size=size, pixel_nm=pixel_nm, difficulty=difficulty.value,
        count=count,
        seed=seed, layer=layer,
    )  # fmt: skip
    write_pairs(pairs, out, source=source.value, seed=seed)
    typer.echo(f"Wrote {len(pairs)} pairs to {out}.")


@data_app.command("feedback")
def export_feedback(
    store: Annotated[Path, typer.Option(help="SQLite file of `serve`.")],
    direction: Annotated[Direction, typer.Option(help="Which pairs.")],
    out: Annotated[Path, typer.Option(help="Folder to write; must be new or empty.")],
    since: Annotated[
        str | None, typer.Option(help="ISO 8601, UTC: only pairs made later.", show_default="all")
    ] = None,
) -> None:
    """Write reviewed and corrected pairs of a feedback store as a folder to train on."""
    from gantrans.operations.exports import write_feedback
    from gantrans.operations.store import Store

    count = write_feedback(Store(store, create=False), out, direction.value, since=since)
    typer.echo(f"Wrote {count} pairs to {out}.")


@clips_app.command("train")
def train_generator(
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoints, history, configuration.")],
    source: Annotated[Simulated, typer.Option(help="Where the layouts come from.")] = Simulated.procedural,
    scale: Annotated[Scale, typer.Option(help="Size of data, network and training.")] = Scale.auto,
    seed: Annotated[int, typer.Option(help="One seed makes everything.", min=0)] = 0,
    layer: Annotated[str, typer.Option(help="SKY130 layer: li1, poly or licon.")] = "li1",
    max_seconds: Annotated[
        float | None, typer.Option(help="Stop (resumably) after this long.", min=0.0)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    device: Device = None,
) -> None:
    """Train a generator of layout clips.

    Example: python -m gantrans clips train --source sky130 --scale reduced --out runs/clips
    """
    from gantrans.course.scales import resolve_scale
    from gantrans.diffusion import clip_recipe, train_clips

    recipe = clip_recipe(source.value, resolve_scale(scale.value), seed=seed, layer=layer)
    result = train_clips(recipe, out, resume=resume, max_seconds=max_seconds, device=device)
    typer.echo(f"{result.summary()}\nNext: python -m gantrans clips sample --run {out} --out {out}-clips")


@clips_app.command("sample")
def sample_clips(
    run: Run,
    out: Annotated[Path, typer.Option(help="Folder for the PNGs; must be new or empty.")],
    count: Annotated[int, typer.Option(help="How many clips.", min=1)] = 64,
    sampler: Annotated[Sampler, typer.Option(help="How noise becomes a clip.")] = Sampler.ddpm,
    steps: Annotated[int, typer.Option(help="Evaluations of the network for each clip.", min=1)] = 50,
    rho: Annotated[float, typer.Option(help="Above 1: more of the steps near the end.", min=1.0)] = 1.0,
    family: Annotated[str | None, typer.Option(help="Draw this family.", show_default="any")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="Lean towards --family; 1 is none.", min=0.0, show_default="none")
    ] = None,
    seed: Annotated[int, typer.Option(help="Names all the noise.", min=0)] = 0,
    judge: Annotated[bool, typer.Option("--judge", help="Say how good they are (some ten seconds).")] = False,
    device: Device = None,
) -> None:
    """Draw layout clips from a trained generator, as PNGs."""
    from gantrans.diffusion import ClipGenerator, SamplerConfig, write_clips

    generator = ClipGenerator.load(run, device)
    config = SamplerConfig(sampler.value, steps, rho=rho)
    drawn = generator.draw(count, config, family=family, guidance=guidance, seed=seed, progress=True)
    write_clips(drawn, out)
    typer.echo(f"Wrote {count} clips to {out}.")
    if judge:
        for name, value in generator.judge(drawn).as_dict().items():
            typer.echo(f"{name:<16} {value:.3g}")


def main() -> None:
    """Entry point of `gantrans` and `python -m gantrans`."""
    try:
        app()
    except GantransError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
