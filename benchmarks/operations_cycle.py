"""A turn of the loop (labels, tuning, gate, promotion) killed at every step, and at random moments.

Afterwards there must be one valid champion, whose history is complete; no label and no promotion that was
acknowledged may be lost; and the next turn must go on or start anew, and leave nothing lying about.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks._cycle_kills import in_a_process

KILLS = 200


def run(quick: bool) -> list[dict[str, Any]]:
    """One row for kills at steps, one for kills at random moments."""
    rows = []
    for what, count in (("steps", 10 if quick else KILLS), ("moments", 5 if quick else 60)):
        with tempfile.TemporaryDirectory() as folder:
            found = in_a_process(what, Path(folder) / "site", count)
        rows.append(
            {
                "test": f"a turn killed at {what}",
                "kills": found.kills,
                "different": found.steps,
                "promoted": found.promoted,
                "labels": found.labels,
                "wrong": len(found.wrong),
                "goal": "0",
                "met": not found.wrong,
                "first": found.wrong[0] if found.wrong else "",
            }
        )
    return rows
