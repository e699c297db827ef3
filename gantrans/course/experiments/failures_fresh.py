"""Lesson 06, claim G33: the runs of `failures` again, with seeds that nobody had seen.

The first sweep has seeds 0 to 23. One of 64 further seeds (24 to 87, more steps, another way to collapse) was
announced in commit 689b442 and taken back in 396abc8; no table of it was ever committed. These are the first
48 of its seeds, in the setting of `failures` and with its thresholds.
"""

from functools import partial
from typing import Any

from gantrans.course.experiments.failures import PROVOKED, SETTINGS, recognised, run_seed, task_config
from gantrans.course.experiments.registry import experiment
from gantrans.course.experiments.sweeps import Sweep

SWEEP = Sweep(
    "failures_fresh",
    {provoked: partial(run_seed, provoked) for provoked in PROVOKED},
    {"smoke": range(2), "reduced": range(24, 72), "full": range(24, 72)},
    lambda scale: [SETTINGS[scale], *(task_config(provoked, SETTINGS[scale]) for provoked in PROVOKED)],
    {"G33": recognised},
)


@experiment("G33")
def repeat_g33(scale: str) -> dict[str, Any]:
    """The whole sweep; see `recognised`."""
    return SWEEP.experiment("G33", scale)


if __name__ == "__main__":
    SWEEP.main()
