"""Sweeps over seeds: arms trained in pairs, their table, and the claims that the table decides.

A lesson shows the committed table of a sweep and repeats one seed of it live. A module with a sweep repeats
all of it as a command, `python -m gantrans.course.experiments.NAME --scale reduced`: every finished seed is
on disk at once, and the same command after a kill goes on with the seeds that are missing.
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from gantrans import ROOT
from gantrans.course import claims
from gantrans.course.claims import provenance
from gantrans.course.claims.provenance import device_name as device_name  # for the notebooks of sweeps
from gantrans.course.runs import config_hash, from_scratch
from gantrans.errors import ConfigError
from gantrans.training.checkpoint import write_atomically

TABLES = ROOT / "notebooks" / "ablations" / "results"
Row = Mapping[str, Mapping[str, float]]
"""Of one seed: {arm: {quantity: value}}."""
RunSeed = Callable[[int, str], Row]
"""(seed, scale) -> the row: all arms, trained from that seed."""


@dataclass(frozen=True)
class Table:
    """What a sweep measured; `rows` are by seed, `about` says how to measure it again."""

    about: Mapping[str, Any]
    rows: Mapping[int, Row]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, ascending."""
        return tuple(sorted(self.rows))

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms, in the order in which they were run."""
        return tuple(self.rows[self.seeds[0]])

    def values(self, quantity: str, *arms: str) -> dict[str, list[float]]:
        """{arm: one value per seed}, as a paired claim takes it."""
        return {arm: [self.rows[seed][arm][quantity] for seed in self.seeds] for arm in arms or self.arms}

    def means(self, *arms: str) -> dict[str, dict[str, float]]:
        """Means over seeds: {arm: {quantity: value}}."""
        first = self.rows[self.seeds[0]]
        return {
            arm: {q: float(np.mean(self.values(q, arm)[arm])) for q in first[arm]}
            for arm in arms or self.arms
        }

    def ratio(self, quantity: str, first: str, second: str) -> tuple[float, float, float]:
        """How many times the first arm's value is the second's: geometric mean over seeds, 99 % interval."""
        both = self.values(quantity, first, second)
        return claims.paired_effect(both[first], both[second], compare="ratio")

    def source(self) -> str:
        """One line on where the numbers come from."""
        a = self.about
        device = f" on {a['device']}" if a.get("device") else ""
        return (
            f"{len(self.rows)} seeds at scale {a['scale']}{device}, {a['date'][:10]}, code {a['code']}; "
            f"again with `{a['command']}`"
        )


@dataclass(frozen=True)
class Sweep:
    """A sweep: `run_seed(seed, scale)` gives the row of a seed; `seeds` (how many, or which) and `config` by
    scale.

    A sweep with several settings gives one function per setting, {setting: run_seed}; their arms have
    different names, and the row of a seed holds them all. One setting and one seed is the unit of work.
    `claims` maps an id to a function of the table that gives what `claims.record` takes: data and numbers.
    """

    name: str
    run_seed: RunSeed | Mapping[str, RunSeed]
    seeds: Mapping[str, int | Sequence[int]]
    config: Callable[[str], Any]
    claims: Mapping[str, Callable[[Table], Mapping[str, Any]]]

    @property
    def path(self) -> Path:
        """Its committed table."""
        return TABLES / f"{self.name}.json"

    @property
    def settings(self) -> Mapping[str, RunSeed]:
        """What runs one seed of each setting; a sweep with one setting calls it "all"."""
        return self.run_seed if isinstance(self.run_seed, Mapping) else {"all": self.run_seed}

    def seeds_at(self, scale: str) -> tuple[int, ...]:
        """The seeds of a scale."""
        seeds = self.seeds[scale]
        return tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)

    def part(self, setting: str, seed: int, scale: str) -> Row:
        """All arms of one setting, from scratch, no caches.

        Raises:
            ConfigError: there is no such setting.
        """
        if setting not in self.settings:
            known = ", ".join(self.settings)
            raise ConfigError(f"Sweep {self.name!r} has no setting {setting!r}; choose one of {known}.")
        with from_scratch():
            return self.settings[setting](seed, scale)

    def joined(self, parts: Mapping[str, Row]) -> Row:
        """The row of a seed from those of its settings, in the order of the settings.

        Raises:
            ConfigError: two settings have an arm of one name.
        """
        row: dict[str, Mapping[str, float]] = {}
        for setting in self.settings:
            if twice := sorted(set(parts[setting]) & set(row)):
                raise ConfigError(
                    f"Sweep {self.name!r} has an arm {twice[0]!r} twice; setting {setting!r} must rename it."
                )
            row |= parts[setting]
        return row

    def row(self, seed: int, scale: str) -> Row:
        """All arms of all settings; see `part` and `joined`."""
        return self.joined({setting: self.part(setting, seed, scale) for setting in self.settings})

    def run(self, scale: str, out: Path | None = None) -> Table:
        """All seeds from scratch, no caches; with `out` every finished seed is kept there, and not repeated.

        Raises:
            ConfigError: `out` holds another scale, configuration or code.
        """
        about = {
            "command": f"python -m gantrans.course.experiments.{self.name} --scale {scale}",
            "scale": scale,
            "config": config_hash(self.config(scale)),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            **provenance.now(),
        }
        rows: dict[int, Row] = {}
        if out is not None and out.exists():
            earlier = _read(out)
            fixed = ("scale", "config", "code")
            if any(earlier.about[key] != about[key] for key in fixed):
                was, now = (f"scale {a['scale']}, code {a['code']}" for a in (earlier.about, about))
                raise ConfigError(f"{out} was measured with {was}, not {now}; move it or name another --out.")
            about, rows = dict(earlier.about), dict(earlier.rows)
        for seed in tqdm(self.seeds_at(scale), desc=self.name, unit="seed"):
            if seed not in rows:
                rows[seed] = self.row(seed, scale)
                if out is not None:
                    write_table(Table(about, rows), out)
        return Table(about, rows)

    def experiment(self, claim_id: str, scale: str) -> dict[str, Any]:
        """What `claims.record` needs of a fresh run; see `experiments.registry`."""
        table = self.run(scale)
        return {**self.claims[claim_id](table), "seeds": table.seeds, "config": self.config(scale)}

    def record_claims(self, table: Table, scale: str, *, rejudge: bool = False) -> list[str]:
        """Record the claims that a table decides; a line for each. `rejudge`: as in `claims.record`."""
        lines = []
        for claim_id, judged in self.claims.items():
            entry = claims.record(
                claim_id,
                **judged(table),
                scale=scale,
                seeds=table.seeds,
                started=table.about["date"],
                config=self.config(scale),
                notebook="lesson " + ", ".join(claims.get(claim_id).lessons),
                command=table.about["command"],
                made=provenance.of_table(table.about),
                rejudge=rejudge,
            )
            lines.append(f"{claim_id}: {entry['verdict']}")
        return lines

    def main(self) -> None:
        """The command: repeat the sweep, write its table and record its claims."""
        parser = argparse.ArgumentParser(description=f"Repeat the sweep {self.name!r} and record its claims.")
        parser.add_argument("--scale", choices=list(self.seeds), default="reduced")
        parser.add_argument("--out", type=Path, help="the table; by default a file in runs/sweeps")
        options = parser.parse_args()
        out = options.out or ROOT / "runs" / "sweeps" / f"{self.name}-{options.scale}.json"
        table = self.run(options.scale, out)
        print("\n".join(self.record_claims(table, options.scale)))
        print(f"The table is {os.path.relpath(out)}; copy it to {os.path.relpath(self.path)} to commit it.")


@cache
def committed(name: str) -> Table:
    """The committed table of a sweep."""
    return _read(TABLES / f"{name}.json")


def _read(path: Path) -> Table:
    stored = json.loads(path.read_text("utf-8"))
    return Table(stored["about"], {int(seed): row for seed, row in stored["rows"].items()})


def write_table(table: Table, path: Path) -> None:
    """Write a table so that under its name there is always a complete one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"about": table.about, "rows": table.rows}, indent=1).encode() + b"\n")
