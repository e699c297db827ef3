"""Lesson 01: its figures over their grids, the closed form against the walk, claims D01 and D02, the race."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from gantrans.diffusion import SCHEDULES, make_schedule
from gantrans.teaching import claims
from gantrans.teaching.explorers import Choice, Explorer, Toggle
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson01.experiments import schedules
from lessons.lesson01.figures import noising

IMAGES = {"digit": torch.eye(8)[None] * 2 - 1, "clip": torch.ones(1, 16, 16)}


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTRANS_CACHE", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("TQDM_DISABLE", "1")
        yield schedules.run_seed(0, "smoke"), {a: schedules.train_arm(a, 0, "smoke") for a in schedules.LIVE}


def test_the_explorer_draws_every_state_of_its_grid():
    controls = (
        Choice("name", "schedule", SCHEDULES, "linear"),
        Choice("steps", "T", (1000, 100, 20), 1000),
        Toggle("rescale", "scale betas to T"),
        Toggle("zero_terminal_snr", "zero terminal SNR", False),
    )
    one = {"digit": IMAGES["digit"]}
    explorer = Explorer(partial(noising.schedule_figure, one), controls, "Schedules")
    for state in explorer.grid():
        assert explorer.problems(state) == []


def test_the_explorer_says_what_is_left_or_why_there_is_nothing_to_draw():
    draw = partial(noising.schedule_figure, IMAGES, zero_terminal_snr=False)
    words = alt_text(draw(name="linear", steps=100, rescale=False))
    assert "linear, T = 100: factor 0.603 of the image is left" in words
    assert "factor 0.0045" in alt_text(draw(name="linear", steps=100, rescale=True))
    assert "use at least 21 steps" in alt_text(draw(name="linear", steps=20, rescale=True))
    ended = noising.schedule_figure(IMAGES, name="cosine", steps=50, rescale=True, zero_terminal_snr=True)
    assert "factor 0 of the image" in alt_text(ended)


def test_the_walk_ends_where_the_formula_says():
    """Mean sqrt(alpha-bar) and variance 1 - alpha-bar at every step, within five standard errors."""
    schedule = make_schedule("linear", 60)
    x = noising.chain(schedule, x0=1.0, count=20_000)
    assert x.shape == (61, 20_000)
    standard_error = schedule.sigma / math.sqrt(x.shape[1])
    assert ((x[1:].mean(1) - schedule.signal).abs() < 5 * standard_error).all()
    torch.testing.assert_close(x[1:].std(1), schedule.sigma, rtol=0.03, atol=0)
    words = alt_text(noising.chain_figure(x, schedule))
    assert "by formula 0.00" in words
    assert "standard deviation 1.0" in words


def test_one_image_is_noised_with_one_noise():
    schedule = make_schedule("cosine", 50)
    t = [0, 20, 49]
    x = noising.noised(schedule, IMAGES["clip"], t)
    signal, sigma = schedule.signal[t].float(), schedule.sigma[t].float()
    noise = (x - signal.view(-1, 1, 1, 1)) / sigma.view(-1, 1, 1, 1)
    torch.testing.assert_close(noise[0], noise[2], atol=1e-4, rtol=0)
    assert noising.places(schedule) == [0, 5, 12, 24, 37, 49]


def test_epsilon_alone_is_impossible_with_zero_terminal_snr():
    refused = noising.impossible(make_schedule("linear", zero_terminal_snr=True))
    assert list(refused) == ["epsilon"]
    assert "predict x0 or v" in refused["epsilon"]
    assert noising.impossible(make_schedule("linear")) == {}


def test_table_of_ends():
    table = {line[0]: line[1:] for line in noising.end_table().rows}
    assert table["linear"] == ["0.079", "48%", "0.0064", "157"]
    assert table["cosine"][-1] == "20,291"
    assert set(table) == set(SCHEDULES)


def test_both_claims_have_their_experiment_and_hold_in_the_committed_ledger():
    assert {"D01", "D02"} <= set(experiments())
    ledger = claims.read(claims.COMMITTED)
    assert [ledger[i]["verdict"] for i in ("D01", "D02")] == ["holds", "holds"]


def test_d02_is_exact_at_every_scale():
    result = schedules.left_with_few_steps("smoke")
    assert result["data"] == pytest.approx({"T = 100": 0.603, "T = 200": 0.364}, abs=5e-4)
    assert result["numbers"]["cosine, T = 50"] == result["numbers"]["cosine, T = 50, scaled"] < 1e-3
    part = claims.judge_part(claims.get("D02").part("T = 200"), 0.0055)
    assert part.verdict == "excluded"


def test_d01_is_repeated_where_diffusers_is_installed():
    pytest.importorskip("diffusers")
    assert schedules.have_reference()
    result = schedules.names_and_parity("smoke")
    assert max(result["data"].values()) < 1e-7
    assert result["numbers"]["first of 10 timesteps, diffusers"] == 900
    assert result["numbers"]["zero terminal SNR"] < 1e-12
    assert result["numbers"] == pytest.approx(claims.read(claims.COMMITTED)["D01"]["numbers"], abs=1e-6)


def test_without_diffusers_d01_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(claims.ClaimError, match=r"not installed; it is in requirements-dev\.txt"):
        schedules.parity("linear")


def test_tables_about_diffusers_come_from_the_record():
    record = claims.read(claims.COMMITTED)["D01"]
    rows = {line[0]: line[1:] for line in noising.parity_table(record).rows}
    assert rows["quadratic"][0] == "scaled_linear"
    assert all(float(cell) < 1e-6 for line in rows.values() for cell in line[1:])
    meets = {line[0]: line[1:] for line in noising.conventions_table(record["numbers"]).rows}
    assert meets["so T = 200, linear, ends with the factor"] == ["0.00551", "0.364"]
    assert meets["so 10 of 1000 timesteps start at t ="] == ["999", "900"]


def test_arms_differ_in_the_schedule_alone():
    setting = schedules.SETTINGS["reduced"]
    configs = [schedules.task_config(arm, setting) for arm in schedules.ARMS]
    assert len({(c.network.hidden, c.prediction, c.weighting, c.loss, c.lr) for c in configs}) == 1
    assert len({(c.schedule, c.steps, c.rescale) for c in configs}) == len(configs)
    assert set(schedules.LIVE) < set(schedules.ARMS)
    assert set(schedules.FULL_T) == {a for a, arm in schedules.ARMS.items() if arm.steps == 1000}


def test_every_arm_is_scored_and_drawn(row):
    scores, trained = row
    assert list(scores) == list(schedules.ARMS)
    assert all(np.isfinite(v) and v > 0 for numbers in scores.values() for v in numbers.values())
    curves = {arm: schedules.loss_per_t(t) for arm, t in trained.items()}
    assert float(curves["cosine"][2].mean()) == pytest.approx(scores["cosine"]["loss"])
    t, log_snr, error = curves[schedules.UNSCALED]
    assert t[-1] == 99
    assert error.shape == (40,)
    assert float(log_snr[-1]) == pytest.approx(math.log(0.603**2 / (1 - 0.603**2)), abs=5e-3)
    words = alt_text(noising.loss_figure(curves, {arm: t.config.steps for arm, t in trained.items()}))
    assert "linear, T = 100, not scaled from log-SNR 9.2 to -0.6" in words
    made = {arm: schedules.draw(t, "DDIM", 12) for arm, t in trained.items()}
    assert f"cosine: mean pixel {float(made['cosine'].mean()):.2f}" in alt_text(
        noising.samples_figure(made, 3)
    )


def test_race_figure_says_each_ratio_with_its_interval():
    seeds = {s: {"cosine": {"DDIM": 10.0 + s, "DDPM": 5.0}, "other": {"DDIM": 20.0 + 2 * s, "DDPM": 5.5}}
             for s in range(6)}  # fmt: skip
    words = alt_text(noising.race_figure(Table({}, seeds)))
    assert "DDIM, distance as a multiple of cosine, 99 % interval: other 2.00 (2.00 to 2.00)." in words
    assert "other 1.10 (1.10 to 1.10)" in words


def test_the_committed_table_is_a_paired_race_of_all_arms():
    table = committed("schedules")
    assert table.arms == tuple(schedules.ARMS)
    assert len(table.seeds) >= 6
    assert table.about["scale"] in ("reduced", "full")
    assert "schedules --scale" in table.source()


def test_other_figures_have_words():
    figures = {
        "alpha-bar half way: linear 0.08": noising.curves_figure({n: make_schedule(n) for n in SCHEDULES}),
        "not scaled: T = 1000 0.0064; T = 500 0.08; T = 200 0.36": noising.left_figure(IMAGES["clip"]),
        "digit t = 500 8% left": noising.noising_figure(IMAGES, make_schedule("linear")),
    }
    for words, figure in figures.items():
        assert words in alt_text(figure)
