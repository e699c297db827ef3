"""Grid files: which notebook is run, over which levels of which factors, with which seeds; in TOML.

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

A sweep of the course is a table in the `sweeps.toml` of a lesson, `[schedules]`, with title, question,
varies, reading, minutes and effects. It has the name of the file in the lesson's `experiments` that defines
it: the sweep's settings are the levels of the one factor, "setting", and its seeds the seeds. All of them run
one notebook, notebooks/ablations/sweep.ipynb. A grid file of your own may name such a file too
(`sweep = "schedules"`).
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gantrans.errors import ConfigError
from gantrans.scales import SCALES
from gantrans.teaching.places import ABLATIONS, found
from gantrans.teaching.sweeps.grid import SWEEPS, Comparison, Grid, Level, refuse

SWEEP_NOTEBOOK = ABLATIONS / "sweep.ipynb"
"""The notebook of all sweeps of the course."""
RESERVED = {"seed", "scale", "out", "arm", "quantity", "value"}
"""Names that no factor may have: the other parameters of a run and the other columns of the table."""
COMPARE = ("difference", "ratio")
_WORDS = ("title", "question", "varies", "reading")
_KEYS = {*_WORDS, "minutes", "effects"}
"""Of a table in a lesson's `sweeps.toml`."""
_OWN_KEYS = _KEYS | {"notebook", "sweep", "factors", "seeds"}
"""Of a grid file."""


def find_grids() -> list[Grid]:
    """The sweeps of all lessons, by lesson, and the grid files of notebooks/ablations."""
    sweeps = [grid for path in found(SWEEPS) for grid in read_sweeps(path)]
    return [*sweeps, *(read_grid(path) for path in sorted(ABLATIONS.glob("*.toml")))]


def find_grid(name: str) -> Grid:
    """A sweep of a lesson or a grid of notebooks/ablations by its name, or any grid by the path of its file.

    Raises:
        ConfigError: there is none or several of that name, or it cannot be used.
    """
    path = Path(name)
    if path.suffix == ".toml":
        return read_grid(path)
    grids = find_grids()
    named = [grid for grid in grids if grid.name == name]
    if not named:
        known = ", ".join(grid.name for grid in grids)
        raise ConfigError(f"There is no ablation {name!r}; give a path ending in .toml or one of {known}.")
    if len(named) > 1:
        places = " and ".join(f"{grid.path.parent.name}/{grid.path.name}" for grid in named)
        raise ConfigError(f"There are several ablations {name!r}, in {places}; rename all but one.")
    return named[0]


def read_sweeps(path: Path) -> list[Grid]:
    """Read and validate the sweeps of a lesson, one table each.

    Raises:
        ConfigError: as `read_grid`.
    """
    grids = []
    for name, table in _read(path).items():
        where = f"{path.parent.name}/{path.name}, [{name}]"
        if not isinstance(table, dict):
            refuse(where, name, table, "it must be a table with title and minutes")
        for key in _WORDS:
            if not table.get(key):
                refuse(where, key, table.get(key), "the notebook shows it; write a sentence")
        decided = f"the sweep {name!r} decides it; leave it out"
        grids.append(_grid(where, name, path, table, name, dict.fromkeys(_OWN_KEYS - _KEYS, decided)))
    return grids


