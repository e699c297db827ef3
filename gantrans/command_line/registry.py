"""`registry ...`: versions of translators, who serves, and what a person decided, with reasons."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantrans.command_line.options import Json, RegistryDirection, Who, Why
from gantrans.errors import ConfigError

if TYPE_CHECKING:
    from gantrans.operations.promotion.registry import Registry

app = typer.Typer(
    help="Versions of translators: register, promote, roll back, look; every change is kept with its reason.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(metavar="REGISTRY", help="Its folder.", show_default=False)]
Version = Annotated[
    str, typer.Argument(help="A version as v0002, or champion, challenger or previous.", show_default=False)
]


def opened(folder: Path) -> "Registry":
    """The registry in a folder.

    Raises:
        ConfigError: there is none.
    """
    from gantrans.operations.promotion.registry import Registry

    if not folder.is_dir():
        raise ConfigError(
            f"There is no registry at {folder}; make one: python -m gantrans registry init {folder}"
        )
    return Registry(folder)


def chosen(registry: "Registry", direction: str | None) -> str:
    """The stated direction, else the only one that has versions.

    Raises:
        ConfigError: there is none, or several.
    """
    from gantrans.directions import directions

    if direction is not None:
        return direction
    there = [name for name in directions() if registry.versions(name)]
    if not there:
        raise ConfigError(f"Nothing is registered in {registry.root}; register a run: registry register.")
    if len(there) > 1:
        raise ConfigError(
            f"{registry.root} has versions for {' and '.join(there)}; choose one with --direction."
        )
    return there[0]


@app.command()
def init(folder: Folder) -> None:
    """Make an empty registry.

    Example: python -m gantrans registry init models
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not empty; nothing was changed: choose another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made ({error.strerror}); choose another folder.") from error
    typer.echo(f"Made the registry {folder}.\nNext: python -m gantrans registry register {folder} RUN")


@app.command()
def register(
    folder: Folder,
    run: Annotated[Path, typer.Argument(help="Folder of a training run.", show_default=False)],
    note: Annotated[str, typer.Option(help="A sentence about it.")] = "",
    parent: Annotated[
        str | None, typer.Option(help="The version that it was tuned from.", show_default="none")
    ] = None,
) -> None:
    """Copy a training run into a new version, which becomes the challenger; the champion stays.

    Example: python -m gantrans registry register models runs/first --note "first training"
    """
    registry = opened(folder)
    version = registry.register(run, parent=parent, note=note)
    typer.echo(
        f"{version.name} of {version.recipe.direction} is the challenger.\n"
        f"Next: python -m gantrans registry promote {folder}, or gantrans gate to compare it first"
    )


@app.command("list")
def list_versions(folder: Folder, direction: RegistryDirection = None, json_output: Json = False) -> None:
    """All versions, which one serves, and why.

    Example: python -m gantrans registry list models
    """
    registry = opened(folder)
    name = chosen(registry, direction)
    rows = registry.story(name)
    if json_output:
        typer.echo(json.dumps({"direction": name, "versions": rows}, indent=1))
        return
    for row in rows:
        since = row["created"] or ""
        typer.echo(
            f"{row['name']}  {row['role'] or '-':<10}  {since[:16]}  {row['why'] or row['note'] or ''}"
        )
    regime, reference = registry.regime(name), registry.reference(name)
    typer.echo(f"regime: {regime.name}{f' since {regime.since}: {regime.why}' if regime.since else ''}")
    if reference is None:
        typer.echo("reference of quality: none; set one with: gantrans registry reference")
    else:
        value = "" if reference.value is None else f" {reference.metric} {reference.value:.3f}"
        typer.echo(f"reference of quality: {reference.version}{value}: {reference.why}")


@app.command()
def show(
    folder: Folder, version: Version, direction: RegistryDirection = None, json_output: Json = False
) -> None:
    """One version: where it came from, its settings, and what happened to it.

    Example: python -m gantrans registry show models champion
    """
    registry = opened(folder)
    name = chosen(registry, direction)
    found = registry.version(name, version)
    row = next(row for row in registry.story(name) if row["name"] == found.name)
    about: dict[str, Any] = {**row, "folder": str(found.folder), "recipe": found.about["recipe"]}
    if json_output:
        typer.echo(json.dumps(about, indent=1))
        return
    typer.echo(f"{found.name} of {name} in {found.folder}: {row['role'] or 'not in use'}")
    typer.echo(f"made {row['created']}, parent {row['parent'] or 'none'}. {row['note'] or ''}".rstrip())
    for event in row["events"]:
        by = f" ({event['who']})" if event["who"] else ""
        typer.echo(f"{event['time']}  {event['action']}{by}  {event['why']}")


