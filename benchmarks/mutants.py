"""How good are the unit tests? Small slips in the library, one at a time: does a fast test turn red?

A sample of at least 300 mutants over the seven folders of the library, equally many of each, its operators
in turn, drawn by a hash of seed and id, so that an edit elsewhere changes few draws. A mutant is applied to a
copy and judged by the fast unit tests that call the changed function, the quickest first. Running out of time
counts as killed. Goal: at least 95 % killed of those that `mutants_explained.toml` does not show to be equal.

What is known of unchanged code is kept in `runs/benchmarks/mutants/` and not measured again.

`python -m benchmarks.mutants ID ...` judges mutants by name and prints the change and the test that saw it.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from queue import Queue
from typing import Any

from benchmarks._mutants_known import Memory
from benchmarks._mutants_made import Mutant, differs, mutants_of
from benchmarks._mutants_slips import OPERATORS
from gantrans import ROOT

FOLDERS = ("data", "networks", "metrics", "training", "diffusion", "translation", "operations")
SEED = 0
PER_FOLDER = 46
GOAL = 0.95
EXPLAINED = Path(__file__).with_name("mutants_explained.toml")
SLOW = re.compile(
    "lesson|notebook|browser|crash|process|exercise|mutation|style|container|kernel|course|glossary|recall|"
    "explorer|plots|claims|ablation|sweeps|teaching|benchmarks|house|english|habits|one_place|command_line"
)
"""Test files that are no fast unit tests of the library, by their path."""
LONGEST_TEST = 5.0
"""CPU seconds; slower tests judge nothing."""
QUICK = 0.25
"""CPU seconds up to which a test goes first."""
BUDGET = 8.0
"""CPU seconds of tests for one mutant, as they take unchanged."""

Tests = dict[str, tuple[float, list[str]]]
"""Node id -> seconds, and "file:function" of what it calls."""
Judge = Callable[..., dict[str, str]]
Ask = Callable[[dict[str, Any]], dict[str, Any]]
JOBS = int(os.environ.get("GANTRANS_MUTANT_JOBS", "1"))
"""Mutants judged at a time, each in a copy and a process of its own."""


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per folder and operator, then all; `quick` takes two mutants of each folder."""
    mutants = sample(2 if quick else PER_FOLDER)
    explained = tomllib.loads(EXPLAINED.read_text())
    with judged() as (judge, tests), ThreadPoolExecutor(JOBS) as threads:
        controls = list(threads.map(lambda m: judge(m, unchanged=True), mutants[:: len(mutants) // 7]))
        results = dict(zip((m.id for m in mutants), threads.map(judge, mutants), strict=True))
    alive = [m for m in mutants if results[m.id]["verdict"] in ("survived", "untested")]
    known = [m for m in alive if explained.get(m.id, {}).get("change") == m.change]
    groups: list[tuple[str, list[Mutant]]] = [
        *((name, [m for m in mutants if m.id.startswith(f"{name}/")]) for name in FOLDERS),
        *((name, [m for m in mutants if m.operator == name]) for name in OPERATORS),
    ]
    rows = [_row(name, group, results, known) for name, group in (*groups, ("all", mutants))]
    total = rows[-1]
    total |= {
        "seed": SEED,
        "tests": len(tests),
        "unchanged_green": f"{sum(c['verdict'] == 'survived' for c in controls)} of {len(controls)}",
        "goal": GOAL,
        "met": total["score"] >= GOAL,
        "survivors": [m.id for m in alive if m not in known],
        "stale": sorted(
            key
            for key, entry in explained.items()
            if not any(key == m.id and entry["change"] == m.change for m in alive)
        ),
    }
    return rows


def _row(
    name: str, group: list[Mutant], results: dict[str, dict[str, str]], known: list[Mutant]
) -> dict[str, Any]:
    verdicts = Counter(results[m.id]["verdict"] for m in group)
    equal = sum(m in known for m in group)
    killed = verdicts["killed"] + verdicts["time"]
    return {
        "of": name,
        "mutants": len(group),
        "killed": killed,
        "by_time": verdicts["time"],
        "explained": equal,
        "surviving": verdicts["survived"] + verdicts["untested"] - equal,
        "errors": verdicts["error"],
        "score": killed / max(1, len(group) - equal),
    }


@cache
def every_mutant() -> list[Mutant]:
    """All mutants of the library's folders."""
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / "gantrans" / folder).rglob("*.py")):
            if path.stem != "__init__":
                file = path.relative_to(ROOT).as_posix()
                found += mutants_of(path.read_text(), file, f"{folder}/{path.stem}")
    twice = [name for name, times in Counter(m.id for m in found).items() if times > 1]
    if twice:
        raise ValueError(f"Two mutants are called {twice[0]}: two files share a name; rename one.")
    return found


def sample(per_folder: int) -> list[Mutant]:
    """The same mutants for the same code: of each folder `per_folder`, one of each operator in turn."""
    strata: dict[tuple[str, str], list[Mutant]] = defaultdict(list)
    for mutant in every_mutant():
        strata[mutant.id.split("/")[0], mutant.operator].append(mutant)
    for group in strata.values():
        group.sort(key=lambda m: hashlib.sha256(f"{SEED}:{m.id}".encode()).digest(), reverse=True)
    chosen: list[Mutant] = []
    for folder in FOLDERS:
        wanted = len(chosen) + per_folder
        while len(chosen) < wanted and any(strata[folder, operator] for operator in OPERATORS):
            for operator in OPERATORS:
                group = strata[folder, operator]
                if group and len(chosen) < wanted:
                    mutant = group.pop()
                    if differs(mutant, (ROOT / mutant.file).read_text()):
                        chosen.append(mutant)
    return chosen


@contextmanager
def judged() -> Iterator[tuple[Judge, Tests]]:
    """A function that judges a mutant in a copy of the repository, and the tests that it may use.

    What is known is not measured again. A killed mutant stays killed while the library and the test file that
    killed it are unchanged; a survivor while the library and all tests are.
    """
    paths = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("tests/**/test_*.py"))]
    paths = [path for path in paths if not SLOW.search(path)]
    memory = Memory(ROOT / "runs" / "benchmarks" / "mutants", paths)
    ignored = shutil.ignore_patterns(".git", "runs", "__pycache__", ".*_cache", ".venv", ".hypothesis")
    with tempfile.TemporaryDirectory(prefix="gantrans-mutants-") as folder, ExitStack() as stack:
        copies = [Path(folder) / str(number) for number in range(JOBS)]
        for copy in copies:
            ignored = shutil.ignore_patterns(
                ".git", "runs", "__pycache__", ".*_cache", ".venv", ".hypothesis"
            )
            shutil.copytree(ROOT, copy, ignore=ignored)
        asks = [stack.enter_context(worker(copy)) for copy in copies]
        new = [path for path in paths if memory.trace(path) is None]
        with ThreadPoolExecutor(JOBS) as threads:
            parts = [new[number::JOBS] for number in range(JOBS)]
            traces = list(threads.map(lambda ask, part: ask({"trace": part}) if part else {}, asks, parts))
            for part, traced in zip(parts, traces, strict=True):
                memory.add_traces(part, traced)
            list(threads.map(lambda ask: ask({"preload": memory.modules}), asks))
        tests = {name: found for name, found in memory.tests().items() if found[0] < LONGEST_TEST}
        free: Queue[Ask] = Queue()
        for ask in asks:
            free.put(ask)

        def judge(mutant: Mutant, unchanged: bool = False) -> dict[str, str]:
            chosen = tests_of(mutant, tests)
            if not chosen:
                return {"verdict": "untested", "by": ""}
            if not unchanged and (known := memory.verdict(mutant)):
                return known
            source = (ROOT / mutant.file).read_text()
            seconds = 10 + 2 * sum(tests[name][0] for name in chosen)
            text = source if unchanged else mutant.applied(source)
            ask = free.get()
            try:
                found = ask({"file": mutant.file, "text": text, "tests": chosen, "seconds": seconds})
            finally:
                free.put(ask)
            if not unchanged:
                memory.add_verdict(mutant, found)
            return found

        yield judge, tests


