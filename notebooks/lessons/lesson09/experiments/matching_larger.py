"""Lesson 09: does what feature matching does to texture at 64 px hold in images of four times the area?

layout -> SEM with and without feature matching as in `matching`, at 128 px: the same pixel size, so that an
image holds more of the pattern, and a generator with one level more. D's field stays 34 px.
"""

from collections.abc import Mapping
from typing import Any

from gantrans.teaching.claims import get, judge_part
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from lessons.lesson09.experiments.matching import MatchingSetting, configs, settings, sharper_and_steadier

ARMS, DIRECTIONS = ("without", "feature matching"), ("layout2sem",)
SETTINGS: Mapping[str, MatchingSetting] = {
    "smoke": MatchingSetting(64, 3, 4, 4, 32, 16, 4, 10, 5e-4, 2),
    "reduced": MatchingSetting(128, 5, 16, 16, 2048, 64, 4, 800, 5e-4, 6),
    "full": MatchingSetting(512, 6, 32, 48, 2000, 64, 4, 4000, 5e-4, 6),
}

SWEEP = Sweep(
    "matching_larger",
    settings(SETTINGS, ARMS, DIRECTIONS),
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: configs(SETTINGS[scale], ARMS, DIRECTIONS),
    {},
)


def same_rule(table: Table) -> dict[str, Any]:
    """The findings of G29's rule on this table, by part; the ledger's verdict stays that of 64 px."""
    data = sharper_and_steadier(table)["data"]
    return {part.name: judge_part(part, data[part.name]) for part in get("G29").parts}
