"""Lesson 10: metrology against the truth, and the gallery of failures."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from gantrans.errors import CheckpointError
from gantrans.operations.serving.review import Review
from gantrans.teaching.plots import alt_text
from lessons.lesson10.experiments import (
    failure_judges,
    gallery,
    metrology_errors,
    metrology_truth,
    perturbations,
)
from lessons.lesson10.figures import failure_gallery, ground_truth


def test_noise_makes_lines_rough_and_the_floor_takes_it_back():
    table = metrology_errors.truth_table(6, pixels=(5.0, 20.0), doses=(80.0, 320.0))
    rough, finer = table["sem", 5.0, 80.0], table["sem", 5.0, 320.0]
    assert rough.bias["LER"].value > 0.5 * rough.true_ler
    assert abs(rough.bias["corrected LER"].value) < 0.2 * rough.true_ler
    assert finer.bias["LER"].value < rough.bias["LER"].value
    for pixel in (5.0, 20.0):
        exact = table["coverage", pixel, math.inf]
        assert abs(exact.bias["CD"].value) < 0.03 * pixel
        assert abs(exact.bias["EPE"].value) < 0.03 * pixel
        assert abs(exact.bias["LER"].value) < 0.1 * exact.true_ler
        assert exact.lost == 0.0
    assert table["sem", 20.0, 320.0].spread["CD"].value > finer.spread["CD"].value
    for row in table.values():
        assert all(e.low <= e.value <= e.high for e in row.bias.values())
        assert not row.blind
    assert "Pixel 20 nm: true LER" in alt_text(ground_truth.ler_figure(table))
    words = alt_text(ground_truth.truth_figure(table))
    assert "CD by half way down to the space, spread in nm" in words
    assert words.count("Greyed: none.") == 4
    rows = ground_truth.equal_dose_table(table).rows
    assert [row[0] for row in rows] == ["coverage, 5 nm", "coverage, 20 nm", "sem, 20 nm"]
    assert list(ground_truth.lost_cuts_table(table)) == [
        "80 electrons per pixel",
        "320 electrons per pixel",
    ]
    readings = metrology_truth.readings(5.0, 80.0, 6)
    assert "floor of" in alt_text(ground_truth.floor_figure(readings).figure)


def test_a_reader_that_sees_nothing_gives_back_the_drawn_width():
    dark, dim, clear = (metrology_truth.readings(20.0, dose, 4) for dose in (0.5, 20.0, 320.0))
    nothing, little, much = (metrology_errors.agreement(seen, "sem") for seen in (dark, dim, clear))
    assert abs(nothing.bias["CD"].value) < 8.0 < 20.0 < abs(much.bias["CD"].value)  # "better" without signal
    assert (nothing.blind, much.blind) == (True, False)
    assert nothing.true_ler + nothing.bias["LER"].value > metrology_truth.WINDOW_LER
    words = alt_text(
        ground_truth.truth_figure({("sem", 20.0, 0.5): nothing, ("threshold", 20.0, 0.5): nothing})
    )
    assert "Greyed: 0.0013 at 20 nm." in words
    wide = metrology_errors.agreement(clear, "threshold")
    assert wide.bias["CD"].value > 30.0
    assert wide.bias["LER"].value < much.bias["LER"].value
    assert little.bias["CD"].value < much.bias["CD"].value < 0.0


def test_the_threshold_lies_half_way_from_the_top_to_the_space():
    rows = torch.full((1, 1, 60), 0.2)
    rows[..., 20:31] = torch.tensor([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2])
    left = metrology_truth._fallen(rows.double(), torch.tensor([[120.0]], dtype=torch.float64), -1, 5.0)
    right = metrology_truth._fallen(rows.double(), torch.tensor([[130.0]], dtype=torch.float64), 1, 5.0)
    torch.testing.assert_close(
        torch.cat([left, right]), torch.tensor([[110.0], [140.0]], dtype=torch.float64)
    )


def test_a_line_that_is_read_too_wide_has_that_error_by_every_way():
    found = metrology_truth.read(10.0, 320.0, 2, 0)
    wider = metrology_truth.Edges(found.true.left - 5.0, found.true.right + 5.0)
    image = metrology_errors.as_read(found.true, found.drawn, 10.0)
    width = (found.true.right - found.true.left) / 10.0
    torch.testing.assert_close(image.sum(-1)[:, 0].double(), width, rtol=0, atol=1e-3)
    off = metrology_errors.agreement(dataclasses.replace(found, sem=wider), "sem")
    assert off.bias["CD"].value == pytest.approx(10.0)
    assert off.bias["CD by cd_error"].value == pytest.approx(10.0, abs=0.5)
    assert off.bias["LER"].value == pytest.approx(0.0, abs=1e-9)
    assert 0 < off.bias["EPE"].value <= 5.0
    assert off.spread["CD"].value == pytest.approx(0.0, abs=1e-9)
    assert metrology_errors.dose_per_area(10.0, 320.0) == 3.2


def test_what_a_coarse_pixel_does_without_noise_is_not_like_noise():
    left = metrology_errors.without_noise(6, pixels=(5.0, 40.0))
    assert left["5 nm"]["LER read"] == pytest.approx(left["5 nm"]["LER true"], rel=0.1)
    assert left["40 nm"]["LER read"] > 1.2 * left["40 nm"]["LER true"]
    assert left["40 nm"]["CD spread"] > 3 * left["5 nm"]["CD spread"]
    assert min(row["rows alike"] for row in left.values()) > 0.3


def test_true_edges_lie_where_the_printed_shape_says():
    found = metrology_truth.read(10.0, 80.0, 3, 1)
    assert (found.true.both - found.coverage.both).abs().max() < 2.5  # a quarter of a pixel
    bias = float((found.true.right - found.true.left - metrology_truth.WIDTH_NM).mean())
    assert abs(bias) < 5.0  # the conditions are fixed at no bias; roughness is left
    assert not bool(found.sem.both.isnan().any())


@pytest.fixture
def shown(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_CACHE", str(tmp_path))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    gallery.trained.cache_clear()
    yield gallery.gallery(0, "smoke")
    gallery.trained.cache_clear()


def test_the_gallery_at_smoke(shown):
    assert list(shown) == ["hallucination", *gallery.LAYOUT_FAILURES[1:], *gallery.SEM_FAILURES]
    moves = failure_judges.layout_moves(shown["shifted skips"])
    assert math.isfinite(moves["L1"])
    arrays = gallery.irregular("smoke", 0)
    filled = failure_judges.gap_filled(shown["hallucination"].target, arrays)
    assert np.nansum(filled) == 0.0
    assert sorted(failure_judges.clearest(shown["hallucination"], arrays)) == list(range(len(filled)))
    for name in ("hallucination", "blur", "checkerboard"):
        assert name in alt_text(failure_gallery.failure_figure(name, shown[name]))
    rows = failure_gallery.sem_failure_table(shown["blur"], shown["checkerboard"])
    assert rows["real"]["spectrum distance"] == 0.0
    assert "L1 alone, kernel 4" in rows
    named = failure_judges.named(shown, arrays)
    assert {row.failure for row in named} == set(shown)
    assert len(failure_gallery.named_table(named).rows) == len(named)
    monitors = failure_judges.monitors(shown["silent failure"])
    assert len(failure_gallery.monitor_table(monitors).rows) == 4


def test_the_review_page_opens_runs_on_the_simulators_own_pairs(shown):
    trained = gallery.trained(0, "smoke")
    page = Review.open(trained[gallery.HEALTHY].folder, count=2, device="cpu")
    torch.testing.assert_close(
        page.shown(0).output[None],
        gallery.output(trained[gallery.HEALTHY].network, page.shown(0).input[None]),
        rtol=0,
        atol=1e-4,
    )
    assert "input" in alt_text(failure_gallery.review_figure(page))
    with pytest.raises(CheckpointError, match="no translator"):
        Review.open(trained["misaligned pairs"].folder, count=2, device="cpu")


def test_every_failure_moves_the_judge_that_names_it():
    target = perturbations.centre(perturbations.layouts(6, 64, 0))
    moved = target.roll((2, 2), (-2, -1))
    scores = failure_judges.against_shift({"moved": moved}, target, range(4))
    assert int(np.argmin(scores["EPE"]["moved"])) == int(np.argmax(scores["SSIM"]["moved"])) == 2
    assert "moved is best at 2 px" in alt_text(failure_gallery.shift_figure(scores, range(4)))
    stripes = torch.zeros(1, 1, 32, 64)
    stripes[..., 20:28] = 1.0
    uneven = stripes.clone()
    uneven[..., 16:, 28:31] = 1.0
    assert failure_judges.cd_spread(stripes, stripes)[0] == 0.0
    assert failure_judges.cd_spread(uneven, stripes)[0] == pytest.approx(60 / 3**0.5, rel=1e-6)
    assert failure_judges.width_error(uneven, stripes)[0] == pytest.approx(30.0, rel=0.1)
    assert failure_judges.mean_width(stripes)[0] == pytest.approx(160.0)
    hard = stripes[..., :32]
    soft = perturbations.blurred(perturbations.noisy(hard, 0.05, 0), 2.0)
    assert failure_judges.edge_slope(soft, hard)[0] < 0.5 * failure_judges.edge_slope(hard, hard)[0] == 0.5


def test_an_alarm_rings_for_a_twentieth_of_the_usual_outputs():
    draw = torch.Generator().manual_seed(0)
    usual = torch.rand(200, 1, 8, 8, generator=draw)
    found = failure_judges.monitors(gallery.Shown(usual, usual, usual, usual))
    share, low, high = found["undecided (% of pixels)"].alarms
    assert low < share < high
    assert share <= 5.0
    assert found["drawn (% of pixels)"].change == pytest.approx((0.0, 0.0, 0.0))


def test_an_uneven_upsampling_shows_as_a_line_at_two_pixels():
    noise = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert abs(failure_judges.stride_line(noise).mean()) < 1.5
    weave = torch.arange(64) % 2
    assert failure_judges.stride_line((noise + 0.2 * weave).clamp(0, 1)).min() > 3


def test_misaligned_pairs_are_moved_by_three_pixels():
    pairs = gallery.training_data("aligned", "smoke", 3)
    moved = gallery.misaligned(pairs)
    assert torch.equal(moved.layout[..., 3:, 3:], pairs.layout[..., :-3, :-3])
    assert torch.equal(moved.sem, pairs.sem)
