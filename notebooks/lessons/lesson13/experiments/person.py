"""Lesson 13: what a person decides in the quarter, from what the monitors show.

The simulation's truth is not used: a person sees labels that have arrived, the chart of their quality, and
the alarm of the input monitor. A decision comes some days after the alarm that asked for it, and is noted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gantrans.operations.promotion.triggers import QualityChart

RETIRE, ROLL_BACK, GO_ON = "retire the regime", "roll back", "go on"
ACCEPT = "accept the level"


@dataclass(frozen=True)
class Habits:
    """delay: days from an alarm to a decision.

    soon: a fall that began at most so many days after a promotion may be the new version's fault.
    refusals, labels: the level is accepted after so many refusals in a row, with at least so many labels of
    the regime: then the gate sees nothing more to win.
    """

    delay: int = 2
    soon: int = 2
    refusals: int = 2
    labels: int = 192


@dataclass(frozen=True)
class Alarm:
    """An alarm that waits for a decision: the day it came, and the day on which the change probably began."""

    day: int
    began: int
    of_inputs: bool = False


@dataclass(frozen=True)
class Note:
    """A decision: the day, what was done, why, and, of a retirement, the first day of the new regime."""

    day: int
    action: str
    why: str
    since: int | None = None


def decide(
    alarm: Alarm,
    today: int,
    labels: Sequence[tuple[int, float]],
    chart: QualityChart | None,
    promoted: int | None,
    before: float | None,
    *,
    retire_by_labels: bool,
    standing: bool,
    habits: Habits = Habits(),
) -> Note:
    """What to do about an alarm.

    Args:
        labels: (day of the image, IoU) of the champion's labelled predictions that have arrived.
        promoted: day on which the champion was promoted over another one; None if it has no predecessor.
        before: mean IoU of the version before on the images since the fall began, translated again.
        retire_by_labels: whether labels may end a regime under this policy; else only the input monitor may.
        standing: whether the alarm of the input monitor still stands.
    """
    if alarm.of_inputs:
        if standing:
            why = f"the input monitor has alarmed since day {alarm.began}"
            return Note(today, RETIRE, why, alarm.began)
        return Note(today, GO_ON, "the alarm of the input monitor is gone")
    since = [value for day, value in labels if day >= alarm.began]
    assert chart is not None
    fall = chart.mean - float(np.mean(since))
    why = f"{len(since)} labels since day {alarm.began} lie {fall:.2f} below the reference {chart.mean:.2f}"
    if fall < chart.rule.slack * chart.std:
        return Note(today, GO_ON, f"{why}: too little to act on")
    if promoted is not None and before is not None and alarm.began <= promoted + habits.soon:
        if before - float(np.mean(since)) > fall / 2:
            return Note(
                today, ROLL_BACK, f"{why}; the version before day {promoted} has {before:.2f} on them"
            )
        why += f"; the version before day {promoted} is no better"
    if retire_by_labels:
        return Note(today, RETIRE, why, alarm.began)
    return Note(today, GO_ON, f"{why}; this policy waits for the input monitor")
