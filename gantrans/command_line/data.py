"""`data`: write pairs as a folder (`export`, `feedback`), look at one (`check`), take one in (`import`)."""

from pathlib import Path
from typing import Annotated

import typer

from gantrans.command_line.options import (
    MAX_COUNT,
    MAX_VALUES,
    Accept,
    Accepted,
    Bits,
    Device,
    Difficulty,
    Direction,
    FolderDirection,
    InRegistry,
    Json,
    PixelNm,
    RegistryDirection,
    Simulated,
    Split,
)
from gantrans.errors import DataError

app = typer.Typer(
    help="Write image pairs as a folder, check one, or take one in as labels.", no_args_is_help=True
)


@app.command("export")
def export(
    out: Annotated[Path, typer.Option(help="Folder to write; must be new or empty.")],
    source: Annotated[Simulated, typer.Option(help="Source of the layouts.")] = Simulated.procedural,
    split: Annotated[Split, typer.Option(help="Which part of the source.")] = Split.test,
    difficulty: Annotated[
        Difficulty, typer.Option(help="Preset of the SEM imaging conditions.")
    ] = Difficulty.default,
    size: Annotated[int, typer.Option(help="Side of the images in pixels.", min=8, max=2048)] = 64,
    count: Annotated[int, typer.Option(help="Number of pairs.", min=1, max=MAX_COUNT)] = 200,
    seed: Annotated[int, typer.Option(help="Seed of layouts and images.", min=0)] = 0,
    pixel_nm: Annotated[float, typer.Option(help="Nanometres per pixel.", min=1.0, max=200.0)] = 20.0,
    layer: Annotated[str, typer.Option(help="SKY130 layer: li1, poly or licon.")] = "li1",
) -> None:
    """Write simulated pairs as a folder: SEM images in input/, drawn layouts in target/.

    Example: python -m gantrans data export --difficulty hard --count 200 --out new
    """
    from gantrans.data import make_pairs, write_pairs

    if count * size**2 > MAX_VALUES:
        raise typer.BadParameter(
            f"{count:,} pairs of {size} px need {2 * count * size**2 / 1e9:,.0f} GB of memory; export fewer "
            "or smaller ones.",
            param_hint="--count",
        )
    pairs = make_pairs(
        source.value, split=split.value, size=size, pixel_nm=pixel_nm, difficulty=difficulty.value,
        count=count,
        seed=seed, layer=layer,
    )  # fmt: skip
    write_pairs(pairs, out, source=source.value, seed=seed)
    typer.echo(f"Wrote {len(pairs)} pairs to {out}.")


@app.command("feedback")
def export_feedback(
    store: Annotated[Path, typer.Option(help="SQLite file of `serve`.")],
    direction: Direction,
    out: Annotated[Path, typer.Option(help="Folder to write; must be new or empty.")],
    since: Annotated[
        str | None,
        typer.Option(help="ISO 8601, UTC: only pairs labelled or accepted later.", show_default="all"),
    ] = None,
    accepted: Accepted = False,
) -> None:
    """Write the labelled and corrected pairs of a feedback store as a folder to train on.

    Accepted outputs are left out unless --accepted is given: training on them is self-training.

    Example: python -m gantrans data feedback --store feedback.sqlite --direction sem2layout --out pairs
    """
    from gantrans.operations.feedback.exports import chosen_pairs, self_training, write_feedback
    from gantrans.operations.feedback.records import ACCEPTED, KINDS, ORIGINS
    from gantrans.operations.feedback.store import Store

    opened, origins = Store(store, create=False), ORIGINS if accepted else KINDS
    found = chosen_pairs(opened, direction, since=since)
    own = sum(pair.origin == ACCEPTED for pair in found)
    if own and own == len(found) and not accepted:
        raise DataError(
            f"{store} holds {own} accepted outputs of {direction} and no label; label or correct some, or "
            "take the outputs themselves as targets with --accepted (self-training)."
        )
    count = write_feedback(opened, out, direction, since=since, origins=origins)
    if warning := self_training(found) if accepted else None:
        typer.echo(f"warning: {warning}", err=True)
    left_out = f" {own} accepted outputs are left out (--accepted)." if own and not accepted else ""
    typer.echo(f"Wrote {count} pairs to {out}.{left_out}")


@app.command("import")
def import_labels(
    pairs: Annotated[
        Path, typer.Option(help="Folder with input/ and target/, equal names.", show_default=False)
    ],
    registry: InRegistry,
    store: Annotated[
        Path, typer.Option(help="SQLite file of `serve`; made if it is new.", show_default=False)
    ],
    direction: RegistryDirection = None,
    pixel_nm: PixelNm = None,
    bits: Bits = None,
    device: Device = None,
) -> None:
    """Record pairs measured elsewhere: the champion translates the inputs, the targets are true labels.

    As if a service had got each image and then its label. The same call can be repeated: nothing is recorded
    twice.

    Example: python -m gantrans data import --pairs new --registry models --store feedback.sqlite
    """
    from gantrans.command_line.registry import chosen, opened
    from gantrans.operations.feedback.imports import import_pairs
    from gantrans.operations.feedback.store import Store
    from gantrans.training import pick_device

    models = opened(registry)
    name = chosen(models, direction)
    champion = models.version(name, "champion").name
    predictor = models.predictor(name, champion, pick_device(device))
    count = import_pairs(Store(store), pairs, predictor, champion, pixel_nm=pixel_nm, bits=bits)
    typer.echo(
        f"{count} new labels in {store}.\n"
        f"Next: python -m gantrans cycle --registry {registry} --store {store}"
    )


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="Folder with input/ and target/.", show_default=False)],
    direction: FolderDirection = None,
    bits: Bits = None,
    accept: Accept = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a contact sheet of the pairs here.", show_default="none")
    ] = None,
    json_output: Json = False,
) -> None:
    """Look at a folder of pairs before a training: what would spoil it, where, and what settles it.

    Sizes, depth, values, polarity, displacement, copies, leakage between splits. `train` runs the same check
    and begins if nothing stops it. Exit code 0: it can be trained on; 2: it cannot, or not without --accept.

    Example: python -m gantrans data check pairs --html look.html
    """
    import json

    from gantrans.data.check import check_folder

    report = check_folder(folder, direction=direction, bits=bits, accept=accept or ())
    if html is not None:
        from gantrans.data.check.page import write_page

        write_page(report, html)
    typer.echo(json.dumps(report.to_dict(), indent=1) if json_output else report.text())
    if html is not None and not json_output:
        typer.echo(f"Contact sheet: {html}")
    if report.stopping:
        raise typer.Exit(2)
