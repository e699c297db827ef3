"""Lesson 09: measures of texture, sharpness and checkerboard by hand, detach, figures over their grids."""

from functools import partial

import numpy as np
import pytest
import torch

from gantrans.data import make_pairs
from gantrans.images import unit_from_uint8
from gantrans.networks import PatchGAN, PatchGANConfig, UNetConfig
from gantrans.teaching import claims
from gantrans.teaching.explorers import Choice, Explorer, Slider
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.tables import Table
from lessons.lesson09.experiments import checkerboard, matching, matching_larger
from lessons.lesson09.figures import noticed

ABOUT = {"scale": "reduced", "date": "2026-01-01", "code": "0", "command": "again"}


def noise(count=4, size=32, seed=0):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed))


def weave(size=32):
    """A pattern of period two across, down, and both."""
    across = torch.arange(size) % 2
    return (0.5 + 0.1 * across[None, :] + 0.05 * across[:, None]).expand(2, 1, size, size)


def test_a_weave_has_all_its_energy_at_period_two_and_noise_hardly_any():
    assert checkerboard.period_two_share(weave()) == pytest.approx(1.0)
    assert checkerboard.period_two_share(noise(64)) == pytest.approx(3 / (32 * 32 - 1), rel=0.4)


def test_excess_is_one_for_noise_grows_with_a_weave_and_forgives_the_edges_of_a_layout():
    assert checkerboard.period_two_excess(noise(200)) == pytest.approx(1.0, abs=0.25)
    woven = noise(200) + weave()[:1]
    # uniform noise has variance 1/12; the weaves' amplitudes are 0.05 and 0.025, on 32 x 32 pixels
    expected = (1 + 1024 * 0.05**2 * 12 + 1 + 1024 * 0.025**2 * 12 + 1) / 3
    assert checkerboard.period_two_excess(woven) == pytest.approx(expected, rel=0.15)
    layouts = unit_from_uint8(make_pairs("procedural", split="test", count=64, seed=0, progress=False).layout)
    assert checkerboard.period_two_excess(layouts) < 4
    assert checkerboard.period_two_excess(layouts + weave(64)[:1]) > 3 * checkerboard.period_two_excess(
        layouts
    )


def test_edge_slope_is_one_for_a_drawn_layout_and_less_when_blurred():
    layout = (torch.arange(32) % 8 < 4).float().expand(2, 1, 32, 32)
    assert matching.edge_slope(layout).tolist() == [1.0, 1.0]
    soft = torch.nn.functional.avg_pool2d(
        torch.nn.functional.pad(layout, (1, 1, 1, 1), mode="replicate"), 3, 1
    )
    assert matching.edge_slope(soft).max() < 0.4


def test_before_training_only_resizing_upsamplers_are_free_of_the_weave():
    images = {arm: checkerboard.at_init(arm, 0) for arm in checkerboard.UPSAMPLERS}
    shares = {arm: checkerboard.period_two_share(made) for arm, made in images.items()}
    assert min(shares["kernel 4"], shares["kernel 3"]) > 0.02
    assert max(shares["resize"], shares["bilinear"]) < 0.005


def test_detach_changes_ds_gradients_only():
    on, off = (
        matching.detach_gradients(True, size=32, filters=4),
        matching.detach_gradients(False, size=32, filters=4),
    )
    assert torch.equal(on.generator, off.generator)
    assert on.generator.abs().max() > 0
    assert off.discriminator != pytest.approx(on.discriminator, rel=0.05)
    assert on.discriminator > 0  # the made image passes through D as well


def critic_and_pair(size=32):
    critic = PatchGAN(PatchGANConfig(base_filters=4, n_layers=2))
    source, real, fake = (noise(1, size, seed) * 2 - 1 for seed in (0, 1, 2))
    return critic, source, real, fake


def test_using_a_pass_twice_crashes_only_without_detach():
    parts = critic_and_pair()
    assert noticed.backward_twice(*parts, detach=True) == "no error"
    assert "second time" in noticed.backward_twice(*parts, detach=False)
    assert set(noticed.time_of_detach(*parts, repeats=2)) == {"detached", "not detached"}


def test_layer_terms_add_up():
    table = noticed.layer_terms(*critic_and_pair())
    layers = [row["mean difference"] for name, row in table.items() if name.startswith("layer")]
    assert len(layers) == 3
    assert table["averaged over layers"]["mean difference"] == pytest.approx(np.mean(layers))
    summed, code = "summed (pix2pixHD, the paper)", f"4/{len(layers)} of the sum (its code)"
    assert table[summed]["mean difference"] == pytest.approx(3 * np.mean(layers))
    assert table[code]["mean difference"] == pytest.approx(4 * np.mean(layers))


