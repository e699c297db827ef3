"""Ablations: what a grid file may say, that nothing which finished is lost or repeated whatever is killed,
and that the numbers at the end are right."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import numpy as np
import pytest
from distributed import LocalCluster
from nbformat.v4 import new_code_cell, new_notebook

from gantrans.errors import BusyError, ConfigError, DataError, GantransError
from gantrans.teaching.fingerprint import code_version, experiment_version
from gantrans.teaching.notebooks import kernels
from gantrans.teaching.places import LESSONS
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps import (
    Comparison,
    Observation,
    commands,
    engine,
    find_grid,
    find_grids,
    read_grid,
    results,
    save_arms,
    save_row,
)
from gantrans.teaching.sweeps.effects import effects_csv, effects_figure, effects_text, paired_effects
from gantrans.teaching.sweeps.engine import Report, at_once, estimate, plan, run_grid
from gantrans.teaching.sweeps.grid import Grid
from gantrans.teaching.sweeps.grid_files import read_sweeps
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import committed
from gantrans.teaching.sweeps.task import RUNS, Order, Outcome, execute

GRID = """
title = "Tiny"
notebook = "tiny.ipynb"
seeds = { smoke = 2, reduced = [4, 5] }
minutes = { smoke = 0.25, reduced = 2 }

[factors]
mode = ["a", "b"]
depth = [3]

[effects]
reference = "mode=a"
quantities = { loss = "ratio", error = "difference" }
units = { error = "nm" }
"""
PARAMETERS = "mode = ''\ndepth: int = 0\nseed = 0\nscale = 'smoke'\nout = None"
CODE = """
import time
from pathlib import Path

from beside import NM_PER_DEPTH
from gantrans.teaching.sweeps import save_row

sweep = Path(out).parents[1]
with open(sweep.parent / f"{sweep.name}-starts.txt", "a") as log:
    log.write(f"{mode}{seed}\\n")
end = time.monotonic() + 300
while (sweep.parent / f"{sweep.name}-wait").exists() and mode == "b" and seed == 0:
    assert time.monotonic() < end
    time.sleep(0.05)
if (sweep.parent / "broken").exists() and mode == "b":
    raise ValueError("no b today\\nand more")
print("mode", mode)
"""
SAVE = """
b = mode == "b"
save_row({"loss": (seed + 1.0) * (2 if b else 1), "error": depth * NM_PER_DEPTH * b}, out)
"""
TABLE = """\
mode,depth,seed,arm,quantity,value
a,3,0,mode=a,loss,1.0
a,3,0,mode=a,error,0.0
b,3,0,mode=b,loss,2.0
b,3,0,mode=b,error,0.30000000000000004
a,3,1,mode=a,loss,2.0
a,3,1,mode=a,error,0.0
b,3,1,mode=b,loss,4.0
b,3,1,mode=b,error,0.30000000000000004
"""


def tiny(folder: Path, text: str = GRID) -> Grid:
    cells = [
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        new_code_cell(CODE),
        new_code_cell(SAVE),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "tiny.ipynb")
    (folder / "beside.py").write_text("NM_PER_DEPTH = 0.1")
    (folder / "tiny.toml").write_text(text)
    return read_grid(folder / "tiny.toml")


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A pool of two workers, as somebody's own: runs reach it by the scheduler's address."""
    options = {
        "processes": True,
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",
        "silence_logs": "CRITICAL",
    }
    with LocalCluster(n_workers=2, threads_per_worker=1, memory_limit=0, **options) as pool:
        yield pool


def starts(out: Path) -> list[str]:
    return sorted((out.parent / f"{out.name}-starts.txt").read_text().split())


