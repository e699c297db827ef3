"""Every threshold of the diagnosis, from either side and on it."""

import math

import pytest

from gantrans.translation.diagnostics import (
    COLLAPSE,
    DOMINANCE,
    EXCESS,
    HEALTHY,
    OSCILLATION,
    Thresholds,
    judge,
)

LIMITS = Thresholds()
QUIET = {"accuracy": 0.6, "swing": 0.0, "crossings": 0.0, "spread": 1.0, "ratio": 0.0}
CASES = [
    # numbers that differ from a quiet training, and the diagnosis below, on and above the threshold
    ({"spread": LIMITS.spread}, "spread", COLLAPSE, HEALTHY, HEALTHY),
    ({"swing": LIMITS.swing, "crossings": 1e9}, "swing", HEALTHY, HEALTHY, OSCILLATION),
    ({"swing": 1e9, "crossings": LIMITS.crossings}, "crossings", HEALTHY, OSCILLATION, OSCILLATION),
    ({"accuracy": LIMITS.accuracy}, "accuracy", HEALTHY, DOMINANCE, DOMINANCE),
    ({"ratio": LIMITS.excess}, "ratio", HEALTHY, EXCESS, EXCESS),
]


@pytest.mark.parametrize(("changes", "moved", "below", "on", "above"), CASES, ids=[case[1] for case in CASES])
def test_a_threshold_separates_where_it_is_stated(changes, moved, below, on, above) -> None:
    numbers = {**QUIET, **changes}
    value = numbers[moved]
    for shifted, expected in (
        (math.nextafter(value, -math.inf), below),
        (value, on),
        (math.nextafter(value, math.inf), above),
    ):
        assert judge({**numbers, moved: shifted}).name == expected


def test_what_was_not_logged_is_no_symptom() -> None:
    assert judge({"accuracy": 0.6, "swing": 0.0, "crossings": 0.0}).name == HEALTHY


def test_collapse_is_named_before_oscillation_and_oscillation_before_dominance() -> None:
    everything = {"accuracy": 1.0, "swing": 1e9, "crossings": 1e9, "spread": 0.0, "ratio": 1e9}
    assert judge(everything).name == COLLAPSE
    assert judge({**everything, "spread": 1.0}).name == OSCILLATION
    assert judge({**everything, "spread": 1.0, "swing": 0.0}).name == DOMINANCE
    assert judge({**everything, "spread": 1.0, "swing": 0.0, "accuracy": 0.6}).name == EXCESS
