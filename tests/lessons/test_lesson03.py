"""Lesson 03: its figures over their grids, score and bound, errors that are repaired or kept, its claims."""

import json
import math

import numpy as np
import pytest
import torch

from gantrans.diffusion import SamplerConfig, build_denoiser, make_schedule
from gantrans.teaching import claims
from gantrans.teaching.places import found
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson03.experiments import analytic, denoisers, generation, modes
from lessons.lesson03.figures import order, sampling, theory
from lessons.shared.denoising import Trained, clips

SIZE, RULE = 16, 2


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTRANS_CACHE", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("TQDM_DISABLE", "1")
        yield


@pytest.fixture(scope="module")
def model():
    config = generation.SETTINGS["smoke"].task
    return Trained(build_denoiser(config.network).eval(), config)


def table(arms, **quantities):
    """A sweep's table with three seeds: every quantity grows with arm and seed."""
    rows = {
        seed: {arm: {q: base + 0.01 * i + 0.001 * seed for q, base in quantities.items()}
               for i, arm in enumerate(arms)}
        for seed in range(3)
    }  # fmt: skip
    return Table({"scale": "reduced", "date": "2026-01-01", "code": "0", "command": "again"}, rows)


PANEL = dict.fromkeys(
    ("valid", "violation", "grey", "frechet", "coverage", "self_duplicates", "copies", "loss"), 0.5
)


# ---- score, bound and way


def test_the_score_points_against_the_noise_and_the_figure_says_where():
    mixture, schedule = analytic.ring(), make_schedule("cosine")
    x = 2 * mixture.centres
    score = analytic.score_by_gradient(mixture, x, schedule.signal[300], schedule.sigma[300])
    assert ((score * x).sum(1) < 0).all()  # outside the ring every arrow points inwards
    words = alt_text(theory.score_figure(mixture, schedule, (100, 900)))
    assert f"t = 900: noise has the factor {float(schedule.sigma[900]):.2f}" in words


def test_the_bound_closes_only_where_no_step_raises_the_snr_much():
    """A step with SNR ratio r costs (r - 1 - log r) / 2 nats per dimension where noise is finer than data."""
    exact = {}
    for name, schedule in {
        "even": theory.even_schedule(400),
        "cosine": make_schedule("cosine", 400),
    }.items():
        total, truth = analytic.bound(analytic.ring(), schedule, 300)
        exact[name] = total - truth
    assert exact["even"] < 0.35 < exact["cosine"]
    ratio = math.exp(22 / 399)
    even = theory.even_schedule(400)
    torch.testing.assert_close(even.snr[:-1] / even.snr[1:], torch.full((399,), ratio).double())


def test_three_terms_make_the_bound_and_one_may_be_negative():
    """Against the review's independent sums of the weighted errors: 4.63 (T = 100) and 7.35 (T = 1000)."""
    by_steps = {}
    for steps, sum_of_errors in ((100, 4.63), (1000, 7.35)):
        terms = theory.bound_terms(analytic.ring(), make_schedule("cosine", steps), 300)
        total, exact = analytic.bound(analytic.ring(), make_schedule("cosine", steps), 300)
        assert terms["prior"] + terms["steps"] + terms["reconstruction"] == pytest.approx(total)
        assert terms["gap"] == pytest.approx(total - exact)
        assert terms["steps"] == pytest.approx(sum_of_errors, abs=0.2)
        assert 0 <= terms["prior"] < 1e-3
        by_steps[steps] = terms["reconstruction"]
    assert by_steps == pytest.approx({100: -5.5, 1000: -8.3}, abs=0.06)
    table = theory.bound_table((25, 50), 50)
    assert [row[:2] for row in table.rows[::2]] == [
        ["linear", "25"],
        ["cosine", "25"],
        ["even log-SNR", "25"],
    ]
    gaps = [float(row[-1]) for row in table.rows]
    assert all(first > second > 0 for first, second in zip(gaps[::2], gaps[1::2], strict=True))


def test_fresh_noise_repairs_an_error_that_the_others_keep():
    for kind, (low, high) in {"ddim": (1.0, 2.0), "dpm++": (1.0, 2.0), "ddpm": (-0.2, 0.3)}.items():
        left = theory.offsets(SamplerConfig(kind, 50), 2.0) - theory.offsets(SamplerConfig(kind, 50), 0.0)
        assert low < float(left.mean()) < high
    words = alt_text(theory.repair_figure(1.0, steps=20))
    assert "DDPM: pushed by 1 at t = 400, the points end" in words


