"""Tables of sweeps: what was measured, by seed and arm, with what it takes to measure it again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gantrans.errors import ConfigError
from gantrans.teaching import claims
from gantrans.teaching.places import found
from gantrans.training.checkpoint import write_atomically

Row = Mapping[str, Mapping[str, float]]
"""Of one seed: {arm: {quantity: value}}."""


@dataclass(frozen=True)
class Table:
    """What a sweep measured; `rows` are by seed, `about` says how, when and with which code.

    `name` is that of the sweep; a table that is made up has none.
    """

    about: Mapping[str, Any]
    rows: Mapping[int, Row]
    name: str = ""

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

    @property
    def command(self) -> str:
        """The command that measures it again; committed tables may name one that is no longer there."""
        stored = str(self.about.get("command", ""))
        if self.name and not stored.startswith("python -m gantrans ablate "):
            return f"python -m gantrans ablate {self.name} --scale {self.about['scale']}"
        return stored

    def source(self) -> str:
        """One line on where the numbers come from."""
        a = self.about
        device = f" on {a['device']}" if a.get("device") else ""
        return (
            f"{len(self.rows)} seeds at scale {a['scale']}{device}, {a['date'][:10]}, code {a['code']}; "
            f"again with `{self.command}`"
        )


@cache
def committed(name: str) -> Table:
    """The committed table of a sweep."""
    tables = found(f"results/{name}.json")
    if len(tables) != 1:
        raise ConfigError(f"There {'is no' if not tables else 'are several'} committed table {name!r}.")
    return read_table(tables[0])


def read_table(path: Path) -> Table:
    """The table of a file that `write_table` wrote."""
    stored = json.loads(path.read_text("utf-8"))
    return Table(stored["about"], {int(seed): row for seed, row in stored["rows"].items()}, path.stem)


def write_table(table: Table, path: Path) -> None:
    """Write a table so that under its name there is always a complete one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"about": table.about, "rows": table.rows}, indent=1).encode() + b"\n")
