"""What is written at the end: a tidy table, paired effects, a figure; for a sweep of the course its table as
lessons read it, and the claims that it decides."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gantrans.errors import ConfigError
from gantrans.files import replace_file
from gantrans.teaching.sweeps.effects import Effect, effects_csv, effects_figure, effects_text, paired_effects
from gantrans.teaching.sweeps.grid import Grid, Run
from gantrans.teaching.sweeps.rows import read_arms, table_csv, tidy
from gantrans.teaching.sweeps.task import ABOUT, RUNS

if TYPE_CHECKING:
    from gantrans.teaching.claims.ledger import Record


def write(
    grid: Grid, scale: str, out: Path, runs: Sequence[Run], done: Sequence[Run], ledger: Path | None = None
) -> tuple[str, dict[str, "Record"]]:
    """Write the results of the runs that are done; what to print of them, and the claims that they decide.

    Files: table.csv; effects.csv, effects.png and effects.txt (the figure in words) if the grid compares
    arms; NAME.json for a sweep of the course of which every run is done.
    """
    observations = tidy(done, out / RUNS, grouped=grid.sweep is None)
    replace_file(out / "table.csv", table_csv(observations))
    lines, effects, records = [], [], dict[str, "Record"]()
    if grid.comparison is not None:
        try:
            effects = paired_effects(observations, grid.comparison)
        except ConfigError as error:
            if len(done) == len(runs):
                raise
            lines.append(f"No effects yet: {error}")
        replace_file(out / "effects.csv", effects_csv(effects))
    if effects:
        _write_figure(grid, effects, out)
        lines.append(effects_text(effects))
    if grid.sweep is not None and len(done) == len(runs):
        records = _finish_sweep(grid, scale, out, runs, ledger)
        lines += [f"{claim_id}: {record['verdict']}" for claim_id, record in records.items()]
        table = f"{grid.sweep.name}.json"
        lines.append(f"The table is {out / table}; copy it to {grid.sweep.path} to commit it.")
    return "\n".join(lines), records


def _write_figure(grid: Grid, effects: Sequence[Effect], out: Path) -> None:
    from gantrans.teaching.plots import picture

    shown = picture(effects_figure(effects, grid.title))
    (out / "effects.png").write_bytes(shown.png)
    replace_file(out / "effects.txt", shown.alt + "\n")


def _finish_sweep(
    grid: Grid, scale: str, out: Path, runs: Sequence[Run], ledger: Path | None
) -> dict[str, "Record"]:
    """Write the table as the lessons read it and record the claims."""
    from gantrans.teaching.sweeps.tables import Table, write_table

    sweep = grid.sweep
    assert sweep is not None
    begun = json.loads((out / ABOUT).read_text("utf-8"))
    rows: dict[int, dict] = {}
    devices = set()
    for run in runs:
        arms, _, device = read_arms(out / RUNS / run.key, run)
        rows.setdefault(run.seed, {})[str(run.setting["setting"])] = arms
        devices.add(device)
    about = {
        "command": f"python -m gantrans ablate {grid.name} --scale {scale}",
        **{name: begun[name] for name in ("scale", "config", "code", "experiment", "commit", "date")},
        "device": ", ".join(sorted(devices)),
    }
    table = Table(about, {seed: sweep.joined(parts) for seed, parts in rows.items()}, sweep.name)
    write_table(table, out / f"{sweep.name}.json")
    return sweep.record_claims(table, scale, ledger)