def test_the_features_explorer_draws_every_state_of_its_grid():
    critic, source, real, fake = critic_and_pair()
    figure = partial(lambda layer, image: noticed.features_figure(critic, source, real, fake, layer=layer))
    explorer = Explorer(
        figure, (Choice("layer", "layer", (0, 1, 2), 1), Slider("image", "pair", 0, 3, 1, 0)), "D"
    )
    for state in explorer.grid():
        assert explorer.problems(state) == []


def table(row, seeds=6):
    return Table(ABOUT, {seed: row(seed) for seed in range(seeds)})


def test_claim_and_figures_from_a_made_up_table():
    def row(seed):
        arms = {}
        for direction in matching.DIRECTIONS:
            for k, arm in enumerate((*matching.ARMS, matching.L1_ONLY)):
                shrink = 0.5 if arm == "feature matching" else 1.0
                arms[f"{direction}, {arm}"] = {
                    "spectrum": shrink * (2.0 + seed),
                    "L1": 0.1 + 0.01 * k,
                    "gradient variance": shrink * (1.0 + 0.1 * seed),
                }
        return arms

    made = table(row)
    judged = matching.sharper_and_steadier(made)["data"]
    parts = {part.name: part for part in claims.get("G29").parts}
    for name in ("spectrum distance", "gradient variance"):
        assert claims.judge_part(parts[name], judged[name]).verdict == "holds"
    figure = noticed.matching_figure(
        made, "layout2sem", {"spectrum": ("distance (dB)", 1.0), "L1": ("L1", 1.0)}
    )
    assert "pix2pixHD (4 x mean)" in alt_text(figure)
    told = noticed.differences({"part": (made, "L1", "layout2sem, L1 only", "layout2sem, without")})
    assert told.rows[0][-1] == "yes"
    same = noticed.differences({"part": (made, "spectrum", "layout2sem, L1 only", "layout2sem, without")})
    assert same.rows[0][-1] == "no"


def test_larger_images_have_two_arms_and_the_same_rule():
    def row(seed):
        return {
            f"{direction}, {arm}": {"spectrum": shrink * (2.0 + seed), "gradient variance": 1.0 + 0.1 * seed}
            for direction in matching_larger.DIRECTIONS
            for arm, shrink in zip(matching_larger.ARMS, (1.0, 0.5), strict=True)
        }

    made = table(row)
    told = noticed.larger_findings(made)
    assert told.rows[0][2] == "holds"
    assert told.rows[1][1:] == ["1.00 (1.00 to 1.00)", "excluded"]
    figure = noticed.matching_figure(made, "layout2sem", {"spectrum": ("distance (dB)", 1.0)})
    assert "without 4.5; mean 2.25" in alt_text(figure)
    assert "pix2pixHD" not in alt_text(figure)
    setting, larger = matching.SETTINGS["reduced"], matching_larger.SETTINGS["reduced"]
    assert larger.size**2 == 4 * setting.size**2


def test_figures_of_the_checkerboard():
    shares = {arm: [0.2, 0.3] for arm in checkerboard.UPSAMPLERS}
    assert "kernel 3" in alt_text(noticed.shares_figure(shares).figure)
    assert "before training" in alt_text(noticed.upsamplers_figure(32))
    arms = ("target", *checkerboard.UPSAMPLERS)
    row = {f"{d}, {arm}": {"excess": 1.0 + k} for d in matching.DIRECTIONS for k, arm in enumerate(arms)}
    assert "SEM to layout" in alt_text(
        noticed.excess_figure(table(lambda seed: row), {"kernel 4": [90.0, 110.0]})
    )


@pytest.mark.parametrize("direction", matching.DIRECTIONS)
def test_a_smoke_run_scores_every_arm(direction):
    row = matching.run_direction(direction, 0, matching.SETTINGS["smoke"])
    assert len(row) == 4
    for arm, numbers in row.items():
        assert np.isfinite(list(numbers.values())).all(), arm
        assert ("gradient variance" in numbers) == (matching.L1_ONLY not in arm)
    without, averaged, summed, _ = row.values()
    assert without["L1"] != averaged["L1"] != summed["L1"]  # the arms are not the same network
    assert isinstance(
        matching.task_config("without", direction, matching.SETTINGS["smoke"]).generator, UNetConfig
    )
