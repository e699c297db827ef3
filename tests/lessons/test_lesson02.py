"""Lesson 02: exact answers on the ring, reading time, its figures, and the sweeps behind claim D04."""

import math

import numpy as np
import pytest
import torch

from gantrans.diffusion import make_schedule, q_sample
from gantrans.teaching import claims
from gantrans.teaching.explorers import Choice, Explorer
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson02.experiments import embeddings, reading_time
from lessons.lesson02.experiments.embeddings import ARMS, BESIDE, CASES, EXACT, POINTS, RULE, TOLD
from lessons.lesson02.experiments.embeddings_beside import SWEEP as BESIDE_SWEEP
from lessons.lesson02.figures import block, clocks, worth
from lessons.shared.denoising import Trained

SCHEDULE = make_schedule("cosine")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTRANS_CACHE", str(tmp_path_factory.mktemp("runs")))
        sweeps = embeddings.SWEEP, BESIDE_SWEEP
        yield tuple(Table({}, {s: w.row(s, "smoke") for s in w.seeds_at("smoke")}, w.name) for w in sweeps)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTRANS_CACHE", str(tmp_path_factory.mktemp("runs")))
        yield {arm: embeddings.train_arm("digits", arm, 0, "smoke") for arm in ("sinusoidal", "no t")}


# ---- the ring


def test_the_ring_has_its_modes_and_its_share_of_good_points():
    points = embeddings.ring(20_000, 0)
    nearest = torch.cdist(points, embeddings.ring_centres()).argmin(1)
    assert torch.bincount(nearest).tolist() == pytest.approx([2500] * 8, abs=200)
    assert embeddings.good_share(points) == pytest.approx(1 - math.exp(-4.5), abs=3e-3)  # Rayleigh, 3 sigma
    assert embeddings.good_share(torch.zeros(5, 2)) == 0.0


@pytest.mark.parametrize("t", [40, 300, 800])
def test_the_exact_answer_is_the_mean_of_the_noise(t):
    """At the optimum the error is orthogonal to every function of x_t, and no smaller error exists nearby."""
    x0, exact = embeddings.ring(200_000, 1), embeddings.ExactRing(SCHEDULE)
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(2))
    times = torch.full((len(x0),), t)
    x = q_sample(SCHEDULE, x0, times, noise)
    answer = exact(x, times)
    error = (noise - answer).double()
    for function in (x, answer, torch.sin(5 * x), x * x.square().sum(1, keepdim=True)):
        correlation = (error * function).mean() / (error.square().mean() * function.square().mean()).sqrt()
        assert abs(float(correlation)) < 0.01
    best = error.square().mean()
    for other in (0.95 * answer, 1.05 * answer, exact(x, times + 20)):
        assert (noise - other).double().square().mean() > best


def test_without_t_the_exact_answer_is_the_mean_over_times():
    exact = embeddings.ExactRing(SCHEDULE, given=False, every=100)
    x = embeddings.ring(4, 5)
    chances, answers = exact.by_time(x)
    assert chances.shape == (4, 10)
    assert answers.shape == (4, 10, 2)
    torch.testing.assert_close(chances.sum(1), torch.ones(4))
    known = embeddings.ExactRing(SCHEDULE)
    torch.testing.assert_close(answers[:, 3], known(x, exact.times[3].expand(4)))
    expected = sum(chances[:, k, None] * answers[:, k] for k in range(10))
    torch.testing.assert_close(exact(x, torch.zeros(4, dtype=torch.long)), expected)
    assert int(chances[0].argmax()) == 0  # a point of the ring itself comes from an early time


def test_a_far_point_comes_from_a_late_time():
    exact = embeddings.ExactRing(SCHEDULE, given=False, every=50)
    chances, _ = exact.by_time(torch.tensor([[3.0, 0.0]]))
    assert float(chances[0, exact.times > 400].sum()) > 0.95


# ---- arms, wrong times, tables


def test_arms_differ_in_the_embedding_alone():
    for case, chosen in CASES.items():
        configs = [embeddings.task_config(case, arm, "reduced") for arm in chosen.arms]
        assert [c.network.embedding for c in configs] == [ARMS[arm] for arm in chosen.arms]
        networks = {repr(c.network).replace(repr(c.network.embedding), "") for c in configs}
        assert len(networks) == 1
        assert len({(c.schedule, c.prediction, c.lr, c.weighting) for c in configs}) == 1
        assert embeddings.training_data(case).shape[1:] == embeddings.held_out(case).shape[1:] == chosen.shape


