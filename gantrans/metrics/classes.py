"""Metrics of classes, a class in each pixel: intersection over union, accuracy, cross-entropy.

Outputs are probabilities, (B, K, H, W) in [0, 1] that add up to 1; the class of a pixel is the most probable
one, of equal ones the first. Targets are the numbers 0 to K - 1 of the classes, (B, 1, H, W), whole numbers.

Conventions. The IoU of a class is |output and target| / |output or target|. A class that neither the output
nor the target has counts nowhere: its IoU is NaN, and means leave it out. `mean_iou` is per image, over the
classes that occur there; `class_iou` of summed counts is that of all pixels together, the usual one of data
sets (Everingham et al. 2010, PASCAL VOC, sec. 4.3).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantrans.errors import DataError
from gantrans.metrics.report import ALL, ImageReport, aggregated, plain

FLOOR = 1e-7
"""Least probability in `cross_entropy`, so that one pixel of a certain and wrong network costs 16 nats."""


def confusion(probabilities: Tensor, target: Tensor) -> Tensor:
    """Pixels by class: (B, K, H, W) and (B, 1, H, W) -> (B, K, K) int64, [image, target, output].

    Raises:
        DataError: shapes or types do not fit, or a target has another class.
    """
    check_classes(probabilities, target)
    images, classes = probabilities.shape[:2]
    pairs = target.long() * classes + probabilities.argmax(1, keepdim=True)
    offsets = torch.arange(images, device=pairs.device).view(-1, 1, 1, 1) * classes**2
    counts = torch.bincount((pairs + offsets).flatten(), minlength=images * classes**2)
    return counts.view(images, classes, classes)


def class_iou(counts: Tensor) -> Tensor:
    """IoU of each class from counts as of `confusion`: (..., K, K) -> (..., K) float64; NaN: not there."""
    hits = counts.diagonal(dim1=-2, dim2=-1).double()
    union = counts.sum(-1) + counts.sum(-2) - hits
    return torch.where(union > 0, hits / union, math.nan)


def mean_iou(probabilities: Tensor, target: Tensor) -> Tensor:
    """Mean IoU over the classes that occur in output or target: (B, K, H, W), (B, 1, H, W) -> (B,)."""
    return class_iou(confusion(probabilities, target)).nanmean(-1)


def accuracy(probabilities: Tensor, target: Tensor) -> Tensor:
    """Share of the pixels whose class is right: (B, K, H, W), (B, 1, H, W) -> (B,) float64."""
    return _accuracy(confusion(probabilities, target))


def _accuracy(counts: Tensor) -> Tensor:
    hits = counts.diagonal(dim1=-2, dim2=-1).sum(-1).double()
    return hits / counts.sum((-2, -1))


def cross_entropy(probabilities: Tensor, target: Tensor) -> Tensor:
    """-ln of the probability of the right class, mean over pixels, in nats: (B, K, H, W), (B, 1, H, W) ->
    (B,).

    Probabilities below `FLOOR` count as `FLOOR`.
    """
    check_classes(probabilities, target)
    right = probabilities.gather(1, target.long())
    return -right.clamp(min=FLOOR).log().mean((1, 2, 3)).double()


@dataclass(frozen=True)
class ClassScores:
    """Scores of some images: metric of `gantrans.directions.LABELS` -> (N,); counts as of `confusion`."""

    per_image: dict[str, Tensor]
    counts: Tensor


def class_scores(probabilities: Tensor, target: Tensor) -> ClassScores:
    """All metrics of some images, computed in one pass; see the module's text."""
    counts = confusion(probabilities, target)
    per_image = {
        "mean_iou": class_iou(counts).nanmean(-1),
        "accuracy": _accuracy(counts),
        "cross_entropy": cross_entropy(probabilities, target),
    }
    return ClassScores({name: values.cpu() for name, values in per_image.items()}, counts.cpu())


def joined(parts: Sequence[ClassScores]) -> ClassScores:
    """The scores of several batches as those of one."""
    names = parts[0].per_image
    per_image = {name: torch.cat([part.per_image[name] for part in parts]) for name in names}
    return ClassScores(per_image, torch.cat([part.counts for part in parts]))


@dataclass(frozen=True)
class ClassReport:
    """Metrics of a set of images of classes.

    report: of the metrics per image, by family. iou: family (and "all") -> IoU of each class over all pixels
    of its images; NaN: neither output nor target has the class.
    """

    report: ImageReport
    iou: Mapping[str, NDArray[np.float64]]

    def iou_by_class(self, family: str, names: Sequence[str]) -> dict[str, float | None]:
        """The IoU of each class by its name, None where it is not defined; and "mean" of those that are."""
        values = self.iou[family]
        known = values[np.isfinite(values)]
        return {**dict(zip(names, map(plain, values), strict=True)), "mean": plain(known.mean())}

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Plain Python for JSON; `names`: of the classes."""
        return {family: self.iou_by_class(family, names) for family in self.iou}


def class_report(scores: ClassScores, families: Sequence[str] | None = None) -> ClassReport:
    """Aggregate scores; `families`: one label per image.

    Raises:
        DataError: another number of labels.
    """
    labels = [ALL] * len(scores.counts) if families is None else list(families)
    if len(labels) != len(scores.counts):
        raise DataError(f"There are {len(scores.counts)} images but {len(labels)} families; give one each.")
    per_image = {name: values.double().numpy() for name, values in scores.per_image.items()}
    report = aggregated("px", labels, per_image)
    chosen = {
        family: [family in (ALL, label) for label in labels] for family in report.per_family
    }  # which images belong to it
    iou = {family: class_iou(scores.counts[mask].sum(0)).numpy() for family, mask in chosen.items()}
    return ClassReport(report, iou)


def check_classes(probabilities: Tensor, target: Tensor) -> None:
    """Check that outputs and targets of classes fit each other.

    Raises:
        DataError: naming what does not.
    """
    if probabilities.ndim != 4 or probabilities.shape[1] < 2 or not probabilities.is_floating_point():
        raise DataError(
            f"Probabilities have shape {tuple(probabilities.shape)} and type {probabilities.dtype}; they must"
            " be floating-point (B, K, H, W) with K of at least 2."
        )
    batch, classes, height, width = probabilities.shape
    if target.shape != (batch, 1, height, width) or target.is_floating_point():
        raise DataError(
            f"The target has shape {tuple(target.shape)} and type {target.dtype}; it must be the whole "
            f"numbers of classes, {(batch, 1, height, width)}."
        )
    if not torch.isfinite(probabilities).all():
        raise DataError("The probabilities contain NaN or infinite values; look for a diverged network.")
    if target.numel() == 0:
        raise DataError("There is no pixel to compare.")
    if (highest := int(target.max())) >= classes or int(target.min()) < 0:
        raise DataError(f"The target has the class {highest}, but the output has only {classes} classes.")
