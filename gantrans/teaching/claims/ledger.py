"""The ledger: one line per record in a file per run, one committed file for the course.

A record carries its raw data, so that anybody can compute its verdict again; `merge` and `check` do.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gantrans import ROOT
from gantrans.files import replace_file
from gantrans.teaching.claims.provenance import check as check_provenance
from gantrans.teaching.claims.provenance import now
from gantrans.teaching.claims.registry import OLDER, Claim, ClaimError, get, registered
from gantrans.teaching.claims.verdicts import OPEN, UNTESTED, Finding, judge, judge_part
from gantrans.teaching.places import LESSONS
from gantrans.teaching.runs import config_hash

RUNS = Path(os.environ.get("GANTRANS_CLAIMS") or ROOT / "runs" / "claims")
COMMITTED = LESSONS
"""The committed ledger: `claims.records.json` in the folders of the lessons."""
RECORDS = "claims.records.json"
SESSION_START = datetime.now(UTC)
"""When this process began: the earliest time at which data made in it can have been started."""
SCALES = ("smoke", "reduced", "full")

Record = dict[str, Any]


def record(
    claim_id: str,
    data: Any = None,
    *,
    scale: str,
    seeds: Sequence[int] = (),
    measured: float | None = None,
    interval: tuple[float, float] | None = None,
    verdict: str | None = None,
    numbers: Mapping[str, float] | None = None,
    started: datetime | str | None = None,
    config: Any = None,
    notebook: str = "",
    command: str = "",
    experiment: str = "",
    made: Mapping[str, str] | None = None,
    rejudge: bool = False,
    run: Path | None = None,
) -> Record:
    """Judge a claim by its rule, append the record to this run's ledger and return it.

    Args:
        claim_id: "G05" and so on.
        data: per part of the rule what `verdicts.judge_part` takes, as {part: data}; a rule with one part
            takes it bare. For an exact claim of one part `measured` alone will do.
        scale: "smoke", "reduced" or "full".
        seeds: the seeds of the pairs, in the order of the data; every arm must have one value per seed.
        measured, interval, verdict: what the caller believes; accepted only if the data give the same.
        numbers: further measured numbers that the text quotes, by name.
        started: when the data began to be made; this process's start unless given (needed for stored tables).
        config: the configuration or parameters behind the data; its hash is kept.
        notebook, command: where it was measured and how to measure it again.
        experiment: hash of the lesson's modules that made the data (`fingerprint.experiment_version`).
        made: commit, device and code of a stored table (`provenance.of_table`); those of now unless given.
        rejudge: accept data that are older than the rule; the record then says so for good.
        run: the ledger file; `runs/claims/<day>-<process>.jsonl` unless given.

    Raises:
        ClaimError: unknown id or part, data that do not fit the rule, a stated value that the data do not
            give, or, without `rejudge`, a rule that is younger than its data.
    """
    claim, begun = get(claim_id), _moment(started)
    age = _age(claim, begun, scale, rejudge)
    by_part = _by_part(claim, measured if data is None else data)
    findings = {name: judge_part(claim.part(name), d) for name, d in by_part.items()}
    entry: Record = {
        "id": claim_id,
        "verdict": UNTESTED,
        "scale": scale,
        "seeds": _seeds(claim, findings, seeds),
        "parts": _parts(claim, findings, by_part),
        "numbers": {k: float(v) for k, v in (numbers or {}).items()},
        **{"notebook": notebook, "command": command, "config": config_hash(config), "experiment": experiment},
        **{"rule": claim.hash, "rule_written": claim.written().isoformat(), "rule_age": age},
        **{"started": _second(begun), "recorded": _second(datetime.now(UTC))},
        **(now() if made is None else made),
    }
    entry["verdict"] = _verdict(claim, findings, entry)
    _agree(entry, findings, measured, interval, verdict)
    return append(entry, run or RUNS / f"{SESSION_START:%Y%m%d-%H%M%S}-{os.getpid()}.jsonl")


def _age(claim: Claim, begun: datetime, scale: str, rejudge: bool) -> str:
    """How old the rule is beside its data; see `Claim.age`."""
    if scale not in SCALES:
        raise ClaimError(
            f"Claim {claim.id} was recorded at scale {scale!r}; choose one of {', '.join(SCALES)}."
        )
    age = claim.age(begun)
    if age != OLDER and not rejudge:
        raise ClaimError(
            f"The rule of claim {claim.id} was written at {claim.written():%Y-%m-%d %H:%M:%S}, after its "
            f"data were started ({begun:%Y-%m-%d %H:%M:%S}); produce the data anew."
        )
    return age


def _second(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _parts(claim: Claim, findings: Mapping[str, Finding], data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {**asdict(finding), "unit": claim.part(name).unit, "data": _plain(data[name])}
        for name, finding in findings.items()
    }


def append(entry: Record, path: Path) -> Record:
    """Add a record as one line in a single write, wait until it is on the disk, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(entry, allow_nan=False) + "\n").encode()
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line)
        os.fsync(handle)
    finally:
        os.close(handle)
    return entry


def read(path: Path) -> dict[str, Record]:
    """A ledger by claim id: from the folder of the lessons, a .json, a run's .jsonl or a folder of runs.

    Of several records of one claim in runs the newest counts.

    Raises:
        ClaimError: for a line that is not a record; the message names file and line.
    """
    if path == COMMITTED:
        parts = [json.loads(file.read_text("utf-8")) for file in sorted(path.glob(f"*/{RECORDS}"))]
        return dict(sorted(entry for part in parts for entry in part.items()))
    if path.suffix == ".json":
        return json.loads(path.read_text("utf-8")) if path.exists() else {}
    found: list[Record] = []
    for file in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ClaimError(
                    f"{file}, line {number} is not a record ({error}); remove the line."
                ) from error
    return {r["id"]: r for r in sorted(found, key=lambda r: r["recorded"])}


