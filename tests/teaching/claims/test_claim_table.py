"""The table of claims: what was judged stands beside what is said, with all that qualifies the verdict."""

import dataclasses
from datetime import datetime

import pytest

from gantrans.teaching import claims
from gantrans.teaching.claims import registry, table
from gantrans.teaching.claims.provenance import KEPT_SINCE, UNKNOWN
from gantrans.teaching.claims.registry import COMPLETED, OLDER, YOUNGER

ROWS = {row.id: row for row in claims.ledger_table(claims.read(claims.COMMITTED))}


def test_every_row_prints_what_was_judged_beside_what_is_said():
    for claim in claims.registered().values():
        row = ROWS[claim.id]
        assert (row.said, row.judged) == (claim.said, claim.judged)
        assert ("another sentence" in row.notes) == (not claim.tests_said)
        assert row.sentence == ("as said" if claim.tests_said else "another sentence")


def test_rows_of_old_data_under_a_new_rule_say_so():
    ledger = claims.read(claims.COMMITTED)
    younger = {i for i, e in ledger.items() if e["rule_age"] == YOUNGER}
    assert {i for i, row in ROWS.items() if row.rule == "younger than its data"} == younger
    assert all(datetime.fromisoformat(ledger[i]["started"]) < KEPT_SINCE for i in younger)


def test_a_rule_with_one_outcome_names_a_unit_test_that_exists():
    named = [c for c in claims.registered().values() if c.unit_test]
    assert [c.id for c in named] == ["G28"]
    sources = "".join(p.read_text("utf-8") for p in (claims.ledger.ROOT / "tests").rglob("test_*.py"))
    for claim in named:
        assert f"def {claim.unit_test}(" in sources
        assert ROWS[claim.id].verdict == "untested"
        assert f"it is a unit test: {claim.unit_test}" in ROWS[claim.id].notes


def test_verdicts_are_the_three_words_and_conditions_name_every_part():
    ledger = claims.read(claims.COMMITTED)
    for claim_id, entry in ledger.items():
        row = ROWS[claim_id]
        assert row.verdict in ("holds", "excluded", "open", "untested")
        assert "with conditions" not in row.conditions
        claim = claims.get(claim_id)
        undecided = claim.decides(entry["scale"], entry["seeds"], entry["config"])
        if undecided or claim.unit_test:
            assert row.conditions == ""
            assert row.verdict == ("untested" if claim.unit_test else "open")
            assert undecided in row.notes
        elif len(entry["parts"]) > 1:
            for name, part in entry["parts"].items():
                assert name in row.conditions
                assert part["verdict"] in row.conditions
        elif row.verdict == "excluded":
            assert row.conditions in claims.verdicts.SIDES


def test_both_intervals_and_the_power_are_printed():
    row = ROWS["D08"]
    assert row.interval == "2.24 to 8.26"
    assert row.interval_95 == "3.11 to 7.39"
    assert row.power == "0.05, below 0.8"
    assert ROWS["D01"].interval.startswith("linear: exact")
    assert ROWS["D01"].power == ""


@pytest.fixture
def entry():
    return dict(claims.read(claims.COMMITTED)["D08"])


def test_notes_say_what_qualifies_a_verdict(entry):
    claim = dataclasses.replace(claims.get("D08"), instead="the GAN has a plane as latent space")
    ages = {OLDER: None, COMPLETED: "sentence and region older", YOUNGER: "the rule is younger than its data"}
    for age, words in ages.items():
        told = "; ".join(table.notes(claim, {**entry, "rule_age": age}))
        assert "another sentence was tested: the GAN has a plane" in told
        assert words is None or words in told
        assert ("than its data" in told) == (words is not None)
    assert "provenance unknown" in "; ".join(table.notes(claim, {**entry, "provenance": UNKNOWN}))


def test_notes_say_what_a_no_op_does_to_the_headline(entry):
    claim = claims.get("D08")
    part = dataclasses.replace(claim.parts[0], noop="GAN")
    excluded = dataclasses.replace(claim, component="diffusion", parts=(part,))
    assert "diffusion as a no-op (GAN) gives the same verdict, excluded" in table.notes(excluded, entry)
    upwards = dataclasses.replace(excluded, parts=(dataclasses.replace(part, region=(1.0, float("inf"))),))
    held = {**entry, "verdict": "holds"}
    assert "diffusion as a no-op (GAN) would be excluded" in table.notes(upwards, held)
    without = dataclasses.replace(claim, component="diffusion")
    assert "no no-op arm was run for diffusion" in table.notes(without, entry)


def test_notes_count_shuffles_where_more_than_one_percent_hold():
    part = registry.Part("all", "IoU", "paired", (0.02, float("inf")), arms=("a", "b"), fewest=6)
    found = claims.judge_part(part, {"a": [0.6, 0.61] * 3, "b": [0.5] * 6})
    assert table._shuffles({"all": found}) == ["1.6% of label shuffles hold as well (6 pairs)"]
    found = claims.judge_part(part, {"a": [0.6, 0.61] * 6, "b": [0.5] * 12})
    assert table._shuffles({"all": found}) == []


def test_a_rule_names_the_seeds_and_the_configuration_that_decide():
    claim = dataclasses.replace(claims.get("D08"), seeds={"reduced": "0-2, 7"}, config={"reduced": "abc"})
    assert claim.decides("reduced", [0, 1, 2, 7], "abc") == ""
    assert claim.decides("reduced", [0, 1, 2, 8], "abc") == "the rule asks for the seeds 0-2, 7"
    assert claim.decides("reduced", [0, 1, 2, 7], "abd") == "the rule asks for the configuration abc"
    assert claim.decides("full", [0, 1, 2, 7], "abc") == "the rule names no seeds at scale full"
    assert claim.decides("smoke") == "nothing is decided at scale smoke"


@pytest.mark.parametrize("change", ["setting", "estimator", "noop", "pilot", "seeds", "config", "component"])
def test_the_hash_covers_what_the_sentence_leaves_open(change):
    claim = claims.get("D08")
    if change in ("seeds", "config"):
        other = dataclasses.replace(claim, **{change: {"reduced": "99"}})
    elif change == "component":
        other = dataclasses.replace(claim, component="x")
    else:
        value = 0.123 if change == "pilot" else "x"
        other = dataclasses.replace(claim, parts=(dataclasses.replace(claim.parts[0], **{change: value}),))
    assert other.hash != claim.hash
    assert other.sentence_hash == claim.sentence_hash
    told = dataclasses.replace(claim, said="x", true="x", note="x", instead="x")
    assert told.hash == claim.hash
