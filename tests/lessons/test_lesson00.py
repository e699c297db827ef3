"""Lesson 00: figures over their grid, the puzzle's answer, thresholds on known images, training at smoke."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gantrans.data import PRESETS, recovery_table
from gantrans.images import network_from_unit
from gantrans.metrics import iou
from gantrans.networks import UNetGenerator
from gantrans.teaching.doctor import Check
from gantrans.teaching.explorers import Choice, Slider, explorer
from gantrans.teaching.notebooks.run import find_lessons
from gantrans.teaching.plots import alt_text
from gantrans.translation import DENOISE_OTSU, denoise, segment, translate
from lessons.lesson00.experiments.first_translator import (
    REVERSED,
    SETTINGS,
    Images,
    best_thresholds,
    compare,
    first_recipe,
    held_out,
    imaged,
    threshold_scores,
    train_first,
)
from lessons.lesson00.figures import pipeline, welcome

CONTROLS = (
    Choice("source", "what is drawn", pipeline.SOURCES, "SKY130 li1"),
    Slider("dose", "dose", 2, 200, 2, 40),
    Slider("beam", "beam blur", 2, 60, 2, 18),
    Slider("roughness", "edge roughness", 0, 20, 1, 5),
    Choice("pixel", "pixel size in nm", pipeline.PIXELS_NM, 20),
)


@pytest.fixture(scope="module")
def test() -> Images:
    return held_out("smoke", 0)


@pytest.fixture(scope="module")
def trained():
    return train_first("smoke", 0)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: c.name)
def test_the_pipeline_over_every_state_of_each_control(control):
    made = explorer(pipeline.pipeline_figure, CONTROLS, title="pipeline under test")
    for state in control.states():
        assert made.problems({control.name: state}) == []


def test_four_times_the_dose_halves_the_noise_and_every_control_counts():
    state = {c.name: c.value for c in CONTROLS}

    def curves(**change: float) -> tuple[np.ndarray, np.ndarray]:
        seen, clean = pipeline.pipeline_figure(**{**state, **change}).axes[3].lines
        return seen.get_ydata(), clean.get_ydata()

    low, high = (np.std(np.subtract(*curves(dose=dose))) for dose in (25, 100))
    assert low / high == pytest.approx(2, rel=0.1)
    for change in ({"beam": 40}, {"roughness": 15}, {"source": "jogs"}):
        assert not np.allclose(curves(**change)[1], curves()[1], atol=0.01)
    assert len(curves(pixel=10)[0]) == 2 * len(curves()[0])


@pytest.mark.parametrize("source", ["jogs", "SKY130 poly"])
def test_every_pixel_size_shows_the_same_clip(source):
    """Averaging 2 x 2 pixels of 10 nm gives the clip at 20 nm, and so on to 40 nm."""
    fine = pipeline.drawn_clip(source, 10).clip
    for pixel, factor in ((20, 2), (40, 4)):
        coarse = torch.nn.functional.avg_pool2d(fine, factor)
        assert torch.allclose(pipeline.drawn_clip(source, pixel).clip, coarse, atol=1e-5)
    assert fine.shape[-1] * 10 == pipeline.FIELD_NM


def test_sources_show_what_they_say():
    for source in pipeline.SOURCES:
        drawn = pipeline.drawn_clip(source, 20)
        assert 0.03 < float(drawn.clip.mean()) < 0.7
        assert source in (drawn.family[0], *pipeline.CELLS)


def test_the_cut_follows_the_edges():
    bars = np.zeros((16, 16))
    bars[:, ::4] = 1
    assert pipeline._busiest_line(bars) == (True, 8)
    assert pipeline._busiest_line(bars.T) == (False, 8)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_puzzle_marks_one_drawn_spot_and_one_not(seed):
    made = welcome.puzzle(held_out("smoke", seed))
    drawn = [float(made.layout[0, row, column]) > 0.5 for row, column in made.spots]
    assert sorted(drawn) == [False, True]
    assert made.answer == ("only A" if drawn[0] else "only B")
    (_, first), (_, second) = made.spots
    assert first <= second
    assert "two marked spots" in alt_text(welcome.puzzle_figure(made, drawn_layout=made.layout))


def test_no_threshold_is_better_than_the_best(test):
    for variant in DENOISE_OTSU:
        assert torch.equal(  # what is thresholded here is what the baseline thresholds
            segment(test.sem, variant) > 0.5, _above_otsu(denoise(test.sem, variant))
        )
    exact = best_thresholds(0.2 + 0.5 * test.layout, test.layout)
    assert torch.allclose(exact, torch.ones_like(exact))
    scores = threshold_scores("smoke", 0)
    assert list(scores) == list(PRESETS)
    assert all(row["Otsu's threshold"] <= row["best possible threshold"] + 0.02 for row in scores.values())


def _above_otsu(image: Tensor) -> Tensor:
    from skimage.filters import threshold_otsu

    return image > torch.tensor([threshold_otsu(i) for i in image[:, 0].numpy()]).view(-1, 1, 1, 1)


def test_reversed_contrast_changes_the_image_and_not_the_layout(test):
    darker = imaged(REVERSED, "smoke", 0)
    assert torch.equal(darker.layout, test.layout)
    gaps = [float(i.sem[i.layout > 0.5].mean() - i.sem[i.layout < 0.5].mean()) for i in (test, darker)]
    assert gaps[0] > 0.02
    assert gaps[1] < -0.02
    assert torch.equal(imaged(PRESETS["default"], "smoke", 0).sem, test.sem)


def test_the_translator_is_the_recipe_with_fewer_steps(trained, test):
    steps, values = trained.curve
    assert steps[-1] == SETTINGS["smoke"].steps
    assert all(0 <= v <= 1 for v in values)
    assert first_recipe("reduced", 3).fit.steps == SETTINGS["reduced"].steps
    assert first_recipe("reduced", 3).seed == first_recipe("reduced", 3).data.seed == 3
    with torch.no_grad():
        again = trained.predictor.generator(network_from_unit(test.sem[:2])) / 2 + 0.5
    assert torch.allclose(trained.predictor.translate(test.sem[:2]), again, atol=1e-6)
    table = compare("smoke", 0, trained.predictor, ("procedural", "SKY130 li1"))
    direct = float(iou(translate(trained.predictor.generator, test.sem), test.layout).mean())
    assert table["procedural"]["IoU, network"] == pytest.approx(direct, abs=1e-5)
    assert not isinstance(trained.predictor.generator, UNetGenerator)  # the recipe's residual U-Net


def test_clips_are_ranked_from_worst_to_best(test):
    quality = torch.linspace(0, 1, len(test.layout))[torch.randperm(len(test.layout))]
    answer = torch.where(
        torch.rand_like(test.layout) < quality.view(-1, 1, 1, 1), test.layout, 1 - test.layout
    )
    scores = sorted(iou(answer, test.layout).tolist())
    for rank, expected in ((0, scores[0]), (100, scores[-1])):
        words = alt_text(pipeline.ranked_figure(test, {"Otsu": test.sem, "network": answer}, rank=rank))
        assert f"network: IoU {expected:.2f}" in words


def test_figures_describe_what_they_show(test):
    variants = dict.fromkeys(PRESETS, "gaussian1_otsu")
    perfect = Images(test.layout * 0.5 + 0.25, test.layout, test.family)
    words = alt_text(pipeline.thresholds_figure(dict.fromkeys(PRESETS, perfect), variants, 0))
    assert "100% of the tops, 0% of the spaces" in words
    tables = {"cells": recovery_table((30.0,), count=2)}
    assert "found within 1 px 100 %" in alt_text(pipeline.recovery_figure(tables))
    assert len(pipeline.symmetries_figure(test.sem[0], test.layout[0]).axes) == 16
    assert len(pipeline.reversed_figure(test, test.layout, range(4)).axes) == 12


def test_the_picture_has_a_row_per_source(test):
    figure = pipeline.course_picture(
        {"a": test, "b": test}, {"a": test.layout, "b": 1 - test.layout}, dict.fromkeys("ab", "median5_otsu")
    )
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[0] == "SEM image"
    assert titles[2] == "network: IoU 1.00"
    assert titles[6] == "network: IoU 0.00"
    assert pipeline.PICTURE.stat().st_size < 200_000


def test_machine_table_hides_what_differs_between_machines():
    checks = [Check("Disk", "7 GiB free"), Check("Python", "3.9", False, "Install 3.12.")]
    page, live = (str(welcome.machine_table(checks, values=values)) for values in (False, True))
    assert "7 GiB" not in page
    assert "7 GiB" in live
    assert "please mend: Install 3.12." in page


def test_every_lesson_is_on_the_map():
    shown = welcome.course_map()
    assert [row[0] for row in shown.rows] == [path.name[:2] for path in find_lessons()]
    assert "| 01 | Noise schedules | a diffusion model on one page | 85 |" in str(shown)
    assert "0.4" in str(welcome.scale_table())
