"""Lesson 06, claim G33: the runs of `failures` again, with seeds that nobody had seen.

The first sweep has seeds 0 to 23. One of 64 further seeds (24 to 87, more steps, another way to collapse) was
announced in commit 689b442 and taken back in 396abc8; no table of it was ever committed. These are the first
48 of its seeds, in the setting of `failures` and with its thresholds.
"""

from functools import partial

from gantrans.teaching.sweeps.sweep import Sweep
from lessons.lesson06.experiments.failures import PROVOKED, SETTINGS, recognised, run_seed, task_config

SWEEP = Sweep(
    "failures_fresh",
    {provoked: partial(run_seed, provoked) for provoked in PROVOKED},
    {"smoke": range(2), "reduced": range(24, 72), "full": range(24, 72)},
    lambda scale: [SETTINGS[scale], *(task_config(provoked, SETTINGS[scale]) for provoked in PROVOKED)],
    {"G33": recognised},
)
