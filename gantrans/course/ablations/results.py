"""What is written at the end: a tidy table, paired effects, a figure; for a sweep of the course its table as
lessons read it, and the claims that it decides."""

import json
from collections.abc import Sequence
from pathlib import Path

from gantrans.course.ablations.effects import (
    Effect,
    effects_csv,
    effects_figure,
    effects_text,
    paired_effects,
)
from gantrans.course.ablations.grid import Grid, Run
from gantrans.course.ablations.rows import read_arms, replace_file, table_csv, tidy
from gantrans.course.ablations.task import ABOUT, RUNS
from gantrans.errors import ConfigError


def write(grid: Grid, scale: str, out: Path, runs: Sequence[Run], done: Sequence[Run]) -> str:
    """Write the results of the runs that are done; what to print of them.

    Files: table.csv; effects.csv, effects.png and effects.txt (the figure in words) if the grid compares
    arms; NAME.json for a sweep of the course of which every run is done.
    """
    observations = tidy(done, out / RUNS, grouped=grid.sweep is None)
    replace_file(out / "table.csv", table_csv(observations))
    lines, effects = [], []
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
        lines += _finish_sweep(grid, scale, out, runs)
    return "\n".join(lines)


def _write_figure(grid: Grid, effects: Sequence[Effect], out: Path) -> None:
    from gantrans.course.plots import picture

    shown = picture(effects_figure(effects, grid.title))
    (out / "effects.png").write_bytes(shown.png)
    replace_file(out / "effects.txt", shown.alt + "\n")


def _finish_sweep(grid: Grid, scale: str, out: Path, runs: Sequence[Run]) -> list[str]:
    """Write the table as the lessons read it and record the claims."""
    from gantrans.course.experiments.sweeps import Table, write_table

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
        **{name: begun[name] for name in ("scale", "config", "code", "commit", "date")},
        "device": ", ".join(sorted(devices)),
    }
    table = Table(about, {seed: sweep.joined(parts) for seed, parts in rows.items()})
    path = out / f"{sweep.name}.json"
    write_table(table, path)
    return [*sweep.record_claims(table, scale), f"The table is {path}; copy it to {sweep.path} to commit it."]
