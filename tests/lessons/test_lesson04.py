"""Lesson 04: figures over their grids, the experiments at smoke scale, known answers."""

import numpy as np
import pytest
import torch

from gantrans.networks import UNetGenerator
from gantrans.teaching import claims
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.registry import experiments
from lessons.lesson04.experiments import pixel_losses, skip_levels, skips
from lessons.lesson04.figures import measured, unet

SMOKE = skips.SETTINGS["smoke"]


@pytest.fixture(scope="module")
def pairs():
    return tuple(images[:8] for images in skips.test_pairs("smoke", 0))


@pytest.fixture(scope="module")
def generator():
    return UNetGenerator(skips.generator_config("skips", SMOKE)).eval()


def test_arms_differ_in_nothing_but_the_skips():
    one, other = (skips.generator_config(arm, SMOKE) for arm in skips.ARMS)
    assert one.skips
    assert not other.skips
    assert {**vars(one), "skips": 0} == {**vars(other), "skips": 0}


@pytest.mark.parametrize("scale", skips.SETTINGS)
def test_the_wider_control_has_the_weights_of_the_skip_network_and_a_2_x_2_bottleneck(scale):
    setting = skips.SETTINGS[scale]
    with torch.device("meta"):
        sizes = {
            arm: sum(p.numel() for p in UNetGenerator(skips.generator_config(arm, setting)).parameters())
            for arm in (*skips.ARMS, skips.WIDER)
        }
    assert sizes["no skips"] < sizes["skips"] <= sizes[skips.WIDER] < 1.2 * sizes["skips"]
    assert setting.size == 2 * 2**setting.n_down


def test_replacing_a_map_changes_that_map_alone(generator, pairs):
    maps = skip_levels.encoder_maps(generator, pairs[0])
    for by in skip_levels.REPLACEMENTS:
        new = skip_levels.replaced(maps, [1], by)
        assert [torch.equal(a, b) for a, b in zip(maps, new, strict=True)] == [True, False, True, True]
        assert new[1].shape == maps[1].shape
    zeros, means, other = (skip_levels.replaced(maps, [1], by)[1] for by in skip_levels.REPLACEMENTS)
    assert not zeros.any()
    torch.testing.assert_close(means.mean((0, 2, 3)), maps[1].mean((0, 2, 3)))
    assert means.std((0, 2, 3)).max() < 1e-5
    assert torch.equal(other[3], maps[1][2])


def test_zeros_are_the_generators_own_skip_gains(generator, pairs):
    sem = pairs[0]
    made = skip_levels.draw(generator, skip_levels.replaced(skip_levels.encoder_maps(generator, sem), [1]))
    with torch.inference_mode():
        expected = generator(sem * 2 - 1, skip_gains=(1.0, 0.0, 1.0)) / 2 + 0.5
    torch.testing.assert_close(made, expected)


def test_a_chimera_of_no_and_of_all_levels_is_one_of_the_two_images(generator, pairs):
    sem = pairs[0]
    whole = skip_levels.predict_layout(generator, sem)
    torch.testing.assert_close(skip_levels.chimera(generator, sem, 0), whole)
    torch.testing.assert_close(
        skip_levels.chimera(generator, sem, SMOKE.n_down), whole.roll(1, 0), rtol=1e-4, atol=1e-5
    )


def test_a_perfect_prediction_loses_nothing_and_an_empty_one_everything(pairs):
    layout = pairs[1]
    perfect = skips.score(layout, layout).means()
    assert perfect == pytest.approx({"L1": 0, "IoU": 1, "EPE": 0, "CD error": 0, "cuts lost": 0}, abs=1e-9)
    empty = skips.score(torch.zeros_like(layout), layout)
    assert empty.means()["cuts lost"] == 1
    assert empty.epe_px.isnan().all()
    assert float(empty.iou.max()) == 0


def test_contributions_vanish_for_a_network_that_ignores_its_maps(generator, pairs):
    silent = UNetGenerator(generator.config).eval()
    torch.nn.init.zeros_(silent.final.weight)
    assert not skip_levels.contributions(silent, *pairs, "zeros").any()
    zeros, other = (skip_levels.contributions(generator, *pairs, by) for by in ("zeros", "another image's"))
    assert not torch.equal(zeros, other)


def test_arms_are_trained_once_and_scored(capsys):
    first = skips.run_seed(0, "smoke")
    again = skips.run_seed(0, "smoke")
    assert first == again
    assert capsys.readouterr().out.count("loaded run") >= 2
    assert set(skips.claim_data([first, again])["EPE"]) == set(skips.ARMS)


@pytest.mark.parametrize("claim_id", ["G01", "G02"])
def test_experiments_fit_their_rules_and_decide_nothing_at_smoke(claim_id, tmp_path):
    result = experiments()[claim_id]("smoke")
    record = claims.record(claim_id, scale="smoke", run=tmp_path / "run.jsonl", **result)
    assert record["verdict"] == "open"
    assert set(record["parts"]) == {part.name for part in claims.get(claim_id).parts}


@pytest.mark.parametrize("p", [0.0, 0.1, 0.3, 0.6, 1.0])
def test_mean_and_median_minimise_the_expected_losses(p):
    answers = np.linspace(0, 1, 1001)
    assert answers[pixel_losses.expected_loss("L2", answers, p).argmin()] == pytest.approx(p)
    assert answers[pixel_losses.expected_loss("L1", answers, p).argmin()] == (p > 0.5)


def test_the_toy_learns_what_theory_says():
    for p in (0.3, 0.7):
        for loss, tolerance in (("L1", 0.1), ("L2", 0.1)):
            learnt = pixel_losses.train_on_two_answers(loss, p, 0, "smoke")
            assert pixel_losses.distance(learnt, pixel_losses.best_answer(loss, p)) < tolerance, (loss, p)
    narrow, wide = pixel_losses.two_answers()
    assert pixel_losses.distance(wide[None], narrow[None]) == 1


def test_fine_power_sees_grain_and_not_shading():
    x = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    grain = 0.1 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert pixel_losses.fine_power(x + grain) > 100 * pixel_losses.fine_power(x)


def test_the_figures_of_the_evidence_have_words_and_an_honest_axis():
    record = claims.read(claims.COMMITTED)["G02"]
    figure = measured.paired_figure(measured.paired_data(record))
    assert "skips 0.804; no skips 0.65" in alt_text(figure)
    assert [ax.get_ylim()[0] for ax in figure.axes] == [0, 0]
    rows = measured.levels_table(record, ["8 x 8"]).rows
    assert rows[0][0] == "8 x 8"
    assert measured.sweep_table(record).rows[0][0] == "skips"
    assert alt_text(unet.toy_figure({"L2": pixel_losses.ambiguous_input()}, 0.3))


def test_batch_norm_shift_is_zero_for_what_it_was_trained_on(generator, pairs):
    with torch.no_grad():
        trained = UNetGenerator(generator.config).train()
        for module in trained.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        trained(pairs[0] * 2 - 1)  # running statistics are now those of this batch
        trained(pairs[0] * 2 - 1)
    shifts = skip_levels.batch_norm_shift(trained.eval(), pairs[0])
    assert list(shifts) == ["8 x 8", "4 x 4"]
    for row in shifts.values():
        assert row["intact"] < 0.01
        assert row["another image's"] < 0.01
        assert row["zeros"] > 0.01
