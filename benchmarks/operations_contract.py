"""The service against its own OpenAPI document: Schemathesis sends what it allows and what it forbids.

A part of the requests name predictions that are stored, so that verdicts and labels are reached. Goal: no
server error and no undeclared status, type or body over 1,000 requests; the first one ends the run.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from gantrans import ROOT
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.monitors import Operational
from gantrans.operations.serving.server import serve_app
from gantrans.operations.serving.service import Service

sys.path.insert(0, str(ROOT / "tests"))
import nasty_images
from toy_service import Inverter, store_predictions, try_contract


def run(quick: bool) -> list[dict[str, Any]]:
    """One row: how many requests were made, and the answers by status."""
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name) / "store.sqlite")
        service = Service(Inverter(), store, Operational())
        store_predictions(store)
        app = serve_app(service, IntakeConfig(), hosts=("*",))
        tried = try_contract(app, 5 if quick else 100, nasty_images.good()["png 8"])
        stored = store.counts()
        store.close()
    statuses: Counter[int] = Counter()
    for (_, status), count in tried.items():
        statuses[status] += count
    answers = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    return [{"requests without violation": tried.total(), "answers": answers, **stored}]
