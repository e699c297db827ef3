"""Lesson 00: figures over their grid, the puzzle's answer, thresholds on known images, training at smoke."""

import copy

import nbformat
import numpy as np
import pytest
import torch
from matplotlib.text import Text
from pages import defined_on_page
from torch import Tensor, nn

from gantrans.data import PRESETS, make_pairs, recovery_table
from gantrans.images import network_from_uint8, network_from_unit
from gantrans.metrics import iou
from gantrans.networks import ResidualUNetConfig, UNetGenerator
from gantrans.teaching import claims
from gantrans.teaching.course import lesson
from gantrans.teaching.exercises import exercise
from gantrans.teaching.explorers import Choice, Slider, explorer
from gantrans.teaching.notebooks.run import find_lessons
from gantrans.teaching.plots import alignment_figure, alt_text
from gantrans.teaching.sweeps.tables import Table, committed
from gantrans.training import Runtime
from gantrans.translation import DENOISE_OTSU, Pix2PixConfig, Pix2PixTask, denoise, segment, translate
from lessons.lesson00.experiments import contrast, first_look
from lessons.lesson00.experiments.first_translator import (
    CELLS,
    REVERSED,
    SETTINGS,
    Images,
    best_thresholds,
    compare,
    first_recipe,
    held_out,
    imaged,
    other_setting,
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


def test_the_map_offers_the_lessons_there_are_and_greys_the_others():
    assert {title for part in welcome.PARTS for title, there in welcome.rows_of(part) if there} == {
        f"{path.name[:2]} {lesson(path.name[:2]).title}" for path in find_lessons()[1:]
    }
    figure = welcome.course_map()
    words, grey = (
        alt_text(figure),
        {t.get_text() for t in figure.findobj(Text) if t.get_color() == welcome.GREY},
    )
    for part in welcome.PARTS:
        assert part.owned in words
        for title, there in welcome.rows_of(part):
            assert (title in grey, f"{title} (not written yet)" in words) == (not there, not there)


def test_a_part_whose_lessons_are_there_is_not_called_unwritten(monkeypatch):
    one = welcome.CoursePart("X", 1, 1, "my.py", "nothing", {"01": "Earlier", "02": "Later"})
    assert welcome.rows_of(one) == [("01 Noise schedules", True)]
    assert "you will own" in [t.get_text() for t in welcome.course_map([one, one]).findobj(Text)]


def test_the_loop_of_the_page_is_the_task_of_the_library():
    """The visible loop against `Pix2PixTask` with L1 alone, on the same batches: losses and weights.

    In float64: a bias before a batch norm has no gradient but rounding, which Adam would blow up.
    """
    config = Pix2PixConfig(
        ResidualUNetConfig(base_filters=4, multipliers=(1, 2)), None, weight_l1=1.0, lr_generator=3e-3,
        betas=(0.9, 0.999),
    )  # fmt: skip
    task = Pix2PixTask(config, seed=2)
    task.generator.double()
    pairs = make_pairs("procedural", count=6, size=16, seed=0, progress=False)
    sem, layout = (network_from_uint8(images).double() for images in (pairs.sem, pairs.layout))
    given = {
        "steps": 4, "sem": sem, "layout": layout, "seed": 5, "net": copy.deepcopy(task.generator),
        "clip": Images(pairs.sem[:1] / 255, pairs.layout[:1] / 255, []), "torch": torch,
        "augment_pair": exercise("augment_pair").function, "read": lambda net, sem: [None],
    }  # fmt: skip
    again = copy.deepcopy(task.generator)
    exec(loop_of_the_page(), given)
    stream, losses = Runtime(torch.device("cpu"), "fp32", 1, torch.Generator()), []
    draws = torch.Generator().manual_seed(5)
    for _ in range(4):
        chosen = torch.randint(6, (8,), generator=draws)
        move = int(torch.randint(8, (1,), generator=draws))
        images = torch.stack([sem[chosen], layout[chosen]])
        x, y = torch.rot90(images.flip(-1) if move >= 4 else images, move % 4, (-2, -1))
        task.optimizers["generator"].zero_grad()
        log = task.step({"input": x, "target": y}, stream)
        task.optimizers["generator"].step()
        losses.append(float(log["loss_l1"]))
    assert given["losses"] == pytest.approx(losses, rel=1e-6)
    for mine, theirs in zip(given["net"].parameters(), task.generator.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    train = exercise("train_translator").function
    assert train(again, sem, layout, 4, 8, 3e-3, torch.Generator().manual_seed(5)) == given["losses"]


def loop_of_the_page() -> str:
    """The cell of the page with the loop."""
    cells = nbformat.read(lesson("00").notebook, 4).cells
    (loop,) = [c.source for c in cells if ".backward(" in c.source and c.cell_type == "code"]
    return loop


def test_the_detector_of_the_page_is_that_of_the_sweep():
    (Detector,) = defined_on_page("00", "Detector")
    x = torch.rand(3, 1, 8, 8) * 2 - 1
    both = [kind(nn.Identity(), torch.Generator().manual_seed(1)) for kind in (Detector, contrast.Detector)]
    assert torch.equal(both[0](x), both[1](x))
    assert not torch.equal(both[0](x), x)
    assert all(torch.equal(one.eval()(x), x) for one in both)


def test_a_positive_gain_keeps_the_order_of_bars_and_spaces(test):
    """What section 5 of the page says, for the images of another setting and for those in training."""
    net = contrast.Detector(nn.Identity(), torch.Generator().manual_seed(0))
    for images in (other_setting(test.sem, 3), net(network_from_unit(test.sem))):
        for before, after in zip(test.sem.flatten(1), images.flatten(1), strict=True):
            order = before.argsort()
            assert (after[order].diff() >= -1e-6).all()
    assert float(contrast.flat(test.sem).std()) == pytest.approx(0.3 * float(test.sem.std()), rel=1e-4)


def test_the_arms_share_their_first_weights_and_draws(monkeypatch):
    """Nothing but the SEM images differs; half of those of the last arm have darker bars."""
    seen = []

    def keep(net, sem, layout, steps, batch, lr, draws):
        inner = net.net if isinstance(net, contrast.Detector) else net
        weights = torch.cat([p.detach().flatten() for p in inner.parameters()])
        seen.append((sem, layout, weights, draws.get_state(), type(net)))

    monkeypatch.setattr(contrast, "train_translator", keep)
    for arm in contrast.ARMS:
        contrast.train_arm(arm, 1, "smoke")
    plain, jitter, both = seen[::2]
    assert all(torch.equal(a, b) for one in (jitter, both) for a, b in zip(plain[1:4], one[1:4], strict=True))
    assert torch.equal(plain[0], jitter[0])
    assert [bool((a == b).all()) for a, b in zip(plain[0], both[0], strict=True)] == [False, True] * 8
    assert [one[4] is contrast.Detector for one in (plain, jitter, both)] == [False, True, False]


def test_g41_is_judged_by_the_two_arms():
    rows = {s: {arm: {contrast.OTHER: 0.1 * i + s / 100, contrast.ORDINARY: 0.8 - 0.01 * i}
                for i, arm in enumerate(contrast.ARMS)} for s in range(6)}  # fmt: skip
    data = contrast.judged(Table({}, rows))["data"]
    assert data["another setting"][contrast.JITTER][2] == pytest.approx(0.12)
    assert data["ordinary images"] == pytest.approx([-0.01] * 6)
    assert (
        claims.judge_part(claims.get("G41").part("ordinary images"), [-0.01, -0.011] * 3).verdict == "holds"
    )


def test_the_committed_tables_are_those_that_the_evidence_page_reads():
    table = committed("contrast")
    assert table.arms == contrast.ARMS
    assert len(table.seeds) >= 6
    assert table.about["scale"] == "reduced"
    assert claims.read(claims.COMMITTED)["G41"]["verdict"] in ("holds", "excluded", "open")
    look = committed("first_look")
    assert list(first_look.of_kind(look, "threshold")) == list(PRESETS)
    assert list(first_look.of_kind(look, "clips")) == ["procedural", *CELLS]
    rows = first_look.recovery(look)
    assert [row["dose"] for row in rows["real cells"]] == list(SETTINGS["reduced"].doses)
    assert max(row["silent"] for row in rows["real cells"]) == 0


def test_learning_is_shown_from_the_first_step():
    losses = [1.0, 0.5, 0.25, 0.25]
    image = torch.zeros(1, 4, 4)
    figure = pipeline.learning_figure(losses, {0: image, 4: image}, image, image, smooth=2)
    assert "L1 loss from 1.00 at the first step to 0.25 at the end" in alt_text(figure)
    titles = [ax.get_title() for ax in figure.axes[1:]]
    assert titles == ["SEM image", "after 0 steps", "after 4 steps", "drawn layout"]


def test_ncc_is_drawn_over_its_own_range():
    score = np.linspace(0.2, 0.6, 25).reshape(5, 5)
    ax = alignment_figure(np.zeros((9, 9)), np.zeros((5, 5)), score, (4, 4)).axes[2]
    assert ax.images[0].get_clim() == pytest.approx((0.2, 0.6))
