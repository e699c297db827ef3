"""Verdicts: monotone in the effect, honest about nothing, and rarely "holds" for labels without a meaning."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantrans.teaching import claims
from gantrans.teaching.claims import verdicts
from gantrans.teaching.claims.registry import Part

ORDER = ("excluded", "open", "holds")
UP = Part("all", "IoU", "paired", (0.02, math.inf), arms=("a", "b"), fewest=6)
DOWN = Part("all", "EPE", "paired", (-math.inf, -0.1), arms=("a", "b"), fewest=6)
RATIO = Part("all", "loss", "paired", (0.0, 0.95), arms=("a", "b"), compare="ratio", fewest=6)
BAND = Part("all", "gamma", "repeats", (0.1, 0.3), fewest=6)
SWAYS = np.array([-0.001, 0.001, -0.0005, 0.0005, -0.0008, 0.0008])


STREAMS = ("rotation", "pitch", "noise +25 %", "slow intensity", "gross intensity")


def paired(differences):
    return {"a": list(np.asarray(differences) + 0.5), "b": [0.5] * len(differences)}


def ratios(logarithms):
    return {"a": list(np.exp(logarithms)), "b": [1.0] * len(logarithms)}


@pytest.mark.parametrize(
    ("mean", "verdict", "side"),
    [
        (-0.003, "excluded", "the other way round"),
        (0.0, "excluded", "no effect of that size"),
        (0.0005, "excluded", "no effect of that size"),
        (0.003, "excluded", "smaller than stated"),
        (0.015, "excluded", "smaller than stated"),
        (0.0205, "open", ""),
        (0.025, "holds", ""),
    ],
)
def test_a_sharply_measured_nothing_is_excluded_and_the_reason_names_its_side(mean, verdict, side):
    finding = verdicts.judge_part(UP, paired(mean + SWAYS))
    assert (finding.verdict, finding.side) == (verdict, side)


def test_sides_of_a_fall_of_a_ratio_and_of_a_band():
    assert verdicts.judge_part(DOWN, paired(0.3 + SWAYS)).side == "the other way round"
    assert verdicts.judge_part(DOWN, paired(-0.05 + SWAYS)).side == "smaller than stated"
    assert verdicts.judge_part(RATIO, ratios(SWAYS)).side == "no effect of that size"
    assert verdicts.judge_part(RATIO, ratios(0.2 + SWAYS)).side == "the other way round"
    assert verdicts.judge_part(BAND, list(0.5 + SWAYS)).side == "larger than stated"
    assert verdicts.judge_part(BAND, list(0.05 + SWAYS)).side == "smaller than stated"
    upper = Part("all", "x", "paired", (0.1, 0.2), arms=("a", "b"), fewest=6)
    assert verdicts.judge_part(upper, paired(0.4 + SWAYS)).side == "larger than stated"
    lead = Part("all", "days", "repeats", (1.0, math.inf), noop_value=0.0, fewest=6)
    assert verdicts.judge_part(lead, list(-9 + SWAYS)).side == "the other way round"


deviations = st.lists(st.floats(-1, 1), min_size=6, max_size=12).filter(lambda d: np.std(d) > 1e-6)
two_means = st.tuples(st.floats(-2, 2), st.floats(-2, 2)).map(sorted)


@given(deviations, two_means)
def test_verdicts_are_monotone_in_the_effect(sways, means):
    sways = np.array(sways)

    def ranks(part, data):
        return [ORDER.index(verdicts.judge_part(part, data(m + sways)).verdict) for m in means]

    low, high = ranks(UP, paired)
    assert low <= high
    low, high = ranks(DOWN, paired)
    assert low >= high
    low, high = ranks(RATIO, ratios)
    assert low >= high


@given(deviations, st.lists(st.floats(-1, 1.5), min_size=3, max_size=3).map(sorted))
def test_a_band_holds_between_and_nowhere_else(sways, means):
    found = [verdicts.judge_part(BAND, list(m + np.array(sways))) for m in means]
    first, middle, last = (ORDER.index(f.verdict) for f in found)
    if found[0].measured >= 0.2 or found[2].measured <= 0.2:  # on one side of its middle it is monotone
        assert first >= middle >= last or first <= middle <= last
    assert (found[1].verdict == "holds") == (found[1].low >= 0.1 and found[1].high <= 0.3)


def test_the_99_percent_interval_decides_and_the_95_percent_one_is_beside_it():
    d = 0.03 + 0.01 * np.array([-1.2, -0.4, 0.1, 0.3, 0.5, 0.7])
    finding = verdicts.judge_part(UP, paired(d))
    assert finding.low < 0.02 < finding.low_95
    assert finding.high_95 < finding.high
    assert finding.verdict == "open"
    assert (finding.low_95, finding.high_95) == pytest.approx(
        claims.paired_effect(d, np.zeros(6), level=0.95)[1:]
    )


def test_too_few_pairs_decide_nothing():
    finding = verdicts.judge_part(UP, paired([0.05, 0.06, 0.05, 0.06, 0.05]))
    assert (finding.verdict, finding.why) == ("open", "5 of the 6 observations the rule asks for")


def test_one_excluded_part_excludes_the_claim_and_the_parts_are_named():
    claim = dataclasses.replace(
        claims.get("G26"), parts=tuple(Part(n, "share", "proportion", (0.9, 1.0)) for n in STREAMS)
    )
    shares = {"rotation": (0, 100), "pitch": (60, 100), "noise +25 %": (82, 100),
              "slow intensity": (10, 100), "gross intensity": (100, 100)}  # fmt: skip
    findings = {n: verdicts.judge_part(claim.part(n), list(d)) for n, d in shares.items()}
    assert verdicts.judge(claim, findings, "reduced") == "excluded"
    named = verdicts.conditions({n: (f.verdict, f.side) for n, f in findings.items()})
    assert named == (
        "holds for gross intensity; excluded for rotation, pitch and slow intensity (smaller than stated); "
        "open for noise +25 %"
    )
    assert verdicts.judge(claim, findings, "smoke") == "open"
    del findings["rotation"], findings["pitch"], findings["slow intensity"]
    assert verdicts.judge(claim, findings, "reduced") == "open"  # not measured is not excluded


def test_shuffles_are_counted_exactly():
    strong = np.array([0.05, 0.06, 0.05, 0.06, 0.05, 0.06])
    assert verdicts.shuffled_holds(UP, strong) == 1 / 64  # the labels as they are
    assert verdicts.shuffled_holds(UP, -strong) == 1 / 64
    assert verdicts.shuffled_holds(UP, 0 * strong) == 0
    twelve = np.r_[strong, strong]
    random = np.random.default_rng(0).choice((1.0, -1.0), size=(20_000, 12))
    _, low, high = verdicts.t_interval(random * twelve)
    share = np.mean(verdicts.decide(low, high, UP.region) == 1)
    assert verdicts.shuffled_holds(UP, twelve) == pytest.approx(share, abs=0.002)


def test_shuffled_labels_hold_in_at_most_one_percent_of_the_committed_ledger():
    """Exact, over all swaps of labels within seeds; the parts of one claim are swapped together."""
    shares = {}
    for claim_id, entry in claims.read(claims.COMMITTED).items():
        claim = claims.get(claim_id)
        pairs = {n: p["data"] for n, p in entry["parts"].items() if claim.part(n).kind == "paired"}
        if not pairs:
            continue
        shares[claim_id] = _share(claim, entry, pairs)
        count = len(next(iter(next(iter(pairs.values())).values())))
        if count > 6:
            assert shares[claim_id] <= 0.01, claim_id
        assert shares[claim_id] <= 1 / 64, claim_id  # of six pairs: no swap but that of none
    assert len(shares) >= 20
    assert np.mean(list(shares.values())) <= 0.01


def _share(claim, entry, pairs):
    differences = {
        n: verdicts._differences(*(data[a] for a in claim.part(n).arms), claim.part(n).compare)
        for n, data in pairs.items()
    }
    n = len(next(iter(differences.values())))
    if n <= 16:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = np.random.default_rng(0).choice((1.0, -1.0), size=(65536, n))
    holds = np.ones(len(signs), dtype=bool)
    for part in claim.parts:
        if part.name in differences:
            _, low, high = verdicts.t_interval(signs * differences[part.name], part.level)
            holds &= verdicts.decide(low, high, verdicts.internal(part)) == 1
        else:
            holds &= entry["parts"][part.name]["verdict"] == "holds"
    return float(holds.mean())


def test_a_component_that_does_nothing_is_never_said_to_hold():
    """The first arm of every comparison replaced by the second, in every claim that names its no-op."""
    for claim in claims.registered().values():
        if not any(p.noop for p in claim.parts):
            continue
        entry = claims.read(claims.COMMITTED).get(claim.id)
        if entry is None:
            continue
        findings = {n: claims.judge_part(claim.part(n), p["data"]) for n, p in entry["parts"].items()}
        assert verdicts.judge_noop(claim, findings, entry["scale"]) != "holds", claim.id
