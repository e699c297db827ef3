"""What the monitors read from a store: verdicts by version, quality over time, what is not labelled yet."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from gantrans.operations.feedback.records import LabelKind, Prediction
from gantrans.operations.feedback.store import JUDGED, WINNERS, Store

Scores = dict[str, float | None]
Label = tuple[str, str, str, str, str, str]
"""(prediction, direction, model, output, label id, label image)."""

_SECONDS = "CAST(strftime('%s', p.made_at) AS INTEGER)"
_BUCKET = f"{_SECONDS} / ? * ?"
_WITHIN = f"{_SECONDS} >= ? AND {_SECONDS} < ?"


@dataclass(frozen=True)
class Bucket:
    """A mean over the predictions of one version that were made in one step of time.

    at: start of the step, seconds since 1970. count: labels or verdicts behind the mean.
    """

    direction: str
    model: str
    at: int
    mean: float
    count: int


def verdict_counts(store: Store) -> dict[tuple[str, str], dict[str, int]]:
    """Number of predictions by their last verdict, for each (direction, model) that predicted."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for direction, model, verdict, count in store.rows(
        f"SELECT p.direction, p.model, v.verdict, count(*) FROM prediction p JOIN ({JUDGED}) v "
        "ON v.item = p.id GROUP BY 1, 2, 3"
    ):
        counts.setdefault((direction, model), {})[verdict] = count
    return counts


_LABELS = (
    f"FROM prediction p JOIN ({WINNERS} AND kind = ?) l ON l.prediction = p.id "
    "JOIN image a ON a.sha256 = p.output JOIN image b ON b.sha256 = l.image AND b.height = a.height "
    "AND b.width = a.width LEFT JOIN score s ON s.prediction = p.id AND s.label = l.id "
)
"""Every prediction with a label of one kind that counts, and its metrics if they were measured."""


def unmeasured(store: Store, kind: LabelKind) -> list[Label]:
    """(prediction, direction, model, output, label id, label image) of each label without metrics."""
    return store.rows(  # type: ignore[return-value]
        f"SELECT p.id, p.direction, p.model, p.output, l.id, l.image {_LABELS} WHERE s.label IS NULL "
        "ORDER BY p.made_at, p.id",
        (kind,),
    )


def label_counts(store: Store, kind: LabelKind) -> dict[tuple[str, str], int]:
    """Number of labels of a kind for each (direction, model) that predicted."""
    rows = store.rows(f"SELECT p.direction, p.model, count(*) {_LABELS} GROUP BY 1, 2", (kind,))
    return {(direction, model): count for direction, model, count in rows}


def score_sums(store: Store, kind: LabelKind) -> dict[tuple[str, str, str], tuple[float, int]]:
    """Sum and number of the measured values, for each (direction, model, metric).

    Added up by the database, so that a report needs no more memory for more labels.
    """
    rows = store.rows(
        f"SELECT p.direction, p.model, m.key, total(m.value), count(m.value) {_LABELS} "
        "JOIN json_each(s.metrics) m WHERE s.label IS NOT NULL GROUP BY 1, 2, 3",
        (kind,),
    )
    return {(direction, model, name): (total, count) for direction, model, name, total, count in rows}


def keep_scores(store: Store, scores: Mapping[tuple[str, str], Scores]) -> None:
    """Store the metrics of several (prediction, label) in one transaction.

    Raises:
        StoreError: see `Database.transaction`.
    """
    with store.transaction() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO score VALUES (?, ?, ?)",
            [(*key, json.dumps(metrics)) for key, metrics in scores.items()],
        )


def quality_over_time(
    store: Store, metric: str, direction: str, start: float, end: float, step: int
) -> list[Bucket]:
    """Mean of a metric over true labels, by version and by the time of the *prediction*, oldest first.

    Args:
        start, end: seconds since 1970. step: seconds.
    """
    rows = store.rows(
        f"SELECT p.direction, p.model, {_BUCKET} AS at, avg(m.value), count(*) FROM prediction p "
        f"JOIN ({WINNERS} AND kind = 'truth') l ON l.prediction = p.id "
        "JOIN score s ON s.prediction = p.id AND s.label = l.id "
        "JOIN json_each(s.metrics) m ON m.key = ? AND m.value IS NOT NULL "
        f"WHERE p.direction = ? AND {_WITHIN} GROUP BY 1, 2, 3 ORDER BY 3",
        (step, step, metric, direction, int(start), int(end)),
    )
    return [Bucket(*row) for row in rows]


def verdicts_over_time(store: Store, verdict: str, start: float, end: float, step: int) -> list[Bucket]:
    """Share of one verdict among the judged predictions, by version and by the time of the prediction."""
    rows = store.rows(
        f"SELECT p.direction, p.model, {_BUCKET} AS at, avg(v.verdict = ?), count(*) FROM prediction p "
        f"JOIN ({JUDGED}) v ON v.item = p.id WHERE {_WITHIN} GROUP BY 1, 2, 3 ORDER BY 3",
        (step, step, verdict, int(start), int(end)),
    )
    return [Bucket(*row) for row in rows]


def recent(store: Store, direction: str, last: int) -> list[Prediction]:
    """The `last` newest predictions of a direction, newest first."""
    rows = store.rows(
        "SELECT * FROM prediction WHERE direction = ? ORDER BY made_at DESC, id DESC LIMIT ?",
        (direction, last),
    )
    return [Prediction(*row) for row in rows]


def unseen(store: Store, direction: str, last: int) -> list[Prediction]:
    """Those of the `last` newest predictions of a direction that have neither a label nor a verdict."""
    rows = store.rows(
        "SELECT * FROM (SELECT * FROM prediction WHERE direction = ? ORDER BY made_at DESC, id DESC LIMIT ?) "
        "WHERE id NOT IN (SELECT prediction FROM label) "
        f"AND id NOT IN (SELECT item FROM ({JUDGED}))",
        (direction, last),
    )
    return [Prediction(*row) for row in rows]


def labelled(store: Store, predictions: list[str]) -> set[str]:
    """Which of these predictions have a label."""
    marks = ", ".join("?" * len(predictions))
    rows = store.rows(f"SELECT prediction FROM label WHERE prediction IN ({marks})", tuple(predictions))
    return {row[0] for row in rows}
