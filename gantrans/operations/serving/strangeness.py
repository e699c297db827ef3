"""Which predictions a person should look at: the strangest inputs, and a queue of images to label.

The distance of an image is its largest deviation over the drift features, in standard deviations of the
reference of the direction's drift detector, or of the recent images themselves where nothing is monitored.
Of colour the luma is measured.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor

from gantrans.errors import DataError
from gantrans.images import grey
from gantrans.operations.drift.features import FEATURES
from gantrans.operations.drift.profile import measure
from gantrans.operations.feedback.queries import labelled, recent, unseen
from gantrans.operations.feedback.records import Prediction
from gantrans.operations.feedback.store import DamagedPictureError, Store
from gantrans.operations.serving.drift_watch import DriftWatch, against

KEPT = 5000
"""Measurements of images that are kept in memory."""
FEWEST = 10
"""Fewest recent images that can serve as their own reference."""
BUDGET_S = 1.0


class Strangeness:
    """Distances of recent predictions; images are read from the store and measured once.

    Args:
        watch: drift detectors whose references are used.
    """

    def __init__(self, store: Store, watch: DriftWatch | None = None) -> None:
        self.store, self.watch = store, watch
        self._features: OrderedDict[str, Tensor | None] = OrderedDict()  # None: cannot be measured
        self._damaged: set[str] = set()
        self._lock = threading.Lock()

    def strangest(
        self, direction: str, last: int, count: int, seconds: float | None = BUDGET_S
    ) -> dict[str, Any]:
        """The `count` strangest of the `last` newest predictions, strangest first.

        Args:
            seconds: measure for about this time; images that are left are counted as `waiting`.
        """
        predictions = recent(self.store, direction, last)
        waiting = self._measure(predictions, seconds)
        ranked, basis = self._ranked(direction, predictions)
        chosen = ranked[:count]
        known = labelled(self.store, [prediction.id for prediction, _ in chosen])
        return {
            "direction": direction,
            "against": basis,
            "considered": len(ranked),
            "waiting": waiting,
            "damaged": sum(prediction.input in self._damaged for prediction in predictions),
            "images": [
                _entry(prediction)
                | about
                | {"labelled": prediction.id in known, "verdict": self._verdict(prediction.id)}
                for prediction, about in chosen
            ],
        }

    def queue(
        self, direction: str, last: int, count: int, random_share: float, seconds: float | None = BUDGET_S
    ) -> dict[str, Any]:
        """Predictions to label, without a label or a verdict, from the `last` newest ones.

        `random_share` of them are drawn at random, by a hash of their ids: the draw does not depend on the
        image and stays the same while the queue is worked through. The rest are the strangest. Only labels
        of the random ones estimate the quality of all predictions.
        """
        candidates = unseen(self.store, direction, last)
        drawn = sorted(candidates, key=lambda prediction: hashlib.sha256(prediction.id.encode()).digest())
        random = drawn[: round(random_share * count)]
        taken = {prediction.id for prediction in random}
        waiting = self._measure(candidates, seconds)
        ranked = [one for one in self._ranked(direction, candidates)[0] if one[0].id not in taken]
        strange = ranked[: count - len(random)]
        images = [_entry(one) | {"why": "random", "distance": None, "feature": None} for one in random]
        images += [
            _entry(one) | {"why": "strange", "distance": about["distance"], "feature": about["feature"]}
            for one, about in strange
        ]
        return {
            "direction": direction,
            "candidates": len(candidates),
            "random_share": random_share,
            "random": len(random),
            "strange": len(strange),
            "waiting": waiting,
            "text": f"{len(random)} drawn at random and the {len(strange)} strangest of {len(candidates)} "
            "predictions without label or verdict. Only the labels of the random ones estimate the quality "
            "of all.",
            "images": images,
        }

    def _verdict(self, prediction: str) -> str | None:
        verdict = self.store.verdict(prediction)
        return verdict.verdict if verdict else None

    def _measure(self, predictions: list[Prediction], seconds: float | None) -> int:
        """Measure inputs that are new, at least one; returns how many are left."""
        with self._lock:
            new = [p for p in predictions if p.input not in self._features and p.input not in self._damaged]
            until = None if seconds is None else time.monotonic() + seconds
            for place, prediction in enumerate(new):
                if place and until is not None and time.monotonic() > until:
                    return len(new) - place
                self._measure_one(prediction)
            return 0

    def _measure_one(self, prediction: Prediction) -> None:
        try:
            image = grey(self.store.image(prediction.input))
            features = measure(image[None], prediction.pixel_nm or 1.0, None).features[0]
        except DamagedPictureError:  # counted in every answer
            self._damaged.add(prediction.input)
            return
        except DataError:  # too small for the features
            features = None
        self._features[prediction.input] = features
        while len(self._features) > KEPT:
            self._features.popitem(last=False)

    def _ranked(
        self, direction: str, predictions: list[Prediction]
    ) -> tuple[list[tuple[Prediction, dict[str, Any]]], str]:
        """Predictions that could be measured, strangest first, each with its distance, and the basis."""
        with self._lock:
            measured = [(p, f) for p in predictions if (f := self._features.get(p.input)) is not None]
        mean, spread, basis = self._reference(direction, [features for _, features in measured])
        if mean is None or spread is None:
            return [], basis
        found = []
        for prediction, features in measured:
            deviations = torch.where(spread > 1e-12, (features - mean) / spread, 0.0)
            place = int(deviations.abs().argmax())
            about = against(FEATURES[place], float(features[place]), float(mean[place]), float(spread[place]))
            found.append((prediction, {"distance": float(deviations.abs().max()), **about}))
        found.sort(key=lambda one: (-one[1]["distance"], one[0].id))
        return found, basis

    def _reference(self, direction: str, measured: list[Tensor]) -> tuple[Tensor | None, Tensor | None, str]:
        """Centre and spread of every feature: the detector's, else median and scaled median deviation."""
        if self.watch is not None and direction in self.watch.detectors:
            profile = self.watch.detectors[direction].profile
            return profile.mean, profile.std, "reference"
        if len(measured) < FEWEST:
            return None, None, "recent"
        rows = torch.stack(measured)
        centre = rows.median(0).values
        return centre, 1.4826 * (rows - centre).abs().median(0).values, "recent"


def _entry(prediction: Prediction) -> dict[str, Any]:
    return {"id": prediction.id, "model": prediction.model, "made_at": prediction.made_at}
