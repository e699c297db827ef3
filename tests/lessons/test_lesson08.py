"""Lesson 08: the array task and its measures by hand, claims on made-up tables, figures over their grids."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from gantrans.networks import UNetGenerator
from gantrans.teaching import claims
from gantrans.teaching.explorers import Choice, Explorer, Slider
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson08.experiments import attention_cost, attention_range, attention_training
from lessons.lesson08.figures import price, reach

ABOUT = {"scale": "reduced", "date": "2026-01-01", "code": "0", "command": "again"}


def table(sweep, row, seeds=6):
    return Table(ABOUT, {seed: row(seed) for seed in range(seeds)})


def test_all_lines_of_an_image_stand_on_one_site_and_the_first_two_show_it():
    images, lines = attention_range.arrays(64, 16, 0.6, torch.Generator().manual_seed(0))
    assert images.shape == lines.shape == (64, 1, 16, 128)
    periods = lines[:, 0, 0].unflatten(1, (16, 8))
    assert set(periods.sum(-1).unique().tolist()) == {attention_range.WIDTH}
    assert (periods == periods[:, :1]).all()
    assert 0.2 < float(lines[:, 0, 0, 0].mean()) < 0.8  # both sites occur
    seen = images.mean(2)[:, 0].unflatten(1, (16, 8))
    right = (seen[..., :3].mean(-1) > seen[..., 4:7].mean(-1)) == (periods[..., 0] > 0)
    assert right[:, :2].all()
    hidden = float(right[:, 2:].float().mean())
    assert hidden == pytest.approx(0.726, abs=0.05)  # Phi(0.6): one line alone is right so often


def test_positions_of_drawn_lines_and_of_nothing():
    _, lines = attention_range.arrays(8, 4, 0.6, torch.Generator().manual_seed(1))
    found = attention_range.positions(lines)
    site = torch.where(lines[:, 0, 0, 0] > 0, 1.5, 5.5)
    torch.testing.assert_close(found, site.double()[:, None] + 8.0 * torch.arange(16))
    assert attention_range.positions(torch.zeros(1, 1, 4, 128))[0, 3] == 28.0


class Answer(torch.nn.Module):
    """A generator whose answer is given; `gammas` as in the U-Net without attention."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.at, self.unused = answer, 0, torch.nn.Parameter(torch.zeros(1))
        self.gammas: dict[int, float] = {}

    def forward(self, x, noise=None):
        part = self.answer[self.at : self.at + len(x)]
        self.at += len(x)
        return part * 2 - 1


def test_scores_of_the_right_answer_and_of_one_misplaced_line():
    _, lines = attention_range.test_arrays("smoke", 0)
    right = attention_range.scores(Answer(lines), "smoke", 0)
    assert (right["pitch spread"], right["wrong site"], right["L1"]) == (0.0, 0.0, 0.0)
    moved = lines.clone()
    moved[..., 40:48] = moved[..., 40:48].roll(4, -1)  # line 6 of every image
    wrong = attention_range.scores(Answer(moved), "smoke", 0)
    assert wrong["wrong site"] == pytest.approx(1 / 14)
    pitches = [160.0] * 13 + [240.0, 80.0]  # nm
    assert wrong["pitch spread"] == pytest.approx(np.std(pitches))