def test_both_sweeps_together_run_every_arm_once():
    run = [(case, arm) for arms in (RULE, BESIDE) for case, chosen in arms.items() for arm in chosen]
    assert sorted(run) == sorted((case, arm) for case, chosen in CASES.items() for arm in chosen.arms)
    parts = claims.get("D04").parts
    assert {arm for part in parts for arm in part.arms} == set(RULE["digits"])
    assert embeddings.SWEEP.seeds["reduced"] >= max(part.fewest for part in parts)


@pytest.mark.parametrize("told", TOLD)
def test_a_wrong_time_reaches_the_network_and_stays_in_the_schedule(told):
    class Echo(torch.nn.Module):
        def forward(self, x_t, t):
            return t

    config = embeddings.task_config("digits", "no t", "smoke")
    network = embeddings.misinformed(Trained(Echo(), config), told).network
    given = network(torch.zeros(3, 64), torch.tensor([0, 300, 999])).tolist()
    assert (
        given
        == {
            "told t - 100": [0, 200, 899],
            "told t + 100": [100, 400, 999],
            "always told t = 500": [500, 500, 500],
        }[told]
    )


def test_a_wrong_time_changes_nothing_where_none_is_used(trained):
    x = embeddings.held_out("digits")[:4]
    t = torch.full((4,), 300)
    for arm, same in (("no t", True), ("sinusoidal", False)):
        wrong = embeddings.misinformed(trained[arm], "told t + 100").network
        with torch.inference_mode():
            assert torch.equal(wrong(x, t), trained[arm].network(x, t)) == same


def test_every_arm_is_scored(tables):
    table, beside = tables
    assert set(table.arms) == {*RULE["digits"], *TOLD}
    assert set(beside.arms) == {*ARMS, *EXACT}
    both = embeddings.joined(table, beside)
    assert both.arms == (*ARMS, *TOLD, *EXACT)
    assert both.seeds == (0, 1)
    for case, chosen in CASES.items():
        assert [a for a in embeddings.scored(both, case) if a in ARMS] == list(chosen.arms)
        curves = embeddings.curves(both, case)
        assert list(curves) == list(chosen.arms)
        for arm, (t, losses) in curves.items():
            assert (t[0], t[-1], len(t)) == (0, 999, POINTS)
            assert np.shape(losses) == (2, POINTS)
            means = np.mean(losses, axis=1)
            assert means == pytest.approx(both.values(f"{case}: loss", arm)[arm])
    assert all(np.isfinite(v) for row in both.rows.values() for n in row.values() for v in n.values())


def test_the_exact_answers_have_the_smallest_loss_and_knowing_t_helps_them(tables):
    _, beside = tables
    known, unknown = (beside.values("plane: loss", arm)[arm][0] for arm in EXACT)
    assert known < 0.9 * unknown
    for arm in ARMS:
        assert beside.values("plane: loss", arm)[arm][0] > known


def test_the_claim_takes_the_loss_on_digits(tables, tmp_path):
    table, _ = tables
    made = embeddings.claim_d04(table)
    assert made["data"]["against no t"]["no t"] == table.values("digits: loss", "no t")["no t"]
    assert made["numbers"]["told t - 100 loss"] == pytest.approx(
        np.mean(table.values("digits: loss", "told t - 100")["told t - 100"])
    )
    record = claims.record(
        "D04",
        made["data"],
        numbers=made["numbers"],
        scale="smoke",
        seeds=table.seeds,
        run=tmp_path / "r.jsonl",
    )
    assert record["verdict"] == "open"


# ---- reading time


def test_the_best_readers_beat_the_middle_guess_and_pixels_beat_the_plane():
    true = torch.tensor([0, 1000])
    assert reading_time.miss(true, torch.tensor([[500.0, 500.0], [500.0, 500.0]])) == pytest.approx(500)
    middle = reading_time.miss(*reading_time.readings(lambda x: torch.full((len(x),), 0.4995), "plane"))
    plane = reading_time.miss(*reading_time.readings(reading_time.ExactReader(), "plane"))
    digits = reading_time.miss(*reading_time.readings(reading_time.QuietReader(), "digits"))
    assert pytest.approx(middle, abs=15) == 289
    assert 200 < plane < 0.95 * middle
    assert digits < 0.5 * plane


def test_eleven_pixels_are_black_in_nearly_every_digit():
    quiet = reading_time.quiet_pixels()
    assert int(quiet.sum()) == 11
    assert float(embeddings.training_data("digits")[:, quiet].mean()) < -0.99


