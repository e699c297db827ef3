"""A service whose answers are known, and a contract test of any service: for tests and for
`benchmarks/operations_contract.py`.
"""

import time
from typing import Any

import torch

from gantrans.operations.serving.models import Model
from gantrans.translation import recipe


class Inverter:
    """A translator whose answer is known; `pause` makes it slow, `version` its name."""

    def __init__(self, version: str = "one", pause: float = 0.0) -> None:
        self.model = Model("sem2layout", version, self)  # type: ignore[arg-type]
        self.recipe = recipe("sem2layout", "smoke")
        self.problems: dict[str, str] = {}
        self.pause = pause

    def translate_large(self, image: torch.Tensor, *, seed: int = 0) -> torch.Tensor:
        time.sleep(self.pause)
        return 1 - image

    def get(self, direction: str) -> Model | None:
        return self.model if direction == "sem2layout" else None

    def directions(self) -> list[str]:
        return ["sem2layout"]


def try_contract(app: Any, cases: int) -> int:
    """Schemathesis sends what the OpenAPI document allows and what it forbids, `cases` times per operation.

    Statuses, content types and bodies must be the declared ones, and none may be a server error; returns how
    many requests were made.
    """
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    tried = 0
    for result in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations():

        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=result.ok().as_strategy())
        def holds(case: Any) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate(excluded_checks=[positive_data_acceptance])  # no schema describes a PNG

        holds()
    return tried