# ---- grid files


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('title = "Tiny"', "title ="), "tiny.toml is not TOML: "),
        (('title = "Tiny"', ""), "tiny.toml: title is missing; say what is varied."),
        (('title = "Tiny"', "title = 3"), "tiny.toml: title is 3; it must be text."),
        (('title = "Tiny"', 'title = "Tiny"\ncolour = "red"'), "tiny.toml: colour is 'red'; the keys are "),
        (('mode = ["a", "b"]', "mode = []"), "tiny.toml: factors.mode is []; it must be a list of one"),
        (('mode = ["a", "b"]', 'mode = ["a", [1]]'), "tiny.toml: factors.mode is [1]; a level is a number"),
        (('mode = ["a", "b"]', 'mode = ["a", "a"]'), "factors.mode is ['a', 'a']; a level occurs twice."),
        (("depth = [3]", "seed = [3]"), "tiny.toml: factors.seed is [3]; the name must be a Python name"),
        (("smoke = 2,", "smoke = 0,"), "tiny.toml: seeds.smoke is 0; give a positive number"),
        (("[4, 5]", "[4, 4]"), "tiny.toml: seeds.reduced is [4, 4]; give a positive number, or a"),
        (("seeds = { smoke = 2,", "seeds = { tiny = 2,"), "tiny.toml: seeds is {'tiny': 2, 'reduced': [4, "),
        (("smoke = 0.25, ", ""), "tiny.toml: minutes is {'reduced': 2}; give the minutes of one run"),
        (("smoke = 0.25", "smoke = -1"), "tiny.toml: minutes.smoke is -1; it must be a positive number."),
        (('"ratio"', '"times"'), "tiny.toml: effects.quantities is {'loss': 'times', "),
        (('reference = "mode=a"', ""), "give either reference, an arm, or pairs."),
        (('reference = "mode=a"', 'pairs = [["x", "x"]]'), "effects.pairs is [['x', 'x']]; give a list of"),
        (('error = "nm"', 'area = "nm"'), "effects.units is {'area': 'nm'}; it may name quantities only."),
        (("units =", "level = 95\nunits ="), "effects.level is 95; it must lie between 0.5 and 1."),
        (('title = "Tiny"', 'title = "Tiny"\nsweep = "modes"'), "sweep 'modes' decides it; leave it out."),
    ],
)  # fmt: skip
def test_a_mistake_in_a_grid_is_one_sentence(tmp_path, change, message) -> None:
    assert change[0] in GRID
    with pytest.raises(ConfigError) as error:
        tiny(tmp_path, GRID.replace(*change))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_grid_is_looked_for(tmp_path) -> None:
    with pytest.raises(
        ConfigError, match=r"no ablation 'nothing'; give a path ending in .toml or one of .*modes"
    ):
        find_grid("nothing")
    with pytest.raises(ConfigError, match=r"There is no grid file .*none.toml"):
        find_grid(str(tmp_path / "none.toml"))
    (tmp_path / "s.toml").write_text('title = "x"\nsweep = "nothing"\nminutes = {smoke=1, reduced=1, full=1}')
    with pytest.raises(
        ConfigError, match=r"sweep is 'nothing'; the file experiments/nothing.py of a lesson must"
    ):
        read_grid(tmp_path / "s.toml").factors  # noqa: B018


def test_runs_go_seed_by_seed_and_have_names_of_their_own(tmp_path) -> None:
    grid = tiny(tmp_path, GRID.replace("depth = [3]", 'depth = [3, 3.0, "3", true]'))
    runs = grid.runs("reduced")
    assert [run.seed for run in runs] == [4] * 8 + [5] * 8
    assert runs[0].setting == {"mode": "a", "depth": 3}
    assert runs[0].label == "mode=a, depth=3"
    assert tiny(tmp_path).runs("smoke")[0].label == "mode=a"  # what does not vary names nothing
    assert len({run.key.lower() for run in runs}) == 16
    with pytest.raises(ConfigError, match="there is no entry for scale 'full'"):
        grid.runs("full")


def test_dry_run_and_list_start_nothing(tmp_path, capsys) -> None:
    tiny(tmp_path)
    out = tmp_path / "out"
    arguments = {"workers": 2, "threads": 1, "scheduler": None, "max_hours": None}
    assert commands.run(str(tmp_path / "tiny.toml"), "reduced", out, dry_run=True, **arguments) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].strip() == "mode=a, seed 4"
    assert "4 of 4 runs to do at scale reduced: about 8.2 minutes of work, 4.1 with 2 at a time" in printed
    assert not out.exists()
    commands.list_grids()
    listed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["stabilization", "G06,", "G07,"] in [words[:3] for words in listed]
    assert ["G03", "G03"] in [words[:2] for words in listed]


