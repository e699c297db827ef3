"""Diagnoses of a GAN's log: each failure by made-up records, their order, and what is no failure."""

import math

import numpy as np
import pytest

from gantrans.training import History
from gantrans.translation import DIAGNOSES, Thresholds, diagnose
from gantrans.translation.diagnostics import REMEDY, judge, swing


def log(accuracy, count=40, **others):
    """Records every ten steps; `accuracy` and the others are numbers or functions of the place in [0, 1]."""

    def value(given, place):
        return float(given(place) if callable(given) else given)

    return [
        {"step": 10.0 * (i + 1), "d_accuracy": value(accuracy, i / (count - 1))}
        | {name: value(given, i / (count - 1)) for name, given in others.items()}
        for i in range(count)
    ]


def wave(place, periods=3.0, height=0.2):
    return 0.7 + height * math.sin(2 * math.pi * periods * place)


CASES = {
    "healthy": log(0.8, spread=0.9, gradient_ratio=0.2),
    "discriminator dominance": log(0.99, spread=0.9, gradient_ratio=0.2),
    "adversarial excess": log(0.8, spread=0.9, gradient_ratio=2.6),
    "collapse": log(0.8, spread=0.1, gradient_ratio=0.2),
    "oscillation": log(wave, spread=0.9, gradient_ratio=0.2),
    "non-finite": [*log(0.8, spread=0.9), {"step": 500.0, "d_accuracy": 0.8, "loss_d": math.nan}],
    "too short": log(0.99, count=5),
}


def test_every_diagnosis_has_its_case():
    assert set(CASES) == set(DIAGNOSES)


@pytest.mark.parametrize("name", CASES)
def test_each_case_gets_its_name_and_a_sentence(name):
    diagnosis = diagnose(CASES[name])
    assert diagnosis.name == name
    assert str(diagnosis) == f"{name}: {diagnosis.evidence}"
    assert diagnosis.evidence.endswith(".")
    assert diagnosis.evidence.count(". ") == 0
    assert diagnosis.numbers


def test_a_history_and_its_records_give_the_same():
    history = History()
    for record in CASES["oscillation"]:
        history.append(record)
    assert diagnose(history) == diagnose(CASES["oscillation"])


def test_validation_records_are_passed_over():
    mixed = [r for record in CASES["healthy"] for r in (record, {"step": record["step"], "val_iou": 0.7})]
    assert diagnose(mixed) == diagnose(CASES["healthy"])


def test_a_run_without_a_discriminator_is_too_short_to_judge():
    assert diagnose([{"step": 1.0, "loss_l1": 0.5}] * 50).name == "too short"


def test_a_collapsed_run_that_swings_is_collapsed():
    assert diagnose(log(wave, spread=0.1)).name == "collapse"


def test_a_swing_of_a_dominating_discriminator_is_an_oscillation():
    assert diagnose(log(lambda p: 0.96 if wave(p) > 0.7 else 0.7, spread=0.9)).name == "oscillation"


def test_noise_of_batches_is_no_oscillation():
    draw = np.random.default_rng(0)
    assert diagnose(log(lambda _: 0.75 + 0.06 * draw.standard_normal(), spread=0.9)).name == "healthy"


def test_a_run_that_bends_or_drifts_is_no_oscillation():
    assert diagnose(log(lambda p: 0.5 + 0.4 * p, spread=0.9)).name == "healthy"
    bent = diagnose(log(lambda p: 0.9 - 1.6 * (p - 0.6) ** 2, spread=0.9))
    assert bent.numbers["swing"] > Thresholds().swing or bent.numbers["crossings"] == 2
    assert bent.name == "healthy"


def test_what_happened_early_does_not_count():
    early = diagnose(log(lambda p: 1.0 if p < 0.2 else 0.8, spread=lambda p: 0.05 if p < 0.4 else 0.9))
    assert early.name == "healthy"


def test_dominance_says_whether_it_hurts():
    words = {
        ratio: diagnose(log(1.0, spread=0.9, gradient_ratio=ratio)).evidence for ratio in (0.01, 0.3, 20.0)
    }
    assert "could be left out" in words[0.01]
    assert "may be harmless" in words[0.3]
    assert "outweighs L1" in words[20.0]
    assert "there is no L1 loss" in diagnose(log(1.0, spread=0.9, gradient_gan=0.4)).evidence


def test_a_loud_adversarial_gradient_is_an_excess_at_any_accuracy_below_dominance():
    """The limit itself counts; 1, where both gradients are equal, does not."""
    names = {r: diagnose(log(0.8, spread=0.9, gradient_ratio=r)).name for r in (1.0, 1.49, 1.5, 40.0)}
    excess = "adversarial excess"
    assert names == {1.0: "healthy", 1.49: "healthy", 1.5: excess, 40.0: excess}
    undecided = diagnose(log(0.5, spread=0.9, gradient_ratio=40.0))
    assert undecided.name == "adversarial excess"
    assert "is 40 times that of L1 while D is right 50% of the time" in undecided.evidence
    assert REMEDY in undecided.evidence


def test_the_other_failures_come_before_the_excess():
    loud = {"gradient_ratio": 20.0}
    assert diagnose(log(0.8, spread=0.1, **loud)).name == "collapse"
    assert diagnose(log(wave, spread=0.9, **loud)).name == "oscillation"
    assert diagnose(log(0.99, spread=0.9, **loud)).name == "discriminator dominance"


def test_without_an_l1_loss_there_is_no_excess():
    assert diagnose(log(0.8, spread=0.9, gradient_gan=40.0)).name == "healthy"


def test_an_excess_that_ended_in_the_first_half_does_not_count():
    falling = diagnose(log(0.8, spread=0.9, gradient_ratio=lambda p: 30.0 if p < 0.4 else 0.2))
    assert falling.name == "healthy"
    assert "0.2 times that of L1" in falling.evidence


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("non-finite", "too short")])
def test_numbers_that_were_kept_are_judged_alike(name):
    diagnosis = diagnose(CASES[name])
    assert judge(diagnosis.numbers) == diagnosis
    everything = Thresholds(spread=math.inf)
    assert judge(diagnosis.numbers, everything).name == "collapse"


def test_infinite_numbers_are_named_with_their_step():
    diagnosis = diagnose([*log(0.8), {"step": 410.0, "loss_gan_g": math.inf}])
    assert diagnosis.name == "non-finite"
    assert diagnosis.evidence == "loss_gan_g is inf at step 410."
    assert diagnosis.numbers == {"step": 410.0}


def test_thresholds_can_be_changed():
    assert diagnose(CASES["healthy"], Thresholds(accuracy=0.75)).name == "discriminator dominance"
    assert diagnose(CASES["too short"], Thresholds(records=4)).name == "discriminator dominance"
    assert diagnose(CASES["healthy"], Thresholds(excess=0.1)).name == "adversarial excess"
    assert diagnose(CASES["adversarial excess"], Thresholds(excess=3.0)).name == "healthy"


def test_swing_of_a_known_wave():
    """A sine of amplitude a has standard deviation a / sqrt(2), and two crossings per period."""
    place = np.arange(240)
    deviation, crossings = swing(0.5 + 0.001 * place + 0.2 * np.sin(2 * np.pi * place / 60))
    assert deviation == pytest.approx(0.2 / math.sqrt(2), rel=0.05)
    assert crossings in (7, 8, 9)
    assert swing(0.5 + 0.01 * place)[0] == pytest.approx(0.0, abs=1e-12)
