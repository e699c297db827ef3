"""Experiments by claim: what `python -m gantrans course claims --rerun ID` runs.

A module in the `experiments` of a lesson registers one with a decorator and returns what `claims.record`
needs:

    @experiment("G03")
    def receptive_field(scale: str) -> dict[str, Any]:
        return {"data": {...}, "seeds": (...), "numbers": {...}}
"""

import importlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gantrans.teaching import claims
from gantrans.teaching.places import found, module_of
from gantrans.teaching.runs import from_scratch

Experiment = Callable[[str], Mapping[str, Any]]

_EXPERIMENTS: dict[str, Experiment] = {}


def experiment(claim_id: str) -> Callable[[Experiment], Experiment]:
    """Register a function of the scale as the experiment of a claim.

    Raises:
        ClaimError: when the claim is unknown or already has an experiment.
    """
    claims.get(claim_id)

    def register(function: Experiment) -> Experiment:
        known = _EXPERIMENTS.setdefault(claim_id, function)
        if (known.__module__, known.__qualname__) != (function.__module__, function.__qualname__):
            raise claims.ClaimError(f"Claim {claim_id} has two experiments: {known} and {function}.")
        _EXPERIMENTS[claim_id] = function
        return function

    return register


def experiments() -> Mapping[str, Experiment]:
    """All registered experiments, after importing the experiments of every lesson."""
    for path in found("experiments/*.py"):
        importlib.import_module(module_of(path))
    return dict(sorted(_EXPERIMENTS.items()))


def rerun(claim_id: str, scale: str, *, run: Path | None = None) -> claims.ledger.Record:
    """Run the experiment of a claim from scratch, no caches, and record it.

    Raises:
        ClaimError: when no experiment is registered for it; the message lists those that are.
    """
    known = experiments()
    if claim_id not in known:
        raise claims.ClaimError(
            f"No experiment is registered for claim {claim_id!r}; there are {', '.join(known) or 'none yet'}."
        )
    function = known[claim_id]
    started = datetime.now(UTC)
    with from_scratch():
        result = dict(function(scale))
    result.setdefault("command", f"python -m gantrans course claims --rerun {claim_id} --scale {scale}")
    result.setdefault("notebook", "lesson " + ", ".join(claims.get(claim_id).lessons))
    return claims.record(claim_id, scale=scale, started=started, run=run, **result)