def test_without_attention_the_first_lines_are_out_of_sight_and_with_it_they_are_not():
    setting = attention_range.SETTINGS["reduced"]
    seen = {
        arm: reach.reach(attention_range.generator_config(arm, setting), 16, 89)
        for arm in ("no attention", "attention")
    }
    assert (seen["no attention"][:, :64] == 0).all()
    columns = (seen["no attention"] > 0).any(0).nonzero()
    assert {int(c) // attention_range.PERIOD for c in columns} == {10, 11, 12}  # parts of three periods
    assert (seen["attention"] > 0).float().mean() > 0.9


def test_claims_of_the_range_task_compare_the_arms_they_name():
    def row(seed):
        spread = dict.fromkeys((*attention_range.ARMS, attention_range.DEEPER), 20.0 + seed)
        spread["attention"] = 0.2 * spread["attention"]
        spread[attention_range.DEEPER] = (1 + 0.1 * (-1) ** seed) * spread["attention"]
        return {arm: {"pitch spread": value} for arm, value in spread.items()}

    judged = attention_range.distant_structure(table(attention_range, row))
    found = {p.name: claims.judge_part(p, judged["data"][p.name]).verdict for p in claims.get("G30").parts}
    assert found == {"without attention": "holds", "against a deeper network": "excluded"}
    arms = judged["data"]["without attention"]
    ratio = np.array(arms["attention"]) / np.array(arms["no attention"])
    np.testing.assert_allclose(ratio, 0.2)


def test_claims_of_the_usual_task_from_a_made_up_table():
    def row(seed):
        arms = {}
        for place in attention_training.PLACES:
            arms[f"{place}, gamma 0"] = {"early loss": 1.0 + seed, "late loss": 0.5}
            arms[f"{place}, gamma 1"] = {"early loss": 1.2 * (1.0 + seed), "late loss": 0.5}
        arms["usual, plain"] = {"IoU": 0.8}
        gammas = {f"gamma {p} at {k} / 10": (-1) ** seed * k / 50 for p in (0, 1) for k in range(1, 11)}
        arms["usual, attention"] = {"IoU": 0.8, **gammas}
        for base, gain in (("baseline", -0.1), ("stabilised", 0.05)):
            arms[f"{base}, plain"] = {"IoU": 0.5 + 0.01 * seed}
            for extra in ("attention", "FM", "attention + FM"):
                arms[f"{base}, {extra}"] = {"IoU": 0.5 + 0.01 * seed + gain}
        return arms

    made = table(attention_training, row)
    gammas = attention_training.gamma_at_the_end(made)
    assert gammas["data"]["bottleneck"] == (6, 6)  # all of size 0.2, whatever the sign
    assert gammas["numbers"]["bottleneck: mean"] == pytest.approx(0.2)
    assert gammas["numbers"]["bottleneck: positive"] == 0.5
    starts = attention_training.gamma_from_one(made)["data"]["16 x 16"]
    np.testing.assert_allclose(np.array(starts["gamma 1"]) / starts["gamma 0"], 1.2)
    gains = attention_training.stability_first(made)
    np.testing.assert_allclose(gains["data"]["gain on baseline"], -0.1)
    np.testing.assert_allclose(gains["data"]["gain on stabilised"], 0.05)
    assert gains["numbers"]["baseline, plain: worst"] == 0.5
    arrays = table(
        attention_range, lambda seed: {"attention": {"gamma 0": (-1) ** seed * 0.2, "gamma 1": -0.4}}
    )
    gammas = price.gamma_figure(made, arrays)
    for drawn in (gammas, price.start_figure(made), price.foundation_figure(made)):
        assert alt_text(getattr(drawn, "figure", drawn))
    for words in ("usual, bottleneck 0.2", "arrays, bottleneck 0.2", "arrays, decoder 0.4"):  # no signs
        assert words in " ".join(alt_text(gammas).split())


@pytest.mark.parametrize(("side", "place"), [(8, 1), (16, 2), (32, 3)])
def test_a_single_attention_stands_where_its_name_says(side, place):
    config = attention_training.generator_config("reduced", (place,))
    network, seen = UNetGenerator(config).eval(), []
    network.attention[str(place)].register_forward_hook(lambda _, given, __: seen.append(given[0].shape[-1]))
    network(torch.zeros(1, 1, 64, 64))
    assert seen == [side]
    assert attention_training.place_of(side, "reduced") == place


def test_costs_that_are_exact():
    assert attention_cost.map_bytes(256) == 16 * 2**30
    assert attention_cost.added()["parameters"] == 164_482
    assert attention_cost.size_words(attention_cost.map_bytes(128)) == "1 GiB"
    assert attention_cost.size_words(attention_cost.plain_peak_bytes(256)) == "32 GiB"


def test_the_computed_peak_agrees_with_what_was_measured_and_stands_where_nothing_was():
    measured = committed("attention_cost")
    for side in (64, 128):
        computed = attention_cost.plain_peak_bytes(side)
        assert measured.means()[f"plain {side}"]["peak"] == pytest.approx(computed, rel=0.01)
    row = price.cost_table(measured).rows[-1]
    assert row[0] == "256 x 256"
    assert row[3:6:2] == ["32 GiB (computed)", "not run"]
    assert "plain, computed, 32,768 MiB at 256 px" in alt_text(price.cost_figure(measured).figure)


def test_the_kernel_stores_the_map_when_widths_differ_and_not_when_they_are_padded():
    maps = {name: row["in maps"] for name, row in price.peaks(48).items()}
    assert maps["plain"] == pytest.approx(2.0, abs=0.1)
    assert maps["plain, with its backward pass"] == pytest.approx(3.0, abs=0.1)
    if not torch.cuda.is_available():  # other kernels there
        assert maps["kernel, unequal widths"] > 1.9
    assert maps["kernel, padded to equal widths"] < 0.25


@pytest.mark.parametrize("name", attention_training.PLACES)
def test_attention_from_gamma_one_adds_nearly_the_same_at_all_places(name):
    start = price.start_of_one(name, "reduced")
    assert 0.2 < start["added / input"] < 0.6
    assert start["same at all places"] > 95
    assert 95 < start["entropy of the map"] < 100


def test_the_query_explorer_draws_every_state_of_its_grid():
    images, _ = attention_range.test_arrays("smoke", 0)
    network = UNetGenerator(attention_range.generator_config("attention", attention_range.SETTINGS["smoke"]))
    controls = (
        Slider("line", "line", 1, 16, 1, 12),
        Slider("row", "row", 0, 15, 1, 8),
        Choice("place", "place", (0, 1), 0),
        Slider("image", "image", 0, 3, 1, 0),
    )
    explorer = Explorer(partial(reach.query_figure, network.eval(), images), controls, "queries")
    for state in explorer.grid():
        assert explorer.problems(state) == []


def test_the_map_of_a_query_sums_to_one_and_belongs_to_its_place():
    images, _ = attention_range.test_arrays("smoke", 0)
    network = UNetGenerator(
        attention_range.generator_config("attention", attention_range.SETTINGS["smoke"]), 1
    ).eval()
    maps = [reach.map_of_query(network, images[:1], place, 8, 60) for place in (0, 1)]
    assert [tuple(m.shape) for m in maps] == [(4, 32), (8, 64)]
    assert all(float(m.sum()) == pytest.approx(1.0, abs=1e-5) for m in maps)
    with torch.no_grad():  # a query that shouts at bright keys looks elsewhere than one that does not
        other = reach.map_of_query(network, images[:1], 0, 8, 4)
    assert not torch.equal(other, maps[0])


def test_the_weights_by_line_are_the_mean_over_the_queries_of_the_hidden_lines():
    images, lines = attention_range.test_arrays("smoke", 0)
    setting = attention_range.SETTINGS["smoke"]
    network = UNetGenerator(attention_range.generator_config("attention", setting), 1).eval()
    shares = reach.weights_by_line(network, images[:2], 0)
    asked = [
        reach.map_of_query(network, images[1:2], 0, row, column).sum(0).unflatten(0, (16, 2)).sum(1)
        for row in range(0, 16, 4)
        for column in range(16, 128, 4)
    ]
    torch.testing.assert_close(shares[1], torch.stack(asked).mean(0))
    assert alt_text(reach.weights_figure(network, images, lines))


def test_an_ideal_observer_of_one_line_of_some_and_of_all():
    phi = 0.5 * math.erfc(0.6 / math.sqrt(2))
    assert reach.ideal_wrong_share(0, 0, 0.6) == pytest.approx(phi)
    two = 0.5 * math.erfc(
        0.6
    )  # two lines say sqrt(2) as much as one; the first hidden line hears the last shown
    assert reach.ideal_wrong_share(1, 0, 0.6) == pytest.approx(13 / 14 * two)
    assert reach.ideal_wrong_share(15, 15, 0.6) == 0.0
    assert reach.ideal_wrong_share(1, 1, 0.0) == pytest.approx(13 / 28)  # a coin


@pytest.mark.parametrize(("before", "after"), reach.HEARD.values())
def test_the_ideal_observer_in_closed_form_is_the_one_that_reads_images(before, after):
    images, lines = attention_range.arrays(4096, 16, 0.6, torch.Generator().manual_seed(0))
    observed = reach.observed_wrong_share(images, lines, before, after)
    assert observed == pytest.approx(reach.ideal_wrong_share(before, after, 0.6), abs=0.01)
    swapped = reach.observed_wrong_share(images, 1 - lines, 0, 0)
    assert swapped == pytest.approx(1 - reach.observed_wrong_share(images, lines, 0, 0))


def test_no_network_that_hears_three_periods_beats_the_ideal_observer_of_its_images():
    measured = committed("attention_range")
    ideal = reach.observers(measured)["3 periods"]["on these images"]
    wrong = [100 * share for share in measured.values("wrong site", "no attention")["no attention"]]
    assert ideal - 0.1 <= np.mean(wrong) <= ideal + 1.0


@pytest.mark.parametrize("sweep", [attention_range.SWEEP, attention_cost.SWEEP], ids=lambda s: s.name)
def test_figures_of_a_smoke_sweep(sweep):
    measured = Table(ABOUT, {0: sweep.row(0, "smoke"), 1: sweep.row(1, "smoke")})
    if sweep is attention_range.SWEEP:
        assert "pitch spread over 16 lines" in alt_text(reach.range_figure(measured))
    else:
        assert "computed, 16,384 MiB at 256" in alt_text(price.cost_figure(measured).figure)
        assert price.cost_table(measured).rows[0][0] == "8 x 8"
