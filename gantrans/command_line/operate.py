"""`review` and `serve`: human review of a run, and the HTTP service."""

from pathlib import Path
from typing import Annotated

import typer

from gantrans.command_line.encodings import Stated, stating_encoding
from gantrans.command_line.options import (
    MAX_COUNT,
    Bits,
    Device,
    EvaluationSplit,
    PartDirection,
    PixelNm,
    Source,
)

app = typer.Typer()
"""Its commands are added to the top level."""


@app.command()
@stating_encoding()
def review(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.", show_default=False)],
    source: Source = "procedural",
    direction: PartDirection = None,
    split: Annotated[EvaluationSplit, typer.Option(help="Which part of the source; all: a whole folder.")] = (
        EvaluationSplit.test
    ),
    count: Annotated[
        int | None,
        typer.Option(help="Number of pairs.", min=1, max=MAX_COUNT, show_default="50, or all of a folder"),
    ] = None,
    pixel_nm: PixelNm = None,
    bits: Bits = None,
    encoding: Stated = None,
    port: Annotated[int, typer.Option(help="Port of the page; 0: any free port.", min=0, max=65535)] = 8765,
    store: Annotated[
        Path | None, typer.Option(help="SQLite file of the verdicts.", show_default="RUN/review.sqlite")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the verdicts to this CSV file and exit.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the order of the items.", min=0)] = 0,
    in_order: Annotated[bool, typer.Option("--in-order", help="Do not shuffle.")] = False,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    device: Device = None,
) -> None:
    """Review a run's outputs beside input and reference on a local page; verdicts are saved immediately.

    Example: python -m gantrans review runs/first --source sky130
    """
    from gantrans.operations.feedback.exports import write_verdicts
    from gantrans.operations.feedback.store import Store
    from gantrans.operations.serving.hosting import listen, serve
    from gantrans.operations.serving.review import Review
    from gantrans.operations.serving.review_app import review_app

    path = store or run / "review.sqlite"
    if export is not None:
        typer.echo(f"Wrote {write_verdicts(Store(path, create=False), export)} verdicts to {export}.")
        return
    items = Review.open(
        run, source, direction=direction, split=split.value, count=count, pixel_nm=pixel_nm, bits=bits,
        encoding=encoding, seed=None if in_order else seed, device=device,
    )  # fmt: skip
    verdicts = Store(path)
    items.measured(0)  # load slow imports before the first verdict
    listening = listen("127.0.0.1", port)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    typer.echo(f"{len(items)} items at {address} - Ctrl+C stops; verdicts are saved in {verdicts.path}.")
    serve(review_app(items, verdicts), listening, browser=browser)


@app.command()
def serve(
    store: Annotated[
        Path, typer.Option(help="SQLite file of predictions, labels and verdicts.", show_default=False)
    ],
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", help="Folder of a training run; one per direction, or one of both."),
    ] = None,
    direction: PartDirection = None,
    registry: Annotated[Path | None, typer.Option(help="Serve the champions of this registry.")] = None,
    host: Annotated[
        str, typer.Option(help="Address to bind; a non-local one requires a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free port.", min=0, max=65535)] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="GANTRANS_TOKEN", help="Bearer token that clients must send.", show_default=False
        ),
    ] = None,
    waiting: Annotated[
        int,
        typer.Option(
            help="Largest number of requests handled or queued at once; further requests are answered with"
            " 503 (Retry-After).",
            min=1,
            max=1000,
        ),
    ] = 16,
    drift: Annotated[
        list[str] | None, typer.Option(help="DIRECTION=FILE: monitor inputs with this saved detector.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Accept this Host header, too: of a proxy in front.", metavar="NAME"),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="Accept changes from pages of this origin, too.", metavar="ORIGIN"),
    ] = None,
    limit_s: Annotated[float, typer.Option(help="Longest time for a request, in seconds.", min=1.0)] = 60.0,
    device: Device = None,
) -> None:
    """Serve translators over HTTP, with monitors, review and correction; every prediction is stored.

    Example: python -m gantrans serve --run runs/first --store runs/feedback.sqlite
    """
    from gantrans.operations.serving.run import ServeConfig, run_service

    run_service(
        ServeConfig(
            store, tuple(run or ()), registry, host, port, token, waiting, tuple(drift or ()), browser,
            device, direction, tuple(allow_host or ()), tuple(allow_origin or ()), limit_s,
        ),
        typer.echo,
    )  # fmt: skip
