"""The gate: bounds against references, every condition by itself, error rates on simulated challengers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from gantrans.errors import ConfigError, DataError
from gantrans.operations.promotion.gate import Compared, Decision, GateConfig, decide, lower_bound
from gantrans.teaching import claims
from lessons.lesson12.experiments import promotion
from lessons.lesson12.experiments.promotion import DEFECT_CASES, DEFECT_CONFIGS, GATES, Hold

HOLD = Hold()


def better(gain: float = 0.05, count: int = 60, seed: int = 0) -> Compared:
    change = np.random.default_rng(seed).normal(gain, 0.01, 3 * count)
    groups = [f"layout {i // 3}" for i in range(3 * count)]
    families = ["contact" if i % 2 else "jog" for i in range(3 * count)]
    champion = np.full(3 * count, 0.8)
    none = np.zeros(3 * count)
    return Compared(champion, champion + change, groups, families, none, none)


def run(
    new: Compared | None = None,
    old: Compared | None = None,
    slower: float = 1.0,
    smoke_problem: str = "",
    config: GateConfig | None = None,
) -> Decision:
    seconds = np.linspace(0.01, 0.02, 40)
    return decide(
        new or better(), old or better(0.0), latency=(seconds, slower * seconds),
        smoke_problem=smoke_problem, config=config,
    )  # fmt: skip


def failed(decision: Decision) -> list[str]:
    return [check.name for check in decision.checks if check.passed is not True]


def test_a_better_challenger_is_promoted_and_the_decision_can_be_read() -> None:
    decision = run()
    assert (decision.promoted, decision.verdict, failed(decision)) == (True, "promote", [])
    assert "lower bound" in str(decision)
    assert decision.to_dict()["verdict"] == "promote"
    assert len(decision.to_dict()["checks"]) == 8


def test_conditions_that_hold_no_longer_and_equal_networks_are_not_checked() -> None:
    decision = decide(better(), None, latency=None, smoke_problem="")
    assert decision.promoted
    assert [check.name for check in decision.checks] == [
        "new bound", "new families", "new topology", "smoke inference",
    ]  # fmt: skip
    assert failed(decide(better(0.0), None, latency=None, smoke_problem="")) == ["new bound"]


def test_each_condition_refuses_by_itself() -> None:
    assert failed(run(new=better(0.0))) == ["new bound"]
    assert failed(run(old=better(-0.02))) == ["old bound"]
    assert failed(run(slower=1.3)) == ["latency"]
    assert not failed(run(slower=1.2))
    refused = run(smoke_problem="all images are one constant")
    assert failed(refused) == ["smoke inference"]
    assert "all images are one constant" in str(refused)


def test_a_family_that_loses_is_not_hidden_by_the_mean() -> None:
    good = better(0.05)
    change = np.where(np.array(good.family) == "jog", -0.04, 0.15)
    assert failed(run(new=replace(good, challenger=0.8 + change))) == ["new families"]
    margins = GateConfig(family_margins={"jog": 0.05})
    assert not failed(run(new=replace(good, challenger=0.8 + change), config=margins))


def test_one_new_bridge_is_one_too_many() -> None:
    defects = np.zeros(180)
    defects[7] = 1
    assert failed(run(new=replace(better(), challenger_defects=defects))) == ["new topology"]
    assert failed(run(old=replace(better(0.0), challenger_defects=defects))) == ["old topology"]
    both = replace(better(), champion_defects=np.roll(defects, 1), challenger_defects=defects)
    assert not failed(run(new=both))
    assert not failed(
        run(new=replace(better(), challenger_defects=defects), config=GateConfig(new_defects=1))
    )


def test_the_bound_on_defects_refuses_what_is_demonstrable() -> None:
    rule = GateConfig(defect_rule="bound")
    generator = np.random.default_rng(0)
    many = generator.poisson(6.0, 180).astype(float)
    scatter = replace(better(), champion_defects=many, challenger_defects=np.roll(many, 1) + np.eye(180)[0])
    assert failed(run(new=scatter)) == ["new topology"]  # one more of a thousand
    assert not failed(run(new=scatter, config=rule))
    worse = replace(better(), champion_defects=many, challenger_defects=many + generator.poisson(1.0, 180))
    refused = run(new=worse, config=rule)
    assert failed(refused) == ["new topology"]
    assert "opens and bridges per image" in str(refused)
    one = replace(better(), challenger_defects=np.eye(180)[7])
    assert not failed(run(new=one, config=rule))  # its error: too few to show
    check = refused.checks[4]
    bound = lower_bound(worse.more_defects, worse.cluster)
    assert (check.name, check.measured, check.limit) == ("new topology", bound, 0.0)


def test_the_margin_on_defects_asks_the_challenger_for_evidence() -> None:
    many = np.random.default_rng(0).poisson(6.0, 180).astype(float)
    scatter = replace(better(), champion_defects=many, challenger_defects=np.roll(many, 1))
    tight, wide = (GateConfig(defect_rule="margin", defect_margin=m) for m in (0.1, 3.0))
    assert failed(run(new=scatter, config=tight)) == ["new topology"]
    assert not failed(run(new=scatter, config=wide))
    upper = -(lower_bound(-scatter.more_defects, scatter.cluster) or 0.0)
    assert run(new=scatter, config=wide).checks[4].measured == pytest.approx(upper)
    assert not failed(run(config=GateConfig(defect_rule="margin")))  # none, and none
    with pytest.raises(ConfigError, match="defect_rule is 'sum'; choose one of 'count', 'bound', 'margin'"):
        GateConfig(defect_rule="sum")
    few = run(new=better(count=9), config=wide)
    assert failed(few) == ["new bound", "new topology"]
    assert few.verdict == "insufficient data"


def test_nine_layouts_are_insufficient_data_and_ten_are_not() -> None:
    few = run(new=better(count=9))
    assert (few.promoted, few.verdict, failed(few)) == (False, "insufficient data", ["new bound"])
    assert "9 of at least 10 layouts" in str(few)
    assert run(new=better(count=10)).promoted
    # what failed for another reason is said to have failed
    assert run(new=better(count=9), slower=2.0).verdict == "keep the champion"


def test_few_clusters_take_the_t_bound_which_for_single_images_is_students() -> None:
    values = np.random.default_rng(0).normal(size=20)
    bound = lower_bound(values, [str(i) for i in range(20)], alpha=0.05)
    students = stats.ttest_1samp(values, 0).confidence_interval(0.90).low
    assert bound == pytest.approx(students, rel=1e-9)


def test_the_bootstrap_bound_agrees_with_scipys() -> None:
    values = np.random.default_rng(1).exponential(size=200)
    ours = lower_bound(values, [str(i) for i in range(200)], alpha=0.01, resamples=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, confidence_level=0.98, method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval.low  # fmt: skip
    assert ours == pytest.approx(theirs, abs=0.01)


def test_copies_of_an_image_are_no_evidence() -> None:
    values = np.random.default_rng(3).normal(0.003, 0.01, 60)
    groups = [str(i) for i in range(60)]
    once = lower_bound(values, groups)
    copied = lower_bound(np.repeat(values, 10), [g for g in groups for _ in range(10)])
    assert once == pytest.approx(copied, abs=1e-12)
    as_images = lower_bound(np.repeat(values, 10), [str(i) for i in range(600)])
    assert as_images is not None
    assert once is not None
    assert as_images > once + 0.001  # the mistake: ten times the images, a bound far too high


def test_order_and_names_do_not_matter_and_equal_data_decide_equally() -> None:
    order = np.random.default_rng(0).permutation(300)
    values, groups = HOLD.draw(np.random.default_rng(5)), np.array(HOLD.clusters)
    assert lower_bound(values, list(groups)) == lower_bound(values, list(groups))
    shuffled = lower_bound(values[order], list(groups[order]))
    assert lower_bound(values, list(groups)) == pytest.approx(shuffled, abs=1e-12)


def test_bad_inputs_get_one_sentence() -> None:
    good = better()
    with pytest.raises(DataError, match="one entry per image in every field"):
        replace(good, cluster=good.cluster[:-1])
    with pytest.raises(DataError, match="finite qualities"):
        replace(good, challenger=np.full(180, np.nan))
    with pytest.raises(DataError, match="at least 20 positive latencies"):
        decide(good, good, latency=([0.1] * 5, [0.1] * 5), smoke_problem="")
    with pytest.raises(ConfigError, match="resamples is 500"):
        GateConfig(resamples=500)
    with pytest.raises(ConfigError, match=r"alpha is 0\.7"):
        GateConfig(alpha=0.7)


def test_false_promotions_stay_below_alpha_plus_two_points_and_power_is_there() -> None:
    """2,000 equal challengers; the standard error of a rate of 2 % is 0.3 points."""
    promoted, count = promotion.share("cluster bootstrap", HOLD, 2000, seed=11)
    assert promoted / count <= 0.01 + 0.02
    few, count = promotion.share("cluster bootstrap", Hold(layouts=12), 2000, seed=12)
    assert few / count <= 0.01 + 0.02
    images, count = promotion.share("image bootstrap", HOLD, 500, seed=13)
    assert images / count > 0.04
    mean, count = promotion.share("mean > 0", HOLD, 500, seed=14)
    assert mean / count == pytest.approx(0.5, abs=0.08)
    counted, bound = GATES
    strict, count = promotion.share(counted, HOLD, 100, gain=0.02, seed=15)
    gained, count = promotion.share(bound, HOLD, 100, gain=0.02, seed=15)
    assert strict / count < 0.4 < 0.5 < gained / count  # two counts, each a coin toss
    false, count = promotion.share(bound, HOLD, 200, seed=16)
    assert false / count <= 0.01 + 0.02


def test_the_rules_on_defects_err_as_they_say() -> None:
    """Equal models that make many, a worse challenger, and one with what the champion never makes."""
    shares = {
        case: {
            name: promotion.refused_for_defects(defects, config, 200)
            for name, config in DEFECT_CONFIGS.items()
        }
        for case, defects in DEFECT_CASES.items()
    }
    assert shares["none, and none"] == dict.fromkeys(DEFECT_CONFIGS, 0.0)
    equal = shares["6 per image, equal"]
    assert equal["count"] == pytest.approx(0.5, abs=0.12)
    assert equal["bound"] <= 0.01 + 0.03  # the standard error of 1 % is 0.7 points
    assert equal["margin of 0.5"] > 0.5
    worse = shares["6 and 7 per image"]
    assert worse["margin of 0.5"] > worse["bound"] > 0.4
    rare = shares["none, and 1 in 100 images"]
    assert rare["count"] > 0.85
    assert rare["bound"] < 0.4


def test_a_simulated_challenger_is_the_same_for_both_gates_and_no_check_is_idle() -> None:
    shares = promotion.failures(HOLD, 100)
    for name in ("old bound", "old families", "new topology, bound", "new topology, count"):
        assert shares[f"refused by {name}"] > 0 or name == "new topology, bound"
    assert shares["refused by new topology, count"] > shares["refused by new topology, bound"]
    assert shares["refused by smoke inference"] == 0


def test_claims_g26_and_g39_have_their_parts() -> None:
    found = promotion.equal_challengers("smoke")
    assert set(found["data"]) == {part.name for part in claims.get("G26").parts}
    assert found["numbers"]["cluster bootstrap: gain 0.02"] > 0.7
    slow = promotion.slow_challengers("smoke")
    assert set(slow["data"]) == {part.name for part in claims.get("G39").parts}
    assert slow["data"]["1.3 times as slow"][0] > slow["data"]["1.2 times as slow"][0]
    assert slow["numbers"]["1 times as slow: refused"] < 1
    assert slow["numbers"]["3 times as slow: refused"] == 1
