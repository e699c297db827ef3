"""From the scores of single trainings to rows of the report, with intervals, and to the recommendation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gantrans.errors import CheckpointError
from gantrans.operations.comparison.draws import Array, coverage
from gantrans.operations.comparison.intervals import Interval, interval
from gantrans.operations.comparison.rules import Candidate, Measure, Recommendation, recommend
from gantrans.operations.comparison.scoring import TestSet, spectrum_distance
from gantrans.operations.comparison.settings import Wishes

BASELINE = "baseline"
"""Name of the scores of what needs no training."""
MEASURES = {
    "iou": Measure("IoU", 0.01),
    "ssim": Measure("SSIM", 0.01),
    "crps": Measure("CRPS", 0.001, higher=False),
}
"""The measures that can decide: IoU or SSIM of one answer, CRPS of several."""


POSITIVE = ("epe", "cd_error_abs", "opens", "bridges", "l1", "crps", "diversity", "spectrum")
"""Measures that cannot be negative, and neither can the bounds of their means."""


@dataclass(frozen=True)
class Row:
    """A method at one number of steps (or the baseline) over all its trainings.

    metrics: per image over trainings, (trainings, images); draws: of those images that have several
    answers. files, scores: where the scores of each training stand, and what they are.
    """

    name: str
    method: str
    steps: int | None
    files: list[str]
    scores: list[dict[str, Any]]
    baseline: bool = False
    metrics: dict[str, Array] = field(default_factory=dict)
    draws: dict[str, Array] = field(default_factory=dict)

    @property
    def varied(self) -> bool:
        """Whether it draws several answers."""
        return any(score["draws"]["count"] > 1 for score in self.scores)

    def speed(self, name: str) -> float | None:
        """A number on speed or size: median over the trainings, or None."""
        known = [score["speed"][name] for score in self.scores if score["speed"][name] is not None]
        return float(np.median(known)) if known else None

    def coverage(self) -> list[tuple[float, float]]:
        """(nominal, observed) shares of target pixels inside the intervals of the draws."""
        if not self.varied:
            return []
        hits = np.concatenate([np.asarray(score["draws"]["hits"]) for score in self.scores])
        counts = np.concatenate([np.asarray(score["draws"]["counts"]) for score in self.scores])
        shares = coverage(hits, counts).tolist()
        return list(zip(self.scores[0]["draws"]["levels"], shares, strict=True))


def make_rows(out: Path, methods: Mapping[str, tuple[Sequence[str], Sequence[int | None]]]) -> list[Row]:
    """Rows of the report out of the stored scores, the baseline last.

    Args:
        methods: method -> the names of its trainings, and its numbers of steps.
    """
    rows = []
    for method, (trainings, variants) in methods.items():
        for steps in variants:
            ending = "" if steps is None else f"-{steps}"
            files = [name + ending for name in trainings]
            label = method if steps is None else f"{method}, {steps} step{'s' * (steps != 1)}"
            rows.append(_row(label, method, steps, files, [read_scores(out, name) for name in files]))
    found = read_scores(out, BASELINE)
    return [*rows, _row(str(found["label"]), BASELINE, None, [BASELINE], [found], baseline=True)]


def read_scores(out: Path, name: str) -> dict[str, Any]:
    """The stored scores of a training.

    Raises:
        CheckpointError: they are damaged.
    """
    path = out / "scores" / f"{name}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return found
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read; remove it and use --resume to score again.") from error


def _row(
    name: str,
    method: str,
    steps: int | None,
    files: list[str],
    scores: list[dict[str, Any]],
    *,
    baseline: bool = False,
) -> Row:
    metrics = {m: _stacked([score["per_image"][m] for score in scores]) for m in scores[0]["per_image"]}
    draws = {
        m: _stacked([score["draws"][m] for score in scores])
        for m in ("crps", "diversity")
        if m in scores[0]["draws"]
    }
    return Row(name, method, steps, files, scores, baseline, metrics, draws)


def _stacked(values: list[list[float | None]]) -> Array:
    return np.array([[np.nan if v is None else v for v in one] for one in values], np.float64)


def intervals(row: Row, test: TestSet, real: Any) -> dict[str, Interval]:
    """Mean and 95 % interval of every measure that a row has."""
    drawn = [test.cluster[i] for i in row.scores[0]["draws"]["images"]]
    found = {name: interval(values, test.cluster) for name, values in row.metrics.items()}
    found |= {name: interval(values, drawn) for name, values in row.draws.items()}
    spectra = [score["spectrum"] for score in row.scores]
    if real is not None and all(one is not None for one in spectra):
        found["spectrum"] = Interval(*spectrum_distance(np.mean(spectra, axis=0), real, test.cluster))
    return {name: _clipped(value) if name in POSITIVE else value for name, value in found.items()}


def _clipped(value: Interval) -> Interval:
    """An interval of what cannot be negative."""
    return Interval(value.mean, max(0.0, value.low), value.high) if value.known else value


def decide(rows: Sequence[Row], test: TestSet, wishes: Wishes) -> tuple[str, Recommendation]:
    """The measure that decides, a key of `MEASURES`, and the recommendation by it."""
    name = "crps" if wishes.draws else test.metrics[0]
    clusters = test.cluster
    if name == "crps":
        clusters = [test.cluster[i] for i in rows[0].scores[0]["draws"]["images"]] if rows else []
    candidates = [
        Candidate(
            row.name, row.method, row.draws["crps"] if name == "crps" else row.metrics[name],
            row.speed("images_per_s") or 0.0, row.varied, row.baseline,
        )
        for row in rows
    ]  # fmt: skip
    return name, recommend(
        candidates, clusters, MEASURES[name], limit=wishes.images_per_second, need_draws=wishes.draws
    )


def examples(rows: Sequence[Row], chosen: str | None, test: TestSet) -> dict[str, int]:
    """Indices of the worst, the median and the best test image by the deciding metric of one answer.

    Args:
        chosen: the row whose images are ordered; None takes the mean over all trained rows.
    """
    metric = test.metrics[0]
    trained = [row for row in rows if not row.baseline and chosen in (None, row.name)]
    values = np.mean([row.metrics[metric].mean(0) for row in trained or rows], axis=0)
    order = np.argsort(values, kind="stable").tolist()
    return {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}
