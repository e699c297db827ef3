"""Sweeps over seeds: arms trained in pairs, their table, and the claims that the table decides.

A lesson shows the committed table of a sweep and repeats one seed of it live. A module in the `experiments`
of a lesson defines one as `SWEEP`, and the lesson's `sweeps.toml` describes it under the module's name;
`python -m gantrans ablate NAME --scale reduced` measures it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantrans.errors import ConfigError
from gantrans.teaching import claims
from gantrans.teaching.claims import provenance
from gantrans.teaching.claims.ledger import Record
from gantrans.teaching.places import NOTEBOOKS
from gantrans.teaching.runs import from_scratch
from gantrans.teaching.sweeps.registry import decide_by_sweep
from gantrans.teaching.sweeps.tables import Row, Table

RunSeed = Callable[[int, str], Row]
"""(seed, scale) -> the row: all arms, trained from that seed."""


@dataclass(frozen=True)
class Sweep:
    """A sweep: `run_seed(seed, scale)` gives the row of a seed; `seeds` (how many, or which) and `config` by
    scale.

    A sweep with several settings gives one function per setting, {setting: run_seed}; their arms have
    different names, and the row of a seed holds them all. One setting and one seed is the unit of work.
    `claims` maps an id to a function of the table that gives what `claims.record` takes: data and numbers.
    The sweep is registered as what decides these claims.

    Raises:
        ClaimError: a claim is unknown or already has another experiment.
    """

    name: str
    run_seed: RunSeed | Mapping[str, RunSeed]
    seeds: Mapping[str, int | Sequence[int]]
    config: Callable[[str], Any]
    claims: Mapping[str, Callable[[Table], Mapping[str, Any]]]

    def __post_init__(self) -> None:
        for claim_id in self.claims:
            decide_by_sweep(claim_id, self.name)

    @property
    def folder(self) -> Path:
        """The folder of its lesson: where the function stands that runs a seed."""
        function: Any = next(iter(self.settings.values()))
        module = getattr(function, "func", function).__module__
        return NOTEBOOKS.joinpath(*module.split(".")[:2])

    @property
    def path(self) -> Path:
        """Its committed table, in the folder of the lesson."""
        return self.folder / "results" / f"{self.name}.json"

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

    def record_claims(
        self, table: Table, scale: str, ledger: Path | None = None, *, rejudge: bool = False
    ) -> dict[str, Record]:
        """Record the claims that a table decides, in `ledger` or in this machine's; the records by id.

        `rejudge`: as in `claims.record`.
        """
        return {
            claim_id: claims.record(
                claim_id,
                **judged(table),
                scale=scale,
                seeds=table.seeds,
                started=table.about["date"],
                config=self.config(scale),
                notebook="lesson " + ", ".join(claims.get(claim_id).lessons),
                command=table.command,
                experiment=table.about.get("experiment", ""),
                made=provenance.of_table(table.about),
                rejudge=rejudge,
                run=ledger,
            )
            for claim_id, judged in self.claims.items()
        }
