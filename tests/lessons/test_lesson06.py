"""Lesson 06: losses, norms, the factorial on made-up tables with known effects, arms, provoked failures."""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.errors import ConfigError
from gantrans.networks import PatchGAN, PatchGANConfig, UNetGenerator
from gantrans.teaching import claims
from gantrans.teaching.explorers import Choice, Explorer, Slider
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table, committed
from gantrans.training import History
from gantrans.translation import AdversarialLoss, Thresholds
from lessons.lesson06.experiments import factorial as plan
from lessons.lesson06.experiments import failures, gradients, spectral, stabilization
from lessons.lesson06.experiments import stabilization_arms as arms
from lessons.lesson06.figures import losses, training, warnings

EFFECTS = {"least squares": 0.2, "spectral norm": 0.05, "smoothing": 0.0, "decay": -0.1}
QUANTITIES = ("IoU", "EPE", "gradient", "gradient ratio", "D accuracy", "D(real)", "late swing", "growth")
ABOUT = {"scale": "smoke", "date": "2026-01-01T00:00:00+00:00", "code": "0", "command": "none"}


def made_up(seeds=6):
    """A table whose arms have known effects on every quantity, beside an offset and noise per seed."""
    rows = {}
    for seed in range(seeds):
        draw, row = np.random.default_rng(seed), {}
        for setting in arms.TERMS:
            few = arms.TERMS[setting].few
            for arm in arms.MEMORY_ARMS if few else arms.ARMS:
                value = 1 + 0.1 * seed + sum(EFFECTS[f] for f in arms.factors_of(arm))
                value += 1e-3 * draw.standard_normal()
                numbers = dict.fromkeys(QUANTITIES, value)
                numbers |= {"D accuracy, training": value, "D accuracy, held-out": 0.5, "raw growth": 1.0}
                row[plan.arm_in(setting, arm)] = numbers | {"largest growth": 2.0}
        rows[seed] = row
    return Table(ABOUT, rows)


TABLE = made_up()


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTRANS_CACHE", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("TQDM_DISABLE", "1")
        yield


# ---- losses


def test_the_explorer_draws_every_state_of_its_grid():
    controls = (
        Choice("loss", "loss", tuple(gradients.KINDS), "saturating"),
        Choice("where", "where", (losses.ON, losses.BEHIND), losses.ON),
        Slider("logit", "logit", -12, 6, 0.5, -6),
    )
    explorer = Explorer(losses.loss_figure, controls, "losses")
    for state in explorer.grid():
        assert explorer.problems(state) == []


def test_gradients_are_what_the_formulas_say():
    x = torch.linspace(-9, 9, 7)
    s = x.sigmoid()
    wanted = {"minimax": -s, "non_saturating": s - 1, "lsgan": 2 * (x - 1), "hinge": -torch.ones(7)}
    for kind, formula in wanted.items():
        assert torch.allclose(gradients.curves(kind, x, sigmoid=False)[1], formula, atol=1e-6)
    behind = {"minimax": -s, "non_saturating": s - 1, "lsgan": 2 * (s - 1) * s * (1 - s)}
    for kind, formula in behind.items():
        assert torch.allclose(gradients.curves(kind, x, sigmoid=True)[1], formula, atol=1e-4)


def test_g05_is_exact_and_excluded():
    result = gradients.at_minus_ten("smoke")
    assert result["data"] == pytest.approx(1 - 1 / (1 + math.exp(10)), abs=1e-6)
    assert result["numbers"]["saturating"] == pytest.approx(1 / (1 + math.exp(10)), rel=1e-3)
    assert result["numbers"]["least squares"] == 22
    part = claims.judge_part(claims.get("G05").parts[0], result["data"])
    assert claims.judge(claims.get("G05"), {"all": part}, "reduced") == "excluded"


