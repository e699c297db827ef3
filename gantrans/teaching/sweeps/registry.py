"""What decides a claim: a sweep, or for a claim without one an exact experiment.

A sweep registers itself for the claims that it names (`Sweep(claims=...)`). A module in the `experiments` of
a lesson registers another experiment with a decorator; it returns what `claims.record` needs:

    @experiment("G03")
    def receptive_field(scale: str) -> dict[str, Any]:
        return {"data": {...}, "seeds": (...), "numbers": {...}}

`python -m gantrans ablate NAME` measures either, by the name of the sweep or the id of the claim.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from gantrans.teaching import claims
from gantrans.teaching.places import found, module_of

Experiment = Callable[[str], Mapping[str, Any]]

_EXPERIMENTS: dict[str, Experiment | str] = {}


def experiment(claim_id: str) -> Callable[[Experiment], Experiment]:
    """Register a function of the scale as the experiment of a claim.

    Raises:
        ClaimError: when the claim is unknown or already has an experiment.
    """
    claims.get(claim_id)

    def register(function: Experiment) -> Experiment:
        _register(claim_id, function)
        return function

    return register


def decide_by_sweep(claim_id: str, sweep: str) -> None:
    """Register the sweep of that name as what decides a claim.

    Raises:
        ClaimError: when the claim is unknown or already has an experiment.
    """
    claims.get(claim_id)
    _register(claim_id, sweep)


def experiments() -> Mapping[str, Experiment | str]:
    """By claim, the function or the name of the sweep, after importing the experiments of every lesson."""
    for path in found("experiments/*.py"):
        importlib.import_module(module_of(path))
    return dict(sorted(_EXPERIMENTS.items()))


def _register(claim_id: str, by: Experiment | str) -> None:
    known = _EXPERIMENTS.setdefault(claim_id, by)
    if _name(known) != _name(by):
        raise claims.ClaimError(f"Claim {claim_id} has two experiments: {_name(known)} and {_name(by)}.")
    _EXPERIMENTS[claim_id] = by


def _name(by: Experiment | str) -> str:
    return f"the sweep {by}" if isinstance(by, str) else f"{by.__module__}.{by.__qualname__}"
