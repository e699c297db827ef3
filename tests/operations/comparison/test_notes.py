"""The remarks of the report follow from its numbers."""

from pathlib import Path

import numpy as np
import pytest

from gantrans.operations.comparison.intervals import Interval
from gantrans.operations.comparison.numerals import number
from gantrans.operations.comparison.plan import Plan, Share
from gantrans.operations.comparison.report import notes, texture
from gantrans.operations.comparison.tables import Row
from gantrans.operations.comparison.training import Trained


def plan(seeds=1, steps=1000):
    share = Share(steps, 0.01, 0.01, 100, 1000)
    return Plan("cpu", 60.0, seeds, 64, 16, 19, 1.0, {"gan": share, "l1": share})


def row(observed):
    hits = [[50.0, 100.0 * observed]]
    draws = {"count": 4, "levels": [0.5, 0.9], "hits": hits, "counts": [100.0]}
    return Row("diffusion", "diffusion", None, ["diffusion"], [{"draws": draws}])


def test_a_complete_comparison_with_right_intervals_needs_no_remark():
    assert notes([row(0.9)], plan(seeds=3), 500, {}) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([row(0.9)], plan(), 500, {}), "Each method was trained once"),
        (([row(0.9)], plan(3), 60, {}), "There are 60 training files"),
        (([row(0.9)], plan(3, 300), 500, {}), "less than half of the steps"),
        (([row(0.7)], plan(3), 500, {}), "90% intervals of diffusion hold 70% of the target"),
        (([row(0.99)], plan(3), 500, {}), "too wide"),
        (([row(0.9)], plan(3), 500, {"gan": Trained(Path(), 7, 1.0, "nan at 7")}), "gan stopped: nan at 7"),
    ],
)  # fmt: skip
def test_each_remark_has_its_number(arguments, words):
    (found,) = notes(*arguments)
    assert words in found


def test_a_method_that_was_cut_short_and_intervals_that_are_too_narrow_are_named():
    assert "the recipe has: gan 30%, l1 30%" in notes([row(0.9)], plan(3, 300), 500, {})[0]
    assert "they are too narrow" in notes([row(0.7)], plan(3), 500, {})[0]


def test_texture_is_remarked_only_where_another_is_clearly_nearer():
    found = {
        "l1": {"spectrum": Interval(6.0, 5.0, 7.0)},
        "gan": {"spectrum": Interval(1.0, 0.8, 1.3)},
    }
    assert "met better by gan (spectrum distance 1.00 dB) than by l1 (6.00 dB)" in texture(found, "l1")[0]
    assert texture(found, "gan") == texture(found, None) == texture({"l1": {}}, "l1") == []
    found["gan"]["spectrum"] = Interval(4.0, 3.0, 5.5)
    assert texture(found, "l1") == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (0.17, "0.170"), (-0.0123456, "-0.0123"), (9.999, "10.0"), (99.96, "100"),
        (1234567.0, "1,234,567"), (1e-6, "1.0e-06"), (np.nan, "not known"),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(value, text):
    assert number(value) == text
