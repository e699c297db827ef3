"""Equal core-seconds as numbers of steps: within the budget, and no method gets more than another."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gantrans.operations.comparison.plan import (
    FEWEST_SEEDS,
    MOST_SEEDS,
    SCORING_SHARE,
    VALIDATIONS,
    Measured,
    Plan,
    make_plan,
)
from gantrans.training import FitConfig
from gantrans.training.budget import Costs

TOLERANCE = 0.03
"""Largest share of the time by which a plan of hundreds of steps may miss it: one step, one validation."""


def plan(measured, seconds, seeds=1, tests=256):
    return make_plan(
        measured, seconds, seeds=seeds, batch_size=8, tests=tests, evaluations=102, clock="cpu",
        calibration_s=1.0,
    )  # fmt: skip


def planned(made, measured, name):
    """Core-seconds of one training with everything that it does."""
    share, costs = made.shares[name], measured[name].costs
    pauses = -(-share.steps // share.every)
    return share.steps * costs.step + pauses * (costs.validation + costs.checkpoint)


COSTS = st.builds(
    lambda step, validation, ratio, full: Measured(Costs(step, validation, 0.01), ratio, full),
    st.floats(1e-3, 0.05), st.floats(0.0, 0.5), st.floats(0.5, 3.0), st.integers(100, 20_000),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(COSTS, min_size=2, max_size=4), st.floats(120, 7200), st.integers(1, 3))
def test_every_method_gets_the_same_core_seconds_and_the_time_is_kept(costs, seconds, seeds):
    measured = {f"m{i}": one for i, one in enumerate(costs)}
    made = plan(measured, seconds, seeds)
    spent = {name: planned(made, measured, name) for name in measured}
    for name, core in spent.items():
        one = measured[name].costs
        assert core <= made.core_s
        assert core >= made.core_s - one.step - one.validation - one.checkpoint
        assert max(spent.values()) - core <= max(TOLERANCE * made.core_s, one.step + one.validation + 0.01)
    wall = seeds * sum(spent[name] * measured[name].wall_per_s for name in measured)
    assert wall <= (1 - SCORING_SHARE) * seconds * (1 + 1e-9)


def test_more_steps_for_the_cheaper_method_in_proportion():
    measured = {"l1": Measured(Costs(0.01), 1.0, 9999), "gan": Measured(Costs(0.04), 1.0, 9999)}
    made = plan(measured, 200.0)
    assert made.shares["l1"].steps == pytest.approx(4 * made.shares["gan"].steps, abs=4)
    assert made.core_s == pytest.approx(80.0)


def test_two_threads_fill_the_time_with_twice_the_core_seconds():
    measured = {"l1": Measured(Costs(0.02), 0.5, 9999), "gan": Measured(Costs(0.02), 1.0, 9999)}
    made = plan(measured, 150.0)
    assert made.core_s == pytest.approx(80.0)  # 40 s + 80 s of the wall's clock = 120 s
    assert made.seconds == pytest.approx(120.0, rel=TOLERANCE)


def test_validations_that_cost_much_are_made_less_often():
    cheap, dear = Measured(Costs(0.01, 0.01), 1.0, 9999), Measured(Costs(0.01, 20.0), 1.0, 9999)
    made = plan({"cheap": cheap, "dear": dear}, 250.0)
    cheap_share, dear_share = made.shares["cheap"], made.shares["dear"]
    assert -(-cheap_share.steps // cheap_share.every) == VALIDATIONS
    assert -(-dear_share.steps // dear_share.every) == 1


def test_further_trainings_only_when_all_recipes_are_complete():
    def seeds(full, seconds=4000.0):
        measured = {"a": Measured(Costs(0.01), 1.0, 100), "b": Measured(Costs(0.01), 1.0, full)}
        return plan(measured, seconds, None).seeds

    assert seeds(10**6) == 1
    assert seeds(80_000) == 1  # twice would fit, and two trainings say nothing about their spread
    assert seeds(50_000) == FEWEST_SEEDS
    assert seeds(100) == MOST_SEEDS


def test_the_shortest_time_still_makes_a_plan_and_a_plan_is_stored_exactly():
    made = plan({"a": Measured(Costs(5.0, 9.0, 1.0), 1.0, 10), "b": Measured(Costs(1.0), 2.0, 10)}, 0.5)
    assert made.shares["a"].steps == 1
    assert 1 <= made.drawn <= made.tested <= 256
    assert Plan.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    share = made.shares["b"]
    assert share.settings(FitConfig(99, max_seconds=3.0)).steps == share.steps
    assert share.settings(FitConfig(99, max_seconds=3.0)).max_seconds is None


def test_a_small_test_split_is_used_whole():
    measured = {"a": Measured(Costs(0.01), 1.0, 100), "b": Measured(Costs(0.01), 1.0, 100)}
    assert plan(measured, 1.0, tests=7).tested == 7
