"""A grid: which notebook is run, over which levels of which factors, with which seeds; read from TOML.

    title = "Learning rate of a small network"
    question = "How large may the learning rate be?"
    notebook = "rates.ipynb"                   # beside this file; unless given, named as it
    seeds = { smoke = 2, reduced = 6 }         # a number (0, 1, ...) or a list, by scale
    minutes = { smoke = 0.1, reduced = 2 }     # of one run on one core, for the estimate

    [factors]                                  # every combination of levels is a setting
    lr = [0.1, 0.01]

    [effects]
    reference = "lr=0.01"                      # every other arm is compared with it on equal seeds, or
    pairs = [["lr=0.1", "lr=0.01"]]            # these are
    quantities = { loss = "ratio", iou = "difference" }
    units = { loss = "" }

A course sweep names a file in the `experiments` of a lesson instead (`sweep = "schedules"`): its settings
are the levels of the one factor, "setting", and its seeds the seeds.
"""

import hashlib
import importlib
import itertools
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gantrans.errors import ConfigError
from gantrans.scales import SCALES
from gantrans.teaching.places import ABLATIONS, found, module_of

if TYPE_CHECKING:
    from gantrans.teaching.sweeps.sweep import Sweep

Level = bool | int | float | str
RESERVED = {"seed", "scale", "out", "arm", "quantity", "value"}
"""Names that no factor may have: the other parameters of a run and the other columns of the table."""
COMPARE = ("difference", "ratio")
_KEYS = {"title", "question", "varies", "reading", "notebook", "sweep", "factors", "seeds", "minutes"}


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
    """What a grid file says. `factors` and `seed_counts` are empty where a sweep decides them."""

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

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @cached_property
    def sweep(self) -> "Sweep | None":
        """The course sweep of this grid, if it is one.

        Raises:
            ConfigError: there is no such module, or it holds no `SWEEP`.
        """
        if self.sweep_name is None:
            return None
        files = found(f"experiments/{self.sweep_name}.py")
        sweep: Sweep | None = None
        if files:
            sweep = getattr(importlib.import_module(module_of(files[0])), "SWEEP", None)
        if sweep is None:
            wanted = f"the file experiments/{self.sweep_name}.py of a lesson must exist and define SWEEP"
            _refuse(self.path, "sweep", self.sweep_name, wanted)
        return sweep

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
            _refuse(self.path, "seeds", dict(self.given_seeds), f"there is no entry for scale {scale!r}")
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


def grid_paths(folder: Path = ABLATIONS) -> list[Path]:
    """The grid files of a folder, by name."""
    return sorted(folder.glob("*.toml"))


def find_grid(name: str) -> Grid:
    """A grid of notebooks/ablations by its name, or any by the path of its file.

    Raises:
        ConfigError: there is none, or it cannot be used.
    """
    path = Path(name)
    if path.suffix == ".toml":
        return read_grid(path)
    known = [p.stem for p in grid_paths()]
    if name not in known:
        raise ConfigError(
            f"There is no ablation {name!r}; give a path ending in .toml or one of {', '.join(known)}."
        )
    return read_grid(ABLATIONS / f"{name}.toml")


def read_grid(path: Path) -> Grid:
    """Read and validate a grid file.

    Raises:
        ConfigError: in one sentence: the file, the key, its value, and what it must be.
    """
    path = Path(path)
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no grid file {path}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    if unknown := sorted(set(raw) - _KEYS - {"effects"}):
        _refuse(path, unknown[0], raw[unknown[0]], f"the keys are {', '.join(sorted(_KEYS))} and effects")
    for name in ("title", "question", "varies", "reading", "notebook", "sweep"):
        if not isinstance(raw.get(name, ""), str):
            _refuse(path, name, raw[name], "it must be text")
    if not raw.get("title"):
        _refuse(path, "title", raw.get("title"), "say what is varied")
    if "sweep" in raw:
        for name in {"factors", "seeds"} & set(raw):
            _refuse(path, name, raw[name], f"the sweep {raw['sweep']!r} decides it; leave it out")
    seeds = {} if "sweep" in raw else _seeds(path, raw.get("seeds"))
    notebook = path.parent / raw.get("notebook", f"{path.stem}.ipynb")
    return Grid(
        path=path,
        title=raw["title"],
        question=raw.get("question", ""),
        varies=raw.get("varies", ""),
        reading=raw.get("reading", ""),
        notebook=notebook,
        sweep_name=raw.get("sweep"),
        given_factors={} if "sweep" in raw else _factors(path, raw.get("factors", {})),
        given_seeds=seeds,
        minutes=_minutes(path, raw.get("minutes"), SCALES if "sweep" in raw else tuple(seeds)),
        comparison=_comparison(path, raw["effects"]) if "effects" in raw else None,
    )


