"""The third monitor: are the outputs right? Truth, corrections and verdicts are three columns, never one.

- Truth: labels measured independently of the output. They alone make the quality.
- Corrections: a person painted on the output. A correction starts from the output and keeps what was not
  touched, so an output of pure rubbish with two painted pixels has an IoU near 1. Its numbers measure how
  much a person changed.
- Verdicts: the shares of accepted and rejected outputs, with an interval.

Labels arrive late or never, so every quality is reported together with the share of predictions behind it. A
label counts for the version that predicted, whichever is champion when the label arrives.
"""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrans.directions import direction as registered
from gantrans.directions import directions
from gantrans.errors import DataError
from gantrans.metrics import epe
from gantrans.metrics.classes import class_iou
from gantrans.metrics.image import WINDOW
from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.kept import Picture
from gantrans.operations.feedback.queries import (
    Label,
    Scores,
    keep_scores,
    label_counts,
    score_sums,
    unmeasured,
    verdict_counts,
)
from gantrans.operations.feedback.records import KINDS, VERDICTS, LabelKind
from gantrans.operations.feedback.store import DamagedPictureError, Store
from gantrans.translation.inference import SCORES

QUALITIES = ("l1", "ssim", "psnr", "iou", "epe_px", "mean_iou", "accuracy")
IMAGE_QUALITIES = QUALITIES[:5]
CHANGED = "changed_pixels"
"""Share of the pixels that a correction changed; measured for corrections only."""
MOST_CROSSINGS = 250_000
"""Above this number of level crossings in output and label, the placement error is not computed: noise has
one at every second pixel, no layout has, and the time grows with them (about a second at this number)."""
NOTES = {
    "truth": "Quality comes from labels that were measured independently of the output; it counts for the "
    "version that predicted.",
    "corrected": "A correction starts from the output and keeps what was not painted over: these numbers "
    "measure how much a person changed, not how right the output was.",
    "verdicts": "Shares of the judged outputs, with the 95 % interval; which outputs were judged was not "
    "drawn at random unless they came from the random part of the queue.",
    "reference": "The version that quality is compared with. A promotion does not move it; a person does.",
}


