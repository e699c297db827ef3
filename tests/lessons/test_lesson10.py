"""Lesson 10: faults and who sees them, SSIM as a gate, noisy truths, orders, metrics as losses."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gantrans.errors import ConfigError
from gantrans.metrics import compare_topology, ssim
from gantrans.teaching import claims
from gantrans.teaching.explorers import Choice, Explorer, Slider
from gantrans.teaching.learner import progress, rankings
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table
from lessons.lesson10.experiments import blindness, gaming, mismatch, perturbations, sem_judges, ssim_gate
from lessons.lesson10.experiments.perturbations import FAULTS, centre
from lessons.lesson10.figures import ground_truth, sensitivity

SIZE = 64


@pytest.fixture(scope="module")
def stage():
    return blindness.stage(6, SIZE, 0)


@pytest.fixture(scope="module")
def six():
    return mismatch.six_outputs(96, 1)


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_PROGRESS", str(tmp_path / "progress.json"))


def test_good_outputs_have_no_defects_and_equal_seeds_give_equal_outputs(stage):
    assert not stage.good["defects"].any()
    again = perturbations.ordinary(stage.wide, 0)
    assert torch.equal(perturbations.ordinary(stage.wide, 0), again)
    assert not torch.equal(perturbations.ordinary(stage.wide, 1), again)
    alone = perturbations.ordinary(stage.wide[:1], 0)
    torch.testing.assert_close(alone, again[:1], rtol=0, atol=1e-4)  # whatever the batch


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("bridge", "bridges"), ("open", "opens"), ("missing feature", "missing"), ("extra feature", "extra")],
)
def test_a_local_fault_is_that_fault_and_no_other(stage, fault, kind):
    faulty, possible = FAULTS[fault].draw(stage.wide, 2.0, 0)
    found = compare_topology(centre(faulty), stage.target)
    wanted = 2 if "feature" in fault else 1
    assert bool(possible.any())
    assert (getattr(found, kind)[possible] == wanted).all()
    assert (found.defects[possible] == wanted).all()


def test_faults_everywhere_do_what_their_names_say(stage):
    true = stage.target
    moved = centre(perturbations.shifted(stage.wide, 1.0))
    assert torch.equal(moved[..., 1:, 1:], true[..., :-1, :-1])
    half = perturbations.shifted(stage.wide, 0.5)
    assert float((centre(half) - true).abs().max()) <= 0.75
    line = torch.zeros(1, 1, 32, 32)
    line[..., 12:16] = 1.0
    assert float(perturbations.widened(line, 1.0).sum() / line.sum()) == pytest.approx(1.25)
    assert float(perturbations.widened(line, 0.5).sum() / line.sum()) == pytest.approx(1.125)
    with pytest.raises(ConfigError, match=r"multiple of 0\.5"):
        perturbations.widened(line, 0.3)
    assert float((perturbations.rotated(stage.wide, 0.0) - stage.wide).abs().max()) < 1e-4
    weave = perturbations.chequered(torch.full((1, 1, 4, 4), 0.5), 0.1)
    assert weave[0, 0, 0].tolist() == pytest.approx([0.6, 0.4, 0.6, 0.4])


def mean_moves(stage, fault: str, strength: float, unit: str) -> dict[str, float]:
    made, possible = stage.output(fault, strength)
    moves = stage.moves(made)
    return stage.in_units({n: blindness.known_mean(v[possible.numpy()]) for n, v in moves.items()}, unit)


def test_as_a_gate_ssim_sees_a_shift_and_not_a_bridge_and_topology_the_reverse(stage):
    faults = (("bridge", 2.0), ("shift", 1.0), ("checkerboard", 0.2))
    table = {fault: mean_moves(stage, fault, strength, blindness.ANY) for fault, strength in faults}
    assert abs(table["bridge"]["SSIM"]) < 1 < table["shift"]["SSIM"]
    assert table["bridge"]["defects"] == pytest.approx(1.0, abs=0.3)
    assert abs(table["checkerboard"]["EPE"]) < 0.2 < 3 < table["checkerboard"]["SSIM"]
    words = alt_text(sensitivity.moves_figure(table))
    assert "bridge by L1, PSNR, SSIM" in words


def test_a_metric_varies_less_over_outputs_of_one_layout_than_over_layouts(stage):
    same, everywhere = (stage.units[unit] for unit in blindness.UNITS)
    assert same["L1"] < everywhere["L1"] / 5
    assert same["SSIM"] < everywhere["SSIM"] / 3
    assert same["IoU"] == pytest.approx(everywhere["IoU"], rel=1.0)
    assert same["defects"] == everywhere["defects"] == 1.0
    gate = mean_moves(stage, "bridge", 2.0, blindness.ANY)
    paired = mean_moves(stage, "bridge", 2.0, blindness.SAME)
    assert paired["L1"] == pytest.approx(gate["L1"] * everywhere["L1"] / same["L1"])
    draws = [
        blindness.judge(centre(perturbations.ordinary(stage.wide, k)), stage.target)
        for k in range(blindness.DRAWS)
    ]
    values = np.array([np.where(draw["defects"] == 0, draw["L1"], np.nan) for draw in draws])
    assert same["L1"] == pytest.approx(np.nanmean(np.nanvar(values, 0, ddof=1)) ** 0.5)


def test_the_table_has_every_fault_and_grade(stage):
    table = blindness.in_units(stage, 4)
    assert list(table) == [(name, fault.levels[3]) for name, fault in FAULTS.items()]
    assert "noise 0.4" in alt_text(sensitivity.move_table_figure(stage, grade=4))
    most = blindness.most_moved(table)
    assert set(most.values()) <= set(blindness.STANDARD)
    assert all(abs(table[row][name]) >= abs(table[row]["SSIM"]) for row, name in most.items())
    rows = sensitivity.most_sensitive_table(stage, 4).rows
    assert [row[1] for row in rows] == list(most.values())


def test_the_explorer_draws_every_fault(stage):
    controls = (
        Choice("fault", "fault", tuple(FAULTS), "bridge"),
        Slider("grade", "strength", 1, 4, 3, 1),
        Choice("image", "layout", (1,), 1),
    )
    explorer = Explorer(partial(sensitivity.fault_figure, stage), controls, "faults")
    for state in explorer.grid():
        assert explorer.problems(state) == []


def test_gate_and_agreement_at_smoke(tmp_path):
    gate = ssim_gate.gate("smoke")
    falls = {part: np.mean(values) for part, values in gate["data"].items()}
    assert falls["bridge"] < 0.05 < falls["blur"] < falls["CD +2 px"]
    assert gate["numbers"]["bridge: defects"] == 1.0
    assert gate["numbers"]["SEM: no noise"] > gate["numbers"]["SEM: another draw"]
    record = claims.record("G23", gate["data"], scale="smoke", run=tmp_path / "run.jsonl")
    assert record["verdict"] == "open"
    agree = ssim_gate.agreement("smoke")
    assert agree["data"]["same settings"] < 1e-12
    assert agree["data"]["default settings"] > 1e-3
    assert agree["numbers"]["data range 255: SSIM"] > 0.999
    if ssim_gate.have_torchmetrics():
        assert agree["numbers"]["torchmetrics, border cropped"] < 1e-12 < agree["numbers"]["torchmetrics"]
    assert {"G23", "G24", "G35"} <= set(experiments())


def test_pixel_metrics_prefer_the_picture_without_noise_and_geometry_does_not():
    found = sem_judges.candidates(6, SIZE)
    rows = sem_judges.judge_answers(found)
    assert rows["no noise"]["SSIM"] > rows["another draw"]["SSIM"]
    assert rows["another draw"]["fine noise / real"] == pytest.approx(1.0, abs=0.05)
    assert rows["half the noise"]["fine noise / real"] < 0.7
    assert rows["another draw"]["spectrum distance"] < 1 < rows["smooth noise"]["spectrum distance"]
    assert rows["CD +2 px"]["EPE"] > 1.5 * rows["another draw"]["EPE"]
    level, variance = sem_judges.noise_against_signal(
        found.answers["another draw"], found.answers["no noise"]
    )
    slope = np.polyfit(level, variance, 1)[0]
    assert slope == pytest.approx(1 / sem_judges.IMAGING.dose[0], rel=0.15)  # shot noise: 1 / dose
    level, variance = sem_judges.noise_against_signal(found.answers["level noise"], found.answers["no noise"])
    assert abs(np.polyfit(level, variance, 1)[0]) < slope / 5
    assert "half the noise" in alt_text(ground_truth.noise_figure(found, ("half the noise",)).figure)
    assert "a feature missing" in alt_text(ground_truth.candidates_figure(found))


def test_six_outputs_are_ranked_the_wrong_way_round_by_ssim(six):
    orders = six.orders()
    assert all(sorted(order) == list("ABCDEF") for order in orders.values())
    assert set(orders["domain"][-2:]) == {"B", "D"}  # the two with defects
    assert set(orders["SSIM"][:2]) == {"B", "D"}
    assert rankings.rank_correlation(orders["SSIM"], orders["domain"]) < 0
    assert len(sensitivity.order_table(six).rows) == 6
    assert "B: bridge" in alt_text(sensitivity.six_figure(six, revealed=True))
    assert "bridge" not in alt_text(sensitivity.six_figure(six))


def test_orders_are_correlated_layout_by_layout(six):
    found = mismatch.correlations(96, (1,))
    orders = six.orders()
    assert found["IoU"] == [rankings.rank_correlation(orders["IoU"], orders["domain"])]
    assert "SSIM -0." in alt_text(sensitivity.correlation_figure(found).figure)


def test_a_ranking_is_kept_and_compared(six):
    rankings.rank("toy", "Which?", six.outputs)
    orders = six.orders()
    assert "no ranking was stored" in str(rankings.compare("toy", orders))
    rankings.store_ranking("toy", list("FEDCBA"))
    assert progress.get("predictions", "toy") == {"ranking": list("FEDCBA")}
    rows = {row[0]: row for row in rankings.compare("toy", {"same": "ABCDEF", "domain": "ABCDEF"}).rows}
    assert rows["you"][2] == rows["same"][3] == "\N{MINUS SIGN}1.00"
    assert rows["you"][3] == "+1.00"
    with pytest.raises(ConfigError, match="each of A, B"):
        rankings.store_ranking("toy", ["A", "A"])
    with pytest.raises(ConfigError, match="Nothing was asked"):
        rankings.store_ranking("other", ["A"])
    with pytest.raises(ConfigError, match="two or more"):
        rankings.rank("toy", "Which?", ["A"])


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    generator = np.random.default_rng(0)
    for _ in range(5):
        order = generator.permutation(7).tolist()
        expected = spearmanr(np.argsort(order), np.arange(7)).statistic
        assert rankings.rank_correlation(order, range(7)) == pytest.approx(expected)


def test_thresholds_move_with_a_bias(stage):
    outputs = {"good": stage.output("blur", 0.5)[0], "wide": stage.output("CD bias", 1.0)[0]}
    thresholds = [0.3, 0.5, 0.7, 0.9]
    sweep = mismatch.threshold_sweep(outputs, stage.target, thresholds)
    assert int(np.argmax(sweep["good"])) == 1
    assert int(np.argmax(sweep["wide"])) == 2
    assert "wide is best at 0.70" in alt_text(sensitivity.threshold_figure(sweep, thresholds).figure)
    radii = mismatch.printed_radius([20.0, 30.0])
    assert radii == pytest.approx([1.861 * 20, 1.861 * 30], rel=0.03)
    assert "1.86 times" in alt_text(sensitivity.corner_figure([20.0, 30.0], radii).figure)


def test_figures_of_single_images_have_words(stage):
    made = stage.output("blur", 0.5)[0]
    assert "nm wide" in alt_text(sensitivity.cut_line_figure(made[0], SIZE // 2))
    assert "contours" in alt_text(sensitivity.contour_figure(made[0], stage.target[0]))
    words = alt_text(sensitivity.ssim_map_figure(made[:2], stage.target[:1], ["one", "two"]))
    one = float(ssim(made[:1].double(), stage.target[:1].double(), data_range=1.0))
    assert f"one: mean SSIM {one:.3f}" in words
    images = {"one draw": made, "other": made}
    assert "SSIM 1.00" in alt_text(ground_truth.acquisitions_figure(images, {"other": 1.0}, 32))


def test_arms_of_the_gaming_sweep_differ_in_the_loss_alone():
    assert gaming.WEIGHTS[gaming.BY_SSIM] == (1.0, 0.0)
    assert gaming.WEIGHTS[gaming.BY_L1] == (0.0, 1.0)
    setting = gaming.SETTINGS["smoke"]
    losses = {}
    for arm, weights in gaming.WEIGHTS.items():
        config = gaming.MetricLossConfig(
            gaming.generator_config(setting), *weights, 1e-3, arm == gaming.BY_SIGNED
        )
        task = gaming.MetricLossTask(config, seed=3)
        losses[arm] = next(task.generator.parameters()).detach().clone()
    assert all(torch.equal(first, losses[gaming.BY_L1]) for first in losses.values())


@pytest.mark.parametrize("signed", [False, True])
def test_only_in_the_networks_range_is_a_reversed_layout_good(signed: bool):
    """The step's own loss, of a generator that answers with the layout reversed."""
    generator = gaming.generator_config(gaming.SETTINGS["smoke"])
    task = gaming.MetricLossTask(gaming.MetricLossConfig(generator, 1.0, 0.0, 1e-3, signed))
    layout = -torch.ones(1, 1, 32, 32)
    layout[..., 8:13, :] = 1.0
    answer = (-layout).requires_grad_()
    task.generator.forward = lambda source, noise=None: answer
    runtime = SimpleNamespace(generator=None, backward=lambda loss: loss.backward())
    loss = float(task.step({"input": layout, "target": layout}, runtime)["loss_ssim"])
    assert (loss < 1.0) == signed


def test_the_gaming_row_is_what_its_claim_takes(tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    row = gaming.SWEEP.row(0, "smoke")
    assert list(row) == list(gaming.WEIGHTS)
    table = Table({"scale": "smoke"}, {0: row, 1: row})
    judged = gaming.judged(table)
    assert set(judged["data"]) == {part.name for part in claims.get("G35").parts}
    record = claims.record(
        "G35", **judged, scale="smoke", seeds=(0, 1), run=tmp_path / "run.jsonl", config={}
    )
    assert record["verdict"] == "open"
    assert "EPE over 2 seeds" in alt_text(ground_truth.gaming_figure(table))
    layout = torch.zeros(2, 1, 32, 32)
    layout[..., 8:16] = 1.0
    perfect = gaming.score(layout, layout)
    assert (perfect["SSIM"], perfect["EPE"], perfect["defects"]) == (1.0, 0.0, 0.0)
