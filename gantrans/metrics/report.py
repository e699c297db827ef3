"""All metrics of a set of images: per image, and per family with the number of undefined values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantrans.errors import DataError
from gantrans.metrics.contours import epe
from gantrans.metrics.edge_roughness import line_roughness
from gantrans.metrics.image import iou, l1, psnr, ssim
from gantrans.metrics.inputs import check_pair
from gantrans.metrics.metrology import cd_error
from gantrans.metrics.topology import compare_topology

ALL = "all"
"""The family that stands for all images together."""
_CHUNK_PIXELS = 2**20


@dataclass(frozen=True)
class ImageReport:
    """Metrics of a set of predictions. Lengths are in `unit`; NaN: not defined for that image."""

    unit: str
    """"nm", or "px" if the pixel size is not known."""
    family: list[str]
    per_image: dict[str, NDArray[np.float64]]
    """Metric name -> (N,). The names: l1, psnr, ssim, iou, epe, epe_p95, hausdorff, cd_error, cd_error_abs,
    cd_cuts, cd_unmatched, ler, lwr, opens, bridges, missing, extra, features; of colour the first three."""
    per_family: dict[str, dict[str, dict[str, float]]]
    """Family (and "all") -> metric -> mean, median and total over the `count` images that define it (NaN if
    there are none), and the number of the others, `undefined`. The PSNR of two equal images is infinite and
    counts as undefined."""

    def mean(self, metric: str, family: str = ALL) -> float:
        """Mean of one metric over one family; `per_family` has the number of images."""
        return self.per_family[family][metric]["mean"]

    def to_dict(self) -> dict[str, Any]:
        """As plain Python for JSON; values that are not finite become None."""
        return {
            "unit": self.unit,
            "family": list(self.family),
            "per_image": {name: [plain(v) for v in values] for name, values in self.per_image.items()},
            "per_family": {
                family: {
                    name: {k: v if isinstance(v, int) else plain(v) for k, v in row.items()}
                    for name, row in metrics.items()
                }
                for family, metrics in self.per_family.items()
            },
        }


def image_report(
    pred: Tensor, target: Tensor, pixel_nm: float | None = None, families: Sequence[str] | None = None
) -> ImageReport:
    """All metrics of `gantrans.metrics` for a set of images; of colour those of `image_metrics`.

    Args:
        pred, target: (N, C, H, W) in [0, 1] with C of 1 or 3, on any device; processed in chunks, to bound
            the memory.
        pixel_nm: pixel size; None gives lengths in px.
        families: one label per image, for the aggregates.

    Raises:
        DataError: for unequal shapes, NaN, values outside [0, 1], another number of labels.
    """
    check_pair(pred, target, colour=True)
    labels = list(families) if families is not None else [ALL] * len(pred)
    if len(labels) != len(pred):
        raise DataError(f"There are {len(pred)} images but {len(labels)} families; give one per image.")
    chunk = max(1, _CHUNK_PIXELS // pred[0].numel())
    pairs = zip(pred.split(chunk), target.split(chunk), strict=True)
    parts = [_measure(p, t, 1.0 if pixel_nm is None else pixel_nm) for p, t in pairs]
    per_image = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return aggregated("px" if pixel_nm is None else "nm", labels, per_image)


def aggregated(unit: str, labels: list[str], per_image: dict[str, NDArray[np.float64]]) -> ImageReport:
    """The report of metrics per image, (N,) each, with the family of every image."""
    members = {ALL: np.ones(len(labels), bool)}
    members |= {family: np.array([label == family for label in labels]) for family in sorted(set(labels))}
    per_family = {
        family: {name: _aggregate(values[member]) for name, values in per_image.items()}
        for family, member in members.items()
    }
    return ImageReport(unit, labels, per_image, per_family)


def image_metrics(pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The metrics of grey values, (B,) each; those of colour are over all three channels."""
    return {
        "l1": l1(pred, target),
        "psnr": psnr(pred, target, data_range=1.0),
        "ssim": ssim(pred, target, data_range=1.0),
    }


def _measure(pred: Tensor, target: Tensor, pixel: float) -> dict[str, NDArray[np.float64]]:
    columns = image_metrics(pred, target)
    if pred.shape[1] == 1:
        columns |= _geometry(pred, target, pixel)
    return {name: values.detach().to("cpu", torch.float64).numpy() for name, values in columns.items()}


def _geometry(pred: Tensor, target: Tensor, pixel: float) -> dict[str, Tensor]:
    edges, cd = epe(pred, target, pixel), cd_error(pred, target, pixel)
    rough, topology = line_roughness(pred, target, pixel), compare_topology(pred, target)
    return {
        "iou": iou(pred, target),
        "epe": edges.mean,
        "epe_p95": edges.p95,
        "hausdorff": edges.hausdorff,
        "cd_error": cd.signed,
        "cd_error_abs": cd.absolute,
        "cd_cuts": cd.cuts,
        "cd_unmatched": cd.unmatched,
        "ler": rough.ler,
        "lwr": rough.lwr,
        "opens": topology.opens,
        "bridges": topology.bridges,
        "missing": topology.missing,
        "extra": topology.extra,
        "features": topology.features,
    }


def _aggregate(values: NDArray[np.float64]) -> dict[str, float]:
    known = values[np.isfinite(values)]
    statistics: dict[str, Callable[[Any], Any]] = {"mean": np.mean, "median": np.median, "total": np.sum}
    row = {name: float(f(known)) if len(known) else float("nan") for name, f in statistics.items()}
    return row | {"count": len(known), "undefined": len(values) - len(known)}


def plain(value: float) -> float | None:
    """The value for JSON: None if it is not finite."""
    return float(value) if np.isfinite(value) else None
