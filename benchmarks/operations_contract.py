"""The service against its own OpenAPI document: Schemathesis sends what it allows and what it forbids.

Goal: no server error and no undeclared status, type or body over 1,000 requests; the first one ends the run.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from gantrans import ROOT
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.monitors import Operational
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service

sys.path.insert(0, str(ROOT / "tests"))
from toy_service import Inverter, try_contract


def run(quick: bool) -> list[dict[str, Any]]:
    """One row: how many requests were made, and the answers by status."""
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name) / "store.sqlite")
        service = Service(Inverter(), store, Operational())
        requests = try_contract(serve_app(service, IntakeConfig(), hosts=("*",)), 5 if quick else 100)
        store.close()
    statuses: dict[str, int] = {}
    for family in service.monitor.requests.collect():
        for sample in family.samples:
            if sample.name.endswith("_total"):
                status = sample.labels["status"]
                statuses[status] = statuses.get(status, 0) + int(sample.value)
    answers = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    return [{"requests without violation": requests, "answers": answers}]
