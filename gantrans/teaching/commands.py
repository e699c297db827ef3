"""`python -m gantrans course ...`: lessons, kill rates of exercises, the claims ledger, notebook checks."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gantrans.errors import DataError

app = typer.Typer(help="Look at the course: lessons, exercises, claims, notebooks.", no_args_is_help=True)
notebooks_app = typer.Typer(help="Execute and check lesson notebooks.", no_args_is_help=True)
app.add_typer(notebooks_app, name="notebooks")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]
ScaleOption = Annotated[
    str | None, typer.Option(help="smoke, reduced or full.", show_default="what fits here")
]


def show_table(rows: Sequence[dict[str, object]], *, json_output: bool, width: int = 48) -> None:
    """Print rows of equal keys as a table, long texts shortened, or whole as JSON."""
    if json_output:
        typer.echo(json.dumps(list(rows), indent=1, default=str))
        return
    if not rows:
        typer.echo("Nothing to show.")
        return
    head = list(rows[0])
    cells = [[_short(str(row[key]), width) for key in head] for row in rows]
    widths = [max(len(line[i]) for line in [head, *cells]) for i in range(len(head))]
    for line in [head, ["-" * w for w in widths], *cells]:
        typer.echo("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip())


def _short(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


@app.command("list")
def list_lessons(json_output: Json = False) -> None:
    """The lessons with the question each one answers and its minutes at each scale."""
    import nbformat

    from gantrans.teaching.notebooks.run import find_lessons
    from gantrans.teaching.scales import lesson_minutes

    rows = []
    for path in find_lessons():
        title = nbformat.read(path, 4).cells[0].source.splitlines()[0].lstrip("# ")
        rows.append(
            {
                "lesson": path.stem,
                "title": title,
                **{f"{k} [min]": v for k, v in lesson_minutes(path).items()},
            }
        )
    show_table(rows, json_output=json_output, width=80)


@app.command()
def exercises(
    mutants: Annotated[
        bool, typer.Option("--mutants", help="Mutate every reference, too (minutes).")
    ] = False,
    json_output: Json = False,
) -> None:
    """How well the exercise checkers check: wrong answers refused and diagnosed, right ones accepted."""
    from gantrans.teaching.exercises import kill_table

    show_table(kill_table(mutants=mutants), json_output=json_output)


@app.command("claims")
def claims_command(
    rerun: Annotated[
        str | None, typer.Option(help="Measure what decides this claim again, from scratch, no caches.")
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Put this machine's records into the committed ledger.")
    ] = False,
    stamp: Annotated[
        bool, typer.Option("--stamp", help="Date new or changed rules, before their experiment.")
    ] = False,
    scale: ScaleOption = None,
    json_output: Json = False,
) -> None:
    """The claims ledger: what is said, what is true, what was measured, and the verdict."""
    from gantrans.scales import resolve_scale
    from gantrans.teaching import claims

    ledger, ids = None, None
    if stamp:
        claims.stamp()
    if rerun is not None:
        from gantrans.teaching.sweeps.measure import rerun as repeat

        ledger, ids = {rerun: repeat(rerun, resolve_scale(scale))}, [rerun]  # what it gave, a smoke run too
    if merge:
        claims.merge(claims.RUNS, claims.COMMITTED)
    rows = [asdict(row) for row in claims.ledger_table(ledger, ids)]
    show_table(rows, json_output=json_output, width=44)


@notebooks_app.command("run")
def run_notebooks(notebooks: list[Path], scale: ScaleOption = None) -> None:
    """Execute notebooks in place, normalise and stamp them: how lessons are committed (scale reduced or
    full).
    """
    from gantrans.teaching.notebooks.executed import execute

    for path in _existing(notebooks):
        execute(path, scale)
        typer.echo(f"executed {path.name}")


@notebooks_app.command("check")
def check_notebooks(
    notebooks: Annotated[list[Path] | None, typer.Argument(show_default="all lessons")] = None,
) -> None:
    """Check committed notebooks without running them: outputs, rules of writing, prose against the ledger."""
    from gantrans.teaching import claims
    from gantrans.teaching.notebooks.executed import check
    from gantrans.teaching.notebooks.run import find_lessons

    paths = _existing(notebooks) if notebooks else find_lessons()
    ledger = claims.read(claims.COMMITTED)
    problems = [line for path in paths for line in (*check(path), *claims.check_prose(path, ledger))]
    for line in problems:
        typer.echo(line, err=True)
    typer.echo(f"{len(paths)} notebook{'s' if len(paths) != 1 else ''}, {len(problems)} problems.")
    raise typer.Exit(1 if problems else 0)


def _existing(paths: Sequence[Path]) -> list[Path]:
    for path in paths:
        if not path.is_file():
            raise DataError(f"There is no notebook {path}.")
    return list(paths)
