"""Lesson 08: the block that is counted and the paper's, framed errors, the start of gamma in a GAN."""

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from gantrans.networks import SelfAttention
from gantrans.networks.accounting import parameters
from gantrans.teaching import claims
from gantrans.teaching.plots import alt_text
from gantrans.teaching.runs import config_hash
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson08.experiments import attention_cost, attention_range, attention_start, attention_training
from lessons.lesson08.figures import reach


class PublishedBlock(nn.Module):
    """The weights of Zhang et al. 2019, section 3: W_f, W_g, W_h are C/8 x C, W_v is C x C/8."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // 8
        self.f, self.g, self.h = (nn.Conv2d(channels, narrow, 1) for _ in range(3))
        self.v, self.gamma = nn.Conv2d(narrow, channels, 1), nn.Parameter(torch.zeros(()))


@pytest.mark.parametrize("channels", [64, 256])
def test_both_blocks_are_counted_as_they_are_built(channels):
    assert attention_cost.block_parameters(channels) == parameters(SelfAttention(channels))
    assert attention_cost.sagan_parameters(channels) == parameters(PublishedBlock(channels))


def test_the_numbers_in_the_row_of_parameters_are_counted():
    said = {float(n.replace(",", "")) for n in re.findall(r"\d+,\d{3}", claims.get("G16").true)}
    added = attention_cost.added()
    counted = {attention_cost.block_parameters(c) for c in (64, 256)} | {added["parameters"]}
    assert said == counted | {attention_cost.sagan_parameters(256)}
    assert f"{added['share of parameters']:.2%}".replace("%", " %") in claims.get("G16").true
    pooled = attention_cost.map_bytes(256) / 4  # the authors' code pools the keys by 2 x 2
    assert f"leaves {attention_cost.size_words(pooled)}" in claims.get("G15").true


def test_times_are_written_in_the_unit_that_suits_them():
    assert [attention_cost.time_words(t) for t in (4.13e-4, 0.62, 12.2)] == ["0.413 ms", "620 ms", "12.2 s"]


def test_wrong_lines_are_found_framed_and_the_worst_images_chosen():
    images, lines = attention_range.test_arrays("smoke", 0)
    bad = lines.clone()
    for image, periods in ((3, (5,)), (7, (2, 9, 15))):
        for k in periods:
            at = slice(8 * k, 8 * k + 8)
            bad[image, ..., at] = bad[image, ..., at].roll(4, -1)
    off = attention_range.wrong_sites(bad, lines)
    assert off.nonzero().tolist() == [[3, 5], [7, 2], [7, 9], [7, 15]]
    figure = reach.errors_figure(images, lines, {"bad": bad, "good": lines}, "bad")
    words = " ".join(alt_text(figure).split())
    assert "Wrong: lines 3, 10, 16." in words
    assert "Wrong: lines 6." in words
    assert words.count("Wrong:") == 2
    frames = [len(ax.patches) for ax in figure.axes]
    assert frames == [0, 0, 3, 0, 0, 0, 1, 0]  # image, drawn, bad, good: of image 7 and of image 3
    assert "of 16: bad: 2, good: 0" in figure.get_suptitle()


def test_arms_of_the_start_differ_in_gamma_alone_and_stand_in_the_hostile_baseline():
    for name in attention_training.PLACES:
        zero, one = (attention_start.task_config("reduced", name, g) for g in (0.0, 1.0))
        assert replace(one, generator=replace(one.generator, gamma_init=0.0)) == zero
        assert zero.discriminator is not None
        assert (zero.weight_l1, zero.adversarial, zero.real_label) == (1.0, "non_saturating", 1.0)
        assert zero.lr_discriminator == 5 * zero.lr_generator
    rule = claims.get("G55")
    assert config_hash(attention_start.SWEEP.config("reduced")) == rule.config["reduced"]
    assert rule.decides("reduced", attention_start.SWEEP.seeds_at("reduced"), rule.config["reduced"]) == ""
    assert not {*attention_start.SEEDS["reduced"]} & {*range(6), *range(100, 104)}


def test_a_start_is_measured_at_one_place_and_judged_by_its_rule():
    row = attention_start.SWEEP.part("16 x 16", 0, "smoke")
    assert list(row) == ["16 x 16, gamma 0", "16 x 16, gamma 1"]
    assert row["16 x 16, gamma 0"]["early loss"] != row["16 x 16, gamma 1"]["early loss"]

    def made(seed):
        zero = dict.fromkeys(attention_training.PLACES, 1.0 + seed / 100)
        factor = {"8 x 8": 1.3, "16 x 16": 1.0 + 0.01 * (-1) ** seed, "32 x 32": 1.1 + 0.05 * (-1) ** seed}
        return {
            f"{name}, gamma {g}": {"early loss": zero[name] * (factor[name] if g else 1.0)}
            for name in zero
            for g in (0, 1)
        }

    judged = attention_start.gamma_from_one(Table({}, {seed: made(seed) for seed in range(12)}))["data"]
    verdicts = {p.name: claims.judge_part(p, judged[p.name]).verdict for p in claims.get("G55").parts}
    assert verdicts == {"8 x 8": "holds", "16 x 16": "excluded", "32 x 32": "open"}


def test_what_the_page_says_of_places_and_seeds_is_what_the_sweep_says():
    """The lesson's words rest on these: a new sweep that says otherwise must change the words."""
    table = committed("attention_training")
    ends = [table.means(arm)[arm]["IoU"] for arm in (f"{p}, gamma 0" for p in attention_training.PLACES)]
    assert max(ends) - min(ends) < 0.004
    arms = [
        f"{base}, {extra}" for base in attention_training.FOUNDATIONS for extra in ("plain", "attention + FM")
    ]
    found = table.values("IoU", *arms)
    apart = {arm: max(found[arm]) - min(found[arm]) for arm in arms}
    assert 2.5 < apart["baseline, attention + FM"] / apart["baseline, plain"] < 3.5
    assert 0.8 < apart["stabilised, attention + FM"] / apart["stabilised, plain"] < 1.3
    assert 0 < max(found["baseline, attention + FM"]) - min(found["stabilised, attention + FM"]) < 0.03
