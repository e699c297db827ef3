"""What `python -m gantrans ablate` does."""

from pathlib import Path

import typer

from gantrans import ROOT
from gantrans.scales import resolve_scale
from gantrans.teaching.sweeps.engine import at_once, estimate, plan, run_grid
from gantrans.teaching.sweeps.grid import find_grid, grid_paths, read_grid
from gantrans.teaching.table import show_table


def list_grids() -> None:
    """The ablations of the course: name, what is varied, the question."""
    grids = [read_grid(path) for path in grid_paths()]
    rows: list[dict[str, object]] = [
        {"ablation": g.name, "title": g.title, "question": g.question} for g in grids
    ]
    show_table(rows, json_output=False, width=70)


def write_notebook(name: str) -> None:
    """Write the notebook of a sweep from its grid file."""
    from gantrans.teaching.sweeps import template

    grid = find_grid(name)
    template.write_notebook(grid)
    typer.echo(f"Wrote {grid.notebook}.")


def run(
    name: str,
    scale: str,
    out: Path | None,
    *,
    workers: int,
    threads: int,
    scheduler: str | None,
    max_hours: float | None,
    dry_run: bool,
) -> int:
    """Run a grid or, with `dry_run`, say what would be run; the exit code (1: a run failed, 130: Ctrl-C)."""
    grid, scale = find_grid(name), resolve_scale(scale)
    out = out or ROOT / "runs" / "ablations" / f"{grid.name}-{scale}"
    places = at_once(workers, scheduler)
    if dry_run:
        typer.echo(plan(grid, scale, out, places))
        return 0
    typer.echo(estimate(grid, scale, out, places))
    report = run_grid(
        grid, scale, out, workers=workers, threads=threads, scheduler=scheduler, max_hours=max_hours
    )
    typer.echo(str(report))
    return 130 if report.interrupted else int(bool(report.failed))
