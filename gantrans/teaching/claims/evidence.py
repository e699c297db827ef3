"""A claim on its evidence page: everything a reader needs to doubt it, rendered from the committed ledger."""

import math
from collections.abc import Mapping

from gantrans.teaching.claims.ledger import COMMITTED, Record, read
from gantrans.teaching.claims.registry import OLDER, Claim, Part, get
from gantrans.teaching.claims.table import Row, ledger_table
from gantrans.teaching.claims.verdicts import EXCLUDED, HOLDS, OPEN
from gantrans.teaching.exercises.results import Card

NOT_MEASURED = "not measured yet"
UNIT_TEST = "no verdict: it can come out only one way, and a unit test keeps it"
JUDGED = (HOLDS, EXCLUDED, OPEN)
"""The three verdicts that an evidence page knows."""


def evidence_row(claim_id: str, ledger: Mapping[str, Record] | None = None) -> Card:
    """What is said, what was judged, the rule, seeds, effect with interval, verdict and conditions.

    The card is Markdown: a list of these, then one line per part of the rule with its effect, its interval,
    the region asked for and its verdict.

    Args:
        claim_id: "D02" and so on.
        ledger: records by id; the committed ones unless given, so that a page shows what is committed.

    Raises:
        ClaimError: for a claim that is not registered.
    """
    claim = get(claim_id)
    ledger = read(COMMITTED) if ledger is None else ledger
    entry = ledger.get(claim_id)
    (row,) = ledger_table(ledger, [claim_id])
    lines = {
        "Said": claim.said or "Not a common sentence: the course asks it.",
        "Judged": claim.judged
        + (f" (Another sentence than the one said: {claim.instead})" * bool(claim.instead)),
        "True": claim.true,
        "Rule": _rule(claim, entry),
        "Seeds": _seeds(claim, entry),
        "Effect": _effect(entry, row),
        "Verdict": _verdict(claim, row),
        "Conditions": _conditions(claim, row),
        "Notes": row.notes or "none",
        "Run it again": f"`{_command(claim, entry)}`",
    }
    listed = "\n".join(f"- **{name}.** {' '.join(text.split())}" for name, text in lines.items())
    return Card(f"{listed}\n\n{_parts(claim, entry)}")


def incomplete(claim: Claim, ledger: Mapping[str, Record]) -> str:
    """What a claim's row lacks, as a part of a sentence; empty when it is complete."""
    if claim.unit_test:
        return ""
    if claim.id not in ledger:
        return "it was never measured"
    verdict = ledger[claim.id]["verdict"]
    return "" if verdict in JUDGED else f"its verdict is {verdict!r}"


def _rule(claim: Claim, entry: Record | None) -> str:
    kinds = dict.fromkeys(_quantity(part) for part in claim.parts)
    one = "Each part" if len(claim.parts) > 1 else "The claim"
    if {part.kind for part in claim.parts} == {"exact"}:
        how = f"{one} holds when the exact number lies in the region asked for, else it is excluded"
    else:
        levels = " or ".join(dict.fromkeys(f"{part.level:.0%}" for part in claim.parts))
        how = (
            f"{one} holds when the whole {levels} interval lies in the region asked for, is excluded when "
            "all of it lies outside, and is else open"
        )
    whole = ". The claim is excluded with one part and holds with all of them" if len(claim.parts) > 1 else ""
    written = f" Written down on {entry['rule_written'][:10]}" if entry else ""
    older = ", before its data" if entry and entry["rule_age"] == OLDER else ""
    return f"{'; '.join(kinds)}. {how}{whole}.{written}{older}{'.' if written else ''}"


def _quantity(part: Part) -> str:
    arms = ""
    if part.arms:
        against = "over" if part.compare == "ratio" else "minus"
        arms = f" ({part.arms[0]} {against} {part.arms[1]}, paired by seed)"
    return part.effect + arms + (f", {part.estimator}" if part.estimator else "")


def _seeds(claim: Claim, entry: Record | None) -> str:
    if entry is None:
        return "; ".join(f"{seeds} at scale {scale}" for scale, seeds in claim.seeds.items()) or "none named"
    if {part.kind for part in claim.parts} == {"exact"}:
        return f"none: nothing random is in it (scale {entry['scale']})"
    seeds = entry["seeds"]
    count = (
        f"{seeds} observations" if isinstance(seeds, int) else f"{len(seeds)}: {', '.join(map(str, seeds))}"
    )
    return f"{count} (scale {entry['scale']})"


def _effect(entry: Record | None, row: Row) -> str:
    if entry is None:
        return NOT_MEASURED
    return f"{row.measured} ({row.interval})" if len(entry["parts"]) == 1 else "by part, in the table below"


def _conditions(claim: Claim, row: Row) -> str:
    where = " and ".join(dict.fromkeys(part.setting for part in claim.parts if part.setting))
    said = row.conditions or ("none beside the setting" if len(claim.parts) == 1 else "none yet")
    return f"{said}. Measured in: {where}" if where else said


def _verdict(claim: Claim, row: Row) -> str:
    if claim.unit_test:
        return f"{UNIT_TEST} (`{claim.unit_test}`)"
    return f"**{row.verdict}**" if row.verdict in JUDGED else NOT_MEASURED


def _command(claim: Claim, entry: Record | None) -> str:
    return f"python -m gantrans ablate {claim.id} --scale {entry['scale'] if entry else claim.scales[0]}"


def _parts(claim: Claim, entry: Record | None) -> str:
    lines = ["| part | asked for | effect | interval | verdict |", "|---|---|---|---|---|"]
    for part in claim.parts:
        found = entry["parts"].get(part.name) if entry else None
        name = claim.id if part.name == "all" else part.name
        measured = interval = verdict = ""
        if found is not None:
            measured = f"{found['measured']:.4g}"
            interval = "exact" if part.kind == "exact" else _interval(part, found)
            verdict = (
                "" if claim.unit_test else found["verdict"] + (f": {found['side']}" if found["side"] else "")
            )
        cells = (name, f"{region(part)} {part.unit}".strip(), measured, interval, verdict)
        lines.append("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |")
    return "\n".join(lines)


def _interval(part: Part, found: Mapping[str, float]) -> str:
    if found["low"] == found["high"]:
        return "none: all values are equal"
    return f"{found['low']:.3g} to {found['high']:.3g} ({part.level:.0%})"


def region(part: Part) -> str:
    """The region of a rule in words: "at least 0.05", "at most 2", "0.9 to 1.1"."""
    low, high = part.region
    if math.isinf(high):
        return f"at least {low:.4g}"
    if math.isinf(low) or (part.kind == "exact" and low == 0):
        return f"at most {high:.4g}"
    return f"{low:.4g} to {high:.4g}"