def test_vanishing_points_in_float32():
    """x (1 - x) falls below the 1e-12 of BCELoss at 12 ln 10 = 27.6, D below 1e-8 at 8 ln 10 = 18.4."""
    numbers = gradients.at_minus_ten("smoke")["numbers"]
    assert -29 < numbers["vanishing point, sigmoid and BCELoss"] < -27.6
    assert numbers["vanishing point, epsilon"] == pytest.approx(-8 * math.log(10), abs=0.2)
    logits = AdversarialLoss("non_saturating").generator
    assert gradients.vanishing_point(lambda x: torch.stack([logits(f) for f in x])) == -torch.inf


def test_a_frozen_generator_hears_two_losses_from_one_discriminator():
    run = gradients.frozen_generator("cross-entropy", 0, "smoke")
    steps = gradients.SETTINGS["smoke"].steps
    assert len(run.accuracy) == steps
    assert set(run.gradients) == {"minimax", "non_saturating"}
    assert all(len(values) == steps and min(values) > 0 for values in run.gradients.values())
    first = [values[0] for values in run.gradients.values()]
    assert max(first) < 4 * min(first)  # an undecided D: both slopes are about a half
    again = gradients.frozen_generator("cross-entropy", 0, "smoke")
    assert again == run


# ---- spectral norm


def toeplitz_norm(weight: Tensor, stride: int, padding: int, size: int) -> float:
    """The norm of a convolution by SVD of its full matrix."""
    inputs = weight.shape[1]
    basis = torch.eye(inputs * size * size, dtype=torch.float64).reshape(-1, inputs, size, size)
    matrix = F.conv2d(basis, weight.double(), stride=stride, padding=padding).flatten(1)
    return float(torch.linalg.matrix_norm(matrix, 2))


@pytest.mark.parametrize(("stride", "size"), [(1, 6), (2, 6), (2, 7)])
def test_the_operator_norm_is_that_of_the_full_matrix(stride, size):
    weight = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(stride))
    found = spectral.operator_norm(weight, stride, 1, size, iterations=3000)
    assert found == pytest.approx(toeplitz_norm(weight, stride, 1, size), rel=1e-4)