def test_the_reader_of_quiet_pixels_is_bayes_formula():
    """Against the normal densities, one pixel after the other."""
    reader = reading_time.QuietReader(every=100)
    x = embeddings.held_out("digits")[:3]
    density = torch.distributions.Normal(reader.centre, reader.variance.sqrt())
    chance = torch.stack([density.log_prob(one[reader.quiet]).sum(1).softmax(0) for one in x])
    torch.testing.assert_close(reader(x), chance @ (reader.times / 1000))


# ---- figures


def test_the_explorer_draws_every_state_of_its_grid():
    controls = (
        Choice("kind", "embedding", tuple(clocks.KINDS), "sines"),
        Choice("width", "width", (8, 128), 128),
        Choice("max_period", "max_period", (100.0, 10_000.0), 10_000.0),
    )
    explorer = Explorer(clocks.embedding_figure, controls, "alike")
    for state in explorer.grid():
        assert explorer.problems(state) == []


def test_the_similarity_in_the_explorer_is_the_mean_of_cosines():
    words = alt_text(clocks.embedding_figure(kind="sines", width=8, max_period=100.0))
    for lag in (20, 400):
        expected = np.mean([math.cos(lag * 100 ** (-k / 4)) for k in range(4)])
        assert f"{expected:.2f} after {lag}" in words


def test_haste_of_slow_and_fast_functions():
    t = torch.arange(1000)[:, None]
    slow, fast = (torch.sin(2 * math.pi * turns * t / 1000) for turns in (1, 25))
    assert clocks.haste(slow) == pytest.approx(2 * math.sin(math.pi / 50) / math.pi, rel=0.02)
    assert clocks.haste(fast) == pytest.approx(2 / math.pi, rel=0.02)  # half a turn in 20 steps
    still = torch.zeros(1000, 9)
    words = alt_text(clocks.scales_figure({"fast": torch.cat([still, fast], dim=1)}, count=1))
    assert words == "fast: in 20 timesteps these features move by 64% of all they ever do."


def test_the_diagrams_name_the_layers_in_their_order():
    vector, image = (alt_text(block.block_figure(kind)) for kind in ("vector", "image"))
    assert "layer norm, * (1 + scale) + shift, linear (inner), SiLU, linear (outer)" in vector
    assert "group norm, SiLU, conv 3 x 3, group norm, * (1 + scale) + shift, SiLU, conv 3 x 3" in image
    with pytest.raises(KeyError):
        block.block_figure("sound")


def test_result_figures_have_words(tables):
    table, beside = tables
    both = embeddings.joined(table, beside)
    x = embeddings.held_out("digits")[:64]
    read = {"a case": reading_time.readings(reading_time.ExactReader(), "plane", points=3)}
    spreads = torch.tensor([[0.1, 0.1], [0.9, 0.9]])
    figures = {
        "t = 250: for the point (0.5, 0.3)": clocks.same_point_figure((0.5, 0.3), (60, 250)),
        "from 0.90 to 0.90": clocks.quiet_figure(SCHEDULE.alpha_bars, torch.tensor([0, 500]), spreads),
        "his ends at 2": worth.training_figure({"his": [4.0, 3.0, 2.0]}),
        "no t: mean loss": worth.loss_figure(embeddings.curves(table, "digits")),
        "U-Net, no t: ": worth.effect_figure([table, both]).figure,
        "true ring: 9": worth.points_figure({"true ring": embeddings.ring(500, 1)}),
        "real: Fréchet distance": worth.digits_figure({"real": x}),
        "a case: t read off x_t": worth.reading_figure(read),
    }
    for words, figure in figures.items():
        assert words in alt_text(figure)


def test_ratios_in_the_figure_are_those_of_the_table():
    rows = {
        seed: {"sinusoidal": {"digits: loss": 0.9 * x}, "no t": {"digits: loss": x}}
        for seed, x in enumerate((0.2, 0.3, 0.25, 0.22))
    }
    words = alt_text(worth.effect_figure([Table({}, rows)]).figure)
    assert "digits, no t: 0.900, seeds: 4 (0.900 to 0.900)" in words


# ---- what is committed


def test_the_committed_tables_are_those_of_the_ledger():
    table, record = committed("embeddings"), claims.read(claims.COMMITTED)["D04"]
    made = embeddings.claim_d04(table)
    assert record["seeds"] == list(table.seeds)
    assert {name: part["data"] for name, part in record["parts"].items()} == made["data"]
    assert record["numbers"] == pytest.approx(made["numbers"])
    both = embeddings.joined(table, committed("embeddings_beside"))
    assert set(worth.quality_rows(both, "plane")) == {*ARMS, *EXACT}
    assert both.seeds[0] == 0
