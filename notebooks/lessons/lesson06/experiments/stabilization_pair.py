"""Lesson 06: four arms of SEM -> layout again, with twelve seeds that nobody had seen.

`stabilization` trained the whole factorial with seeds 0 to 5, too few for what is asked of single arms. Here
are the arms that the questions are about, in its three settings: the baseline, all four repairs, the pair of
least squares and spectral norm, and L1 alone. Its fourth setting, few pairs, asks something else.
"""

from functools import partial
from typing import Any

from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from lessons.lesson06.experiments.factorial import ALL, BASELINE, arm_in, arm_name
from lessons.lesson06.experiments.stabilization import run_seed
from lessons.lesson06.experiments.stabilization_arms import (
    BETWEEN,
    FULL,
    HOSTILE,
    L1_ONLY,
    USUAL,
    task_config,
)

PAIR = arm_name(("least squares", "spectral norm"))
ARMS = (BASELINE, ALL, PAIR, L1_ONLY)
PARTS = {
    "L1 weight 100": USUAL,
    "L1 weight 10, D five times faster": BETWEEN,
    "L1 weight 1, D five times faster": HOSTILE,
}
"""Parts of the rules: the setting that decides each."""


def _against(table: Table, first: str, second: str) -> dict[str, dict[str, list[float]]]:
    """By part, the IoU of two arms seed by seed, under their own names."""
    return {
        part: {
            arm: table.values("IoU", arm_in(setting, arm))[arm_in(setting, arm)] for arm in (first, second)
        }
        for part, setting in PARTS.items()
    }


def _means(table: Table) -> dict[str, float]:
    """For the text: the mean of every arm on the quantities that every arm has."""
    return {
        f"{arm}: {quantity}": row[quantity]
        for arm, row in table.means().items()
        for quantity in ("IoU", "EPE")
    }


def four_against_none(table: Table) -> dict[str, Any]:
    """G10: all four against the baseline, in the usual and in the hostile setting."""
    data = _against(table, ALL, BASELINE)
    del data["L1 weight 10, D five times faster"]
    return {"data": data, "numbers": _means(table)}


def pair_against_four(table: Table) -> dict[str, Any]:
    """G42: least squares with spectral norm against all four, in all settings."""
    return {"data": _against(table, PAIR, ALL), "numbers": _means(table)}


def pair_against_l1(table: Table) -> dict[str, Any]:
    """G43: least squares with spectral norm against no discriminator, in all settings."""
    return {"data": _against(table, PAIR, L1_ONLY), "numbers": _means(table)}


DECIDES = {"G10": four_against_none, "G42": pair_against_four, "G43": pair_against_l1}
"""What the table decides."""

SWEEP = Sweep(
    "stabilization_pair",
    {setting: partial(run_seed, setting, ARMS) for setting in FULL},
    {"smoke": range(2), "reduced": range(20, 32), "full": range(20, 32)},
    lambda scale: [task_config(setting, arm, scale) for setting in FULL for arm in ARMS],
    DECIDES,
)
