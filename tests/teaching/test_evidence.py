"""Evidence pages: the row of a claim is the ledger's."""

import pytest

from gantrans.teaching import claims
from gantrans.teaching.claims import evidence_row
from gantrans.teaching.claims.evidence import JUDGED, NOT_MEASURED, UNIT_TEST, incomplete, region
from gantrans.teaching.claims.registry import ClaimError, Part, get, registered

LINES = (
    "Said",
    "Judged",
    "True",
    "Rule",
    "Seeds",
    "Effect",
    "Verdict",
    "Conditions",
    "Notes",
    "Run it again",
)


def test_a_row_says_everything_by_name():
    row = str(evidence_row("G10"))
    for line in LINES:
        assert f"- **{line}.** " in row
    entry = claims.read(claims.COMMITTED)["G10"]
    assert f"**Verdict.** **{entry['verdict']}**" in row
    assert "`python -m gantrans ablate G10 --scale reduced`" in row
    table = row.splitlines()[-len(entry["parts"]) :]
    for line, (name, part) in zip(table, entry["parts"].items(), strict=True):
        assert line.startswith(f"| {name} | at least 0.05 | {part['measured']:.4g} | {part['low']:.3g} to ")
        assert part["verdict"] in line


def test_every_claim_of_the_course_has_a_row():
    ledger = claims.read(claims.COMMITTED)
    for claim in registered().values():
        row = str(evidence_row(claim.id, ledger))
        said = [line for line in row.splitlines() if line.startswith("- **Verdict.**")]
        expected = (
            UNIT_TEST
            if claim.unit_test
            else ledger[claim.id]["verdict"]
            if claim.id in ledger
            else NOT_MEASURED
        )
        assert expected in said[0], claim.id
        assert bool(incomplete(claim, ledger)) == (expected not in (*JUDGED, UNIT_TEST)), claim.id


def test_a_claim_without_a_record_is_not_complete():
    assert incomplete(get("D02"), {}) == "it was never measured"
    assert "**Verdict.** not measured yet" in str(evidence_row("D02", {}))
    with pytest.raises(ClaimError, match="'D99' is not registered"):
        evidence_row("D99")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.05, float("inf"), "at least 0.05"), (-float("inf"), 2, "at most 2"), (0.9, 1.1, "0.9 to 1.1")],
)
def test_a_region_in_words(low, high, words):
    assert region(Part("all", "an effect", "repeats", (low, high))) == words
