"""The tables of lesson 15's evidence page: what each arm may cost, and what the sweep found."""

from gantrans.teaching.plots import Table
from gantrans.teaching.sweeps.tables import Table as Measured
from gantrans.teaching.sweeps.tables import committed
from lessons.lesson15.experiments.few_steps import STUDENT_COST, SWEEP, FewStepsSetting

JUDGED = {
    "valid": ("valid clips", ".0%"),
    "frechet": ("distance", ".0f"),
    "coverage": ("coverage", ".0%"),
    "copies": ("copies", ".0%"),
    "training seconds": ("seconds of training", ".0f"),
}
"""The columns of the results: quantity -> heading and format."""


def budget_table(setting: FewStepsSetting) -> Table:
    """The steps of each arm, and what they cost in steps of a plain training."""
    total = setting.teacher + STUDENT_COST * setting.student
    rows = [
        ["diffusion", f"{setting.steps}", f"{setting.steps}"],
        ["flow", f"{setting.steps}", f"{setting.steps}"],
        ["teacher and student", f"{setting.teacher} + {setting.student}", f"{total:.0f}"],
    ]
    return Table(
        ["arm", "steps", "cost in steps of a training"], rows, "Equal training time at scale reduced"
    )


def results_table(table: Measured | None = None) -> Table:
    """Means over the seeds of the committed sweep; before it was run, a table that says so."""
    columns = ["arm", *(heading for heading, _ in JUDGED.values())]
    if table is None and not SWEEP.path.is_file():
        return Table(columns, [], "The sweep of six seeds has not been run yet")
    table = committed("few_steps") if table is None else table
    means = table.means()
    rows = [
        [arm, *(format(means[arm][quantity], form) for quantity, (_, form) in JUDGED.items())]
        for arm in table.arms
    ]
    return Table(columns, rows, f"Means over {table.source()}")
