"""Lesson 01: its page against the library, its figures, claims D01 and D02, the race."""

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch
from pages import defined_on_page

from gantrans.diffusion import SCHEDULES, SamplerConfig, make_schedule
from gantrans.diffusion import sample as library_sample
from gantrans.teaching import claims
from gantrans.teaching.exercises import exercise
from gantrans.teaching.explorers import Choice, Explorer, Toggle
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson01.experiments import schedules
from lessons.lesson01.figures import drawing, noising, race
from lessons.lesson03.ddpm import ddpm_training_step

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


def net(x, t):
    """Some answer that depends on everything."""
    return 0.8 * x + 0.1 * torch.sin(3 * x + t.view(-1, 1) / 100)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_the_sampler_of_the_page_is_the_librarys_ddpm(name):
    betas = exercise("cosine_betas").function(1000, 0.999)
    betas = betas if name == "cosine" else exercise("linear_betas").function(1000, 1e-4, 0.02)
    (sample,) = defined_on_page("01", "sample", seed=3)
    start = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    way = sample(net, start, exercise("thin_out").function(betas, 20), range(19, 1000, 20))
    there = library_sample(
        net, start.shape, make_schedule(name, 1000), SamplerConfig("ddpm", 50), prediction="epsilon",
        generator=torch.Generator().manual_seed(3), noise=start, trajectory=True,
    )  # fmt: skip
    assert torch.is_tensor(there.x_t)
    torch.testing.assert_close(torch.stack(way), there.x_t, rtol=1e-4, atol=1e-5)


def test_the_loop_of_the_page_is_the_papers():
    """`train` on the page's network, step by step Ho et al.'s algorithm 1 with the same draws."""
    (Denoiser,) = defined_on_page("01", "Denoiser")
    data, bars = torch.randn(20, 64), make_schedule("cosine", 1000).alpha_bars
    torch.manual_seed(0)
    first = Denoiser(width=16, clocks=4, blocks=1)
    second = copy.deepcopy(first)
    losses = exercise("train").function(first, data, bars, 4, 6, 1e-2, torch.Generator().manual_seed(1))
    draws, optimizer = torch.Generator().manual_seed(1), torch.optim.Adam(second.parameters(), lr=1e-2)
    for loss in losses:
        x = data[torch.randint(20, (6,), generator=draws)]
        assert loss == pytest.approx(float(ddpm_training_step(second, optimizer, x, bars, draws)), rel=1e-5)
    for mine, theirs in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_four_bumps_are_learnt_and_the_colleagues_betas_lose_the_outer_two():
    """What sections 3 and 4 of the page say, with the perfect answer in place of the table."""
    betas = torch.linspace(0.002, 0.4, 50, dtype=torch.float64)
    bars = torch.cumprod(1 - betas, 0)
    centres = torch.tensor(drawing.BUMPS)

    def perfect(x, t):
        bar = bars[t].float()[:, None]
        variance = 0.12**2 * bar + 1 - bar
        weight = torch.softmax(-((x[:, None] - bar.sqrt() * centres) ** 2) / (2 * variance), dim=1)
        score = (weight * (bar.sqrt() * centres - x[:, None]) / variance).sum(1)
        return -(1 - bar[:, 0]).sqrt() * score

    (sample,) = defined_on_page("01", "sample", seed=0)
    start = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    whole = drawing.shares(sample(perfect, start, betas, range(50), limit=3.0)[-1])
    assert whole == pytest.approx([0.25] * 4, abs=0.02)
    tenth = range(4, 50, 5)
    his = drawing.shares(sample(perfect, start, betas[4::5], tenth, limit=3.0)[-1])
    yours = exercise("thin_out").function(betas, 5)
    mended = drawing.shares(sample(perfect, start, yours, tenth, limit=3.0)[-1])
    assert his[0] + his[3] < 0.2 * sum(his)
    assert mended[0] + mended[3] > 0.33 * sum(mended)


