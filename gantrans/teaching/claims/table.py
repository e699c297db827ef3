"""The table of claims: what is said beside what was judged, the verdict, and everything that qualifies it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gantrans.teaching.claims.ledger import COMMITTED, RUNS, Record, read
from gantrans.teaching.claims.power import ENOUGH
from gantrans.teaching.claims.provenance import FOUND, UNKNOWN
from gantrans.teaching.claims.registry import OLDER, YOUNGER, Claim, get, registered
from gantrans.teaching.claims.verdicts import UNTESTED, Finding, conditions, judge_noop, judge_part


@dataclass(frozen=True)
class Row:
    """One line of the table of claims."""

    id: str
    said: str
    judged: str
    verdict: str
    conditions: str
    true: str
    measured: str
    interval: str
    interval_95: str
    seeds: str
    scale: str
    power: str
    notes: str
    notebook: str


def ledger_table(ledger: Mapping[str, Record] | None = None, ids: Iterable[str] | None = None) -> list[Row]:
    """A row for every registered claim (or for `ids`); those without a record are untested.

    Without `ledger`: the committed one, overlaid by the records of this machine's runs. A smoke run decides
    nothing, so it never hides a committed record.
    """
    if ledger is None:
        committed, own = read(COMMITTED), read(RUNS) if RUNS.exists() else {}
        ledger = {**own, **committed, **{i: entry for i, entry in own.items() if entry["scale"] != "smoke"}}
    return [_row(claim, ledger.get(claim.id)) for claim in (get(i) for i in ids or registered())]


def notes(claim: Claim, entry: Record) -> list[str]:
    """What qualifies a verdict, one clause each: another sentence, the rule, no-op, shuffles, source."""
    findings = {n: judge_part(claim.part(n), p["data"]) for n, p in entry["parts"].items()}
    config = entry["config"]
    undecided = claim.decides(entry["scale"], entry["seeds"], config)
    told = [undecided] if undecided else []
    if claim.unit_test:
        told.append(f"can come out only one way, so it is a unit test: {claim.unit_test}")
    if claim.instead:
        told.append(f"another sentence was tested: {claim.instead}")
    if entry["rule_age"] != OLDER:
        told.append(("the rule is " if entry["rule_age"] == YOUNGER else "") + entry["rule_age"])
    told += _noop(claim, findings, entry)
    told += _shuffles(findings)
    told += [f"all values of {n} are equal: no interval" for n in _equal(claim, entry)]
    if claim.note:
        told.append(claim.note)
    if entry.get("provenance") == UNKNOWN:
        told.append("provenance unknown: the code that measured it is no commit")
    elif entry.get("provenance") == FOUND:
        told.append(FOUND)
    return told


def _row(claim: Claim, entry: Record | None) -> Row:
    where = ", ".join(f"lesson {n}" for n in claim.lessons)
    if entry is None:
        another = [f"another sentence is to be tested: {claim.instead}"] if claim.instead else []
        return Row(
            claim.id, claim.said, claim.judged, UNTESTED, "", claim.true, "", "", "", "", "", "",
            "; ".join(another), where,
        )  # fmt: skip
    parts = entry["parts"]
    label = (lambda n: f"{n}: ") if len(parts) > 1 else (lambda n: "")
    found = {n: (p["verdict"], p["side"]) for n, p in parts.items()}
    side = found[next(iter(found))][1]
    named = conditions(found) if len(parts) > 1 else side
    if claim.unit_test or claim.decides(entry["scale"], entry["seeds"], entry["config"]):
        named = ""
    powers = {n: p["power"] for n, p in parts.items() if p["power"] is not None}
    return Row(
        id=claim.id,
        said=claim.said,
        judged=claim.judged,
        verdict=entry["verdict"],
        conditions=named,
        true=claim.true,
        measured="; ".join(f"{label(n)}{_number(p['measured'], p['unit'])}" for n, p in parts.items()),
        interval=_intervals(parts, label, "low", "high"),
        interval_95=_intervals(parts, label, "low_95", "high_95"),
        seeds=str(entry["seeds"] if isinstance(entry["seeds"], int) else len(entry["seeds"])),
        scale=entry["scale"],
        power="; ".join(f"{label(n)}{_power(claim, n, value)}" for n, value in powers.items()),
        notes="; ".join(notes(claim, entry)),
        notebook=entry["notebook"],
    )


def _noop(claim: Claim, findings: Mapping[str, Finding], entry: Record) -> list[str]:
    if not claim.component:
        return []
    hollow = judge_noop(claim, findings, entry["scale"])
    if hollow is None:
        return [f"no no-op arm was run for {claim.component}"]
    arms = ", ".join(dict.fromkeys(p.noop for p in claim.parts if p.noop))
    if hollow == entry["verdict"]:
        return [f"{claim.component} as a no-op ({arms}) gives the same verdict, {hollow}"]
    return [f"{claim.component} as a no-op ({arms}) would be {hollow}"]


def _shuffles(findings: Mapping[str, Finding]) -> list[str]:
    shares = [f.shuffled_holds for f in findings.values() if f.shuffled_holds is not None]
    if not shares or max(shares) <= 0.01:
        return []
    pairs = max(f.count for f in findings.values() if f.shuffled_holds is not None)
    return [f"{max(shares):.1%} of label shuffles hold as well ({pairs} pairs)"]


def _equal(claim: Claim, entry: Record) -> list[str]:
    return [n for n, p in entry["parts"].items() if claim.part(n).kind != "exact" and p["low"] == p["high"]]


def _power(claim: Claim, name: str, value: float) -> str:
    source = "" if claim.part(name).pilot is None else " (pilot)"
    low = f", below {ENOUGH:g}" if value < ENOUGH else ""
    return f"{value:.2f}{source}{low}"


def _intervals(
    parts: Mapping[str, Mapping[str, float]], label: Callable[[str], str], low: str, high: str
) -> str:
    return "; ".join(
        f"{label(n)}{'exact' if p['count'] == 1 else 'equal'}"
        if p[low] == p[high]
        else f"{label(n)}{p[low]:.3g} to {p[high]:.3g}"
        for n, p in parts.items()
    )


def _number(value: float, unit: str) -> str:
    return f"{value:.4g} {unit}".strip()