# ---- norms, gradients, modes


def test_batch_norm_alone_listens_to_the_batch_mate_and_only_in_training():
    moved = {
        (norm, training): theory.moved_by_mate(norm, training=training)
        for norm in ("group", "batch", "none")
        for training in (True, False)
    }
    assert moved.pop(("batch", True)) > 1e-2
    assert set(moved.values()) == {0.0}
    assert [row[2] for row in theory.mate_table().rows] == ["0.00", "0.00"]


def test_effects_are_ratios_with_intervals():
    arms = ("folded, v", "folded, v, batch norm", "folded, v, no norm", "folded, v, no attention")
    made = table(arms, loss=0.5)
    words = alt_text(theory.effects_figure(made).figure)
    mean, low, high = made.ratio("loss", "folded, v, batch norm", "folded, v")
    assert f"batch norm / group norm {mean:.3f} ({low:.3f} to {high:.3f})" in words
    assert set(arms) <= set(denoisers.ARMS)


def test_modes_are_counted_and_shown_beside_what_real_and_even_points_reach():
    mixture = analytic.grid()
    draw = torch.Generator().manual_seed(0)
    real = mixture.draw(20_000, draw)
    even = torch.rand(20_000, 2, generator=draw) * 2 - 1
    for name, points in {"real data": real, "spread evenly": even}.items():
        count, share = modes.covered(points, mixture)
        assert count == 25
        assert share == pytest.approx(theory.AT_A_MODE[name], abs=0.01)
    assert modes.covered(mixture.centres[:1].repeat(100, 1), mixture) == (1, 1.0)
    words = alt_text(theory.modes_figure(committed("modes")))
    assert "modes covered over 12 seeds: diffusion 25; GAN 19.8." in words
    assert "spread evenly 78.5" in words


# ---- clips


def test_clips_show_what_breaks_the_rule():
    good = clips(SIZE, "test", 16).network()[:2]
    bad = good.clone()
    bad[:, :, 5, 5] = -bad[:, :, 5, 5]  # a lone pixel, or a lone hole
    assert not sampling.violations(good, RULE).any()
    assert sampling.valid_share(torch.cat([good, bad, bad]), RULE) == pytest.approx(1 / 3)
    broken = sampling.violations(bad, RULE)
    assert broken[:, 0, 5, 5].all()
    figure = sampling.clips_figure({"good": good, "bad": bad}, RULE, count=2)
    words = alt_text(figure)
    assert "good: 100% valid of 2 clips." in words
    assert "bad: 0% valid of 2 clips." in words
    drawn = np.asarray(figure.axes[2].images[0].get_array())
    vermilion = np.abs(drawn - np.array(sampling.BROKEN)).sum(2) < 1e-6
    assert (vermilion == broken[0, 0].numpy()).all()


def test_copies_are_found_and_others_measured():
    known = clips(SIZE, "train", 24).network()
    samples = known[:6].clone()
    samples[3:, :, 0, :2] *= -1
    figure = sampling.copies_figure(samples, known, count=6)
    assert "50% of 6 samples are training clips to the pixel" in alt_text(figure)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles[:3] == ["0 px differ"] * 3
    assert all(title in ("1 px differ", "2 px differ") for title in titles[3:])


# ---- tables


def test_result_figures_and_tables_say_their_means():
    arms = table(denoisers.ARMS, **PANEL)
    shares = sampling.predictions_table(arms)
    assert list(shares) == [f"{n}, {kind}" for n in ("plain", "folded") for kind in ("epsilon", "v", "x0")]
    assert shares["plain, epsilon"]["valid"] == pytest.approx(50.1)
    assert "folded over 3 seeds: epsilon 53.1; v 54.1; x0 55.1" in alt_text(sampling.predictions_figure(arms))
    copied = sampling.copies_table(arms)
    assert copied["32 clips"]["copies"] == pytest.approx(59.1)
    runs = table(
        [*generation.SAMPLERS, *(f"guidance {g:g}" for g in generation.GUIDANCE), "latency"],
        **PANEL, family=0.5, diversity=0.1, **{"one evaluation": 2.0},
    )  # fmt: skip
    assert "DDPM 50.1 at 5, 51.1 at 10" in alt_text(sampling.steps_figure(runs))
    assert "family asked for, %: 66 at 0" in alt_text(sampling.guidance_figure(runs))
    rows = {(row[0], row[1]): row[2:] for row in sampling.latency_table(runs).rows}
    one = float(np.mean(runs.values("one evaluation", "latency")["latency"]))
    assert rows["DDPM", "50"][0] == f"{50 * one:.0f}"
    assert "the reference" in rows["DDPM", "50"][1]
    assert rows["DDPM, all steps", "1,000"][1] == "not measured"