def merge(run: Path, committed: Path = COMMITTED) -> list[str]:
    """Take a run's records into the committed ledger; return the ids taken.

    Smoke records are left out, and a record never replaces one of a larger scale. Every verdict is computed
    again first (`check`), and a record must name the clean commit that measured it (`provenance.check`).
    """
    ledger, fresh = read(committed), read(run)
    check(fresh)
    for claim_id, entry in fresh.items():
        if entry["scale"] != "smoke":
            check_provenance(f"The record of claim {claim_id}", entry, entry["started"])
    taken = []
    for claim_id, entry in fresh.items():
        older = ledger.get(claim_id)
        if entry["scale"] != "smoke" and (
            older is None or SCALES.index(entry["scale"]) >= SCALES.index(older["scale"])
        ):
            ledger[claim_id] = entry
            taken.append(claim_id)
    if committed != COMMITTED:
        _write({i: ledger[i] for i in registered() if i in ledger}, committed)
        return taken
    for folder in dict.fromkeys(get(claim_id).folder for claim_id in taken):
        mine = [claim.id for claim in registered().values() if claim.folder == folder]
        _write({i: ledger[i] for i in mine if i in ledger}, folder / RECORDS)
    return taken


def _write(ledger: Mapping[str, Record], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(ledger, indent=1, allow_nan=False) + "\n")


def check(ledger: Mapping[str, Record]) -> None:
    """Compute every finding and verdict of a ledger again from its raw data.

    Raises:
        ClaimError: when one differs, or when its rule has changed or is younger than its data.
    """
    for claim_id, entry in ledger.items():
        claim = get(claim_id)
        begun = datetime.fromisoformat(entry["started"])
        if entry["rule"] != claim.hash or claim.age(begun) != entry["rule_age"]:
            raise ClaimError(
                f"Claim {claim_id} was recorded under another rule than today's; measure it again."
            )
        findings = {n: judge_part(claim.part(n), p["data"]) for n, p in entry["parts"].items()}
        again = _verdict(claim, findings, entry)
        if again != entry["verdict"]:
            raise ClaimError(
                f"Claim {claim_id} is recorded as {entry['verdict']!r}; its data give {again!r}."
            )
        for name, finding in findings.items():
            stored = entry["parts"][name]
            if (stored["verdict"], stored["side"]) != (finding.verdict, finding.side):
                raise ClaimError(f"Claim {claim_id}, part {name!r}: the verdict is not what the data give.")
            for key in ("measured", "low", "high", "low_95", "high_95"):
                if not math.isclose(stored[key], getattr(finding, key), rel_tol=1e-6, abs_tol=1e-12):
                    raise ClaimError(f"Claim {claim_id}, part {name!r}: {key} is not what the data give.")


def _verdict(claim: Claim, findings: Mapping[str, Finding], entry: Record) -> str:
    if claim.unit_test:
        return UNTESTED
    if claim.decides(entry["scale"], entry["seeds"], entry["config"]):
        return OPEN
    return judge(claim, findings, entry["scale"])


def _moment(started: datetime | str | None) -> datetime:
    moment = datetime.fromisoformat(started) if isinstance(started, str) else started or SESSION_START
    if moment.tzinfo is None:
        raise ClaimError(
            f"The start of the data, {started}, has no time zone; write it in UTC, ending in +00:00."
        )
    return moment


def _by_part(claim: Claim, data: Any) -> dict[str, Any]:
    if data is None:
        raise ClaimError(f"Claim {claim.id} was recorded without data; a verdict is computed, never stated.")
    names = {p.name for p in claim.parts}
    if isinstance(data, Mapping) and data and set(data) <= names:
        return dict(data)
    if len(claim.parts) > 1:
        raise ClaimError(f"Claim {claim.id} needs data by part: {', '.join(map(repr, sorted(names)))}.")
    return {claim.parts[0].name: data}


def _seeds(claim: Claim, findings: Mapping[str, Finding], seeds: Sequence[int]) -> list[int] | int:
    if len(set(seeds)) != len(seeds):
        raise ClaimError(f"Claim {claim.id}: a seed occurs twice in {list(seeds)}, which is one observation.")
    for name, finding in findings.items():
        if claim.part(name).kind == "paired" and finding.count != len(seeds):
            raise ClaimError(
                f"Claim {claim.id}, part {name!r}: {finding.count} values for {len(seeds)} seeds."
            )
    return list(seeds) or max(f.count for f in findings.values())


def _agree(
    entry: Record, findings: Mapping[str, Finding], measured: Any, interval: Any, verdict: str | None
) -> None:
    if verdict is not None and verdict != entry["verdict"]:
        raise ClaimError(
            f"Claim {entry['id']} was stated as {verdict!r}; its rule gives {entry['verdict']!r}."
        )
    if len(findings) != 1:
        if (measured is not None and not isinstance(measured, Mapping)) or interval is not None:
            raise ClaimError(f"Claim {entry['id']} has several parts; state no single value for them.")
        return
    finding = next(iter(findings.values()))
    stated = [(measured, finding.measured)] if isinstance(measured, (int, float)) else []
    stated += zip(interval, (finding.low, finding.high), strict=True) if interval is not None else []
    for said, computed in stated:
        if not math.isclose(said, computed, rel_tol=1e-6, abs_tol=1e-12):
            raise ClaimError(f"Claim {entry['id']} was stated with {said:g}; its data give {computed:g}.")


def _plain(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {k: _plain(v) for k, v in data.items()}
    return [float(v) for v in data] if isinstance(data, Sequence) or hasattr(data, "__len__") else float(data)
