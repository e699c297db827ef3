"""Run the benchmarks: each measures us and a peer in one process and reports a ratio with its spread.

A benchmark is a module of this package with `run(quick: bool) -> list[dict]`; each dict is one row of its
table.
Nothing here decides a test: machines differ, and a ratio measured on a busy one is worth little.
"""

import argparse
import importlib
import json
import pkgutil
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import benchmarks
from gantrans import ROOT, __version__

Row = dict[str, Any]


def names() -> list[str]:
    """The benchmarks of this package, in alphabetical order."""
    return sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))


def table(rows: list[Row]) -> str:
    """Rows as aligned plain text; a column for every key that occurs, in order of first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(key, "")) for key in columns] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    lines = [
        "  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) for line in [columns, *cells]
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", help=f"which to run (default: all): {', '.join(names())}")
    parser.add_argument(
        "--quick", action="store_true", help="small versions: proves that they run, decides nothing"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "runs" / "benchmarks", help="folder for the JSON results"
    )
    args = parser.parse_args(argv)
    unknown = sorted(set(args.name) - set(names()))
    if unknown:
        print(
            f"No benchmark is called {', '.join(unknown)}; there are {', '.join(names())}.", file=sys.stderr
        )
        return 2
    torch.set_num_threads(1)  # ratios on one core are the ones that repeat
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.name or names():
        start = time.perf_counter()
        rows = importlib.import_module(f"benchmarks.{name}").run(args.quick)
        seconds = time.perf_counter() - start
        print(f"\n{name} ({seconds:.0f} s{', quick' if args.quick else ''})\n{table(rows)}", flush=True)
        record = {
            "benchmark": name,
            "quick": args.quick,
            "seconds": round(seconds, 1),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"platform": platform.machine(), "python": platform.python_version()},
            "versions": {"torch": torch.__version__, "gantrans": __version__},
            "rows": rows,
        }
        (args.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
