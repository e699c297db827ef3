"""The HTTP service of the review page: items, verdicts (on the disk before they are acknowledged), CSV."""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, StringConstraints

from gantrans.directions import direction as registered
from gantrans.operations.feedback.exports import verdict_table
from gantrans.operations.feedback.kept import legend
from gantrans.operations.feedback.records import Verdict, VerdictWord
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.guard import guard
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.operations.serving.review import Review
from gantrans.operations.serving.schemas import Reviewer


class Judgement(BaseModel):
    """A verdict from the page; the same `id` can be sent again until it is acknowledged."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")]
    item: Annotated[str, StringConstraints(max_length=500)]
    verdict: VerdictWord | None
    note: Annotated[str, StringConstraints(max_length=4000)] = ""
    reviewer: Reviewer = ""


class Acknowledged(BaseModel):
    """The stored verdict. `measured` is set only together with a verdict, so that metrics cannot bias it."""

    item: str
    verdict: VerdictWord | None = None
    note: str = ""
    reviewer: str = ""
    measured: dict[str, float | None] | None = None


def _review(request: Request) -> Review:
    return request.app.state.review


def _store(request: Request) -> Store:
    return request.app.state.store


BODY_BYTES = 2**17
"""Largest body: a verdict with the longest note, each character as twelve bytes of JSON, and room."""

CurrentReview = Annotated[Review, Depends(_review)]
CurrentStore = Annotated[Store, Depends(_store)]
router = APIRouter()


def review_app(review: Review, store: Store) -> FastAPI:
    """The application behind `python -m gantrans review`, behind the same gate as the service."""
    app = FastAPI(title="Review", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.review, app.state.store = review, store
    app.include_router(router)
    guard(app, "review.html", IntakeConfig(body_bytes=BODY_BYTES))
    return app


@router.get("/api/review")
def about(review: CurrentReview, store: CurrentStore) -> dict[str, Any]:
    """Title, names of the images, and all items with their verdicts."""
    chosen, verdicts = registered(review.direction), store.verdicts()
    return {
        "review": hashlib.sha256(" ".join(sorted(review.items)).encode()).hexdigest()[:16],
        "title": review.title,
        "model": review.model,
        "direction": review.direction,
        "unit": review.unit,
        "pixel_nm": review.pairs.pixel_nm,
        "kinds": {
            "input": chosen.input_label,
            "output": chosen.target_label,
            "reference": chosen.target_label,
        },
        "read_back": chosen.read_back,
        "measurable": not review.classes and review.references.shape[1] == 1,
        "classes": legend(review.classes),
        "items": [
            {"item": i, "verdict": v.verdict if (v := verdicts.get(i)) else None} for i in review.items
        ],
    }


@router.get("/api/items/{index}")
def item(review: CurrentReview, store: CurrentStore, index: int, tasks: BackgroundTasks) -> dict[str, Any]:
    """Images and verdict of one item."""
    if not 0 <= index < len(review):
        raise HTTPException(404, f"There is no item {index}; there are {len(review)}.")
    tasks.add_task(review.measured, index)  # computed while the person looks at the item
    verdict = store.verdict(review.items[index])
    return {**review.item(index), **_acknowledged(review.items[index], verdict).model_dump()}


@router.post("/api/verdicts", status_code=201)
def judge(
    review: CurrentReview, store: CurrentStore, judgement: Judgement, response: Response
) -> Acknowledged:
    """Store a verdict, or its withdrawal."""
    if judgement.item not in review.items:
        raise HTTPException(404, f"This review has no item {judgement.item!r}.")
    measured = review.measured(review.items.index(judgement.item)) if judgement.verdict else {}
    new = store.judge(
        judgement.item,
        judgement.verdict,
        judgement.note,
        id=judgement.id,
        model=review.model,
        measured=measured,
        reviewer=judgement.reviewer,
    )
    response.status_code = 201 if new else 200
    return _acknowledged(judgement.item, store.verdict(judgement.item))


@router.get("/verdicts.csv")
def table(store: CurrentStore) -> Response:
    """All verdicts as CSV."""
    name = {"content-disposition": 'attachment; filename="verdicts.csv"'}
    return Response(verdict_table(store), media_type="text/csv", headers=name)


def _acknowledged(item: str, verdict: Verdict | None) -> Acknowledged:
    if verdict is None:
        return Acknowledged(item=item)
    return Acknowledged(
        item=item,
        verdict=verdict.verdict,
        note=verdict.note,
        reviewer=verdict.reviewer,
        measured=verdict.measured,
    )
