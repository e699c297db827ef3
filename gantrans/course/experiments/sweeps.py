"""Sweeps over seeds: arms trained in pairs, their table, and the claims that the table decides.

A lesson shows the committed table of a sweep and repeats one seed of it live. A module with a sweep repeats
all of it as a command, `python -m gantrans.course.experiments.NAME --scale reduced`: every finished seed is
on disk at once, and the same command after a kill goes on with the seeds that are missing.
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from gantrans import ROOT
from gantrans.course import claims
from gantrans.course.runs import code_version, config_hash, from_scratch
from gantrans.errors import ConfigError
from gantrans.training.checkpoint import write_atomically

TABLES = ROOT / "notebooks" / "ablations" / "results"
Row = Mapping[str, Mapping[str, float]]
"""Of one seed: {arm: {quantity: value}}."""


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
        return (
            f"{len(self.rows)} seeds at scale {a['scale']}, {a['date'][:10]}, code {a['code']}; "
            f"again with `{a['command']}`"
        )


@dataclass(frozen=True)
class Sweep:
    """A sweep: `run_seed(seed, scale)` gives the row of a seed; `seeds` and `config` by scale.

    `claims` maps an id to a function of the table that gives what `claims.record` takes: data and numbers.
    """

    name: str
    run_seed: Callable[[int, str], Row]
    seeds: Mapping[str, int]
    config: Callable[[str], Any]
    claims: Mapping[str, Callable[[Table], Mapping[str, Any]]]

    @property
    def path(self) -> Path:
        """Its committed table."""
        return TABLES / f"{self.name}.json"

    def run(self, scale: str, out: Path | None = None) -> Table:
        """All seeds from scratch, no caches; with `out` every finished seed is kept there, and not repeated.

        Raises:
            ConfigError: `out` holds another scale, configuration or code.
        """
        about = {
            "command": f"python -m gantrans.course.experiments.{self.name} --scale {scale}",
            "scale": scale,
            "config": config_hash(self.config(scale)),
            "code": code_version(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        rows: dict[int, Row] = {}
        if out is not None and out.exists():
            earlier = _read(out)
            fixed = ("scale", "config", "code")
            if any(earlier.about[key] != about[key] for key in fixed):
                was, now = (f"scale {a['scale']}, code {a['code']}" for a in (earlier.about, about))
                raise ConfigError(f"{out} was measured with {was}, not {now}; move it or name another --out.")
            about, rows = dict(earlier.about), dict(earlier.rows)
        for seed in tqdm(range(self.seeds[scale]), desc=self.name, unit="seed"):
            if seed not in rows:
                with from_scratch():
                    rows[seed] = self.run_seed(seed, scale)
                if out is not None:
                    _write(Table(about, rows), out)
        return Table(about, rows)

    def experiment(self, claim_id: str, scale: str) -> dict[str, Any]:
        """What `claims.record` needs of a fresh run; see `experiments.registry`."""
        table = self.run(scale)
        return {**self.claims[claim_id](table), "seeds": table.seeds, "config": self.config(scale)}

    def main(self) -> None:
        """The command: repeat the sweep, write its table and record its claims."""
        parser = argparse.ArgumentParser(description=f"Repeat the sweep {self.name!r} and record its claims.")
        parser.add_argument("--scale", choices=list(self.seeds), default="reduced")
        parser.add_argument("--out", type=Path, help="the table; by default a file in runs/sweeps")
        options = parser.parse_args()
        out = options.out or ROOT / "runs" / "sweeps" / f"{self.name}-{options.scale}.json"
        table = self.run(options.scale, out)
        for claim_id, judged in self.claims.items():
            entry = claims.record(
                claim_id,
                **judged(table),
                scale=options.scale,
                seeds=table.seeds,
                started=table.about["date"],
                config=self.config(options.scale),
                notebook="lesson " + ", ".join(claims.get(claim_id).lessons),
                command=table.about["command"],
            )
            print(f"{claim_id}: {entry['verdict']}")
        print(f"The table is {os.path.relpath(out)}; copy it to {os.path.relpath(self.path)} to commit it.")


@cache
def committed(name: str) -> Table:
    """The committed table of a sweep."""
    return _read(TABLES / f"{name}.json")


def _read(path: Path) -> Table:
    stored = json.loads(path.read_text("utf-8"))
    return Table(stored["about"], {int(seed): row for seed, row in stored["rows"].items()})


def _write(table: Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"about": table.about, "rows": table.rows}, indent=1).encode() + b"\n")