@app.command()
def verify(folder: Folder, direction: RegistryDirection = None) -> None:
    """Compare all files of all versions with their hashes, and follow the chain of the history.

    Example: python -m gantrans registry verify models
    """
    registry = opened(folder)
    name = chosen(registry, direction)
    events, versions = registry.history(name), registry.versions(name)
    for version in versions:
        registry.verify(name, version)
    typer.echo(f"{name}: {len(versions)} versions and {len(events)} changes are as they were written.")


@app.command()
def promote(
    folder: Folder,
    version: Annotated[str, typer.Argument(help="As v0002, or challenger.")] = "challenger",
    direction: RegistryDirection = None,
    over: Annotated[
        str | None,
        typer.Option(help="Only if this version is the champion now.", show_default="whichever"),
    ] = None,
    why: Annotated[str, typer.Option(help="The reason; kept in the history.")] = "",
    who: Who = "",
) -> None:
    """Make a version the champion without asking the gate; a service uses it from the next request on.

    The reference of quality does not move.

    Example: python -m gantrans registry promote models --why "the first"
    """
    registry = opened(folder)
    name = chosen(registry, direction)
    found = registry.promote(name, version, over=over, details={"why": why, "who": who, "from": "command"})
    typer.echo(f"{found.name} is the champion of {name}.")


@app.command()
def rollback(folder: Folder, why: Why, direction: RegistryDirection = None, who: Who = "") -> None:
    """Make the previous champion the champion again, without training.

    Example: python -m gantrans registry rollback models --why "bridges in lot 12"
    """
    registry = opened(folder)
    name = chosen(registry, direction)
    found = registry.rollback(name, why=why, who=who)
    typer.echo(f"{found.name} is the champion of {name} again.")


@app.command()
def retire(
    folder: Folder,
    opens: Annotated[str, typer.Option(help="Name of the regime that begins.", show_default=False)],
    why: Why,
    since: Annotated[
        str | None,
        typer.Option(help="When it began: 2026-05-04 or 2026-05-04T10:00:00Z.", show_default="now"),
    ] = None,
    direction: RegistryDirection = None,
    who: Who = "",
) -> None:
    """End the present regime: conditions that hold no longer, such as a scanner or a way of drawing.

    Images taken since then belong to the new regime, whenever their label comes. finetune, gate and cycle use
    labels of the present regime only: older ones are neither taught nor replayed, and guard against nothing.
    Nothing is deleted; the decision is a line of the registry's history.

    Example: python -m gantrans registry retire models --opens "B" --since 2026-05-04 --why "scanner B"
    """
    registry = opened(folder)
    name = chosen(registry, direction)
    regime = registry.retire(name, opens=opens, why=why, who=who, since=since)
    typer.echo(f"The regime {regime.name!r} of {name} holds for images since {regime.since}.")


@app.command()
def reference(
    folder: Folder,
    version: Version,
    why: Why,
    value: Annotated[
        float | None,
        typer.Option(
            help="The quality, with --labels.", show_default="the mean of the version's true labels"
        ),
    ] = None,
    labels: Annotated[int, typer.Option(help="Number of labels behind --value.", min=0)] = 0,
    direction: RegistryDirection = None,
    who: Who = "",
) -> None:
    """Set the quality that later labels are compared with; a promotion does not move it.

    Example: python -m gantrans registry reference models v0001 --value 0.75 --labels 96 --why "at acceptance"
    """
    from gantrans.directions import direction as registered

    registry = opened(folder)
    name = chosen(registry, direction)
    metric = registered(name).quality if value is not None else ""
    found = registry.set_reference(
        name, version=version, why=why, who=who, value=value, metric=metric, count=labels
    )
    typer.echo(f"Later labels of {name} are compared with {found.version}.")