@contextmanager
def worker(copy: Path) -> Iterator[Ask]:
    """A function that gives a job to a warm process in the copy and waits for its answer."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(copy), str(copy / "notebooks"))),
        "OMP_NUM_THREADS": "1", "GANTRANS_SCALE": "smoke", "TQDM_DISABLE": "1",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._mutants_judged"], cwd=copy, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None

    def ask(job: dict[str, Any]) -> dict[str, Any]:
        process.stdin.write(json.dumps(job) + "\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        answer: dict[str, Any] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
        return answer

    try:
        yield ask
    finally:
        process.stdin.close()
        process.wait(30)


def tests_of(mutant: Mutant, tests: Tests) -> list[str]:
    """The tests that call the changed function (in a body of a module or class: any function of the file).

    Quick ones first, whatever they are called, because a far one may be the one that sees it; then the rest.
    Among either the nearest first: a test file of the same name, then one of the same folder. As many as the
    budget allows.
    """
    place = f"{mutant.file}:"
    wanted = f"{place}{mutant.scope}" if mutant.scope else place
    stem, folder = Path(mutant.file).stem, mutant.id.split("/")[0]

    def near(name: str) -> tuple[bool, int, float]:
        file = name.split("::")[0]
        distance = 0 if Path(file).stem == f"test_{stem}" else 1 if f"tests/{folder}/" in file else 2
        return tests[name][0] > QUICK, distance, tests[name][0]

    found = [
        name
        for name, (_, called) in tests.items()
        if any(c == wanted or (not mutant.scope and c.startswith(place)) for c in called)
    ]
    chosen: list[str] = []
    spent = 0.0
    for name in sorted(found, key=near):
        if spent + tests[name][0] <= BUDGET:
            spent += tests[name][0]
            chosen.append(name)
    return chosen


def main(names: list[str]) -> int:
    """Judge mutants by name."""
    wanted = [mutant for mutant in every_mutant() if mutant.id in names]
    unknown = sorted(set(names) - {mutant.id for mutant in wanted})
    if unknown or not wanted:
        print(f"No mutant is called {', '.join(unknown) or '(none given)'}.", file=sys.stderr)
        return 2
    with judged() as (judge, _):
        for mutant in wanted:
            result = judge(mutant)
            print(f"{result['verdict']:9} {mutant.id}\n  {mutant.change}\n  {result['by']}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