def test_power_iteration_grows_towards_the_svd_and_never_beyond():
    weight = torch.randn(8, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    exact = float(torch.linalg.matrix_norm(weight, 2))
    estimates = spectral.power_iteration(weight, 60)
    assert (estimates.diff() > -1e-12).all()
    assert float(estimates[-1]) <= exact + 1e-12
    assert float(estimates[-1]) == pytest.approx(exact, rel=1e-6)
    assert float(estimates[0]) < 0.99 * exact


def test_g08_is_exact_and_holds_with_conditions():
    result = spectral.one_and_not_one("smoke")
    assert 1.0 < result["data"]["reshaped matrix"] < 1.05 < result["data"]["convolution"]
    findings = {n: claims.judge_part(claims.get("G08").part(n), v) for n, v in result["data"].items()}
    assert claims.judge(claims.get("G08"), findings, "reduced") == "excluded"


def test_layer_norms_with_and_without_spectral_norm():
    plain, bound = (PatchGAN(PatchGANConfig(base_filters=4, spectral_norm=on)) for on in (False, True))
    assert spectral.layer_norms(plain) == spectral.layer_norms(plain, raw=True)
    assert spectral.layer_norms(bound, raw=True)[0] == pytest.approx(spectral.layer_norms(plain)[0], rel=1e-6)
    assert max(spectral.layer_norms(bound)) < 1.1
    assert bound.training  # asking changes nothing


# ---- the factorial


def test_names_of_arms():
    assert len(set(arms.ARMS)) == 20
    assert arms.ARMS[0] == "baseline"
    assert "all four" in arms.ARMS
    assert plan.arm_name(("decay", "least squares")) == "least squares + decay"
    assert {len(arms.factors_of(arm)) for arm in arms.BESIDE} == {0}
    for subset in plan.factorial():
        assert arms.factors_of(plan.arm_name(subset)) == subset
    with pytest.raises(ConfigError, match="no factor 'luck'"):
        plan.arm_name(("luck",))


def test_main_effects_find_what_was_put_in():
    for factor, size in EFFECTS.items():
        effect = plan.main_effect(TABLE.rows, arms.HOSTILE, factor, "IoU")
        assert effect.measured == pytest.approx(size, abs=2e-3)
        assert effect.low < size < effect.high
        assert len(effect.per_seed) == 6
        assert effect.decided == (size != 0)


def test_a_geometric_mean_does_not_follow_one_arm_that_explodes():
    rows = {0: {arm: {"gradient": 1.0} for arm in TABLE.rows[0]}}
    rows[0][plan.arm_in(arms.USUAL, "smoothing")] = {"gradient": 256.0}
    plain, geometric = (
        plan.level_means(rows, arms.USUAL, "smoothing", "gradient", geometric=on)[0] for on in (False, True)
    )
    assert plain == [pytest.approx((256 + 7) / 8)]
    assert geometric == [pytest.approx(2.0)]


def test_one_arm_against_another_and_too_few_seeds():
    effect = plan.compare(TABLE.rows, arms.BETWEEN, "all four", "baseline", "IoU")
    assert effect.measured == pytest.approx(sum(EFFECTS.values()), abs=2e-3)
    with pytest.raises(ConfigError, match="at least two seeds"):
        plan.compare({0: TABLE.rows[0]}, arms.BETWEEN, "all four", "baseline", "IoU")


def test_arms_differ_in_their_factors_alone():
    def config(arm, setting=arms.USUAL):
        return arms.task_config(setting, arm, "reduced")

    base, every = config("baseline"), config("all four")
    assert (base.adversarial, base.real_label, base.buffer) == ("non_saturating", 1.0, 0)
    assert (every.adversarial, every.real_label) == ("lsgan", 0.9)
    assert base.generator == every.generator
    assert base.weight_l1 == every.weight_l1 == 100
    assert {config(arm).discriminator.norm for arm in arms.ARMS[:16]} == {"none"}
    assert every.discriminator.spectral_norm
    assert not base.discriminator.spectral_norm
    assert config("minimax").adversarial == "minimax"
    assert config("image buffer").buffer == 50
    assert config("batch norm in D").discriminator.norm == "batch"
    assert config("L1 only").discriminator is None
    assert config("decay") == base  # the schedule is the training's, not the task's
    hostile = config("baseline", arms.HOSTILE)
    assert hostile.weight_l1 == 1
    assert hostile.lr_discriminator == 5 * hostile.lr_generator
    few = config("smoothing", arms.FEW)
    assert few.discriminator.n_layers == "global"
    assert few.generator.noise_injection


def test_watch_scores_every_tenth_and_often_at_the_end():
    data = arms.pairs("val", arms.USUAL, "smoke", 0)
    watch = arms.Watch(data, steps=100, watch=5)

    class Task:
        generator = UNetGenerator(arms.generator_config(arms.USUAL, "smoke")).eval()

    scored = [step for step in range(2, 101, 2) if watch(Task())]
    assert watch.every == 2
    assert scored == [*range(10, 91, 10), 92, 94, 96, 98, 100]


def test_second_half_and_late_swing():
    history = History()
    for step in range(1, 41):
        history.append({"step": float(step), "d_accuracy": float(step > 20), "val_iou": step % 2 / 10})
    assert stabilization.second_half(history, "d_accuracy") == 1.0
    assert stabilization.late_swing(history) == pytest.approx(0.05)
    assert math.isnan(stabilization.second_half(history, "nothing"))


@pytest.fixture(scope="module")
def rows(_cache):
    chosen = {arms.USUAL: ("baseline", "all four", "L1 only"), arms.FEW: ("baseline",)}
    return {
        arm: row
        for setting, names in chosen.items()
        for arm, row in stabilization.run_seed(setting, names, 0, "smoke").items()
    }


def test_every_arm_is_scored(rows):
    assert list(rows) == ["usual: baseline", "usual: all four", "usual: L1 only", "few pairs: baseline"]
    for arm, numbers in rows.items():
        assert all(math.isfinite(value) for value in numbers.values()), arm
    assert "D accuracy" not in rows["usual: L1 only"]
    assert "IoU" not in rows["few pairs: baseline"]
    assert {*QUANTITIES, "raw growth", "largest growth"} <= set(rows["usual: all four"])
    assert rows["usual: all four"]["growth"] == pytest.approx(1.0, abs=0.05)
    for name in ("D accuracy, training", "D accuracy, held-out"):
        assert 0 <= rows["few pairs: baseline"][name] <= 1


def test_an_untrained_discriminator_has_not_grown(rows):
    one = arms.train_arm(arms.USUAL, "baseline", 0, "smoke")
    task = arms.task_config(arms.USUAL, "baseline", "smoke")
    grown = stabilization.growth(one, one.discriminator)
    assert set(grown.values()) == {1.0}
    assert stabilization.growth(one, PatchGAN(task.discriminator, 1))["growth"] != 1.0


def test_accuracy_of_a_discriminator_that_says_real_to_everything(rows):
    one = arms.train_arm(arms.USUAL, "baseline", 0, "smoke")
    with torch.no_grad():
        one.discriminator.to_logits.bias.fill_(1e3)
    data, loss = arms.pairs("test", arms.USUAL, "smoke", 0), AdversarialLoss("non_saturating")
    assert stabilization.d_accuracy(one, data, arms.USUAL, loss) == 0.5


def test_claims_of_the_sweep_judge_the_made_up_table():
    for claim_id, judged in stabilization.SWEEP.claims.items():
        result, claim = judged(TABLE), claims.get(claim_id)
        parts = (
            result["data"]
            if set(result["data"]) == {p.name for p in claim.parts}
            else {"all": result["data"]}
        )
        findings = {name: claims.judge_part(claim.part(name), data) for name, data in parts.items()}
        assert all(finding.count == 6 for finding in findings.values())
        assert all(math.isfinite(value) for value in result["numbers"].values())
    main = stabilization.least_squares(TABLE)["data"]["main effect"]
    assert np.mean(main["least squares"]) - np.mean(main["BCE"]) == pytest.approx(0.2, abs=2e-3)
    gap = stabilization.growth_and_gap(TABLE)["data"]["gap of D"]
    assert gap["no smoothing"][0] == pytest.approx(1.1 - 0.5, abs=3e-3)  # mean of 1 and 1.2, minus a half


def test_every_claim_of_the_lesson_has_its_experiment():
    assert {"G05", "G06", "G07", "G08", "G09", "G10", "G33", "G34"} <= set(experiments())


# ---- provoked failures


def test_a_provoked_run_gets_one_diagnosis():
    row = failures.run_seed("healthy", 0, "smoke")["healthy"]
    assert sum(value for name, value in row.items() if name.startswith("diagnosed")) == 1
    assert len(failures.train("healthy", 0, "smoke")) == failures.RECORDS
    settings = {failures.task_config(name, failures.SETTINGS["reduced"]) for name in failures.PROVOKED}
    assert len(settings) == 4


def test_confusion_counts_runs():
    named = {"healthy": "healthy", "collapse": "oscillation"}
    rows = {
        seed: {
            p: {f"diagnosed {d}": float(d == named.get(p, p)) for d in failures.DIAGNOSES} | {"accuracy": 0.5}
            for p in failures.PROVOKED
        }
        for seed in range(20)
    }
    table = Table(ABOUT, rows)
    counts = failures.confusion(table)
    assert counts["healthy"]["healthy"] == 20
    assert counts["collapse"]["collapse"] == 0
    assert counts["collapse"]["oscillation"] == 20
    result = failures.recognised(table)
    assert result["data"]["oscillation"] == (20, 20)
    assert result["data"]["collapse"] == (0, 20)
    assert result["numbers"]["collapse called oscillation"] == 20
    assert failures.missed(table, "healthy") == {}
    assert failures.missed(table, "collapse")["seed 3"] == {"accuracy": 0.5}
    findings = {n: claims.judge_part(claims.get("G33").part(n), d) for n, d in result["data"].items()}
    assert {finding.verdict for finding in findings.values()} == {"open"}  # of the 48 that the rule asks for
    assert "collapse: 0 of 20" in alt_text(warnings.confusion_figure(counts))


SEEN = {"accuracy": 0.7, "spread": 0.8, "ratio": 9.0, "gradient": 0.1, "swing": 0.05, "crossings": 2.0}


def provoked_rows(*oscillating):
    """A row per run set up to oscillate, {name: numbers}; the other kinds are as they should be."""
    right = {
        "healthy": {"ratio": 0.1},
        "discriminator dominance": {"accuracy": 1.0},
        "collapse": {"spread": 0.1},
    }
    return {
        seed: {kind: {f"diagnosed {kind}": 1.0, **SEEN, **numbers} for kind, numbers in right.items()}
        | {"oscillation": {f"diagnosed {name}": 1.0, **numbers}}
        for seed, (name, numbers) in enumerate(oscillating)
    }


def test_tables_older_and_newer_than_a_diagnosis_are_counted_together():
    """An older row lacks the key of a newer name, and a run that was not finite lacks the numbers."""
    rows = provoked_rows(
        ("healthy", SEEN), ("adversarial excess", SEEN), ("non-finite", {"step": 40.0}),
        ("oscillation", SEEN | {"swing": 0.2, "crossings": 5.0}),
    )  # fmt: skip
    table = Table(ABOUT, rows)
    as_written = failures.confusion(table)["oscillation"]
    assert {n: c for n, c in as_written.items() if c} == {
        "healthy": 1, "adversarial excess": 1, "non-finite": 1, "oscillation": 1,
    }  # fmt: skip
    anew = failures.confusion(table, Thresholds())["oscillation"]
    assert {n: c for n, c in anew.items() if c} == {
        "adversarial excess": 2, "non-finite": 1, "oscillation": 1,
    }  # fmt: skip
    result = failures.recognised(table)
    assert result["data"]["oscillation"] == (1, 4)
    assert result["numbers"]["oscillation called adversarial excess"] == 1
    assert result["numbers"]["oscillation: ratio"] == pytest.approx(9.0)
    assert result["numbers"]["oscillation: step"] == 40.0
    strict = failures.confusion(table, Thresholds(swing=0.04, crossings=2))["oscillation"]
    assert strict["oscillation"] == 3
    assert "adversarial\nexcess" in [
        label.get_text()
        for label in warnings.confusion_figure({"oscillation": anew}).axes[0].get_xticklabels()
    ]


def test_the_words_on_missed_runs_are_counted():
    rows = provoked_rows(
        ("healthy", SEEN), ("healthy", SEEN | {"crossings": 4.0, "ratio": 3.0}),
        ("healthy", SEEN | {"swing": 0.1}), ("oscillation", SEEN | {"swing": 0.2, "crossings": 5.0}),
    )  # fmt: skip
    rows[0]["collapse"] = SEEN | {"spread": 0.4, "ratio": 0.2, "diagnosed healthy": 1.0}
    words = warnings.missed_words(Table(ABOUT, rows))
    assert words == (
        "- **collapse**, 4 runs; called otherwise: healthy 1. Their spread: 0.4; the limit is 0.25.\n"
        "- **oscillation**, 4 runs; called otherwise: adversarial excess 3. Fewer than 3 crossings: 2; a "
        "swing of 0.06 or less: 2; both: 1. Their gradient ratio: 3 to 9."
    )
    assert warnings.missed_words(Table(ABOUT, {3: rows[3]})).startswith("Every run got the name")


# ---- figures of results


def test_the_log_is_drawn_with_its_limits():
    histories = {"some run": failures.train("healthy", 0, "smoke")}
    words = alt_text(training.failures_figure(histories))
    assert "D's accuracy, limit 0.95. some run: mean of the second half " in words


def test_figures_of_the_factorial_tell_the_numbers():
    assert "hostile, mean IoU: baseline 1.25; " in alt_text(training.arms_figure(TABLE))
    words = alt_text(warnings.indicators_figure(TABLE))
    assert "IoU against gradient ratio, one point per arm: rank correlation usual +1.00, between" in words
    figure = partial(training.effects_figure, TABLE.rows)
    quantity = Choice("quantity", "quantity", ("IoU", "EPE", "late swing"), "IoU")
    explorer = Explorer(figure, (quantity,), "effects")
    for state in explorer.grid():
        assert explorer.problems(state) == []
    assert "usual: least squares +0.2 (" in alt_text(figure(quantity="IoU"))
    record = {"parts": {"main effect": {"data": {"least squares": [1.0, 2.0], "BCE": [0.5, 1.0]}}}}
    assert "least squares 1.5" in alt_text(training.claim_figure(record, {"main effect": "IoU"}))


# ---- which number warned


def test_correlations_are_within_settings_and_together():
    """The ratio falls as IoU rises within each setting; both rise between them: together the sign turns."""
    rows = {seed: {arm: dict(v) for arm, v in row.items()} for seed, row in TABLE.rows.items()}
    for row in rows.values():
        for k, setting in enumerate(plan_settings()):
            for arm in arms.ARMS:
                own = row[plan.arm_in(setting, arm)]
                own["gradient ratio"] = 100.0 * (k + 1) - own["IoU"]
                own["IoU"] += 100.0 * k
    found = warnings.correlations(Table(ABOUT, rows))["gradient ratio"]
    assert [found[setting] for setting in plan_settings()] == pytest.approx([-1, -1, -1])
    assert found["all together"] > 0.7


def plan_settings():
    return [setting for setting in arms.TERMS if not arms.TERMS[setting].few]


def test_the_limit_of_the_excess_is_where_iou_falls_below_l1_only():
    """What the docstring of `Thresholds` and the lesson say of the committed tables."""
    runs, limit = warnings.runs_of(committed("stabilization")), Thresholds().excess
    spoilt = [run.lead <= -warnings.LOSS for run in runs]
    loud = [run.ratio >= limit for run in runs]
    assert (sum(loud), sum(s and q for s, q in zip(spoilt, loud, strict=True))) == (175, 173)
    assert (len(runs) - sum(loud), sum(s and not q for s, q in zip(spoilt, loud, strict=True))) == (167, 19)
    between = [run for run in runs if run.setting == arms.BETWEEN and run.ratio >= limit]
    assert np.mean([run.lead <= -warnings.LOSS for run in between]) > 0.95
    free = committed("loss_weights").values("gradient ratio", "L1 weight 10")["L1 weight 10"]
    assert 0.75 < min(free) < max(free) < 1.35


def test_tables_of_warnings():
    table = warnings.ratio_table(committed("stabilization"))
    assert table.header[1] == "runs"
    assert sum(int(row[1]) for row in table.rows) == len(warnings.runs_of(committed("stabilization")))
    assert [row[0] for row in table.rows][-1] == "3 and more"
    beside = warnings.against_l1(TABLE)
    assert [row[0] for row in beside.rows] == plan_settings()
    assert beside.rows[0][2].startswith("+0.15")
    part = {"measured": 0.625, "count": 24, "low": 0.41, "high": 0.81, "verdict": "excluded"}
    shares = warnings.shares_table({"verdict": "excluded", "parts": {"oscillation": part}})
    assert shares.rows == [["oscillation", "62% of 24", "41% to 81%", "excluded"]]
    assert shares.header == ["provoked", "right name", "99% interval", "in at least 50%?"]


def test_what_the_lesson_says_of_the_committed_factorial():
    found = warnings.correlations(committed("stabilization"))
    accuracy, ratio = found["D accuracy"], found["gradient ratio"]
    assert ratio["all together"] < accuracy["all together"]
    assert ratio[arms.BETWEEN] < accuracy[arms.BETWEEN] < 0
    assert accuracy[arms.HOSTILE] < ratio[arms.HOSTILE] < 0
    table = committed("stabilization")
    for setting in plan_settings():
        assert plan.compare(table.rows, setting, "all four", "L1 only", "IoU").high < 0
    sure = {
        arm: row["D accuracy"] for arm, row in table.means(*[a for a in table.arms if "L1" not in a]).items()
    }
    names = [plan.arm_in(s, plan.arm_name(f)) for s in plan_settings() for f in plan.factorial()]
    assert max(names, key=sure.get) == "hostile: decay"
    assert {
        v for values in table.values("D accuracy, held-out", "few pairs: baseline").values() for v in values
    } == {0.5}
