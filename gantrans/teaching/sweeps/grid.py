"""A grid: which notebook is run, over which levels of which factors, with which seeds. See `grid_files`."""

import hashlib
import importlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gantrans.errors import ConfigError
from gantrans.teaching.places import found, module_of

if TYPE_CHECKING:
    from gantrans.teaching.sweeps.sweep import Sweep

Level = bool | int | float | str
SWEEPS = "sweeps.toml"


@dataclass(frozen=True)
class Run:
    """One execution of the notebook: a level of every factor, and a seed.

    `label` is the setting in words, of those factors that have several levels: the name of the arm when a run
    saves a row.
    """

    setting: Mapping[str, Level]
    seed: int
    label: str

    @property
    def key(self) -> str:
        """Name of its folder: readable, and different for different parameters on every file system."""
        exact = json.dumps([sorted(self.setting.items()), self.seed])
        words = "-".join([*(f"{k}={v}" for k, v in self.setting.items()), f"seed={self.seed}"])
        readable = re.sub(r"[^A-Za-z0-9._=+-]+", "_", words)[:80]
        return f"{readable}-{hashlib.sha256(exact.encode()).hexdigest()[:6]}"


@dataclass(frozen=True)
class Comparison:
    """Which arms are compared: all with `reference`, or `pairs` (first, second); {quantity: difference or
    ratio}, first minus or over second. `level` is that of the intervals."""

    quantities: Mapping[str, str]
    reference: str | None = None
    pairs: Sequence[tuple[str, str]] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    level: float = 0.95


@dataclass(frozen=True)
class Grid:
    """What a grid file says. `given_factors` and `given_seeds` are empty where a sweep decides them."""

    name: str
    path: Path
    title: str
    question: str
    varies: str
    reading: str
    notebook: Path
    sweep_name: str | None
    given_factors: Mapping[str, tuple[Level, ...]]
    given_seeds: Mapping[str, tuple[int, ...]]
    minutes: Mapping[str, float]
    comparison: Comparison | None

    @cached_property
    def sweep(self) -> "Sweep | None":
        """The course sweep of this grid, if it is one.

        Raises:
            ConfigError: there is no such module, or it holds no `SWEEP`.
        """
        if self.sweep_name is None:
            return None
        sweep: Sweep | None = None
        if self.module is not None:
            sweep = getattr(importlib.import_module(self.module), "SWEEP", None)
        if sweep is None:
            wanted = f"the file experiments/{self.sweep_name}.py of a lesson must exist and define SWEEP"
            refuse(self.path.name, "sweep", self.sweep_name, wanted)
        return sweep

    @property
    def module(self) -> str | None:
        """The dotted name of the module that defines the sweep: of this lesson, or of whichever has it."""
        name = f"experiments/{self.sweep_name}.py"
        files = [self.path.parent / name] if self.path.name == SWEEPS else found(name)
        return module_of(files[0]) if files and files[0].is_file() else None

    @property
    def introduction(self) -> str:
        """Title, question and what is varied, in Markdown: how the notebook of the sweeps begins."""
        return f"# {self.title}\n\n**The question:** {self.question}\n\n**What is varied:** {self.varies}"

    @property
    def factors(self) -> Mapping[str, tuple[Level, ...]]:
        """Levels by factor."""
        return {"setting": tuple(self.sweep.settings)} if self.sweep else self.given_factors

    def seeds(self, scale: str) -> tuple[int, ...]:
        """The seeds of every setting at a scale; arms with one seed are paired.

        Raises:
            ConfigError: the grid is not made for this scale.
        """
        if self.sweep is not None:
            return self.sweep.seeds_at(scale)
        if scale not in self.given_seeds:
            refuse(self.path.name, "seeds", dict(self.given_seeds), f"there is no entry for scale {scale!r}")
        return self.given_seeds[scale]

    def runs(self, scale: str) -> list[Run]:
        """All runs, seed by seed, so that a sweep that ends early has whole seeds to compare."""
        factors = self.factors
        settings = [
            dict(zip(factors, levels, strict=True)) for levels in itertools.product(*factors.values())
        ]
        varied = [name for name, levels in factors.items() if len(levels) > 1] or list(factors)
        labels = [", ".join(f"{name}={setting[name]}" for name in varied) for setting in settings]
        return [
            Run(setting, seed, label)
            for seed in self.seeds(scale)
            for setting, label in zip(settings, labels, strict=True)
        ]

    def parameters(self, run: Run, scale: str) -> dict[str, Level]:
        """What the notebook's parameters are set to for a run, `out` aside."""
        sweep: dict[str, Level] = {} if self.sweep_name is None else {"sweep": self.sweep_name}
        return {**sweep, **run.setting, "seed": run.seed, "scale": scale}


def refuse(where: str, key: str, value: Any, wanted: str) -> NoReturn:
    """One sentence about a key of a grid file.

    Raises:
        ConfigError: always.
    """
    shown = "missing" if value is None else repr(value)
    raise ConfigError(f"{where}: {key} is {shown[:120]}; {wanted}.")
