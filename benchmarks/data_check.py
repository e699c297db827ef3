"""Time and memory of `data check` on folders of simulated pairs.

The folder is read once; a check of 2,000 pairs of 256 px is to take at most 20 s on two cores. The largest
memory of the process is measured in a process of its own, for 500 pairs and for four times as many.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gantrans.data import make_pairs, write_pairs

SIZE = 256
PAIRS = 2000
_ALONE = """
import sys
from pathlib import Path
from gantrans.data.check import check_folder
check_folder(sys.argv[1], direction="sem2layout", progress=False)
lines = Path("/proc/self/status").read_text().splitlines()  # getrusage has the parent's peak, too
print(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024)
"""


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per number of pairs: seconds, core-seconds, pairs per second, findings, peak memory."""
    counts = (30, 60) if quick else (PAIRS // 4, PAIRS)
    with tempfile.TemporaryDirectory(prefix="gantrans-data-check-") as folder:
        return [_measure(Path(folder) / str(count), count) for count in counts]


def _measure(root: Path, count: int) -> dict[str, Any]:
    from gantrans.data.check import check_folder

    pairs = make_pairs("procedural", size=SIZE, pixel_nm=10.0, count=count, progress=False)
    write_pairs(pairs, root, source="procedural")
    begun, cpu = time.perf_counter(), time.process_time()
    report = check_folder(root, direction="sem2layout", progress=False)
    seconds, used = time.perf_counter() - begun, time.process_time() - cpu
    alone = subprocess.run(
        [sys.executable, "-c", _ALONE, str(root)], capture_output=True, text=True, check=True
    )
    return {
        "benchmark": "data_check",
        "pairs": count,
        "size_px": SIZE,
        "seconds": round(seconds, 2),
        "core_seconds": round(used, 2),
        "pairs_per_s": round(count / seconds, 1),
        "stopping": len(report.stopping),
        "notes": len(report.findings) - len(report.stopping),
        "peak_mb": round(float(alone.stdout.split()[-1])),
    }