def _factors(path: Path, raw: Any) -> dict[str, tuple[Level, ...]]:
    if not isinstance(raw, dict):
        _refuse(path, "factors", raw, "it must be a table of lists")
    for name, levels in raw.items():
        key = f"factors.{name}"
        if not name.isidentifier() or name in RESERVED:
            _refuse(
                path, key, levels, f"the name must be a Python name other than {', '.join(sorted(RESERVED))}"
            )
        if not isinstance(levels, list) or not levels:
            _refuse(path, key, levels, "it must be a list of one level or more")
        if bad := [v for v in levels if not isinstance(v, bool | int | float | str)]:
            _refuse(path, key, bad[0], "a level is a number, a text, true or false")
        if len({(type(v), v) for v in levels}) < len(levels):
            _refuse(path, key, levels, "a level occurs twice")
    return {name: tuple(levels) for name, levels in raw.items()}


def _seeds(path: Path, raw: Any) -> dict[str, tuple[int, ...]]:
    if not isinstance(raw, dict) or not raw or set(raw) - set(SCALES):
        _refuse(path, "seeds", raw, f"give a number or a list of seeds for scales out of {', '.join(SCALES)}")
    found = {}
    for scale, value in raw.items():
        numbers = list(range(value)) if type(value) is int else value
        whole = isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
        if not whole or not numbers or len(set(numbers)) < len(numbers):
            _refuse(
                path,
                f"seeds.{scale}",
                value,
                "give a positive number, or a list of different seeds from 0 up",
            )
        found[scale] = tuple(numbers)
    return found


def _minutes(path: Path, raw: Any, scales: Sequence[str]) -> dict[str, float]:
    wanted = f"give the minutes of one run on one core for {', '.join(scales)}"
    if not isinstance(raw, dict) or set(raw) != set(scales):
        _refuse(path, "minutes", raw, wanted)
    for scale, value in raw.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            _refuse(path, f"minutes.{scale}", value, "it must be a positive number")
    return {scale: float(value) for scale, value in raw.items()}


def _comparison(path: Path, raw: Any) -> Comparison:
    known = {"reference", "pairs", "quantities", "units", "level"}
    if not isinstance(raw, dict) or set(raw) - known:
        _refuse(path, "effects", raw, f"the keys are {', '.join(sorted(known))}")
    quantities, pairs, units = raw.get("quantities"), raw.get("pairs", []), raw.get("units", {})
    if not isinstance(quantities, dict) or not quantities or set(quantities.values()) - set(COMPARE):
        _refuse(path, "effects.quantities", quantities, 'give {NAME = "difference" or "ratio"}')
    if not isinstance(pairs, list) or not all(
        isinstance(p, list) and len(p) == 2 and all(isinstance(arm, str) for arm in p) and p[0] != p[1]
        for p in pairs
    ):
        _refuse(path, "effects.pairs", pairs, "give a list of [first arm, second arm]")
    if ("reference" in raw) == bool(pairs) or not isinstance(raw.get("reference", ""), str):
        _refuse(path, "effects", raw, "give either reference, an arm, or pairs")
    if not isinstance(units, dict) or set(units) - set(quantities):
        _refuse(path, "effects.units", units, "it may name quantities only")
    level = raw.get("level", 0.95)
    if not isinstance(level, float) or not 0.5 <= level < 1:
        _refuse(path, "effects.level", level, "it must lie between 0.5 and 1")
    return Comparison(quantities, raw.get("reference"), tuple((a, b) for a, b in pairs), units, level)


def _refuse(path: Path, key: str, value: Any, wanted: str) -> NoReturn:
    shown = "missing" if value is None else repr(value)
    raise ConfigError(f"{path.name}: {key} is {shown[:120]}; {wanted}.")