class Quality:
    """Reports on one store; safe to call from several threads, of which one measures labels at a time.

    New scores are stored together; if that fails, `problem` has the reason and they stay in memory.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.problem: str | None = None
        self._damaged: dict[tuple[str, str], str] = {}
        self._new: dict[tuple[str, str], Scores] = {}  # measured, not in the store yet
        self._measuring = threading.Lock()

    def report(self, seconds: float | None = None) -> list[dict[str, Any]]:
        """One row per (direction, model), see `performance`.

        Args:
            seconds: measure new labels for about this time, at least one; the others are counted as
                `waiting`. A call during another one's measuring measures nothing. None measures all.
        """
        waiting = self._measure(seconds)
        columns = {kind: self._columns(kind, waiting[kind]) for kind in KINDS}
        verdicts, rows = verdict_counts(self.store), []
        for direction, model, count in self.store.versions():
            names = (CHANGED, *qualities(direction))
            truth, corrected = (columns[kind](direction, model, names) for kind in ("truth", "corrected"))
            labelled = truth.pop("count")
            del truth[CHANGED]
            rows.append(
                {
                    "direction": direction,
                    "model": model,
                    "predictions": count,
                    "labelled": labelled,
                    "coverage": labelled / count,
                    "reference": False,
                    **truth,
                    "corrected": corrected,
                    "verdicts": verdict_shares(verdicts.get((direction, model), {})),
                }
            )
        return rows

    def _columns(
        self, kind: LabelKind, without: list[Label]
    ) -> Callable[[str, str, Collection[str]], dict[str, Any]]:
        """What gives the means over the labels of one kind, and how many are left out and why.

        Args:
            without: the labels whose metrics are not in the store.
        """
        counts, sums = label_counts(self.store, kind), score_sums(self.store, kind)
        damaged: Counter[tuple[str, str]] = Counter()
        waiting: Counter[tuple[str, str]] = Counter()
        for prediction, direction, model, _, name, _ in without:
            if (prediction, name) in self._damaged:
                damaged[direction, model] += 1
            elif scores := self._new.get((prediction, name)):  # measured, and could not be stored
                for metric, value in scores.items():
                    if value is not None:
                        total, number = sums.get((direction, model, metric), (0.0, 0))
                        sums[direction, model, metric] = total + value, number + 1
            else:
                waiting[direction, model] += 1

        def column(direction: str, model: str, names: Collection[str]) -> dict[str, Any]:
            which = direction, model
            about: dict[str, Any] = {
                "count": counts.get(which, 0) - damaged[which],
                "waiting": waiting[which],
                "damaged": damaged[which],
            }
            for name in (CHANGED, *QUALITIES):  # older stores hold more than `names`
                total, number = sums.get((*which, name), (0.0, 0)) if name in names else (0.0, 0)
                about[name] = {"mean": total / number if number else None, "count": number}
            return about

        return column

    def _measure(self, seconds: float | None) -> dict[LabelKind, list[Label]]:
        """Measure new labels and store their metrics; returns the labels that have none in the store."""
        if self._measuring.acquire(blocking=seconds is None):
            try:
                self._measure_new(None if seconds is None else time.monotonic() + seconds)
            finally:
                self._keep()
                self._measuring.release()
        return {kind: unmeasured(self.store, kind) for kind in KINDS}

    def _measure_new(self, until: float | None) -> None:
        for kind in KINDS:
            for label in unmeasured(self.store, kind):
                if (key := (label[0], label[4])) in self._new or key in self._damaged:
                    continue
                self._measure_one(label, kind == "corrected")
                if until is not None and time.monotonic() > until:
                    return

    def _keep(self) -> None:
        try:
            if self._new:
                keep_scores(self.store, self._new)
        except StoreError as error:
            self.problem = f"New scores are not stored yet: {error}"
        else:
            self._new, self.problem = {}, None

    def _measure_one(self, label: Label, corrected: bool) -> None:
        prediction, direction, _, output, name, image = label
        try:
            made, label_made = self.store.picture(output), self.store.picture(image)
            if made.channels != label_made.channels:
                raise DataError(f"Output and label have {made.channels} and {label_made.channels} channels.")
        except (DamagedPictureError, DataError) as error:  # counted in every report
            self._damaged[prediction, name] = str(error)
            return
        if "mean_iou" in (names := qualities(direction)):
            scores = mask_scores(made, label_made)
        else:
            scores = label_scores(made.unit(), label_made.unit(), names)
        if corrected:
            scores[CHANGED] = changed(made, label_made)
        self._new[prediction, name] = scores


def performance(store: Store) -> list[dict[str, Any]]:
    """Quality of every model version on its truly labelled predictions, with their share (`coverage`).

    Each row has direction, model, predictions, labelled, coverage, and for each of `QUALITIES` its mean and
    the number of predictions that define it; `waiting` and `damaged` labels are left out of the means.
    `corrected` has the same of the corrections, and `verdicts` the shares of `verdict_shares`. Metrics are
    computed once and kept in the store.
    """
    return Quality(store).report()


def with_reference(rows: list[dict[str, Any]], chosen: dict[str, str]) -> dict[str, str]:
    """Mark the row of each direction's reference version; returns the version by direction.

    Args:
        chosen: versions that a person made the reference. Without one it is the direction's first version
            with a true label, and stays so after every promotion.
    """
    reference: dict[str, str] = {}
    for row in rows:
        if row["labelled"]:
            reference.setdefault(row["direction"], row["model"])
    reference |= chosen
    for row in rows:
        row["reference"] = reference.get(row["direction"]) == row["model"]
    return reference


def qualities(direction: str) -> tuple[str, ...]:
    """Those of `QUALITIES` that a direction has; those of images for one that is not registered."""
    if direction not in directions():
        return IMAGE_QUALITIES
    metrics = registered(direction).metrics
    return tuple(name for name in QUALITIES if name.removesuffix("_px") in metrics)


def main_quality(direction: str) -> str:
    """The one of `qualities` by which the versions of a direction are compared."""
    return next((n for n in ("iou", "mean_iou", "ssim", "l1") if n in qualities(direction)), "l1")


def label_scores(
    output: Tensor, label: Tensor, names: Collection[str] = IMAGE_QUALITIES
) -> dict[str, float | None]:
    """Some of `QUALITIES` of one output, (1 or 3, H, W) in [0, 1]; None for a value that is not finite.

    A placement error and an IoU are those of one channel. Of classes see `mask_scores`.

    SSIM is not defined for images smaller than its window, and the placement error is not computed with more
    than `MOST_CROSSINGS`.
    """
    pred, target = output[None], label[None]
    small = min(output.shape[-2:]) < WINDOW
    values: dict[str, float] = {}
    for name in names:
        if name == "epe_px":
            many = crossings(output) + crossings(label) > MOST_CROSSINGS
            values[name] = math.nan if many else float(epe(pred, target, 1.0).mean)
        else:
            values[name] = math.nan if name == "ssim" and small else float(SCORES[name](pred, target))
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def changed(output: Picture, label: Picture) -> float:
    """Share of the pixels that differ; of pictures with other depths, by more than the rounding of 8 bits."""
    if output.depth == label.depth:
        return float((output.codes() != label.codes()).mean())
    return float(((output.unit() - label.unit()).abs() > 1.5 / 255).any(0).double().mean())


def mask_scores(output: Picture, label: Picture) -> dict[str, float | None]:
    """Mean IoU over the classes that occur in one of two masks, and the share of equal pixels."""
    one, other = output.codes().ravel(), label.codes().ravel()
    known, numbers = np.unique(np.concatenate([one, other]), return_inverse=True)
    pairs = numbers[: one.size] * len(known) + numbers[one.size :]
    counts = np.bincount(pairs, minlength=len(known) ** 2).reshape(len(known), -1)
    ious = class_iou(torch.from_numpy(counts))
    return {"mean_iou": float(ious.mean()), "accuracy": float((one == other).mean())}


def crossings(image: Tensor) -> int:
    """How many neighbours of (1, H, W) lie on different sides of level 0.5; contours have so many points."""
    above = image >= 0.5
    return sum(
        int((above.narrow(d, 1, above.shape[d] - 1) != above.narrow(d, 0, above.shape[d] - 1)).sum())
        for d in (-1, -2)
    )


def verdict_shares(counts: dict[str, int]) -> dict[str, Any]:
    """Number and share of each verdict, with the limits of its 95 % interval."""
    total = sum(counts.values())
    shares: dict[str, Any] = {"count": total}
    for word in VERDICTS:
        low, high = wilson(counts.get(word, 0), total)
        share = counts.get(word, 0) / total if total else None
        shares[word] = {"count": counts.get(word, 0), "share": share, "low": low, "high": high}
    return shares


def wilson(successes: int, total: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Limits of the 95 % score interval of a share (Wilson 1927); (0, 1) without observations."""
    if not total:
        return 0.0, 1.0
    share, width = successes / total, z**2 / total
    half = z * math.sqrt(share * (1 - share) / total + width / (4 * total))
    return (
        max(0.0, (share + width / 2 - half) / (1 + width)),
        min(1.0, (share + width / 2 + half) / (1 + width)),
    )
