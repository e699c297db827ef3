"""The review page's service: items, verdicts that are on the disk before they are acknowledged, CSV."""

import hashlib
from typing import Annotated, Any

from fastapi import BackgroundTasks, FastAPI, HTTPException, Response
from pydantic import BaseModel, StringConstraints

from gantrans.directions import direction as registered
from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.exports import verdict_table
from gantrans.operations.feedback.records import Verdict, VerdictWord
from gantrans.operations.feedback.store import ConflictError, Store
from gantrans.operations.serving.hosting import add_pages
from gantrans.operations.serving.review import Review


class Judgement(BaseModel):
    """A verdict as the page sends it; the same `id` may be sent again until it is acknowledged."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")]
    item: Annotated[str, StringConstraints(max_length=500)]
    verdict: VerdictWord | None
    note: Annotated[str, StringConstraints(max_length=4000)] = ""


class Acknowledged(BaseModel):
    """What the store holds now. `measured` is there only beside a verdict, so that no number leads it."""

    item: str
    verdict: VerdictWord | None = None
    note: str = ""
    measured: dict[str, float | None] | None = None


def review_app(review: Review, store: Store) -> FastAPI:
    """The application behind `python -m gantrans review`."""
    app = FastAPI(title="Review", docs_url=None, redoc_url=None, openapi_url=None)
    place = {item: index for index, item in enumerate(review.items)}

    @app.get("/api/review")
    def about() -> dict[str, Any]:
        verdicts = store.verdicts()
        name = hashlib.sha256(" ".join(sorted(review.items)).encode()).hexdigest()[:16]
        return {
            "review": name,
            "title": review.title,
            "model": review.model,
            "direction": review.direction,
            "unit": review.unit,
            **_words(review.direction),
            "items": [
                {"item": i, "verdict": v.verdict if (v := verdicts.get(i)) else None} for i in review.items
            ],
        }

    @app.get("/api/items/{index}")
    def item(index: int, tasks: BackgroundTasks) -> dict[str, Any]:
        if not 0 <= index < len(review):
            raise HTTPException(404, f"There is no item {index}; there are {len(review)}.")
        tasks.add_task(review.measured, index)  # while the person looks, so that the verdict need not wait
        verdict = store.verdict(review.items[index])
        return {**review.item(index), **_acknowledged(review.items[index], verdict).model_dump()}

    @app.post("/api/verdicts", status_code=201)
    def judge(judgement: Judgement, response: Response) -> Acknowledged:
        index = place.get(judgement.item)
        if index is None:
            raise HTTPException(404, f"This review has no item {judgement.item!r}.")
        measured = review.measured(index) if judgement.verdict else {}
        try:
            new = store.judge(
                judgement.item,
                judgement.verdict,
                judgement.note,
                id=judgement.id,
                model=review.model,
                measured=measured,
            )
        except ConflictError as error:
            raise HTTPException(409, str(error)) from error
        except StoreError as error:  # full disk: the page keeps the verdict and tries again
            raise HTTPException(503, str(error), headers={"retry-after": "2"}) from error
        response.status_code = 201 if new else 200
        return _acknowledged(judgement.item, store.verdict(judgement.item))

    @app.get("/verdicts.csv")
    def table() -> Response:
        name = {"content-disposition": 'attachment; filename="verdicts.csv"'}
        return Response(verdict_table(store), media_type="text/csv", headers=name)

    add_pages(app, "review.html")
    return app


def _words(direction: str) -> dict[str, Any]:
    """What the page calls the images of a direction."""
    chosen = registered(direction)
    kinds = {"input": chosen.input_label, "output": chosen.target_label, "reference": chosen.target_label}
    return {"kinds": kinds, "read_back": chosen.read_back}


def _acknowledged(item: str, verdict: Verdict | None) -> Acknowledged:
    if verdict is None:
        return Acknowledged(item=item)
    return Acknowledged(item=item, verdict=verdict.verdict, note=verdict.note, measured=verdict.measured)
