"""A service whose answers are known, and a contract test of any service: for tests and for
`benchmarks/operations_contract.py`.
"""

import time
from collections import Counter
from typing import Any

import torch

from gantrans.operations.feedback.store import Store
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


KNOWN = {"prediction": ("p0", "p1"), "label": ("l0", "l1"), "event": ("e0", "e1")}
"""Names that a part of the requests use, so that they reach what is stored, and each other."""
_LIMITING = ("bits", "made_at", "pixel_nm")  # allowed by their schemas, but not with every image


def store_predictions(store: Store) -> None:
    """The predictions of `KNOWN`, 24 x 24 px."""
    for number, name in enumerate(KNOWN["prediction"]):
        image = torch.full((1, 24, 24), number / 4)
        store.register(name, "sem2layout", "one", image, 1 - image, pixel_nm=20.0)


def try_contract(app: Any, cases: int, image: bytes) -> Counter[tuple[str, int]]:
    """Schemathesis sends what the OpenAPI document allows and what it forbids, `cases` times per operation.

    Statuses, content types and bodies must be the declared ones, and none may be a server error. Two of three
    allowed requests get a name from `KNOWN` and a real image, which no generator would hit upon. Returns how
    often each operation gave each status.
    """
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

    statuses: Counter[tuple[str, int]] = Counter()
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
            number = statuses.total()
            excluded = [positive_data_acceptance]  # no schema describes a PNG
            if number % 3 and case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE:
                _make_real(case, number, image)
                excluded.append(negative_data_rejection)  # bytes are no string of the schema
            answer = case.call_and_validate(excluded_checks=excluded)
            statuses[case.operation.label, answer.status_code] += 1

        holds()
    return statuses


def _make_real(case: Any, number: int, image: bytes) -> None:
    """Let a request name what is stored, and send an image that can be decoded."""
    for name in case.path_parameters or {}:
        if name in KNOWN:
            case.path_parameters[name] = KNOWN[name][number % 2]
    if isinstance(case.body, dict) and "image" in case.body:
        case.body = {"image": image}
        case.query = {name: value for name, value in case.query.items() if name not in _LIMITING}
        if "direction" in case.query:
            known = number % 3 == 1
            case.query["direction"] = "sem2layout"
            case.query["id"] = KNOWN["prediction"][number % 2] if known else f"n{number}"