def read_grid(path: Path) -> Grid:
    """Read and validate a grid file.

    Raises:
        ConfigError: in one sentence: the file, the key, its value, and what it must be.
    """
    path = Path(path)
    raw = _read(path)
    sweep = raw.get("sweep")
    decided = f"the sweep {sweep!r} decides it; leave it out"
    return _grid(
        path.name, path.stem, path, raw, sweep, {key: decided for key in ("factors", "seeds") if sweep}
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no grid file {path}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error


def _grid(
    where: str, name: str, path: Path, raw: Mapping[str, Any], sweep: str | None, refused: Mapping[str, str]
) -> Grid:
    """Validate one grid; `refused` are the keys that it may not have, with what to do about each."""
    for key in sorted(set(refused) & set(raw)):
        refuse(where, key, raw[key], refused[key])
    keys = sorted(_OWN_KEYS - set(refused))
    if unknown := sorted(set(raw) - set(keys)):
        refuse(where, unknown[0], raw[unknown[0]], f"the keys are {', '.join(keys)}")
    for key in (*_WORDS, "notebook", "sweep"):
        if not isinstance(raw.get(key, ""), str):
            refuse(where, key, raw[key], "it must be text")
    if not raw.get("title"):
        refuse(where, "title", raw.get("title"), "say what is varied")
    seeds = _seeds(where, raw.get("seeds")) if sweep is None else {}
    notebook = path.parent / raw.get("notebook", f"{path.stem}.ipynb")
    return Grid(
        name=name,
        path=path,
        title=raw["title"],
        question=raw.get("question", ""),
        varies=raw.get("varies", ""),
        reading=raw.get("reading", ""),
        notebook=notebook if sweep is None or "notebook" in raw or notebook.is_file() else SWEEP_NOTEBOOK,
        sweep_name=sweep,
        given_factors=_factors(where, raw.get("factors", {})) if sweep is None else {},
        given_seeds=seeds,
        minutes=_minutes(where, raw.get("minutes"), tuple(seeds) if sweep is None else SCALES),
        comparison=_comparison(where, raw["effects"]) if "effects" in raw else None,
    )


def _factors(where: str, raw: Any) -> dict[str, tuple[Level, ...]]:
    if not isinstance(raw, dict):
        refuse(where, "factors", raw, "it must be a table of lists")
    for name, levels in raw.items():
        key = f"factors.{name}"
        if not name.isidentifier() or name in RESERVED:
            refuse(
                where, key, levels, f"the name must be a Python name other than {', '.join(sorted(RESERVED))}"
            )
        if not isinstance(levels, list) or not levels:
            refuse(where, key, levels, "it must be a list of one level or more")
        if bad := [v for v in levels if not isinstance(v, bool | int | float | str)]:
            refuse(where, key, bad[0], "a level is a number, a text, true or false")
        if len({(type(v), v) for v in levels}) < len(levels):
            refuse(where, key, levels, "a level occurs twice")
    return {name: tuple(levels) for name, levels in raw.items()}


def _seeds(where: str, raw: Any) -> dict[str, tuple[int, ...]]:
    if not isinstance(raw, dict) or not raw or set(raw) - set(SCALES):
        refuse(where, "seeds", raw, f"give a number or a list of seeds for scales out of {', '.join(SCALES)}")
    found = {}
    for scale, value in raw.items():
        numbers = list(range(value)) if type(value) is int else value
        whole = isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
        if not whole or not numbers or len(set(numbers)) < len(numbers):
            refuse(
                where,
                f"seeds.{scale}",
                value,
                "give a positive number, or a list of different seeds from 0 up",
            )
        found[scale] = tuple(numbers)
    return found


def _minutes(where: str, raw: Any, scales: Sequence[str]) -> dict[str, float]:
    wanted = f"give the minutes of one run on one core for {', '.join(scales)}"
    if not isinstance(raw, dict) or set(raw) != set(scales):
        refuse(where, "minutes", raw, wanted)
    for scale, value in raw.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            refuse(where, f"minutes.{scale}", value, "it must be a positive number")
    return {scale: float(value) for scale, value in raw.items()}


def _comparison(where: str, raw: Any) -> Comparison:
    known = {"reference", "pairs", "quantities", "units", "level"}
    if not isinstance(raw, dict) or set(raw) - known:
        refuse(where, "effects", raw, f"the keys are {', '.join(sorted(known))}")
    quantities, pairs, units = raw.get("quantities"), raw.get("pairs", []), raw.get("units", {})
    if not isinstance(quantities, dict) or not quantities or set(quantities.values()) - set(COMPARE):
        refuse(where, "effects.quantities", quantities, 'give {NAME = "difference" or "ratio"}')
    if not isinstance(pairs, list) or not all(
        isinstance(p, list) and len(p) == 2 and all(isinstance(arm, str) for arm in p) and p[0] != p[1]
        for p in pairs
    ):
        refuse(where, "effects.pairs", pairs, "give a list of [first arm, second arm]")
    if ("reference" in raw) == bool(pairs) or not isinstance(raw.get("reference", ""), str):
        refuse(where, "effects", raw, "give either reference, an arm, or pairs")
    if not isinstance(units, dict) or set(units) - set(quantities):
        refuse(where, "effects.units", units, "it may name quantities only")
    level = raw.get("level", 0.95)
    if not isinstance(level, float) or not 0.5 <= level < 1:
        refuse(where, "effects.level", level, "it must lie between 0.5 and 1")
    return Comparison(quantities, raw.get("reference"), tuple((a, b) for a, b in pairs), units, level)