def test_the_order_of_the_samplers_is_that_of_the_committed_table():
    """The numbers that lesson and evidence page print, recomputed from the file alone."""
    (path,) = found("results/generation.json")
    rows = json.loads(path.read_text("utf-8"))["rows"].values()
    measured = committed("generation")
    expected = {
        ("DDIM", 5): (0.64, 0.44, 0.94),
        ("DPM++", 5): (0.62, 0.43, 0.89),
        ("DDIM", 10): (0.90, 0.50, 1.63),
        ("DDIM", 50): (1.55, 1.03, 2.32),
    }
    for (rival, count), numbers in expected.items():
        logs = [math.log(r[f"{rival} {count}"]["frechet"] / r[f"DDPM {count}"]["frechet"]) for r in rows]
        half = 4.0321 * np.std(logs, ddof=1) / math.sqrt(len(logs))  # t of 5 degrees, 99 %
        own = [math.exp(np.mean(logs) + k * half) for k in (0, -1, 1)]
        assert order.effects(measured, "frechet", count, rival) == pytest.approx(own, rel=1e-4)
        assert own == pytest.approx(numbers, abs=0.005)
    leads = {(row[0], row[1]): (row[3], row[5]) for row in order.clips_table(measured).rows}
    assert leads["5", "DDIM"] == ("open", "DDIM")
    assert leads["5", "DPM++"] == ("open", "DPM++")
    assert leads["10", "DDIM"] == ("DDPM", "open")
    assert leads["50", "DDIM"] == ("DDPM", "DDPM")
    assert {valid for (count, _), (valid, _) in leads.items() if count != "5"} == {"DDPM"}


def test_digits_and_the_literature_have_another_order():
    table = order.digits_table(committed("schedules"))
    assert table.rows[0][:3] == ["cosine", "13.3", "28.2"]
    assert {row[-1] for row in table.rows} == {"DDIM"}
    assert all(ddim < ddpm for ddim, ddpm, _ in order.CIFAR.values())
    assert order.CIFAR[1000][2] < order.CIFAR[1000][0]
    assert [row[0] for row in order.literature_table().rows] == ["10", "20", "50", "100", "1,000"]


# ---- claims


def test_every_claim_of_the_lesson_has_its_experiment():
    assert {"D03", "D05", "D06", "D07", "D08", "D09"} <= set(experiments())
    assert all("03" in claims.get(f"D0{n}").lessons for n in (3, 5, 6, 7, 8, 9))


def test_d06_is_exact_at_every_scale_and_d05_agrees_with_the_ledger():
    assert analytic.fresh_noise("smoke")["data"]["DDIM, eta = 0"] == 0.0
    ledger = claims.read(claims.COMMITTED)
    assert [ledger[i]["verdict"] for i in ("D05", "D06")] == ["holds", "excluded"]
    numbers = ledger["D05"]["numbers"]
    total, exact = analytic.bound(analytic.ring(), make_schedule("cosine", 10))
    assert (total, exact) == pytest.approx((numbers["bound, T = 10"], numbers["exact"]), abs=1e-6)


def test_the_committed_tables_hold_every_arm_and_the_ledger_their_claims():
    latency, guided = ("latency",), tuple(f"guidance {g:g}" for g in generation.GUIDANCE)
    arms = {
        "denoisers": tuple(denoisers.ARMS),
        "generation": (*generation.SAMPLERS, *guided, *latency),
        "modes": modes.ARMS,
    }
    ledger = claims.read(claims.COMMITTED)
    for sweep in (denoisers.SWEEP, generation.SWEEP, modes.SWEEP):
        measured = committed(sweep.name)
        assert measured.arms == arms[sweep.name]
        assert len(measured.seeds) >= 6
        assert measured.about["scale"] in ("reduced", "full")
        for claim_id, judged in sweep.claims.items():
            numbers = judged(measured)["numbers"]
            assert ledger[claim_id]["numbers"] == pytest.approx(numbers, nan_ok=True)
