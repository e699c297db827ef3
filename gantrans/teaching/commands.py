"""`python -m gantrans course ...`: lessons, your progress and files, kill rates of exercises, the claims
ledger, notebook checks; and the commands `ablate` and `doctor` beside it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gantrans.command_line.options import Scale
from gantrans.errors import DataError
from gantrans.teaching.table import show_table

app = typer.Typer(help="Look at the course: lessons, exercises, claims, notebooks.", no_args_is_help=True)
notebooks_app = typer.Typer(help="Execute and check lesson notebooks.", no_args_is_help=True)
app.add_typer(notebooks_app, name="notebooks")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
ScaleOption = Annotated[
    str | None, typer.Option(help="smoke, reduced or full.", show_default="what fits here")
]


@app.command("list")
def list_lessons(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table of README.md.")] = False,
    json_output: Json = False,
) -> None:
    """The lessons: the question of each, the minutes you need, and the machine's at each scale."""
    from gantrans.teaching.course import course_table, lessons

    course = lessons()
    if markdown:
        typer.echo(course_table(course))
        return
    rows = [
        {
            "lesson": one.notebook.stem,
            "question": one.question,
            "you [min]": one.person_minutes,
            **{f"{scale} [min]": minutes for scale, minutes in one.minutes.items()},
        }
        for one in course
    ]
    show_table(rows, json_output=json_output, width=60)


@app.command("new")
def new_lesson(
    name: Annotated[str, typer.Argument(help="Number and name of the lesson, such as 17_flow_matching.")],
) -> None:
    """Write a small complete lesson to start from: its page, its folder, its evidence page."""
    from gantrans.teaching.notebooks.skeleton import write_skeleton

    for path in write_skeleton(name):
        typer.echo(f"wrote {path}")


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


@app.command("export")
def export_command(
    name: Annotated[str, typer.Argument(help="One of the files, such as my_diffusion, or all.")] = "all",
    out: Annotated[Path, typer.Option(help="Folder for the files; it is made if need be.")] = Path("."),
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write what you have built as files that run without the course; the course's parts fill the gaps."""
    from gantrans.teaching.learner import export

    for one in export.templates() if name == "all" else [name]:
        typer.echo(f"wrote {export.export(one, out, force=force)}")


@app.command("progress")
def progress_command(json_output: Json = False) -> None:
    """How far you are: exercises by lesson, whose version runs, hints, minutes, and what comes next."""
    from gantrans.teaching.learner.standing import progress_table, standing

    if json_output:
        typer.echo(json.dumps(standing(), indent=1))
    else:
        typer.echo(str(progress_table()))


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
    notebooks: Annotated[list[Path] | None, typer.Argument(show_default="all pages")] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Print what is measured on each page, with the limits.")
    ] = False,
) -> None:
    """Check committed pages without running them: outputs, rules of writing, prose against the ledger."""
    from gantrans.teaching import claims
    from gantrans.teaching.notebooks.executed import check
    from gantrans.teaching.notebooks.measures import report_rows
    from gantrans.teaching.notebooks.run import find_pages

    paths = _existing(notebooks) if notebooks else find_pages()
    if report:
        show_table(report_rows(paths), json_output=False, width=76)
    ledger = claims.read(claims.COMMITTED)
    problems = [line for path in paths for line in (*check(path), *claims.check_prose(path, ledger))]
    for line in problems:
        typer.echo(line, err=True)
    typer.echo(f"{len(paths)} notebook{'s' if len(paths) != 1 else ''}, {len(problems)} problems.")
    raise typer.Exit(1 if problems else 0)


@notebooks_app.command("text")
def notebook_text(notebook: Path) -> None:
    """Print a notebook's prose and code as text, without outputs; `git diff` can use it (CONTRIBUTING.md)."""
    from gantrans.teaching.notebooks.text import percent_text

    (path,) = _existing([notebook])
    typer.echo(percent_text(path.read_text("utf-8"), str(path)).encode(), nl=False)


@notebooks_app.command("diff")
def diff_notebooks(
    base: Annotated[
        str, typer.Argument(help="A git revision; a name that ends in .ipynb is a notebook.")
    ] = "HEAD",
    notebooks: Annotated[list[Path] | None, typer.Argument(show_default="all notebooks")] = None,
) -> None:
    """Print what changed in prose and code of notebooks since a git revision, without outputs."""
    from gantrans.teaching.notebooks.text import changes

    paths = list(notebooks or [])
    if base.endswith(".ipynb"):
        base, paths = "HEAD", [Path(base), *paths]
    difference = changes(base, paths)
    typer.echo(difference.encode(), nl=False)
    if not difference:
        typer.echo(f"No prose and no code of a notebook differs from {base}.", err=True)


def _existing(paths: Sequence[Path]) -> list[Path]:
    for path in paths:
        if not path.is_file():
            raise DataError(f"There is no notebook {path}.")
    return list(paths)


def ablate(
    name: Annotated[
        str | None,
        typer.Argument(help="A sweep or a claim's id (see --list), or the path of a grid file."),
    ] = None,
    scale: Annotated[Scale, typer.Option(help="Size of every run.")] = Scale.auto,
    workers: Annotated[int, typer.Option(help="Parallel runs on this machine.", min=1)] = 1,
    threads: Annotated[int, typer.Option(help="Threads per run on this machine.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Use this Dask scheduler, tcp://HOST:PORT, and its workers.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder that all workers can access.", show_default="runs/ablations/NAME-SCALE"),
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(help="Start no further run after this time; resumable.", min=0.0)
    ] = None,
    max_minutes_per_run: Annotated[
        float | None,
        typer.Option(
            help="Stop a run that takes longer; it counts as failed.", min=0.01, show_default="none"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the runs and the estimated time.")
    ] = False,
    show_list: Annotated[bool, typer.Option("--list", help="All that can be measured.")] = False,
) -> None:
    """Measure: run a notebook over a grid of settings and seeds (the same command resumes), or a claim's
    exact experiment.

    Example: python -m gantrans ablate schedules --scale reduced --workers 2
    """
    from gantrans.teaching.sweeps import commands

    if show_list or name is None:
        commands.list_grids()
    else:
        try:
            code = commands.run(
                name, scale.value, out, workers=workers, threads=threads, scheduler=scheduler,
                max_hours=max_hours, max_minutes_per_run=max_minutes_per_run, dry_run=dry_run,
            )  # fmt: skip
        except KeyboardInterrupt:
            typer.echo("Interrupted; the same command goes on and repeats nothing that finished.", err=True)
            code = 130
        raise typer.Exit(code)


def doctor(json_output: Json = False) -> None:
    """Check whether this machine is ready for the course."""
    from gantrans.teaching.doctor import examine

    checks = examine()
    if json_output:
        typer.echo(json.dumps([vars(check) for check in checks], indent=1))
    else:
        for check in checks:
            typer.echo(
                f"{'ok ' if check.ok else '!! '} {check.name:<13} {check.value}  {check.advice}".rstrip()
            )
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


def add_to(main: typer.Typer) -> None:
    """Add what teaches to the command line of the library."""
    main.command()(doctor)
    main.command()(ablate)
    main.add_typer(app, name="course")
