"""Power agrees with simulation, for every kind of rule."""

import math

import numpy as np
import pytest

from gantrans.teaching import claims
from gantrans.teaching.claims import verdicts
from gantrans.teaching.claims.registry import ClaimError, Part

RNG = np.random.default_rng(0)
PAIRED = Part("all", "IoU", "paired", (0.02, math.inf), arms=("a", "b"), fewest=6)
RATIO = Part("all", "loss", "paired", (0.0, 0.8), arms=("a", "b"), compare="ratio", fewest=6)


def share_that_holds(part, values):
    _, low, high = verdicts.t_interval(values, part.level)
    return float(np.mean(verdicts.decide(low, high, verdicts.internal(part)) == 1))


@pytest.mark.parametrize(("spread", "count"), [(0.01, 6), (0.02, 12), (0.05, 12)])
def test_power_of_a_difference_is_that_of_a_simulation_at_twice_the_smallest_size(spread, count):
    values = RNG.normal(0.04, spread, (20_000, count))
    assert claims.power(PAIRED, spread, count) == pytest.approx(share_that_holds(PAIRED, values), abs=0.01)


def test_power_is_one_for_a_spread_that_is_tiny():
    assert all(claims.power(PAIRED, spread, 12) == pytest.approx(1.0) for spread in (4e-3, 1e-3, 1e-5))


def test_power_of_a_ratio_is_computed_in_logarithms():
    values = RNG.normal(2 * math.log(0.8), 0.3, (20_000, 12))
    assert claims.power(RATIO, 0.3, 12) == pytest.approx(share_that_holds(RATIO, values), abs=0.01)


def test_power_of_a_bounded_comparison_is_asked_from_the_end_nearest_to_no_effect():
    for region in ((0.5, 0.8), (1.25, 2.0)):
        bounded = Part("all", "loss", "paired", region, arms=("a", "b"), compare="ratio", fewest=6)
        open_end = (0.0, 0.8) if region[1] < 1 else (1.25, math.inf)
        half_line = Part("all", "loss", "paired", open_end, arms=("a", "b"), compare="ratio", fewest=6)
        assert claims.power(bounded, 0.3, 8) == claims.power(half_line, 0.3, 8)


def test_power_of_repeats_from_zero_in_a_band_and_against_a_margin():
    fall = Part("all", "fall", "repeats", (0.05, math.inf), fewest=6)
    values = RNG.normal(0.1, 0.06, (20_000, 8))
    assert claims.power(fall, 0.06, 8) == pytest.approx(share_that_holds(fall, values), abs=0.01)
    band = Part("all", "gamma", "repeats", (0.1, 0.3), fewest=6)
    values = RNG.normal(0.2, 0.05, (20_000, 8))
    assert claims.power(band, 0.05, 8) == pytest.approx(share_that_holds(band, values), abs=0.02)
    margin = Part("all", "loss", "repeats", (-0.02, math.inf), fewest=6)
    values = RNG.normal(0.0, 0.015, (20_000, 8))
    assert claims.power(margin, 0.015, 8) == pytest.approx(share_that_holds(margin, values), abs=0.01)


@pytest.mark.parametrize(("region", "truth"), [((0.9, 1.0), 0.95), ((0.0, 0.05), 0.025)])
@pytest.mark.parametrize("count", [24, 100, 400])
def test_power_of_a_share_is_that_of_counting(region, truth, count):
    part = Part("all", "share", "proportion", region, fewest=20)
    k, times = np.unique(RNG.binomial(count, truth, 20_000), return_counts=True)
    holds = [verdicts.judge_part(part, [int(n), count]).verdict == "holds" for n in k]
    assert claims.power(part, 0, count) == pytest.approx(np.average(holds, weights=times), abs=0.015)


def test_24_of_24_cannot_hold_nine_of_ten():
    part = Part("all", "share", "proportion", (0.9, 1.0), fewest=20)
    assert claims.power(part, 0, 24) == 0
    assert verdicts.judge_part(part, [24, 24]).verdict == "open"


def test_seeds_needed_reach_the_power_and_one_fewer_does_not():
    count = claims.seeds_needed(PAIRED, 0.02)
    assert claims.power(PAIRED, 0.02, count) >= 0.8 > claims.power(PAIRED, 0.02, count - 1)
    assert claims.seeds_needed(PAIRED, 1e-9) == 6
    assert claims.power(PAIRED, 1e-17, 6) == claims.power(PAIRED, 0.0, 6) == 1.0
    with pytest.raises(ClaimError, match="have less power than"):
        claims.seeds_needed(PAIRED, 10.0)


def test_what_has_no_power_or_too_few_pairs():
    assert claims.power(Part("all", "x", "exact", (0.0, 1.0)), 0, 1) is None
    assert claims.power(PAIRED, 0.001, 5) == 0
    with pytest.raises(ClaimError, match="two observations and a spread"):
        claims.power(PAIRED, 0.1, 1)
    pilot = Part("all", "IoU", "paired", (0.02, math.inf), arms=("a", "b"), fewest=6, pilot=0.01)
    data = {"a": list(0.5 + 0.04 * np.arange(6)), "b": [0.5] * 6}
    assert verdicts.judge_part(pilot, data).power == claims.power(PAIRED, 0.01, 6)
    assert verdicts.judge_part(PAIRED, data).power == claims.power(PAIRED, 0.04 * np.std(range(6), ddof=1), 6)
