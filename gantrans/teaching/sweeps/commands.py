"""What `python -m gantrans ablate` does."""

from pathlib import Path

import typer

from gantrans.scales import resolve_scale
from gantrans.teaching import claims
from gantrans.teaching.sweeps.engine import at_once, estimate, plan, run_grid
from gantrans.teaching.sweeps.grid_files import find_grid, find_grids
from gantrans.teaching.sweeps.measure import SWEEPS, decided_by, measure_exactly
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.table import show_table


def list_grids() -> None:
    """All that can be measured: sweeps and grids with the claims that they decide, then exact claims."""
    known = experiments()
    rows: list[dict[str, object]] = []
    for grid in find_grids():
        decides = ", ".join(claim for claim, by in known.items() if by == grid.name)
        rows.append({"name": grid.name, "claims": decides, "title": grid.title, "question": grid.question})
    for claim, by in known.items():
        if not isinstance(by, str):
            said = claims.get(claim).judged
            rows.append(
                {"name": claim, "claims": claim, "title": "an experiment of its own", "question": said}
            )
    show_table(rows, json_output=False, width=70)


def run(
    name: str,
    scale: str,
    out: Path | None,
    *,
    workers: int,
    threads: int,
    scheduler: str | None,
    max_hours: float | None,
    max_minutes_per_run: float | None = None,
    dry_run: bool,
) -> int:
    """Run a grid or, with `dry_run`, print what would be run; the exit code (1: a run failed, 130: Ctrl-C).

    Args:
        name: a sweep, a grid, the path of a grid file, or the id of a claim: its sweep or exact experiment.
    """
    scale = resolve_scale(scale)
    if name in claims.registered():
        by = decided_by(name)
        if not isinstance(by, str):
            typer.echo(f"{name} has an exact experiment: one run in this process, at scale {scale}.")
            if not dry_run:
                typer.echo(f"{name}: {measure_exactly(name, by, scale)['verdict']}")
            return 0
        name = by
    grid = find_grid(name)
    out = out or SWEEPS / f"{grid.name}-{scale}"
    places = at_once(workers, scheduler)
    if dry_run:
        typer.echo(plan(grid, scale, out, places))
        return 0
    typer.echo(estimate(grid, scale, out, places))
    report = run_grid(
        grid, scale, out, workers=workers, threads=threads, scheduler=scheduler, max_hours=max_hours,
        max_minutes_per_run=max_minutes_per_run,
    )  # fmt: skip
    typer.echo(str(report))
    return 130 if report.interrupted else int(bool(report.failed))
