"""Measure again what decides a claim: its sweep, or its exact experiment."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from gantrans import ROOT
from gantrans.teaching import claims
from gantrans.teaching.fingerprint import experiment_version
from gantrans.teaching.runs import from_scratch
from gantrans.teaching.sweeps.engine import run_grid
from gantrans.teaching.sweeps.grid_files import find_grid
from gantrans.teaching.sweeps.registry import Experiment, experiments

SWEEPS = ROOT / "runs" / "ablations"
"""Where the folders of sweeps are, unless a command names another."""


def decided_by(claim_id: str) -> Experiment | str:
    """What decides a claim: the name of a sweep, or the function of its exact experiment.

    Raises:
        ClaimError: when nothing is registered for it; the message lists the claims that have something.
    """
    known = experiments()
    if claim_id not in known:
        raise claims.ClaimError(
            f"No experiment is registered for claim {claim_id!r}; there are {', '.join(known) or 'none yet'}."
        )
    return known[claim_id]


def measure_exactly(
    claim_id: str, function: Experiment, scale: str, ledger: Path | None = None
) -> claims.ledger.Record:
    """Run the exact experiment of a claim from scratch, no caches, and record it.

    Args:
        ledger: the file that the record is appended to; this machine's unless given.
    """
    started = datetime.now(UTC)
    with from_scratch():
        result = dict(function(scale))
    result.setdefault("command", f"python -m gantrans ablate {claim_id} --scale {scale}")
    result.setdefault("notebook", "lesson " + ", ".join(claims.get(claim_id).lessons))
    result.setdefault("experiment", experiment_version(function))
    return claims.record(claim_id, scale=scale, started=started, run=ledger, **result)


def rerun(
    claim_id: str, scale: str, *, run: Path | None = None, folder: Path | None = None
) -> claims.ledger.Record:
    """Measure what decides a claim from scratch, in a new folder and without caches, and record it.

    Args:
        run: the ledger that the record is appended to; this machine's unless given.
        folder: where a sweep keeps its runs; a new folder in `runs/ablations` unless given.

    Raises:
        ClaimError: nothing is registered for the claim, or not every run of its sweep ended well.
    """
    by = decided_by(claim_id)
    if not isinstance(by, str):
        return measure_exactly(claim_id, by, scale, run)
    out = folder or SWEEPS / f"{by}-{scale}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    report = run_grid(find_grid(by), scale, out, ledger=run)
    print(report, file=sys.stderr)  # standard output is the ledger's
    if not report.complete:
        raise claims.ClaimError(
            f"Claim {claim_id} was not measured: {report.done} of {report.total} runs are done; go on with "
            f"`python -m gantrans ablate {by} --scale {scale} --out {out}`."
        )
    return report.records[claim_id]
