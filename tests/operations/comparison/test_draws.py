"""Intervals of draws, CRPS, diversity, and intervals of means: right where the right value is known."""

import numpy as np
import pytest
import torch

from gantrans.operations.comparison.draws import coverage, crps, diversity, inside, levels
from gantrans.operations.comparison.intervals import interval
from gantrans.operations.comparison.scoring import spectrum_distance


def noise(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_levels_are_those_of_order_statistics():
    assert levels(19)[-1] == pytest.approx(0.9)
    assert levels(9) == pytest.approx([0.2, 0.4, 0.6, 0.8])


@pytest.mark.parametrize("kind", ["grey", "binary", "three values"])
def test_a_target_that_is_one_more_draw_lies_inside_as_often_as_it_should(kind):
    values = torch.sigmoid(noise(0, 20, 40, 1, 16, 16) + noise(1, 1, 40, 1, 16, 16))
    if kind != "grey":
        values = (values * (1 if kind == "binary" else 2)).round()
    draws, target = values[:19], values[19]
    hits, counts = inside(draws, target)
    assert coverage(hits, counts) == pytest.approx(levels(19), abs=0.02)
    if kind == "binary":
        assert 0 < counts.sum() < target.numel()  # where all agree nothing is uncertain


def test_draws_that_spread_too_little_or_too_much_are_found_out():
    target = noise(1, 40, 1, 16, 16)
    shares = {
        spread: coverage(*inside(spread * noise(2, 19, 40, 1, 16, 16), target))[-1]
        for spread in (0.5, 1.0, 2.0)
    }
    assert shares[0.5] < 0.75 < 0.88 < shares[1.0] < 0.92 < 0.98 < shares[2.0]


def test_crps_of_one_answer_is_its_l1_error_and_the_right_spread_is_best():
    target = noise(1, 30, 1, 16, 16)
    one = noise(2, 1, 30, 1, 16, 16)
    assert crps(one, target) == pytest.approx((one[0] - target).abs().flatten(1).mean(1).numpy(), rel=1e-5)
    scores = {s: crps(s * noise(3, 19, 30, 1, 16, 16), target).mean() for s in (0.0, 0.5, 1.0, 2.0)}
    assert scores[1.0] == min(scores.values())
    assert scores[1.0] == pytest.approx(1 / np.sqrt(np.pi), abs=0.02)  # of a standard normal


def test_diversity_is_the_mean_difference_of_two_draws():
    draws = torch.tensor([0.0, 1.0, 1.0]).reshape(3, 1, 1, 1, 1).expand(3, 2, 1, 4, 4)
    assert diversity(draws) == pytest.approx([2 / 3, 2 / 3])
    assert diversity(draws[1:]) == pytest.approx([0.0, 0.0])


@pytest.mark.parametrize("files", [12, 60])
def test_an_interval_holds_the_mean_as_often_as_it_says(files):
    held = 0
    for seed in range(300):
        generator = np.random.default_rng(seed)
        per_file = generator.normal(1.0, 1.0, files)
        found = interval(np.repeat(per_file, 4), [f"file{i // 4}" for i in range(4 * files)])
        held += found.low <= 1.0 <= found.high
    assert 0.91 <= held / 300 <= 0.99


def test_tiles_of_one_file_do_not_count_as_many():
    values = np.random.default_rng(0).normal(0, 1, 50)
    apart = interval(np.repeat(values, 9), [f"{i}" for i in range(450)])
    together = interval(np.repeat(values, 9), [f"{i // 9}" for i in range(450)])
    assert (together.high - together.low) > 2.5 * (apart.high - apart.low)


def test_unknown_values_and_too_few_files_give_no_bounds():
    assert interval([1.0, np.nan, 3.0], ["a", "b", "c"]).mean == 2.0
    assert not interval([1.0, 2.0], ["a", "a"]).known
    assert np.isnan(interval([np.nan], ["a"]).mean)
    assert interval([1.0, 2.0], ["a", "a"]).side == 0


def test_a_spectrum_equals_itself_and_half_the_power_is_three_decibels():
    real = np.random.default_rng(0).uniform(1, 2, (40, 8))
    clusters = [f"{i}" for i in range(40)]
    assert spectrum_distance(real, real, clusters)[0] == pytest.approx(0.0)
    mean, low, high = spectrum_distance(real / 2, real, clusters)
    assert mean == pytest.approx(10 * np.log10(2), abs=1e-9)
    assert low <= mean <= high