def test_a_claim_is_measured_by_its_sweep_or_by_itself(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("gantrans.teaching.claims.ledger.RUNS", tmp_path / "claims")
    arguments = {"workers": 1, "threads": 1, "scheduler": None, "max_hours": None}
    assert commands.run("G06", "smoke", None, dry_run=True, **arguments) == 0
    assert "runs/ablations/stabilization-smoke" in capsys.readouterr().out.replace(os.sep, "/")
    assert commands.run("G03", "smoke", None, dry_run=True, **arguments) == 0
    assert not (tmp_path / "claims").exists()
    assert commands.run("G03", "smoke", None, dry_run=False, **arguments) == 0
    assert "G03: open" in capsys.readouterr().out
    (line,) = [line for file in (tmp_path / "claims").iterdir() for line in file.read_text().splitlines()]
    record = json.loads(line)
    assert record["command"] == "python -m gantrans ablate G03 --scale smoke"
    assert record["experiment"] == experiment_version("lessons.lesson05.experiments.patches")


def test_the_estimate_counts_the_threads_of_the_scheduler(tmp_path, cluster, capsys) -> None:
    grid, out = tiny(tmp_path), tmp_path / "out"
    arguments = {"workers": 1, "threads": 1, "scheduler": cluster.scheduler_address, "max_hours": None}
    assert commands.run(str(grid.path), "reduced", out, dry_run=True, **arguments) == 0
    assert "about 8.2 minutes of work, 4.1 with 2 at a time" in capsys.readouterr().out
    assert at_once(3, None) == 3
    here = {"processes": False, "protocol": "tcp", "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=0, **here) as empty:
        places = at_once(3, empty.scheduler_address)
    assert "about 8.2 minutes of work, no worker yet; results" in estimate(grid, "reduced", out, places)
    with LocalCluster(n_workers=1, threads_per_worker=3, **here) as pool:
        assert at_once(1, pool.scheduler_address) == 3


# ---- running


def test_a_failing_run_stops_no_other_and_is_alone_repeated(tmp_path, cluster, capsys) -> None:
    grid, out = tiny(tmp_path), tmp_path / "out"
    (tmp_path / "broken").touch()
    arguments = {"workers": 1, "threads": 1, "scheduler": cluster.scheduler_address, "max_hours": None}
    assert commands.run(str(grid.path), "smoke", out, dry_run=False, **arguments) == 1
    printed = capsys.readouterr().out
    assert "2 of 4 runs are done" in printed
    assert "repeats nothing" in printed
    failed = sorted((out / "failed").iterdir())
    assert len(failed) == 2
    assert f"FAILED {failed[0]}: In [3] ValueError: no b today\n" in printed
    notebook = nbformat.read(failed[0] / "executed.ipynb", 4)
    assert "no b today" in json.dumps(notebook)
    assert len(list(csv.DictReader((out / "table.csv").open()))) == 4
    assert plan(grid, "smoke", out, 1).startswith("done  mode=a, seed 0\n      mode=b, seed 0")

    (tmp_path / "broken").unlink()
    left = run_grid(grid, "smoke", out, scheduler=cluster.scheduler_address, max_hours=0)
    assert (left.done, left.failed, left.left) == (2, (), 2)
    assert "2 runs were not started, because the time of --max-hours was over." in str(left)
    report = run_grid(grid, "smoke", out, scheduler=cluster.scheduler_address)
    assert report.complete
    assert starts(out) == ["a0", "a1", "b0", "b0", "b1", "b1"]
    assert (out / "table.csv").read_text() == TABLE
    assert not list((out / "failed").iterdir())
    for run in grid.runs("smoke"):
        folder = out / RUNS / run.key
        assert {p.name for p in folder.iterdir()} == {"executed.ipynb", "results.json", "log.txt", "run.json"}
        assert (folder / "log.txt").read_text() == f"mode {run.setting['mode']}\n"
    effects = list(csv.DictReader((out / "effects.csv").open()))
    assert [(e["quantity"], e["kind"], e["seeds"]) for e in effects] == [
        ("loss", "ratio", "2"),
        ("error", "difference", "2"),
    ]
    assert float(effects[0]["effect"]) == float(effects[0]["low"]) == pytest.approx(2.0)
    assert float(effects[1]["effect"]) == float(effects[1]["high"]) == pytest.approx(0.3)
    assert (out / "effects.png").read_bytes().startswith(b"\x89PNG")
    assert "mode=b / mode=a 2" in (out / "effects.txt").read_text()


def test_a_killed_worker_loses_nothing(tmp_path, cluster) -> None:
    """Its run is done again elsewhere; the table is the same, byte by byte, as that of a quiet sweep."""
    grid, out = tiny(tmp_path), tmp_path / "out"
    (tmp_path / "out-wait").touch()

    def kill_the_worker() -> None:
        wait_for(lambda: (tmp_path / "out-starts.txt").exists() and "b0" in starts(out))
        (pid,) = (pid for name, pid in attempts(out) if name.startswith("mode=b-depth=3-seed=0"))
        os.kill(pid, signal.SIGKILL)
        (tmp_path / "out-wait").unlink()

    with ThreadPoolExecutor(1) as thread:
        killing = thread.submit(kill_the_worker)
        report = run_grid(grid, "smoke", out, scheduler=cluster.scheduler_address)
        killing.result()
    assert report.complete, report
    assert starts(out) == ["a0", "a1", "b0", "b0", "b1"]
    assert (out / "table.csv").read_text() == TABLE


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_sweep_goes_on_and_repeats_nothing_that_finished(tmp_path, cluster) -> None:
    grid, out = tiny(tmp_path), tmp_path / "out"
    (tmp_path / "out-wait").touch()
    options = ["--scale", "smoke", "--workers", "2", "--out", str(out)]
    driver = subprocess.Popen([sys.executable, "-m", "gantrans", "ablate", str(grid.path), *options])
    try:
        wait_for(lambda: len(list(out.glob("runs/*"))) >= 2 and "b0" in starts(out))
    finally:
        driver.kill()
        driver.wait()
    (tmp_path / "out-wait").unlink()
    wait_for(lambda: not alive(out))  # the embedded cluster dies with its driver
    finished = {p.name for p in (out / RUNS).iterdir()}
    assert len(finished) >= 2
    report = run_grid(grid, "smoke", out, scheduler=cluster.scheduler_address)
    assert report.complete
    done = [f"{run.setting['mode']}{run.seed}" for run in grid.runs("smoke") if run.key in finished]
    assert [starts(out).count(name) for name in done] == [1] * len(done)
    assert (out / "table.csv").read_text() == TABLE


def wait_for(happened, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def attempts(out: Path) -> list[tuple[str, int]]:
    """Name and worker process of every run that was begun and not ended."""
    names = [attempt.name for attempt in out.glob("attempts/*")]
    return [(name, int(name.split(".")[-2])) for name in names]


def alive(out: Path) -> bool:
    """Whether a worker process with an attempt in `out` lives."""
    for _, pid in attempts(out):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        return True
    return False


def test_what_belongs_to_another_sweep_is_refused(tmp_path) -> None:
    grid, out = tiny(tmp_path), tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").touch()
    with pytest.raises(ConfigError, match="is not empty and holds no sweep; name another --out"):
        run_grid(grid, "smoke", out)
    (out / "letter.txt").unlink()
    with pytest.raises(ConfigError, match=r"No Dask scheduler answers at tcp://127.0.0.1:9;"):
        run_grid(grid, "smoke", out, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(
        ConfigError, match=r"holds another sweep .scale 'smoke' there, 'reduced' now.; move it"
    ):
        run_grid(grid, "reduced", out)
    nbformat.write(new_notebook(cells=[new_code_cell(CODE)]), grid.notebook)
    with pytest.raises(ConfigError, match=r"tiny.ipynb has 0 cells tagged `parameters`; it needs one"):
        run_grid(grid, "smoke", out)
    cell = new_code_cell(PARAMETERS.replace("depth", "width"), metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[cell]), grid.notebook)
    with pytest.raises(
        ConfigError, match=r"tiny.ipynb has no parameter depth; its `parameters` cell must set it"
    ):
        run_grid(grid, "smoke", out)
    grid.notebook.unlink()
    with pytest.raises(ConfigError, match=r"notebook is 'tiny.ipynb', which is not there; put it beside"):
        run_grid(grid, "smoke", out)


def test_a_row_is_numbers(tmp_path) -> None:
    save_row({"loss": 1}, None)  # by hand: nowhere
    for bad in ({}, {"loss": "low"}, {"loss": None}):
        with pytest.raises(DataError, match="the row has "):
            save_row(bad, tmp_path)
    with pytest.raises(DataError, match="arm 'a' has no quantities"):
        save_arms({"a": {}}, tmp_path)
    with pytest.raises(DataError, match="was given no arm"):
        save_arms({}, tmp_path)
    assert not list(tmp_path.iterdir())
    save_arms({"a": {"loss": np.float32(0.5)}}, tmp_path, device="a pocket calculator")
    assert json.loads((tmp_path / "results.json").read_text()) == {
        "arms": {"a": {"loss": 0.5}},
        "device": "a pocket calculator",
    }


# ---- effects


def observations(first, second, quantity: str = "loss", group: str = "") -> list[Observation]:
    return [
        Observation({}, seed, arm, quantity, float(value), group)
        for arm, values in (("new", first), ("old", second))
        for seed, value in enumerate(values)
    ]


def effect(first, second, compare: str = "difference"):
    (found,) = paired_effects(observations(first, second), Comparison({"loss": compare}, reference="old"))
    return found


def test_effects_have_the_values_that_can_be_computed_by_hand() -> None:
    found = effect([3.0, 5.0], [1.0, 2.0])  # of 2 and 3: means of resamples are 2 (1/4), 2.5 (1/2), 3 (1/4)
    assert (found.effect, found.low, found.high, found.seeds) == (2.5, 2.0, 3.0, (0, 1))
    found = effect([1.1, 2.2, 3.3], [1.0, 2.0, 3.0], "ratio")  # the same in every pair
    assert (found.effect, found.low, found.high) == pytest.approx((1.1, 1.1, 1.1))
    assert math.isnan(effect([1.0], [2.0]).low)
    generator = np.random.default_rng(1)
    old = generator.normal(size=400)
    differences = generator.normal(0.3, 0.5, size=400)
    found = effect(old + differences, old)
    half = 1.96 * differences.std(ddof=1) / 20  # the interval of a normal mean
    assert found.effect == pytest.approx(differences.mean())
    assert (found.low, found.high) == pytest.approx(
        (found.effect - half, found.effect + half), abs=0.1 * half
    )
    assert effect(old + differences, old) == found  # resampling has a fixed seed


def test_pairs_are_of_one_group_and_of_seeds_that_both_have() -> None:
    seen = observations([1.0, 2.0, math.nan], [1.0, 1.0, 1.0], group="w=1")
    seen += observations([4.0, 4.0], [2.0, 2.0, 2.0], group="w=2")
    found = paired_effects(seen, Comparison({"loss": "ratio"}, pairs=[("new", "old")]))
    assert [(e.group, e.seeds) for e in found] == [("w=1", (0, 1)), ("w=2", (0, 1))]
    assert [e.effect for e in found] == pytest.approx([math.sqrt(2), 2.0])
    assert found[1].pair == "new / old (w=2)"
    assert effects_csv(found).splitlines()[2].startswith("w=2,new,old,loss,ratio,,2.0")
    assert effects_text(found).splitlines()[1].startswith("loss: new / old (w=2)")
    figure = effects_figure(found, "Width")
    assert "new / old (w=2)" in alt_text(figure)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["new vs old (w=1)", "new vs old (w=2)"]
    assert figure.axes[0].get_xlabel() == "loss, ratio"
    with pytest.raises(
        ConfigError, match="No run has the arm 'odd' of the grid's effects; there are new, old"
    ):
        paired_effects(seen, Comparison({"loss": "ratio"}, pairs=[("odd", "old")]))
    with pytest.raises(ConfigError, match="No run has the quantity 'iou'"):
        paired_effects(seen, Comparison({"iou": "ratio"}, reference="old"))
    with pytest.raises(ConfigError, match="'loss' of 'new' and 'old' needs positive values"):
        effect([0.0, 1.0], [1.0, 1.0], "ratio")


# ---- the ablations of the course


COURSE = find_grids()


def test_every_sweep_of_a_lesson_is_described_there_once_and_decides_its_claims() -> None:
    defined = {
        (path.parts[-3], path.stem)
        for path in LESSONS.glob("lesson*/experiments/*.py")
        if re.search(r"^SWEEP = ", path.read_text("utf-8"), re.M)
    }
    assert defined == {(grid.path.parent.name, grid.name) for grid in COURSE}
    assert len(COURSE) == len({grid.name for grid in COURSE}) == len(defined)
    for grid in COURSE:
        assert grid.sweep is not None
        assert grid.sweep.name == grid.name
        assert grid.sweep.folder == grid.path.parent
        assert [experiments()[claim] for claim in grid.sweep.claims] == [grid.name] * len(grid.sweep.claims)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modes = 3", "modes is 3; it must be a table with title and minutes."),
        ("[modes]\ntitle = 'x'", "question is missing; the notebook shows it; write a sentence."),
        ("[modes]\n{}\nsweep = 'y'", "sweep is 'y'; the sweep 'modes' decides it; leave it out."),
        ("[modes]\n{}\ncolour = 3", "colour is 3; the keys are effects, minutes, question, reading, title, "),
        (
            "[modes]\n{}",
            "minutes is missing; give the minutes of one run on one core for smoke, ",
        ),
    ],
)
def test_a_mistake_in_the_sweeps_of_a_lesson_is_one_sentence(tmp_path, text, message) -> None:
    words = "title = 'x'\nquestion = 'x'\nvaries = 'x'\nreading = 'x'"
    (tmp_path / "lesson99").mkdir()
    (tmp_path / "lesson99" / "sweeps.toml").write_text(text.format(words))
    with pytest.raises(ConfigError) as error:
        read_sweeps(tmp_path / "lesson99" / "sweeps.toml")
    assert f"lesson99/sweeps.toml, [modes]: {message}" in str(error.value)


def test_a_grid_of_ones_own_may_name_a_sweep(tmp_path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('title = "x"\nsweep = "modes"\nminutes = {smoke=1, reduced=1, full=1}')
    grid = read_grid(own)
    assert (grid.name, grid.sweep.name, grid.notebook.name) == ("own", "modes", "sweep.ipynb")
    assert grid.parameters(grid.runs("smoke")[1], "smoke") == {
        "sweep": "modes", "setting": "all", "seed": 1, "scale": "smoke",
    }  # fmt: skip
    nbformat.write(new_notebook(cells=[]), tmp_path / "own.ipynb")
    assert read_grid(own).notebook == tmp_path / "own.ipynb"


@pytest.mark.parametrize("grid", COURSE, ids=lambda grid: grid.name)
def test_effects_of_a_grid_are_there_in_its_committed_table(grid) -> None:
    if grid.sweep is None or grid.comparison is None or not grid.sweep.path.exists():
        pytest.skip("no table is committed")
    table = committed(grid.sweep.name)
    seen = [
        Observation({}, seed, arm, quantity, value, "")
        for seed, row in table.rows.items()
        for arm, numbers in row.items()
        for quantity, value in numbers.items()
    ]
    found = paired_effects(seen, grid.comparison)
    assert {e.quantity for e in found} == set(grid.comparison.quantities)


def test_the_end_of_a_sweep_is_its_table_and_its_claims(tmp_path) -> None:
    grid = find_grid("modes")
    date = "2099-01-01T00:00:00+00:00"
    about = {"scale": "smoke", "config": "c", "code": "d", "experiment": "e", "commit": "f", "date": date}
    (tmp_path / "about.json").write_text(json.dumps(about))
    runs = grid.runs("smoke")
    for run in runs:
        folder = tmp_path / RUNS / run.key
        folder.mkdir(parents=True)
        row = {"modes": 20.0 + run.seed, "at a mode": 0.5}
        save_arms({"diffusion": row, "GAN": {**row, "modes": 2.0}}, folder, device="a chip")
    said, records = results.write(grid, "smoke", tmp_path, runs, runs, tmp_path / "claims.jsonl")
    assert records.keys() == {"D08"}
    assert records["D08"]["experiment"] == "e"
    assert json.loads((tmp_path / "claims.jsonl").read_text()) == records["D08"]
    assert "D08: open" in said
    assert f"copy it to {grid.sweep.path}" in said
    table = json.loads((tmp_path / "modes.json").read_text())
    assert table["about"] == {
        **about,
        "command": "python -m gantrans ablate modes --scale smoke",
        "device": "a chip",
    }
    assert table["rows"]["1"]["diffusion"] == {"modes": 21.0, "at a mode": 0.5}
    assert "modes,difference" in (tmp_path / "effects.csv").read_text()


def test_reports_are_errors_of_ours() -> None:
    assert issubclass(ConfigError, GantransError)
    assert "Interrupted." in str(Report(Path("o"), 4, 1, (), interrupted=True))
    words = str(Report(Path("o"), 4, 4, ()))
    assert words == "4 of 4 runs are done; results in o."


# ---- one driver, a limit for each run, what can be taken up again


def test_a_second_driver_is_told_who_runs_the_sweep(tmp_path, cluster) -> None:
    """The first one's attempts are not removed under its workers."""
    grid, out = tiny(tmp_path), tmp_path / "out"
    (tmp_path / "out-wait").touch()
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(run_grid, grid, "smoke", out, scheduler=cluster.scheduler_address)
        wait_for(lambda: (tmp_path / "out-starts.txt").exists() and "b0" in starts(out))
        going = attempts(out)
        with pytest.raises(BusyError, match=rf"^The sweep in .*out is in use by process {os.getpid()} on "):
            run_grid(grid, "smoke", out, scheduler=cluster.scheduler_address)
        assert set(going) <= set(attempts(out)) or first.done()
        (tmp_path / "out-wait").unlink()
        assert first.result().complete
    assert not list(out.glob(".lock*"))


def test_a_run_that_hangs_is_stopped_and_its_log_is_kept(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(kernels, "END_SECONDS", 1.0)
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
    cells.append(new_code_cell("import time\nprint('begun')\ntime.sleep(1000)"))
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebook.ipynb")
    (tmp_path / "about.json").write_text("{}")
    order = Order(str(tmp_path), "one", {}, code_version(), "", (), str(tmp_path), minutes=0.1)
    begun = time.monotonic()
    outcome = execute(order)
    assert time.monotonic() - begun < 240
    assert (outcome.state, outcome.error[:56]) == (
        "failed",
        "stopped after 0.1 minutes (--max-minutes-per-run); log.t",
    )
    assert (tmp_path / "failed" / "one" / "log.txt").read_text() == "begun\n"


def test_every_run_gets_the_limit_that_was_asked_for(tmp_path, monkeypatch, capsys) -> None:
    grid, seen = tiny(tmp_path), []
    monkeypatch.setattr(engine, "_outcomes", lambda orders, *_: seen.extend(orders) or [])
    arguments = {"workers": 1, "threads": 1, "scheduler": None, "max_hours": None}
    commands.run(
        str(grid.path), "smoke", tmp_path / "out", dry_run=False, max_minutes_per_run=7.0, **arguments
    )
    assert [order.minutes for order in seen] == [7.0] * 4


def test_a_start_that_was_killed_is_taken_up_and_another_folder_is_not(tmp_path, cluster) -> None:
    grid, out = tiny(tmp_path), tmp_path / "out"
    out.mkdir()
    (out / ".lock").touch()
    (out / "notebook.ipynb").write_bytes(grid.notebook.read_bytes())  # and no about.json yet
    report = run_grid(grid, "smoke", out, scheduler=cluster.scheduler_address, max_hours=0)
    assert (report.total, report.left) == (4, 4)
    (out / "about.json").write_text('{"grid"')
    with pytest.raises(ConfigError, match=r"about\.json cannot be read"):
        run_grid(grid, "smoke", out, max_hours=0)
    (out / "about.json").unlink()
    (out / "notebook.ipynb").write_text("mine")
    with pytest.raises(ConfigError, match="not empty and holds no sweep"):
        run_grid(grid, "smoke", out, max_hours=0)
    assert (out / "notebook.ipynb").read_text() == "mine"


def test_a_failure_names_a_folder_only_if_it_is_there(tmp_path) -> None:
    lost = Outcome("mode=a", "failed", error="No space left on device")
    said = str(Report(tmp_path, 1, 0, (lost,)))
    assert f"FAILED run mode=a of {tmp_path}, nothing kept: No space left on device" in said
    (tmp_path / "failed" / "mode=a").mkdir(parents=True)
    assert f"FAILED {tmp_path / 'failed' / 'mode=a'}: No space" in str(Report(tmp_path, 1, 0, (lost,)))