def test_one_image_is_noised_with_one_noise():
    schedule = make_schedule("cosine", 50)
    t = [0, 20, 49]
    x = noising.noised(schedule.alpha_bars, IMAGES["clip"], t)
    signal, sigma = schedule.signal[t].float(), schedule.sigma[t].float()
    noise = (x - signal.view(-1, 1, 1, 1)) / sigma.view(-1, 1, 1, 1)
    torch.testing.assert_close(noise[0], noise[2], atol=1e-4, rtol=0)
    assert noising.places(50) == [0, 5, 12, 24, 37, 49]


def test_epsilon_alone_is_impossible_with_zero_terminal_snr():
    refused = race.impossible(make_schedule("linear", zero_terminal_snr=True))
    assert list(refused) == ["epsilon"]
    assert "predict x0 or v" in refused["epsilon"]
    assert race.impossible(make_schedule("linear")) == {}


def test_table_of_ends():
    table = {line[0]: line[1:] for line in race.end_table().rows}
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
    rows = {line[0]: line[1:] for line in race.parity_table(record).rows}
    assert rows["quadratic"][0] == "scaled_linear"
    assert all(float(cell) < 1e-6 for line in rows.values() for cell in line[1:])
    meets = {line[0]: line[1:] for line in race.conventions_table(record["numbers"]).rows}
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
    words = alt_text(race.loss_figure(curves, {arm: t.config.steps for arm, t in trained.items()}))
    assert "linear, T = 100, not scaled from log-SNR 9.2 to -0.6" in words
    made = {arm: schedules.draw(t, "DDIM", 14) for arm, t in trained.items()}
    assert f"cosine: mean pixel {float(made['cosine'].mean()):.2f}" in alt_text(drawing.samples_figure(made))


def test_race_figure_says_each_ratio_with_its_interval():
    seeds = {s: {"cosine": {"DDIM": 10.0 + s, "DDPM": 5.0}, "other": {"DDIM": 20.0 + 2 * s, "DDPM": 5.5}}
             for s in range(6)}  # fmt: skip
    words = alt_text(race.race_figure(Table({}, seeds)))
    assert "DDIM, distance as a multiple of cosine, 99 % interval: other 2.00 (2.00 to 2.00)." in words
    assert "other 1.10 (1.10 to 1.10)" in words


def test_the_committed_table_is_a_paired_race_of_all_arms():
    table = committed("schedules")
    assert table.arms == tuple(schedules.ARMS)
    assert len(table.seeds) >= 6
    assert table.about["scale"] in ("reduced", "full")
    assert "schedules --scale" in table.source()


def test_other_figures_have_words():
    betas = {n: make_schedule(n).betas for n in SCHEDULES}
    way = [torch.linspace(-2, 2, 41), torch.full((41,), 0.5)]
    table = torch.zeros(3, 12)
    table[2] = 2 * torch.linspace(-3, 3, 12)
    walked = torch.tensor([[1.0, 0.0], [0.5, 1.0]])
    figures = {
        "alpha-bar half way: linear 0.08": noising.curves_figure(betas, exercise("log_snr").function),
        "not scaled: T = 1000 0.0064; T = 500 0.08; T = 200 0.36": noising.left_figure(IMAGES["clip"]),
        "digit t = 500 8% left": noising.noising_figure(IMAGES, betas["linear"]),
        "frame 8": noising.film_figure(IMAGES["digit"]),
        "mean differs by at most 0.50": noising.walk_figure(
            walked, torch.tensor([1]), torch.tensor([[0.0, 2.0]])
        ),
        "after 1 steps: 0%, 0%, 100%, 0%": drawing.way_back_figure(way, way[0]),
        "mine: 0%, 0%, 100%, 0% of": drawing.bumps_figure({"mine": way[1]}, way[0]),
        "about 2.0 times the value seen": drawing.table_figure(table),
        "cosine ends at 0.50": drawing.losses_figure({"cosine": [1.0, 0.75, 0.25]}, smooth=2),
    }
    for words, figure in figures.items():
        assert words in alt_text(figure)
