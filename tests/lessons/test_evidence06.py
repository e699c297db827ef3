"""Lesson 06's evidence page: its tables and figures, and what it says of the committed factorial."""

import pytest

from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.tables import Table, committed
from gantrans.translation import Thresholds
from lessons.lesson06.experiments import factorial as plan
from lessons.lesson06.experiments import failures, stabilization
from lessons.lesson06.experiments import stabilization_arms as arms
from lessons.lesson06.figures import repairs

FACTORIAL = [plan.arm_name(subset) for subset in plan.factorial()]


@pytest.fixture(scope="module")
def table():
    return committed("stabilization")


def made_up():
    """Two seeds; in every setting an arm's IoU is its place in the list, and batch norm is the last."""
    rows = {
        seed: {
            plan.arm_in(setting, arm): {"IoU": k + 0.1 * seed * (k % 2)}
            for setting in arms.FULL
            for k, arm in enumerate((*FACTORIAL, arms.L1_ONLY, arms.BATCH_NORM))
        }
        for seed in range(2)
    }
    return Table({"scale": "smoke"}, rows)


def test_best_arms_are_named_from_the_highest_down():
    first = repairs.best_arms(made_up()).rows[0]
    names = [entry.rsplit(" ", 1)[0] for entry in first[1].split("; ")]
    assert names == [arms.BATCH_NORM, arms.L1_ONLY, plan.ALL]
    assert first[2:] == ["16.000", f"{FACTORIAL.index(repairs.PAIR) + 0.05:.3f}", "15.050", "0.000"]


def test_differences_are_the_first_arm_minus_the_second():
    rows = repairs.batch_norm_table(made_up()).rows
    assert [row[0] for row in rows] == [
        "batch norm in D minus baseline",
        "batch norm in D minus least squares + spectral norm",
        "batch norm in D minus all four",
    ]
    assert [float(row[1].split(" ")[0]) for row in rows] == [17.05, 12.0, 2.0]
    against = repairs.pair_table(made_up()).rows
    assert float(against[2][3].split(" ")[0]) == FACTORIAL.index(repairs.PAIR) + 0.05


def test_the_best_arm_by_name(table):
    """Sections "The best arm" and "Batch norm in D"."""
    means = {arm: row["IoU"] for arm, row in table.means().items() if "IoU" in row}
    for setting in (arms.BETWEEN, arms.HOSTILE):
        here = {name: means[plan.arm_in(setting, name)] for name in FACTORIAL}
        assert max(here, key=lambda name: here[name]) == repairs.PAIR

    def differs(setting, first, second):
        effect = plan.compare(table.rows, setting, first, second, "IoU")
        return (effect.low > 0) - (effect.high < 0)

    assert [differs(s, repairs.PAIR, plan.ALL) for s in arms.FULL] == [1, 1, 1]
    assert [differs(s, repairs.PAIR, arms.L1_ONLY) for s in arms.FULL][1:] == [0, -1]
    usual = plan.compare(table.rows, arms.USUAL, repairs.PAIR, arms.L1_ONLY, "IoU")
    assert abs(usual.measured) < 0.003
    batch = arms.BATCH_NORM
    assert [differs(arms.HOSTILE, batch, x) for x in (plan.BASELINE, plan.ALL, repairs.PAIR)] == [1, 0, 0]
    assert [differs(arms.BETWEEN, batch, x) for x in (plan.BASELINE, plan.ALL, repairs.PAIR)] == [0, -1, -1]


def test_interactions_as_the_page_says_them(table):
    def found(setting):
        return plan.interaction(table.rows, setting, "least squares", "spectral norm", "IoU")

    assert found(arms.HOSTILE).low > 0
    assert found(arms.BETWEEN).low < 0 < found(arms.BETWEEN).high
    words = alt_text(repairs.interactions_figure(table))
    assert "hostile: LS x SN +0.041 (+0.008 to +0.075)" in words
    effects = stabilization.effects(table.rows, arms.HOSTILE, "IoU")
    row = dict(zip(plan.FACTORS, repairs.main_effects_table(table).rows, strict=True))["decay"]
    assert row[3].startswith(f"{effects['decay'].measured:+.3f} (")
    assert effects["decay"].high < 0


def test_a_lower_limit_for_the_swing_calls_healthy_runs_oscillating():
    runs = committed("failures_fresh")
    usual, strict = (
        failures.confusion(runs, limits) for limits in (Thresholds(), Thresholds(swing=0.02, crossings=2))
    )
    assert strict["oscillation"]["oscillation"] > usual["oscillation"]["oscillation"]
    assert usual["healthy"]["healthy"] == 48 > strict["healthy"]["healthy"]
